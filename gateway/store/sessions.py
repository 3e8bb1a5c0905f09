"""SQL for sessions of the console and for failed attempts to sign in.

A session is found by the keyed digest of its token; the token itself is in the browser only.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import case, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from billing.periods import from_us, to_us
from billing.store import writing
from gateway.accounts import Failures, Session
from gateway.audit import Actor, AuditEvent
from gateway.store.account_tables import account, console_session, sign_in_failure
from gateway.store.accounts import ChangedMeanwhile, account_of, roles_of
from gateway.store.audit import append

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from gateway.accounts import Account, SessionRules, ThrottleRules

PROOFS = frozenset({"password", "totp", "recovery_code", "oidc"})
TOUCH_EVERY_S = 60
"""How often the time of the last click is written: a page must not cost a write."""


def open_session(
    engine: Engine, fresh: Session, digest: bytes, *, instead_of: Iterable[bytes] = (), via: str = "password"
) -> None:
    """Begin a session and end those of the digests `instead_of`: no token lives through a sign-in.

    `via` says in the trail how they proved who they are, or, of a browser that was signed in already, why
    its token was renewed. Sessions that are over are cleared away. Raises ChangedMeanwhile if the account is
    not the one any more that was proved: its password, its roles or its second factor may be others.
    """
    who, at = fresh.account, fresh.created_at
    values = {
        "id": fresh.id,
        "digest": digest,
        "account_id": who.id,
        "stage": fresh.stage,
        "created_at_us": to_us(at),
        "seen_at_us": to_us(fresh.seen_at),
        "expires_at_us": to_us(fresh.expires_at),
        "address": fresh.address,
        "user_agent": fresh.user_agent,
    }
    with writing(engine).begin() as connection:
        _still_as_proved(connection, who)
        over = console_session.c.expires_at_us < to_us(at)
        connection.execute(delete(console_session).where(over))
        connection.execute(delete(console_session).where(console_session.c.digest.in_(list(instead_of))))
        connection.execute(insert(console_session).values(**values))
        if fresh.stage == "open":
            change = update(account).where(account.c.id == who.id)
            connection.execute(change.values(signed_in_at_us=to_us(at)))
            actor = Actor(who.login, tuple(sorted(who.roles)), fresh.address)
            action = "session.sign_in" if via in PROOFS else "session.renew"
            event = AuditEvent(at, actor, action, who.person_id or who.login, details={"via": via})
            append(connection, event)


def _still_as_proved(connection: Connection, who: Account) -> None:
    """Hold the account's row, so that what changes it ends the new session too, or is seen here."""
    held = select(account).where(account.c.id == who.id).with_for_update()
    row = connection.execute(held).mappings().one()
    if row["version"] != who.version or row["disabled_at_us"] is not None:
        raise ChangedMeanwhile(account_of(row, who.roles))


def find_session(
    engine: Engine, digests: Sequence[bytes], rules: SessionRules, now: datetime
) -> Session | None:
    """Return the session of a token, whose account is not shut out, unless its time is over."""
    joined = select(console_session, account).join(account).where(console_session.c.digest.in_(digests))
    columns = [console_session.c[name].label(f"s_{name}") for name in console_session.c.keys()]  # noqa: SIM118 - a ColumnCollection
    statement = joined.with_only_columns(*columns, *account.c)
    with engine.connect() as connection:
        row = connection.execute(statement).mappings().first()
        if row is None or row["disabled_at_us"] is not None:
            return None
        roles = roles_of(connection, [row["id"]]).get(row["id"], frozenset())
    session = Session(
        id=row["s_id"],
        account=account_of(row, roles),
        stage=row["s_stage"],
        created_at=from_us(row["s_created_at_us"]),
        seen_at=from_us(row["s_seen_at_us"]),
        expires_at=from_us(row["s_expires_at_us"]),
        address=row["s_address"],
        user_agent=row["s_user_agent"],
    )
    if now >= session.expires_at or now - session.seen_at >= rules.idle:
        return None
    return session


def touch_session(engine: Engine, session_id: str, now: datetime) -> None:
    """Write down that the session was used just now."""
    statement = update(console_session).where(console_session.c.id == session_id)
    with writing(engine).begin() as connection:
        connection.execute(statement.values(seen_at_us=to_us(now)))


def list_sessions(engine: Engine, who: Account, rules: SessionRules, now: datetime) -> list[Session]:
    """Return the browsers in which an account is signed in, the last used first."""
    columns = console_session.c
    alive = (columns.expires_at_us > to_us(now)) & (columns.seen_at_us > to_us(now - rules.idle))
    statement = select(console_session).where(columns.account_id == who.id, columns.stage == "open", alive)
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(columns.seen_at_us.desc())).mappings().all()
    return [
        Session(
            row["id"],
            who,
            row["stage"],
            from_us(row["created_at_us"]),
            from_us(row["seen_at_us"]),
            from_us(row["expires_at_us"]),
            row["address"],
            row["user_agent"],
        )
        for row in rows
    ]


