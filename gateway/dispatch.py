"""One attempt made ready: the provider's request, the price frozen, the hold bounded, who pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.ledger import Attribution, Dispatch
from billing.periods import billing_month
from billing.prices import NoPrice
from gateway.attempt import Attempt
from gateway.errors import ServiceUnavailable
from gateway.media.work import MediaRequest
from gateway.providers import adapter

if TYPE_CHECKING:
    from billing.prices import PriceBook
    from billing.quotes import Quote
    from gateway.attempt import Desk
    from gateway.catalogue import Deployment
    from gateway.domain import Call, ChatRequest
    from gateway.health import Place


@dataclass(frozen=True, slots=True)
class Dispatcher:
    prices: PriceBook
    desk: Desk
    default_max_output_tokens: int

    def prepare(
        self, call: Call, request: ChatRequest, deployment: Deployment, number: int, place: Place
    ) -> Attempt:
        """Return the attempt, not sent. Raises UnsupportedFeature, ServiceUnavailable without a price."""
        media = request if isinstance(request, MediaRequest) else None
        speaking = media.work if media and media.work else adapter(deployment.wire)
        sent = speaking.request(request, deployment)
        now = self.desk.now()
        quote = self._quote(deployment)
        most_output = request.max_output_tokens or self.default_max_output_tokens
        dispatch = Dispatch(
            attempt_id=self.desk.new_id(),
            request_id=call.request_id,
            started_at=now,
            billing_period=billing_month(now),
            attribution=attribution(call, request, deployment),
            quote=quote,
            hold_nano_krw=quote.upper_bound(
                len(sent.body), most_output, request.n, media.maxima if media else None
            ),
            input_bytes=len(sent.body),
            max_output_tokens=most_output,
            attempt_no=number,
        )
        return Attempt(self.desk, dispatch, request, sent, deployment, speaking, place)

    def bound_nano_krw(self, request: ChatRequest, deployment: Deployment, size: int) -> int:
        """Return at most what a request of `size` bytes costs there, to compare deployments."""
        most_output = request.max_output_tokens or self.default_max_output_tokens
        return self._quote(deployment).upper_bound(size, most_output, request.n)

    def _quote(self, deployment: Deployment) -> Quote:
        try:
            return self.prices.quote(deployment.price_key, self.desk.now())
        except NoPrice as missing:
            raise ServiceUnavailable(missing.korean, missing.english, code="no_price") from missing


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
