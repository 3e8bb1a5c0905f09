"""Answers of Anthropic, Gemini, Bedrock and Cohere, and what is no chat, in the shapes that the providers document: each is understood and counted.

No recording here holds these. Each row is one exchange as `haechi transcripts` replays it. Sources: the API references
named in docs/providers.md.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.cli.transcripts import Recording, replayed
from tests.providers.exchanges import sse
from tests.providers.replaying import chat, chunk, line
from tests.providers.test_bedrock import delta as bedrock_delta
from tests.providers.test_bedrock import event as bedrock_event
from tests.providers.test_bedrock import message as bedrock_message

OPENAI = "https://api.openai.com/v1/chat/completions"
ANTHROPIC = "https://api.anthropic.com/v1/messages?beta=true"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash:generateContent"
GEMINI_STREAM = GEMINI.replace(":generate", ":streamGenerate") + "?alt=sse"
CONVERSE = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-2-lite-v1%3A0/converse"
INVOKE = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude/invoke"
COHERE = "https://api.cohere.com/v2/chat"


# --- Anthropic -----------------------------------------------------------------------------------

CLAUDE_USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 6,
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    "service_tier": "standard",
    "inference_geo": "us",
}
CLAUDE_BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "음", "signature": "S"},
    {"type": "redacted_thinking", "data": "R"},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "s1",
        "content": [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "E"}],
    },
    {
        "type": "text",
        "text": "네",
        "citations": [{"type": "web_search_result_location", "url": "https://u", "title": "t"}],
    },
    {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": "s2",
        "content": {"type": "bash_code_execution_result"},
    },
    {"type": "mcp_tool_use", "id": "m1", "name": "n", "server_name": "s", "input": {}},
    {"type": "container_upload", "file_id": "f"},
]
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": CLAUDE_BLOCKS,
    "stop_reason": "pause_turn",
    "stop_sequence": None,
    "container": {"id": "c", "expires_at": "2026-01-01T00:00:00Z"},
    "context_management": {"applied_edits": []},
    "usage": CLAUDE_USAGE,
}
CLAUDE_COUNTED = {
    "input": 10,
    "cache_read": 5,
    "cache_write_5m": 4,
    "cache_write_1h": 3,
    "output": 6,
    "searches": 2,
}


def claude_events() -> list[dict[str, Any]]:
    """The same answer as it streams, pings in between."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None, "usage": CLAUDE_USAGE | {"output_tokens": 1}}},
        {"type": "ping"},
    ]  # fmt: skip
    for index, block in enumerate(CLAUDE_BLOCKS):
        events += [
            {"type": "content_block_start", "index": index, "content_block": {**block, "input": {}} if "input" in block else block},
            {"type": "ping"},
        ]  # fmt: skip
        if "input" in block:
            fragment = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            events.append({"type": "content_block_delta", "index": index, "delta": fragment})
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": "pause_turn", "stop_sequence": None, "container": CLAUDE["container"]}
    usage = {"output_tokens": 6, "server_tool_use": {"web_search_requests": 2}, "cache_creation": None}
    return [*events, {"type": "message_delta", "delta": end, "usage": usage}, {"type": "message_stop"}]


def test_claude_s_own_tools_and_containers_are_no_part_of_its_answer() -> None:
    whole, stream = line("anthropic", ANTHROPIC, CLAUDE), line("anthropic", ANTHROPIC, sse(*claude_events()))
    for found in (whole, stream):
        assert (found["ok"], found["text"], found["tool_calls"], found["finish_reason"]) == (
            True,
            "네",
            [],
            "stop",
        )
        assert found["usage"] == CLAUDE_COUNTED


def test_claude_behind_bedrock_s_binary_stream_says_the_same() -> None:
    wrapped = [
        bedrock_message(
            {"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"},
            message_type="event",
            event_type="chunk",
        )
        for event in claude_events()
    ]
    found = line("bedrock", f"{INVOKE}-with-response-stream", b"".join(wrapped))
    assert (found["ok"], found["text"], found["usage"]) == (True, "네", CLAUDE_COUNTED)
    thrown = bedrock_message({"message": "…"}, message_type="exception", exception_type="throttlingException")
    found = line("bedrock", f"{INVOKE}-with-response-stream", b"".join([*wrapped[:12], thrown]))
    assert found["error"]["type"] == "UpstreamRateLimited"


