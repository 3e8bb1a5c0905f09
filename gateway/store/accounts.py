"""SQL for accounts of the console: make, find, change, and what proves who somebody is.

Every change raises the account's version and writes its event to the access audit in the same transaction.
Sessions are in gateway/store/sessions.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from billing.periods import from_us, to_us
from billing.store import writing
from gateway.accounts import Account
from gateway.permissions import Role
from gateway.store.account_tables import account, account_role, console_session, recovery_code
from gateway.store.audit import append

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection, Engine, RowMapping, Select

    from gateway.audit import Deed


class NoSuchAccount(LookupError):
    """No account answers to that id or login."""


class LoginTaken(ValueError):
    """Another account has that login."""


class PersonTaken(ValueError):
    """That person has an account already."""


class LastAdministrator(ValueError):
    """The change would leave nobody who can administer."""


class ChangedMeanwhile(Exception):
    """Somebody else saved in between; `now` is the account as it stands."""

    def __init__(self, now: Account) -> None:
        super().__init__(now.id)
        self.now = now


@dataclass(frozen=True, slots=True)
class NewAccount:
    login: str
    name: str
    roles: frozenset[Role]
    person_id: str | None = None
    password_hash: str = field(default="", repr=False)
    must_change: bool = True


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What an account shall be; `before` is how it stood for whoever wants that."""

    before: Account
    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is checked against."""

    account: Account
    password_hash: str = field(repr=False)
    totp_secret: bytes | None = field(default=None, repr=False)
    totp_key_id: str | None = None
    totp_last_step: int | None = None


# --- reading ------------------------------------------------------------------------------------------


def find_account(engine: Engine, account_id: str) -> Account | None:
    with engine.connect() as connection:
        return _one(connection, account_id)


def login_known(engine: Engine, login: str) -> bool:
    with engine.connect() as connection:
        return connection.execute(select(account.c.id).where(account.c.login == login)).first() is not None


def find_login(engine: Engine, login: str) -> Account | None:
    with engine.connect() as connection:
        found = connection.execute(select(account.c.id).where(account.c.login == login)).scalar()
        return None if found is None else _one(connection, found)


def credentials(engine: Engine, login: str) -> Credentials | None:
    """Return what the sign-in of `login` is checked against; None for an unknown login."""
    with engine.connect() as connection:
        row = connection.execute(select(account).where(account.c.login == login)).mappings().first()
        if row is None:
            return None
        secret = row["totp_secret"]
        return Credentials(
            account=account_of(row, roles_of(connection, [row["id"]]).get(row["id"], frozenset())),
            password_hash=row["password_hash"],
            totp_secret=None if secret is None else bytes(secret),
            totp_key_id=row["totp_key_id"],
            totp_last_step=row["totp_last_step"],
        )


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """`search` is looked for in login, name and employee number."""

    search: str = ""
    role: Role | None = None
    disabled: bool | None = None


def list_accounts(
    engine: Engine, wanted: AccountFilter, *, order: str = "login", limit: int = 50, offset: int = 0
) -> list[Account]:
    """Return accounts; `order` is login, name or signed_in, with a hyphen in front for descending."""
    column = {"login": account.c.login, "name": account.c.name, "signed_in": account.c.signed_in_at_us}[
        order.removeprefix("-")
    ]
    ordered = column.desc() if order.startswith("-") else column.asc()
    statement = _narrowed(select(account), wanted).order_by(ordered.nulls_last(), account.c.id)
    with engine.connect() as connection:
        rows = connection.execute(statement.limit(limit).offset(offset)).mappings().all()
        roles = roles_of(connection, [row["id"] for row in rows])
        return [account_of(row, roles.get(row["id"], frozenset())) for row in rows]


def count_accounts(engine: Engine, wanted: AccountFilter) -> int:
    with engine.connect() as connection:
        statement = _narrowed(select(func.count()).select_from(account), wanted)
        return int(connection.execute(statement).scalar_one())


def _narrowed(statement: Select[Any], wanted: AccountFilter) -> Select[Any]:
    if wanted.search:
        columns = (account.c.login, account.c.name, account.c.person_id)
        statement = statement.where(or_(*(c.icontains(wanted.search, autoescape=True) for c in columns)))
    if wanted.role is not None:
        held = (account_role.c.account_id == account.c.id) & (account_role.c.role == wanted.role)
        statement = statement.where(exists().where(held))
    if wanted.disabled is not None:
        ended = account.c.disabled_at_us
        statement = statement.where(ended.is_not(None) if wanted.disabled else ended.is_(None))
    return statement


# --- changing -----------------------------------------------------------------------------------------


def create_account(engine: Engine, new: NewAccount, *, deed: Deed) -> Account:
    """Make an account. Raises LoginTaken or PersonTaken."""
    try:
        with writing(engine).begin() as connection:
            return _existing(connection, _create(connection, new, deed))
    except IntegrityError:  # PostgreSQL: somebody else made it in the same moment
        with engine.connect() as connection:
            _refuse_twins(connection, new)
        raise


def import_accounts(
    engine: Engine, new: Sequence[NewAccount], changes: Sequence[AccountChange], *, deed: Deed
) -> None:
    """Make and change accounts, all or none; each leaves its event.

    Raises LoginTaken, PersonTaken, ChangedMeanwhile, LastAdministrator.
    """
    with writing(engine).begin() as connection:
        for one in new:
            _create(connection, one, deed)
        for change in changes:
            _change(connection, change.before, change.before.version, change.name, change.roles, deed)
        for change in changes:  # once all are changed: one administrator may follow another
            _refuse_without_administrator(connection, change.before)


def _create(connection: Connection, new: NewAccount, deed: Deed) -> str:
    account_id = f"acct_{uuid4().hex[:16]}"
    _refuse_twins(connection, new)
    values = {
        "id": account_id,
        "login": new.login,
        "name": new.name,
        "person_id": new.person_id,
        "version": 1,
        "password_hash": new.password_hash,
        "must_change": new.must_change,
        "password_at_us": to_us(deed.at),
        "created_at_us": to_us(deed.at),
    }
    connection.execute(insert(account).values(**values))
    _grant(connection, account_id, new.roles)
    details = {"login": new.login, "roles": sorted(new.roles)}
    append(connection, deed.event("account.create", new.person_id or new.login, **details))
    return account_id


def _refuse_twins(connection: Connection, new: NewAccount) -> None:
    if connection.execute(select(account.c.id).where(account.c.login == new.login)).first():
        raise LoginTaken(new.login)
    same = select(account.c.id).where(account.c.person_id == new.person_id)
    if new.person_id is not None and connection.execute(same).first():
        raise PersonTaken(new.person_id)


def change_account(
    engine: Engine,
    account_id: str,
    *,
    seen: int,
    name: str,
    roles: Collection[Role],
    deed: Deed,
) -> Account:
    """Set name and roles. A role more ends the account's sessions: new power is signed in for anew.

    Saving again what stands already changes nothing, whatever version was `seen`: a double submit is
    harmless. Raises NoSuchAccount, ChangedMeanwhile, LastAdministrator.
    """
    with writing(engine).begin() as connection:
        before = _existing(connection, account_id)
        if (before.name, before.roles) == (name, frozenset(roles)):
            return before
        _change(connection, before, seen, name, frozenset(roles), deed)
        if before.roles != frozenset(roles):
            _refuse_without_administrator(connection, before)
        return _existing(connection, account_id)


def _change(
    connection: Connection, before: Account, seen: int, name: str, roles: frozenset[Role], deed: Deed
) -> None:
    _move(connection, before, seen, {"name": name})
    if before.roles != roles:
        connection.execute(delete(account_role).where(account_role.c.account_id == before.id))
        _grant(connection, before.id, roles)
        if not roles <= before.roles:
            _end_sessions(connection, before.id)
    details = {
        "before": {"name": before.name, "roles": sorted(before.roles)},
        "after": {"name": name, "roles": sorted(roles)},
    }
    append(connection, deed.event("role.change", _subject(before), **details))


def disable_account(engine: Engine, account_id: str, *, seen: int | None, deed: Deed) -> Account:
    """Shut an account out, and its browsers with it. Raises as `change_account` does."""
    with writing(engine).begin() as connection:
        before = _existing(connection, account_id)
        if before.disabled_at is not None:
            return before
        _move(connection, before, seen, {"disabled_at_us": to_us(deed.at)})
        _end_sessions(connection, account_id)
        append(connection, deed.event("account.disable", _subject(before)))
        _refuse_without_administrator(connection, before)
        return _existing(connection, account_id)


def enable_account(engine: Engine, account_id: str, *, seen: int | None, deed: Deed) -> Account:
    with writing(engine).begin() as connection:
        before = _existing(connection, account_id)
        if before.disabled_at is None:
            return before
        _move(connection, before, seen, {"disabled_at_us": None})
        append(connection, deed.event("account.enable", _subject(before)))
        return _existing(connection, account_id)


def reset_account(engine: Engine, account_id: str, password_hash: str, *, deed: Deed) -> Account:
    """Give a first password again and take the second factor away: for whoever lost both."""
    with writing(engine).begin() as connection:
        before = _existing(connection, account_id)
        values = {"password_hash": password_hash, "must_change": True, "password_at_us": to_us(deed.at)}
        _move(connection, before, None, values | _NO_TOTP)
        connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
        _end_sessions(connection, account_id)
        append(connection, deed.event("account.reset", _subject(before)))
        return _existing(connection, account_id)


_NO_TOTP = {"totp_secret": None, "totp_key_id": None, "totp_last_step": None}


def set_password(
    engine: Engine, account_id: str, password_hash: str, *, deed: Deed, keep_session: str = ""
) -> None:
    """Take a password that its owner chose; every other browser of theirs is signed out."""
    with writing(engine).begin() as connection:
        before = _existing(connection, account_id)
        values = {"password_hash": password_hash, "must_change": False, "password_at_us": to_us(deed.at)}
        _move(connection, before, None, values)
        _end_sessions(connection, account_id, but=keep_session)
        append(connection, deed.event("account.password", _subject(before)))


def renew_hash(engine: Engine, account_id: str, old_hash: str, new_hash: str) -> None:
    """Replace the hash of the same password by a stronger one."""
    unchanged = (account.c.id == account_id) & (account.c.password_hash == old_hash)
    with writing(engine).begin() as connection:
        connection.execute(update(account).where(unchanged).values(password_hash=new_hash))


def set_language(engine: Engine, account_id: str, language: str | None) -> None:
    with writing(engine).begin() as connection:
        connection.execute(update(account).where(account.c.id == account_id).values(language=language))


# --- second factor ------------------------------------------------------------------------------------


def set_totp(
    engine: Engine,
    account_id: str,
    box: bytes,
    key_id: str,
    recovery: Iterable[bytes],
    *,
    step: int,
    deed: Deed,
) -> None:
    """Switch the second factor on. `step` is that of the code that proved it, which opens nothing again."""
    with writing(engine).begin() as connection:
        before = _existing(connection, account_id)
        _move(connection, before, None, {"totp_secret": box, "totp_key_id": key_id, "totp_last_step": step})
        connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
        rows = [{"account_id": account_id, "digest": digest} for digest in recovery]
        connection.execute(insert(recovery_code), rows)
        append(connection, deed.event("account.totp_on", _subject(before)))


def clear_totp(engine: Engine, account_id: str, *, deed: Deed) -> None:
    with writing(engine).begin() as connection:
        before = _existing(connection, account_id)
        _move(connection, before, None, _NO_TOTP)
        connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
        append(connection, deed.event("account.totp_off", _subject(before)))


def take_step(engine: Engine, account_id: str, step: int) -> bool:
    """Mark a time step as used; False if it, or a later one, was used already: a code opens once."""
    fresh = or_(account.c.totp_last_step.is_(None), account.c.totp_last_step < step)
    statement = update(account).where(account.c.id == account_id, fresh).values(totp_last_step=step)
    with writing(engine).begin() as connection:
        return connection.execute(statement).rowcount == 1


def take_recovery_code(engine: Engine, account_id: str, digests: Iterable[bytes]) -> bool:
    """Use a recovery code up; False if none of its digests (one per key version) is there."""
    fits = (recovery_code.c.account_id == account_id) & recovery_code.c.digest.in_(list(digests))
    with writing(engine).begin() as connection:
        return connection.execute(delete(recovery_code).where(fits)).rowcount == 1


def count_recovery_codes(engine: Engine, account_id: str) -> int:
    statement = select(func.count()).where(recovery_code.c.account_id == account_id)
    with engine.connect() as connection:
        return connection.execute(statement).scalar_one()


# --- steps --------------------------------------------------------------------------------------------


def _move(connection: Connection, before: Account, seen: int | None, values: dict[str, Any]) -> None:
    """Change the row of the version that was seen; `seen` None takes whatever stands."""
    version = before.version if seen is None else seen
    statement = update(account).where(account.c.id == before.id, account.c.version == version)
    if connection.execute(statement.values(version=version + 1, **values)).rowcount != 1:
        raise ChangedMeanwhile(before)


def _refuse_without_administrator(connection: Connection, before: Account) -> None:
    """Refuse the change of `before`, made already in this transaction, if nobody is left.

    Its event is appended already, too: the head of the audit lets one after the other count.
    """
    if Role.ADMINISTRATOR not in before.roles:
        return
    left = (
        select(func.count())
        .select_from(account.join(account_role))
        .where(account_role.c.role == Role.ADMINISTRATOR, account.c.disabled_at_us.is_(None))
    )
    if connection.execute(left).scalar_one() == 0:
        raise LastAdministrator(before.login)


def _grant(connection: Connection, account_id: str, roles: Collection[Role]) -> None:
    if roles:
        rows = [{"account_id": account_id, "role": str(role)} for role in sorted(roles)]
        connection.execute(insert(account_role), rows)


def _end_sessions(connection: Connection, account_id: str, but: str = "") -> None:
    ended = (console_session.c.account_id == account_id) & (console_session.c.id != but)
    connection.execute(delete(console_session).where(ended))


def _subject(found: Account) -> str:
    return found.person_id or found.login


# --- rows -> values -----------------------------------------------------------------------------------


def _existing(connection: Connection, account_id: str) -> Account:
    found = _one(connection, account_id)
    if found is None:
        raise NoSuchAccount(account_id)
    return found


def _one(connection: Connection, account_id: str) -> Account | None:
    row = connection.execute(select(account).where(account.c.id == account_id)).mappings().first()
    if row is None:
        return None
    return account_of(row, roles_of(connection, [account_id]).get(account_id, frozenset()))


def roles_of(connection: Connection, ids: Sequence[str]) -> dict[str, frozenset[Role]]:
    statement = select(account_role.c.account_id, account_role.c.role)
    found: dict[str, set[Role]] = {}
    for row in connection.execute(statement.where(account_role.c.account_id.in_(ids))):
        if row.role in _KNOWN_ROLES:  # a role that a newer version knows gives nothing here
            found.setdefault(row.account_id, set()).add(Role(row.role))
    return {account_id: frozenset(roles) for account_id, roles in found.items()}


_KNOWN_ROLES = frozenset(map(str, Role))


def account_of(row: RowMapping, roles: frozenset[Role]) -> Account:
    disabled, signed_in = row["disabled_at_us"], row["signed_in_at_us"]
    return Account(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        person_id=row["person_id"],
        roles=roles,
        version=row["version"],
        must_change=row["must_change"],
        totp=row["totp_secret"] is not None,
        disabled_at=None if disabled is None else from_us(disabled),
        language=row["language"],
        signed_in_at=None if signed_in is None else from_us(signed_in),
    )
