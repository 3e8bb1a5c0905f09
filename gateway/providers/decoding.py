"""What the decoders of all wire formats share: collecting bytes, keeping failures, ending properly.

A subclass reads one event (`take_event`) or one whole body (`take_body`) and knows nothing of bytes.
Nothing here knows any provider.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import orjson

from billing.usage import Usage
from gateway.domain import NOTHING, Completion, Delta, UsageReport
from gateway.providers import failures
from gateway.providers.base import MAX_BODY_BYTES, MAX_EVENT_BYTES
from gateway.sse import EventDecoder, EventTooLong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON, Choice
    from gateway.errors import UpstreamError

DONE = b"[DONE]"
OF_ANOTHER_FORMAT = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What reading raises where bytes are no JSON, or JSON of another shape, size or depth than the format's."""
MAX_TRIES = 64
"""How often a body that was no stream is parsed before its end, lest a hostile one costs its square."""

_SILENT = Delta()[1:]


class AnswerDecoder(ABC):
    """See base.Decoder.

    An error event that comes after deltas in the same bytes does not swallow them: `feed` returns the
    deltas, and raises at its next call. `failure` holds it from the moment it was read.
    """

    def __init__(self, *, stream: bool) -> None:
        self.failure: UpstreamError | None = None
        self.id = ""
        self.served_model = ""
        self.created = 0
        self.service_tier: str | None = None
        self.extra: dict[str, JSON] = {}
        self.raw_usage: Mapping[str, JSON] | None = None
        self.ended = False
        self._stream = stream
        self._whole = not stream
        self._looked = False
        self.truncated = False
        self._body = bytearray()
        self._tries = 0
        self._events = EventDecoder(MAX_EVENT_BYTES)

    # --- what a wire format adds -----------------------------------------------------------------

    @abstractmethod
    def take_event(self, event: JSON, deltas: list[Delta]) -> None:
        """Read one event of a stream, already parsed; set `ended` at the format's own end."""

    @abstractmethod
    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        """Read a whole answer."""

    @abstractmethod
    def choices(self) -> tuple[Choice, ...]: ...

    @abstractmethod
    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport: ...

    @property
    def finished(self) -> bool:
        """Whether every choice has its finish reason; enough where the format's own end is missing."""
        return False

    # --- the contract ----------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        return self.ended or (self.raw_usage is not None and self.finished)

    def feed(self, data: bytes) -> list[Delta]:
        if self.failure is not None:
            raise self.failure
        if not self._looked:
            self.look_at(data)
        if self._whole:
            return self._collect(data)
        deltas: list[Delta] = []
        try:
            self.take_bytes(data, deltas)
        except EventTooLong:
            self.failure = failures.broken("an event is too long")
        except OF_ANOTHER_FORMAT:
            self.failure = failures.broken("an event of another format")
        return self._unless_failed(deltas)

    def finish(self) -> Completion:
        if self._whole:
            self._finish_whole()
        elif self.failure is None:
            self.take_rest()
        choices = self.choices()
        if self.failure is not None and not choices and self.raw_usage is None:
            raise self.failure
        complete = self.failure is None and not self.truncated and (self.ended or self.finished)
        return Completion(
            _word(self.id),
            _word(self.served_model),
            choices,
            self._reported(partial=not (complete or self._whole)),  # a whole body states its final usage
            self.created,
            _word(self.service_tier) or None,
            complete,
            self.extra or NOTHING,
        )

    def _reported(self, *, partial: bool) -> UsageReport | None:
        """Read the usage; one of an impossible shape is kept and flagged, never thrown away."""
        raw = self.raw_usage
        if raw is None:
            return None
        try:
            return self.report(raw, partial=partial)
        except OF_ANOTHER_FORMAT:
            kept = raw if isinstance(raw, dict) else {"usage": raw}
            return UsageReport(Usage(quarantined=True), kept, partial=True)

    # --- streams ---------------------------------------------------------------------------------

    # a format that is not server-sent events replaces these three

    def look_at(self, data: bytes) -> None:
        """See by the first byte whether a promised stream is a JSON body or a web page instead."""
        first = data.lstrip()[:1]
        self._looked = bool(first)
        if self._stream and first:
            self._whole = first in b"{["
            if first == b"<":
                self.failure = failures.broken("a web page instead of a stream")
                raise self.failure

    def take_bytes(self, data: bytes, deltas: list[Delta]) -> None:
        for event in self._events.feed(data):
            if event.data == DONE:
                self.ended = True
                continue
            self.take_event(orjson.loads(event.data), deltas)
            if self.failure is not None:
                return

    def take_rest(self) -> None:
        """Read a last event that has no empty line; one that is cut in its middle ends the answer."""
        for event in self._events.flush():
            if event.data == DONE:
                self.ended = True
                continue
            try:
                self.take_event(orjson.loads(event.data), [])
            except OF_ANOTHER_FORMAT:
                self.truncated = True

    def _unless_failed(self, deltas: list[Delta]) -> list[Delta]:
        """Give out what says anything; raise only where that is nothing."""
        said = [delta for delta in deltas if delta.text or delta[1:] != _SILENT]
        if self.failure is not None and not said:
            raise self.failure
        return said

    # --- whole bodies ----------------------------------------------------------------------------

    def _collect(self, data: bytes) -> list[Delta]:
        self._body += data
        if len(self._body) > MAX_BODY_BYTES:
            self.failure = failures.broken("a body is too long")
            raise self.failure
        ends = self._body[-16:].rstrip().endswith((b"}", b"]"))
        if self._stream and ends and not self.ended and self._tries < MAX_TRIES:
            self._tries += 1
            return self._instead_of_a_stream()
        return []

    def _instead_of_a_stream(self) -> list[Delta]:
        """Serve a server that ignores `stream`, and raise an error that came as plain JSON."""
        try:
            body = orjson.loads(self._body)
        except orjson.JSONDecodeError:
            return []
        deltas: list[Delta] = []
        self._take_whole(body, deltas)
        return self._unless_failed(deltas)

    def _finish_whole(self) -> None:
        if self.ended or self.failure is not None:
            return
        try:
            body = orjson.loads(self._body)
        except orjson.JSONDecodeError as e:
            raise failures.broken("a body that is not JSON") from e
        self._take_whole(body, [])

    def _take_whole(self, body: JSON, deltas: list[Delta]) -> None:
        try:
            self.take_body(body, deltas)
        except OF_ANOTHER_FORMAT as e:
            self.failure = failures.broken("a body of another format")
            raise self.failure from e
        self.ended = self.failure is None


def writable(value: JSON) -> JSON:
    """Return what goes to the client as it came. Raises TypeError if it is nested deeper than can be written.

    JSON is read 1,024 deep and written 254; the events around it need a few of these.
    """
    orjson.dumps([[[[[[[[value]]]]]]]])
    return value


def _word(value: JSON) -> str:
    """Keep a name only if it is one."""
    return value if isinstance(value, str) else ""