def end_session(engine: Engine, session: Session, *, at: datetime, actor: Actor) -> None:
    """Sign one browser out."""
    with writing(engine).begin() as connection:
        ended = connection.execute(delete(console_session).where(console_session.c.id == session.id)).rowcount
        if ended:
            who = session.account
            append(connection, AuditEvent(at, actor, "session.sign_out", who.person_id or who.login))


def end_sessions(engine: Engine, who: Account, *, at: datetime, actor: Actor, only: str | None = None) -> int:
    """Sign an account's browsers out, or the one of the id `only`; return how many there were."""
    statement = delete(console_session).where(console_session.c.account_id == who.id)
    if only is not None:
        statement = statement.where(console_session.c.id == only)
    with writing(engine).begin() as connection:
        ended = connection.execute(statement).rowcount
        details = {"sessions": ended}
        subject = who.person_id or who.login
        append(connection, AuditEvent(at, actor, "session.sign_out_all", subject, details=details))
        return ended


# --- failed attempts ----------------------------------------------------------------------------------


def take_attempt(engine: Engine, limits: Mapping[str, ThrottleRules], now: datetime) -> float:
    """Count one attempt against every subject, before it is judged; return the seconds to wait instead.

    0 means that the attempt may be made. It counts as failed until `forgive` takes it back, so that many
    attempts at once cannot outrun the counter.
    """
    with writing(engine).begin() as connection:
        known = _held(connection, limits, now)
        waits = (known.get(subject, Failures()).wait_s(rules, now) for subject, rules in limits.items())
        wait = max(waits, default=0.0)
        if wait == 0:
            for subject, rules in limits.items():
                _count(connection, subject, rules, now)
        return wait


def forgive(engine: Engine, account_subject: str, address_subject: str) -> None:
    """Forget an account's failures after it signed in, and take one back from the address."""
    table = sign_in_failure
    with writing(engine).begin() as connection:
        _failures(connection, (account_subject, address_subject))
        connection.execute(delete(table).where(table.c.subject == account_subject))
        _take_back(connection, address_subject)


def take_back(engine: Engine, subject: str) -> None:
    """Take one attempt back that was right."""
    with writing(engine).begin() as connection:
        _take_back(connection, subject)


def _take_back(connection: Connection, subject: str) -> None:
    table = sign_in_failure
    fewer = case((table.c.count > 0, table.c.count - 1), else_=0)
    connection.execute(update(table).where(table.c.subject == subject).values(count=fewer))


def forget_old(engine: Engine, now: datetime, failures_after: timedelta = timedelta(days=1)) -> None:
    """Clear away sessions that are over and failures that count no more."""
    with writing(engine).begin() as connection:
        over = console_session.c.expires_at_us < to_us(now)
        connection.execute(delete(console_session).where(over))
        old = sign_in_failure.c.last_at_us < to_us(now - failures_after)
        connection.execute(delete(sign_in_failure).where(old))


def _held(connection: Connection, subjects: Iterable[str], now: datetime) -> dict[str, Failures]:
    """Return what is known of the subjects, and hold their rows, which are made where there are none.

    PostgreSQL locks rows that are there: without them the first attempts at once would all go free.
    """
    ordered = sorted(subjects)
    empty = [{"subject": subject, "count": 0, "last_at_us": to_us(now)} for subject in ordered]
    connection.execute(_insert(connection).on_conflict_do_nothing(), empty)
    return _failures(connection, ordered)


def _failures(connection: Connection, subjects: Iterable[str]) -> dict[str, Failures]:
    """Read and lock in one order, so that no two transactions wait for each other."""
    table = sign_in_failure
    statement = select(table).where(table.c.subject.in_(list(subjects))).order_by(table.c.subject)
    rows = connection.execute(statement.with_for_update()).mappings()
    return {row["subject"]: Failures(row["count"], from_us(row["last_at_us"])) for row in rows}


def _count(connection: Connection, subject: str, rules: ThrottleRules, now: datetime) -> None:
    table = sign_in_failure
    stale = table.c.last_at_us < to_us(now) - int(rules.forget_after_s * 1_000_000)
    statement = _insert(connection).values(subject=subject, count=1, last_at_us=to_us(now))
    raised = {"count": case((stale, 1), else_=table.c.count + 1), "last_at_us": to_us(now)}
    connection.execute(statement.on_conflict_do_update(index_elements=["subject"], set_=raised))


def _insert(connection: Connection) -> postgresql.Insert | sqlite.Insert:
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return make(sign_in_failure)
