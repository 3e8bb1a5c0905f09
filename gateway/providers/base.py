"""The contract of a provider adapter: bytes in, values out, no connection anywhere.

An adapter is one module per wire format with three names:

    def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest
    class Decoder(deployment, stream=…)   feed(bytes) -> list[Delta], finish() -> Completion, failure
    def error(status: int, body: bytes, headers) -> UpstreamError

`Decoder` serves streams and whole bodies: for a whole body `feed` collects (bounded by
MAX_BODY_BYTES) and `finish` parses. After a broken stream `finish` still returns what is known, with
`complete=False`, so that it can be charged; it never invents a finish_reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import ChatRequest, Completion, Delta, UpstreamRequest
    from gateway.errors import UpstreamError

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_EVENT_BYTES = 16 * 1024 * 1024


class Decoder(Protocol):
    """Feeds on the body of one upstream answer."""

    def feed(self, data: bytes) -> list[Delta]:
        """Decode what `data` completes.

        Raises UpstreamError for an error event inside a 200 stream, and UpstreamProtocolError for
        bytes that are no such wire format.
        """

    def finish(self) -> Completion:
        """Return the whole answer after the last byte; `complete=False` if its end is missing.

        Raises UpstreamProtocolError if a whole body is not what the wire format promises.
        """

    @property
    def ended(self) -> bool:
        """Whether the wire format's own end was read: nothing can follow but the end of the body."""

    @property
    def done(self) -> bool:
        """Whether everything was said that is needed, with or without the wire format's own end."""

    @property
    def failure(self) -> UpstreamError | None:
        """The error that the provider sent inside the answer, from the moment it was read.

        `feed` raises it, but not before it has given out the deltas that came before it in the same
        bytes; where no more bytes follow, `finish` returns `complete=False` and this says why.
        """


class Adapter(Protocol):
    def request(self, chat: ChatRequest, deployment: Deployment) -> UpstreamRequest: ...

    def Decoder(self, deployment: Deployment, *, stream: bool) -> Decoder: ...  # noqa: N802 - the module's class

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> UpstreamError: ...
