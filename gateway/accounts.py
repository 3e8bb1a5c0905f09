"""Accounts of the console as values, and the rules they keep: names, passwords, throttling. Pure.

Hashing is in gateway/passwords.py, one-time codes in gateway/one_time_codes.py, SQL in
gateway/store/accounts.py.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from gateway.permissions import Role

Language = Literal["ko", "en"]

LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
NAME_MOST = 80
PASSWORD_MOST = 128
"""Characters; longer ones would only make hashing slow."""


@dataclass(frozen=True, slots=True)
class Account:
    """One person's way into the console. `person_id` is their employee number, if they are staff."""

    id: str
    login: str
    name: str
    person_id: str | None
    roles: frozenset[Role]
    version: int
    """Raised by every change; whoever saves names the version that they saw."""
    must_change: bool = False
    totp: bool = False
    disabled_at: datetime | None = None
    language: Language | None = None
    signed_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in. `stage` code: the one-time code is still to come."""

    id: str
    account: Account
    stage: Literal["code", "open"]
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long a browser stays signed in without a click, and at most."""

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=10)
    code: timedelta = timedelta(minutes=5)
    """For typing the one-time code."""


def login_of(text: str) -> str | None:
    """Return the login id that `text` means, or None if it cannot be one."""
    login = unicodedata.normalize("NFKC", text).strip().lower()
    return login if LOGIN.fullmatch(login) else None


_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_JOINER: Final = "\u200d"
"""Joins emoji; what stays of it in other places is harmless."""


def shown_text(text: str, most: int) -> str:
    """Return `text` as one line that cannot disguise itself, at most `most` characters.

    Controls and direction overrides go (Unicode TR #36, "bidirectional text spoofing"); everything that can
    be seen stays as it is: escaping is the business of whoever prints.
    """
    composed = unicodedata.normalize("NFC", text[: most * 8])
    seen = (" " if c.isspace() else c for c in composed)
    kept = "".join(c for c in seen if c == _JOINER or unicodedata.category(c) not in _INVISIBLE)
    return " ".join(kept.split())[:most].strip()


# --- passwords ------------------------------------------------------------------------------------------

PasswordProblem = Literal["short", "long", "login", "common", "repeated", "same"]

_CLASSES: Final = (str.islower, str.isupper, str.isdigit)
_COMMON: Final = (
    "password", "qwerty", "asdf", "zxcv", "1q2w3e", "letmein", "welcome", "iloveyou", "admin", "haechi",
    "seoul", "korea", "abc123", "123456", "234567", "987654", "dkssud", "qlalfqjsgh", "rhksflwk", "tjdnf",
)  # fmt: skip
"""Stems of what is guessed first, Korean words typed on an English keyboard among them."""


def password_problem(password: str, login: str, previous_same: bool = False) -> PasswordProblem | None:  # noqa: FBT001, FBT002 - the answer of a hash comparison
    """Return what is wrong with a password; None if it may be used.

    Length by kinds of characters as the KISA guide has it (패스워드 선택 및 이용 안내서): two kinds need
    ten characters, three need nine; one kind alone is a passphrase of sixteen.
    """
    folded = password.casefold()
    if len(password) > PASSWORD_MOST:
        return "long"
    if len(password) < _least_length(password):
        return "short"
    name = login.partition("@")[0]
    if len(name) > 2 and name in folded:
        return "login"
    if len(set(folded)) < 5:
        return "repeated"
    if any(stem in folded and len(folded) - len(stem) < 6 for stem in _COMMON):
        return "common"
    return "same" if previous_same else None


def _least_length(password: str) -> int:
    kinds = sum(any(map(kind, password)) for kind in _CLASSES)
    kinds += any(not c.isalnum() or not c.isascii() for c in password)
    return {3: 9, 4: 9, 2: 10}.get(kinds, 16)


# --- throttling -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThrottleRules:
    """How many failures go free, and how the wait after each further one grows."""

    free: int = 5
    first_wait_s: float = 5.0
    longest_wait_s: float = 900.0
    forget_after_s: float = 3600.0


PER_ACCOUNT: Final = ThrottleRules()
PER_ADDRESS: Final = ThrottleRules(free=30, first_wait_s=2.0)
"""An office leaves through one address, so it has more tries than one account."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed attempts of one account or from one address."""

    count: int = 0
    last_at: datetime | None = None

    def wait_s(self, rules: ThrottleRules, now: datetime) -> float:
        """Return how many seconds to wait from `now` on; 0 if a try is free."""
        if self.last_at is None or self.count < rules.free:
            return 0.0
        doubled = rules.first_wait_s * 2.0 ** min(self.count - rules.free, 30)
        until = self.last_at + timedelta(seconds=min(doubled, rules.longest_wait_s))
        return max((until - now).total_seconds(), 0.0)

    def after_one_more(self, rules: ThrottleRules, now: datetime) -> Failures:
        stale = self.last_at is not None and (now - self.last_at).total_seconds() > rules.forget_after_s
        return Failures(1 if stale else self.count + 1, now)
