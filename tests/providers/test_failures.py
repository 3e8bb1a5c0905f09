"""Whatever a provider refuses with becomes one named error that says what to do and repeats nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from gateway.providers import WIRES, adapter, failures


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamRejected),
        (401, UpstreamRejected),
        (403, UpstreamRejected),
        (404, UpstreamRejected),
        (413, UpstreamRejected),
        (408, UpstreamUnavailable),
        (429, UpstreamRateLimited),
        (500, UpstreamUnavailable),
        (503, UpstreamUnavailable),
        (529, UpstreamUnavailable),
        (302, UpstreamProtocolError),
        (204, UpstreamProtocolError),
    ],
)
def test_the_status_decides_the_class(wire: str, status: int, kind: type[UpstreamError]) -> None:
    assert type(adapter(wire).error(status, b"", {})) is kind


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (
            {"error": {"message": "m", "type": "invalid_request_error", "code": "model_not_found"}},
            "model_not_found",
        ),
        ({"error": {"message": "m", "type": "overloaded_error"}, "type": "error"}, "overloaded_error"),
        ({"error": {"code": 404, "message": "m", "status": "NOT_FOUND"}}, "NOT_FOUND"),
        ([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}], "INVALID_ARGUMENT"),
        ({"error": {"code": 429, "message": "m"}}, "429"),
        ({"object": "error", "message": "m", "type": "invalid_model", "code": "1500"}, "1500"),
        ({"message": "m"}, None),
        ({"detail": [{"msg": "m", "type": "missing"}]}, "missing"),
        ({"detail": "m"}, None),
        ({"error": "m"}, None),
        ({"status": {"code": "42901", "message": "m"}}, "42901"),
        ({"error": {"message": "m", "code": "a sentence, not a code"}}, None),
    ],
)
def test_the_providers_code_is_kept_for_logs_and_its_text_apart(answer: Any, code: str | None) -> None:
    error = failures.from_response(400, body(answer), {})
    assert (error.upstream_code, error.upstream_message) == (code, "m")


@pytest.mark.parametrize(
    "answer", [b"", b"<html><h1>502</h1></html>", b"{", b"\xff\xfe", b"[]", b"null", b"3"]
)
def test_a_body_of_any_kind_is_survived(answer: bytes) -> None:
    error = failures.from_response(502, answer, {})
    assert type(error) is UpstreamUnavailable
    assert error.upstream_status == 502


@pytest.mark.parametrize(
    ("headers", "answer", "seconds"),
    [
        ({"Retry-After": "12"}, {}, 12),
        ({"retry-after": "1.2"}, {}, 2),
        ({"retry-after-ms": "1500", "retry-after": "9"}, {}, 2),
        ({"retry-after": "Sun, 22 Nov 2026 02:00:30 GMT", "date": "Sun, 22 Nov 2026 02:00:00 GMT"}, {}, 30),
        ({"retry-after": "Sun, 22 Nov 2026 01:59:00 GMT", "date": "Sun, 22 Nov 2026 02:00:00 GMT"}, {}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 02:00:30 GMT"}, {}, None),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "Mon, 01 Jan 2026 00:00:00 +99999999999999999999"}, {}, None),
        ({"retry-after": "-5"}, {}, None),
        ({"retry-after": "999999999"}, {}, 86400),
        ({}, {"error": {"code": 429, "details": [{"retryDelay": "36.2s"}]}}, 37),
        ({}, {}, None),
    ],
)
def test_when_to_come_back_is_read_in_every_form(
    headers: dict[str, str], answer: Any, seconds: int | None
) -> None:
    assert failures.from_response(429, body(answer), headers).retry_after_s == seconds


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "m"}, UpstreamUnavailable),
        ({"type": "rate_limit_error", "message": "m"}, UpstreamRateLimited),
        ({"code": 429, "message": "m"}, UpstreamRateLimited),
        ({"type": "invalid_request_error", "code": "tool_use_failed", "status_code": 400}, UpstreamRejected),
        ({"type": "invalid_request_error", "code": "model_not_found"}, UpstreamRejected),
        ({"code": "server_error", "message": "m"}, UpstreamUnavailable),
        ({"type": "throttlingException", "message": "m"}, UpstreamRateLimited),
        ("something went wrong", UpstreamUnavailable),
        ({}, UpstreamUnavailable),
    ],
)
def test_an_error_inside_a_200_is_taken_at_its_word(error: Any, kind: type[UpstreamError]) -> None:
    assert type(failures.from_event(error)) is kind


@pytest.mark.parametrize("status", [401, 403])
def test_our_own_account_is_never_called_the_callers_fault(status: int) -> None:
    error = failures.from_response(status, body({"error": {"message": "Incorrect API key sk-abc"}}), {})
    assert "not your key" in error.english
    assert "관리자" in error.korean
    assert "sk-abc" not in error.english + error.korean + str(error)


def test_a_conversation_that_is_too_long_is_said_to_be_too_long() -> None:
    answer = body({"error": {"message": "maximum context length is 8192", "code": "context_length_exceeded"}})
    assert "Shorten" in failures.from_response(400, answer, {}).english


@given(
    st.integers(100, 599),
    st.binary(max_size=300),
    st.dictionaries(st.text(max_size=20), st.text(max_size=30)),
)
def test_no_answer_at_all_breaks_the_reading(status: int, answer: bytes, headers: dict[str, str]) -> None:
    error = failures.from_response(status, answer, headers)
    assert error.korean
    assert error.english


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "status", "detail", "details"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_breaks_the_reading_and_none_of_its_prose_is_shown(answer: Any) -> None:
    error = failures.from_response(400, json.dumps(answer).encode(), {"retry-after": "x"})
    assert isinstance(error, UpstreamRejected)
    assert error.upstream_code is None or len(error.upstream_code) <= 80


def test_a_model_without_eyes_is_no_failing_server() -> None:
    message = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"
    body = json.dumps({"error": {"code": 500, "message": message, "type": "server_error"}}).encode()
    error = adapter("openai").error(500, body, {})
    assert type(error) is UpstreamRejected
    assert "reads neither pictures nor sound" in error.english
