"""Names and addresses of those a budget is of, for notices. Latest versions, whatever the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from gateway.store.tables import api_key, org_unit, person

if TYPE_CHECKING:
    from sqlalchemy import Engine


def name_of(engine: Engine, scope_kind: str, scope_id: str) -> str:
    """Return the name of a unit, a person or a key; the id where there is none."""
    match scope_kind:
        case "unit":
            column, here, order = org_unit.c.name, org_unit.c.code, org_unit.c.valid_from
        case "person":
            column, here, order = person.c.name, person.c.employee_id, person.c.valid_from
        case _:
            column, here, order = api_key.c.label, api_key.c.id, api_key.c.created_at_us
    with engine.connect() as connection:
        statement = select(column).where(here == scope_id).order_by(order.desc()).limit(1)
        name = connection.execute(statement).scalar()
    return name or scope_id


def emails_of(engine: Engine, person_id: str) -> tuple[str, ...]:
    """Return a person's latest address, if there is one."""
    statement = select(person.c.email).where(person.c.employee_id == person_id)
    with engine.connect() as connection:
        email = connection.execute(statement.order_by(person.c.valid_from.desc()).limit(1)).scalar()
    return (email,) if email else ()
