"""Amazon Bedrock's Converse and ConverseStream, whose stream is a binary AWS event stream.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html and
https://smithy.io/2.0/aws/amazon-eventstream.html (framing). Signatures are not checked.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING

from simulator import tokens
from simulator.exchange import JSON, Answer, Counts, Prompt, Tool
from simulator.wires import dumps, need_list, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.dialects import Dialect

_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}
_STRING_HEADER = 7


def parse(body: JSON, model: str, *, stream: bool) -> Prompt:
    """Read a Converse request. Raises BadRequest."""
    messages = need_list(body, "messages")
    config = body.get("toolConfig") or {}
    specs = [tool["toolSpec"] for tool in config.get("tools") or [] if "toolSpec" in tool]
    choice = config.get("toolChoice") or {}
    return Prompt(
        model=model,
        question=next((_texts(m["content"]) for m in reversed(messages) if m.get("role") == "user"), ""),
        everything="\n".join(_told(body.get("system") or [], messages, specs)),
        tools=tuple(Tool(s["name"], (s.get("inputSchema") or {}).get("json")) for s in specs),
        tool_results=tuple(_results(messages)),
        must_call="any" in choice or "tool" in choice,
        json_schema=_schema(body.get("outputConfig") or {}),
        max_tokens=(body.get("inferenceConfig") or {}).get("maxTokens"),
        messages=len(messages) + (1 if body.get("system") else 0),
        images=sum("image" in block for m in messages for block in m["content"]),
        stream=stream,
    )


def _schema(output_config: JSON) -> JSON:
    """Return the schema of a structured answer, which Converse takes as JSON text."""
    form = output_config.get("textFormat") or {}
    if form.get("type") != "json_schema":
        return None
    return json.loads(form["structure"]["jsonSchema"]["schema"])


def _texts(blocks: list[JSON]) -> str:
    return "\n".join(block["text"] for block in blocks if "text" in block)


def _told(system: list[JSON], messages: list[JSON], specs: list[JSON]) -> Iterator[str]:
    yield _texts(system)
    for message in messages:
        yield _texts(message["content"])
        for block in message["content"]:
            yield from strings([block.get("toolUse"), block.get("toolResult")])
    yield from strings(specs)


def _results(messages: list[JSON]) -> Iterator[str]:
    for message in messages:
        for block in message["content"]:
            if "toolResult" in block:
                yield "\n".join(strings(block["toolResult"].get("content")))


def usage(_prompt: Prompt, counts: Counts, _dialect: Dialect) -> dict[str, JSON]:
    """State usage: `inputTokens` excludes cache reads and writes."""
    asked = counts.input + counts.cache_read + counts.cache_write
    return {
        "inputTokens": counts.input,
        "outputTokens": counts.output + counts.reasoning,
        "totalTokens": asked + counts.output + counts.reasoning,
        "cacheReadInputTokens": counts.cache_read,
        "cacheWriteInputTokens": counts.cache_write,
    }


def billed(counts: Counts, _dialect: Dialect) -> Counts:
    return counts.without_reasoning()


def whole(prompt: Prompt, answer: Answer, dialect: Dialect, _exchange_id: str) -> bytes:
    message = {"role": "assistant", "content": list(_content(answer))}
    return dumps(
        {
            "output": {"message": message},
            "stopReason": _FINISH[answer.finish],
            "usage": usage(prompt, answer.counts, dialect),
            "metrics": {"latencyMs": 12},
        }
    )


def _content(answer: Answer) -> Iterator[dict[str, JSON]]:
    if answer.text:
        yield {"text": answer.text}
    for call in answer.tool_calls:
        called = {"toolUseId": call.id, "name": call.name, "input": json.loads(call.arguments)}
        yield {"toolUse": called}


def events(prompt: Prompt, answer: Answer, dialect: Dialect, _exchange_id: str) -> Iterator[bytes]:
    yield frame("messageStart", {"role": "assistant"})
    for index, block in enumerate(_content(answer)):
        yield from _block(index, block)
    yield frame("messageStop", {"stopReason": _FINISH[answer.finish]})
    yield frame("metadata", {"usage": usage(prompt, answer.counts, dialect), "metrics": {"latencyMs": 12}})


def _block(index: int, block: dict[str, JSON]) -> Iterator[bytes]:
    at = {"contentBlockIndex": index}
    if "toolUse" in block:
        called = block["toolUse"]
        named = {"toolUse": {"toolUseId": called["toolUseId"], "name": called["name"]}}
        yield frame("contentBlockStart", at | {"start": named})
        for piece in tokens.pieces(json.dumps(called["input"], ensure_ascii=False)):
            yield frame("contentBlockDelta", at | {"delta": {"toolUse": {"input": piece}}})
    else:
        for piece in tokens.pieces(block["text"]):
            yield frame("contentBlockDelta", at | {"delta": {"text": piece}})
    yield frame("contentBlockStop", at)


def frame(event: str, payload: JSON) -> bytes:
    """Frame one message: lengths and their CRC, typed headers, the payload, the CRC of it all."""
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":event-type", event),
            (":content-type", "application/json"),
            (":message-type", "event"),
        )
    )
    body = dumps(payload)
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return bytes([len(name)]) + name.encode() + struct.pack(">BH", _STRING_HEADER, len(text)) + text


def error(message: str) -> bytes:
    return dumps({"message": message})
