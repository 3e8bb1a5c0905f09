"""SQL behind the administration pages: people and keys by the page, one unit, one person at a time.

Lists are filtered, sorted and cut by the database, so that 50,000 people cost what fifty do. A change says
which history it was made from (`seen`, see organisation.version_of) and is refused with Stale if another
administrator was faster; it is checked by the same rules as an import (gateway/imports.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import and_, exists, func, or_, select

from billing.periods import to_us
from billing.store import writing
from gateway.imports import Change, ImportFailed, Mistake, Row, ended, plan_people, plan_units
from gateway.organisation import Person, Unit, version_of
from gateway.store.organisation import (
    bump_revision,
    key_of,
    people_in,
    record,
    replace_versions,
    units_in,
)
from gateway.store.tables import api_key, org_unit, person

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Select

    from gateway.audit import Deed
    from gateway.imports import Plan
    from gateway.organisation import Key

V = TypeVar("V", Unit, Person)


class Stale(Exception):
    """The history is not the one that the change was made from; `now` is what it is."""

    def __init__(self, now: Sequence[Unit | Person]) -> None:
        super().__init__("changed by somebody else")
        self.now = tuple(now)


@dataclass(frozen=True, slots=True)
class PeopleQuery:
    """`units`: codes whose members count; None: all. `state`: active, coming or left on `day`."""

    day: date
    text: str = ""
    units: tuple[str, ...] | None = None
    state: str = "active"
    sort: str = "name"
    descending: bool = False
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """`state`: active, expired, revoked, or empty for all; `kind`: person, service or empty."""

    now: datetime
    text: str = ""
    state: str = "active"
    kind: str = ""
    sort: str = "created"
    descending: bool = True
    offset: int = 0
    limit: int = 50


# --- lists ---------------------------------------------------------------------------------------


_PEOPLE_SORTS: Final = {
    "name": person.c.name,
    "id": person.c.employee_id,
    "email": person.c.email,
    "unit": person.c.unit_code,
    "since": person.c.valid_from,
}
_KEY_SORTS: Final = {
    "label": api_key.c.label,
    "owner": func.coalesce(api_key.c.person_id, api_key.c.service),
    "created": api_key.c.created_at_us,
    "expires": api_key.c.expires_at_us,
}


def find_people(engine: Engine, query: PeopleQuery) -> tuple[list[Person], int]:
    """Return one page of people, each by the version that the state is about, and how many there are."""
    conditions = [*_standing(query.state, query.day), *_people_conditions(query)]
    sort = _PEOPLE_SORTS[query.sort]
    order = [sort.desc() if query.descending else sort, person.c.employee_id]
    with engine.connect() as connection:
        rows, total = _page(connection, select(person), conditions, order, query.offset, query.limit)
    return [Person(**row) for row in rows], total


def find_keys(engine: Engine, query: KeyQuery) -> tuple[list[Key], int]:
    """Return one page of keys, and how many there are."""
    sort = _KEY_SORTS[query.sort]
    order = [sort.desc() if query.descending else sort, api_key.c.id]
    conditions = _key_conditions(query)
    with engine.connect() as connection:
        rows, total = _page(connection, select(api_key), conditions, order, query.offset, query.limit)
    return [key_of(row) for row in rows], total


def _page(
    connection: Connection,
    statement: Select[Any],
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
    offset: int,
    limit: int,
) -> tuple[Sequence[Any], int]:
    table = statement.get_final_froms()[0]
    count = select(func.count()).select_from(table).where(*conditions)
    total = connection.execute(count).scalar_one()
    page = statement.where(*conditions).order_by(*order).offset(offset).limit(limit)
    return connection.execute(page).mappings().all(), total


def _standing(state: str, day: date) -> list[ColumnElement[bool]]:
    """Choose one version of everybody in that state."""
    other = person.alias("other")
    same = other.c.employee_id == person.c.employee_id
    lasts = or_(other.c.valid_to.is_(None), other.c.valid_to > day)
    match state:
        case "left":
            later = exists().where(same, or_(lasts, other.c.valid_from > person.c.valid_from))
            return [person.c.valid_to <= day, ~later]
        case "coming":
            earlier = exists().where(same, lasts, other.c.valid_from < person.c.valid_from)
            return [person.c.valid_from > day, ~earlier]
        case _:
            in_force = or_(person.c.valid_to.is_(None), person.c.valid_to > day)
            return [person.c.valid_from <= day, in_force]


def _people_conditions(query: PeopleQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.text:
        conditions.append(
            or_(
                person.c.name.icontains(query.text, autoescape=True),
                person.c.email.icontains(query.text, autoescape=True),
                person.c.employee_id.istartswith(query.text, autoescape=True),
            )
        )
    if query.units is not None:
        conditions.append(person.c.unit_code.in_(query.units))
    return conditions


def _key_conditions(query: KeyQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    expired = api_key.c.expires_at_us <= to_us(query.now)
    match query.state:
        case "active":
            lasts = or_(api_key.c.expires_at_us.is_(None), ~expired)
            conditions += [api_key.c.revoked_at_us.is_(None), lasts]
        case "expired":
            conditions += [api_key.c.revoked_at_us.is_(None), expired]
        case "revoked":
            conditions.append(api_key.c.revoked_at_us.is_not(None))
        case _:
            pass
    if query.kind:
        owner = api_key.c.person_id if query.kind == "person" else api_key.c.service
        conditions.append(owner.is_not(None))
    if query.text:
        named = person.c.name.icontains(query.text, autoescape=True)
        columns = (api_key.c.label, api_key.c.person_id, api_key.c.service)
        conditions.append(
            or_(
                *(column.icontains(query.text, autoescape=True) for column in columns),
                api_key.c.prefix.startswith(query.text, autoescape=True),
                api_key.c.id == query.text,
                api_key.c.person_id.in_(select(person.c.employee_id).where(named)),
            )
        )
    return conditions


# --- one at a time -------------------------------------------------------------------------------


def all_units(engine: Engine) -> tuple[Unit, ...]:
    """Return every version of every unit: some hundreds, for a tree."""
    with engine.connect() as connection:
        return tuple(units_in(connection))


def heads(engine: Engine, day: date) -> dict[str, int]:
    """Return how many people sit directly in each unit on a day."""
    statement = (
        select(person.c.unit_code, func.count()).where(*_standing("active", day)).group_by(person.c.unit_code)
    )
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(statement)}


def person_history(engine: Engine, employee_id: str) -> tuple[Person, ...]:
    """Return the versions of one person, the oldest first; none for one who never was."""
    with engine.connect() as connection:
        return _history(connection, employee_id)


def unit_history(engine: Engine, code: str) -> tuple[Unit, ...]:
    """Return the versions of one unit, the oldest first; none for one that never was."""
    statement = select(org_unit).where(org_unit.c.code == code).order_by(org_unit.c.valid_from)
    with engine.connect() as connection:
        return tuple(Unit(**row) for row in connection.execute(statement).mappings())


def find_key(engine: Engine, key_id: str) -> Key | None:
    with engine.connect() as connection:
        row = connection.execute(select(api_key).where(api_key.c.id == key_id)).mappings().first()
    return None if row is None else key_of(row)


def _history(connection: Connection, employee_id: str) -> tuple[Person, ...]:
    statement = select(person).where(person.c.employee_id == employee_id).order_by(person.c.valid_from)
    return tuple(Person(**row) for row in connection.execute(statement).mappings())


# --- changes -------------------------------------------------------------------------------------


def put_unit(engine: Engine, unit: Unit, seen: str, deed: Deed) -> Plan[Unit]:
    """Let a unit look like this from `valid_from` on. Raises Stale, imports.ImportFailed."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        known = units_in(connection)
        before = _unchanged(known, unit.code, seen)
        plan = plan_units(known, [Row(0, unit)])
        replace_versions(connection, org_unit, org_unit.c.code, plan.changes)
        action = "department.change" if before else "department.create"
        details = {"name": unit.name, "parent": unit.parent_code, "from": unit.valid_from.isoformat()}
        _tell(connection, deed, action, unit.code, details)
    return plan


