"""An account of the console for each role, a second reviewer, all in the demo's 총무과, and budgets to show.

Accounts and budgets are made through the functions that the commands and the pages use. The passwords are
this run's own; nothing keeps them but the line that is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from billing.budgets import Budget, Every, Scope, ScopeKind
from billing.money import NANO
from billing.store import set_budget
from gateway import passwords
from gateway.audit import Actor, Deed
from gateway.permissions import Role
from gateway.store.accounts import NewAccount, create_account

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.store.database import Database

ACTOR: Final = "haechi demo"
DEPARTMENT: Final = "HJ-CM"
BUDGETS_KRW: Final[Mapping[str, int]] = {"HJ-CM": 500, "HJ": 300_000, "HJ-IS": 200}
"""Monthly, and only counted, so that no prompt of the demo is refused: some are nearly used up at its end."""

ROLES: Final[Mapping[str, frozenset[Role]]] = {
    "staff": frozenset({Role.STAFF}),
    "manager": frozenset({Role.STAFF, Role.MANAGER}),
    "reviewer": frozenset({Role.REVIEWER}),
    "reviewer2": frozenset({Role.REVIEWER}),
    "finance": frozenset({Role.FINANCE}),
    "administrator": frozenset({Role.ADMINISTRATOR}),
    "auditor": frozenset({Role.AUDITOR}),
}
"""Logins and what each may do; each login is the name of its chief role. Exceptions take two reviewers."""


@dataclass(frozen=True, slots=True)
class Login:
    login: str
    password: str
    name: str


def make_logins(
    database: Database, people: Mapping[str, tuple[str, str]], now: datetime
) -> tuple[Login, ...]:
    """Make an account for each role. `people`: (employee number, name) of those who are staff, by login."""
    password = passwords.first_password()
    digest = passwords.hashed(password)
    deed = Deed(now, Actor(ACTOR))
    made = []
    for login, roles in ROLES.items():
        person, name = people.get(login, (None, f"시연 {login}"))
        new = NewAccount(login, name, roles, person, digest, must_change=False)
        create_account(database, new, deed=deed)
        made.append(Login(login, password, name))
    return tuple(made)


def set_budgets(database: Database, now: datetime) -> None:
    """Give departments budgets that count and refuse nothing."""
    for unit, won in BUDGETS_KRW.items():
        budget = Budget(f"demo-{unit}", Scope(ScopeKind.UNIT, unit), Every.MONTH, won * NANO, hard=False)
        set_budget(database, budget, now=now, by=ACTOR, reason="시연")
