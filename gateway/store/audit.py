"""SQL of the access audit: append in the transaction of what is recorded, read, verify, prune.

`audited(engine, …)` returns the engine that carries the key; a store function then calls `append` with
the connection of its own transaction, so that nothing is done without its event and no event without its
deed. An engine without the key (a tool, a test) leaves its events in `admin_event`; the next process that
holds the key takes them into the chain (`absorb`).
Lock order: the row of access_audit_head is taken last.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from sqlalchemy import delete, func, insert, select, update

from billing.periods import from_us, to_us
from billing.store import one_moment, writing
from gateway.accounts import shown_text
from gateway.audit import (
    GENESIS,
    REASON_MOST,
    SUBJECT_MOST,
    Actor,
    AuditEvent,
    canonical,
    details_text,
    mac,
)
from gateway.keyring import Purpose
from gateway.store.account_tables import access_audit, access_audit_checkpoint, access_audit_head
from gateway.store.tables import admin_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping, Select

    from gateway.keyring import DerivedKey, Keyring

_KEY: Final = "haechi_audit_key"
CHAINED: Final = ("actor", "roles", "address", "action", "subject", "reason", "outcome", "details", "key_id")
BATCH: Final = 2_000


# --- writing ------------------------------------------------------------------------------------------


def audited(engine: Engine, keyring: Callable[[], Keyring]) -> Engine:
    """Return the engine with the key of the trail, which is read at the first event."""

    def key() -> DerivedKey:
        return keyring().current(Purpose.ACCESS_AUDIT)

    return engine.execution_options(**{_KEY: key})


def append(connection: Connection, event: AuditEvent) -> int:
    """Write an event in the caller's transaction, as its last write; return its number.

    0 where the engine carries no key: then it waits in `admin_event`.
    """
    key_of: Callable[[], DerivedKey] | None = connection.get_execution_options().get(_KEY)
    if key_of is None:
        _leave(connection, event)
        return 0
    return _chain(connection, key_of(), event)


def _chain(connection: Connection, key: DerivedKey, event: AuditEvent) -> int:
    head = connection.execute(
        update(access_audit_head)
        .values(seq=access_audit_head.c.seq + 1)
        .returning(access_audit_head.c.seq, access_audit_head.c.mac)
    ).one()
    at_us, fields = to_us(event.at), _fields(event) | {"key_id": key.key_id}
    link = mac(bytes.fromhex(head.mac), canonical(head.seq, at_us, fields), key.key).hex()
    connection.execute(insert(access_audit).values(seq=head.seq, at_us=at_us, mac=link, **fields))
    connection.execute(update(access_audit_head).values(mac=link))
    return int(head.seq)


def _fields(event: AuditEvent) -> dict[str, str]:
    return {
        "actor": shown_text(event.actor.name, 80),
        "roles": ",".join(event.actor.roles),
        "address": shown_text(event.actor.address, 64),
        "action": event.action,
        "subject": shown_text(event.subject, SUBJECT_MOST),
        "reason": shown_text(event.reason, REASON_MOST),
        "outcome": event.outcome,
        "details": details_text(event.details),
    }


def _leave(connection: Connection, event: AuditEvent) -> None:
    connection.execute(
        insert(admin_event).values(
            at_us=to_us(event.at),
            actor=event.actor.name,
            action=event.action,
            subject=event.subject,
            details=dict(event.details) | ({"reason": event.reason} if event.reason else {}),
        )
    )


def absorb(engine: Engine) -> int:
    """Take events that were left without a key into the chain, each once; return how many."""
    with writing(engine).begin() as connection:
        # The head's lock first: two processes that start together take turns.
        connection.execute(update(access_audit_head).values(seq=access_audit_head.c.seq))
        rows = connection.execute(select(admin_event).order_by(admin_event.c.id)).all()
        for row in rows:
            details = {**row.details, "recorded_at_us": row.at_us}
            event = AuditEvent(from_us(row.at_us), Actor(row.actor), row.action, row.subject, details=details)
            append(connection, event)
        if rows:
            connection.execute(delete(admin_event).where(admin_event.c.id <= rows[-1].id))
    return len(rows)


def append_if_changed(engine: Engine, event: AuditEvent) -> bool:
    """Write an event unless the last one of its action has the same details; say whether it was written.

    For what is found rather than done, such as a changed configuration: several processes find it at once.
    """
    table = access_audit
    with writing(engine).begin() as connection:
        connection.execute(update(access_audit_head).values(seq=access_audit_head.c.seq))
        last = select(table.c.details).where(table.c.action == event.action).order_by(table.c.seq.desc())
        if connection.execute(last.limit(1)).scalar() == details_text(event.details):
            return False
        append(connection, event)
        return True


@dataclass(frozen=True, slots=True)
class Trail:
    """The trail for those who record what they only read or refused, in a transaction of its own."""

    database: Engine

    def record(self, event: AuditEvent) -> int:
        """Append durably. Raises what SQLAlchemy raises: what cannot be recorded must not happen."""
        with writing(self.database).begin() as connection:
            return append(connection, event)


# --- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditRow:
    seq: int
    at: datetime
    actor: str
    roles: tuple[str, ...]
    address: str
    action: str
    subject: str
    reason: str
    outcome: str
    details: Mapping[str, Any]
    mac: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to show. Empty fields let everything through; `actor` and `subject` match whole words."""

    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    actor: str = ""
    action: str = ""
    """An action, or an area: `key` stands for `key.create`, `key.revoke`, …"""
    subject: str = ""
    outcome: str = ""


