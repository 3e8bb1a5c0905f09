"""SQL for units, people and keys: reading a snapshot, importing registers, issuing and ending keys.

Every change bumps the `directory` revision in its own transaction, and first: on PostgreSQL that row's
lock lets one change in at a time. Times and actors are handed in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import delete, insert, or_, select, update

from billing.periods import from_us, to_us
from billing.store import writing
from gateway import apikeys
from gateway.audit import Actor, AuditEvent
from gateway.imports import plan_people, plan_units
from gateway.organisation import Grant, Key, Organisation, Person, Unit
from gateway.store.audit import append
from gateway.store.tables import api_key, org_unit, person, revision

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Column, Connection, Engine, RowMapping, Table

    from gateway.imports import Change, Plan, Row
    from gateway.keyring import DerivedKey

DIRECTORY = "directory"


class NoSuchKey(LookupError):
    """No key, or more than one, answers to that id or prefix."""


class KeyExists(ValueError):
    """A key of that id was issued before."""


class KeyRevoked(ValueError):
    """A revoked key is not changed any more."""


# --- reading -------------------------------------------------------------------------------------


def read_revision(engine: Engine) -> int:
    """Return the directory's revision; 0 before the first change."""
    with engine.connect() as connection:
        number = connection.execute(select(revision.c.number).where(revision.c.name == DIRECTORY)).scalar()
    return number or 0


def load_organisation(engine: Engine) -> Organisation:
    with engine.connect() as connection:
        return Organisation(
            units=tuple(units_in(connection)),
            people=tuple(people_in(connection)),
            keys=tuple(keys_in(connection)),
        )


def list_keys(engine: Engine) -> list[Key]:
    """Return every key, the newest first."""
    with engine.connect() as connection:
        return sorted(keys_in(connection), key=lambda key: key.created_at, reverse=True)


def keys_of(engine: Engine, person_id: str) -> list[Key]:
    """Return the keys of one person, the newest first."""
    statement = (
        select(api_key).where(api_key.c.person_id == person_id).order_by(api_key.c.created_at_us.desc())
    )
    with engine.connect() as connection:
        return [key_of(row) for row in connection.execute(statement).mappings()]


def unit_names(engine: Engine) -> dict[str, str]:
    """Map unit codes to their latest names, for reports."""
    with engine.connect() as connection:
        rows = connection.execute(select(org_unit.c.code, org_unit.c.name).order_by(org_unit.c.valid_from))
        return {row.code: row.name for row in rows}


def person_names(engine: Engine, ids: Collection[str] | None = None) -> dict[str, str]:
    """Map employee numbers to their latest names: of `ids` (a page of them), or of everybody, for reports."""
    statement = select(person.c.employee_id, person.c.name).order_by(person.c.valid_from)
    if ids is not None:
        statement = statement.where(person.c.employee_id.in_(ids))
    with engine.connect() as connection:
        return {row.employee_id: row.name for row in connection.execute(statement)}


# --- registers -----------------------------------------------------------------------------------


def import_units(
    engine: Engine,
    rows: Sequence[Row[Unit]],
    *,
    at: datetime,
    actor: Actor | str,
    absent_end: date | None = None,
) -> Plan[Unit]:
    """Bring the units in line with `rows`, all or nothing. Raises imports.ImportFailed."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        plan = plan_units(units_in(connection), rows, absent_end=absent_end)
        replace_versions(connection, org_unit, org_unit.c.code, plan.changes)
        record(connection, at, actor, "departments.import", "", _summary(plan))
    return plan


def import_people(
    engine: Engine,
    rows: Sequence[Row[Person]],
    *,
    at: datetime,
    actor: Actor | str,
    absent_end: date | None = None,
) -> Plan[Person]:
    """Bring the people in line with `rows`, all or nothing. Raises imports.ImportFailed."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        plan = plan_people(people_in(connection), rows, units_in(connection), absent_end=absent_end)
        replace_versions(connection, person, person.c.employee_id, plan.changes)
        record(connection, at, actor, "people.import", "", _summary(plan))
    return plan


