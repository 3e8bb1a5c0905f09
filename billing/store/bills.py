"""Providers' bills in SQL: a file is kept whole or refused whole, and none is ever changed.

A bill is about a month of the provider's own calendar. Whoever imports a better file withdraws the first;
what was said stays. Who holds them against the ledger is billing.store.bill_matches.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from billing.bill_rows import Bill, BilledRow
from billing.periods import from_us, month_bounds, next_month, to_us
from billing.store.bill_tables import bill_lines, bill_withdrawals, bills
from billing.store.engine import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping

_EPOCH: Final = date(1970, 1, 1).toordinal()
BATCH: Final = 5_000


class BillRefused(Exception):
    """A bill that is not taken; `korean` and `english` say why and what to do."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


@dataclass(frozen=True, slots=True)
class BillDeed:
    """Who does it, when and why; `trail` writes it down elsewhere in the same transaction."""

    by: str
    at: datetime
    reason: str = ""
    trail: Callable[[Connection, str, str, Mapping[str, Any]], None] | None = None

    def tell(self, connection: Connection, action: str, subject: str, **details: Any) -> None:  # noqa: ANN401 - JSON
        if self.trail is not None:
            self.trail(connection, action, subject, details)


class StoredBill(NamedTuple):
    """A bill without its lines. `states`: quantities, costs or both."""

    number: int
    provider: str
    month: str
    layout: str
    timezone: str
    states: str
    first_day: date
    last_day: date
    file_name: str
    file_rows: int
    digest: str
    imported_at: datetime
    imported_by: str
    reason: str
    withdrawn: bool


# --- reading -------------------------------------------------------------------------------------


def stored_bills(
    connection: Connection,
    month: str | None = None,
    provider: str | None = None,
    *,
    all_of_them: bool = False,
) -> list[StoredBill]:
    """Return bills that count, the oldest first; with `all_of_them` also those withdrawn."""
    joined = bills.outerjoin(bill_withdrawals, bill_withdrawals.c.bill == bills.c.number)
    statement = select(bills, bill_withdrawals.c.at_us).select_from(joined).order_by(bills.c.number)
    if month is not None:
        statement = statement.where(bills.c.month == month)
    if provider is not None:
        statement = statement.where(bills.c.provider == provider)
    if not all_of_them:
        statement = statement.where(bill_withdrawals.c.bill.is_(None))
    return [_stored(row) for row in connection.execute(statement).mappings()]


def bills_of(engine: Engine, month: str | None = None) -> list[StoredBill]:
    """Return every bill, also those withdrawn, the newest first."""
    with engine.connect() as connection:
        return stored_bills(connection, month, all_of_them=True)[::-1]


def read_bill(connection: Connection, number: int) -> Bill:
    """Return a bill's content. Raises LookupError."""
    head = connection.execute(select(bills).where(bills.c.number == number)).mappings().first()
    if head is None:
        raise LookupError(f"bill {number}")
    statement = select(bill_lines).where(bill_lines.c.bill == number).order_by(bill_lines.c.line_no)
    rows = tuple(_billed(row) for row in connection.execute(statement).mappings())
    buckets = frozenset(orjson.loads(head["buckets"]))
    return Bill(head["layout"], head["timezone"], rows, bool(head["exact"]), buckets)


def _stored(row: RowMapping) -> StoredBill:
    same = {name: row[name] for name in StoredBill._fields if name in row}
    return StoredBill(
        **same
        | {
            "first_day": _date(row["first_day"]),
            "last_day": _date(row["last_day"]),
            "imported_at": from_us(row["imported_at_us"]),
            "withdrawn": row["at_us"] is not None,
        }
    )


def _billed(row: RowMapping) -> BilledRow:
    return BilledRow(
        row["line_no"],
        _date(row["day"]),
        row["model"],
        row["key"],
        row["bucket"],
        row["quantity"],
        None if row["cost"] is None else Decimal(row["cost"]),
        row["currency"],
        None if row["fx_rate"] is None else Decimal(row["fx_rate"]),
        row["parts"],
    )


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH)


def day_of(day: date) -> int:
    return day.toordinal() - _EPOCH


