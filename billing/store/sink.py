"""The journal's sink: groups of rows into the database, chained, fenced, each submission whole.

Called on the journal thread only. The usual way writes a whole group with a few statements. If the
database refuses the group, it is written again submission by submission, each in a savepoint, so
that what is wrong with one stays with it; what is there already is left as it is.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import Table, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from billing.errors import RowRefused, SinkUnavailable
from billing.ledger import (
    CHARGE_TABLE,
    DISPATCH_TABLE,
    Record,
)
from billing.periods import to_us
from billing.seals import EVERY_US
from billing.store import slots
from billing.store.accounts import Accounts, Moving
from billing.store.adoption import adopt_attempts, adopt_slot, open_of_slot, unsettled
from billing.store.away import is_away, without_values
from billing.store.corrections import correcting, settling
from billing.store.engine import Checkpointer, without_busy_handler, writing
from billing.store.locked_months import LockedMonths, same_dispatch
from billing.store.plans import Open, Plan, Planner
from billing.store.rows import CHARGE_SELECT, DISPATCH_SELECT
from billing.store.sealing import seal_if_due
from billing.store.statements import insert_rows, resting, run
from billing.submissions import NOTHING_BACK, Back
from billing.tables import charges, dispatches, lines, quotes, writers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection, Engine

    from billing.budgets import Amounts
    from billing.leases import Purse
    from billing.ledger import Attribution

log = logging.getLogger(__name__)

T = TypeVar("T")

_MOVE_HEAD_SQLITE: Final = (
    "UPDATE ledger_writer SET seq = ?, mac = ?, low_seq = ?, heartbeat_us = ? WHERE slot = ? AND epoch = ?"
)
_MOVE_HEAD: Final = {"sqlite": _MOVE_HEAD_SQLITE, "postgresql": _MOVE_HEAD_SQLITE.replace("?", "%s")}

_WAIT_FOR_THE_DISK: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)

_SHIPPING: Final = Moving(refusable=False, grants=False)

_ROWS_FAULT: Final = (DBAPIError, TypeError, ValueError, OverflowError)
"""What a row can cause by what is in it, unless `is_away` says that the database is the cause."""


class LedgerSink:
    """`key` signs the chain; `tables` are other tables whose rows may travel with the ledger's.

    `on_adopted(whose, attempts)`, if set, hears on the journal thread of attempts charged by estimate.
    """

    def __init__(
        self,
        engine: Engine,
        key: bytes,
        *,
        key_version: int = 1,
        tables: Iterable[Table] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        process: slots.Process | None = None,
        lease_s: float = 15.0,
    ) -> None:
        self._engine = writing(engine)
        self._key = key
        self._key_version = key_version
        self._tables = {table.name: table for table in (dispatches, charges, lines, *tables)}
        self._planner = Planner(key, key_version, self._tables)
        self._clock = clock
        self.on_adopted: Callable[[str, int], None] = lambda _whose, _attempts: None
        self._watch = slots.Watch(process or slots.Process.this(), lease_s, {})
        self._checkpointer = Checkpointer(engine)
        self._connection: Connection | None = None
        self._head: slots.Head | None = None
        self._open: dict[str, Open] = {}
        self._accounts = Accounts()
        self._months = LockedMonths()
        self._known_quotes: set[str] = set()
        self._sealed_hour = 0

    @property
    def slot(self) -> int | None:
        return self._head.slot if self._head else None

    # --- the Sink protocol ---

    def open(self) -> None:
        """Take a slot. Raises SinkUnavailable."""
        self._guarded(self._take_slot)
        self._checkpointer.start()

    def write(self, group: Sequence[Sequence[Record]], back: Back = NOTHING_BACK) -> list[RowRefused | None]:
        """Write a group; what a hard budget does not cover is refused. See billing.submissions.Sink."""
        return self._write_unfenced(group, Moving(refusable=True, back=back))

    def ship(
        self, group: Sequence[Sequence[Record]], back: Back = NOTHING_BACK, *, rests: bool = False
    ) -> list[RowRefused | None]:
        """Write what was acknowledged before: no budget refuses it any more. See billing.submissions.Sink."""
        with resting() if rests else nullcontext():
            return self._write_unfenced(group, Moving(refusable=False, back=back))

    def lease_as(self, owner: str) -> Purse | None:
        """Lease from hard budgets under this name from now on; None: this database is for many machines."""
        return self._accounts.leases.lease_as(owner) if self._engine.dialect.name == "sqlite" else None

    def lease_no_more(self) -> None:
        self._accounts.leases.lease_no_more()

    def wants_recall(self) -> bool:
        return self._accounts.leases.wants_recall

    def end_leases(self, owner: str) -> None:
        """End the leases of a writer whose rows are all written. Raises SinkUnavailable."""

        def ending(connection: Connection) -> None:
            with connection.begin():
                self._accounts.leases.end(connection, owner)

        if self._engine.dialect.name == "sqlite":
            self._guarded(ending)
            self._accounts.leases.ended(owner)

    def needs_database(self, submission: Sequence[Record]) -> bool:
        """Whether a hard budget, as this sink knows them, stands over a dispatch."""
        return self._accounts.needs_database(submission)

    def left_nano_krw(self, payer: Attribution, billing_period: str) -> int | None:
        """Nano-won that the tightest hard budget over a payer leaves; see Accounts. From any thread."""
        return self._accounts.left_nano_krw(payer, billing_period)

    def tick(self) -> None:
        """Beat, adopt writers that died, seal once an hour. Raises SinkUnavailable."""
        try:
            self._guarded(self._beat)
        except slots.Fenced:
            self._lose_slot()
            self._guarded(self._take_slot)
        self._guarded(self._adopt_dead)
        self._guarded(self._seal)

    def adopt(self, attempt_ids: Sequence[str]) -> int:
        """Charge attempts by estimate where they have no charge. Raises SinkUnavailable."""

        def adopting(connection: Connection) -> list[Record]:
            reason = "its journal segment was recovered"
            return adopt_attempts(connection, attempt_ids, self._clock(), reason)

        records = self._unfenced(lambda connection: self._derive(connection, adopting))
        if records:
            self._say_adopted(f"segment of {records[0].attempt_id}", len(records))
        return len(records)

    def correct(self, attempt_ids: Collection[str], decide: Callable[[Connection], list[Record]]) -> None:
        """Write the rows that `decide` derives from what these attempts are charged, in one transaction.

        Raises SinkUnavailable, and RowRefused for a row that the database does not take.
        """

        def deciding(connection: Connection) -> list[Record]:
            correcting(connection, attempt_ids)
            return decide(connection)

        try:
            self._unfenced(lambda connection: self._derive(connection, deciding))
        except _ROWS_FAULT as error:
            raise RowRefused(without_values(error)) from None

    def still_open(self, attempt_ids: Collection[str]) -> set[str]:
        """Return those of these that are dispatched and not charged, or by somebody's estimate alone.

        Raises SinkUnavailable.
        """

        def looking(connection: Connection) -> set[str]:
            with connection.begin():
                return unsettled(connection, attempt_ids)

        return self._guarded(looking) if attempt_ids else set()

    def close(self, *, keeps_slot: bool = False) -> None:
        """Give the slot back; attempts that are still open are adopted by the next writer.

        Whoever finds a slot whose process is gone ships its files before it adopts and ends leases.
        """
        self._checkpointer.stop()
        try:
            if self._head is not None and not keeps_slot:
                self._guarded(self._release_slot)
                self._sealed_hour = 0
                self._guarded(self._seal)
        except slots.Fenced:
            log.warning("ledger_writer_fenced", extra={"slot": self.slot})
        finally:
            self._disconnect()

    # --- slot ---

    def _take_slot(self, connection: Connection) -> None:
        with connection.begin():
            head = slots.take(connection, self._watch.process, to_us(self._clock()))
        self._head = head
        self._open.clear()

    def _adopt_dead(self, connection: Connection) -> None:
        with connection.begin():
            dead = slots.dead_writers(connection, self._watch, self._own().slot)
        adopted: list[tuple[str, int]] = []
        for row in dead:
            now = self._clock()
            with connection.begin():
                if slots.raise_epoch(connection, row, slots.FREE, self._watch.process, to_us(now)):
                    records = adopt_slot(connection, row.slot, row.low_seq, now, _died(row.slot, row.epoch))
                    self._append_group(connection, [records], _SHIPPING)
                    connection.execute(
                        update(writers).where(writers.c.slot == row.slot).values(low_seq=writers.c.seq + 1)
                    )
                    adopted.append((f"{row.slot}.{row.epoch}", len(records)))
        for whose, attempts in adopted:
            self._say_adopted(whose, attempts)

    def _say_adopted(self, whose: str, attempts: int) -> None:
        log.warning("ledger_writer_adopted", extra={"writer": whose, "attempts": attempts})
        if attempts:
            self.on_adopted(whose, attempts)

    def _seal(self, connection: Connection) -> None:
        now_us = to_us(self._clock())
        if now_us // EVERY_US == self._sealed_hour:
            return
        try:
            with connection.begin():
                seal = seal_if_due(connection, self._key, self._key_version, now_us)
        except IntegrityError:  # another writer made it in the same moment
            seal = None
        self._sealed_hour = now_us // EVERY_US
        if seal is not None:
            log.info("ledger_sealed", extra={"number": seal.number, "root": seal.root})

    def _beat(self, connection: Connection) -> None:
        with connection.begin():
            self._accounts.refresh(connection)  # so that they are known if the database goes away now
            self._fence(connection, self._own())
            if connection.dialect.name == "sqlite":
                alone = slots.is_alone(connection, self._own().slot)
                self._accounts.leases.sweep(connection, alone=alone)
        self._accounts.committed()

    def _release_slot(self, connection: Connection) -> None:
        own = self._own()
        state = slots.STOPPED if self._open else slots.FREE
        with connection.begin():
            self._fence(connection, own)
            connection.execute(update(writers).where(writers.c.slot == own.slot).values(state=state))
        self._head = None

    def _lose_slot(self) -> None:
        self._known_quotes.clear()
        self._accounts.leases.doubt()
        self._head = None
        self._open.clear()

    def _own(self) -> slots.Head:
        if self._head is None:
            raise slots.Fenced
        return self._head

    def _fence(self, connection: Connection, head: slots.Head) -> None:
        """Move the head of the chain, if the slot is still ours. Raises Fenced."""
        low_seq = next((attempt.seq for attempt in self._open.values()), head.seq + 1)
        moved = (head.seq, head.mac.hex(), low_seq, to_us(self._clock()), head.slot, head.epoch)
        if run(connection, _MOVE_HEAD[connection.dialect.name], moved).rowcount != 1:
            raise slots.Fenced

    # --- writing ---

    def _write_unfenced(self, group: Sequence[Sequence[Record]], how: Moving) -> list[RowRefused | None]:
        try:
            return self._unfenced(lambda connection: self._write(connection, group, how))
        except SinkUnavailable:
            self._accounts.leases.doubt()
            raise

    def _unfenced(self, work: Callable[[Connection], T]) -> T:
        """Do what needs a slot of ours; in another one if somebody took ours away. Raises SinkUnavailable."""
        try:
            return self._guarded(work)
        except slots.Fenced:
            log.error("ledger_writer_fenced", extra={"slot": self.slot})  # noqa: TRY400 - expected, no traceback
            self._lose_slot()
            self._guarded(self._take_slot)
            return self._guarded(work)

    def _write(
        self, connection: Connection, group: Sequence[Sequence[Record]], how: Moving
    ) -> list[RowRefused | None]:
        own = self._own()
        before = dict(self._open)
        try:
            with connection.begin():
                results = self._append_group(connection, group, how)
        except (*_ROWS_FAULT, RowRefused) as error:
            self._head, self._open = own, before
            if is_away(error):
                raise
            self._known_quotes.clear()
            self._accounts.leases.undone()
            return self._write_apart(connection, group, how._replace(grants=False))
        self._accounts.committed()
        return results

    def _derive(self, connection: Connection, decide: Callable[[Connection], list[Record]]) -> list[Record]:
        """Write, beyond any budget, what follows from rows that are there, in their transaction."""
        own, before = self._own(), dict(self._open)
        try:
            with connection.begin():
                records = decide(connection)
                self._append_group(connection, [records], _SHIPPING)
        except BaseException:
            self._head, self._open = own, before
            self._known_quotes.clear()
            raise
        return records

    def _write_apart(
        self, connection: Connection, group: Sequence[Sequence[Record]], how: Moving
    ) -> list[RowRefused | None]:
        """Write each submission in a savepoint of its own."""
        results: list[RowRefused | None] = []
        own, before = self._own(), dict(self._open)
        try:
            with connection.begin():
                correcting(connection, {r.values[1] for s in group for r in s if r.table == CHARGE_TABLE})
                self._append_group(connection, [], how)
                how = how._replace(back=NOTHING_BACK)
                for submission in group:
                    results.append(self._write_one(connection, submission, how))  # noqa: PERF401 - each changes the head
        except BaseException:
            self._head, self._open = own, before
            self._known_quotes.clear()
            raise
        return results

    def _write_one(
        self, connection: Connection, submission: Sequence[Record], how: Moving
    ) -> RowRefused | None:
        own, before = self._own(), dict(self._open)
        try:
            with connection.begin_nested():
                missing = [settling(connection, r) for r in submission if not self._is_there(connection, r)]
                for refusal in self._append_group(connection, [missing], how):
                    if refusal is not None:
                        raise refusal
        except (*_ROWS_FAULT, RowRefused) as error:
            self._head, self._open = own, before
            self._known_quotes.clear()
            if is_away(error):
                raise
            return error if isinstance(error, RowRefused) else RowRefused(without_values(error))
        return None

    def _append_group(
        self, connection: Connection, group: Sequence[Sequence[Record]], how: Moving
    ) -> list[RowRefused | None]:
        """Let budgets decide, and write the rest, inside the caller's transaction. Raises Fenced."""
        refusals: list[RowRefused | None] = [None] * len(group)
        budgeted = self._accounts.refresh(connection)
        group = self._months.opened(connection, self._accounts.revision, group)
        if budgeted:
            if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
                self._fence(connection, self._own())  # everybody locks slots before accounts
            refusals = [*self._accounts.move(connection, group, self._hold, how)]
        kept = [s for s, refusal in zip(group, refusals, strict=True) if refusal is None]
        self._append(connection, self._planner.plan(self._own(), kept))
        return refusals

    def _hold(self, attempt_id: str) -> Amounts | None:
        """Return what is held for an attempt that is open here."""
        attempt = self._open.get(attempt_id)
        return None if attempt is None else attempt.hold

    def _append(self, connection: Connection, plan: Plan) -> None:
        for attempt_id in plan.settled:
            plan.opened.pop(attempt_id, None)
            self._open.pop(attempt_id, None)
        self._open |= plan.opened
        self._fence(connection, plan.head)
        new = [
            (quote_id, text) for quote_id, text in plan.quotes.items() if quote_id not in self._known_quotes
        ]
        insert_rows(connection, quotes, ("quote_id", "document"), new, " ON CONFLICT DO NOTHING")
        for table, rows in plan.rows.items():
            insert_rows(connection, self._tables[table.partition(":")[0]], plan.columns[table], rows)
        self._known_quotes.update(plan.quotes)
        self._head = plan.head

    def _is_there(self, connection: Connection, record: Record) -> bool:
        """Whether this very row is written already. Raises RowRefused for another row of the same id."""
        if record.table == DISPATCH_TABLE:
            statement = select(*DISPATCH_SELECT).where(dispatches.c.attempt_id == record.values[0])
        elif record.table == CHARGE_TABLE:
            statement = select(*CHARGE_SELECT).where(charges.c.charge_id == record.values[0])
        else:
            return self._other_is_there(connection, record)
        row = connection.execute(statement).first()
        if row is not None and record.table == DISPATCH_TABLE and not same_dispatch(tuple(row), record):
            raise RowRefused(f"attempt {record.values[0]} is dispatched twice with different content")
        return row is not None

    def _other_is_there(self, connection: Connection, record: Record) -> bool:
        table = self._tables.get(record.table)
        if table is None or record.columns is None:
            return False
        values = dict(zip(record.columns, record.values, strict=True))
        keys = list(table.primary_key.columns)
        if any(key.name not in values for key in keys):
            return False
        statement = select(keys[0]).where(*(key == values[key.name] for key in keys))
        return connection.execute(statement).first() is not None

    # --- connection ---

    def _guarded(self, work: Callable[[Connection], T]) -> T:
        """Run on the connection; map a database that is away to SinkUnavailable."""
        try:
            return work(self._connected())
        except DBAPIError as error:
            if not is_away(error):
                raise
            self._disconnect()
            raise SinkUnavailable(without_values(error)) from error

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connection = self._engine.connect()
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
                without_busy_handler(connection)
            else:  # a commit that is acknowledged is on the disk, whatever the server's default is
                connection.exec_driver_sql(_WAIT_FOR_THE_DISK)
            connection.commit()
            if self._head is not None:
                self._reload_head(connection)
        return self._connection

    def _reload_head(self, connection: Connection) -> None:
        """After a lost connection the tables alone know whether the last commit was, and what is open.

        Locked: the server may still be at that commit, and the head as it was before is of no use.
        """
        own = self._own()
        with connection.begin():
            mine = select(writers).where(writers.c.slot == own.slot)
            row = connection.execute(mine.with_for_update()).one()
            left_open = open_of_slot(connection, own.slot, row.low_seq) if row.epoch == own.epoch else []
        if row.epoch == own.epoch:
            self._head = slots.Head(own.slot, own.epoch, row.seq, row.low_seq, bytes.fromhex(row.mac))
            self._open = {attempt_id: Open(seq, hold) for attempt_id, seq, hold in left_open}

    def _disconnect(self) -> None:
        self._known_quotes.clear()
        self._watch.begin_anew()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except SQLAlchemyError:
                log.warning("ledger_connection_not_closed")


def _died(slot: int, epoch: int) -> str:
    return f"writer {slot}.{epoch} ended before the charge"
