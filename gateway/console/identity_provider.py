"""The seam between "who are you" and "you are in": each way to prove an identity is one provider.

A provider turns what a browser sent into an account; sessions, second factor, throttling, the access audit
and the pages behind are the same for all of them. An OpenID Connect provider proves by the parameters of
its call-back instead of a password, and opens the session with the same `SignIn.admit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway import passwords
from gateway.accounts import PASSWORD_MOST, login_of
from gateway.errors import Unauthenticated
from gateway.store import accounts as store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.accounts import Account
    from gateway.sign_in import Browser, SignIn


class IdentityProvider(Protocol):
    name: str
    """What the access audit says of a sign-in: `password`, `oidc`, …"""

    def prove(self, sent: Mapping[str, str], browser: Browser, now: datetime) -> Account:
        """Return whose identity `sent` proves. Raises Unauthenticated, RateLimited."""


@dataclass(frozen=True, slots=True)
class LocalAccounts:
    """Login and password against the accounts of this database.

    Unknown login, wrong password and shut-out account take the same work and get the same words.
    """

    sign_in: SignIn
    name: str = "password"

    def prove(self, sent: Mapping[str, str], browser: Browser, now: datetime) -> Account:
        login = login_of(sent.get("login", "")[:200]) or ""
        password = sent.get("password", "")[: PASSWORD_MOST + 1]
        self.sign_in.try_once(login, browser, now)
        found = store.credentials(self.sign_in.database, login) if login else None
        stored = found.password_hash if found is not None else passwords.NOBODY
        right = passwords.matches(stored, password)
        if found is None or not right or found.account.disabled_at is not None:
            why = "disabled" if right and found is not None else "wrong_password"
            self.sign_in.refused(login, browser, now, why)
            raise Unauthenticated(
                "아이디 또는 비밀번호가 맞지 않습니다.",
                "Login or password is not right.",
                code="wrong_password",
            )
        if found.account.totp:
            self.sign_in.half_way(browser)
        else:
            self.sign_in.forgive(login, browser)
        if passwords.outdated(stored):
            store.renew_hash(self.sign_in.database, found.account.id, stored, passwords.hashed(password))
        return found.account