# --- importing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file to import for a provider of haechi.toml and a month.

    `part`: it is only some days of the month. `replace`: bills that say the same days are withdrawn.
    """

    provider: str
    month: str
    bill: Bill
    file_name: str
    data: bytes
    part: bool = False
    replace: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def states(self) -> str:
        if self.bill.states_quantities and self.bill.states_costs:
            return "both"
        return "quantities" if self.bill.states_quantities else "costs"

    @property
    def days(self) -> tuple[date, date]:
        days = [row.day for row in self.bill.rows]
        return min(days), max(days)


def import_bill(
    engine: Engine, incoming: Incoming, deed: BillDeed, used_days: Callable[[Connection], Iterable[date]]
) -> StoredBill:
    """Keep a bill. `used_days` says on which days of its month the ledger holds use of the provider.

    Raises BillRefused for a bill of another month, a part, or what is there already; then nothing is kept.
    ValueError for what is no month.
    """
    month_bounds(incoming.month)
    check_month(incoming)
    try:
        with writing(engine).begin() as connection:
            number = _next(connection)  # before all that is looked at: who comes in between takes it
            active = stored_bills(connection, incoming.month, incoming.provider)
            _check_twice(incoming, active)
            before = [one for one in active if _says_the_same(one, incoming)]
            if before and not incoming.replace:
                raise _there_already(before)
            if not incoming.part:
                _check_whole(incoming, used_days(connection))
            for one in before:
                _withdraw(connection, one, deed)
            connection.execute(insert(bills).values(_head(number, incoming, deed)))
            for batch in _batches(_lines(number, incoming.bill.rows)):
                connection.execute(insert(bill_lines), batch)
            details = {"month": incoming.month, "file": incoming.file_name, "digest": incoming.digest}
            replaced = [one.number for one in before]
            deed.tell(connection, "bill.import", incoming.provider, bill=number, replaced=replaced, **details)
            kept = stored_bills(connection, incoming.month, incoming.provider)
    except IntegrityError as error:
        raise BillRefused(
            "그 사이 다른 청구서가 들어왔습니다. 다시 하세요.", "Another bill came in meanwhile. Try again."
        ) from error
    return kept[-1]


def withdraw_bill(engine: Engine, number: int, deed: BillDeed) -> StoredBill:
    """Take a bill back; it stays readable and counts no more. Raises BillRefused."""
    if not deed.reason.strip():
        raise BillRefused("철회하는 사유를 쓰세요.", "Say why it is withdrawn.")
    try:
        with writing(engine).begin() as connection:
            found = next((one for one in stored_bills(connection) if one.number == number), None)
            if found is not None:
                _withdraw(connection, found, deed)
    except IntegrityError:  # somebody else withdrew it meanwhile
        found = None
    if found is None:
        raise BillRefused(f"유효한 청구서 {number}이(가) 없습니다.", f"There is no bill {number}.")
    return found


def check_month(incoming: Incoming) -> None:
    """Raise BillRefused unless every day of a bill lies in its month, and no page is missing."""
    month = incoming.month
    months = sorted({f"{row.day:%Y-%m}" for row in incoming.bill.rows})
    if months != [month]:
        shown = ", ".join(months[:6])
        raise BillRefused(
            f"이 파일은 {shown}의 것입니다. {month}만 골라 다시 내려받거나 --month를 고치세요"
            f"(날짜는 {incoming.bill.timezone} 기준).",
            f"The file is of {shown}. Export {month} alone, or mend --month"
            f" (days are those of {incoming.bill.timezone}).",
        )
    if incoming.bill.more_pages:
        raise BillRefused(
            "파일에 다음 쪽이 더 있다고 되어 있습니다(has_more). 모든 쪽을 받아 JSON 배열로 합치세요.",
            "The file says that more pages follow (has_more). Fetch all, and join them to a JSON array.",
        )


def _check_twice(incoming: Incoming, active: Sequence[StoredBill]) -> None:
    same = next((one for one in active if one.digest == incoming.digest), None)
    if same is not None:
        raise BillRefused(
            f"이미 들어온 파일입니다: {same.imported_by}이(가) {same.imported_at:%Y-%m-%d}에"
            f" '{same.file_name}'(청구서 {same.number})으로 올렸습니다. 다시 올릴 필요가 없습니다.",
            f"{same.imported_by} imported this file on {same.imported_at:%Y-%m-%d} as bill {same.number}"
            f" ({same.file_name}). Nothing is left to do.",
        )


def _says_the_same(one: StoredBill, incoming: Incoming) -> bool:
    """Whether both say quantities, or both costs, of the same days."""
    first, last = incoming.days
    if not incoming.part:
        month_first = date.fromisoformat(f"{incoming.month}-01")
        month_last = date.fromisoformat(f"{next_month(incoming.month)}-01") - timedelta(days=1)
        first, last = month_first, month_last
    same_measure = "both" in {one.states, incoming.states} or one.states == incoming.states
    return same_measure and one.first_day <= last and first <= one.last_day


def _there_already(before: Sequence[StoredBill]) -> BillRefused:
    shown = ", ".join(f"{one.number}({one.file_name}, {one.first_day}~{one.last_day})" for one in before[:5])
    return BillRefused(
        f"같은 날짜의 청구서가 이미 있습니다: {shown}. 이 파일로 바꾸려면 --replace를 붙이세요.",
        f"Bills of the same days are there: {shown}. Add --replace to put this file in their place.",
    )


def _check_whole(incoming: Incoming, used: Iterable[date]) -> None:
    first, last = incoming.days
    beyond = sorted(day for day in used if not first <= day <= last)
    if beyond:
        shown = ", ".join(map(str, beyond[:5])) + ("…" if len(beyond) > len(beyond[:5]) else "")
        raise BillRefused(
            f"청구서에는 {first}~{last}만 있는데 장부에는 {shown}의 사용이 있습니다."
            " 한 달 전체를 내려받으세요. 나누어 올리려면 --part를 붙이세요.",
            f"The bill covers {first} to {last}, and the ledger has use on {shown}."
            " Export the whole month, or add --part to import it in parts.",
        )


def _withdraw(connection: Connection, one: StoredBill, deed: BillDeed) -> None:
    values = {"bill": one.number, "at_us": to_us(deed.at), "by": deed.by, "reason": deed.reason}
    connection.execute(insert(bill_withdrawals).values(values))
    deed.tell(connection, "bill.withdraw", one.provider, bill=one.number, month=one.month)


def _next(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(bills.c.number), 0))).scalar_one()) + 1


def _head(number: int, incoming: Incoming, deed: BillDeed) -> dict[str, Any]:
    first, last = incoming.days
    return {
        "number": number,
        "provider": incoming.provider,
        "month": incoming.month,
        "layout": incoming.bill.layout,
        "timezone": incoming.bill.timezone,
        "exact": int(incoming.bill.exact),
        "buckets": orjson.dumps(sorted(incoming.bill.buckets)).decode(),
        "states": incoming.states,
        "first_day": day_of(first),
        "last_day": day_of(last),
        "file_name": incoming.file_name[:200],
        "file_rows": len(incoming.bill.rows),
        "digest": incoming.digest,
        "imported_at_us": to_us(deed.at),
        "imported_by": deed.by,
        "reason": deed.reason,
    }


def _lines(number: int, rows: Iterable[BilledRow]) -> list[dict[str, Any]]:
    """Sum a file's rows by all that a comparison tells apart; minutes and hours become days."""
    sums: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [None, None, 0])
    for row in rows:
        mine = sums[row.day, row.model, row.key, row.bucket, row.currency, row.fx_rate]
        if row.quantity is not None:
            mine[0] = (mine[0] or 0) + row.quantity
        if row.cost is not None:
            mine[1] = (mine[1] or Decimal(0)) + row.cost
        mine[2] += row.parts
    return [
        {
            "bill": number,
            "line_no": line_no,
            "day": day_of(day),
            "model": model,
            "key": key,
            "bucket": bucket,
            "quantity": quantity,
            "cost": None if cost is None else f"{cost:f}",
            "currency": currency,
            "fx_rate": None if fx_rate is None else f"{fx_rate:f}",
            "parts": parts,
        }
        for line_no, ((day, model, key, bucket, currency, fx_rate), (quantity, cost, parts)) in enumerate(
            sums.items(), start=1
        )
    ]


def _batches(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
