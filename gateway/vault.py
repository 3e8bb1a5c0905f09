"""What is stored of prompts, sealed: one data key a record, wrapped by the versioned key-encryption key.

The only place that encrypts content. A `Cipher` is the seam: `[review] cipher = "package.module:name"` puts
a validated module (KCMVP: ARIA, SEED, LEA) in the place of ours, which is AES-256-GCM by the `cryptography`
package and is NOT validated. What was sealed says by which cipher, so that a change of it leaves older
records readable as long as both are there.

Destroying a record's wrapped key makes its content unreadable for good, whoever holds the master secret.
"""

from __future__ import annotations

import base64
import importlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.keyring import Purpose

if TYPE_CHECKING:
    from gateway.keyring import Keyring


class VaultError(Exception):
    """What was sealed cannot be opened: its key is gone, or somebody changed it. Holds no content."""


class Cipher(Protocol):
    """Authenticated encryption of short and long messages under keys of 256 bits."""

    name: str
    """Written beside what it sealed: letters and digits."""

    def new_key(self) -> bytes:
        """Return a fresh random key."""

    def encrypt(self, key: bytes, plain: bytes, bound_to: bytes) -> bytes:
        """Return everything that `decrypt` needs but the key; authentic together with `bound_to`."""

    def decrypt(self, key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
        """Raises ValueError for what was not made by `encrypt` with this key and `bound_to`."""


class AesGcm:
    """AES-256-GCM with random nonces of 96 bits (NIST SP 800-38D): a data key seals one message only.

    The key-encryption key wraps one data key a record; 8.2.2 of that document bounds it to 2**32 of them.
    """

    name: str = "A256GCM"
    _NONCE: Final = 12

    def new_key(self) -> bytes:
        return AESGCM.generate_key(bit_length=256)

    def encrypt(self, key: bytes, plain: bytes, bound_to: bytes) -> bytes:
        nonce = os.urandom(self._NONCE)
        return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)

    def decrypt(self, key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
        try:
            return AESGCM(key).decrypt(sealed[: self._NONCE], sealed[self._NONCE :], bound_to)
        except InvalidTag:
            raise ValueError("not authentic") from None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record as it is stored; text, because the journal carries JSON."""

    key_id: str
    """Of the key-encryption key."""
    wrapped_key: str = field(repr=False)
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Vault:
    keyring: Keyring
    cipher: Cipher = field(default_factory=AesGcm)

    def seal(self, plain: bytes, record: str) -> Sealed:
        """Seal what belongs to `record`; nothing else opens it, not even under the same keys."""
        wrapping = self.keyring.current(Purpose.CONTENT_WRAP)
        data_key = self.cipher.new_key()
        return Sealed(
            wrapping.key_id,
            self._written(self.cipher.encrypt(wrapping.key, data_key, _bound("key", record))),
            self._written(self.cipher.encrypt(data_key, plain, _bound("content", record))),
        )

    def open(self, sealed: Sealed, record: str) -> bytes:
        """Return what was sealed. Raises VaultError."""
        wrapping = self.keyring.by_id(Purpose.CONTENT_WRAP, sealed.key_id)
        if wrapping is None:
            raise VaultError(f"the master secret of key {sealed.key_id} is not in the secret file")
        try:
            data_key = self._decrypted(wrapping.key, sealed.wrapped_key, _bound("key", record))
            return self._decrypted(data_key, sealed.content, _bound("content", record))
        except ValueError:
            raise VaultError("the sealed content is not what was stored") from None

    def _written(self, sealed: bytes) -> str:
        return f"{self.cipher.name}.{base64.b64encode(sealed).decode()}"

    def _decrypted(self, key: bytes, written: str, bound_to: bytes) -> bytes:
        name, _, text = written.partition(".")
        cipher = self.cipher if name == self.cipher.name else AesGcm()
        if name != cipher.name:
            raise VaultError(f"sealed by the cipher {name[:40]!r}, which is not configured")
        sealed = base64.b64decode(text, validate=True)
        if base64.b64encode(sealed).decode() != text:  # the bits that a last character leaves over
            raise ValueError("not as it was written")
        return cipher.decrypt(key, sealed, bound_to)


def vault_of(keyring: Keyring, cipher: str | None) -> Vault:
    """Build the vault with the configured cipher, `package.module:name`, or with ours. Raises VaultError."""
    if cipher is None:
        return Vault(keyring)
    module, _, name = cipher.partition(":")
    try:
        made: Cipher = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise VaultError(f"[review] cipher: {cipher!r} cannot be loaded ({type(error).__name__})") from error
    return Vault(keyring, made)


def _bound(use: str, record: str) -> bytes:
    return f"haechi/{use}/{record}".encode()
