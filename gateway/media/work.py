"""One piece of work at a provider: how it is written, and how its whole answer is read.

It stands where a chat adapter stands, so an attempt dispatches, settles and fails over in the same way.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from filters.records import record
from gateway.domain import NOTHING, ChatRequest, Choice, Completion, Message, Text
from gateway.providers import failures
from gateway.providers.base import MAX_BODY_BYTES
from gateway.surfaces import chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from billing.ledger import Charge, Entry
    from billing.usage import Usage
    from gateway.catalogue import Deployment
    from gateway.domain import JSON, Delta, UpstreamRequest, UsageReport
    from gateway.errors import UpstreamError
    from gateway.providers.base import Decoder
    from gateway.providers.multipart import FilePart


@dataclass(frozen=True, slots=True)
class Done:
    """A whole answer: what the provider made, what it used, and what a person may read of it."""

    made: Any
    report: UsageReport | None
    text: str = ""
    content_type: str = "application/json"
    served_as: str | None = None
    """Size and quality as `billing.quotes.variant` names them, where the price may depend on them."""


@dataclass(frozen=True, slots=True)
class Work:
    """An adapter for one request: `write` for a deployment, `read` of the whole body and its headers.

    `beside` gives rows that must be durable together with the charge of an answer that was read.
    """

    write: Callable[[Deployment], UpstreamRequest]
    read: Callable[[bytes, Mapping[str, str]], Done]
    beside: Callable[[Charge, Done], Sequence[Entry]] | None = None
    streamed: Callable[[Deployment], Decoder] | None = None
    """Makes what reads a streamed answer, where this work can be streamed."""

    def rows(self, charge: Charge, completion: Completion | None) -> Sequence[Entry]:
        """Return what must be durable together with the charge."""
        if self.beside is None or completion is None:
            return ()
        return self.beside(charge, done(completion))

    def request(self, chat: ChatRequest, deployment: Deployment) -> UpstreamRequest:
        del chat  # `write` knows the request in its own words
        return self.write(deployment)

    def Decoder(self, deployment: Deployment, *, stream: bool) -> Decoder:  # noqa: N802 - see base.Adapter
        if stream and self.streamed is not None:
            return self.streamed(deployment)
        return Whole(self.read, deployment.upstream_model)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> UpstreamError:
        return failures.from_response(status, body, headers)


class Whole:
    """Collects a body and reads it once; what broke off is nothing."""

    def __init__(self, read: Callable[[bytes, Mapping[str, str]], Done], model: str) -> None:
        self._read = read
        self._model = model
        self._body = bytearray()
        self.headers: Mapping[str, str] = NOTHING
        """Of the answer, set by whoever feeds: some providers state their count there alone."""

    done = ended = False
    failure: UpstreamError | None = None

    def feed(self, data: bytes) -> list[Delta]:
        self._body += data
        if len(self._body) > MAX_BODY_BYTES:
            raise failures.broken("an answer without end")
        return []

    def finish(self) -> Completion:
        """Read the body. Raises UpstreamError."""
        try:
            done = self._read(bytes(self._body), self.headers)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise failures.broken("an answer of another format") from error
        choices = (Choice(0, (Text(done.text),), "stop"),) if done.text else ()
        return Completion(
            "",
            self._model,
            choices,
            done.report,
            service_tier=done.served_as,
            extra={"done": done},
            content_type=done.content_type,
        )


@record
class MediaRequest(ChatRequest):
    """Work asked for; `messages` hold its texts, for the estimate where no usage is reported.

    `maxima` declares what may be counted beside text, for the bound of its cost; `expected` is the
    estimate where the provider was asked and nothing was heard.
    """

    work: Work | None = None
    maxima: Usage | None = None
    expected: Usage | None = None
    asked_as: str | None = None
    """Size and quality that were asked for, see Done.served_as: what counts if nothing was heard."""


def asked(
    model: str, texts: Iterable[str], work: Work, maxima: Usage | None = None, expected: Usage | None = None
) -> MediaRequest:
    messages = tuple(Message("user", (Text(text),)) for text in texts)
    return MediaRequest(model, messages, work=work, maxima=maxima, expected=expected)


def done(completion: Completion) -> Done:
    """Return what `Work.read` made."""
    made: Done = completion.extra["done"]
    return made


class MediaSurface:
    """What the surfaces of this package share; nothing streams but transcriptions."""

    CONTENT_TYPE: Final = chat.CONTENT_TYPE
    StreamEncoder = chat.StreamEncoder
    error_object = staticmethod(chat.error_object)


def as_inspected(files: Sequence[FilePart], body: Mapping[str, JSON]) -> tuple[FilePart, ...]:
    """Return uploads under the names that the filter let pass: `body["input"]` shows each to it."""
    shown = body.get("input") or ()
    return tuple(
        file._replace(filename=str(part.get("filename") or "file")) if isinstance(part, dict) else file
        for file, part in zip(files, shown, strict=True)
    )


def rest(body: Mapping[str, JSON], taken: Iterable[str]) -> Mapping[str, JSON]:
    """Return the provider's own members of a body."""
    kept = frozenset((*taken, "model", "stream"))
    return {name: value for name, value in body.items() if name not in kept} or NOTHING
