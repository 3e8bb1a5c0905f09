"""Cohere's chat, version 2. Source: https://docs.cohere.com/v2/reference/chat-stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator import tokens
from simulator.wires import dumps, sse
from simulator.wires import openai as chat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.dialects import Dialect
    from simulator.exchange import JSON, Answer, Counts, Prompt

TEMPLATE_TOKENS = 7
"""What Cohere's chat template adds to `tokens`, and does not bill."""
_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool": "TOOL_CALL"}


def parse(body: JSON) -> Prompt:
    """Read a v2 chat request: messages and tools are shaped like OpenAI's. Raises BadRequest."""
    choice = {"REQUIRED": "required", "NONE": "none"}.get(body.get("tool_choice", ""))
    schema = (body.get("response_format") or {}).get("json_schema")
    wanted = (
        {"type": "json_schema", "json_schema": {"schema": schema}} if schema else body.get("response_format")
    )
    return chat.parse(body | {"tool_choice": choice, "response_format": wanted})


def usage(_prompt: Prompt, counts: Counts, _dialect: Dialect) -> dict[str, JSON]:
    """State usage twice: `billed_units` is what is paid, `tokens` is what the model saw."""
    asked = counts.input + counts.cache_read + counts.cache_write
    answered = counts.output + counts.reasoning
    return {
        "billed_units": {"input_tokens": asked, "output_tokens": answered},
        "tokens": {"input_tokens": asked + TEMPLATE_TOKENS, "output_tokens": answered},
    }


def billed(counts: Counts, _dialect: Dialect) -> Counts:
    return counts.without_cache_write().without_cache_read().without_reasoning()


def whole(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> bytes:
    message: dict[str, JSON] = {"role": "assistant", "content": [{"type": "text", "text": answer.text}]}
    if answer.tool_calls:
        message = {"role": "assistant", "tool_calls": _calls(answer)}
    ending = {"finish_reason": _FINISH[answer.finish], "usage": usage(prompt, answer.counts, dialect)}
    return dumps({"id": exchange_id, "message": message} | ending)


def _calls(answer: Answer) -> list[JSON]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.tool_calls
    ]


def events(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> Iterator[bytes]:
    opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _event("message-start", {"id": exchange_id, "delta": {"message": opening}})
    if answer.text:
        yield from _text(answer.text)
    for index, call in enumerate(_calls(answer)):
        yield from _tool_call(index, call)
    ending = {"finish_reason": _FINISH[answer.finish], "usage": usage(prompt, answer.counts, dialect)}
    yield _event("message-end", {"id": exchange_id, "delta": ending})


def _event(kind: str, data: dict[str, JSON]) -> bytes:
    return sse({"type": kind} | data, kind)


def _text(text: str) -> Iterator[bytes]:
    start = {"message": {"content": {"type": "text", "text": ""}}}
    yield _event("content-start", {"index": 0, "delta": start})
    for piece in tokens.pieces(text):
        yield _event("content-delta", {"index": 0, "delta": {"message": {"content": {"text": piece}}}})
    yield _event("content-end", {"index": 0})


def _tool_call(index: int, call: JSON) -> Iterator[bytes]:
    arguments = call["function"]["arguments"]
    empty = call | {"function": call["function"] | {"arguments": ""}}
    yield _event("tool-call-start", {"index": index, "delta": {"message": {"tool_calls": empty}}})
    for piece in tokens.pieces(arguments):
        fragment = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
        yield _event("tool-call-delta", {"index": index, "delta": fragment})
    yield _event("tool-call-end", {"index": index})


def error(message: str) -> bytes:
    return dumps({"message": message})
