"""What budgets have reached, in SQL: how they stand, what was said of them, and who is told.

A notice is a row that is never changed; the unique index over budget, period and occasion lets one of
several workers write it. Its deliveries are written in the same transaction: what is noted is sent,
by whichever process comes to it (billing.store.outbox).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from billing.budgets import Scope
from billing.periods import billing_month, from_us, to_us
from billing.store.accounts import account_of, read_budgets
from billing.store.billed_budgets import as_billed
from billing.store.budget_admin import BudgetChange
from billing.store.engine import writing
from billing.tables import budget_accounts, budget_notices, budget_watches, notice_deliveries
from billing.thresholds import Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from billing.budgets import AccountKey, Measure
    from billing.store.budget_admin import Trail


class Address(NamedTuple):
    """`channel` is `email` (target: an address) or `webhook` (target: its name in haechi.toml)."""

    channel: str
    target: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing said of a budget in a period. `document` is what is sent, figures and names only."""

    id: str
    budget_id: str
    period: str
    occasion: str
    noted_at: datetime
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of a scope's budgets and when; None takes what haechi.toml says."""

    emails: tuple[str, ...] = ()
    thresholds: tuple[int, ...] | None = None
    forecast: bool | None = None


def standings(
    engine: Engine, now: datetime, refused: Collection[tuple[AccountKey, Measure]] = ()
) -> list[Standing]:
    """Return the budgets in force in the periods `now` lies in, but those of which nothing was spent yet."""
    month = billing_month(now)
    with engine.connect() as connection:
        in_force = read_budgets(connection)
        rows = connection.execute(select(budget_accounts)).mappings()
        stored = (as_billed(connection, account_of(dict(row))) for row in rows)
        accounts = {account.key: account for account in stored}
    found = []
    for budget in in_force:
        key = budget.account_key(month)
        account = accounts.get(key)
        if account is None:
            continue
        found.append(
            Standing(
                budget_id=budget.id,
                scope=budget.scope,
                every=budget.every,
                period=key.period,
                measure=budget.measure,
                hard=budget.hard,
                limit=budget.limit_in(key.period),
                spent=account.spent.of(budget.measure),
                refused=budget.hard and (key, budget.measure) in refused,
            )
        )
    return found


def said(engine: Engine, standing: Iterable[Standing]) -> dict[tuple[str, str], set[str]]:
    """Return the occasions that were noted, by budget and period."""
    ours = {(one.budget_id, one.period) for one in standing}
    found: dict[tuple[str, str], set[str]] = {key: set() for key in ours}
    statement = select(budget_notices.c.budget_id, budget_notices.c.period, budget_notices.c.occasion)
    ids = sorted({budget_id for budget_id, _ in ours})
    with engine.connect() as connection:
        for start in range(0, len(ids), 500):
            some = statement.where(budget_notices.c.budget_id.in_(ids[start : start + 500]))
            for budget_id, period, occasion in connection.execute(some):
                if (budget_id, period) in found:
                    found[budget_id, period].add(occasion)
    return found


def note(engine: Engine, notice: Notice, addresses: Collection[Address]) -> bool:
    """Write a notice and its deliveries, due at once; False if another worker has noted the same."""
    try:
        with writing(engine).begin() as connection:
            connection.execute(insert(budget_notices).values(_row(notice)))
            rows = [_delivery(notice, address) for address in dict.fromkeys(addresses)]
            if rows:
                connection.execute(insert(notice_deliveries), rows)
    except IntegrityError:
        return False
    return True


def read_notices(engine: Engine, limit: int = 100) -> list[Notice]:
    """Return the latest notices, the newest first."""
    statement = select(budget_notices).order_by(budget_notices.c.noted_at_us.desc(), budget_notices.c.id)
    with engine.connect() as connection:
        return [notice_of(dict(row)) for row in connection.execute(statement.limit(limit)).mappings()]


def notice_of(row: Mapping[str, Any]) -> Notice:
    """Return a notice from a row that holds the columns of `budget_notice`."""
    return Notice(
        row["id"],
        row["budget_id"],
        row["period"],
        row["occasion"],
        from_us(row["noted_at_us"]),
        orjson.loads(row["document"]),
    )


# --- who is told ---------------------------------------------------------------------------------


def read_watches(engine: Engine) -> dict[Scope, Watch]:
    with engine.connect() as connection:
        return dict(_watches(connection))


def set_watch(
    engine: Engine,
    scope: Scope,
    watch: Watch | None,
    *,
    now: datetime,
    by: str,
    reason: str,
    trail: Trail | None = None,
) -> None:
    """Say who is told of a scope's budgets; None: haechi.toml alone says so again."""

    def setting(connection: Connection) -> None:
        before = dict(_watches(connection)).get(scope)
        here = (budget_watches.c.scope_kind == scope.kind, budget_watches.c.scope_id == scope.id)
        connection.execute(budget_watches.delete().where(*here))
        if watch is not None:
            row = {"scope_kind": scope.kind, "scope_id": scope.id, **_watch_row(watch)}
            made = {"changed_at_us": to_us(now), "changed_by": by, "reason": reason}
            connection.execute(insert(budget_watches).values(row | made))
        if trail is not None:
            stood, stands = (None if one is None else described(one) for one in (before, watch))
            subject = ":".join(scope)
            trail(
                connection,
                BudgetChange("budget.watch", subject, stood or {}, stands or {}, now, by, reason),
            )

    try:
        with writing(engine).begin() as connection:
            setting(connection)
    except IntegrityError:  # PostgreSQL: somebody else said it first in the same moment
        with writing(engine).begin() as connection:
            setting(connection)


def described(watch: Watch) -> dict[str, Any]:
    """Return a watch as a trail and a list show it."""
    return {
        "emails": list(watch.emails),
        "thresholds": None if watch.thresholds is None else list(watch.thresholds),
        "forecast": watch.forecast,
    }


# --- rows ----------------------------------------------------------------------------------------


def _watches(connection: Connection) -> Iterable[tuple[Scope, Watch]]:
    for row in connection.execute(select(budget_watches)):
        thresholds = None if row.thresholds is None else tuple(orjson.loads(row.thresholds))
        forecast = None if row.forecast is None else bool(row.forecast)
        yield (
            Scope(row.scope_kind, row.scope_id),
            Watch(tuple(orjson.loads(row.emails)), thresholds, forecast),
        )


def _watch_row(watch: Watch) -> dict[str, Any]:
    return {
        "emails": orjson.dumps(watch.emails).decode(),
        "thresholds": None if watch.thresholds is None else orjson.dumps(watch.thresholds).decode(),
        "forecast": None if watch.forecast is None else int(watch.forecast),
    }


def _row(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "budget_id": notice.budget_id,
        "period": notice.period,
        "occasion": notice.occasion,
        "noted_at_us": to_us(notice.noted_at),
        "document": orjson.dumps(notice.document).decode(),
    }


def _delivery(notice: Notice, address: Address) -> dict[str, Any]:
    return {
        "notice_id": notice.id,
        "channel": address.channel,
        "target": address.target,
        "tries": 0,
        "next_try_us": to_us(notice.noted_at),
    }
