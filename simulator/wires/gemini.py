"""Google's generateContent, of AI Studio and Vertex.

Source: https://ai.google.dev/api/generate-content.

Model and streaming stand in the path: `…/models/{model}:streamGenerateContent?alt=sse`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simulator import tokens
from simulator.exchange import JSON, Answer, Counts, Prompt, Tool
from simulator.wires import dumps, need_list, sse, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.dialects import Dialect

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool": "STOP"}


def parse(body: JSON, model: str, *, stream: bool) -> Prompt:
    """Read a generateContent request. Raises BadRequest."""
    contents = need_list(body, "contents")
    config = body.get("generationConfig") or {}
    calling = ((body.get("toolConfig") or {}).get("functionCallingConfig") or {}).get("mode")
    declared = [d for tool in body.get("tools") or [] for d in tool.get("functionDeclarations") or []]
    return Prompt(
        model=model,
        question=next(
            (_texts(c) for c in reversed(contents) if c.get("role", "user") == "user" and _texts(c)), ""
        ),
        everything="\n".join(_told(body.get("systemInstruction"), contents, declared)),
        tools=() if calling == "NONE" else tuple(Tool(d["name"], _schema(d)) for d in declared),
        tool_results=tuple(_results(contents)),
        must_call=calling == "ANY",
        json_schema=_wanted(config),
        max_tokens=config.get("maxOutputTokens"),
        choices=config.get("candidateCount") or 1,
        messages=len(contents) + (1 if body.get("systemInstruction") else 0),
        images=sum("inlineData" in part for content in contents for part in content.get("parts") or []),
        stream=stream,
    )


def _texts(content: JSON) -> str:
    return "\n".join(part["text"] for part in content.get("parts") or [] if "text" in part)


def _told(system: JSON, contents: list[JSON], declared: list[JSON]) -> Iterator[str]:
    for content in ([system] if system else []) + contents:
        yield _texts(content)
        for part in content.get("parts") or []:
            yield from strings([part.get("functionCall"), part.get("functionResponse")])
    yield from strings(declared)


def _results(contents: list[JSON]) -> Iterator[str]:
    for content in contents:
        for part in content.get("parts") or []:
            if "functionResponse" in part:
                yield "\n".join(strings(part["functionResponse"].get("response")))


def _schema(declaration: JSON) -> JSON:
    return _lower(declaration.get("parametersJsonSchema") or declaration.get("parameters") or {})


def _wanted(config: JSON) -> JSON:
    if config.get("responseMimeType") != "application/json":
        return None
    given = config.get("responseJsonSchema") or config.get("responseSchema")
    return _lower(given or {"type": "object", "properties": {"답변": {"type": "string"}}})


def _lower(schema: JSON) -> JSON:
    """Write Google's upper-case type names the way JSON schema does."""
    if isinstance(schema, dict):
        lowered = {name: _lower(value) for name, value in schema.items()}
        return lowered | ({"type": lowered["type"].lower()} if isinstance(lowered.get("type"), str) else {})
    return [_lower(item) for item in schema] if isinstance(schema, list) else schema


def usage(_prompt: Prompt, counts: Counts, _dialect: Dialect) -> dict[str, JSON]:
    """State usage: cached tokens are part of the prompt, thoughts stand beside the candidates."""
    asked = counts.input + counts.cache_read + counts.cache_write
    stated: dict[str, JSON] = {
        "promptTokenCount": asked,
        "candidatesTokenCount": counts.output,
        "totalTokenCount": asked + counts.output + counts.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked}],
    }
    if counts.reasoning:
        stated["thoughtsTokenCount"] = counts.reasoning
    if counts.cache_read:
        stated["cachedContentTokenCount"] = counts.cache_read
    return stated


def billed(counts: Counts, _dialect: Dialect) -> Counts:
    return counts.without_cache_write()


def whole(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> bytes:
    return dumps(
        _chunk(
            prompt, _parts(answer), exchange_id, usage(prompt, answer.counts, dialect), _FINISH[answer.finish]
        )
    )


def _chunk(
    prompt: Prompt, parts: list[JSON], exchange_id: str, stated: JSON, finish: str | None
) -> dict[str, JSON]:
    ending = {"finishReason": finish} if finish else {}
    candidates = [
        {"content": {"parts": parts, "role": "model"}, "index": index} | ending
        for index in range(prompt.choices)
    ]
    return {
        "candidates": candidates,
        "usageMetadata": stated,
        "modelVersion": prompt.model,
        "responseId": exchange_id,
    }


def _parts(answer: Answer) -> list[JSON]:
    calls = [{"functionCall": {"name": c.name, "args": json.loads(c.arguments)}} for c in answer.tool_calls]
    return ([{"text": answer.text}] if answer.text else []) + calls


def events(prompt: Prompt, answer: Answer, dialect: Dialect, exchange_id: str) -> Iterator[bytes]:
    """Yield the stream; each chunk states usage so far, and only the last one's is the total."""
    stated = usage(prompt, answer.counts, dialect)
    so_far = {"promptTokenCount": stated["promptTokenCount"], "totalTokenCount": stated["promptTokenCount"]}
    pieces = tokens.pieces(answer.text)
    for start in range(0, len(pieces), 4):
        part = {"text": "".join(pieces[start : start + 4])}
        yield sse(_chunk(prompt, [part], exchange_id, so_far, None))
    calls = [part for part in _parts(answer) if "functionCall" in part]
    yield sse(_chunk(prompt, calls or [{"text": ""}], exchange_id, stated, _FINISH[answer.finish]))


def error(message: str) -> bytes:
    return dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
