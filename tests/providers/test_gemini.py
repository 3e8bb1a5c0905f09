"""Gemini at AI Studio and Vertex: requests in its words, answers and counts in ours."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from billing.usage import Usage
from gateway.cache import as_deltas
from gateway.domain import Audio, Image, Message, ResponseFormat, Text, ToolCall, ToolChoice, ToolResult
from gateway.errors import UnsupportedFeature, UpstreamProtocolError, UpstreamRateLimited
from gateway.providers import adapter
from gateway.providers.gemini_answers import report_of
from gateway.surfaces import chat
from tests.providers.conversation import FORM, PARAMETERS, PNG, SCHEMA, WEATHER
from tests.providers.exchanges import ask, deployment, sent, sse, streamed, text_of, whole

STUDIO = "https://generativelanguage.googleapis.com"
VERTEX = "https://asia-northeast3-aiplatform.googleapis.com"
HERE = deployment("gemini", "gemini", base_url=STUDIO, upstream_model="gemini-2.5-flash")
NEWER = deployment("gemini", "gemini", base_url=STUDIO, upstream_model="gemini-3-pro-preview")


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "stream", "url", "headers"),
    [
        (
            {"base_url": STUDIO},
            False,
            f"{STUDIO}/v1beta/models/their-name:generateContent",
            {"x-goog-api-key": "sk-our-own"},
        ),
        (
            {"base_url": f"{STUDIO}/v1beta/"},
            True,
            f"{STUDIO}/v1beta/models/their-name:streamGenerateContent?alt=sse",
            {"x-goog-api-key": "sk-our-own"},
        ),
        (
            {
                "profile": "vertex",
                "base_url": VERTEX,
                "region": "asia-northeast3",
                "options": {"project": "seoul"},
            },
            False,
            f"{VERTEX}/v1/projects/seoul/locations/asia-northeast3/publishers/google/models/their-name:generateContent",
            {"authorization": "Bearer sk-our-own"},
        ),
    ],
)
def test_where_it_goes_and_as_whom(changes: Any, stream: bool, url: str, headers: dict[str, str]) -> None:
    request = adapter("gemini").request(
        ask(stream=stream), deployment("gemini", **{"profile": "gemini"} | changes)
    )
    assert request.url == url
    assert headers.items() <= request.headers.items()


def test_a_whole_conversation_in_geminis_words() -> None:
    body = sent(ask(**PARAMETERS, response_format=FORM, reasoning_effort="low"), HERE)
    assert [c["role"] for c in body["contents"]] == ["user", "model", "user"]
    assert [p["text"] for p in body["systemInstruction"]["parts"]] == ["공공기관 문체로 답하세요.", "짧게."]
    asked = body["contents"][0]["parts"]
    assert asked[1] == {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    assert asked[2] == {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}
    calls = [p["functionCall"] for p in body["contents"][1]["parts"] if "functionCall" in p]
    assert calls == [{"name": "get_weather", "args": {"city": "서울"}}, {"name": "get_time", "args": {}}]
    answers = [p["functionResponse"] for p in body["contents"][2]["parts"] if "functionResponse" in p]
    assert answers == [
        {"name": "get_weather", "response": {"output": "맑음"}},
        {"name": "get_time", "response": {"error": "고장"}},
    ]
    assert body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == SCHEMA
    wanted = {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}
    assert body["toolConfig"] == {"functionCallingConfig": wanted}
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 4000,
        "stopSequences": ["끝"],
        "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True},
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


def test_parameters_that_other_formats_lack_exist_here() -> None:
    chat = ask(
        n=2, seed=3, top_k=4, logprobs=True, top_logprobs=5, presence_penalty=0.1, frequency_penalty=0.2
    )
    request = adapter("gemini").request(chat, HERE)
    assert json.loads(request.body)["generationConfig"] == {
        "candidateCount": 2,
        "seed": 3,
        "topK": 4,
        "responseLogprobs": True,
        "logprobs": 5,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
    }
    assert request.dropped == ()


def test_json_without_a_schema_is_asked_for_as_json() -> None:
    body = sent(ask(response_format=ResponseFormat("json_object")), HERE)
    assert body["generationConfig"] == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("to", "effort", "expected"),
    [
        (HERE, "none", {"thinkingBudget": 0, "includeThoughts": False}),
        (HERE, "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        (NEWER, "low", {"thinkingLevel": "low", "includeThoughts": True}),
        (NEWER, "none", {"thinkingLevel": "minimal", "includeThoughts": False}),
    ],
)
def test_reasoning_is_a_budget_or_a_level_by_generation(
    to: Any, effort: str, expected: dict[str, Any]
) -> None:
    assert sent(ask(reasoning_effort=effort), to)["generationConfig"]["thinkingConfig"] == expected


def test_calls_of_gemini_3_go_back_with_their_signature_or_with_leave_to_have_none() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "SIG"}}}
    said = (ToolCall("x1", "f", "{}", signed), ToolCall("x2", "g", "{}"))
    chat = ask(messages=(Message("user", (Text("가"),)), Message("assistant", said)))
    signatures = [p["thoughtSignature"] for p in sent(chat, NEWER)["contents"][1]["parts"]]
    assert signatures == ["SIG", "skip_thought_signature_validator"]
    assert "thoughtSignature" not in sent(chat, HERE)["contents"][1]["parts"][1]


def test_sound_and_images_by_address_are_written() -> None:
    parts = (Audio("UklG", "wav"), Image("https://example.kr/a.png?x=1"))
    written = sent(ask(messages=(Message("user", parts),)), HERE)["contents"][0]["parts"]
    assert written[0] == {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}}
    assert written[1] == {"fileData": {"fileUri": "https://example.kr/a.png?x=1", "mimeType": "image/png"}}


def test_what_the_format_lacks_is_dropped_and_named() -> None:
    chat = ask(logit_bias={"1": 1}, user="u", metadata={"a": "b"}, parallel_tool_calls=True, extra={"x": 1})
    dropped = adapter("gemini").request(chat, HERE).dropped
    assert dropped == ("logit_bias", "metadata", "parallel_tool_calls", "user", "x")


def test_no_tool_is_declared_by_a_choice_alone() -> None:
    body = sent(ask(tool_choice=ToolChoice("required")), HERE)
    assert "toolConfig" not in body
    assert sent(ask(tools=(WEATHER,), tool_choice=ToolChoice("none")), HERE)["toolConfig"] == {
        "functionCallingConfig": {"mode": "NONE"}
    }


# --- answers -------------------------------------------------------------------------------------


def chunk(*parts: dict[str, Any], usage: dict[str, Any] | None = None, **candidate: Any) -> dict[str, Any]:
    candidates = [{"content": {"role": "model", "parts": list(parts)}, **candidate}]
    usage_metadata = {"usageMetadata": usage} if usage else {}
    return {"candidates": candidates, "modelVersion": "gemini-x", "responseId": "r1", **usage_metadata}


LAST = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 18}


def test_thoughts_text_and_calls_are_told_apart_and_the_last_usage_counts() -> None:
    stream = sse(
        chunk({"text": "음", "thought": True}, usage={"promptTokenCount": 10, "totalTokenCount": 10}),
        chunk({"text": "안"}),
        chunk({"text": "녕", "thoughtSignature": "T"}),
        chunk({"functionCall": {"name": "f", "args": {"city": "서울"}}, "thoughtSignature": "S"}),
        chunk(usage=LAST, finishReason="STOP"),
    )
    _, completion, _ = streamed([stream], HERE)
    assert completion is not None
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert text_of(completion) == "안녕"
    call = choice.parts[-1]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("f", '{"city":"서울"}')
    assert call.extra == {"extra_content": {"google": {"thought_signature": "S"}}}
    assert completion.report is not None
    assert completion.report.usage == Usage(input=10, output=5, reasoning=3)


@pytest.mark.parametrize("named", [True, False])
def test_no_two_calls_share_an_id_and_each_result_finds_its_function(*, named: bool) -> None:
    """Google gives calls no ids, and what was made up was the same in every answer."""
    turns: list[Message] = [Message("user", (Text("가"),))]
    for number, function in enumerate(("get_weather", "get_time")):
        answer = chunk({"functionCall": {"name": function, "args": {}}}, usage=LAST, finishReason="STOP")
        answer["responseId"] = f"r/{number}" * 30 if named else ""
        (call,) = whole(answer, HERE).choices[0].parts
        assert isinstance(call, ToolCall)
        turns += [Message("assistant", (call,)), Message("tool", (ToolResult(call.id, (Text("1"),)),))]
    ids = [part.id for turn in turns for part in turn.parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"call_[A-Za-z0-9_-]{1,35}", id_) for id_ in ids)
    assert functions_answered(turns) == [{"name": "get_weather"}, {"name": "get_time"}]


def test_a_result_is_of_the_nearest_call_before_it() -> None:
    """Conversations from elsewhere repeat ids from turn to turn."""
    turns = [Message("user", (Text("가"),))]
    for function in ("get_weather", "get_time"):
        turns += [
            Message("assistant", (ToolCall("call_0", function, "{}"),)),
            Message("tool", (ToolResult("call_0", (Text("1"),)),)),
        ]
    assert functions_answered(turns) == [{"name": "get_weather"}, {"name": "get_time"}]


def functions_answered(turns: list[Message]) -> list[dict[str, Any]]:
    """Return the functions whose results are sent, each with Google's own id if it has one."""
    parts = [p for c in sent(ask(messages=tuple(turns)), HERE)["contents"] for p in c["parts"]]
    answers = [p["functionResponse"] for p in parts if "functionResponse" in p]
    return [{k: v for k, v in answer.items() if k != "response"} for answer in answers]


