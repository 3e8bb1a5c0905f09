"""What a provider's refusal means: any error body and status into one UpstreamError.

Shared by every adapter; knows the shapes of error bodies and nothing of any request. The provider's
own text goes into `upstream_message` only, since it may repeat the prompt; the messages for people
are ours. Time is not asked here: a Retry-After date is read against the answer's own Date header.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

import orjson

from gateway.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON

MAX_MESSAGE_CHARACTERS = 2_000
MAX_RETRY_AFTER_S = 24 * 3600


class Stated(NamedTuple):
    """What an error body says about itself."""

    code: str | None = None
    message: str | None = None
    param: str | None = None
    status: int | None = None
    retry_after_s: int | None = None
    kind: str | None = None
    """The error's type where the code is narrower, as in `model_not_found` of `invalid_request_error`."""


def from_response(status: int, body: bytes, headers: Mapping[str, str]) -> UpstreamError:
    """Map an HTTP error answer. Bodies may be JSON of any provider, HTML, empty, or broken."""
    try:
        stated = read(orjson.loads(body))
    except orjson.JSONDecodeError:
        stated = Stated(message=body[:MAX_MESSAGE_CHARACTERS].decode("utf-8", "replace") or None)
    return build(status, stated, _retry_after_s(headers, stated))


def from_event(error: JSON) -> UpstreamError:
    """Map an error object that came inside a 200 answer or stream.

    Such objects carry their status as a number in `code` (OpenRouter), as a word in `type`
    (Anthropic, OpenAI), or not at all; without one the provider is taken to be failing.
    """
    stated = read({"error": error})
    words = ((stated.code or "").lower(), (stated.kind or "").lower())
    named = next((_STATUS_OF_WORD[word] for word in words if word in _STATUS_OF_WORD), 502)
    status = stated.status or named
    return build(status, stated, stated.retry_after_s)


def broken(english: str) -> UpstreamProtocolError:
    """Say that an answer is not what its wire format promises; `english` never quotes the answer."""
    return UpstreamProtocolError(
        "모델 제공자의 응답 형식이 올바르지 않습니다. 잠시 후 다시 시도하거나 다른 모델을 선택하세요.",
        f"The provider's answer could not be read ({english}). Try again shortly or choose another model.",
    )


def broken_off() -> UpstreamBroken:
    """Say that a stream ended before its end."""
    return UpstreamBroken(
        "모델의 답변이 중간에 끊어졌습니다. 다시 시도하세요.", "The model's answer broke off. Try again."
    )


# --- reading error bodies ------------------------------------------------------------------------


def read(body: JSON) -> Stated:
    """Find code, message, field and status in the error shapes that providers use.

    `{"error": {…}}` (OpenAI, Anthropic, Gemini, Groq …), the same inside a list (Gemini streams),
    `{"error": "…"}`, `{"message": …}` (Bedrock, Cohere, Mistral), `{"detail": …}` (FastAPI servers),
    `{"status": {"code", "message"}}` (CLOVA Studio).
    """
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return Stated(message=_text(body))
    error = body.get("error") or body.get("detail") or body.get("message") or body
    if error is body and isinstance(body.get("status"), dict):
        error = body["status"]
    if isinstance(error, list) and error:
        error = error[0]
    if not isinstance(error, dict):
        code = _word(body.get("code")) or _word(body.get("type"))
        return Stated(code, _text(error), _text(body.get("param")))
    return _read_object(error)


def _read_object(error: Mapping[str, JSON]) -> Stated:
    number = error.get("code")
    status = _status(number) or _status(error.get("status_code")) or _status(error.get("status"))
    word = None if _status(number) else _word(number)
    kind = _word(error.get("type"))
    code = word or _word(error.get("status")) or kind or _word(number)
    message = _text(error.get("message") or error.get("msg"))
    retry_after_s = _retry_info_s(error.get("details"))
    return Stated(code, message, _text(error.get("param")), status, retry_after_s, kind)


def _status(value: JSON) -> int | None:
    return value if type(value) is int and 400 <= value < 600 else None