def read_audit(
    engine: Engine, wanted: AuditFilter, *, limit: int = 50, offset: int = 0, oldest_first: bool = False
) -> list[AuditRow]:
    """Return one page of events, the newest first unless told otherwise."""
    # Numbers follow time but for a moment; within days the index of times finds the page, else the number.
    by_time = wanted.since is not None or wanted.until is not None
    order = (access_audit.c.at_us, access_audit.c.seq) if by_time else (access_audit.c.seq,)
    ordered = order if oldest_first else tuple(column.desc() for column in order)
    statement = _narrowed(select(access_audit), wanted).order_by(*ordered)
    with engine.connect() as connection:
        rows = connection.execute(statement.limit(limit).offset(offset)).mappings()
        return [_audit_row(row) for row in rows]


def count_audit(engine: Engine, wanted: AuditFilter) -> int:
    with engine.connect() as connection:
        statement = _narrowed(select(func.count()).select_from(access_audit), wanted)
        return int(connection.execute(statement).scalar_one())


def audit_actions(engine: Engine) -> list[str]:
    """Return every action that occurs, for a list to choose from: one step along the index for each."""
    found = [""]
    with engine.connect() as connection:
        while (following := _following(connection, found[-1])) is not None:
            found.append(following)
    return found[1:]


def _following(connection: Connection, action: str) -> str | None:
    column = access_audit.c.action
    return connection.execute(select(func.min(column)).where(column > action)).scalar()


def export_audit(engine: Engine, wanted: AuditFilter) -> Iterator[AuditRow]:
    """Yield events in the order they happened, in batches: memory stays small, no transaction long."""
    last = 0
    while True:
        statement = _narrowed(select(access_audit), wanted).where(access_audit.c.seq > last)
        with engine.connect() as connection:
            rows = connection.execute(statement.order_by(access_audit.c.seq).limit(BATCH)).mappings().all()
        yield from map(_audit_row, rows)
        if len(rows) < BATCH:
            return
        last = rows[-1]["seq"]


def _narrowed(statement: Select[Any], wanted: AuditFilter) -> Select[Any]:
    columns = access_audit.c
    if wanted.since is not None:
        statement = statement.where(columns.at_us >= to_us(wanted.since))
    if wanted.until is not None:
        statement = statement.where(columns.at_us < to_us(wanted.until))
    if wanted.actor:
        statement = statement.where(columns.actor == wanted.actor)
    if wanted.subject:
        statement = statement.where(columns.subject == wanted.subject)
    if wanted.outcome:
        statement = statement.where(columns.outcome == wanted.outcome)
    if wanted.action and "." in wanted.action:
        return statement.where(columns.action == wanted.action)
    if wanted.action:
        return statement.where(columns.action.startswith(f"{wanted.action}.", autoescape=True))
    return statement


def _audit_row(row: RowMapping) -> AuditRow:
    values = {
        name: row[name] for name in ("actor", "address", "action", "subject", "reason", "outcome", "mac")
    }
    return AuditRow(
        seq=row["seq"],
        at=from_us(row["at_us"]),
        roles=tuple(filter(None, row["roles"].split(","))),
        details=_details(row["details"]),
        **values,
    )


