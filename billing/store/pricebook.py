"""The price book in SQL: versions, the decisions about them, the revision that running workers poll.

Versions and decisions are only inserted. A decision's serial is the one after the last that it knew of before
it looked at anything else, so of two people who decide at once the second finds it taken and is tried again:
its checks are then made against what the first one decided. haechi.toml's version is not in here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from billing.periods import day_start, from_us, to_us
from billing.pricebook import (
    FIRST,
    Draft,
    PriceConflict,
    PriceRefused,
    PriceVersion,
    VersionState,
    assembled,
    check,
)
from billing.store.engine import writing
from billing.store.pricebook_tables import price_steps, price_versions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine, RowMapping

    from billing.prices import PriceBook

TRIES: Final = 5
T = TypeVar("T")

Trail = Callable[[Connection, PriceVersion], None]
"""Writes what was done to a version down elsewhere, in the same transaction."""


@dataclass(frozen=True, slots=True)
class Doing:
    """Who does something to the book, when and why. `trail` writes it down in the same transaction."""

    by: str
    at: datetime
    reason: str = ""
    trail: Trail | None = None


# --- reading -------------------------------------------------------------------------------------


def revision(engine: Engine) -> int:
    """Return the number of decisions; 0 while nothing was decided."""
    with engine.connect() as connection:
        return _last_serial(connection)


def versions(engine: Engine) -> list[PriceVersion]:
    """Return every version that was proposed, the latest first."""
    with engine.connect() as connection:
        return _versions(connection)[::-1]


def version(engine: Engine, number: int) -> PriceVersion:
    """Raises PriceRefused where there is none of that number."""
    with engine.connect() as connection:
        return _found(connection, number)


def book_in_force(engine: Engine, base: PriceBook) -> PriceBook:
    """Return haechi.toml's book with every approved version in it."""
    with engine.connect() as connection:
        return _book(connection, base)


def book_as_of(engine: Engine, base: PriceBook, number: int) -> PriceBook:
    """Return the book with the version of that number, decided or not, and those approved before it."""
    with engine.connect() as connection:
        wanted = [] if number == FIRST else [_found(connection, number)]
        before = [one for one in _approved(connection) if one.number < number]
    return assembled(base, [*before, *wanted])


# --- changing ------------------------------------------------------------------------------------


def propose(
    engine: Engine, base: PriceBook, draft: Draft, doing: Doing, *, large_changes: bool = False
) -> PriceVersion:
    """Keep a draft as the next version, proposed. Raises PriceRefused; nothing is kept then."""

    def act(connection: Connection) -> PriceVersion:
        known = _versions(connection)
        _refuse_twice(known, draft)
        check(_book(connection, base), draft, doing.at, large_changes=large_changes)
        number = known[-1].number + 1 if known else FIRST + 1
        connection.execute(
            insert(price_versions).values(
                number=number,
                source=draft.source,
                document=draft.document,
                digest=draft.digest,
                proposed_at_us=to_us(doing.at),
                proposed_by=doing.by,
                reason=doing.reason,
            )
        )
        return _trailed(connection, number, doing)

    return _in_turn(engine, act)


def approve(engine: Engine, base: PriceBook, number: int, doing: Doing, *, four_eyes: bool) -> PriceVersion:
    """Put a version in force from its days. Raises PriceRefused, PriceConflict.

    It is checked against the book as it stands by now: another version may have come before it.
    """

    def act(connection: Connection) -> PriceVersion:
        serial = _serial_of_turn(connection, number)
        found = _proposed(connection, number)
        if four_eyes and found.proposed_by == doing.by:
            raise PriceRefused(
                f"{doing.by}이(가) 올린 단가입니다. 승인은 다른 사람이 해야 합니다([pricing] four_eyes).",
                f"{doing.by} proposed version {number}. Somebody else must approve it ([pricing] four_eyes).",
            )
        check(_book(connection, base), found.draft, doing.at, large_changes=True)
        return _decided(connection, serial, number, VersionState.APPROVED, doing)

    return _in_turn(engine, act)


def reject(engine: Engine, number: int, doing: Doing) -> PriceVersion:
    """Decide that a proposed version will not be in force. Raises PriceRefused, PriceConflict."""

    def act(connection: Connection) -> PriceVersion:
        serial = _serial_of_turn(connection, number)
        _proposed(connection, number)
        return _decided(connection, serial, number, VersionState.REJECTED, doing)

    return _in_turn(engine, act)


