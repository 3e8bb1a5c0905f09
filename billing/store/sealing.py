"""Seals in the database: made by whichever writer finds one due, read for export and verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from sqlalchemy import insert, select

from billing.periods import month_bounds, to_us
from billing.seals import (
    MONTH_CLOSE,
    NOTHING_BEFORE,
    Seal,
    SealedHead,
    is_due,
    month_seal,
    reason_of,
    sign,
)
from billing.store.engine import writing
from billing.tables import seals, writers

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping


def seal_if_due(connection: Connection, key: bytes, key_version: int, now_us: int) -> Seal | None:
    """Seal the heads of all chains, once an hour and so at every month's end; in the caller's transaction.

    Raises IntegrityError if another writer made the same seal at the same time.
    """
    last = last_seal(connection)
    if not is_due(last, now_us):
        return None
    return make_seal(connection, key, key_version, now_us, reason_of(last, now_us))


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


def seal_month(engine: Engine, key: bytes, key_version: int, month: str, now: datetime) -> Seal:
    """Seal a month whose books are closed; call it when its last correction is written.

    Return the seal that stands for the month: a new one, or the last if nothing was written since.
    Raises ValueError for a month that is not over, LookupError where nothing was ever written.
    """
    if now < month_bounds(month)[1]:
        raise ValueError(f"{month}은(는) 아직 끝나지 않았습니다 / {month} is not over")
    with writing(engine).begin() as connection:
        made = make_seal(connection, key, key_version, to_us(now), f"{MONTH_CLOSE} {month}")
        seal = made or last_seal(connection)
    if seal is None:
        raise LookupError("장부가 비어 있습니다 / the ledger is empty")
    return seal


def root_of_month(engine: Engine, month: str) -> Seal | None:
    """Return the seal whose root stands for a month; None while none was made since its end."""
    with engine.connect() as connection:
        return month_seal(read_seals(connection), month)


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
