"""Bedrock Converse and ConverseStream: a ChatRequest into a signed UpstreamRequest.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. Pure but for the
clock that a signature needs (aws.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import Audio, File, Image, Reasoning, Text, ToolCall, ToolResult
from gateway.errors import InvalidRequest
from gateway.providers import aws, failures
from gateway.providers.bedrock_answers import Decoder
from gateway.providers.claude import is_proven, thinking
from gateway.providers.writing import (
    DEFAULT_MAX_OUTPUT_TOKENS,
    DataURL,
    Parameters,
    arguments_of,
    data_url,
    instructions,
    lacking,
    lacking_part,
    present,
    refuse_hosted,
    unsaid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, Message, Part, ResponseFormat, Tool, UpstreamRequest

__all__ = ["Decoder", "error", "request"]

_OWN_FIELDS: Final = (
    *("additionalModelRequestFields", "guardrailConfig", "performanceConfig", "requestMetadata"),
    "additionalModelResponseFieldPaths",
)

error = failures.from_response


def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest:
    """Write and sign a Converse request. Raises UnsupportedFeature or InvalidRequest."""
    refuse_hosted(chat.tools)
    parameters = Parameters(chat, deployment)
    parameters.cannot(*unsaid(chat, "thinking", "output_config"))
    system, dialogue = instructions(chat.messages)
    additional = _additional(chat, deployment, parameters)
    own = parameters.pass_on(_OWN_FIELDS)
    additional |= own.pop("additionalModelRequestFields", None) or {}
    body = present(
        messages=_merged(dialogue),
        system=[block for m in system for block in _blocks(m.parts)] or None,
        inferenceConfig=_inference(chat, parameters) or None,
        toolConfig=_tool_config(chat),
        outputConfig=_form(chat.response_format),
        additionalModelRequestFields=additional or None,
    )
    body |= own | dict(deployment.options.get("body", {}))
    url = aws.address(deployment, "converse-stream" if chat.stream else "converse")
    return aws.signed(deployment, url, orjson.dumps(body), parameters.dropped())


# --- parameters ----------------------------------------------------------------------------------


def _inference(chat: ChatRequest, parameters: Parameters) -> dict[str, JSON]:
    return {
        **present(maxTokens=chat.max_output_tokens, stopSequences=list(chat.stop) or None),
        **parameters.take(temperature="temperature", top_p="topP"),
    }


def _additional(chat: ChatRequest, deployment: Deployment, parameters: Parameters) -> dict[str, JSON]:
    """Write what only some model families take, in their own words."""
    model = deployment.upstream_model
    if "claude" in model:
        limit = chat.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS
        asked = thinking(chat, model, limit, parameters)
        return asked | parameters.take(top_k="top_k")
    if chat.reasoning_effort is not None and "gpt-oss" in model:
        return {"reasoning_effort": chat.reasoning_effort}
    if chat.reasoning_effort is not None:
        parameters.cannot("reasoning_effort")
    return {}


def _tool_config(chat: ChatRequest) -> JSON:
    choice = chat.tool_choice
    if not chat.tools:
        return None
    if choice is not None and choice.mode == "none":
        if any(isinstance(part, ToolCall) for message in chat.messages for part in message.parts):
            raise lacking("tool_choice none", "tool_choice")  # earlier calls need their tools declared
        return None
    named = {"tool": {"name": choice.name}} if choice and choice.mode == "named" else {}
    wanted = named or ({"any": {}} if choice and choice.mode == "required" else None)
    tools = [block for tool in chat.tools for block in (_tool(tool), *_cache_point(tool.extra))]
    return present(tools=tools, toolChoice=wanted)


def _tool(tool: Tool) -> dict[str, JSON]:
    schema = {"json": tool.parameters or {"type": "object", "properties": {}}}
    return {"toolSpec": present(name=tool.name, description=tool.description or None, inputSchema=schema)}


def _form(wanted: ResponseFormat | None) -> JSON:
    if wanted is None or wanted.kind == "text":
        return None
    if wanted.kind == "json_object":
        raise lacking("response_format json_object", "response_format")
    schema = orjson.dumps(wanted.schema).decode()
    named = present(name=wanted.name or "answer", schema=schema, description=wanted.description)
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": named}}}


# --- messages ------------------------------------------------------------------------------------


def _merged(dialogue: Iterable[Message]) -> list[dict[str, JSON]]:
    """Write turns; roles must alternate, so neighbours of one role are merged."""
    turns: list[dict[str, JSON]] = []
    for message in dialogue:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message.parts)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(parts: Iterable[Part]) -> list[dict[str, JSON]]:
    written: list[dict[str, JSON]] = []
    for number, part in enumerate(parts):
        if (block := _block(part, number)) is not None:
            written += [block, *_cache_point(part.extra)]
    return written


def _cache_point(extra: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Translate Anthropic's mark on a part into the block that follows it here."""
    mark = extra.get("cache_control")
    if not isinstance(mark, dict):
        return []
    return [{"cachePoint": {"type": "default", **present(ttl=mark.get("ttl"))}}]


def _block(part: Part, number: int) -> dict[str, JSON] | None:
    match part:
        case Text(text):
            return {"text": text} if text else None
        case Image(url):
            return {"image": _image(url)}
        case File():
            return {"document": _document(part, number)}
        case Reasoning():
            return _thought(part)
        case ToolCall(id_, name):
            return {"toolUse": {"toolUseId": id_, "name": name, "input": arguments_of(part)}}
        case ToolResult(call_id, inner, is_error):
            status = {"status": "error"} if is_error else {}
            return {"toolResult": {"toolUseId": call_id, "content": _blocks(inner), **status}}
        case Audio():
            raise lacking_part(part)


def _inline(url: str) -> DataURL:
    inline = data_url(url)
    if inline is None:
        raise InvalidRequest(
            "이 모델에는 이미지와 파일을 주소가 아니라 내용(data: URL)으로 보내야 합니다.",
            "This model takes images and files by content (a data: URL), not by address.",
            param="messages",
        )
    return inline


def _image(url: str) -> dict[str, JSON]:
    inline = _inline(url)
    form = inline.media_type.removeprefix("image/").replace("jpg", "jpeg")
    return {"format": form, "source": {"bytes": inline.base64}}


def _document(file: File, number: int) -> dict[str, JSON]:
    """Write a document; its name may hold few kinds of characters, and steers the model, so it is plain."""
    inline = _inline(file.data or "")
    stem, _, suffix = (file.filename or "").rpartition(".")
    form = _FORMATS.get(inline.media_type) or suffix.lower() or "txt"
    name = re.sub(r"[^A-Za-z0-9\-()\[\] ]+", " ", stem).strip() or "document"
    return {"format": form, "name": f"{name} {number + 1}", "source": {"bytes": inline.base64}}


_FORMATS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}


def _thought(thought: Reasoning) -> dict[str, JSON] | None:
    if thought.redacted is not None:
        return {"reasoningContent": {"redactedContent": thought.redacted}}
    if not is_proven(thought):
        return None
    proven = {"text": thought.text, "signature": thought.signature}
    return {"reasoningContent": {"reasoningText": proven}}
