"""OpenAI Responses: nothing is kept at the provider, and every kind of item is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from billing.usage import Usage
from gateway.domain import ChatRequest, Message, Reasoning, Text, ToolCall
from gateway.errors import (
    InvalidRequest,
    UnsupportedFeature,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from gateway.providers import adapter
from gateway.surfaces import messages, responses
from tests.providers.conversation import FORM, PARAMETERS, WEATHER
from tests.providers.exchanges import ask, deployment, sent, sse, streamed, text_of, whole

HERE = deployment("responses", upstream_model="gpt-5.1")


# --- requests ------------------------------------------------------------------------------------


def test_what_is_sent_is_what_its_own_client_would_send() -> None:
    asked = {k: v for k, v in PARAMETERS.items() if k != "stop"}
    body = sent(ask(**asked, stream=True, response_format=FORM, reasoning_effort="low"), HERE)
    TypeAdapter(ResponseCreateParams).validate_python(body)
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]
    assert [item["type"] for item in body["input"]] == [
        *("message", "message", "message", "message"),
        *("function_call", "function_call", "function_call_output", "function_call_output", "message"),
    ]
    assert body["max_output_tokens"] == 4000
    assert "temperature" not in body


def test_a_tool_is_not_strict_unless_the_client_said_so() -> None:
    assert sent(ask(tools=(WEATHER,)), HERE)["tools"][0]["strict"] is False


CALLS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "두 곳의 날씨는?"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "ENC"},
    {"type": "message", "role": "assistant", "content": "찾아보겠습니다."},
    {"type": "function_call", "call_id": "a", "name": "get_weather", "arguments": '{"city":"서울"}'},
    {"type": "function_call", "call_id": "b", "name": "get_weather", "arguments": '{"city":"부산"}'},
    {"type": "function_call_output", "call_id": "a", "output": "맑음"},
    {"type": "function_call_output", "call_id": "b", "output": "비"},
    {"type": "message", "role": "assistant", "content": "서울은 맑습니다."},
    {"type": "message", "role": "assistant", "content": "부산은 비가 옵니다."},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "고마워"}]},
]


def test_items_of_its_own_surface_arrive_as_they_were_sent() -> None:
    assert sent(responses.parse({"model": "m", "input": CALLS}), HERE)["input"] == CALLS


@pytest.mark.parametrize("first", [1, 2, 3])
def test_what_was_said_in_one_turn_is_one_message_in_the_chat_format(first: int) -> None:
    asked = {"model": "m", "input": [CALLS[0], *CALLS[first:7]]}
    written = sent(responses.parse(asked), deployment(profile="deepseek"))["messages"]
    assert [m["role"] for m in written] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in written[1]["tool_calls"]] == ["a", "b"]
    assert written[1]["content"] == (None if first == 3 else "찾아보겠습니다.")


def test_where_it_goes() -> None:
    assert adapter("responses").request(ask(), HERE).url == "https://provider.example/v1/responses"


@pytest.mark.parametrize("asked", [{"n": 2}, {"stop": ("끝",)}, {"max_output_tokens": 5}])
def test_what_would_change_the_answer_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFeature):
        adapter("responses").request(ask(**asked), HERE)


def test_what_the_format_lacks_is_dropped_and_named() -> None:
    request = adapter("responses").request(ask(seed=1, top_k=2, frequency_penalty=0.1, temperature=0.1), HERE)
    assert request.dropped == ("frequency_penalty", "seed", "temperature", "top_k")


def test_log_probabilities_are_asked_for_by_name() -> None:
    body = sent(ask(logprobs=True, top_logprobs=2), deployment("responses", upstream_model="gpt-4.1"))
    assert body["include"] == ["message.output_text.logprobs"]
    assert body["top_logprobs"] == 2


FOUR_ONE = deployment("responses", upstream_model="gpt-4.1")


def asked_in_its_own_words(**more: Any) -> ChatRequest:
    return responses.parse({"model": "m", "input": "가"} | more)


@pytest.mark.parametrize(
    "said",
    [
        {"text": {"verbosity": "low"}},
        {"text": {"verbosity": "low", "format": {"type": "json_object"}}},
        {"reasoning": {"summary": "detailed"}},
        {"reasoning": {"effort": "low", "summary": "concise"}},
        {"include": ["message.output_text.logprobs"]},
        {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
        {"truncation": "auto"},
        {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]},
        {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}]},
    ],
)
def test_what_its_own_surface_says_reaches_it_as_it_was_said(said: dict[str, Any]) -> None:
    request = adapter("responses").request(asked_in_its_own_words(**said), FOUR_ONE)
    body = json.loads(request.body)
    assert said.items() <= body.items()
    assert request.dropped == ()


def test_what_only_this_dialect_has_is_named_where_it_is_left_out() -> None:
    said = {"text": {"verbosity": "low"}, "truncation": "auto", "include": ["file_search_call.results"]}
    asked = asked_in_its_own_words(**said)
    assert adapter("openai").request(asked, deployment()).dropped == ("include", "text", "truncation")
    assert adapter("gemini").request(asked, deployment("gemini")).dropped == ("include", "text", "truncation")


@pytest.mark.parametrize("wire", ["openai", "anthropic", "gemini", "bedrock", "cohere"])
def test_a_summary_without_an_effort_is_named_where_it_is_left_out(wire: str) -> None:
    there = deployment(wire, base_url="https://bedrock-runtime.us-east-1.amazonaws.com")

    def dropped(**reasoning: str) -> tuple[str, ...]:
        return adapter(wire).request(asked_in_its_own_words(reasoning=reasoning), there).dropped

    assert dropped(summary="detailed") == ("reasoning.summary",)
    assert "reasoning.summary" in dropped(effort="none", summary="auto")
    assert "reasoning.summary" not in dropped(effort="high", summary="auto"), "what is thought is shown"


@pytest.mark.parametrize("wire", ["openai", "gemini", "cohere", "responses"])
def test_what_only_claude_is_asked_is_named_where_it_is_left_out(wire: str) -> None:
    said = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "가"}]}
    own = {"thinking": {"type": "adaptive"}, "output_config": {"speed": "fast"}}
    request = adapter(wire).request(messages.parse({**said, **own}), deployment(wire))
    assert request.dropped == ("output_config.speed", "thinking")


def test_what_is_to_be_included_is_a_list_of_names() -> None:
    with pytest.raises(InvalidRequest):
        asked_in_its_own_words(include=[{}])


@pytest.mark.parametrize("said", [{}, {"include": ["message.output_text.logprobs"]}])
def test_the_chat_format_gives_the_most_probable_only_with_probabilities(said: dict[str, Any]) -> None:
    body = sent(asked_in_its_own_words(top_logprobs=2, **said), deployment())
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert "top_logprobs" not in sent(asked_in_its_own_words(top_logprobs=0), deployment())


# --- answers -------------------------------------------------------------------------------------

USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 29,
}
OUTPUT = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "음"}],
        "encrypted_content": "E",
    },
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    {
        "type": "message",
        "id": "m_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "안녕", "annotations": []}],
    },
    {"type": "function_call", "id": "f_1", "call_id": "c_1", "name": "f", "arguments": '{"city":"서울"}'},
]


def response(status: str = "completed", **changes: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 7,
        "model": "gpt-x",
        "status": status,
        "output": OUTPUT,
        "usage": USAGE,
        "service_tier": "default",
        "error": None,
        **changes,
    }


def event(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **members}


STREAM = [
    event("created", response=response("in_progress", output=[], usage=None)),
    event("output_item.added", output_index=0, item={"type": "reasoning", "id": "rs_1", "summary": []}),
    event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="음"),
    event("output_item.done", output_index=0, item=OUTPUT[0]),
    event("output_item.done", output_index=1, item=OUTPUT[1]),
    event("output_item.added", output_index=2, item={"type": "message", "content": []}),
    event("output_text.delta", output_index=2, content_index=0, delta="안", logprobs=[]),
    event("output_text.delta", output_index=2, content_index=0, delta="녕", logprobs=[]),
    event("output_item.done", output_index=2, item=OUTPUT[2]),
    event("output_item.added", output_index=3, item={**OUTPUT[3], "arguments": ""}),
    event("function_call_arguments.delta", output_index=3, delta='{"city":'),
    event("function_call_arguments.delta", output_index=3, delta='"서울"}'),
    event("output_item.done", output_index=3, item=OUTPUT[3]),
    event("completed", response=response()),
]


def test_a_stream_and_a_whole_answer_say_and_cost_the_same() -> None:
    _, from_stream, failure = streamed([sse(*STREAM)], HERE)
    from_body = whole(response(), HERE)
    assert from_stream == from_body
    assert failure is None
    assert from_body.choices[0].parts == (
        Reasoning("음", "E", None, {"id": "rs_1"}),
        Text("안녕"),
        ToolCall("c_1", "f", '{"city":"서울"}'),
    )
    assert from_body.choices[0].finish_reason == "tool_calls"
    assert from_body.report is not None
    assert from_body.report.usage == Usage(input=12, cache_read=8, output=5, reasoning=4, searches=1)


def test_proven_reasoning_goes_back_as_it_came() -> None:
    said = whole(response(), HERE).choices[0].parts
    chat = ask(
        messages=(Message("user", (Text("가"),)), Message("assistant", said), Message("user", (Text("나"),)))
    )
    item = sent(chat, HERE)["input"][1]
    assert item == {**OUTPUT[0]}


def test_a_server_that_streams_only_the_end_is_read() -> None:
    deltas, completion, _ = streamed([sse(STREAM[0], STREAM[-1])], HERE)
    assert "".join(d.text for d in deltas) == "안녕"
    assert completion is not None
    assert completion.complete


def test_an_answer_that_hit_its_limit_says_so() -> None:
    body = response("incomplete", incomplete_details={"reason": "max_output_tokens"}, output=OUTPUT[2:3])
    completion = whole(body, HERE)
    assert completion.choices[0].finish_reason == "length"
    assert completion.complete


def test_a_failed_response_is_an_error_and_keeps_what_was_used() -> None:
    failed = response("failed", error={"code": "server_error", "message": "x"}, output=[])
    _, completion, failure = streamed([sse(*STREAM[:8], event("failed", response=failed))], HERE)
    assert isinstance(failure, UpstreamUnavailable)
    assert completion is not None
    assert not completion.complete
    assert text_of(completion) == "안녕"
    assert completion.report is not None


def test_an_error_event_is_an_error() -> None:
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "x", "param": None}
    *_, failure = streamed([sse(STREAM[0], error)], HERE)
    assert isinstance(failure, UpstreamRateLimited)


def test_a_stream_without_its_end_is_incomplete() -> None:
    _, completion, _ = streamed([sse(*STREAM[:-1])], HERE)
    assert completion is not None
    assert not completion.complete
    assert completion.choices[0].finish_reason is None


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"output":5}', b'{"output":[{}]}', b""])
def test_a_body_of_another_kind_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        whole(body, HERE)


def test_an_answer_that_is_asked_for_before_its_end_is_incomplete() -> None:
    completion = whole(response("in_progress", output=[], usage=None), HERE)
    assert (completion.complete, completion.report) == (False, None)


def test_a_refusal_is_no_text() -> None:
    refused = {"type": "message", "content": [{"type": "refusal", "refusal": "안 됩니다"}]}
    choice = whole(response(output=[refused]), HERE).choices[0]
    assert (choice.parts, choice.refusal) == ((), "안 됩니다")


@pytest.mark.parametrize(
    "extra",
    [{"include": [{}]}, {"include": 5}, {"text": 5}, {"text": [1]}, {"max_tool_calls": "2"}],
)
def test_a_field_of_this_api_that_a_chat_client_sends_in_another_shape_is_named(
    extra: dict[str, Any],
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        adapter("responses").request(ask(extra=extra), HERE)
    assert refused.value.param == next(iter(extra))


# --- the second turn -----------------------------------------------------------------------------

ANOTHER = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "E2"}
TWO_THOUGHTS = [
    *STREAM[:4],
    event("output_item.added", output_index=1, item={**ANOTHER, "encrypted_content": None}),
    event("output_item.done", output_index=1, item=ANOTHER),
    event("output_text.delta", output_index=2, content_index=0, delta="안녕", logprobs=[]),
    event("completed", response=response()),
]


def heard(pieces: list[bytes], to: Any) -> list[dict[str, Any]]:
    """Return the items of an answer that was streamed, as a client of this dialect puts them together."""
    deltas, _, _ = streamed(pieces, to)
    encoder = responses.StreamEncoder("m", "1", 0, include_usage=True)
    sent_on = encoder.deltas(deltas) + encoder.end(None)
    events = [json.loads(line[6:]) for line in sent_on.decode().splitlines() if line.startswith("data: ")]
    for one in events:
        TypeAdapter(ResponseStreamEvent).validate_python(one)
    assert [e["item"] for e in events if e["type"] == "response.output_item.done"] == (
        events[-1]["response"]["output"]
    )
    return list(events[-1]["response"]["output"])


def asked_again(items: list[dict[str, Any]]) -> ChatRequest:
    before, after = ({"role": "user", "content": text} for text in ("가", "나"))
    return responses.parse({"model": "m", "input": [before, *items, after]})


def thoughts(chat: ChatRequest) -> list[Reasoning]:
    return [part for message in chat.messages for part in message.parts if isinstance(part, Reasoning)]


def test_a_streamed_thought_goes_back_as_it_came() -> None:
    given = heard([sse(*TWO_THOUGHTS)], HERE)
    assert [item for item in sent(asked_again(given), HERE)["input"] if item["type"] == "reasoning"] == [
        OUTPUT[0],
        ANOTHER,
    ]


def test_a_client_may_leave_the_id_of_a_thought_out() -> None:
    given = [{k: v for k, v in item.items() if k != "id"} for item in heard([sse(*TWO_THOUGHTS)], HERE)]
    written = [item for item in sent(asked_again(given), HERE)["input"] if item["type"] == "reasoning"]
    assert [item["encrypted_content"] for item in written] == ["E", "E2"]
    assert not any("id" in item for item in written)


CLAUDE = deployment("anthropic", "anthropic", upstream_model="claude-sonnet-4-5")
CLAUDES = [
    {"type": "thinking", "thinking": "음", "signature": "SIG"},
    {"type": "redacted_thinking", "data": "R"},
    {"type": "thinking", "thinking": "", "signature": "SIG2"},
    {"type": "text", "text": "안녕"},
]


def of_claude(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "1", "model": "m", "usage": {"input_tokens": 1}}}
    ]
    for index, block in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": _empty(block)})
        pieces = {k: v for k, v in block.items() if k in {"thinking", "text", "signature"} and v}
        for name, value in pieces.items():
            delta = {"type": f"{name}_delta", name: value}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    return [
        *events,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    return {k: "" if k in {"thinking", "text", "signature"} else v for k, v in block.items()}


@pytest.mark.parametrize("stream", [True, False])
def test_claudes_thought_comes_back_through_this_dialect_with_its_proof(stream: bool) -> None:
    if stream:
        given = heard([sse(*of_claude(*CLAUDES))], CLAUDE)
    else:
        body = {"id": "1", "model": "m", "content": CLAUDES, "stop_reason": "end_turn", "usage": {}}
        given = json.loads(responses.encode(whole(body, CLAUDE), "m", "1", 0))["output"]
    assert sent(asked_again(given), CLAUDE)["messages"][1] == {"role": "assistant", "content": CLAUDES}
    items = sent(asked_again(given), HERE)["input"]
    assert "reasoning" not in [item["type"] for item in items], "OpenAI refuses the proof of another"


@pytest.mark.parametrize("stream", [True, False])
def test_a_thought_of_openai_comes_back_through_messages_with_its_id(stream: bool) -> None:
    if stream:
        deltas, _, _ = streamed([sse(*TWO_THOUGHTS)], HERE)
        encoder = messages.StreamEncoder("m", "1", 0, include_usage=True)
        given = blocks_of(encoder.deltas(deltas) + encoder.end(None))
    else:
        answer = whole(response(output=[OUTPUT[0], ANOTHER, OUTPUT[2]]), HERE)
        given = json.loads(messages.encode(answer, "m", "1", 0))["content"]
    turns = [("user", "가"), ("assistant", given), ("user", "나")]
    asked = {"model": "m", "max_tokens": 99, "messages": [{"role": r, "content": c} for r, c in turns]}
    items = sent(messages.parse(asked), HERE)["input"]
    assert [item for item in items if item["type"] == "reasoning"] == [OUTPUT[0], ANOTHER]
    assert [b["type"] for b in sent(messages.parse(asked), CLAUDE)["messages"][1]["content"]] == ["text"]
    gemini = deployment("gemini", "gemini", upstream_model="gemini-2.5-pro")
    assert "thoughtSignature" not in json.dumps(sent(messages.parse(asked), gemini)), "Google refuses it, too"


def blocks_of(stream: bytes) -> list[dict[str, Any]]:
    """Return the blocks of a streamed message, as a client of that dialect puts them together."""
    blocks: list[dict[str, Any]] = []
    for one in (json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: ")):
        if one["type"] == "content_block_start":
            blocks.append(dict(one["content_block"]))
        elif one["type"] == "content_block_delta":
            name = one["delta"]["type"].removesuffix("_delta")
            blocks[one["index"]][name] += one["delta"][name]
    return blocks
