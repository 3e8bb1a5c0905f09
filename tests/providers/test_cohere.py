"""Cohere v2: its words for the request, its billed units for the charge."""

from __future__ import annotations

from typing import Any

import pytest

from billing.usage import Usage
from gateway.domain import Reasoning, Text, ToolCall, ToolChoice
from gateway.errors import UnsupportedFeature, UpstreamProtocolError, UpstreamUnavailable
from gateway.providers import adapter
from tests.providers.conversation import FORM, MESSAGES, SCHEMA, TIME, WEATHER
from tests.providers.exchanges import ask, deployment, sent, sse, streamed, whole

HERE = deployment("cohere", "cohere", base_url="https://api.cohere.com", upstream_model="command-a")
DIALOGUE = tuple(m for m in MESSAGES if m is not MESSAGES[2])


def test_a_whole_conversation_in_coheres_words() -> None:
    body = sent(
        ask(
            messages=DIALOGUE, tools=(WEATHER,), max_output_tokens=9, top_p=0.5, top_k=4, stop=("끝",), seed=1
        ),
        HERE,
    )
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["system", "system", "assistant", "tool", "tool", "user"]
    assistant = body["messages"][2]
    assert assistant["content"][0] == {"type": "thinking", "thinking": "그림을 보니 서울이다"}
    assert [c["function"]["name"] for c in assistant["tool_calls"]] == ["get_weather", "get_time"]
    assert (body["p"], body["k"], body["seed"], body["max_tokens"]) == (0.5, 4, 1, 9)
    assert body["stop_sequences"] == ["끝"]
    assert body["stream"] is False


def test_a_schema_is_json_with_a_schema() -> None:
    body = sent(ask(response_format=FORM), HERE)
    assert body["response_format"] == {"type": "json_object", "json_schema": SCHEMA}


@pytest.mark.parametrize(
    ("tools", "choice", "expected"),
    [
        ((WEATHER, TIME), ToolChoice("required"), "REQUIRED"),
        ((WEATHER,), ToolChoice("named", "get_weather"), "REQUIRED"),
        ((WEATHER,), ToolChoice("none"), "NONE"),
        ((WEATHER,), ToolChoice("auto"), None),
        ((), ToolChoice("auto"), None),
    ],
)
def test_a_tool_choice_is_written_where_it_exists(
    tools: Any, choice: ToolChoice, expected: str | None
) -> None:
    assert sent(ask(tools=tools, tool_choice=choice), HERE).get("tool_choice") == expected


def test_one_named_tool_among_several_is_refused() -> None:
    with pytest.raises(UnsupportedFeature):
        adapter("cohere").request(
            ask(tools=(WEATHER, TIME), tool_choice=ToolChoice("named", "get_time")), HERE
        )


def test_what_is_missing_is_named_or_refused() -> None:
    assert adapter("cohere").request(ask(user="u", logit_bias={"1": 1}), HERE).dropped == (
        "logit_bias",
        "user",
    )
    with pytest.raises(UnsupportedFeature):
        adapter("cohere").request(ask(n=2), HERE)


@pytest.mark.parametrize("base", ["https://api.cohere.com", "https://api.cohere.com/v2"])
def test_where_it_goes(base: str) -> None:
    assert (
        adapter("cohere").request(ask(), deployment("cohere", base_url=base)).url
        == "https://api.cohere.com/v2/chat"
    )


USAGE = {
    "billed_units": {"input_tokens": 13, "output_tokens": 6},
    "tokens": {"input_tokens": 542, "output_tokens": 8},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"서울"}'}}
STREAM = [
    {"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant"}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "날씨를 "}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "본다"}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "안"}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "녕"}}}},
    {"type": "content-end", "index": 0},
    {
        "type": "tool-call-start",
        "index": 0,
        "delta": {"message": {"tool_calls": {**CALL, "function": {"name": "f", "arguments": ""}}}},
    },
    {
        "type": "tool-call-delta",
        "index": 0,
        "delta": {"message": {"tool_calls": {"function": {"arguments": '{"city":'}}}},
    },
    {
        "type": "tool-call-delta",
        "index": 0,
        "delta": {"message": {"tool_calls": {"function": {"arguments": '"서울"}'}}}},
    },
    {"type": "tool-call-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": USAGE}},
]
BODY = {
    "id": "r1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "tool_plan": "날씨를 본다",
        "content": [{"type": "text", "text": "안녕"}],
        "tool_calls": [CALL],
    },
    "usage": USAGE,
}


def test_a_stream_and_a_whole_answer_say_and_cost_the_same() -> None:
    _, from_stream, _ = streamed([sse(*STREAM)], HERE)
    from_body = whole(BODY, HERE)
    assert from_stream == from_body
    assert from_body.choices[0].parts == (
        Reasoning("날씨를 본다"),
        Text("안녕"),
        ToolCall("c1", "f", '{"city":"서울"}'),
    )
    assert from_body.report is not None
    assert from_body.report.usage == Usage(input=13, output=6)


def test_a_stream_without_its_end_is_incomplete() -> None:
    _, completion, _ = streamed([sse(*STREAM[:-1])], HERE)
    assert completion is not None
    assert not completion.complete


def test_an_answer_that_failed_on_the_way_is_an_error() -> None:
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "usage": USAGE}}
    _, completion, failure = streamed([sse(*STREAM[:6], end)], HERE)
    assert isinstance(failure, UpstreamUnavailable)
    assert completion is not None
    assert not completion.complete


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b'{"message":5}'])
def test_a_body_of_another_kind_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        whole(body, HERE)
