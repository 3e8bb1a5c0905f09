"""The second factor: time-based one-time codes (RFC 6238) and the recovery codes beside them.

Pure but for the randomness of what is made new. That a code is used once only is kept by
gateway/store/accounts.py: it stores the last step that opened.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from datetime import datetime

STEP_S: Final = 30
SLACK: Final = 1
"""Steps before and after now that still count: telephones' clocks differ."""
RECOVERY_CODES: Final = 10
_ISSUER: Final = "Haechi"
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"


def new_secret() -> str:
    """Return a secret of 160 bits as base32, for an authenticator."""
    return pyotp.random_base32()


def enrolment_uri(secret: str, login: str) -> str:
    """Return the otpauth:// address that a QR code carries to an authenticator."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=_ISSUER)


def opened_step(secret: str, code: str, last_step: int | None, now: datetime) -> int | None:
    """Return the time step whose code this is, if it is near now and after the last that opened."""
    digits = "".join(code.split())
    if not (len(digits) == 6 and digits.isascii() and digits.isdigit()):
        return None
    generator = pyotp.TOTP(secret)
    current = int(now.timestamp()) // STEP_S
    for step in range(current - SLACK, current + SLACK + 1):
        fits = hmac.compare_digest(generator.generate_otp(step), digits)
        if fits and (last_step is None or step > last_step):
            return step
    return None


# --- recovery codes ---------------------------------------------------------------------------------------


def new_recovery_codes() -> list[str]:
    """Return codes of 50 bits, each good once, to be printed and kept in a drawer."""
    return ["-".join(_letters(5) for _ in range(2)) for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str, key: bytes) -> bytes:
    """Return under what a recovery code is stored; hyphens, spaces and case do not matter."""
    plain = "".join(c for c in code.lower() if c.isalnum())
    return blake2b(plain.encode(), digest_size=32, key=key).digest()


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


# --- keeping the secret -----------------------------------------------------------------------------------


def sealed(secret: str, key: bytes, account_id: str) -> bytes:
    """Encrypt with AES-256-GCM; bound to the account, so that no row can be moved to another."""
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, secret.encode(), account_id.encode())


def unsealed(box: bytes, key: bytes, account_id: str) -> str | None:
    """Return the secret; None for a box that was tampered with or sealed for somebody else."""
    try:
        return AESGCM(key).decrypt(box[:12], box[12:], account_id.encode()).decode()
    except InvalidTag:
        return None
