"""Anthropic's Messages API. Source: https://docs.anthropic.com/en/api/messages-streaming."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simulator import tokens
from simulator.exchange import JSON, Answer, BadRequest, Counts, Prompt, Tool
from simulator.wires import dumps, need_list, sse, strings, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.dialects import Dialect

_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}


def parse(body: JSON) -> Prompt:
    """Read a Messages request; `max_tokens` is required there. Raises BadRequest."""
    messages = need_list(body, "messages")
    if not isinstance(body.get("model"), str) or not isinstance(body.get("max_tokens"), int):
        raise BadRequest("model and max_tokens: Field required")
    choice = (body.get("tool_choice") or {}).get("type")
    tools = body.get("tools") or []
    return Prompt(
        model=body["model"],
        question=next((texts(m["content"]) for m in reversed(messages) if m.get("role") == "user"), ""),
        everything="\n".join(_told(body.get("system"), messages, tools)),
        tools=() if choice == "none" else tuple(Tool(t["name"], t.get("input_schema")) for t in tools),
        tool_results=tuple(_results(messages)),
        must_call=choice in {"any", "tool"},
        json_schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
        max_tokens=body["max_tokens"],
        messages=len(messages) + (1 if body.get("system") else 0),
        images=sum(_blocks(m["content"], "image") for m in messages),
        stream=bool(body.get("stream")),
    )


def _told(system: JSON, messages: list[JSON], tools: list[JSON]) -> Iterator[str]:
    yield texts(system or "")
    for message in messages:
        yield texts(message["content"])
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block.get("type") == "tool_use":
                yield from strings([block.get("name"), block.get("input")])
            elif block.get("type") == "tool_result":
                yield texts(block.get("content") or "")
    yield from strings(tools)


def _results(messages: list[JSON]) -> Iterator[str]:
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block.get("type") == "tool_result":
                yield texts(block.get("content") or "")


def _blocks(content: JSON, kind: str) -> int:
    return sum(block.get("type") == kind for block in content) if isinstance(content, list) else 0


def usage(_prompt: Prompt, counts: Counts, _dialect: Dialect) -> dict[str, JSON]:
    """State usage: `input_tokens` excludes cache reads and writes; output includes thinking."""
    return {
        "input_tokens": counts.input,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": counts.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": counts.output + counts.reasoning,
        "service_tier": "standard",
    }


def billed(counts: Counts, _dialect: Dialect) -> Counts:
    return counts.without_reasoning()


def whole(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> bytes:
    finished = {
        "stop_reason": _FINISH[answer.finish],
        "stop_sequence": None,
        "usage": usage(prompt, answer.counts, dialect),
    }
    return dumps(_opening(prompt, exchange_id) | {"content": list(_content(answer))} | finished)


def _opening(prompt: Prompt, exchange_id: str) -> dict[str, JSON]:
    return {
        "id": f"msg_{exchange_id}",
        "type": "message",
        "role": "assistant",
        "model": prompt.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _content(answer: Answer) -> Iterator[dict[str, JSON]]:
    if answer.reasoning:
        yield {"type": "thinking", "thinking": answer.reasoning, "signature": "c2ltdWxhdGVk"}
    if answer.text:
        yield {"type": "text", "text": answer.text}
    for call in answer.tool_calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}


def events(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> Iterator[bytes]:
    """Yield the stream; the first usage holds one output token, the last is cumulative."""
    started = usage(prompt, answer.counts, dialect) | {"output_tokens": 1}
    message = _opening(prompt, exchange_id) | {"usage": started}
    yield sse({"type": "message_start", "message": message}, "message_start")
    yield sse({"type": "ping"}, "ping")
    for index, block in enumerate(_content(answer)):
        yield from _block(index, block)
    stop = {"stop_reason": _FINISH[answer.finish], "stop_sequence": None}
    total = {"output_tokens": answer.counts.output + answer.counts.reasoning}
    yield sse({"type": "message_delta", "delta": stop, "usage": total}, "message_delta")
    yield sse({"type": "message_stop"}, "message_stop")


def _block(index: int, block: dict[str, JSON]) -> Iterator[bytes]:
    empty, deltas = _unrolled(block)
    start = {"type": "content_block_start", "index": index, "content_block": empty}
    yield sse(start, "content_block_start")
    for delta in deltas:
        yield sse({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
    yield sse({"type": "content_block_stop", "index": index}, "content_block_stop")


def _unrolled(block: dict[str, JSON]) -> tuple[dict[str, JSON], list[JSON]]:
    """Return the block as it starts, and the deltas that fill it."""
    match block["type"]:
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": p} for p in tokens.pieces(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed]
        case "text":
            return {"type": "text", "text": ""}, [
                {"type": "text_delta", "text": piece} for piece in tokens.pieces(block["text"])
            ]
        case _:
            arguments = json.dumps(block["input"], ensure_ascii=False)
            return block | {"input": {}}, [
                {"type": "input_json_delta", "partial_json": piece} for piece in tokens.pieces(arguments)
            ]


def error(message: str) -> bytes:
    return dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
