"""The shape of a key `hk-…`: how it is made, told from a typo, and hashed. Pure but for `mint`'s randomness.

    hk-  43 characters base62 (256 bits)  6 characters base62 (CRC-32 of what stands before)

The checksum is no protection; it tells a mistyped key from an unknown one, and lets a secret scanner
recognise a real key in a text. Keys are stored only as keyed BLAKE2b-256.
"""

from __future__ import annotations

import re
import secrets
import zlib
from dataclasses import dataclass, field
from hashlib import blake2b

PREFIX = "hk-"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY, _CHECK = 43, 6
_SHAPE = re.compile(rf"hk-[0-9A-Za-z]{{{_BODY + _CHECK}}}")
SHOWN = len(PREFIX) + 6
"""Characters of a key that lists and logs may show; 256 - 36 bits stay unknown."""


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A fresh key. `secret` is shown once and kept nowhere."""

    secret: str = field(repr=False)
    prefix: str


def mint() -> MintedKey:
    number = secrets.randbits(256)
    body = PREFIX + _base62(number, _BODY)
    secret = body + _checksum(body)
    return MintedKey(secret, secret[:SHOWN])


def well_formed(secret: str) -> bool:
    """Whether the shape and the checksum are right; says nothing about whether the key is known."""
    return bool(_SHAPE.fullmatch(secret)) and _checksum(secret[:-_CHECK]) == secret[-_CHECK:]


def digest(secret: str, hash_key: bytes) -> bytes:
    """Return the 32 bytes under which a key is stored."""
    return blake2b(secret.encode(), digest_size=32, key=hash_key).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