def _details(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:  # somebody edited the row; verification says so
        return {"unreadable": text[:200]}
    return value if isinstance(value, dict) else {"unreadable": text[:200]}


# --- verifying ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What `verify_audit` found. `first` and `last` are the numbers that were checked, 0 for none."""

    rows: int
    first: int
    last: int
    head_mac: str
    problems: tuple[str, ...] = field(default=())


def verify_audit(engine: Engine, keyring: Keyring, *, expect: tuple[int, str] | None = None) -> AuditVerdict:
    """Check every row against the chain, from the last checkpoint (or the beginning) to the head.

    `expect` is the (number, HMAC) of a row that was noted down elsewhere: it must still be there, or what
    came after it was cut off. Without such a note a cut at the end cannot be told.
    """
    keys = {key.key_id: key.key for key in keyring.all(Purpose.ACCESS_AUDIT)}
    check = _Check(keys, expect)
    last = 0
    with one_moment(engine).connect() as connection:
        last = check.start(connection)
        while True:
            statement = select(access_audit).where(access_audit.c.seq > last).order_by(access_audit.c.seq)
            rows = connection.execute(statement.limit(BATCH)).mappings().all()
            for row in rows:
                check.row(row)
            if len(rows) < BATCH:
                break
            last = rows[-1]["seq"]
        head = connection.execute(select(access_audit_head)).mappings().first()
    check.end(head)
    return AuditVerdict(check.rows, check.first, check.seq, check.mac.hex(), tuple(check.problems))


class _Check:
    """The state of one pass over the chain."""

    def __init__(self, keys: Mapping[str, bytes], expect: tuple[int, str] | None) -> None:
        self.keys = keys
        self.expect = expect
        self.problems: list[str] = []
        self.rows = 0
        self.first = 0
        self.seq = 0
        self.mac = GENESIS

    def start(self, connection: Connection) -> int:
        """Begin behind the last checkpoint whose signature holds; return its number."""
        table = access_audit_checkpoint
        checkpoints = connection.execute(select(table).order_by(table.c.through_seq)).mappings()
        for row in checkpoints:
            key = self.keys.get(row["key_id"])
            if key is None or not hmac.compare_digest(row["signature"], _signature(row, key)):
                self.problems.append(f"checkpoint {row['through_seq']}: signature does not hold")
                continue
            self.seq, self.mac = row["through_seq"], _bytes(row["mac"])
        if self.expect is not None and self.expect[0] <= self.seq:
            self.expect = None  # it was deleted for its age, as the checkpoint says
        return self.seq

    def row(self, row: RowMapping) -> None:
        seq = row["seq"]
        if seq != self.seq + 1:
            self.problems.append(f"rows {self.seq + 1} to {seq - 1} are missing")
        elif not self._holds(row):
            self.problems.append(f"row {seq} was changed")
        if self.expect is not None and self.expect[0] == seq:
            if self.expect[1] != row["mac"]:
                self.problems.append(f"row {seq} is not the one that was noted down")
            self.expect = None
        self.first = self.first or seq
        self.rows += 1
        self.seq, self.mac = seq, _bytes(row["mac"])

    def _holds(self, row: RowMapping) -> bool:
        key = self.keys.get(row["key_id"])
        if key is None:
            return False
        expected = mac(self.mac, canonical(row["seq"], row["at_us"], {n: row[n] for n in CHAINED}), key)
        return hmac.compare_digest(expected.hex(), row["mac"])

    def end(self, head: RowMapping | None) -> None:
        if head is None or (head["seq"], head["mac"]) != (self.seq, self.mac.hex()):
            stands = "missing" if head is None else f"at {head['seq']}"
            self.problems.append(
                f"the head is {stands}, the last row is {self.seq}: rows were cut off or added"
            )
        if self.expect is not None:
            self.problems.append(f"row {self.expect[0]}, which was noted down, is missing")


def _signature(row: Mapping[str, Any] | RowMapping, key: bytes) -> str:
    text = f"checkpoint:{row['through_seq']}:{row['at_us']}:{row['mac']}:{row['key_id']}"
    return mac(b"", text.encode(), key).hex()


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b"?"


# --- pruning ------------------------------------------------------------------------------------------


def prune_audit(engine: Engine, key: DerivedKey, *, older_than: datetime, at: datetime) -> int:
    """Delete the events from before `older_than` behind a signed checkpoint; return how many.

    The newest event stays, however old: the chain goes on from it.
    """
    with writing(engine).begin() as connection:
        # The head's lock first, so that two that prune take turns.
        connection.execute(update(access_audit_head).values(seq=access_audit_head.c.seq))
        through = _last_before(connection, older_than)
        if through is None:
            return 0
        row = {
            "through_seq": through["seq"],
            "at_us": to_us(at),
            "mac": through["mac"],
            "key_id": key.key_id,
        }
        connection.execute(insert(access_audit_checkpoint).values(**row, signature=_signature(row, key.key)))
        gone = connection.execute(delete(access_audit).where(access_audit.c.seq <= through["seq"])).rowcount
        details = {"rows": gone, "through_seq": through["seq"], "older_than_us": to_us(older_than)}
        append(connection, AuditEvent(at, Actor("system"), "audit.prune", details=details))
        return gone


def _last_before(connection: Connection, older_than: datetime) -> RowMapping | None:
    """Return the last row of the run of old ones at the beginning, unless it is the newest of all."""
    table = access_audit
    first_young = select(func.min(table.c.seq)).where(table.c.at_us >= to_us(older_than)).scalar_subquery()
    newest = select(func.max(table.c.seq)).scalar_subquery()
    statement = (
        select(table.c.seq, table.c.mac)
        .where(table.c.seq < func.coalesce(first_young, newest))
        .order_by(table.c.seq.desc())
    )
    return connection.execute(statement.limit(1)).mappings().first()
