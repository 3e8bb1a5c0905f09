"""Anthropic Messages: what is sent is what its own client would send; what comes back is read whole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParams
from pydantic import TypeAdapter

from billing.usage import Usage
from gateway.catalogue import Credential, Deployment
from gateway.domain import (
    Audio,
    ChatRequest,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway.errors import InvalidRequest, UnsupportedFeature, UpstreamProtocolError, UpstreamUnavailable
from gateway.providers import adapter
from gateway.providers.anthropic_answers import report_of
from gateway.providers.claude import chooses_itself
from gateway.surfaces import messages
from tests.providers.conversation import FORM, MESSAGES, PARAMETERS, WEATHER
from tests.providers.exchanges import ask, deployment, sent, sse, streamed, whole

HERE = deployment(
    "anthropic", "anthropic", base_url="https://api.anthropic.com", upstream_model="claude-sonnet-4-5"
)
CLAUDE_AT = {
    "anthropic": HERE,
    "bedrock": deployment(
        "bedrock",
        base_url="https://bedrock-runtime.ap-northeast-2.amazonaws.com",
        upstream_model="anthropic.claude-sonnet-4-5-20250929-v1:0",
        region="ap-northeast-2",
        credential=Credential(access_key_id="AKIDEXAMPLE", secret_access_key="secret"),
    ),
}


# --- requests ------------------------------------------------------------------------------------


def test_what_is_sent_is_what_its_own_client_would_send() -> None:
    body = sent(ask(**PARAMETERS, stream=True, response_format=FORM), HERE)
    TypeAdapter(MessageCreateParams).validate_python(body)
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert [b["type"] for b in body["messages"][1]["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert [b["type"] for b in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    assert body["messages"][2]["content"][1]["is_error"] is True
    assert [b["text"] for b in body["system"]] == ["공공기관 문체로 답하세요.", "짧게."]
    assert body["tool_choice"] == {"type": "tool", "name": "get_weather"}
    assert body["metadata"] == {"user_id": "person-1"}


@pytest.mark.parametrize("base", ["https://api.anthropic.com", "https://api.anthropic.com/v1/"])
def test_where_it_goes_and_as_whom(base: str) -> None:
    request = adapter("anthropic").request(ask(), deployment("anthropic", base_url=base))
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers["x-api-key"] == "sk-our-own"
    assert request.headers["anthropic-version"] == "2023-06-01"


def test_a_request_without_a_limit_gets_one_since_the_format_demands_it() -> None:
    assert sent(ask(), HERE)["max_tokens"] == 4096


def test_what_the_format_lacks_is_dropped_and_named() -> None:
    chat = ask(seed=1, presence_penalty=1.0, logit_bias={"1": 1}, extra={"top_a": 1})
    assert adapter("anthropic").request(chat, HERE).dropped == (
        "logit_bias",
        "presence_penalty",
        "seed",
        "top_a",
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 2},
        {"logprobs": True},
        {"response_format": ResponseFormat("json_object")},
        {"messages": (Message("user", (Audio("UklG", "wav"),)),)},
    ],
)
def test_what_would_change_the_answer_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFeature):
        adapter("anthropic").request(ask(**asked), HERE)


def test_instructions_alone_are_no_conversation() -> None:
    with pytest.raises(InvalidRequest):
        adapter("anthropic").request(ask(messages=(Message("system", (Text("규칙"),)),)), HERE)


def test_reasoning_is_a_budget_below_the_limit_or_an_effort_by_model() -> None:
    old = sent(ask(reasoning_effort="high", max_output_tokens=2000, temperature=0.1), HERE)
    assert old["thinking"] == {"type": "enabled", "budget_tokens": 1999}
    assert "temperature" not in old
    newer = deployment("anthropic", upstream_model="claude-opus-4-6")
    assert sent(ask(reasoning_effort="high"), newer)["output_config"] == {"effort": "high"}
    assert sent(ask(reasoning_effort="none"), newer)["thinking"] == {"type": "disabled"}
    with pytest.raises(UnsupportedFeature):
        adapter("anthropic").request(ask(reasoning_effort="low", max_output_tokens=100), HERE)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-3-7-sonnet-20250219", False),
        ("claude-sonnet-4-20250514", False),
        ("claude-sonnet-4-5-20250929", False),
        ("claude-opus-4-6", True),
        ("us.anthropic.claude-sonnet-4-6-v1:0", True),
        ("claude-sonnet-5", True),
        ("claude-sonnet-5-20260801", True),
    ],
)
def test_which_models_choose_how_long_to_think(model: str, expected: bool) -> None:
    assert chooses_itself(model) is expected


def test_reasoning_without_its_proof_is_left_out_and_hidden_reasoning_goes_back() -> None:
    said = (Reasoning("남의 생각"), Reasoning("", redacted="ENC"), Text("답"))
    messages = (Message("user", (Text("가"),)), Message("assistant", said), Message("user", (Text("나"),)))
    content = sent(ask(messages=messages), HERE)["messages"][1]["content"]
    assert content == [{"type": "redacted_thinking", "data": "ENC"}, {"type": "text", "text": "답"}]


CALLED = Message("assistant", (ToolCall("a", "get_weather", "{}"),))
RESULT = Message("tool", (ToolResult("a", (Text("맑음"),)),))
PROVEN = Message("assistant", (Reasoning("음", signature="c2ln"), *CALLED.parts))


@pytest.mark.parametrize(
    ("turn", "thinks"),
    [
        ((CALLED, RESULT), False),
        ((Message("assistant", (Reasoning("음"), *CALLED.parts)), RESULT), False),
        ((CALLED, RESULT, CALLED, RESULT), False),
        ((PROVEN, RESULT), True),
        ((PROVEN, RESULT, CALLED, RESULT), True),
        ((CALLED, RESULT, Message("assistant", (Text("맑습니다"),)), Message("user", (Text("왜?"),))), True),
    ],
)
@pytest.mark.parametrize("wire", ["anthropic", "bedrock"])
def test_a_turn_that_called_without_a_proven_thought_goes_on_without_thinking(
    wire: str, turn: tuple[Message, ...], *, thinks: bool
) -> None:
    chat = ask(tools=(WEATHER,), reasoning_effort="low", temperature=0.5)
    request = adapter(wire).request(replace(chat, messages=chat.messages + turn), CLAUDE_AT[wire])
    assert (b'"thinking":{"type":"enabled"' in request.body) is thinks
    assert request.dropped == (("temperature",) if thinks else ("reasoning_effort",))


def test_a_model_that_chooses_how_long_to_think_thinks_after_any_turn() -> None:
    chat = ask(tools=(WEATHER,), reasoning_effort="low")
    newer = deployment("anthropic", upstream_model="claude-opus-4-6")
    body = sent(replace(chat, messages=(*chat.messages, CALLED, RESULT)), newer)
    assert body["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize("wire", ["anthropic", "bedrock"])
def test_a_thought_with_an_empty_signature_is_left_out_as_one_without(wire: str) -> None:
    """An answer of another model bears thoughts like that, and its client sends them back."""
    said = [{"type": "thinking", "thinking": "음", "signature": ""}, {"type": "text", "text": "답"}]
    turns = [("user", "가"), ("assistant", said), ("user", "나")]
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": r, "content": c} for r, c in turns]}
    (only,) = sent(messages.parse(asked), CLAUDE_AT[wire])["messages"][1]["content"]
    assert only["text"] == "답"


@pytest.mark.parametrize(
    "odd",
    [
        *(
            {"anthropic_beta": named}
            for named in (["a\nb"], ["한글"], [""], [1], 5, "a", {"a": 1}, ["a"] * 33)
        ),
        *({"output_config": config} for config in (5, "a", [1])),
    ],
)
def test_what_a_client_names_must_be_fit_for_its_place(odd: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        adapter("anthropic").request(ask(extra=odd), HERE)
    assert refused.value.param in odd


def test_betas_that_a_client_names_go_into_their_header() -> None:
    betas = ["files-api-2025-04-14", "context-1m-2025-08-07"]
    request = adapter("anthropic").request(ask(extra={"anthropic_beta": betas}), HERE)
    assert request.headers["anthropic-beta"] == "files-api-2025-04-14,context-1m-2025-08-07"
    null = {"anthropic_beta": None, "output_config": None}
    assert "anthropic-beta" not in adapter("anthropic").request(ask(extra=null), HERE).headers


def test_one_call_at_a_time_is_part_of_the_tool_choice() -> None:
    request = adapter("anthropic").request(ask(tools=(WEATHER,), parallel_tool_calls=False), HERE)
    assert json.loads(request.body)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert request.dropped == ()
    assert sent(ask(tools=(WEATHER,), tool_choice=ToolChoice("none")), HERE)["tool_choice"] == {
        "type": "none"
    }


def test_arguments_that_are_no_json_still_go_back() -> None:
    messages = (*MESSAGES[:3], Message("assistant", (ToolCall("a", "f", "{broken"),)))
    call = sent(ask(messages=messages), HERE)["messages"][1]["content"][0]
    assert call["input"] == {"arguments": "{broken"}


def asked_in_its_own_words(**more: Any) -> ChatRequest:
    said = {"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "가"}]}
    return messages.parse(said | more)


def test_marks_of_the_cache_and_own_fields_pass_through() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    asked = asked_in_its_own_words(
        messages=[{"role": "user", "content": [{"type": "text", "text": "긴 글", **mark}]}],
        tools=[{"name": "f", "input_schema": {"type": "object"}, **mark}],
        thinking={"type": "adaptive"},
    )
    body = sent(asked, HERE)
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, ("temperature",)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, ("temperature",)),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, ("temperature",)),
        ({"thinking": {"type": "disabled"}}, ()),
        ({"output_config": {"effort": "low"}}, ()),
    ],
)
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-6"])
@pytest.mark.parametrize("wire", ["anthropic", "bedrock"])
def test_how_a_client_of_its_own_api_lets_it_think_is_kept(
    wire: str, model: str, said: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    asked = asked_in_its_own_words(temperature=0.5, **said)
    request = adapter(wire).request(asked, replace(CLAUDE_AT[wire], upstream_model=model))
    body = json.loads(request.body)
    written = body.get("additionalModelRequestFields", body)
    assert {name: written[name] for name in ("thinking", "output_config") if name in written} == said
    assert request.dropped == dropped


def test_an_effort_for_claude_is_an_effort_for_others_too() -> None:
    asked = asked_in_its_own_words(thinking={"type": "adaptive"}, output_config={"effort": "low"})
    request = adapter("openai").request(asked, deployment(upstream_model="gpt-5.1"))
    assert json.loads(request.body)["reasoning_effort"] == "low"
    assert b"thinking" not in request.body
    assert request.dropped == ()


def test_a_form_of_the_answer_stands_beside_the_effort() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    asked = asked_in_its_own_words(output_config={"effort": "low", "format": form})
    assert sent(asked, HERE)["output_config"] == {"effort": "low", "format": form}


SOURCES = {
    "pdf": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
    "text": {"type": "text", "media_type": "text/plain", "data": "제1조 목적"},
    "pieces": {"type": "content", "content": [{"type": "text", "text": t} for t in ("제1조", "제2조")]},
}
SAID_OF_IT = {
    "title": "규정",
    "context": "2026년 개정",
    "citations": {"enabled": True},
    "cache_control": {"type": "ephemeral"},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("said", [{}, SAID_OF_IT])
def test_a_document_arrives_with_all_that_was_said_of_it(source: str, said: dict[str, Any]) -> None:
    document = {"type": "document", "source": SOURCES[source], **said}
    asked = asked_in_its_own_words(messages=[{"role": "user", "content": [document]}])
    request = adapter("anthropic").request(asked, HERE)
    assert json.loads(request.body)["messages"][0]["content"] == [document]
    assert request.dropped == ()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wire", ["openai", "responses", "gemini", "bedrock"])
def test_what_others_cannot_be_told_of_a_document_is_named(wire: str, source: str) -> None:
    document = {"type": "document", "source": SOURCES[source], **SAID_OF_IT}
    asked = asked_in_its_own_words(messages=[{"role": "user", "content": [document]}])
    request = adapter(wire).request(asked, CLAUDE_AT.get(wire, deployment(wire)))
    lost = ("citations", "context") if source == "pdf" else ("citations", "context", "title")
    assert request.dropped == lost
    assert "개정" not in request.body.decode()


# --- answers -------------------------------------------------------------------------------------

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude-x",
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "음"},
    {"type": "signature_delta", "signature": "SIG"},
)
TEXT = block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "안녕"})
CALL = block(
    2,
    {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    {"type": "input_json_delta", "partial_json": ""},
    {"type": "input_json_delta", "partial_json": '{"city":'},
    {"type": "input_json_delta", "partial_json": '"서울"}'},
)
BARE_CALL = block(3, {"type": "tool_use", "id": "t2", "name": "g", "input": {}})
STOP = [
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}},
    {"type": "message_stop"},
]
PARTS = (
    Reasoning("음", "SIG"),
    Text("안녕"),
    ToolCall("t1", "f", '{"city":"서울"}'),
    ToolCall("t2", "g", "{}"),
)
USAGE = Usage(input=10, cache_read=5, cache_write_5m=4, cache_write_1h=3, output=20)


def test_a_stream_keeps_the_order_of_its_blocks_and_the_latest_usage() -> None:
    stream = sse(START, {"type": "ping"}, *THINKING, *TEXT, *CALL, *BARE_CALL, *STOP)
    deltas, completion, failure = streamed([stream], HERE)
    assert completion is not None
    assert (completion.choices[0].parts, completion.choices[0].finish_reason) == (PARTS, "tool_calls")
    assert completion.report is not None
    assert completion.report.usage == USAGE
    assert completion.complete
    assert failure is None
    assert [d.tool_calls[0].index for d in deltas if d.tool_calls] == [0, 0, 0, 0, 1, 1]


def test_a_whole_answer_says_the_same_as_its_stream() -> None:
    stream = sse(START, *THINKING, *TEXT, *CALL, *BARE_CALL, *STOP)
    _, from_stream, _ = streamed([stream], HERE)
    body = {
        **START["message"],
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "음", "signature": "SIG"},
            {"type": "text", "text": "안녕"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"city": "서울"}},
            {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {**START["message"]["usage"], "output_tokens": 20},
    }
    assert whole(body, HERE) == from_stream


def test_what_tools_at_anthropic_did_is_no_part_of_the_answer() -> None:
    hosted = block(
        0,
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query":"x"}'},
    )
    _, completion, _ = streamed([sse(START, *hosted, *TEXT, *STOP)], HERE)
    assert completion is not None
    assert completion.choices[0].parts == (Text("안녕"),)


def test_a_stream_without_its_stop_is_incomplete_and_its_usage_partial() -> None:
    _, completion, _ = streamed([sse(START, *TEXT)], HERE)
    assert completion is not None
    assert not completion.complete
    assert completion.choices[0].finish_reason is None
    assert completion.report is not None
    assert completion.report.partial
    assert completion.report.usage.input == 10


def test_an_overload_in_the_middle_of_a_stream_is_named() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    deltas, completion, failure = streamed([sse(START, *TEXT, error)], HERE)
    assert [d.text for d in deltas] == ["안녕"]
    assert isinstance(failure, UpstreamUnavailable)
    assert completion is not None
    assert not completion.complete


def test_an_event_of_another_shape_is_a_protocol_error() -> None:
    *_, failure = streamed([sse(START, {"type": "content_block_delta", "index": 0})], HERE)
    assert isinstance(failure, UpstreamProtocolError)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_stop_reasons_are_translated_and_kept(reason: str, expected: str) -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {}}
    _, completion, _ = streamed([sse(START, *TEXT, delta, {"type": "message_stop"})], HERE)
    assert completion is not None
    assert completion.choices[0].finish_reason == expected
    assert completion.extra["stop_reason"] == reason


def shown_by_its_own_surface(pieces: list[bytes], to: Deployment) -> list[dict[str, Any]]:
    """Return how a message ends, as a client of the Messages API is told: in its stream, and whole."""
    deltas, completion, _ = streamed(pieces, to)
    assert completion is not None
    encoder = messages.StreamEncoder("m", "1", 0, include_usage=True)
    raw = encoder.deltas(deltas) + encoder.end(None, completion.extra)
    events = [json.loads(line[6:]) for line in raw.decode().split("\n") if line.startswith("data: ")]
    (end,) = (event["delta"] for event in events if event["type"] == "message_delta")
    body = json.loads(messages.encode(completion, "m", "1", 0))
    return [end, {name: body[name] for name in ("stop_reason", "stop_sequence")}]


def test_a_client_is_told_which_sequence_ended_its_message() -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "끝"}}
    shown = shown_by_its_own_surface([sse(START, *TEXT, delta, {"type": "message_stop"})], HERE)
    assert shown == [{"stop_reason": "stop_sequence", "stop_sequence": "끝"}] * 2


def test_a_message_that_calls_a_tool_ends_in_its_use_also_where_the_provider_says_stop() -> None:
    """OpenAI does where the client had named the function; a client would not run it."""
    function = {"name": "f", "arguments": "{}"}
    called = {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": function}]}
    choice = {"index": 0, "delta": called, "finish_reason": "stop"}
    shown = shown_by_its_own_surface(
        [sse({"id": "x", "model": "m", "choices": [choice]}, "[DONE]")], deployment()
    )
    assert shown == [{"stop_reason": "tool_use", "stop_sequence": None}] * 2


def test_a_split_of_cache_writes_that_contradicts_their_sum_is_flagged() -> None:
    split = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1}
    raw = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 9, "cache_creation": split}
    assert report_of(raw).usage.quarantined


def test_tokens_of_another_model_on_the_way_are_flagged() -> None:
    iterations = [{"type": "advisor_message", "model": "claude-opus", "input_tokens": 9, "output_tokens": 1}]
    assert report_of({"input_tokens": 1, "output_tokens": 1, "iterations": iterations}).usage.quarantined
