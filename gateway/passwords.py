"""Passwords: argon2id hashes and first passwords, shown once. The rules are in gateway/accounts.py."""

from __future__ import annotations

import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane."""

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"
_DIGITS: Final = "23456789"
"""Without what is mistaken for another when read aloud or from paper."""

NOBODY: Final = _HASHER.hash(secrets.token_hex(16))
"""What an unknown login is compared with, so that it takes as long as a known one."""


def hashed(password: str) -> str:
    return _HASHER.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """Whether the password belongs to the hash; takes tens of milliseconds either way."""
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def outdated(password_hash: str) -> bool:
    """Whether the hash was made with weaker settings and should be made anew at the next sign-in."""
    return _HASHER.check_needs_rehash(password_hash)


def first_password() -> str:
    """Return a password to hand over once: four groups, 90 bits, fit for every rule but one.

    A short login may stand in it by chance ("kim" in one of five thousand): drawn, not guessable.
    """
    letters = [secrets.choice(_LETTERS + _DIGITS) for _ in range(14)]
    letters += [secrets.choice(_DIGITS), secrets.choice(_LETTERS[:24])]
    text = "".join(letters)
    return "-".join(text[place : place + 4] for place in range(0, 16, 4))
