"""Signing in and out of the console, whoever proves who somebody is: tokens, the two steps, throttling.

A proof (gateway.console.identity_provider) names an account; what follows is the same for all of them.
Tokens are 256 random bits; the database holds their keyed digests. No SQL here, no HTTP.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from uuid import uuid4

from gateway import one_time_codes
from gateway.accounts import PER_ACCOUNT, PER_ADDRESS, Session, SessionRules, shown_text
from gateway.audit import Actor, AuditEvent
from gateway.errors import RateLimited, SignInNeeded, Unauthenticated
from gateway.keyring import Purpose
from gateway.store import accounts as store
from gateway.store import sessions
from gateway.store.audit import Trail

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.accounts import Account
    from gateway.keyring import Keyring
    from gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a sign-in comes from, and the token it came with, which dies with it."""

    address: str
    user_agent: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A fresh token for the browser. `needs_code`: the one-time code is still to come."""

    token: str = field(repr=False)
    needs_code: bool


@dataclass(frozen=True, slots=True)
class SignIn:
    database: Database
    keyring: Keyring
    rules: SessionRules = SessionRules()  # noqa: RUF009 - frozen
    told: dict[str, datetime] = field(default_factory=dict)
    """When each address was last written down as held off."""

    # --- sessions

    def session(self, token: str, now: datetime) -> Session | None:
        """Return the open session of a token, and write down now and then that it is used."""
        found = self._find(token, now)
        if found is None or found.stage != "open":
            return None
        if (now - found.seen_at).total_seconds() >= sessions.TOUCH_EVERY_S:
            sessions.touch_session(self.database, found.id, now)
        return found

    def waiting_for_code(self, token: str, now: datetime) -> Session | None:
        """Return the session whose password was right and whose code is still to come."""
        found = self._find(token, now)
        return found if found is not None and found.stage == "code" else None

    def _find(self, token: str, now: datetime) -> Session | None:
        if not 40 <= len(token) <= 64:
            return None
        return sessions.find_session(self.database, self._digests(token), self.rules, now)

    def admit(self, who: Account, browser: Browser, now: datetime, *, via: str = "password") -> Opened:
        """Open a session for somebody who proved who they are; with a second factor, its first half.

        Raises SignInNeeded if the account was changed since they proved it.
        """
        return self._open(who, browser, now, needs_code=who.totp, via=via)

    def renew(self, who: Account, browser: Browser, now: datetime, *, via: str) -> Opened:
        """Give a browser that is signed in a fresh token, after what it may do has changed.

        `who` is the account as their own change left it: SignInNeeded if somebody else's came in between.
        """
        return self._open(who, browser, now, needs_code=False, via=via)

    def _open(self, who: Account, browser: Browser, now: datetime, *, needs_code: bool, via: str) -> Opened:
        token = secrets.token_urlsafe(32)
        fresh = Session(
            id=f"sess_{uuid4().hex[:16]}",
            account=who,
            stage="code" if needs_code else "open",
            created_at=now,
            seen_at=now,
            expires_at=now + (self.rules.code if needs_code else self.rules.absolute),
            address=shown_text(browser.address, 64),
            user_agent=shown_text(browser.user_agent, 200),
        )
        ended = self._digests(browser.token) if browser.token else ()
        try:
            sessions.open_session(self.database, fresh, self._digests(token)[0], instead_of=ended, via=via)
        except store.ChangedMeanwhile:
            raise SignInNeeded(
                "그사이 계정이 바뀌었습니다. 다시 로그인하세요.",
                "The account was changed meanwhile. Sign in again.",
                code="account_changed",
            ) from None
        return Opened(token, needs_code)

    def sign_out(self, session: Session, actor: Actor, now: datetime) -> None:
        sessions.end_session(self.database, session, at=now, actor=actor)

    # --- the second step

    def confirm(self, waiting: Session, code: str, browser: Browser, now: datetime) -> Opened:
        """Open the session if the one-time code or a recovery code is right.

        Raises Unauthenticated, RateLimited.
        """
        who = waiting.account
        self.try_once(who.login, browser, now)
        via = self._code_kind(who, code, now)
        if via is None:
            self.refused(who.login, browser, now, "wrong_code")
            raise Unauthenticated(
                "인증 번호가 맞지 않습니다. 새 번호가 나올 때까지 기다렸다가 다시 입력하세요.",
                "That code is not right. Wait for the next one and try again.",
                code="wrong_code",
            )
        self.forgive(who.login, browser)
        return self._open(who, browser, now, needs_code=False, via=via)

    def _code_kind(self, who: Account, code: str, now: datetime) -> str | None:
        """Say what kind of code it is and use it up; None for a wrong one."""
        if self.code_opens(who, code, now):
            return "totp"
        digests = [
            one_time_codes.recovery_digest(code, key.key) for key in self.keyring.all(Purpose.ACCOUNT_SECRET)
        ]
        taken = store.take_recovery_code(self.database, who.id, digests)
        return "recovery_code" if taken else None

    def code_opens(self, who: Account, code: str, now: datetime) -> bool:
        """Whether `code` is one of the moment that did not open anything before."""
        found = store.credentials(self.database, who.login)
        if found is None or found.totp_secret is None or found.totp_key_id is None:
            return False
        key = self.keyring.by_id(Purpose.ACCOUNT_SECRET, found.totp_key_id)
        secret = None if key is None else one_time_codes.unsealed(found.totp_secret, key.key, who.id)
        step = one_time_codes.opened_step(secret, code, found.totp_last_step, now) if secret else None
        return step is not None and store.take_step(self.database, who.id, step)

    # --- throttling

    def try_once(self, login: str, browser: Browser, now: datetime) -> None:
        """Count an attempt before it is judged. Raises RateLimited, the same for known and unknown logins."""
        limits = {self._subject("login", login): PER_ACCOUNT}
        limits[self._subject("address", network_of(browser.address))] = PER_ADDRESS
        wait_s = sessions.take_attempt(self.database, limits, now)
        if wait_s > 0:
            seconds = int(wait_s) + 1
            self._tell_of_throttling(login, browser, now)
            raise RateLimited(
                f"로그인 시도가 너무 많습니다. {seconds}초 뒤에 다시 시도하세요.",
                f"Too many attempts to sign in. Try again in {seconds} seconds.",
                code="sign_in_throttled",
                retry_after_s=seconds,
            )

    def forgive(self, login: str, browser: Browser) -> None:
        subjects = self._subject("login", login), self._subject("address", network_of(browser.address))
        sessions.forgive(self.database, *subjects)

    def half_way(self, browser: Browser) -> None:
        """Take one back from the address after a right password, where a code is still to come.

        The second step counts and is forgiven by itself: an office of many would be held off by right
        sign-ins. The login's own count stands until the code is right, or codes could be guessed at will.
        """
        sessions.take_back(self.database, self._subject("address", network_of(browser.address)))

    def refused(self, login: str, browser: Browser, now: datetime, why: str) -> None:
        """Write a failed attempt to the access audit.

        A login that nobody has is left out: people type their password into that field.
        """
        login = login if store.login_known(self.database, login) else ""
        actor = Actor(login or "?", (), browser.address)
        event = AuditEvent(now, actor, "session.sign_in", login, outcome="refused", details={"why": why})
        Trail(self.database).record(event)

    def _tell_of_throttling(self, login: str, browser: Browser, now: datetime) -> None:
        """Write down that attempts are held off: once a minute, so that nobody fills the trail with them."""
        told = self.told.get(browser.address)
        if told is not None and now - told < timedelta(minutes=1):
            return
        if len(self.told) > 1_000:
            self.told.clear()
        self.told[browser.address] = now
        self.refused(login, browser, now, "throttled")

    def _subject(self, kind: str, text: str) -> str:
        key = self.keyring.current(Purpose.SESSION).key
        return blake2b(f"{kind}:{text}".encode(), digest_size=16, key=key).hexdigest()

    def _digests(self, token: str) -> list[bytes]:
        """Return the digest under each version of the key, the current first."""
        keys = self.keyring.all(Purpose.SESSION)
        return [blake2b(token.encode(), digest_size=32, key=key.key).digest() for key in keys]


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the /64, of which one machine may use every address.

    A socket for both writes IPv4 as `::ffff:10.0.0.1`: of one /64, so that anybody could hold off everybody.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def session_rules(idle_minutes: int, absolute_hours: int) -> SessionRules:
    return SessionRules(timedelta(minutes=idle_minutes), timedelta(hours=absolute_hours))
