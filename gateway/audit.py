"""The access audit as values: who did or saw what, whose, from where, why, and how it ended. Pure.

Each event is chained to the one before it by an HMAC whose key is not in the database; SQL and
verification are in gateway/store/audit.py. Events hold identifiers, never prompt text.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Outcome = Literal["ok", "refused", "failed"]

GENESIS: Final = bytes(32)
REASON_MOST = 500
SUBJECT_MOST = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a login or `cli:user`, the roles they held at that moment, and from where."""

    name: str
    roles: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    at: datetime
    actor: Actor
    action: str
    """`area.action`, e.g. `key.create`, `session.sign_in`, `audit.export`."""
    subject: str = ""
    """Whose data, or which thing: an employee number, a department, a key's id."""
    reason: str = ""
    outcome: Outcome = "ok"
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deed:
    """Who changes something, when and why: what every changing function of the stores is handed."""

    at: datetime
    actor: Actor
    reason: str = ""

    def event(self, action: str, subject: str = "", /, **details: Any) -> AuditEvent:  # noqa: ANN401 - JSON
        return AuditEvent(self.at, self.actor, action, subject, self.reason, details=details)


class Auditor(Protocol):
    """What pages write to; `gateway.store.audit.Trail` is the real one."""

    def record(self, event: AuditEvent) -> int:
        """Append an event durably and return its number."""


def canonical(seq: int, at_us: int, fields: Mapping[str, str]) -> bytes:
    """Return the bytes that are chained: every field with its length, so that none can run into another."""
    parts = (str(seq), str(at_us), *(fields[name] for name in sorted(fields)))
    encoded = (part.encode() for part in parts)
    return b"".join(b"%d:%b" % (len(part), part) for part in encoded)


def mac(previous: bytes, row: bytes, key: bytes) -> bytes:
    return hmac.new(key, previous + row, hashlib.sha256).digest()


def details_text(details: Mapping[str, Any]) -> str:
    return orjson.dumps(
        dict(details), option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str
    ).decode()
