"""One module per wire format: `parse` a request, state the `usage`, give a `whole` body or `events`.

Pure: bytes and values in, bytes and values out. A format's own errors and paths stand with it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simulator.exchange import JSON, BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def dumps(value: JSON) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def sse(data: JSON, event: str | None = None) -> bytes:
    """Frame one server-sent event."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + dumps(data) + b"\n\n"


def strings(value: JSON) -> Iterator[str]:
    """Yield every string in a JSON value, keys left out, in document order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from strings(member)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def texts(content: JSON, kinds: Iterable[str] = ("text",)) -> str:
    """Read a message's content: a plain string, or the `text` of its parts of these kinds."""
    if isinstance(content, str):
        return content
    wanted = set(kinds)
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if part.get("type", "text") in wanted and "text" in part)


def need_list(body: JSON, name: str) -> list[JSON]:
    """Return the non-empty list `name` of the request. Raises BadRequest."""
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, list) or not value:
        raise BadRequest(f"'{name}' must be a non-empty array")
    return value
