"""Answers in OpenAI's two formats, in the shapes that the providers document: each is understood and counted.

No recording here holds these. Each row is one exchange as `haechi transcripts` replays it. Sources: the API references
named in docs/providers.md.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.exchanges import sse
from tests.providers.replaying import chat, chunk, line

OPENAI = "https://api.openai.com/v1/chat/completions"
AZURE = "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21"
RESPONSES = "https://api.openai.com/v1/responses"
GROQ = "https://api.groq.com/openai/v1/chat/completions"
MISTRAL = "https://api.mistral.ai/v1/chat/completions"
OPENROUTER = "https://openrouter.ai/api/v1/chat/completions"
HUGGING_FACE = "https://router.huggingface.co/v1/chat/completions"


# --- the OpenAI format ---------------------------------------------------------------------------


def test_sound_is_counted_apart_from_the_text_it_says() -> None:
    audio = {"id": "a", "data": "UklGRg==", "transcript": "네, 알겠습니다", "expires_at": 1}
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 30,
        "total_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 10},
        "completion_tokens_details": {"audio_tokens": 22, "reasoning_tokens": 0},
    }
    found = line("openai", OPENAI, chat({"content": None, "audio": audio}, usage=usage))
    assert (found["ok"], found["finish_reason"]) == (True, "stop")
    assert found["usage"] == {
        "input": 6,
        "cache_read": 4,
        "audio_input": 10,
        "output": 8,
        "reasoning": 0,
        "audio_output": 22,
    }


def test_predicted_tokens_are_inside_the_completion() -> None:
    details = {"accepted_prediction_tokens": 2, "rejected_prediction_tokens": 5, "reasoning_tokens": 1}
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 13,
        "total_tokens": 22,
        "completion_tokens_details": details,
    }
    assert line("openai", OPENAI, chat(usage=usage))["usage"] == {"input": 9, "output": 12, "reasoning": 1}


def test_azure_s_filter_results_are_no_answer_and_its_filter_is_an_end() -> None:
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    stream = sse(
        {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"content_filter_results": safe}]},
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "네"}, content_filter_results=safe),
        {"id": "c", "model": "m", "choices": [{"index": 0, "content_filter_offsets": {"check_offset": 1}}]},
        chunk({}, "content_filter"),
        {"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
        "[DONE]",
    )
    found = line("azure", AZURE, stream)
    assert (found["text"], found["finish_reason"], found["error"]) == ("네", "content_filter", None)
    assert (found["served_model"], found["usage"]) == ("m", {"input": 9, "output": 1})


def test_azure_s_refusal_of_a_prompt_is_named() -> None:
    inner = {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"jailbreak": {"filtered": True}},
    }
    error = {"code": "content_filter", "message": "…", "param": "prompt", "status": 400, "innererror": inner}
    found = line("azure", AZURE, {"error": error}, 400)
    assert (found["ok"], found["error"]["code"]) == (True, "content_filter")
    assert "safety policy" in found["error"]["message"]


def test_groq_s_usage_stands_in_its_own_member_and_its_own_tools_are_no_calls() -> None:
    tools = [{"index": 0, "type": "search", "arguments": '{"query":"해치"}', "output": "…"}]
    stream = sse(
        chunk({"role": "assistant", "content": ""}, x_groq={"id": "req_1"}),
        chunk({"executed_tools": tools}),
        chunk({"reasoning": "음"}),
        chunk({"content": "네"}),
        chunk({}, "stop", x_groq={"id": "req_1", "usage": {"prompt_tokens": 9, "completion_tokens": 4}}),
        "[DONE]",
    )
    found = line("groq", GROQ, stream)
    assert (found["text"], found["tool_calls"]) == ("네", [])
    assert found["usage"] == {"input": 9, "output": 4}


def test_a_tool_call_that_groq_could_not_read_is_its_refusal() -> None:
    error = {"type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": "<f>"}
    assert line("groq", GROQ, {"error": error}, 400)["error"]["code"] == "tool_use_failed"
    stream = (
        sse(chunk({"content": "네"}))
        + b'event: error\ndata: {"error":'
        + json.dumps(error).encode()
        + b"}\n\n"
    )
    found = line("groq", GROQ, stream)
    assert (found["text"], found["error"]["type"]) == ("네", "UpstreamRejected")


@pytest.mark.parametrize(
    "thinking", ["음", [{"type": "text", "text": "음"}, {"type": "reference", "reference_ids": [1]}]]
)
def test_mistral_s_thoughts_references_and_pictures_are_no_text(thinking: Any) -> None:
    content = [
        {"type": "thinking", "thinking": thinking, "closed": True},
        {"type": "text", "text": "네"},
        {"type": "reference", "reference_ids": [1, 2]},
        {"type": "image_url", "image_url": "https://x/y.png"},
    ]
    assert line("mistral", MISTRAL, chat({"content": content}))["text"] == "네"
    stream = sse(chunk({"content": content[:1]}), chunk({"content": "네"}, "stop"), "[DONE]")
    assert line("mistral", MISTRAL, stream)["text"] == "네"


def test_arguments_that_are_an_object_are_a_call_all_the_same() -> None:
    calls = [{"id": "null", "function": {"name": "find", "arguments": {"부서": "총무과"}}, "index": 0}]
    found = line("mistral", MISTRAL, chat({"content": "", "tool_calls": calls}, "tool_calls"))
    assert json.loads(found["tool_calls"][0]["arguments"]) == {"부서": "총무과"}


def test_openrouter_waits_in_comments_and_fails_in_the_middle() -> None:
    failed = {
        **chunk({"content": ""}, "error"),
        "error": {"code": 502, "message": "Provider disconnected unexpectedly"},
    }
    waiting = b": OPENROUTER PROCESSING\n\n" * 3
    found = line("openrouter", OPENROUTER, waiting + sse(chunk({"content": "반"})) + waiting + sse(failed))
    assert (found["ok"], found["text"], found["finish_reason"]) == (True, "반", None)
    assert (found["error"]["type"], found["error"]["status"]) == ("UpstreamUnavailable", 502)


def test_openrouter_s_cost_is_exact_and_its_pictures_are_no_text() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
        "cost": 0.00001234,
        "is_byok": False,
        "cost_details": {"upstream_inference_cost": None},
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 2,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": 1, "image_tokens": 0},
    }
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    found = line("openrouter", OPENROUTER, chat({"images": [image], "reasoning": "음"}, usage=usage))
    assert found["stated_cost_usd"] == "0.00001234"
    assert sum(found["usage"].values()) == found["provider_total"] == 12


def test_an_error_in_a_200_is_an_error() -> None:
    body = {
        "error": {"message": "Rate limited", "code": 429, "metadata": {"provider_name": "x"}},
        "user_id": "u",
    }
    assert line("openrouter", OPENROUTER, body)["error"]["type"] == "UpstreamRateLimited"


def test_what_was_counted_without_an_answer_is_kept() -> None:
    found = line("openrouter", OPENROUTER, {**chat(), "choices": []})
    assert (found["ok"], found["usage"]) == (True, {"input": 9, "output": 3})
    assert found["error"]["type"] == "UpstreamUnavailable"


def test_a_legacy_completion_is_read() -> None:
    body = {
        "id": "c",
        "object": "text_completion",
        "model": "m",
        "usage": {"prompt_tokens": 2, "completion_tokens": 1},
    }
    choices = [{"index": 0, "text": "네", "finish_reason": "length", "logprobs": None}]
    found = line("openai", "https://api.openai.com/v1/completions", {**body, "choices": choices})
    assert (found["ok"], found["text"], found["finish_reason"]) == (True, "네", "length")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"error": "Model too busy"}, 503, "UpstreamUnavailable"),
        ({"error": {"message": "…", "http_status_code": 422}}, 422, "UpstreamRejected"),
        ({"message": "…", "request_id": "r", "type": "validation_error", "param": "", "code": "x"}, 400, "UpstreamRejected"),
        ({"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "…"}]}, "type": "invalid_request_error"}, 422, "UpstreamRejected"),
        ({"detail": [{"type": "missing", "loc": ["body"], "msg": "…"}]}, 422, "UpstreamRejected"),
        ({"error": {"code": "1211", "message": "Unknown Model"}}, 400, "UpstreamRejected"),
        ({"id": "i", "message": "invalid api token"}, 401, "UpstreamRejected"),
        ([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "…"}}], 429, "UpstreamRateLimited"),
        ({"Message": "User is not authorized"}, 403, "UpstreamRejected"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "…"}}, 529, "UpstreamUnavailable"),
        ({"statusCode": 404, "message": "Resource not found"}, 404, "UpstreamRejected"),
    ],
)  # fmt: skip
def test_every_provider_s_error_body_is_understood(body: Any, status: int, kind: str) -> None:
    found = line("huggingface", HUGGING_FACE, body, status)
    assert (found["ok"], found["error"]["type"], found["error"]["status"]) == (True, kind, status)


# --- OpenAI Responses ----------------------------------------------------------------------------


def response(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 20},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 80,
    }
    return {
        "id": "r",
        "object": "response",
        "model": "m",
        "status": status,
        "output": [*output],
        "usage": usage,
        **more,
    }


SAID = {
    "type": "message",
    "id": "m",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "네", "annotations": []}],
}


def test_what_openai_ran_itself_is_no_call() -> None:
    hosted = [
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "E"},
        {
            "type": "web_search_call",
            "id": "ws",
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        },
        {
            "type": "web_search_call",
            "id": "ws2",
            "status": "completed",
            "action": {"type": "open_page", "url": "u"},
        },
        {"type": "code_interpreter_call", "id": "ci", "code": "1", "container_id": "c", "outputs": None},
        {"type": "file_search_call", "id": "fs", "queries": [], "results": None},
        {"type": "mcp_list_tools", "id": "l", "server_label": "s", "tools": []},
        {"type": "mcp_call", "id": "mc", "server_label": "s", "name": "n", "arguments": "{}", "output": "o"},
        {"type": "image_generation_call", "id": "ig", "result": "AAAA", "output_format": "webp"},
        {"type": "compaction", "id": "cmp", "encrypted_content": "E"},
        {"type": "something_of_next_year", "id": "x"},
    ]
    found = line("openai", RESPONSES, response(*hosted, SAID))
    assert (found["text"], found["tool_calls"], found["finish_reason"]) == ("네", [], "stop")
    assert found["usage"] == {"input": 30, "cache_read": 20, "output": 20, "reasoning": 10, "searches": 1}


def test_a_filtered_response_and_one_that_ran_out_say_so() -> None:
    for reason, end in (("content_filter", "content_filter"), ("max_output_tokens", "length")):
        body = response(SAID, status="incomplete", incomplete_details={"reason": reason})
        assert line("openai", RESPONSES, body)["finish_reason"] == end


def test_items_that_come_whole_in_a_stream_are_read() -> None:
    call = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "find", "arguments": '{"a":1}'}
    stream = sse(
        {"type": "response.created", "response": {**response(status="in_progress"), "usage": None}},
        {"type": "response.output_item.done", "output_index": 0, "item": SAID},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.completed", "response": response(SAID, call)},
    )
    found = line("openai", RESPONSES, stream)
    assert (found["text"], found["finish_reason"]) == ("네", "tool_calls")
    assert found["tool_calls"] == [{"id": "c1", "name": "find", "arguments": '{"a":1}'}]


def test_a_stream_s_text_is_not_said_twice_by_the_end_of_its_item() -> None:
    stream = sse(
        {"type": "response.output_item.added", "output_index": 0, "item": {**SAID, "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "네"},
        {"type": "response.output_item.done", "output_index": 0, "item": SAID},
        {"type": "response.completed", "response": response(SAID)},
    )
    assert line("openai", RESPONSES, stream)["text"] == "네"


def test_a_failed_response_keeps_what_it_used() -> None:
    body = response(status="failed", error={"code": "server_error", "message": "…"})
    found = line("openai", RESPONSES, body)
    assert (found["error"]["type"], found["usage"]["output"]) == ("UpstreamUnavailable", 20)