def replace_versions(
    connection: Connection, table: Table, id_column: Column[str], changes: Sequence[Change[Any]]
) -> None:
    if not changes:
        return
    for start in range(0, len(changes), 500):  # SQLite takes a bounded number of parameters
        ids = [change.id for change in changes[start : start + 500]]
        connection.execute(delete(table).where(id_column.in_(ids)))
    names = [column.name for column in table.columns]
    rows = [{n: getattr(v, n) for n in names} for change in changes for v in change.after]
    connection.execute(insert(table), rows)


def _summary(plan: Plan[Any]) -> dict[str, int]:
    return {kind: plan.count(kind) for kind in ("added", "changed", "ended")} | {"unchanged": plan.unchanged}


# --- keys ----------------------------------------------------------------------------------------


def create_key(
    engine: Engine,
    hash_key: DerivedKey,
    grant: Grant,
    *,
    at: datetime,
    actor: Actor | str,
    key_id: str | None = None,
) -> tuple[Key, str]:
    """Issue a key; return it and its secret, which is shown once and kept nowhere.

    `key_id` makes a form that is sent twice harmless: the second time raises KeyExists.
    """
    minted = apikeys.mint()
    key = Key(
        id=key_id or f"key_{uuid4().hex[:16]}",
        prefix=minted.prefix,
        digest=apikeys.digest(minted.secret, hash_key.key),
        hash_key_id=hash_key.key_id,
        created_at=at,
        grant=grant,
    )
    with writing(engine).begin() as connection:
        bump_revision(connection)
        if connection.execute(select(api_key.c.id).where(api_key.c.id == key.id)).first() is not None:
            raise KeyExists(key.id)
        connection.execute(insert(api_key).values(**key_row(key)))
        owner = {"person_id": grant.person_id, "service": grant.service}
        record(connection, at, actor, "key.create", key.id, owner)
    return key, minted.secret


def create_keys(
    engine: Engine, hash_key: DerivedKey, grants: Sequence[Grant], *, at: datetime, actor: Actor | str
) -> list[Key]:
    """Issue many keys at once whose secrets nobody is told: for made-up institutions."""
    keys = []
    for grant in grants:
        minted = apikeys.mint()
        digest = apikeys.digest(minted.secret, hash_key.key)
        keys.append(Key(f"key_{uuid4().hex[:16]}", minted.prefix, digest, hash_key.key_id, at, grant))
    with writing(engine).begin() as connection:
        bump_revision(connection)
        connection.execute(insert(api_key), [key_row(key) for key in keys])
        record(connection, at, actor, "key.create_many", "", {"keys": len(keys)})
    return keys


