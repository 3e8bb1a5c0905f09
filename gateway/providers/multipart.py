"""multipart/form-data, written without chance: the same parts make the same bytes. Pure.

Source: RFC 7578. The boundary is a hash of all parts, so it cannot stand in one of them but by design.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class FilePart(NamedTuple):
    name: str
    filename: str
    media_type: str
    content: bytes


def encode(fields: Iterable[tuple[str, str]], files: Iterable[FilePart]) -> tuple[str, bytes]:
    """Return the content type and the body."""
    parts = [_head(name) + b"\r\n\r\n" + value.encode() for name, value in fields]
    parts += [_file_head(file) + b"\r\n\r\n" + file.content for file in files]
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    boundary = digest.hexdigest()
    border = b"--" + boundary.encode()
    body = b"".join(border + b"\r\n" + part + b"\r\n" for part in parts) + border + b"--\r\n"
    return f"multipart/form-data; boundary={boundary}", body


def _head(name: str) -> bytes:
    return f'Content-Disposition: form-data; name="{_quoted(name)}"'.encode()


def _file_head(file: FilePart) -> bytes:
    named = _head(file.name) + f'; filename="{_quoted(file.filename)}"'.encode()
    return named + f"\r\nContent-Type: {_one_line(file.media_type)}".encode()


def _quoted(text: str) -> str:
    """Escape what would end a quoted name, as browsers do (WHATWG form submission)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")