def withdraw(engine: Engine, number: int, doing: Doing) -> PriceVersion:
    """Take an approved version back before any of it is in force. Raises PriceRefused."""

    def act(connection: Connection) -> PriceVersion:
        serial = _serial_of_turn(connection, number)
        found = _found(connection, number)
        if found.state is not VersionState.APPROVED:
            raise _is_already(found)
        if day_start(found.draft.starts_on) <= doing.at:
            raise PriceRefused(
                f"{number}판은 {found.draft.starts_on}부터 적용되고 있어 거둘 수 없습니다."
                " 새 적용일의 단가를 올리세요.",
                f"Version {number} is in force since {found.draft.starts_on} and cannot be withdrawn."
                " Propose prices that begin later.",
            )
        return _decided(connection, serial, number, VersionState.WITHDRAWN, doing)

    return _in_turn(engine, act)


def _in_turn(engine: Engine, act: Callable[[Connection], T]) -> T:
    """Run a change; where another one took its number in between, again, with what that one left."""
    for last in (*[False] * (TRIES - 1), True):
        try:
            with writing(engine).begin() as connection:
                return act(connection)
        except IntegrityError:
            if last:
                raise
    raise AssertionError("unreachable")


def _serial_of_turn(connection: Connection, number: int) -> int:
    """Return the next serial, before anything is read that a decision rests on.

    Who decides on the same version is waited for (PostgreSQL). Who decides on another one by now takes the
    serial, and this decision is tried again.
    """
    connection.execute(
        select(price_versions.c.number).where(price_versions.c.number == number).with_for_update()
    )
    return _last_serial(connection) + 1


def _decided(
    connection: Connection, serial: int, number: int, state: VersionState, doing: Doing
) -> PriceVersion:
    connection.execute(
        insert(price_steps).values(
            serial=serial,
            version=number,
            state=str(state),
            at_us=to_us(doing.at),
            by=doing.by,
            reason=doing.reason,
        )
    )
    return _trailed(connection, number, doing)


def _trailed(connection: Connection, number: int, doing: Doing) -> PriceVersion:
    found = _found(connection, number)
    if doing.trail is not None:
        doing.trail(connection, found)
    return found


def _refuse_twice(known: list[PriceVersion], draft: Draft) -> None:
    for one in known:
        waiting = one.state in {VersionState.PROPOSED, VersionState.APPROVED}
        if waiting and one.draft.digest == draft.digest:
            raise PriceRefused(
                f"같은 내용이 {one.number}판으로 이미 있습니다({one.state}).",
                f"The same is there already as version {one.number} ({one.state}).",
            )


def _proposed(connection: Connection, number: int) -> PriceVersion:
    found = _found(connection, number)
    if found.state is not VersionState.PROPOSED:
        raise _is_already(found)
    return found


def _is_already(found: PriceVersion) -> PriceConflict:
    return PriceConflict(
        f"{found.number}판은 지금 '{found.state}' 상태입니다"
        + (f"({found.decided_by}, {found.decision or '까닭 없음'})." if found.decided_by else "."),
        f"Version {found.number} is {found.state}"
        + (f" (by {found.decided_by})." if found.decided_by else "."),
    )


# --- rows ----------------------------------------------------------------------------------------


def _last_serial(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(price_steps.c.serial), 0))).scalar_one())


def _found(connection: Connection, number: int) -> PriceVersion:
    statement = select(price_versions).where(price_versions.c.number == number)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise PriceRefused(
            f"{number}판은 없습니다. `haechi prices list`로 번호를 확인하세요.",
            f"There is no version {number}; `haechi prices list` shows the numbers.",
        )
    steps = select(price_steps).where(price_steps.c.version == number).order_by(price_steps.c.serial.desc())
    return _version(row, connection.execute(steps.limit(1)).mappings().first())


def _versions(connection: Connection) -> list[PriceVersion]:
    steps = connection.execute(select(price_steps).order_by(price_steps.c.serial)).mappings()
    last = {row["version"]: row for row in steps}
    rows = connection.execute(select(price_versions).order_by(price_versions.c.number)).mappings()
    return [_version(row, last.get(row["number"])) for row in rows]


def _approved(connection: Connection) -> list[PriceVersion]:
    return [one for one in _versions(connection) if one.state is VersionState.APPROVED]


def _book(connection: Connection, base: PriceBook) -> PriceBook:
    return assembled(base, _approved(connection))


def _version(row: RowMapping, step: RowMapping | None) -> PriceVersion:
    decided: dict[str, Any] = {}
    if step is not None:
        decided = {
            "state": VersionState(step["state"]),
            "decided_at": from_us(step["at_us"]),
            "decided_by": step["by"],
            "decision": step["reason"],
        }
    return PriceVersion(
        number=row["number"],
        draft=Draft.from_document(row["document"], row["source"]),
        proposed_at=from_us(row["proposed_at_us"]),
        proposed_by=row["proposed_by"],
        reason=row["reason"],
        **decided,
    )
