"""The OpenAI chat format: what is sent to each provider, and what is read from it."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from billing.usage import Usage
from gateway.domain import (
    Audio,
    Delta,
    File,
    Image,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolResult,
)
from gateway.errors import UnsupportedFeature, UpstreamProtocolError, UpstreamRateLimited, UpstreamRejected
from gateway.providers import adapter
from gateway.providers.openai_answers import _Growing
from gateway.providers.openai_usage import report_of
from gateway.providers.profiles import PROFILES
from gateway.surfaces import messages
from tests.providers.exchanges import ask, deployment, sent, sse, streamed, text_of, whole

WEATHER = Tool("get_weather", "날씨", {"type": "object", "properties": {"city": {"type": "string"}}})
PNG = "data:image/png;base64,iVBORw0KGgo="
CONVERSATION = (
    Message("developer", (Text("짧게 답하세요."),)),
    Message("user", (Text("이 그림의 도시는?"), Image(PNG, "low"))),
    Message("assistant", (Reasoning("그림을 보니"), ToolCall("c1", "get_weather", '{"city":"서울"}'))),
    Message("tool", (ToolResult("c1", (Text("맑음"),)),)),
    Message("user", (Audio("UklGRg==", "wav"), File("a.pdf", "data:application/pdf;base64,JVBERi0="))),
)
EVERYTHING = {
    "messages": CONVERSATION,
    "tools": (WEATHER,),
    "tool_choice": ToolChoice("named", "get_weather"),
    "parallel_tool_calls": False,
    "response_format": ResponseFormat("json_schema", "answer", {"type": "object"}, strict=True),
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "stop": ("끝",),
    "seed": 7,
    "n": 2,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"50256": -100},
    "user": "총무과",
    "metadata": {"k": "v"},
    "stream": True,
}


def chunk(**delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": delta.pop("finish_reason", None)}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


END = {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


# --- requests ------------------------------------------------------------------------------------


def test_what_is_sent_to_openai_is_what_its_own_client_would_send() -> None:
    body = sent(ask(**EVERYTHING), deployment())
    TypeAdapter(CompletionCreateParamsStreaming).validate_python(body)
    assert body["model"] == "their-name"
    assert body["max_completion_tokens"] == 100
    assert body["stream_options"] == {"include_usage": True}
    assert body["messages"][0]["role"] == "developer"


def test_nothing_is_kept_at_a_provider_even_if_the_client_asks_for_it() -> None:
    assert sent(ask(extra={"store": True}), deployment())["store"] is False


def test_fields_that_only_the_provider_knows_pass_through() -> None:
    body = sent(ask(extra={"prediction": {"type": "content", "content": "x"}}), deployment())
    assert body["prediction"] == {"type": "content", "content": "x"}


def test_the_gateways_own_fields_cannot_be_overwritten_by_the_client() -> None:
    extra = {"model": "other", "stream": True, "stream_options": {"include_usage": False}, "messages": []}
    body = sent(ask(extra=extra), deployment())
    assert body["model"] == "their-name"
    assert "stream" not in body
    assert len(body["messages"]) == 1


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_what_a_provider_lacks_is_dropped_and_named(name: str) -> None:
    profile = PROFILES[name]
    asked = {k: v for k, v in EVERYTHING.items() if k not in profile.refuses and k != "response_format"}
    asked |= {"n": 1} if "n" in profile.refuses else {}
    request = adapter("openai").request(ask(**asked), deployment(profile=name))
    body = json.loads(request.body)
    assert set(request.dropped) == {n for n in asked if n in profile.lacks}
    assert not profile.lacks & body.keys()
    assert body["stream"] is True
    assert ("stream_options" in body) is profile.stream_options


@pytest.mark.parametrize(
    ("name", "asked", "param"),
    [
        ("groq", {"n": 2}, "n"),
        ("upstage", {"logprobs": True}, "logprobs"),
        ("perplexity", {"tools": (WEATHER,)}, "tools"),
        ("deepseek", {"response_format": ResponseFormat("json_schema", "a", {})}, "response_format"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(
    name: str, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        adapter("openai").request(ask(**asked), deployment(profile=name))
    assert refused.value.param == param


def test_what_asks_for_nothing_is_no_reason_to_refuse() -> None:
    assert "logprobs" not in sent(ask(logprobs=False), deployment(profile="groq"))


def test_reasoning_models_get_no_sampling_parameters() -> None:
    request = adapter("openai").request(
        ask(temperature=0.1, reasoning_effort="low"), deployment(upstream_model="gpt-5.1")
    )
    assert request.dropped == ("temperature",)
    assert json.loads(request.body)["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("openrouter", {"reasoning": {"effort": "high"}, "usage": {"include": True}}),
        ("zai", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        ("mistral", {"reasoning_effort": "high"}),
    ],
)
def test_reasoning_is_asked_for_in_the_providers_words(profile: str, expected: dict[str, Any]) -> None:
    assert expected.items() <= sent(ask(reasoning_effort="high"), deployment(profile=profile)).items()


@pytest.mark.parametrize(
    ("changes", "url", "headers"),
    [
        ({}, "https://provider.example/v1/chat/completions", {"authorization": "Bearer sk-our-own"}),
        (
            {
                "profile": "azure",
                "base_url": "https://r.openai.azure.com",
                "options": {"api_version": "2025-01-01"},
            },
            "https://r.openai.azure.com/openai/deployments/their-name/chat/completions?api-version=2025-01-01",
            {"api-key": "sk-our-own"},
        ),
        (
            {"profile": "azure", "base_url": "https://r.openai.azure.com/openai/v1/"},
            "https://r.openai.azure.com/openai/v1/chat/completions",
            {"api-key": "sk-our-own"},
        ),
    ],
)
def test_where_it_goes_and_as_whom(changes: dict[str, Any], url: str, headers: dict[str, str]) -> None:
    request = adapter("openai").request(ask(), deployment(**changes))
    assert request.url == url
    assert headers.items() <= request.headers.items()
    assert "sk-our-own" not in repr(request)


def test_images_in_a_tool_result_follow_it_as_a_message() -> None:
    messages = (
        Message("assistant", (ToolCall("c1", "f", "{}"),)),
        Message("tool", (ToolResult("c1", (Text("그림"), Image(PNG))),)),
    )
    body = sent(ask(messages=messages), deployment())
    assert [m["role"] for m in body["messages"]] == ["assistant", "tool", "user"]
    assert body["messages"][1]["content"] == "그림"
    assert body["messages"][2]["content"][0]["image_url"]["url"] == PNG


def test_nothing_stands_between_the_results_of_parallel_calls() -> None:
    def result(call: str, content: Any) -> dict[str, Any]:
        return {"type": "tool_result", "tool_use_id": call, "content": content}

    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    calls = [{"type": "tool_use", "id": id_, "name": "f", "input": {}} for id_ in "abc"]
    results = [result("a", [picture]), result("b", "둘"), result("c", [picture])]
    asked = {
        "model": "m",
        "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "가"},
            {"role": "assistant", "content": calls},
            {"role": "user", "content": [*results, {"type": "text", "text": "어때?"}]},
        ],
    }
    written = sent(messages.parse(asked), deployment())["messages"]
    assert [m["role"] for m in written] == ["user", "assistant", "tool", "tool", "tool", "user", "user"]
    assert [part["type"] for part in written[5]["content"]] == ["image_url", "image_url"]
    assert written[6]["content"] == "어때?"


def test_a_hosted_tool_of_another_provider_is_refused() -> None:
    hosted = Tool("web_search", extra={"type": "web_search_20250305"})
    with pytest.raises(UnsupportedFeature, match="web_search_20250305"):
        adapter("openai").request(ask(tools=(hosted,)), deployment())


@pytest.mark.parametrize(
    ("profile", "expected"),
    [("openai", None), ("deepseek", "reasoning_content"), ("groq", "reasoning"), ("mistral", "content")],
)
def test_earlier_reasoning_goes_back_only_where_it_is_wanted(profile: str, expected: str | None) -> None:
    messages = (Message("assistant", (Reasoning("생각"), Text("답"))), Message("user", (Text("왜?"),)))
    written = sent(ask(messages=messages), deployment(profile=profile))["messages"][0]
    assert ("생각" in json.dumps(written, ensure_ascii=False)) is (expected is not None)
    assert expected is None or "생각" in json.dumps(written[expected], ensure_ascii=False)


def test_members_of_another_dialect_are_left_out_and_fields_of_it_are_named() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    chat = ask(
        messages=(
            Message("user", (Text("가", mark),)),
            Message("assistant", (Text("나"),), extra={"annotations": [], "refusal": None, "audio": None}),
            Message("user", (Text("다"),)),
        ),
        tools=(Tool("f", extra=mark),),
        extra={"mcp_servers": [], "truncation": "auto", "prediction": {"type": "content", "content": "x"}},
    )
    request = adapter("openai").request(chat, deployment(profile="mistral"))
    body = json.loads(request.body)
    assert body["messages"] == [
        {"role": "user", "content": "가"},
        {"role": "assistant", "content": "나"},
        {"role": "user", "content": "다"},
    ]
    assert "cache_control" not in body["tools"][0]
    assert request.dropped == ("mcp_servers", "truncation")
    assert "prediction" in body
    assert sent(chat, deployment(profile="openrouter"))["messages"][0]["content"][0]["cache_control"]


def test_an_effort_is_not_sent_to_a_model_that_cannot_reason() -> None:
    assert adapter("openai").request(
        ask(reasoning_effort="none"), deployment(upstream_model="gpt-4.1")
    ).dropped == ("reasoning_effort",)


# --- answers -------------------------------------------------------------------------------------


def test_a_stream_and_a_whole_answer_say_and_cost_the_same() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"도시":"서울"}'}}
    stream = sse(
        chunk(role="assistant", content="", reasoning_content="음"),
        chunk(content="안녕"),
        chunk(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"도시":'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '"서울"}'}}]),
        {**END, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {**END, "choices": [], "usage": usage},
        "[DONE]",
    )
    message = {"role": "assistant", "content": "안녕", "reasoning_content": "음", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    _, from_stream, _ = streamed([stream], deployment())
    from_body = whole(
        {"id": "c", "created": 1, "model": "m", "choices": [choice], "usage": usage}, deployment()
    )
    assert from_stream == from_body
    assert from_body.report is not None
    assert from_body.report.usage == Usage(input=10, output=4)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("[DONE] missing", (END,)),
        ("[DONE] doubled", (END, "[DONE]", "[DONE]")),
        ("usage null", ({**END, "usage": None}, "[DONE]")),
        ("a comment", (END,)),
    ],
)
def test_ends_that_providers_write_are_ends(name: str, end: tuple[Any, ...]) -> None:
    _, completion, failure = streamed([sse(chunk(content="답")) + b": x\n\n" + sse(*end)], deployment())
    assert completion is not None
    assert completion.complete, name
    assert (text_of(completion), completion.choices[0].finish_reason) == ("답", "stop")
    assert (completion.report, failure) == (None, None)


def test_a_last_event_without_its_newlines_still_counts() -> None:
    _, completion, _ = streamed([sse(chunk(content="답"), END).removesuffix(b"\n\n")], deployment())
    assert completion is not None
    assert completion.complete


def test_a_stream_cut_in_its_middle_is_incomplete_and_invents_no_end() -> None:
    stream = sse(chunk(content="안녕하"), END)
    deltas, completion, _ = streamed([stream[: len(stream) - 60]], deployment())
    assert deltas == [Delta(0, "안녕하")]
    assert completion is not None
    assert not completion.complete
    assert completion.choices[0].finish_reason is None


def test_a_broken_stream_keeps_the_usage_that_came_with_its_chunks() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    later = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    stream = sse({**chunk(content="가"), "usage": usage}, {**chunk(content="나"), "usage": later})
    _, completion, _ = streamed([stream], deployment(profile="vllm"))
    assert completion is not None
    assert completion.report is not None
    assert completion.report.partial
    assert completion.report.usage == Usage(input=5, output=2)


def test_an_error_event_does_not_swallow_what_came_before_it() -> None:
    error = {"error": {"message": "secret prompt", "type": "rate_limit_error", "code": 429}}
    decoder = adapter("openai").Decoder(deployment(), stream=True)
    assert decoder.feed(sse(chunk(content="앞"), error)) == [Delta(0, "앞")]
    with pytest.raises(UpstreamRateLimited) as raised:
        decoder.feed(b"")
    assert "secret" not in raised.value.english + raised.value.korean
    assert not decoder.finish().complete


def test_a_json_error_instead_of_a_stream_is_that_error() -> None:
    body = b'{"error":{"message":"no such model","code":"model_not_found","type":"invalid_request_error"}}'
    for pieces in ([body], [body[:20], body[20:]]):
        deltas, completion, error = streamed(pieces, deployment())
        assert (deltas, completion) == ([], None)
        assert isinstance(error, UpstreamRejected)


def test_a_server_that_ignores_stream_is_read_all_the_same() -> None:
    choice = {"index": 0, "message": {"content": "통째로"}, "finish_reason": "stop"}
    deltas, completion, _ = streamed([json.dumps({"id": "c", "choices": [choice]}).encode()], deployment())
    assert [d.text for d in deltas] == ["통째로"]
    assert completion is not None
    assert completion.complete


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b'{"id":"c","choices":[',
        b"[]",
        b"null",
        b'{"choices":5}',
        b"\xff\xfe",
        b'"x"',
    ],
)
def test_a_body_of_another_kind_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        whole(body, deployment())


@pytest.mark.parametrize("event", ["{not json", "5", '{"choices":7}', '{"choices":[3]}', '"text"', "null"])
def test_an_event_of_another_kind_is_a_protocol_error(event: str) -> None:
    deltas, completion, error = streamed([sse(chunk(content="앞"), event)], deployment())
    assert [d.text for d in deltas] == ["앞"]
    assert isinstance(error, UpstreamProtocolError)
    assert completion is not None
    assert not completion.complete


def test_invalid_utf_8_in_an_event_is_a_protocol_error() -> None:
    *_, error = streamed([b'data: {"choices":[{"delta":{"content":"\xed\x95"}}]}\n\n'], deployment())
    assert isinstance(error, UpstreamProtocolError)


def test_calls_that_all_bear_index_0_are_told_apart_by_their_ids() -> None:
    def call(id_: str, **function: str) -> dict[str, Any]:
        return chunk(tool_calls=[{"index": 0, "id": id_, "function": function}])

    stream = sse(call("a", name="f", arguments="{}"), call("b", name="g", arguments="{}"), END)
    deltas, completion, _ = streamed([stream], deployment(profile="ollama"))
    assert [d.tool_calls[0].index for d in deltas[:2]] == [0, 1]
    assert completion is not None
    assert completion.choices[0].parts == (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))


def test_fragments_without_an_index_belong_to_the_call_before_them() -> None:
    first = {"id": "a", "function": {"name": "f", "arguments": '{"x"'}}
    stream = sse(chunk(tool_calls=[first]), chunk(tool_calls=[{"function": {"arguments": ":1}"}}]), END)
    _, completion, _ = streamed([stream], deployment())
    assert completion is not None
    assert completion.choices[0].parts == (ToolCall("a", "f", '{"x":1}'),)


def test_an_empty_finish_reason_is_no_end() -> None:
    early = {"choices": [{"index": 0, "delta": {"content": "가"}, "finish_reason": ""}]}
    deltas, completion, _ = streamed([sse(early)], deployment())
    assert deltas == [Delta(0, "가")]
    assert completion is not None
    assert not completion.complete


def test_sound_and_its_text_grow_piece_by_piece() -> None:
    pieces = [{"id": "a", "data": "QUI=", "transcript": "하"}, {"data": "QUI=", "transcript": "하"}]
    _, completion, _ = streamed([sse(*(chunk(audio=piece) for piece in pieces), END)], deployment())
    assert completion is not None
    assert completion.choices[0].extra == {"audio": {"id": "a", "data": "QUI=QUI=", "transcript": "하하"}}


def test_an_answer_of_many_pieces_is_not_copied_once_for_each() -> None:
    """20,000 pieces of sound held the event loop for eight seconds."""
    sound = chunk(audio={"data": "A" * 100, "transcript": "하"})
    sound["choices"][0]["logprobs"] = {"content": [{"token": "하"}]}
    pieces = [sse(*[sound] * 100)] * 200
    began = time.process_time()
    _, completion, _ = streamed([*pieces, sse(END)], deployment())
    assert time.process_time() - began < 4  # measured 0.5 s
    assert completion is not None
    grown = completion.choices[0]
    assert grown.extra == {"audio": {"data": "A" * 2_000_000, "transcript": "하" * 20_000}}
    assert grown.logprobs == {"content": [{"token": "하"}] * 20_000}


@given(
    st.lists(
        st.recursive(
            st.none() | st.sampled_from(["가", "b"]) | st.integers(0, 1),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["data", "transcript", "id"]), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=9,
    )
)
def test_pieces_grow_as_one_after_the_other(pieces: list[Any]) -> None:
    def grown(name: str, old: Any, new: Any) -> Any:
        match old, new:
            case str(), str() if name in {"data", "transcript"}:
                return old + new
            case list(), list():
                return old + new
            case dict(), dict():
                return old | {member: grown(member, old.get(member), new[member]) for member in new}
        return old if new is None else new

    growing, expected = _Growing(), None
    for piece in pieces:
        growing.add(piece)
        expected = grown("", expected, piece)
    assert growing.whole() == expected


def test_a_call_of_a_custom_tool_is_a_call() -> None:
    call = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    _, completion, _ = streamed([sse(chunk(tool_calls=[call]), END)], deployment())
    assert completion is not None
    assert completion.choices[0].parts == (ToolCall("a", "sh", "ls"),)


def test_an_id_that_is_repeated_in_every_fragment_is_said_once() -> None:
    fragments = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": piece}} for piece in ("{", "}")
    ]
    deltas, *_ = streamed([sse(*(chunk(tool_calls=[f]) for f in fragments), END)], deployment())
    assert [d.tool_calls for d in deltas[:2]] == [
        (ToolCallDelta(0, "a", "f", "{"),),
        (ToolCallDelta(0, None, None, "}"),),
    ]


def test_choices_grow_side_by_side() -> None:
    stream = sse(
        *({"choices": [{"index": i % 2, "delta": {"content": c}}]} for i, c in enumerate("가나다라"))
    )
    _, completion, _ = streamed([stream], deployment())
    assert completion is not None
    assert [c.parts for c in completion.choices] == [(Text("가다"),), (Text("나라"),)]


def test_the_thoughts_of_mistral_are_no_part_of_its_answer() -> None:
    thinking = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "음"}]},
        {"type": "text", "text": "답"},
    ]
    deltas, *_ = streamed([sse(chunk(content=thinking))], deployment(profile="mistral"))
    assert deltas == [Delta(0, "답", reasoning="음")]


@given(st.text(), st.lists(st.integers(0, 400)))
def test_tool_arguments_survive_any_cut_through_escapes_and_characters(
    arguments: str, cuts: list[int]
) -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}
    stream = sse(chunk(tool_calls=[call]), END)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    _, completion, _ = streamed(pieces, deployment())
    assert completion is not None
    assert completion.choices[0].parts == (ToolCall("a", "f", arguments),)


# --- usage ---------------------------------------------------------------------------------------


def usage_of(profile: str = "generic", **raw: Any) -> Usage:
    return report_of(raw, PROFILES[profile]).usage


def test_parts_of_a_whole_are_taken_out_of_it() -> None:
    usage = usage_of(
        prompt_tokens=100,
        completion_tokens=50,
        total_tokens=150,
        prompt_tokens_details={"cached_tokens": 60, "audio_tokens": 10},
        completion_tokens_details={"reasoning_tokens": 20, "audio_tokens": 5},
    )
    assert usage == Usage(input=30, cache_read=60, audio_input=10, output=25, reasoning=20, audio_output=5)
    assert (usage.input_tokens, usage.output_tokens) == (100, 50)


def test_null_absent_and_zero_are_three_things() -> None:
    usage = usage_of(prompt_tokens=1, completion_tokens=None, prompt_tokens_details={"cached_tokens": 0})
    assert (usage.output, usage.cache_read, usage.reasoning) == (None, 0, None)


def test_xai_counts_reasoning_beside_the_completion() -> None:
    raw = {"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 94}}
    for total in ({"total_tokens": 135}, {}):
        usage = usage_of("xai", **raw, **total)
        assert (usage.output, usage.reasoning, usage.quarantined) == (9, 94, False)


def test_perplexity_counts_reasoning_and_citations_beside_its_total() -> None:
    report = report_of(
        {
            "prompt_tokens": 33,
            "completion_tokens": 70,
            "total_tokens": 103,
            "reasoning_tokens": 500,
            "citation_tokens": 200,
            "num_search_queries": 3,
            "cost": {"input_tokens_cost": 0.001, "total_cost": 0.0213},
        },
        PROFILES["perplexity"],
    )
    assert report.usage == Usage(input=33, output=270, reasoning=500, searches=3)
    assert report.stated_cost_usd == Decimal("0.0213")


def test_deepseek_s_hits_and_misses_must_make_its_prompt() -> None:
    raw = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101, "prompt_cache_hit_tokens": 60}
    assert usage_of(**raw, prompt_cache_miss_tokens=40) == Usage(input=40, cache_read=60, output=1)
    assert usage_of(**raw, prompt_cache_miss_tokens=50).quarantined


def test_tokens_that_no_class_explains_are_flagged_and_priced_on_the_safe_side() -> None:
    usage = usage_of(prompt_tokens=10, completion_tokens=5, total_tokens=40)
    assert usage == Usage(input=10, output=30, quarantined=True)


def test_a_part_larger_than_its_whole_is_flagged_and_the_whole_stands() -> None:
    usage = usage_of(
        prompt_tokens=43,
        completion_tokens=10,
        total_tokens=53,
        completion_tokens_details={"reasoning_tokens": 11},
    )
    assert usage == Usage(input=43, output=0, reasoning=10, quarantined=True)


def test_a_figure_beyond_all_counts_is_no_figure() -> None:
    assert usage_of(prompt_tokens=10**30, completion_tokens=1) == Usage(output=1)


def test_negative_figures_are_flagged_and_never_reduce_a_charge() -> None:
    usage = usage_of(prompt_tokens=-5, completion_tokens=7, total_tokens=2)
    assert usage.quarantined
    assert usage.output == 7


@pytest.mark.parametrize(
    ("raw", "cost"),
    [
        ({"cost_in_usd_ticks": 37756000}, "0.0037756"),
        ({"cost": 0.0076509169}, "0.0076509169"),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0003253}}, "0.0003253"),
        ({"cost": 0.001, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.001}}, "0.001"),
    ],
)
def test_a_stated_cost_is_read_exactly(raw: dict[str, Any], cost: str) -> None:
    assert report_of({"prompt_tokens": 1, **raw}, PROFILES["generic"]).stated_cost_usd == Decimal(cost)


COUNT = st.none() | st.integers(-10, 10_000)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": COUNT,
            "completion_tokens": COUNT,
            "total_tokens": COUNT,
            "cached_tokens": COUNT,
            "prompt_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "image_tokens"]), COUNT),
            "completion_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(["reasoning_tokens", "audio_tokens"]), COUNT),
        },
    ),
    st.sampled_from(sorted(PROFILES)),
)
def test_any_statement_is_disjoint_and_unless_flagged_sums_to_its_total(
    raw: dict[str, Any], profile: str
) -> None:
    report = report_of(raw, PROFILES[profile])
    total = report.provider_total
    if not report.usage.quarantined and total is not None:
        assert report.usage.total_tokens == total
    if total is not None and total >= 0:
        assert report.usage.total_tokens >= total


def test_pieces_of_a_thought_become_one_thought_until_its_proof_ends_it() -> None:
    def piece(index: int, **members: Any) -> dict[str, Any]:
        details = [{"type": "reasoning.text", "index": index, **members}]
        return {"choices": [{"index": 0, "delta": {"reasoning_details": details}}]}

    events = [
        piece(0, text="900101", signature=None),
        piece(0, text="-1234568"),
        piece(0, signature="SIG"),
        piece(0, text="음"),
        piece(1, text="네"),
    ]
    _, completion, _ = streamed([sse(*events, "[DONE]")], deployment())
    assert completion is not None
    thoughts = completion.choices[0].extra["reasoning_details"]
    assert [(one["index"], one["text"], one.get("signature")) for one in thoughts] == [
        (0, "900101-1234568", "SIG"),
        (0, "음", None),
        (1, "네", None),
    ]
