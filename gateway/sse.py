"""Server-sent events: bytes in, events out, and back. Pure; knows no provider and no JSON.

The rules are those of https://html.spec.whatwg.org/multipage/server-sent-events.html, with two
deliberate differences that providers make necessary: an event that the end of the stream cuts off
is offered by `flush`, because some providers leave out the final newline, and an event is bounded.
Lines end with LF, CRLF or CR only. U+2028 and U+0085 are legal inside JSON strings, so text
functions such as `str.splitlines` must never be used here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """One event grew past its bound; the peer is broken or hostile."""


class Event(NamedTuple):
    """`data` joins the event's data lines with LF; `event` is its type, empty if it names none."""

    data: bytes
    event: str = ""


_event_of: Final[Callable[[tuple[bytes, str]], Event]] = partial(tuple.__new__, Event)
"""In half the time that the class takes."""


class EventDecoder:
    """Feed bytes in any pieces; take whole events out."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._max = max_event_bytes
        self._searched = 0  # bytes of the buffer that hold no border, so that each byte is searched once
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes.

        Raises EventTooLong.
        """
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        if not self._buffer and data.endswith(b"\n\n"):  # whole events arrived: nothing to keep or copy
            return self._events(data[:-2])
        self._buffer += data
        cut = self._buffer.rfind(b"\n\n", max(0, self._searched - 1))
        if cut < 0:
            return self._keep_rest([])
        block = bytes(self._buffer[:cut])
        del self._buffer[: cut + 2]
        return self._keep_rest(self._events(block))

    def flush(self) -> list[Event]:
        """Return the event that the end of the stream left without its empty line, if any."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return self._events(rest)

    def _keep_rest(self, events: list[Event]) -> list[Event]:
        if len(self._buffer) > self._max:
            raise EventTooLong(f"an event of more than {self._max} bytes")
        self._searched = len(self._buffer)
        return events

    def _with_lf(self, data: bytes) -> bytes:
        """Turn CRLF and CR into LF, also where a piece ends between CR and LF."""
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self, block: bytes) -> list[Event]:
        if self._at_start and block:
            block = block.removeprefix(_BOM)
            self._at_start = False
        events = []
        for lines in block.split(b"\n\n"):
            if lines.startswith(b"data: ") and b"\n" not in lines and len(lines) > 6:  # nearly every one
                events.append(_event_of((lines[6:], "")))
            elif (event := _parsed(lines)) is not None:
                events.append(event)
        return events


def _parsed(lines: bytes) -> Event | None:
    """Read one event's lines; None for comments, and for what carries no data."""
    data: list[bytes] = []
    name = b""
    for line in lines.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return Event(b"\n".join(data), name.decode("utf-8", "replace")) if any(data) else None


def encode(data: bytes, event: str = "") -> bytes:
    """Write one event. `data` is JSON without raw line breaks, as orjson writes it."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
