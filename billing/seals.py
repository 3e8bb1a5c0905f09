"""Seals: what the heads of all chains were at an instant, signed so that anybody can check it. Pure.

A chain of HMACs shows changes to those who hold the key, but not that its end was cut off together
with the record of its head. A seal that left the database does: it names every slot's last row, and
a ledger that no longer holds these rows was set back. Nothing is claimed about rows written after
the last seal that was exported.

The first seal after the end of a Korean month names that month; closing its books seals once more.

Signed with Ed25519 under a key derived from the ledger's; the public key may be published.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from billing.periods import billing_month, from_us, month_bounds, to_us

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY_US: Final = 3_600_000_000
"""An hour, by the clock: a seal for each in which something was written."""

HOURLY: Final = "hourly"
MONTH_END: Final = "month_end"
"""`month_end 2026-11`: everything that was written when November was over."""
MONTH_CLOSE: Final = "month_close"
"""`month_close 2026-11`: everything that November's invoices were made from."""

NOTHING_BEFORE: Final = "0" * 64


class SealedHead(NamedTuple):
    """The last row of a slot's chain when it was sealed; `mac` is hex."""

    slot: int
    seq: int
    mac: str


@dataclass(frozen=True, slots=True)
class Seal:
    """`previous` is the digest of the seal before; `signature` covers everything else."""

    number: int
    sealed_at_us: int
    reason: str
    heads: tuple[SealedHead, ...]
    previous: str
    key_version: int
    signature: str = ""

    @property
    def root(self) -> str:
        """Merkle root over the heads: the one line to print on an invoice or publish."""
        return merkle_root([f"{head.slot}:{head.seq}:{head.mac}".encode() for head in self.heads])

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content() + self.signature.encode()).hexdigest()

    def content(self) -> bytes:
        """Return the bytes that are signed."""
        values = [1, self.number, self.sealed_at_us, self.reason, self.heads_as_lists(), self.root]
        return json.dumps([*values, self.previous, self.key_version], separators=(",", ":")).encode()

    def heads_as_lists(self) -> list[list[int | str]]:
        return [[head.slot, head.seq, head.mac] for head in self.heads]

    def as_json(self) -> dict[str, Any]:
        """Return the seal as it is exported."""
        return {
            "number": self.number,
            "sealed_at_us": self.sealed_at_us,
            "reason": self.reason,
            "heads": self.heads_as_lists(),
            "root": self.root,
            "previous": self.previous,
            "key_version": self.key_version,
            "signature": self.signature,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Seal:
        """Read an exported seal. Raises KeyError, TypeError or ValueError for anything else."""
        heads = tuple(SealedHead(int(slot), int(seq), str(mac)) for slot, seq, mac in content["heads"])
        return cls(
            number=int(content["number"]),
            sealed_at_us=int(content["sealed_at_us"]),
            reason=str(content["reason"]),
            heads=heads,
            previous=str(content["previous"]),
            key_version=int(content["key_version"]),
            signature=str(content["signature"]),
        )


def sign(seal: Seal, ledger_key: bytes) -> Seal:
    """Return the seal with its signature."""
    signature = _private_key(ledger_key).sign(seal.content()).hex()
    return replace(seal, signature=signature)


def public_key(ledger_key: bytes) -> bytes:
    """32 bytes with which anybody can check seals."""
    return _private_key(ledger_key).public_key().public_bytes_raw()


def holds(seal: Seal, public: bytes) -> bool:
    """Whether the signature is of this content."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(seal.signature), seal.content())
    except (InvalidSignature, ValueError):
        return False
    return True


def is_due(last: Seal | None, now_us: int) -> bool:
    """Whether an hour of the clock has begun since the last seal. A clock set back seals nothing."""
    return last is None or now_us // EVERY_US > last.sealed_at_us // EVERY_US


def reason_of(last: Seal | None, now_us: int) -> str:
    """Return why a seal that is due is made: the first one of a month seals the month before it."""
    month = billing_month(from_us(now_us))
    before = month if last is None else billing_month(from_us(last.sealed_at_us))
    return f"{MONTH_END} {month_before(month)}" if before < month else HOURLY


def month_before(month: str) -> str:
    start, _ = month_bounds(month)
    return billing_month(start - timedelta(days=1))


def month_seal(seals: Sequence[Seal], month: str) -> Seal | None:
    """Return the seal that stands for a month: its last close, else the first one after its end."""
    closes = [seal for seal in seals if seal.reason == f"{MONTH_CLOSE} {month}"]
    if closes:
        return closes[-1]
    end_us = to_us(month_bounds(month)[1])
    return next((seal for seal in seals if seal.sealed_at_us >= end_us), None)


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Root of a binary hash tree, RFC 6962 section 2.1: leaves and nodes are hashed apart."""
    return _root(leaves).hex()


def _root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def _private_key(ledger_key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(ledger_key, b"haechi ledger seal", "sha256"))
