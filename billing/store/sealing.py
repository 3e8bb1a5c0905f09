"""Seals in the database: made by whichever writer finds one due, read for export and verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from sqlalchemy import insert, select

from billing.seals import NOTHING_BEFORE, Seal, SealedHead, is_due, sign
from billing.tables import seals, writers

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping


def seal_if_due(connection: Connection, key: bytes, key_version: int, now_us: int) -> Seal | None:
    """Seal the heads of all chains, once an hour; inside the caller's transaction.

    Raises IntegrityError if another writer made the same seal at the same time.
    """
    last = last_seal(connection)
    if not is_due(last, now_us):
        return None
    return make_seal(connection, key, key_version, now_us, "hourly")


def make_seal(connection: Connection, key: bytes, key_version: int, now_us: int, reason: str) -> Seal | None:
    """Seal the heads of all chains; None if nothing was written since the last seal."""
    last = last_seal(connection)
    heads = _heads(connection)
    if not heads or (last is not None and heads == last.heads):
        return None
    number, previous = (1, NOTHING_BEFORE) if last is None else (last.number + 1, last.digest)
    seal = sign(Seal(number, now_us, reason, heads, previous, key_version), key)
    values = seal.as_json() | {"heads": orjson.dumps(seal.heads_as_lists()).decode()}
    connection.execute(insert(seals).values(values))
    return seal


def last_seal(connection: Connection) -> Seal | None:
    row = connection.execute(select(seals).order_by(seals.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else _seal(row)


def read_seals(connection: Connection) -> list[Seal]:
    rows = connection.execute(select(seals).order_by(seals.c.number)).mappings()
    return [_seal(row) for row in rows]


def export_seals(engine: Engine) -> list[Seal]:
    """All seals, oldest first: keep them where nobody who can write the database can write."""
    with engine.connect() as connection:
        return read_seals(connection)


def _heads(connection: Connection) -> tuple[SealedHead, ...]:
    statement = select(writers.c.slot, writers.c.seq, writers.c.mac).where(writers.c.seq > 0)
    return tuple(SealedHead(*row) for row in connection.execute(statement.order_by(writers.c.slot)))


def _seal(row: RowMapping) -> Seal:
    """A seal as the row says; a row that is no seal becomes one that no key signed."""
    content = dict(row)
    try:
        return Seal.from_json(content | {"heads": orjson.loads(content["heads"])})
    except (KeyError, TypeError, ValueError):
        return Seal(content["number"], content["sealed_at_us"], "", (), "", content["key_version"])