def close_unit(engine: Engine, code: str, day: date, seen: str, deed: Deed) -> None:
    """End a unit on `day`. Raises Stale, and ImportFailed while units or people are still in it."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        known = units_in(connection)
        before = _unchanged(known, code, seen)
        _refuse_occupied(connection, known, code, day)
        after = ended(before, day)
        if after == before:
            raise ImportFailed([_too_early("부서", "unit")])
        replace_versions(connection, org_unit, org_unit.c.code, [Change(code, before, after)])
        _tell(connection, deed, "department.close", code, {"from": day.isoformat()})


def put_person(engine: Engine, value: Person, seen: str, deed: Deed) -> Plan[Person]:
    """Let a person look like this from `valid_from` on. Raises Stale, imports.ImportFailed."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        before = _history(connection, value.employee_id)
        _refuse_stale(before, seen)
        plan = plan_people(_neighbours(connection, value), [Row(0, value)], units_in(connection))
        replace_versions(connection, person, person.c.employee_id, plan.changes)
        action = "person.change" if before else "person.create"
        details = {"unit": value.unit_code, "from": value.valid_from.isoformat()}
        _tell(connection, deed, action, value.employee_id, details)
    return plan


def end_person(engine: Engine, employee_id: str, day: date, seen: str, deed: Deed) -> None:
    """Let a person leave on `day`; their keys stop with it. Raises Stale, ImportFailed."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        before = _history(connection, employee_id)
        _refuse_stale(before, seen)
        after = ended(before, day)
        if after == before:
            raise ImportFailed([_too_early("직원", "person")])
        change = Change(employee_id, before, after)
        replace_versions(connection, person, person.c.employee_id, [change])
        _tell(connection, deed, "person.leave", employee_id, {"from": day.isoformat()})


# --- an import, looked at before it is done --------------------------------------------------------


def preview_people(engine: Engine, rows: Sequence[Row[Person]], absent_end: date | None) -> Plan[Person]:
    """Plan an import of people and change nothing. Raises imports.ImportFailed."""
    with engine.connect() as connection:
        return plan_people(people_in(connection), rows, units_in(connection), absent_end=absent_end)


def plan_version(plan: Plan[Any]) -> str:
    """Name what a plan would change, from what to what."""
    return version_of([v for change in plan.changes for v in (*change.before, *change.after)])


def apply_people(
    engine: Engine, rows: Sequence[Row[Person]], seen: str, deed: Deed, *, absent_end: date | None
) -> Plan[Person]:
    """Do an import exactly as it was previewed. Raises Stale, if it would do something else by now."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        plan = plan_people(people_in(connection), rows, units_in(connection), absent_end=absent_end)
        if plan_version(plan) != seen:
            raise Stale(())
        replace_versions(connection, person, person.c.employee_id, plan.changes)
        counts = {kind: plan.count(kind) for kind in ("added", "changed", "ended")}
        _tell(connection, deed, "people.import", "", counts | {"unchanged": plan.unchanged})
    return plan


