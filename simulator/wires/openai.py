"""OpenAI's chat completions, and the dialects of it that other providers speak.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from simulator import tokens
from simulator.dialects import STATED_PRICES, Dialect
from simulator.exchange import JSON, Answer, BadRequest, Counts, Prompt, Tool
from simulator.wires import dumps, need_list, sse, strings, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

CREATED = 1_795_305_600
XAI_TICKS_PER_USD = 10**10
_FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls"}


def parse(body: JSON) -> Prompt:
    """Read a chat completions request. Raises BadRequest."""
    messages = need_list(body, "messages")
    if not isinstance(body.get("model"), str):
        raise BadRequest("'model' must be a string")
    choice = body.get("tool_choice")
    tools = () if choice == "none" else tuple(_tools(body.get("tools") or []))
    limit = body.get("max_completion_tokens")
    return Prompt(
        model=body["model"],
        question=next((texts(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), ""),
        everything="\n".join(_told(messages, body.get("tools"))),
        tools=tools,
        tool_results=tuple(texts(m.get("content")) for m in messages if m.get("role") == "tool"),
        must_call=choice == "required" or isinstance(choice, dict),
        json_schema=_schema(body.get("response_format") or {}),
        max_tokens=limit if limit is not None else body.get("max_tokens"),
        choices=body.get("n") or 1,
        messages=len(messages),
        images=sum(_images(m.get("content")) for m in messages),
        stream=bool(body.get("stream")),
        usage_in_stream=bool((body.get("stream_options") or {}).get("include_usage")),
    )


def _tools(listed: list[JSON]) -> Iterator[Tool]:
    for tool in listed:
        function = tool.get("function") or {}
        yield Tool(function.get("name", ""), function.get("parameters"))


def _told(messages: list[JSON], tools: JSON) -> Iterator[str]:
    """Yield what counts as input: text, tool calls and tool definitions, but no image data."""
    for message in messages:
        yield texts(message.get("content"))
        for call in message.get("tool_calls") or []:
            yield from strings(call.get("function"))
    yield from strings(tools)


def _images(content: JSON) -> int:
    return sum(part.get("type") == "image_url" for part in content) if isinstance(content, list) else 0


def _schema(response_format: JSON) -> JSON:
    match response_format.get("type"):
        case "json_schema":
            return (response_format.get("json_schema") or {}).get("schema") or {}
        case "json_object":
            return {"type": "object", "properties": {"답변": {"type": "string"}}}
        case _:
            return None


def usage(prompt: Prompt, counts: Counts, dialect: Dialect) -> JSON:
    """State usage OpenAI's way: cached tokens are part of the prompt, reasoning of the completion."""
    asked = counts.input + counts.cache_read + counts.cache_write
    answered = counts.output + (0 if dialect.reasoning_apart else counts.reasoning)
    stated: dict[str, JSON] = {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + counts.output + counts.reasoning,
    }
    if dialect.details:
        stated["prompt_tokens_details"] = {"cached_tokens": counts.cache_read, "audio_tokens": 0}
        stated["completion_tokens_details"] = {"reasoning_tokens": counts.reasoning, "audio_tokens": 0}
    if dialect.hit_and_miss:
        stated["prompt_cache_hit_tokens"] = counts.cache_read
        stated["prompt_cache_miss_tokens"] = asked - counts.cache_read
    return stated | _stated_cost(prompt.model, counts, dialect)


def billed(counts: Counts, dialect: Dialect) -> Counts:
    """Return the classes that this usage can tell apart: no cache writes, and no parts without details."""
    seen = counts.without_cache_write()
    return seen if dialect.details else seen.without_cache_read().without_reasoning()


def _stated_cost(model: str, counts: Counts, dialect: Dialect) -> dict[str, JSON]:
    price = STATED_PRICES.get(model)
    if dialect.cost is None or price is None:
        return {}
    asked, answered, request = price.cost(counts)
    if dialect.cost == "xai":
        return {"cost_in_usd_ticks": int((asked + answered + request) * XAI_TICKS_PER_USD)}
    parts = {"input_tokens_cost": asked, "output_tokens_cost": answered, "request_cost": request}
    total = sum(parts.values(), Decimal(0))
    return {"cost": {name: float(value) for name, value in (parts | {"total_cost": total}).items()}}


# --- whole answers -------------------------------------------------------------------------------


def whole(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> bytes:
    message: dict[str, JSON] = {"role": "assistant", "content": answer.text or None}
    if answer.reasoning and dialect.reasoning_field:
        message[dialect.reasoning_field] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
    choices = [
        {"index": index, "message": message, "finish_reason": _FINISH[answer.finish]}
        for index in range(prompt.choices)
    ]
    return dumps(
        _envelope(prompt, exchange_id, "chat.completion")
        | {"choices": choices, "usage": usage(prompt, answer.counts, dialect)}
    )


def _envelope(prompt: Prompt, exchange_id: str, kind: str) -> dict[str, JSON]:
    return {"id": f"chatcmpl-{exchange_id}", "object": kind, "created": CREATED, "model": prompt.model}


# --- streams -------------------------------------------------------------------------------------


def events(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> Iterator[bytes]:
    """Yield the stream's events; usage only if asked for, except where the provider always states it."""
    envelope = _envelope(prompt, exchange_id, "chat.completion.chunk")
    if prompt.usage_in_stream and not dialect.usage_unasked:
        envelope["usage"] = None
    for index in range(prompt.choices):
        for delta in _deltas(answer, dialect):
            yield sse(envelope | {"choices": [{"index": index, "delta": delta, "finish_reason": None}]})
        last = {"index": index, "delta": {}, "finish_reason": _FINISH[answer.finish]}
        closing: dict[str, JSON] = {"choices": [last]}
        if dialect.usage_unasked and index == prompt.choices - 1:
            closing["usage"] = usage(prompt, answer.counts, dialect)
        if dialect.x_groq:
            closing["x_groq"] = {"id": exchange_id, "usage": usage(prompt, answer.counts, dialect)}
        yield sse(envelope | closing)
    if prompt.usage_in_stream and not dialect.usage_unasked:
        yield sse(envelope | {"choices": [], "usage": usage(prompt, answer.counts, dialect)})
    if dialect.done:
        yield b"data: [DONE]\n\n"


def _deltas(answer: Answer, dialect: Dialect) -> Iterator[JSON]:
    yield {"role": "assistant", "content": ""}
    if dialect.reasoning_field:
        for piece in tokens.pieces(answer.reasoning):
            yield {dialect.reasoning_field: piece}
    for piece in tokens.pieces(answer.text):
        yield {"content": piece}
    for index, call in enumerate(answer.tool_calls):
        opening = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [{"index": index} | opening]}
        for piece in tokens.pieces(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def error(message: str) -> bytes:
    return dumps(
        {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
    )