@pytest.mark.parametrize(
    ("body", "surface"),
    [
        (CLAUDE, "messages"),
        (chat(), "chat"),
        (
            {"output": {"message": {"content": [{"text": "네"}]}}, "stopReason": "end_turn", "usage": {}},
            "converse",
        ),
        ({"embedding": [0.1], "inputTextTokenCount": 3}, "embeddings"),
        ({"embeddings": {"float": [[0.1]]}, "id": "e", "response_type": "embeddings_by_type"}, "embeddings"),
    ],
)
def test_bedrock_s_invoke_is_read_in_the_format_it_carries(body: Any, surface: str) -> None:
    found = line("bedrock", INVOKE, body)
    assert (found["ok"], found["surface"]) == (True, surface)


# --- Gemini --------------------------------------------------------------------------------------


def test_a_blocked_prompt_has_no_candidates_and_is_filtered() -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}, "modelVersion": "m"}  # fmt: skip
    for found in (line("gemini", GEMINI, body), line("gemini", GEMINI_STREAM, sse(body))):
        assert (found["ok"], found["finish_reason"], found["usage"]) == (True, "content_filter", {"input": 9})


def test_thoughts_can_use_up_the_limit_before_anything_is_said() -> None:
    usage = {"promptTokenCount": 9, "thoughtsTokenCount": 60, "totalTokenCount": 69}
    found = line("gemini", GEMINI, {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}], "usageMetadata": usage})  # fmt: skip
    assert (found["finish_reason"], found["usage"]) == ("length", {"input": 9, "reasoning": 60})


def test_what_google_counted_and_did_not_answer_is_kept() -> None:
    body = {
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
        "modelVersion": "m",
        "responseId": "r",
    }
    found = line("gemini", GEMINI, body)
    assert (found["ok"], found["usage"], found["error"]["type"]) == (
        True,
        {"input": 9},
        "UpstreamUnavailable",
    )


def test_what_google_ran_itself_is_no_call_and_a_call_without_an_id_gets_one() -> None:
    parts = [
        {"text": "음", "thought": True, "thoughtSignature": "S"},
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "S"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["q"]}, "id": "g1"}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {}, "id": "g1"}},
        {"text": "네"},
        {"functionCall": {"name": "find", "args": {"부서": "총무과"}}, "thoughtSignature": "S"},
        {"functionCall": {"name": "find"}},
    ]
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 12,
        "toolUsePromptTokenCount": 30,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 147,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 80},
            {"modality": "IMAGE", "tokenCount": 20},
        ],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 40}],
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}],
    }
    grounding = {
        "webSearchQueries": ["q"],
        "groundingChunks": [{"web": {"uri": "https://u", "title": "t"}}, {"maps": {}}],
    }
    candidate = {
        "content": {"parts": parts},
        "finishReason": "STOP",
        "groundingMetadata": grounding,
        "citationMetadata": {},
    }
    found = line("gemini", GEMINI, {"candidates": [candidate], "usageMetadata": usage})
    assert (found["text"], found["finish_reason"]) == ("네", "tool_calls")
    assert [json.loads(call["arguments"]) for call in found["tool_calls"]] == [{"부서": "총무과"}, {}]
    assert len({call["id"] for call in found["tool_calls"]}) == 2
    assert found["usage"] == {
        "input": 70,
        "cache_read": 40,
        "image_input": 20,
        "output": 12,
        "reasoning": 5,
        "searches": 1,
    }


# --- Bedrock Converse ----------------------------------------------------------------------------

NOVA_USAGE = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14, "serverToolUsage": {}}


def test_what_bedrock_ran_itself_is_no_call_and_cited_text_is_text() -> None:
    ran = {"toolUseId": "t1", "name": "nova_grounding", "type": "server_tool_use", "input": {"query": "q"}}
    location = {"web": {"url": "https://u", "domain": "u"}}
    content = [
        {"reasoningContent": {"redactedContent": "UkVE"}},
        {"toolUse": ran},
        {"toolResult": {"toolUseId": "t1", "type": "nova_grounding_result", "content": []}},
        {"text": "네 "},
        {"citationsContent": {"content": [{"text": "근거"}], "citations": [{"location": location}]}},
        {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
    ]
    body = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "end_turn",
        "usage": NOVA_USAGE,
    }
    found = line("bedrock", CONVERSE, body)
    assert (found["text"], found["tool_calls"], found["finish_reason"]) == ("네 근거", [], "stop")