def test_a_whole_answer_and_an_array_of_chunks_say_the_same_as_a_stream() -> None:
    chunks = [chunk({"text": "가"}), chunk({"text": "나"}, usage=LAST, finishReason="STOP")]
    _, from_stream, _ = streamed([sse(*chunks)], HERE)
    _, from_array, _ = streamed([json.dumps(chunks).encode()], HERE)
    from_body = whole(chunk({"text": "가나"}, usage=LAST, finishReason="STOP"), HERE)
    assert from_stream == from_array == from_body


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    completion = whole(
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}, HERE
    )
    assert completion.choices[0].finish_reason == "content_filter"
    assert completion.extra == {"block_reason": "SAFETY"}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_function_call"),
    ],
)
def test_finish_reasons_are_translated_or_kept(reason: str, expected: str) -> None:
    assert whole(chunk({"text": "가"}, finishReason=reason), HERE).choices[0].finish_reason == expected


def test_a_stream_without_a_finish_reason_is_incomplete() -> None:
    _, completion, _ = streamed([sse(chunk({"text": "가"}))], HERE)
    assert completion is not None
    assert not completion.complete


def test_an_error_in_a_stream_is_named() -> None:
    error = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}
    *_, failure = streamed([sse(chunk({"text": "가"}), error)], HERE)
    assert isinstance(failure, UpstreamRateLimited)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"5", b'{"candidates":5}', b"<html>"])
