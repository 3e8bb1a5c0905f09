"""The one table: error -> HTTP status, `type`, `code`, and whether a client should try again.

Every error leaves in the envelope of the caller's dialect (OpenAI's, or Anthropic's for /v1/messages), in
Korean with English behind it; a caller who asks for English (Accept-Language) gets English first.
`x-should-retry: false` keeps the SDKs from repeating what cannot succeed; upstream trouble is left
to their own judgement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson
from starlette.responses import Response

from gateway import errors as e
from gateway.languages import prefers_english
from gateway.surfaces import chat, messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Wrap: TypeAlias = "Callable[[int, Mapping[str, Any]], dict[str, Any]]"


@dataclass(frozen=True, slots=True)
class Answer:
    """How an error looks over HTTP. `retry` None leaves it to the client."""

    status: int
    type: str
    code: str
    retry: bool | None = None


TABLE: Final[dict[type[e.GatewayError], Answer]] = {
    e.Unauthenticated: Answer(401, "authentication_error", "invalid_api_key", retry=False),
    e.SignInNeeded: Answer(401, "authentication_error", "sign_in_needed", retry=False),
    e.Forbidden: Answer(403, "permission_error", "forbidden", retry=False),
    e.UnknownPerson: Answer(403, "permission_error", "unknown_person", retry=False),
    e.InvalidRequest: Answer(400, "invalid_request_error", "invalid_request", retry=False),
    e.BodyTooLarge: Answer(413, "invalid_request_error", "body_too_large", retry=False),
    e.UnsupportedFeature: Answer(400, "invalid_request_error", "unsupported_feature", retry=False),
    e.NotFound: Answer(404, "invalid_request_error", "not_found", retry=False),
    e.Conflict: Answer(409, "invalid_request_error", "conflict", retry=False),
    e.UnknownModel: Answer(404, "invalid_request_error", "model_not_found", retry=False),
    e.UnknownVideo: Answer(404, "invalid_request_error", "video_not_found", retry=False),
    e.ModelNotAllowed: Answer(403, "permission_error", "model_not_allowed", retry=False),
    e.SensitiveDataBlocked: Answer(400, "sensitive_data_blocked", "sensitive_data_blocked", retry=False),
    e.InHouseOnly: Answer(400, "sensitive_data_blocked", "in_house_only", retry=False),
    e.UnscannableContent: Answer(400, "sensitive_data_blocked", "unscannable_content", retry=False),
    e.RateLimited: Answer(429, "rate_limit_error", "rate_limit_exceeded", retry=True),
    e.AboveRateLimit: Answer(429, "rate_limit_error", "request_above_rate_limit", retry=False),
    e.BudgetExhausted: Answer(429, "insufficient_quota", "budget_exhausted", retry=False),
    e.UpstreamError: Answer(502, "upstream_error", "upstream_error"),
    e.UpstreamRejected: Answer(502, "upstream_error", "upstream_rejected", retry=False),
    e.UpstreamRateLimited: Answer(429, "rate_limit_error", "upstream_rate_limited", retry=True),
    e.UpstreamUnavailable: Answer(502, "upstream_error", "upstream_unavailable"),
    e.UpstreamTimeout: Answer(504, "upstream_error", "upstream_timeout"),
    e.UpstreamProtocolError: Answer(502, "upstream_error", "upstream_protocol_error"),
    e.UpstreamBroken: Answer(502, "upstream_error", "upstream_broken"),
    e.ServiceUnavailable: Answer(503, "service_unavailable", "service_unavailable"),
    e.FilterFailed: Answer(503, "service_unavailable", "filter_failed"),
    e.LedgerUnavailable: Answer(503, "service_unavailable", "ledger_unavailable"),
    e.RecordRefused: Answer(500, "internal_error", "record_refused", retry=False),
    e.Overloaded: Answer(503, "service_unavailable", "overloaded", retry=True),
    e.GatewayError: Answer(500, "internal_error", "internal_error"),
}

INTERNAL: Final = e.GatewayError(
    "해치 안에서 오류가 났습니다. 다시 시도하고, 계속되면 x-request-id와 함께 관리자에게 알려 주세요.",
    "Something failed inside Haechi. Try again; if it stays, give the administrator the x-request-id.",
)


def invalid(mistakes: Sequence[Mapping[str, Any]]) -> e.InvalidRequest:
    """Say which value of an address or a JSON body is wrong, never what it was."""
    where, *rest = mistakes[0]["loc"] if mistakes else ("query",)
    name = ".".join(str(step) for step in rest if isinstance(step, str | int))
    if where == "body":
        return e.InvalidRequest(
            f"JSON 본문의 값이 잘못되었습니다: {name or '본문'}."
            " content-type: application/json으로 보내고 /docs를 보세요.",
            f"A value of the JSON body is wrong: {name or 'the body'}."
            " Send it as content-type: application/json; see /docs.",
            param=name or None,
        )
    return e.InvalidRequest(
        f"주소의 값이 잘못되었습니다: {name}. /docs를 보세요." if name else "주소의 값이 잘못되었습니다.",
        f"A value in the address is wrong: {name}. See /docs."
        if name
        else "A value in the address is wrong.",
        param=name or None,
    )


def answer_for(error: e.GatewayError) -> Answer:
    """Return the row of the nearest class in the error's family."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def envelope(error: e.GatewayError, accept_language: str, wrap: Wrap) -> dict[str, Any]:
    answer = answer_for(error)
    members = {
        "message": message(error, accept_language),
        "type": answer.type,
        "code": error.code or answer.code,
        "param": error.param,
        **error.details,
    }
    return wrap(answer.status, members)


def message(error: e.GatewayError, accept_language: str) -> str:
    if prefers_english(accept_language):
        return f"{error.english} / {error.korean}"
    return f"{error.korean} / {error.english}"


def body(error: e.GatewayError, accept_language: str = "", wrap: Wrap = chat.error_object) -> bytes:
    """Render an error in the dialect of `wrap`, a surface's `error_object`."""
    return orjson.dumps(envelope(error, accept_language, wrap))


def headers(error: e.GatewayError) -> dict[str, str]:
    out = dict(error.headers)
    retry = answer_for(error).retry
    if retry is not None:
        out["x-should-retry"] = "true" if retry else "false"
    if error.retry_after_s is not None:
        out["retry-after"] = str(error.retry_after_s)
    if isinstance(error, e.Unauthenticated):
        out["www-authenticate"] = 'Bearer realm="haechi"'
    return out


def response(error: e.GatewayError, request_headers: Mapping[str, str], path: str = "") -> Response:
    """Answer with an error; the dialect follows the address that was asked."""
    wrap = messages.error_object if path.startswith("/v1/messages") else chat.error_object
    return Response(
        body(error, request_headers.get("accept-language", ""), wrap),
        status_code=answer_for(error).status,
        headers=headers(error),
        media_type="application/json",
    )
