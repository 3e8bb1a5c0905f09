"""Walks the chains of the ledger and names every row that is not as it was written.

Per writer slot the rows of both ledger tables, by sequence number, form one chain of HMACs. Found
and named: a changed row (also changed lines), a removed one (a gap), reordered ones (their HMACs
hold at each other's place), an inserted one (beyond the head, or signed by nobody), a head that was
set back, a changed quote, lines without a charge, and a total that its lines do not make.
What no chain can show is a database set back as a whole to an earlier state; exported seals do.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, select

from billing.ledger import (
    CHARGE_COLUMNS,
    CHARGE_TABLE,
    DISPATCH_TABLE,
    GENESIS,
    LINE_COLUMNS,
    Kind,
    Record,
    canonical,
    chain,
)
from billing.quotes import document_id
from billing.store.engine import one_moment
from billing.store.rows import CHARGE_SELECT, DISPATCH_SELECT, LINE_SELECT
from billing.store.seal_checks import Problem, missing_places, seal_problems, sealed_places
from billing.store.sealing import read_seals
from billing.tables import charges, dispatches, lines, quotes, writers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Engine, Table

    from billing.seals import Seal

MOST_PROBLEMS: Final = 1_000
"""A ledger with more has one cause: the wrong key, or a restored copy."""

_AMOUNT: Final = CHARGE_COLUMNS.index("amount_nano_krw")
_LINE_AMOUNT: Final = LINE_COLUMNS.index("amount_nano_krw")
_CHAIN: Final = ("slot", "epoch", "seq", "key_version", "mac")


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """`open` counts attempts without a charge; that is no fault while their writers live."""

    rows: int
    slots: int
    charges: int
    open: int
    total_nano_krw: int
    problems: tuple[Problem, ...]
    seals: int = 0
    root: str = ""
    """Merkle root of the last seal."""

    @property
    def ok(self) -> bool:
        return not self.problems


class _ChainedRow(NamedTuple):
    slot: int
    seq: int
    record: Record
    epoch: int
    key_version: int
    mac: bytes


class _Suspect(NamedTuple):
    """A row whose HMAC does not hold; what stood before it is needed to see whether it was moved."""

    row: _ChainedRow
    previous: bytes


def verify(engine: Engine, keys: bytes | Mapping[int, bytes], exported: Sequence[Seal] = ()) -> VerifyReport:
    """Verify every chain and every seal. Reads only, in one snapshot.

    `keys`: by version, or the one key of version 1. `exported`: seals that were kept elsewhere; the
    ledger must still hold what they name.
    """
    by_version = {1: keys} if isinstance(keys, bytes) else dict(keys)
    with one_moment(engine).begin() as connection:
        return _Walk(connection, by_version, exported).report()


class _Walk:
    def __init__(self, connection: Connection, keys: Mapping[int, bytes], exported: Sequence[Seal]) -> None:
        self._connection = connection
        self._keys = keys
        self._seals = read_seals(connection)
        self._exported = exported
        self._sealed = sealed_places([*self._seals, *exported])
        self._problems: list[Problem] = []
        self._suspects: list[_Suspect] = []
        self._previous_macs: dict[tuple[int, int], bytes] = {}
        self._rows = self._charges = self._dispatches = self._total = 0

    def report(self) -> VerifyReport:
        heads = {row.slot: row for row in self._connection.execute(select(writers))}
        last: dict[int, tuple[int, bytes]] = dict.fromkeys(heads, (0, GENESIS))
        for slot, rows in groupby(self._chained(), key=lambda row: row.slot):
            last[slot] = self._slot(slot, rows)
        for slot, (seq, mac) in sorted(last.items()):
            self._check_head(slot, heads.get(slot), seq, mac)
        self._name_suspects()
        self._check_quotes()
        self._check_orphan_lines()
        self._problems += seal_problems(self._seals, self._exported, self._keys)
        self._problems += missing_places(self._sealed)
        settled = self._connection.execute(select(charges.c.attempt_id).where(charges.c.kind == Kind.CHARGE))
        open_count = self._dispatches - sum(1 for _ in settled)
        problems = tuple(sorted(self._problems, key=lambda p: (p.slot, p.seq))[:MOST_PROBLEMS])
        return VerifyReport(
            rows=self._rows,
            slots=len(last),
            charges=self._charges,
            open=max(0, open_count),
            total_nano_krw=self._total,
            problems=problems,
            seals=len(self._seals),
            root=self._seals[-1].root if self._seals else "",
        )

    def _slot(self, slot: int, rows: Iterator[_ChainedRow]) -> tuple[int, bytes]:
        """Follow one chain; go on from the stored HMAC after a bad row, so that it is named alone."""
        seq, mac = 0, GENESIS
        for row in rows:
            self._count(row)
            self._check_sealed(row)
            if row.seq <= seq:  # the two tables number their rows together, so no database index says so
                message = "이미 쓰인 순번에 끼워 넣은 행입니다 / inserted under a number that was taken"
                self._problem("inserted", row, message)
                continue
            if row.seq != seq + 1:
                self._missing(slot, seq + 1, row.seq - 1)
                seq = row.seq
                mac = row.mac  # nothing can be said of the row behind a gap: its predecessor is gone
                continue
            if not self._holds(row, mac):
                self._suspects.append(_Suspect(row, mac))
            seq, mac = row.seq, row.mac
        return seq, mac

    def _count(self, row: _ChainedRow) -> None:
        self._rows += 1
        if row.record.table == DISPATCH_TABLE:
            self._dispatches += 1
            return
        self._charges += 1
        amount = row.record.values[_AMOUNT]
        self._total += amount
        if sum(line[_LINE_AMOUNT] for line in row.record.lines) != amount:
            self._problem(
                "total", row, "금액이 내역의 합과 다릅니다 / the amount is not the sum of its lines"
            )

    def _check_sealed(self, row: _ChainedRow) -> None:
        place = self._sealed.pop((row.slot, row.seq), None)
        if place is not None and place.mac != row.mac.hex():
            message = f"봉인 {place.seal}의 내용과 다릅니다 / not the row that seal {place.seal} names"
            self._problem("sealed", row, message)

    def _holds(self, row: _ChainedRow, previous: bytes) -> bool:
        key = self._keys.get(row.key_version)
        if key is None:
            return False
        expected = chain(previous, row.seq, canonical(row.record, row.slot, row.epoch), key)
        return hmac.compare_digest(expected, row.mac)

    def _missing(self, slot: int, first: int, last: int) -> None:
        for seq in range(first, min(last, first + MOST_PROBLEMS) + 1):
            message = "이 순번의 행이 지워졌습니다 / the row with this number was removed"
            self._problems.append(Problem("removed", "", "", slot, seq, message))

    def _check_head(self, slot: int, head: Any, seq: int, mac: bytes) -> None:  # noqa: ANN401 - a row or None
        if head is None:
            message = "기록자 표에 없는 슬롯입니다 / ledger_writer does not know this slot"
            self._problems.append(Problem("head", writers.name, str(slot), slot, 0, message))
        elif head.seq > seq:
            self._missing(slot, seq + 1, head.seq)
        elif head.seq < seq:
            message = "사슬의 끝보다 뒤에 행이 있습니다 / there are rows beyond the head of the chain"
            self._problems.append(Problem("inserted", "", "", slot, seq, message))
        elif head.mac != mac.hex():
            message = "사슬의 끝이 마지막 행과 다릅니다 / the head of the chain is not its last row"
            self._problems.append(Problem("head", writers.name, str(slot), slot, seq, message))

    def _name_suspects(self) -> None:
        """Tell rows that only changed places from changed ones."""
        for suspect in self._suspects[:MOST_PROBLEMS]:
            row = suspect.row
            if row.key_version not in self._keys:
                self._problem(
                    "unknown_key", row, f"키 버전 {row.key_version}이(가) 없습니다 / no key of this version"
                )
            elif self._was_elsewhere(row):
                self._problem("reordered", row, "다른 자리에 있던 행입니다 / this row stood at another place")
            else:
                message = (
                    "쓰인 뒤에 바뀌었거나 끼워 넣은 행입니다 / changed after it was written, or inserted"
                )
                self._problem("changed", row, message)

    def _was_elsewhere(self, row: _ChainedRow) -> bool:
        for other in self._suspects[:200]:
            if other.row is not row:
                moved = row._replace(slot=other.row.slot, seq=other.row.seq)
                macs = (row.mac, other.row.mac)
                if any(self._holds(moved._replace(mac=mac), other.previous) for mac in macs):
                    return True
        return False

    def _check_quotes(self) -> None:
        for row in self._connection.execute(select(quotes)):
            if document_id(row.document) != row.quote_id:
                message = "단가·환율 기록이 바뀌었습니다 / the recorded price or rate was changed"
                self._problems.append(Problem("quote", quotes.name, row.quote_id, 0, 0, message))

        gone = (
            select(dispatches.c.quote_id)
            .join_from(dispatches, quotes, dispatches.c.quote_id == quotes.c.quote_id, isouter=True)
            .where(quotes.c.quote_id.is_(None))
            .distinct()
        )
        for quote_id in self._connection.execute(gone).scalars():
            message = "단가·환율 기록이 지워졌습니다 / the recorded price or rate was removed"
            self._problems.append(Problem("quote", quotes.name, quote_id, 0, 0, message))

    def _check_orphan_lines(self) -> None:
        orphans = (
            select(lines.c.charge_id)
            .join_from(lines, charges, lines.c.charge_id == charges.c.charge_id, isouter=True)
            .where(charges.c.charge_id.is_(None))
            .distinct()
        )
        for charge_id in self._connection.execute(orphans).scalars():
            message = "청구 없는 내역입니다 / lines without their charge"
            self._problems.append(Problem("orphan_line", lines.name, charge_id, 0, 0, message))

    def _problem(self, what: str, row: _ChainedRow, message: str) -> None:
        row_id = str(row.record.values[0])
        self._problems.append(Problem(what, row.record.table, row_id, row.slot, row.seq, message))

    # --- reading ---

    def _chained(self) -> Iterator[_ChainedRow]:
        """Rows of both tables by slot and sequence number, streamed."""
        return merge(
            self._read(dispatches, DISPATCH_SELECT, DISPATCH_TABLE),
            self._read(charges, CHARGE_SELECT, CHARGE_TABLE),
            key=lambda row: (row.slot, row.seq),
        )

    def _read(self, table: Table, columns: tuple[Any, ...], name: str) -> Iterator[_ChainedRow]:
        statement = (
            select(*columns, *(table.c[c] for c in _CHAIN))
            .order_by(table.c.slot, table.c.seq)
            .execution_options(yield_per=2_000)
        )
        for partition in self._connection.execute(statement).partitions():
            line_rows = self._lines([row[0] for row in partition]) if name == CHARGE_TABLE else {}
            for row in partition:
                *values, slot, epoch, seq, key_version, mac = row
                record = Record(name, tuple(values), tuple(line_rows.get(row[0], ())))
                yield _ChainedRow(slot, seq, record, epoch, key_version, _from_hex(mac))

    def _lines(self, charge_ids: list[str]) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for start in range(0, len(charge_ids), 500):
            statement = (
                select(lines.c.charge_id, *LINE_SELECT)
                .where(lines.c.charge_id.in_(charge_ids[start : start + 500]))
                .order_by(lines.c.charge_id, lines.c.line_no)
            )
            for charge_id, *values in self._connection.execute(statement):
                found[charge_id].append(tuple(values))
        return found


def _from_hex(mac: str) -> bytes:
    try:
        return bytes.fromhex(mac)
    except ValueError:
        return b""