def test_a_stream_of_what_bedrock_ran_itself_is_read_past_it() -> None:
    start = {"toolUse": {"toolUseId": "t1", "name": "nova_code_interpreter", "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "t1", "type": "nova_code_interpreter_result", "status": "success"}}
    stream = [
        bedrock_event("messageStart", role="assistant"),
        bedrock_event("contentBlockStart", contentBlockIndex=0, start=start),
        bedrock_delta(0, toolUse={"input": '{"snippet":"1"}'}),
        bedrock_event("contentBlockStop", contentBlockIndex=0),
        bedrock_event("contentBlockStart", contentBlockIndex=1, start=result),
        bedrock_delta(1, toolResult=[{"json": {"stdOut": "1"}}]),
        bedrock_event("contentBlockStop", contentBlockIndex=1),
        bedrock_delta(2, citation={"location": {"web": {"url": "https://u"}}}),
        bedrock_delta(2, text="네"),
        bedrock_event("contentBlockStop", contentBlockIndex=2),
        bedrock_event("messageStop", stopReason="guardrail_intervened"),
        bedrock_event("metadata", usage=NOVA_USAGE, metrics={"latencyMs": 1}, trace={"guardrail": {}}),
    ]
    found = line("bedrock", f"{CONVERSE}-stream", b"".join(stream))
    assert (found["text"], found["tool_calls"], found["finish_reason"]) == ("네", [], "content_filter")
    assert found["usage"] == {"input": 10, "output": 4}


# --- Cohere --------------------------------------------------------------------------------------


def test_cohere_s_plan_and_citations_are_no_text_and_only_what_is_billed_counts() -> None:
    usage = {
        "billed_units": {"input_tokens": 41, "output_tokens": 25},
        "tokens": {"input_tokens": 1441},
        "cached_tokens": 144,
    }
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}}
    stream = sse(
        {"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "찾아보겠습니다"}}},
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {**call, "function": {"name": "find", "arguments": ""}}}}},
        {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": '{"a":1}'}}}}},
        {"type": "tool-call-end", "index": 0},
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {"start": 0, "end": 1, "text": "x", "sources": []}}}},
        {"type": "citation-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}},
    )  # fmt: skip
    whole = {"id": "m", "finish_reason": "TOOL_CALL", "usage": usage, "message": {"role": "assistant", "tool_plan": "찾아보겠습니다", "tool_calls": [call], "citations": []}}  # fmt: skip
    for found in (line("cohere", COHERE, stream), line("cohere", COHERE, whole)):
        assert (found["text"], found["finish_reason"]) == ("", "tool_calls")
        assert found["tool_calls"] == [{"id": "c1", "name": "find", "arguments": '{"a":1}'}]
        assert found["usage"] == {"input": 41, "output": 25}


# --- what is no chat -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "body", "vectors", "usage"),
    [
        ("https://api.openai.com/v1/embeddings", {"data": [{"index": 0, "embedding": "AAAA"}], "usage": {"prompt_tokens": 3, "total_tokens": 3}}, 1, {"input": 3}),
        ("https://x/models/text-embedding-005:predict", {"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": 3}}}]}, 1, {"input": 3}),
        ("https://router.huggingface.co/hf-inference/models/m/pipeline/feature-extraction", [[0.1, 0.2], [0.3, 0.4]], 2, {}),
        ("https://router.huggingface.co/hf-inference/models/m/pipeline/feature-extraction", [0.1, 0.2], 1, {}),
        ("https://api.cohere.com/v2/embed", {"embeddings": {"int8": [[1]]}, "meta": {"billed_units": {"images": 1}}}, 1, {"images": 1}),
    ],
)  # fmt: skip
def test_embeddings_of_every_kind_are_counted(
    uri: str, body: Any, vectors: int, usage: dict[str, int]
) -> None:
    found = line("x", uri, body)
    assert (found["ok"], found["vectors"], found["usage"]) == (True, vectors, usage)


def test_speech_and_films_are_named_for_what_they_are() -> None:
    said = line("openai", "https://api.openai.com/v1/audio/speech", b"ID3\x04", asked={"input": "안녕하세요"})
    assert (said["ok"], said["usage"]) == (True, {"characters": 5})
    job = {"id": "video_1", "object": "video", "status": "completed", "progress": 100, "seconds": "8"}
    film = line("openai", "https://api.openai.com/v1/videos", job)
    assert (film["ok"], film["usage"], film["finish_reason"]) == (True, {"video_ms": 8000}, "completed")


def test_events_under_a_plain_content_type_are_events_all_the_same() -> None:
    body = sse(chunk({"content": "네"}, "stop"), "[DONE]")
    found = replayed(Recording("a.json", "x", OPENAI, None, 200, "text/plain", body))
    assert (found["text"], found["finish_reason"]) == ("네", "stop")