def revoke_key(
    engine: Engine, id_or_prefix: str, *, at: datetime, actor: Actor | str, reason: str = ""
) -> Key:
    """Revoke the one key of that id or shown prefix; revoking twice changes nothing. Raises NoSuchKey."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        key = _one_key(connection, id_or_prefix)
        if key.revoked_at is None:
            change = update(api_key).where(api_key.c.id == key.id).values(revoked_at_us=to_us(at))
            connection.execute(change)
            record(connection, at, actor, "key.revoke", key.id, {}, reason=reason)
    return key


def rename_key(engine: Engine, key_id: str, label: str, *, at: datetime, actor: Actor | str) -> None:
    """Give a key another label. Raises NoSuchKey."""
    with writing(engine).begin() as connection:
        bump_revision(connection)
        change = update(api_key).where(api_key.c.id == key_id).values(label=label)
        if connection.execute(change).rowcount == 0:
            raise NoSuchKey(key_id)
        record(connection, at, actor, "key.rename", key_id, {"label": label})


def limit_key(
    engine: Engine,
    id_or_prefix: str,
    *,
    requests_per_min: int | None = None,
    tokens_per_min: int | None = None,
    at: datetime,
    actor: Actor | str,
    reason: str = "",
) -> tuple[Key, Key]:
    """Give the one key of that id or shown prefix other limits a minute; return it before and after.

    None leaves a limit as it is, 0 takes it away. What changes nothing leaves no event. Raises NoSuchKey,
    KeyRevoked.
    """
    given = {"requests_per_min": requests_per_min, "tokens_per_min": tokens_per_min}
    with writing(engine).begin() as connection:
        bump_revision(connection)
        key = _one_key(connection, id_or_prefix)
        if key.revoked_at is not None:
            raise KeyRevoked(key.id)
        before = {name: getattr(key.grant, name) for name in given}
        after = before | {name: limit for name, limit in given.items() if limit is not None}
        if after != before:
            connection.execute(update(api_key).where(api_key.c.id == key.id).values(**after))
            record(
                connection, at, actor, "key.limit", key.id, {"before": before, "after": after}, reason=reason
            )
    return key, replace(key, grant=replace(key.grant, **after))


def find_one_key(engine: Engine, id_or_prefix: str) -> Key:
    """Return the one key of that id or shown prefix. Raises NoSuchKey."""
    with engine.connect() as connection:
        return _one_key(connection, id_or_prefix)


def _one_key(connection: Connection, id_or_prefix: str) -> Key:
    wanted = select(api_key).where(or_(api_key.c.id == id_or_prefix, api_key.c.prefix == id_or_prefix))
    found = connection.execute(wanted).mappings().all()
    if len(found) != 1:
        raise NoSuchKey(id_or_prefix)
    return key_of(found[0])


def bump_revision(connection: Connection) -> None:
    """Move the directory's revision; must be the first statement: its row lock orders the changes."""
    moved = connection.execute(
        update(revision).where(revision.c.name == DIRECTORY).values(number=revision.c.number + 1)
    )
    if moved.rowcount == 0:
        connection.execute(insert(revision).values(name=DIRECTORY, number=1))


# --- rows <-> values -----------------------------------------------------------------------------


def units_in(connection: Connection) -> list[Unit]:
    return [Unit(**row) for row in connection.execute(select(org_unit)).mappings()]


def people_in(connection: Connection) -> list[Person]:
    return [Person(**row) for row in connection.execute(select(person)).mappings()]


def keys_in(connection: Connection) -> list[Key]:
    return [key_of(row) for row in connection.execute(select(api_key)).mappings()]


def key_of(row: RowMapping) -> Key:
    models, expires, revoked = row["allowed_models"], row["expires_at_us"], row["revoked_at_us"]
    return Key(
        id=row["id"],
        prefix=row["prefix"],
        digest=bytes(row["digest"]),
        hash_key_id=row["hash_key_id"],
        created_at=from_us(row["created_at_us"]),
        revoked_at=None if revoked is None else from_us(revoked),
        grant=Grant(
            label=row["label"],
            person_id=row["person_id"],
            service=row["service"],
            unit_code=row["unit_code"],
            allowed_models=None if models is None else frozenset(models),
            trusted=row["trusted"],
            requests_per_min=row["requests_per_min"],
            tokens_per_min=row["tokens_per_min"],
            expires_at=None if expires is None else from_us(expires),
        ),
    )


def key_row(key: Key) -> dict[str, Any]:
    grant = key.grant
    return {
        "id": key.id,
        "prefix": key.prefix,
        "digest": key.digest,
        "hash_key_id": key.hash_key_id,
        "label": grant.label,
        "person_id": grant.person_id,
        "service": grant.service,
        "unit_code": grant.unit_code,
        "allowed_models": None if grant.allowed_models is None else sorted(grant.allowed_models),
        "trusted": grant.trusted,
        "requests_per_min": grant.requests_per_min,
        "tokens_per_min": grant.tokens_per_min,
        "created_at_us": to_us(key.created_at),
        "expires_at_us": None if grant.expires_at is None else to_us(grant.expires_at),
        "revoked_at_us": None if key.revoked_at is None else to_us(key.revoked_at),
    }


def record(
    connection: Connection,
    at: datetime,
    actor: Actor | str,
    action: str,
    subject: str,
    details: Mapping[str, Any],
    *,
    reason: str = "",
) -> None:
    """Leave an event of the trail in the transaction of what it tells of, as its last statement."""
    who = actor if isinstance(actor, Actor) else Actor(actor)
    append(connection, AuditEvent(at, who, action, subject, reason, details=details))