def _word(value: JSON) -> str | None:
    """Keep a code short and free of prose: it goes into logs and metrics."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return word if re.fullmatch(r"[\w.:/#-]{1,80}", word := str(value)) else None


def _text(value: JSON) -> str | None:
    return value[:MAX_MESSAGE_CHARACTERS] if isinstance(value, str) and value else None


def _retry_info_s(details: JSON) -> int | None:
    """Read google.rpc.RetryInfo: `"retryDelay": "36s"`, rounded up."""
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(delay := detail.get("retryDelay"), str):
            return _seconds(delay.removesuffix("s"))
    return None


def _retry_after_s(headers: Mapping[str, str], stated: Stated) -> int | None:
    named = {name.lower(): value for name, value in headers.items()}
    if (milliseconds := _seconds(named.get("retry-after-ms", ""))) is not None:
        return -(-milliseconds // 1000)
    value = named.get("retry-after", "").strip()
    seconds = _seconds(value)
    if seconds is None and value:
        seconds = _until(value, named.get("date", ""))
    return stated.retry_after_s if seconds is None else seconds


def _seconds(value: str) -> int | None:
    """Round a plain decimal up to whole seconds, within a day; None if it is no such number."""
    if not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value):
        return None
    return min(-(-float(value) // 1).__int__(), MAX_RETRY_AFTER_S)


def _until(date: str, now: str) -> int | None:
    try:
        wait = parsedate_to_datetime(date) - parsedate_to_datetime(now)
    except (TypeError, ValueError, OverflowError):  # a zone of 10^20 hours is a number, too
        return None
    return max(0, min(int(wait.total_seconds()), MAX_RETRY_AFTER_S))


# --- what to tell people -------------------------------------------------------------------------

_STATUS_OF_WORD = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "validationexception": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "accessdeniedexception": 403,
    "not_found_error": 404,
    "not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "resource_exhausted": 429,
    "throttlingexception": 429,
    "api_error": 500,
    "server_error": 500,
    "internal": 500,
    "internal_server_error": 500,
    "tool_use_failed": 400,
    "content_filter": 400,
    "context_length_exceeded": 400,
    "unavailable": 503,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_TOO_LONG = (
    "대화가 이 모델의 최대 길이를 넘었습니다. 앞의 대화나 첨부를 줄이거나 다른 모델을 선택하세요.",
    "The conversation is longer than this model accepts. Shorten it or choose a model with a longer context.",
)
_FILTERED = (
    "모델 제공자의 안전 정책이 이 요청을 거절했습니다. 표현을 바꾸거나 다른 모델을 선택하세요.",
    "The provider's safety policy refused this request. Rephrase it or choose another model.",
)
_ACCOUNT = (
    "기관의 제공자 계정이 거절되었습니다(사용자 키 문제 아님). 관리자에게 알리거나 다른 모델을 선택하세요.",
    "The provider refused the institution's account, not your key. Tell the administrator or choose another.",
)
_QUOTA = (
    "기관의 제공자 계정 한도가 소진되었습니다. 관리자에게 알리거나 다른 모델을 선택하세요.",
    "The institution's account at the provider is exhausted. Tell the administrator or choose another model.",
)
_NO_MODEL = (
    "모델 제공자가 이 모델을 찾지 못했습니다. 관리자에게 알리거나 다른 모델을 선택하세요.",
    "The provider does not know this model. Tell the administrator or choose another model.",
)
_NO_SUCH_PART = (
    "이 모델은 그림이나 소리를 읽지 못합니다. 글로만 요청하거나 다른 모델을 선택하세요.",
    "This model reads neither pictures nor sound. Ask in text alone or choose another model.",
)
_TOO_LARGE = (
    "요청이 모델 제공자의 크기 한도를 넘었습니다. 첨부를 줄이세요.",
    "The request exceeds the provider's size limit. Reduce the attachments.",
)
_BAD_REQUEST = (
    "모델 제공자가 요청을 거절했습니다. 매개변수와 첨부 형식을 확인하거나 다른 모델을 선택하세요.",
    "The provider did not accept the request. Check its parameters and attachments or choose another model.",
)
_BUSY = (
    "모델 제공자가 요청을 제한하고 있습니다. 잠시 후 다시 시도하거나 다른 모델을 선택하세요.",
    "The provider is limiting requests. Try again shortly or choose another model.",
)
_DOWN = (
    "모델 제공자가 지금 응답하지 못합니다. 잠시 후 다시 시도하거나 다른 모델을 선택하세요.",
    "The provider cannot answer now. Try again shortly or choose another model.",
)


def build(status: int, stated: Stated, retry_after_s: int | None = None) -> UpstreamError:
    """Choose the class and the words for a status and what the body stated."""
    if status < 400 or status > 599:
        return broken(f"unexpected status {status}")
    kind, (korean, english) = _kind(status, stated)
    return kind(
        korean,
        english,
        upstream_status=status,
        upstream_code=stated.code,
        upstream_message=stated.message,
        retry_after_s=retry_after_s,
        param=stated.param,
    )


def _kind(status: int, stated: Stated) -> tuple[type[UpstreamError], tuple[str, str]]:
    if status == 500 and re.search(r"(image|audio|video) input is not supported", stated.message or ""):
        return UpstreamRejected, _NO_SUCH_PART  # llama.cpp; no failure of the server, whoever asks again
    if status == 429:
        return UpstreamRateLimited, _QUOTA if stated.code == "insufficient_quota" else _BUSY
    if status >= 500 or status in {408, 425}:
        return UpstreamUnavailable, _DOWN
    return UpstreamRejected, _rejection(status, stated)


def _rejection(status: int, stated: Stated) -> tuple[str, str]:
    hint = f"{stated.code or ''} {stated.message or ''}".lower()
    if re.search(r"context_length|context length|context window|prompt is too long|too many tokens", hint):
        return _TOO_LONG
    if re.search(r"content_filter|content_policy|responsibleai|safety system|model armor", hint):
        return _FILTERED
    if status == 402:
        return _QUOTA
    return {401: _ACCOUNT, 403: _ACCOUNT, 404: _NO_MODEL, 413: _TOO_LARGE}.get(status, _BAD_REQUEST)