# --- what the changes share ------------------------------------------------------------------------


def _tell(connection: Connection, deed: Deed, action: str, subject: str, details: Mapping[str, Any]) -> None:
    record(connection, deed.at, deed.actor, action, subject, details, reason=deed.reason)


def _unchanged(known: Sequence[Unit], code: str, seen: str) -> tuple[Unit, ...]:
    """Return the versions of a unit. Raises Stale if they are not those that were seen."""
    versions = (unit for unit in known if unit.code == code)
    before = tuple(sorted(versions, key=lambda unit: unit.valid_from))
    _refuse_stale(before, seen)
    return before


def _refuse_stale(before: tuple[V, ...], seen: str) -> None:
    if version_of(before) != seen:
        raise Stale(before)


def _neighbours(connection: Connection, value: Person) -> list[Person]:
    """Return the versions that an import of one person can touch: their own, and those of their address."""
    same = or_(
        person.c.employee_id == value.employee_id, func.lower(person.c.email) == value.email.casefold()
    )
    return [Person(**row) for row in connection.execute(select(person).where(same)).mappings()]


def _refuse_occupied(connection: Connection, known: Sequence[Unit], code: str, day: date) -> None:
    children = sorted(
        {
            unit.name
            for unit in known
            if unit.parent_code == code and (unit.valid_to is None or unit.valid_to > day)
        }
    )
    stays = or_(person.c.valid_to.is_(None), person.c.valid_to > day)
    members = connection.execute(
        select(func.count(func.distinct(person.c.employee_id))).where(and_(person.c.unit_code == code, stays))
    ).scalar_one()
    mistakes = []
    if children:
        names = ", ".join(children[:5])
        mistakes.append(
            Mistake(
                0,
                f"그날 이후에도 아래 부서 {len(children)}개가 남습니다({names}). 먼저 옮기거나 닫으세요.",
                f"{len(children)} units below it last longer ({names}). Move or close them first.",
            )
        )
    if members:
        mistakes.append(
            Mistake(
                0,
                f"그날 이후에도 직원 {members:,}명이 남습니다. 먼저 다른 부서로 옮기세요.",
                f"{members:,} people stay in it longer. Move them to another unit first.",
            )
        )
    if mistakes:
        raise ImportFailed(mistakes)


def _too_early(korean: str, english: str) -> Mistake:
    return Mistake(
        0,
        f"{korean}의 시작일보다 늦은 날을 고르세요.",
        f"Choose a day after the first day of this {english}.",
    )
