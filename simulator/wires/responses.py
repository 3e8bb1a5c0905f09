"""OpenAI's Responses API. Source: https://platform.openai.com/docs/api-reference/responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator import tokens
from simulator.exchange import JSON, Answer, BadRequest, Counts, Prompt, Tool
from simulator.wires import dumps, sse, strings, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.dialects import Dialect

CREATED = 1_795_305_600
_TEXT = ("text", "input_text", "output_text")


def parse(body: JSON) -> Prompt:
    """Read a Responses request; `input` is a string or a list of items. Raises BadRequest."""
    given = body.get("input") if isinstance(body, dict) else None
    if not given or not isinstance(body.get("model"), str):
        raise BadRequest("'model' and 'input' are required")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    choice = body.get("tool_choice")
    listed = [] if choice == "none" else body.get("tools") or []
    return Prompt(
        model=body["model"],
        question=next(
            (texts(i.get("content"), _TEXT) for i in reversed(items) if i.get("role") == "user"), ""
        ),
        everything="\n".join(_told(body.get("instructions"), items, body.get("tools"))),
        tools=tuple(
            Tool(t.get("name", ""), t.get("parameters")) for t in listed if t.get("type") == "function"
        ),
        tool_results=tuple(
            texts(i.get("output"), _TEXT) for i in items if i.get("type") == "function_call_output"
        ),
        must_call=choice == "required" or isinstance(choice, dict),
        json_schema=_schema((body.get("text") or {}).get("format") or {}),
        max_tokens=body.get("max_output_tokens"),
        messages=len(items) + (1 if body.get("instructions") else 0),
        images=sum(_images(item.get("content")) for item in items),
        stream=bool(body.get("stream")),
    )


def _told(instructions: str | None, items: list[JSON], tools: JSON) -> Iterator[str]:
    yield instructions or ""
    for item in items:
        yield texts(item.get("content"), _TEXT)
        yield from strings([item.get("name"), item.get("arguments"), item.get("output")])
    yield from strings(tools)


def _images(content: JSON) -> int:
    return sum(part.get("type") == "input_image" for part in content) if isinstance(content, list) else 0


def _schema(form: JSON) -> JSON:
    match form.get("type"):
        case "json_schema":
            return form.get("schema") or {}
        case "json_object":
            return {"type": "object", "properties": {"답변": {"type": "string"}}}
        case _:
            return None


def usage(_prompt: Prompt, counts: Counts, _dialect: Dialect) -> JSON:
    """State usage: cached tokens are part of the input, reasoning part of the output."""
    asked = counts.input + counts.cache_read + counts.cache_write
    answered = counts.output + counts.reasoning
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": counts.cache_read},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": asked + answered,
    }


def billed(counts: Counts, _dialect: Dialect) -> Counts:
    return counts.without_cache_write()


def whole(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> bytes:
    return dumps(_response(prompt, answer, dialect, exchange_id))


def _response(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> dict[str, JSON]:
    cut = answer.finish == "length"
    return _opening(prompt, exchange_id) | {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [item for item, _ in _items(answer, exchange_id)],
        "usage": usage(prompt, answer.counts, dialect),
    }


def _opening(prompt: Prompt, exchange_id: str) -> dict[str, JSON]:
    return {
        "id": f"resp_{exchange_id}",
        "object": "response",
        "created_at": CREATED,
        "model": prompt.model,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }


def _items(answer: Answer, exchange_id: str) -> Iterator[tuple[dict[str, JSON], str]]:
    """Yield each output item, finished, with the text that streams into it."""
    if answer.counts.reasoning:
        yield {"id": f"rs_{exchange_id}", "type": "reasoning", "summary": []}, ""
    for call in answer.tool_calls:
        function = {"call_id": call.id, "name": call.name, "arguments": call.arguments, "status": "completed"}
        yield {"id": f"fc_{call.id}", "type": "function_call"} | function, call.arguments
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        message = {"role": "assistant", "status": "completed", "content": [part]}
        yield {"id": f"msg_{exchange_id}", "type": "message"} | message, answer.text


def events(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> Iterator[bytes]:
    for number, (kind, data) in enumerate(_sequence(prompt, answer, dialect, exchange_id)):
        yield sse({"type": kind, "sequence_number": number} | data, kind)


def _sequence(
    prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str
) -> Iterator[tuple[str, dict[str, JSON]]]:
    opening = _opening(prompt, exchange_id)
    yield "response.created", {"response": opening}
    yield "response.in_progress", {"response": opening}
    for index, (item, text) in enumerate(_items(answer, exchange_id)):
        yield "response.output_item.added", {"output_index": index, "item": _empty(item)}
        yield from _filling(item, text, {"item_id": item["id"], "output_index": index})
        yield "response.output_item.done", {"output_index": index, "item": item}
    kind = "response.incomplete" if answer.finish == "length" else "response.completed"
    yield kind, {"response": _response(prompt, answer, dialect, exchange_id)}


def _empty(item: dict[str, JSON]) -> dict[str, JSON]:
    match item["type"]:
        case "function_call":
            return item | {"arguments": "", "status": "in_progress"}
        case "message":
            return item | {"content": [], "status": "in_progress"}
        case _:
            return item


def _filling(item: dict[str, JSON], text: str, at: dict[str, JSON]) -> Iterator[tuple[str, dict[str, JSON]]]:
    if item["type"] == "function_call":
        for piece in tokens.pieces(text):
            yield "response.function_call_arguments.delta", at | {"delta": piece}
        yield "response.function_call_arguments.done", at | {"arguments": text}
    elif item["type"] == "message":
        part = at | {"content_index": 0}
        yield "response.content_part.added", part | {"part": item["content"][0] | {"text": ""}}
        for piece in tokens.pieces(text):
            yield "response.output_text.delta", part | {"delta": piece, "logprobs": []}
        yield "response.output_text.done", part | {"text": text, "logprobs": []}
        yield "response.content_part.done", part | {"part": item["content"][0]}


def error(message: str) -> bytes:
    return dumps(
        {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
    )
