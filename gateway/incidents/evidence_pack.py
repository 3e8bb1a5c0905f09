"""An evidence pack as a file: a ZIP whose manifest names every file by its digest and is signed. Pure.

    manifest.json   format, period, when it was made, SHA-256 and size of each other file
    manifest.sig    Ed25519 signature of the bytes of manifest.json, as hexadecimal
    public-key.txt  the key to check it with; compare it with the one the institution publishes

Whoever has the public key checks a pack without the database and without this program: `sha256sum` and any
Ed25519 implementation do.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from billing.seals import Seal, holds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.domain import JSON

FORMAT: Final = "haechi-evidence/2"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
PUBLIC_KEY: Final = "public-key.txt"
LEDGER: Final = "ledger.json"
_BESIDE: Final = frozenset({SIGNATURE, PUBLIC_KEY, MANIFEST})
MOST_BYTES: Final = 1_000_000_000
"""Of all files together, unpacked: what claims more is no pack."""
MOST_FILES: Final = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found. `public_key` is the key the signature holds under, hexadecimal."""

    manifest: Mapping[str, Any]
    public_key: str
    seals: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def signing_key(key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key)


def packed(files: Mapping[str, bytes], about: Mapping[str, Any], made_at: datetime, key: bytes) -> bytes:
    """Return the ZIP. Equal content gives equal bytes: names are sorted, and every file bears `made_at`."""
    listed = [
        {"name": name, "sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
        for name in sorted(files)
    ]
    manifest = as_json({"format": FORMAT, **about, "made_at": made_at.isoformat(), "files": listed})
    signer = signing_key(key)
    whole = dict(files)
    whole[MANIFEST] = manifest
    whole[SIGNATURE] = signer.sign(manifest).hex().encode() + b"\n"
    whole[PUBLIC_KEY] = signer.public_key().public_bytes_raw().hex().encode() + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name in sorted(whole):
            entry = zipfile.ZipInfo(name, made_at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            pack.writestr(entry, whole[name])
    return out.getvalue()


def check(data: bytes, public_key: str = "") -> Checked:
    """Check a pack: signature, digests, nothing missing or added, the ledger's seals.

    `public_key`: the key the institution publishes; without it the one in the pack is used, and whoever reads
    the result has to compare it. Raises nothing for a wrong pack: `problems` says what is wrong.
    """
    try:
        files = _unpacked(data)
        manifest = json.loads(files[MANIFEST])
        named = {one["name"]: one["sha256"] for one in manifest["files"]}
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        return Checked({}, "", 0, (f"not an evidence pack: {type(error).__name__}",))
    problems: list[str] = []
    key = public_key or files.get(PUBLIC_KEY, b"").decode("ascii", "replace").strip()
    if not _is_signed(files[MANIFEST], files.get(SIGNATURE, b""), key):
        problems.append("the signature of the manifest does not hold")
    for name, digest in sorted(named.items()):
        if name not in files:
            problems.append(f"{name} is missing")
        elif hashlib.sha256(files[name]).hexdigest() != digest:
            problems.append(f"{name} was changed")
    problems += [f"{name} was added" for name in sorted(files.keys() - named.keys() - _BESIDE)]
    seals, wrong = _seals(files.get(LEDGER, b"{}"))
    return Checked(manifest, key, seals, (*problems, *wrong))


class NoPack(ValueError):
    """A file that is no evidence pack, or lacks what one holds."""


def document(data: bytes, name: str) -> JSON:
    """Return a JSON file of a pack, unchecked. Raises NoPack."""
    try:
        return json.loads(_unpacked(data)[name])
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError) as error:
        raise NoPack(type(error).__name__) from None


def as_json(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=str)
    return text.encode() + b"\n"


def _unpacked(data: bytes) -> dict[str, bytes]:
    """Raises BadZipFile, ValueError."""
    files: dict[str, bytes] = {}
    left = MOST_BYTES
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        entries = pack.infolist()
        if len(entries) > MOST_FILES or len({entry.filename for entry in entries}) != len(entries):
            raise ValueError("too many files, or one twice")
        for entry in entries:
            with pack.open(entry) as file:
                files[entry.filename] = file.read(left + 1)
            left -= len(files[entry.filename])
            if left < 0:
                raise ValueError("too large")
    return files


def _is_signed(manifest: bytes, signature: bytes, public_key: str) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature.decode("ascii").strip()), manifest)
    except (InvalidSignature, ValueError):
        return False
    return True


def _seals(ledger: bytes) -> tuple[int, list[str]]:
    """Return how many seals of the ledger the pack holds, and those whose signatures do not hold."""
    try:
        document = json.loads(ledger)
        seals = [Seal.from_json(one) for one in document.get("seals", ())]
        keys = [bytes.fromhex(key) for key in document.get("public_keys", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0, [f"{LEDGER} cannot be read"]
    wrong = [seal.number for seal in seals if not any(holds(seal, key) for key in keys)]
    return len(seals), [f"seal {number} of the ledger does not hold" for number in wrong]
