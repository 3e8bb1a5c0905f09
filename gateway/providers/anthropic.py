"""Anthropic Messages: a ChatRequest into an UpstreamRequest. Pure.

Source: https://docs.anthropic.com/en/api/messages. Traps held here: reasoning without its proof is
refused there; results of parallel calls must stand in one turn; thinking excludes sampling parameters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import Audio, File, Image, Reasoning, Text, ToolCall, ToolResult, UpstreamRequest
from gateway.errors import InvalidRequest
from gateway.providers import failures
from gateway.providers.anthropic_answers import Decoder
from gateway.providers.claude import is_proven, thinking
from gateway.providers.writing import (
    DEFAULT_MAX_OUTPUT_TOKENS,
    Parameters,
    arguments_of,
    data_url,
    instructions,
    known,
    lacking,
    lacking_part,
    present,
    refuse_hosted,
    unsaid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import (
        JSON,
        ChatRequest,
        Message,
        Part,
        ResponseFormat,
        Tool,
    )

VERSION: Final = "2023-06-01"
_OWN_FIELDS: Final = (
    *("thinking", "context_management", "cache_control"),
    *("inference_geo", "output_config", "speed", "anthropic_beta"),
)
_A_BETA: Final = re.compile(r"[A-Za-z0-9_.,-]{1,200}")
_MOST_BETAS: Final = 32

__all__ = ["Decoder", "error", "request"]

_MARKS: Final = frozenset(
    {"cache_control", "citations", "context", "caller", "defer_loading", "eager_input_streaming"}
    | {"input_examples", "allowed_callers"}
)

error = failures.from_response


def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest:
    """Write a Messages request. Raises UnsupportedFeature or InvalidRequest."""
    refuse_hosted(chat.tools)
    parameters = Parameters(chat, deployment)
    parameters.cannot(*unsaid(chat, "documents", "thinking", "output_config"))
    system, dialogue = instructions(chat.messages)
    limit = chat.max_output_tokens or deployment.options.get("max_tokens", DEFAULT_MAX_OUTPUT_TOKENS)
    choice = _tool_choice(chat)
    parameters.take(parallel_tool_calls="")  # part of the choice
    user = parameters.take(user="user_id")
    body = {
        **present(
            model=deployment.upstream_model,
            max_tokens=limit,
            system=[block for message in system for block in _blocks(message.parts)] or None,
            messages=_merged(dialogue),
            tools=[_tool(tool) for tool in chat.tools] or None,
            tool_choice=choice,
            stop_sequences=list(chat.stop) or None,
            metadata=user or None,
            stream=True if chat.stream else None,
        ),
        **thinking(chat, deployment.upstream_model, limit, parameters),
        **_sampling(parameters),
    }
    own = parameters.pass_on(_OWN_FIELDS)
    betas = _betas(own.pop("anthropic_beta", None))
    form = _output_config(chat.response_format)
    if config := form | body.pop("output_config", {}) | _config(own.pop("output_config", None)):
        body["output_config"] = config
    body |= own | dict(deployment.options.get("body", {}))
    headers = _headers(chat, deployment, betas)
    return UpstreamRequest("POST", _url(deployment), headers, orjson.dumps(body), parameters.dropped())


def _url(deployment: Deployment) -> str:
    base = deployment.base_url.rstrip("/")
    return f"{base}/messages" if base.endswith("/v1") else f"{base}/v1/messages"


def _headers(chat: ChatRequest, deployment: Deployment, betas: Iterable[str]) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "accept": "text/event-stream" if chat.stream else "application/json",
        "anthropic-version": VERSION,
        **present(**{"x-api-key": deployment.credential.api_key, "anthropic-beta": ",".join(betas) or None}),
        **deployment.headers,
    }


def _betas(named: JSON) -> list[str]:
    """Read what becomes a header. Raises InvalidRequest: else it would look like a broken connection."""
    if named is None:
        return []
    is_list = isinstance(named, list) and len(named) <= _MOST_BETAS
    if not is_list or not all(isinstance(name, str) and _A_BETA.fullmatch(name) for name in named):
        raise InvalidRequest(
            "'anthropic_beta'의 형식이 잘못되었습니다. 베타 이름의 목록으로 보내세요.",
            "'anthropic_beta' has the wrong type. Send a list of names of betas.",
            param="anthropic_beta",
            code="invalid_type",
        )
    return list(named)


def _config(asked: JSON) -> dict[str, JSON]:
    if asked is not None and not isinstance(asked, dict):
        raise InvalidRequest(
            "'output_config'의 형식이 잘못되었습니다. 객체로 보내세요.",
            "'output_config' has the wrong type. Send an object.",
            param="output_config",
            code="invalid_type",
        )
    return asked or {}


# --- parameters ----------------------------------------------------------------------------------


def _sampling(parameters: Parameters) -> dict[str, JSON]:
    taken = parameters.take(temperature="temperature", top_p="top_p", top_k="top_k")
    if (temperature := taken.get("temperature")) is not None:
        taken["temperature"] = min(temperature, 1.0)  # the scale ends at 1 here, at 2 in OpenAI's
    tier = parameters.take(service_tier="service_tier").get("service_tier")
    return taken | ({"service_tier": tier} if tier in {"auto", "standard_only"} else {})


def _tool_choice(chat: ChatRequest) -> JSON:
    mode = chat.tool_choice.mode if chat.tool_choice else "auto"
    alone = chat.parallel_tool_calls is False
    if not chat.tools or (chat.tool_choice is None and not alone):
        return None
    written: dict[str, JSON] = {"type": {"required": "any", "named": "tool"}.get(mode, mode)}
    if mode == "named" and chat.tool_choice:
        written["name"] = chat.tool_choice.name
    if alone and mode != "none":
        written["disable_parallel_tool_use"] = True
    return written


def _tool(tool: Tool) -> dict[str, JSON]:
    extra = {name: value for name, value in known(tool.extra, _MARKS).items() if name != "type"}
    schema = tool.parameters or {"type": "object", "properties": {}}
    named = present(name=tool.name, description=tool.description, strict=tool.strict)
    return {**extra, **named, "input_schema": schema}


def _output_config(wanted: ResponseFormat | None) -> dict[str, JSON]:
    if wanted is None or wanted.kind == "text":
        return {}
    if wanted.kind == "json_object" or wanted.schema is None:
        raise lacking("response_format json_object", "response_format")
    return {"format": {"type": "json_schema", "schema": wanted.schema}}


# --- messages ------------------------------------------------------------------------------------


def _merged(dialogue: Iterable[Message]) -> list[dict[str, JSON]]:
    """Write turns; results of parallel calls belong into one user turn, so neighbours are merged."""
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
    return [block for part in parts if (block := _block(part)) is not None]


def _block(part: Part) -> dict[str, JSON] | None:
    """Write one part; None for what Anthropic refuses and nobody misses: empty text, unsigned thought."""
    match part:
        case Text(text, {"document": dict(said), **others}):
            return {**known(others, _MARKS), **_text_document(text, said)} if text else None
        case Text(text, extra):
            return {**known(extra, _MARKS), "type": "text", "text": text} if text else None
        case Image(url, _, extra):
            return {**known(extra, _MARKS), "type": "image", "source": _source(url)}
        case File():
            return _document(part)
        case Reasoning():
            return _thought(part)
        case ToolCall(id_, name, _, extra):
            called = {"id": id_, "name": name, "input": arguments_of(part)}
            return {**known(extra, _MARKS), "type": "tool_use", **called}
        case ToolResult(call_id, inner, is_error, extra):
            answer = {"tool_use_id": call_id, "content": _blocks(inner)} | (
                {"is_error": True} if is_error else {}
            )
            return {**known(extra, _MARKS), "type": "tool_result", **answer}
        case Audio():
            raise lacking_part(part)


def _thought(thought: Reasoning) -> dict[str, JSON] | None:
    if thought.redacted is not None:
        return {"type": "redacted_thinking", "data": thought.redacted}
    if not is_proven(thought):
        return None
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _source(url: str) -> dict[str, JSON]:
    if inline := data_url(url):
        return {"type": "base64", "media_type": inline.media_type, "data": inline.base64}
    return {"type": "url", "url": url}


def _text_document(text: str, said: Mapping[str, JSON]) -> dict[str, JSON]:
    """Write a document of text; its pieces, which citations number, say nothing but the text."""
    pieces = said.get("pieces")
    source: dict[str, JSON] = {"type": "text", "media_type": "text/plain", "data": text}
    if isinstance(pieces, list) and all(isinstance(p, str) for p in pieces) and "".join(pieces) == text:
        source = {"type": "content", "content": [{"type": "text", "text": piece} for piece in pieces]}
    named = present(**{name: said.get(name) for name in ("title", "context", "citations")})
    return {"type": "document", "source": source, **named}


def _document(file: File) -> dict[str, JSON]:
    source = {"type": "file", "file_id": file.file_id} if file.file_id else _source(file.data or "")
    return {**known(file.extra, _MARKS), "type": "document", "source": source, **present(title=file.filename)}
