"""Master secrets and the keys derived from them, one per purpose and version.

One file (mode 0600) holds the master secrets, one a line, the newest first. Nothing else in Haechi is
secret by itself: every key (for hashing API keys, for the ledger's chain, for hashes of findings) is
derived with HKDF-SHA256, so that no purpose can stand in for another. Everything that is stored with a
derived key stores the `key_id` beside it, so a new line on top of the file rotates without breaking what
the older lines made. Nothing here logs, prints or stores a secret except `new_secret_file`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SECRET_BYTES = 32
MIN_DISTINCT_BYTES = 16
"""32 random bytes hold fewer than 16 distinct values less than once in 10**14 draws; a repeated word does."""

_PLACEHOLDER = re.compile(r"change.?me|example|placeholder|password|your.?secret|[<>]", re.IGNORECASE)
"""Words of seven letters and more: a random secret holds one less than once in 10**9 draws."""
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){32,}")


class Purpose(StrEnum):
    """What a derived key is for. A value never changes: it is part of the derivation."""

    KEY_ID = "haechi/key-id"
    API_KEY_HASH = "haechi/api-key-hash"
    LEDGER_CHAIN = "haechi/ledger-chain"
    LEDGER_SEAL = "haechi/ledger-seal"
    FINDING_HASH = "haechi/finding-hash"
    CONVERSATION = "haechi/conversation"
    SESSION = "haechi/session"
    CONTENT_WRAP = "haechi/content-wrap"
    ACCOUNT_SECRET = "haechi/account-secret"  # noqa: S105 - a label
    ACCESS_AUDIT = "haechi/access-audit"
    EVIDENCE = "haechi/evidence"
    EVIDENCE_DIGEST = "haechi/evidence-digest"


class SecretError(ValueError):
    """A master secret that is missing, weak or readable by others. The message never repeats it."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


@dataclass(frozen=True, slots=True)
class DerivedKey:
    key_id: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The master secrets, newest first; never empty."""

    masters: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Keyring:
        """Build from base64url or hex texts, newest first. Raises SecretError on a weak or unreadable one."""
        masters = tuple(_strong(text) for text in texts)
        if not masters:
            raise SecretError(
                "비밀키 파일이 비어 있습니다. `haechi init`으로 새로 만드세요.",
                "The secret file is empty. Make one with `haechi init`.",
            )
        return cls(masters)

    @classmethod
    def read(cls, path: Path) -> Keyring:
        """Read a secret file. Raises SecretError if it is missing, open to others or weak."""
        _refuse_open_file(path)
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        return cls.of(line for line in lines if line and not line.startswith("#"))

    def current(self, purpose: Purpose) -> DerivedKey:
        return _derive(self.masters[0], purpose)

    def all(self, purpose: Purpose) -> tuple[DerivedKey, ...]:
        """Every version, newest first: what was hashed with an older secret is still found."""
        return tuple(_derive(master, purpose) for master in self.masters)

    def by_version(self, purpose: Purpose) -> dict[int, bytes]:
        """Every key by its number: the oldest is 1, so that a rotation renumbers none."""
        return {len(self.masters) - place: key.key for place, key in enumerate(self.all(purpose))}

    def by_id(self, purpose: Purpose, key_id: str) -> DerivedKey | None:
        return next((key for key in self.all(purpose) if key.key_id == key_id), None)


def new_secret() -> str:
    """Return a master secret of 256 bits as base64url text."""
    return base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode().rstrip("=")


def new_secret_file(path: Path) -> None:
    """Write a file with one fresh secret, mode 0600 from its first byte. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_HEADER + new_secret() + "\n")


def rotate_secret_file(path: Path) -> str:
    """Put a fresh secret above the others, atomically, and return its key id."""
    Keyring.read(path)
    secret = new_secret()
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    fresh = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines[:first], secret, *lines[first:]]) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return Keyring.of([secret]).current(Purpose.API_KEY_HASH).key_id


_HEADER = """\
# Haechi의 마스터 비밀키. 맨 위가 현재 키이고, 아래는 예전 기록을 읽기 위한 키입니다. 지우지 마세요.
# Haechi's master secrets: the first is current, those below still open what they made. Do not delete any.
# 별도로 백업하세요 / Back this file up apart from the database.
"""


def _derive(master: bytes, purpose: Purpose) -> DerivedKey:
    return DerivedKey(_hkdf(master, Purpose.KEY_ID)[:4].hex(), _hkdf(master, purpose))


def _hkdf(master: bytes, purpose: Purpose) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(master)


def _strong(text: str) -> bytes:
    if _PLACEHOLDER.search(text):
        raise SecretError(
            f"비밀키가 예시 값입니다. {_HOW_KOREAN}", f"The secret is an example value. {_HOW_ENGLISH}"
        )
    master = _decoded(text)
    if len(master) < SECRET_BYTES:
        raise SecretError(
            f"비밀키가 짧습니다({len(master) * 8}비트, 256비트 이상이어야 합니다). {_HOW_KOREAN}",
            f"The secret is short ({len(master) * 8} bits; 256 are needed). {_HOW_ENGLISH}",
        )
    if len(set(master)) < MIN_DISTINCT_BYTES or _looks_written(text):
        raise SecretError(
            f"비밀키가 무작위 값이 아닙니다. {_HOW_KOREAN}", f"The secret is not random. {_HOW_ENGLISH}"
        )
    return master


def _looks_written(text: str) -> bool:
    """Whether a base64 text is a phrase: 43 random characters hold under 3 capitals once in 10**7 draws."""
    return not _HEX.fullmatch(text) and sum(letter.isupper() for letter in text) < 3


def _decoded(text: str) -> bytes:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        standard = text.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(
            f"비밀키는 base64url 또는 16진수여야 합니다. {_HOW_KOREAN}",
            f"The secret must be base64url or hexadecimal. {_HOW_ENGLISH}",
        ) from None


def _refuse_open_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        raise SecretError(
            f"비밀키 파일을 읽을 수 없습니다: {path}. {_HOW_KOREAN}",
            f"Cannot read the secret file {path}. {_HOW_ENGLISH}",
        ) from None
    if stat.S_IMODE(mode) & 0o077 and not _mounted_secret(path):
        raise SecretError(
            f"다른 사용자가 비밀키 파일을 읽을 수 있습니다: {path}. `chmod 600 {path}`로 고치세요.",
            f"Others can read the secret file {path}. Fix it with `chmod 600 {path}`.",
        )


def _mounted_secret(path: Path) -> bool:
    """Whether an orchestrator mounted it (Docker and Kubernetes mount secrets with their own modes)."""
    return path.is_relative_to("/run/secrets") or path.is_relative_to("/var/run/secrets")


_HOW_KOREAN = "`haechi init`을 쓰거나 `openssl rand -base64 32`로 만드세요."
_HOW_ENGLISH = "Use `haechi init`, or make one with `openssl rand -base64 32`."