def test_a_body_of_another_kind_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        whole(body, HERE)


def test_log_probabilities_arrive_in_the_form_clients_know() -> None:
    token = {"token": "가", "logProbability": -0.1, "tokenId": 1}
    result = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]}
    logprobs = (
        whole(chunk({"text": "가"}, finishReason="STOP", logprobsResult=result), HERE).choices[0].logprobs
    )
    known = {"token": "가", "logprob": -0.1, "bytes": [234, 176, 128]}
    assert logprobs == {"content": [{**known, "top_logprobs": [known]}]}


def test_an_image_that_was_drawn_is_a_part_of_the_answer() -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    assert whole(chunk(part, finishReason="STOP"), HERE).choices[0].parts == (Image(PNG),)


# --- usage ---------------------------------------------------------------------------------------


def test_a_drawn_image_reaches_the_client_in_a_stream_and_in_a_whole_answer_alike() -> None:
    drawn = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = chunk({"text": "여기"}, drawn, usage=LAST, finishReason="STOP")
    (choice,) = json.loads(chat.encode(whole(body, HERE), "m", "1", 0))["choices"]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert choice["message"]["images"] == [image]
    assert choice["message"]["content"] == "여기"
    deltas, _, _ = streamed([sse(body)], HERE)
    raw = chat.StreamEncoder("m", "1", 0, include_usage=False).deltas(deltas).decode()
    shown = [json.loads(line[6:])["choices"][0]["delta"] for line in raw.split("\n") if line]
    assert [image for delta in shown for image in delta.get("images", ())] == [image]


def test_cached_hosted_and_heard_tokens_are_counted_once() -> None:
    usage = report_of(
        {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 60,
            "toolUsePromptTokenCount": 7,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 132,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 50},
                {"modality": "AUDIO", "tokenCount": 40},
                {"modality": "IMAGE", "tokenCount": 10},
            ],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 25},
                {"modality": "TEXT", "tokenCount": 35},
            ],
        }
    ).usage
    assert usage == Usage(input=22, cache_read=60, audio_input=15, image_input=10, output=20, reasoning=5)


def test_a_total_that_does_not_add_up_is_flagged() -> None:
    raw = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 50}
    assert report_of(raw).usage == Usage(input=1, output=49, quarantined=True)


def test_a_hosted_tool_is_refused() -> None:
    from gateway.domain import Tool

    with pytest.raises(UnsupportedFeature):
        adapter("gemini").request(ask(tools=(Tool("x", extra={"type": "code_interpreter"}),)), HERE)


def test_a_streamed_call_keeps_the_proof_that_google_wants_back() -> None:
    here = deployment("gemini", "gemini", upstream_model="gemini-3-pro")
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "SIG"}
    event = {"candidates": [{"content": {"parts": [call]}, "finishReason": "STOP"}]}
    deltas, completion, _ = streamed([sse(event)], here)
    assert completion is not None
    for said in (deltas, as_deltas(completion)):
        encoder = chat.StreamEncoder("m", "1", 0, include_usage=False)
        events = [json.loads(line[6:]) for line in encoder.deltas(said).decode().split("\n\n") if line]
        (given,) = (c for e in events for c in e["choices"][0]["delta"].get("tool_calls", ()))
        messages = [
            {"role": "user", "content": "가"},
            {"role": "assistant", "content": None, "tool_calls": [given]},
        ]
        (part,) = sent(chat.parse({"model": "m", "messages": messages}), here)["contents"][1]["parts"]
        assert part["thoughtSignature"] == "SIG"
