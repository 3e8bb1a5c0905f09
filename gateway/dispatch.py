"""One attempt made ready: the provider's request, the price frozen, the hold bounded, who pays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import orjson

from billing.ledger import Attribution, Dispatch
from billing.periods import billing_month
from billing.prices import NoPrice
from billing.usage import Usage
from gateway.attempt import Attempt
from gateway.domain import Image, ToolResult
from gateway.errors import ServiceUnavailable
from gateway.media.work import MediaRequest
from gateway.providers import adapter
from gateway.providers.unbounded import most_searches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from billing.prices import PriceBook
    from billing.quotes import Quote
    from gateway.attempt import Desk
    from gateway.catalogue import Deployment
    from gateway.domain import Call, ChatRequest, Part
    from gateway.health import Place


MOST_PICTURE_TOKENS: Final = 50_000
"""Of one picture: the dearest known way to count one is 48,169 (gpt-4o-mini, eight tiles of high detail)."""
TOOLS_PREAMBLE_TOKENS: Final = 1_000
"""What a provider adds by itself where tools are offered; Anthropic documents 313 to 346."""
_ONE_REQUEST: Final = Usage(requests=1)


class HasBook(Protocol):
    """What holds the price book in force; it is replaced while requests are served."""

    @property
    def book(self) -> PriceBook: ...


@dataclass(frozen=True, slots=True)
class Dispatcher:
    prices: HasBook
    desk: Desk
    default_max_output_tokens: int

    def prepare(
        self, call: Call, request: ChatRequest, deployment: Deployment, number: int, place: Place
    ) -> Attempt:
        """Return the attempt, not sent. Raises UnsupportedFeature, ServiceUnavailable without a price."""
        work = request.work if isinstance(request, MediaRequest) else None
        speaking = work or adapter(deployment.wire)
        sent = speaking.request(request, deployment)
        now = self.desk.now()
        quote = self._quote(deployment)
        bound = bound_of(request, len(sent.body), request.max_output_tokens or self.default_max_output_tokens)
        dispatch = Dispatch(
            attempt_id=self.desk.new_id(),
            request_id=call.request_id,
            started_at=now,
            billing_period=billing_month(now),
            attribution=attribution(call, request, deployment),
            quote=quote,
            hold_nano_krw=bound.cost(quote, deployment),
            input_bytes=bound.text_bytes + bound.beside.input_tokens,
            max_output_tokens=bound.output_tokens + bound.beside.output_tokens,
            attempt_no=number,
        )
        return Attempt(self.desk, dispatch, request, sent, deployment, speaking, place)

    def bound_nano_krw(self, request: ChatRequest, deployment: Deployment, size: int) -> int:
        """Return at most what a request of `size` bytes costs there, to compare deployments."""
        most_output = request.max_output_tokens or self.default_max_output_tokens
        return bound_of(request, size, most_output).cost(self._quote(deployment), deployment)

    def _quote(self, deployment: Deployment) -> Quote:
        try:
            return self.prices.book.quote(deployment.price_key, self.desk.now())
        except NoPrice as missing:
            raise ServiceUnavailable(missing.korean, missing.english, code="no_price") from missing


class Bound(NamedTuple):
    """What one attempt cannot exceed (DESIGN, invariant 5)."""

    text_bytes: int
    """Of the body without its pictures: each token stands for at least one of them."""
    output_tokens: int
    """Of all choices."""
    beside: Usage
    """Declared maxima of what else is counted."""

    @property
    def tokens(self) -> int:
        return self.text_bytes + self.output_tokens + self.beside.total_tokens

    def cost(self, quote: Quote, deployment: Deployment) -> int:
        """Return nano-won. Raises ServiceUnavailable for a model that searches without end."""
        searches = most_searches(deployment) if "searches" in quote.price.prices else 0
        maxima = replace(self.beside, searches=searches) if searches else self.beside
        return quote.upper_bound(self.text_bytes, self.output_tokens, maxima=maxima)


def bound_of(request: ChatRequest, size: int, most_output: int) -> Bound:
    """Bound a request whose body has `size` bytes and whose choices have `most_output` tokens each."""
    if isinstance(request, MediaRequest):
        return Bound(size, request.n * most_output, request.maxima or _ONE_REQUEST)
    pictures = [part for message in request.messages for part in _pictures(message.parts)]
    beside = _ONE_REQUEST
    if pictures or request.tools:
        beside = Usage(
            input=TOOLS_PREAMBLE_TOKENS if request.tools else None,
            image_input=MOST_PICTURE_TOKENS * len(pictures) or None,
            requests=1,
        )
    data = sum(len(part.url) - len(part.url.partition(",")[0]) - 1 for part in pictures)
    output = most_output + _predicted(request) if request.extra else most_output
    return Bound(max(0, size - data), request.n * output, beside)


def _predicted(request: ChatRequest) -> int:
    """Return what a predicted answer may cost beside the output: its refused tokens are billed as output."""
    prediction = request.extra.get("prediction")
    return len(orjson.dumps(prediction)) if prediction else 0


def most_tokens(request: ChatRequest, size: int, most_output: int) -> int:
    """Return how many tokens a request is counted as by the minute, until it is known.

    Of a chat its bound; of other work its texts and what it declares, since an upload's bytes are no
    tokens.
    """
    if not isinstance(request, MediaRequest):
        return bound_of(request, size, most_output).tokens
    texts = (message.text for message in request.messages)
    return sum(len(text.encode()) for text in texts) + (request.maxima.total_tokens if request.maxima else 0)


def _pictures(parts: Iterable[Part]) -> Iterator[Image]:
    for part in parts:
        if isinstance(part, Image):
            yield part
        elif isinstance(part, ToolResult):
            yield from _pictures(part.parts)


def attribution(call: Call, request: ChatRequest, deployment: Deployment) -> Attribution:
    caller = call.caller
    return Attribution(
        person_id=caller.person_id,
        key_id=caller.key_id,
        department_id=caller.department_id,
        unit_path=caller.unit_path,
        model_id=deployment.model_id,
        deployment_id=deployment.id,
        provider=deployment.provider,
        upstream_model=deployment.upstream_model,
        zone=deployment.zone,
        surface=call.surface,
        stream=request.stream,
        via_service=caller.via_service,
        label=call.label,
    )
