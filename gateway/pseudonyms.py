"""What people are called before those who need not know who they are."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from gateway.keyring import Purpose

if TYPE_CHECKING:
    from gateway.keyring import Keyring


def pseudonym(keyring: Keyring, person_id: str) -> str:
    """Return the same short name for the same person, which nobody without the key can turn back."""
    key = keyring.current(Purpose.SESSION).key
    return "p-" + hmac.new(key, b"person:" + person_id.encode(), sha256).hexdigest()[:10]
