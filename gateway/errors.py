"""What can go wrong, as one tree. `gateway/http/errors.py` is the one table error -> HTTP answer.

    GatewayError
    ├── CallerError                 the caller can mend it
    │   ├── Unauthenticated         no key, malformed, unknown, expired, revoked
    │   │   └── SignInNeeded        a page of the console, and nobody is signed in
    │   ├── Forbidden               a valid key that may not do this
    │   │   └── UnknownPerson       a shared client speaks for somebody we do not know
    │   ├── InvalidRequest          malformed JSON, wrong type, empty messages, our own field misused
    │   │   ├── BodyTooLarge
    │   │   └── UnsupportedFeature  understood, but this gateway or model does not offer it
    │   ├── NotFound                a page, or a thing that is not there any more
    │   ├── Conflict                somebody else changed it in between
    │   ├── UnknownModel            no such model
    │   ├── UnknownVideo            no such video job, or somebody else's
    │   ├── ModelNotAllowed         the model exists and is not open to this caller
    │   ├── SensitiveDataBlocked    the filter's verdict is block
    │   ├── InHouseOnly             the filter's verdict is route, and the model asked for is elsewhere
    │   ├── UnscannableContent      a part the filter cannot read, towards an external zone
    │   ├── RateLimited             too many requests or tokens this minute
    │   │   └── AboveRateLimit      one request that is larger than a minute's tokens
    │   └── BudgetExhausted
    ├── UpstreamError               a provider answered with an error
    │   ├── UpstreamRejected        4xx: our request or our account
    │   ├── UpstreamRateLimited     429
    │   ├── UpstreamUnavailable     5xx, connection refused or reset
    │   ├── UpstreamTimeout         connect, first byte, idle or total
    │   ├── UpstreamProtocolError   an answer that is not what the wire format promises
    │   └── UpstreamBroken          a stream that ended before its end
    └── ServiceUnavailable          we ourselves cannot serve now
        ├── FilterFailed            the filter failed, so nothing was sent
        ├── LedgerUnavailable       the charge could not be made durable, so nothing was sent
        ├── RecordRefused           the database takes no row of this request
        └── Overloaded              no room at any deployment, so nothing was sent

Every error carries its message in Korean and English, both saying what to do next; neither ever
holds prompt text, an upstream body, a stack trace or another person's data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class GatewayError(Exception):
    """`korean` and `english` are shown to the caller; `param` names the field at fault.

    `code` refines the error's class for programs (`key_revoked` of Unauthenticated); None takes the
    class's own code from the table. `details` are extra members of the error object, `headers` of the
    answer.
    """

    def __init__(
        self,
        korean: str,
        english: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        self.details = dict(details or {})
        self.headers = dict(headers or {})


class CallerError(GatewayError): ...


class Unauthenticated(CallerError): ...


class SignInNeeded(Unauthenticated): ...


class Forbidden(CallerError): ...


class UnknownPerson(Forbidden): ...


class InvalidRequest(CallerError): ...


class BodyTooLarge(InvalidRequest): ...


class UnsupportedFeature(InvalidRequest): ...


class NotFound(CallerError): ...


class Conflict(CallerError): ...


class UnknownModel(CallerError): ...


class UnknownVideo(CallerError): ...


class ModelNotAllowed(CallerError): ...


class SensitiveDataBlocked(CallerError): ...


class InHouseOnly(CallerError): ...


class UnscannableContent(CallerError): ...


class RateLimited(CallerError): ...


class AboveRateLimit(RateLimited): ...


class BudgetExhausted(CallerError): ...


class UpstreamError(GatewayError):
    """`upstream_status` and `upstream_code` are the provider's own, for logs and retry decisions.

    `upstream_message` is the provider's text. It may repeat prompt text, so it reaches neither logs
    nor metrics nor, by default, the caller.
    """

    def __init__(
        self,
        korean: str,
        english: str,
        *,
        upstream_status: int | None = None,
        upstream_code: str | None = None,
        upstream_message: str | None = None,
        retry_after_s: int | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(korean, english, param=param, retry_after_s=retry_after_s)
        self.upstream_status = upstream_status
        self.upstream_code = upstream_code
        self.upstream_message = upstream_message


class UpstreamRejected(UpstreamError): ...


class UpstreamRateLimited(UpstreamError): ...


class UpstreamUnavailable(UpstreamError): ...


class UpstreamTimeout(UpstreamError): ...


class UpstreamProtocolError(UpstreamError): ...


class UpstreamBroken(UpstreamError): ...


class ServiceUnavailable(GatewayError): ...


class FilterFailed(ServiceUnavailable): ...


class LedgerUnavailable(ServiceUnavailable): ...


class RecordRefused(ServiceUnavailable): ...


class Overloaded(ServiceUnavailable): ...
