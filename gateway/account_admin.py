"""Making and mending accounts for others: what `haechi accounts`, `haechi init` and the console share.

A password is returned once, to be handed over; nothing keeps it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from gateway import passwords
from gateway.accounts import NAME_MOST, login_of, shown_text
from gateway.errors import Conflict, InvalidRequest
from gateway.permissions import Role, conflicts
from gateway.store import accounts as store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from gateway.account_imports import AccountPlan
    from gateway.accounts import Account
    from gateway.audit import Deed
    from gateway.store.database import Database

SeparatedDuties = Literal["refuse", "warn", "off"]

ROLE_NAMES: Final[dict[Role, tuple[str, str]]] = {
    Role.STAFF: ("직원", "staff"),
    Role.MANAGER: ("부서 관리자", "department manager"),
    Role.REVIEWER: ("보안 심사자", "security reviewer"),
    Role.FINANCE: ("재무 담당자", "finance"),
    Role.ADMINISTRATOR: ("관리자", "administrator"),
    Role.AUDITOR: ("감사자", "auditor"),
}


def open_account(
    database: Database, new: store.NewAccount, deed: Deed, *, separated: SeparatedDuties = "refuse"
) -> tuple[Account, str]:
    """Make an account and return it with its first password.

    Raises InvalidRequest for a login, name or roles that cannot be; Conflict where somebody has it already.
    """
    login, name = login_of(new.login), shown_text(new.name, NAME_MOST)
    if login is None:
        raise InvalidRequest(
            "아이디는 영문 소문자, 숫자, '.', '_', '-', '@'로 2~64자여야 합니다.",
            "A login is 2 to 64 of a-z, 0-9, '.', '_', '-' and '@'.",
            param="login",
        )
    _check(name, new.roles, separated)
    password = passwords.first_password()
    sound = replace(new, login=login, name=name, password_hash=passwords.hashed(password))
    try:
        return store.create_account(database, sound, deed=deed), password
    except store.LoginTaken:
        raise Conflict(
            f"'{login}' 아이디는 이미 쓰이고 있습니다.", f"The login '{login}' is taken.", param="login"
        ) from None
    except store.PersonTaken:
        raise Conflict(
            f"사번 {new.person_id}의 계정이 이미 있습니다.",
            f"{new.person_id} has an account already.",
            param="person_id",
        ) from None


@dataclass(frozen=True, slots=True)
class FirstPassword:
    """What is handed to somebody once."""

    login: str
    name: str
    person_id: str | None
    password: str = field(repr=False)


def import_accounts(
    database: Database, plan: AccountPlan, deed: Deed, hand_over: Callable[[Sequence[FirstPassword]], None]
) -> None:
    """Make and change accounts as planned, all or none.

    `hand_over` keeps the first passwords before anybody has one, so that none is lost. Raises Conflict for
    what changed since the plan, store.LastAdministrator, and what `hand_over` raises.
    """
    made = [
        FirstPassword(row.login, row.name, row.person_id, passwords.first_password()) for row in plan.added
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # argon2 takes 20 ms each, and no lock
        hashes = list(pool.map(passwords.hashed, (one.password for one in made)))
    new = [
        store.NewAccount(row.login, row.name, row.roles, row.person_id, password_hash)
        for row, password_hash in zip(plan.added, hashes, strict=True)
    ]
    if made:
        hand_over(made)
    try:
        store.import_accounts(database, new, plan.changed, deed=deed)
    except (store.LoginTaken, store.PersonTaken, store.ChangedMeanwhile) as error:
        raise Conflict(
            "그사이 다른 사람이 계정을 바꾸었습니다. 다시 가져오세요.",
            "Somebody changed accounts meanwhile. Import again.",
        ) from error


def change_account(
    database: Database,
    account_id: str,
    name: str,
    roles: Collection[Role],
    *,
    seen: int,
    deed: Deed,
    separated: SeparatedDuties = "refuse",
) -> Account:
    """Set name and roles. Raises InvalidRequest, store.NoSuchAccount, ChangedMeanwhile, LastAdministrator."""
    name = shown_text(name, NAME_MOST)
    _check(name, roles, separated)
    return store.change_account(database, account_id, seen=seen, name=name, roles=roles, deed=deed)


def give_new_password(database: Database, account_id: str, deed: Deed) -> tuple[Account, str]:
    """Give a first password again, take the second factor away and sign every browser out."""
    password = passwords.first_password()
    return store.reset_account(database, account_id, passwords.hashed(password), deed=deed), password


def _check(name: str, roles: Collection[Role], separated: SeparatedDuties) -> None:
    if not name:
        raise InvalidRequest("이름을 입력하세요.", "Enter a name.", param="name")
    if not roles:
        raise InvalidRequest("역할을 하나 이상 고르세요.", "Choose at least one role.", param="roles")
    clashes = conflicts(roles)
    if clashes and separated == "refuse":
        korean, english = said(clashes)
        raise InvalidRequest(
            f"직무 분리: 한 사람이 함께 맡을 수 없습니다({korean}).",
            f"Separated duties: one person may not hold {english}.",
            param="roles",
        )


def said(clashes: Iterable[tuple[Role, Role]]) -> tuple[str, str]:
    """Name pairs of roles in Korean and English."""
    pairs = list(clashes)
    korean = ", ".join(" + ".join(ROLE_NAMES[role][0] for role in pair) for pair in pairs)
    english = ", ".join(" + ".join(ROLE_NAMES[role][1] for role in pair) for pair in pairs)
    return korean, english
