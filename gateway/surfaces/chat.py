"""The chat completions dialect: client JSON -> ChatRequest, and answers -> client JSON.

Pure. Source: OpenAI API reference, "Create chat completion", and what its clients really send
(open-webui, LibreChat, langchain-openai). Unknown top-level fields are the provider's and travel in
`extra`; a field that begins with `haechi` is ours, and refused when we do not know it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.domain import (
    JSON,
    MAX_CHOICES,
    NOTHING,
    NOTHING_BUT_TEXT,
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway.errors import InvalidRequest, UnsupportedFeature
from gateway.surfaces.reading import (
    integer,
    messages_of,
    model_of,
    number,
    object_of,
    of_kind,
    optional,
    out_of_range,
    rest,
    wrong_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from billing.usage import Usage
    from gateway.domain import Choice, Completion, Delta, Part, ToolCallDelta

NAME: Final = "chat"
KIND: Final = "chat"
MAX_MESSAGES: Final = 10_000


# --- parsing -------------------------------------------------------------------------------------


def parse(body: JSON) -> ChatRequest:
    """Read a request body. Raises InvalidRequest or UnsupportedFeature, naming the field at fault."""
    extra: Mapping[str, JSON] = NOTHING
    if not isinstance(body, dict) or body.keys() - _TAKEN:
        _refuse_what_we_do_not_take(object_of(body))
        extra = rest(body, _TAKEN)
    known = {field: read(body, field) for field in body if (read := _FIELDS.get(field)) is not None}
    for field in _ALWAYS:
        if field not in known:
            known[field] = _FIELDS[field](body, field)
    return ChatRequest(
        messages=_messages(body), include_usage=_include_usage(body), extra=extra, **_renamed(known)
    )


def _include_usage(body: Mapping[str, JSON]) -> bool:
    options = optional(body, "stream_options", dict)
    return options is not None and options.get("include_usage") is True


def _refuse_what_we_do_not_take(body: Mapping[str, JSON]) -> None:
    for name, instead in (("functions", "tools"), ("function_call", "tool_choice")):
        if body.get(name) is not None:
            raise UnsupportedFeature(
                f"'{name}'은(는) 더 이상 쓰이지 않습니다. '{instead}'를 쓰세요.",
                f"'{name}' is no longer supported. Use '{instead}'.",
                param=name,
            )


def _stop(body: Mapping[str, JSON], field: str) -> tuple[str, ...]:
    value = body.get(field)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise wrong_type(field, "문자열이나 문자열 목록/a string or a list of strings")


def _tools(body: Mapping[str, JSON], field: str) -> tuple[Tool, ...]:
    value = optional(body, field, list) or ()
    return tuple(_tool(item, f"{field}[{i}]") for i, item in enumerate(value))


def _tool(item: JSON, path: str) -> Tool:
    if not isinstance(item, dict):
        raise wrong_type(path, "객체/an object")
    function = item.get("function")
    if item.get("type") != "function" or not isinstance(function, dict):
        raise UnsupportedFeature(
            f"'{path}': 함수 도구(type=function)만 쓸 수 있습니다.",
            f"'{path}': only function tools (type=function) are supported.",
            param=path,
        )
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise wrong_type(f"{path}.function.name", "문자열/a string")
    return Tool(
        name=name,
        description=optional(function, "description", str),
        parameters=function.get("parameters"),
        strict=optional(function, "strict", bool),
        extra=rest(item, ("type", "function")),
    )


def _tool_choice(body: Mapping[str, JSON], field: str) -> ToolChoice | None:
    value = body.get(field)
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice("named", name)
        case _:
            raise wrong_type(
                field, "auto, none, required 또는 함수 지정/auto, none, required or a named function"
            )


def _response_format(body: Mapping[str, JSON], field: str) -> ResponseFormat | None:
    value = body.get(field)
    match value:
        case None:
            return None
        case {"type": "text"}:
            return ResponseFormat("text")
        case {"type": "json_object"}:
            return ResponseFormat("json_object")
        case {"type": "json_schema", "json_schema": {"name": str(name)} as spec}:
            return ResponseFormat(
                "json_schema", name, spec.get("schema"), spec.get("strict"), spec.get("description")
            )
        case _:
            raise wrong_type(field, "text, json_object 또는 json_schema/text, json_object or json_schema")


def _output_limit(body: Mapping[str, JSON], _field: str) -> int | None:
    """Today's name is `max_completion_tokens`, `max_tokens` the old one; of both, the smaller."""
    new, old = _read_limit(body, "max_completion_tokens"), _read_limit(body, "max_tokens")
    return min(new, old) if new is not None and old is not None else old if new is None else new


_read_limit: Final = integer(1, 10_000_000)


_FIELDS: Final[dict[str, Callable[[Mapping[str, JSON], str], Any]]] = {
    "model": model_of,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": of_kind(bool),
    "response_format": _response_format,
    "max_completion_tokens": _output_limit,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_k": integer(0, 1_000_000),
    "stop": _stop,
    "seed": of_kind(int),
    "n": integer(1, MAX_CHOICES),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "logprobs": of_kind(bool),
    "top_logprobs": integer(0, 20),
    "logit_bias": of_kind(dict),
    "reasoning_effort": of_kind(str),
    "service_tier": of_kind(str),
    "user": of_kind(str),
    "metadata": of_kind(dict),
    "stream": of_kind(bool),
}

_ALWAYS: Final = ("model", "max_completion_tokens")
"""Read also where they are absent: the first is needed, the second has an older name."""

_TAKEN: Final = frozenset({*_FIELDS, "messages", "max_tokens", "stream_options"})


def _renamed(known: dict[str, Any]) -> dict[str, Any]:
    known["max_output_tokens"] = known.pop("max_completion_tokens")
    known["stream"] = bool(known.get("stream"))
    known["n"] = known.get("n") or 1
    return known


def _messages(body: Mapping[str, JSON]) -> tuple[Message, ...]:
    value = messages_of(body)
    if len(value) > MAX_MESSAGES:
        raise out_of_range("messages.length", 1, MAX_MESSAGES)
    return tuple(_message(item, f"messages[{i}]") for i, item in enumerate(value))


def _message(item: JSON, path: str) -> Message:
    if not isinstance(item, dict):
        raise wrong_type(path, "객체/an object")
    role = item.get("role")
    if role not in _ROLES:
        raise InvalidRequest(
            f"'{path}.role'은 system, developer, user, assistant, tool 가운데 하나여야 합니다.",
            f"'{path}.role' must be one of system, developer, user, assistant, tool.",
            param=f"{path}.role",
            code="invalid_value",
        )
    parts = _content(item.get("content"), path)
    if role == "tool":
        parts = (_tool_result(item, parts, path),)
    elif role == "assistant":
        parts = (*_reasoning(item), *parts, *_tool_calls(item, path))
    elif not parts:
        raise wrong_type(f"{path}.content", "문자열이나 내용 목록/a string or a list of parts")
    if item.keys() == _ROLE_AND_CONTENT:  # as nearly all are
        return Message(role, parts)
    return Message(role, parts, optional(item, "name", str), rest(item, _MESSAGE_FIELDS))


_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
_ROLE_AND_CONTENT: Final = frozenset({"role", "content"})
_MESSAGE_FIELDS: Final = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning"}
)


def _content(content: JSON, path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    if content is None:
        return ()
    if isinstance(content, list):
        return tuple(_part(part, f"{path}.content[{i}]") for i, part in enumerate(content))
    raise wrong_type(f"{path}.content", "문자열이나 내용 목록/a string or a list of parts")


def _part(part: JSON, path: str) -> Part:
    match part:
        case {"type": "text", "text": str(text)}:
            return Text(text, rest(part, ("type", "text")))
        case {"type": "refusal", "refusal": str(text)}:
            return Text(text)
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            return Image(url, image.get("detail"), rest(part, ("type", "image_url")))
        case {"type": "image_url", "image_url": str(url)}:
            return Image(url)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return Audio(data, kind, rest(part, ("type", "input_audio")))
        case {"type": "file", "file": dict(file)}:
            return File(
                file.get("filename"),
                file.get("file_data"),
                file.get("file_id"),
                rest(part, ("type", "file")),
            )
        case _:
            raise InvalidRequest(
                f"'{path}'는 알 수 없는 내용입니다. text, image_url, input_audio, file 중 하나로 보내세요.",
                f"'{path}' is not a known content part. Send text, image_url, input_audio or file.",
                param=path,
                code="unknown_content_part",
            )


def _reasoning(item: Mapping[str, JSON]) -> tuple[Part, ...]:
    text = item.get("reasoning_content") or item.get("reasoning")
    return (Reasoning(text),) if isinstance(text, str) and text else ()


def _tool_calls(item: Mapping[str, JSON], path: str) -> tuple[ToolCall, ...]:
    calls = optional(item, "tool_calls", list) or ()
    return tuple(_tool_call(call, f"{path}.tool_calls[{i}]") for i, call in enumerate(calls))


def _tool_call(call: JSON, path: str) -> ToolCall:
    match call:
        case {"id": str(id_), "function": {"name": str(name), "arguments": str(arguments)}}:
            return ToolCall(id_, name, arguments, rest(call, ("id", "type", "function", "index")))
        case _:
            raise wrong_type(
                path, "id와 function(name, arguments)을 가진 객체/an object with id and function"
            )


def _tool_result(item: Mapping[str, JSON], parts: tuple[Part, ...], path: str) -> ToolResult:
    call_id = item.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise wrong_type(f"{path}.tool_call_id", "문자열/a string")
    return ToolResult(call_id, parts)


# --- whole answers -------------------------------------------------------------------------------


def encode(completion: Completion, model_id: str, answer_id: str, created: int) -> bytes:
    """Encode a whole answer; `model_id` is our name of the model that served it."""
    return orjson.dumps(
        {
            "id": answer_id,
            "object": "chat.completion",
            "created": created,
            "model": model_id,
            "choices": [_choice(choice) for choice in completion.choices],
            "usage": None if completion.report is None else usage_object(completion.report.usage),
            **({"service_tier": completion.service_tier} if completion.service_tier else {}),
        }
    )


def _choice(choice: Choice) -> dict[str, JSON]:
    text = "".join(p.text for p in choice.parts if isinstance(p, Text))
    reasoning = "".join(p.text for p in choice.parts if isinstance(p, Reasoning))
    calls = [_call_object(p) for p in choice.parts if isinstance(p, ToolCall)]
    message: dict[str, JSON] = {"role": "assistant", "content": text if text or not calls else None}
    message["refusal"] = choice.refusal
    if drawn := [
        {"type": "image_url", "image_url": {"url": p.url}} for p in choice.parts if isinstance(p, Image)
    ]:
        message["images"] = drawn
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    message.update(choice.extra)
    return {
        "index": choice.index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish_reason,
    }


def _call_object(call: ToolCall) -> dict[str, JSON]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
        **call.extra,
    }


def usage_object(usage: Usage) -> dict[str, JSON]:
    """OpenAI's usage: cached is part of prompt, reasoning is part of completion."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read or 0,
            "audio_tokens": usage.audio_input or 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning or 0,
            "audio_tokens": usage.audio_output or 0,
        },
    }


# --- streams -------------------------------------------------------------------------------------

DONE: Final = b"data: [DONE]\n\n"
CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"


class StreamEncoder:
    """Encodes deltas as `chat.completion.chunk` events; the envelope is built once per stream."""

    def __init__(self, model_id: str, answer_id: str, created: int, *, include_usage: bool) -> None:
        envelope = orjson.dumps(
            {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": model_id}
        )
        self._head = b"data: " + envelope[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._include_usage = include_usage
        self._openings: dict[int, bytes] = {}
        """By choice, once something was said there: an event of text up to its text."""
        self._closing = b'},"finish_reason":null}' + self._tail

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        """Encode deltas that arrived together, as one write."""
        written: list[bytes] = []
        openings, closing = self._openings, self._closing
        for delta in deltas:
            if delta[2:] == NOTHING_BUT_TEXT and delta.choice in openings:  # nearly every one
                written += (openings[delta.choice], orjson.dumps(delta.text), closing)
            else:
                written.append(self._event(delta))
        return b"".join(written)

    def _event(self, delta: Delta) -> bytes:
        body: dict[str, JSON] = {}
        if delta.choice not in self._openings:
            opening = b'{"index":%d,"delta":{"content":' % delta.choice
            self._openings[delta.choice] = self._head + opening
            body["role"] = "assistant"
            body["content"] = ""
        if delta.text:
            body["content"] = delta.text
        if delta.reasoning:
            body["reasoning_content"] = delta.reasoning
        if delta.refusal:
            body["refusal"] = delta.refusal
        if delta.tool_calls:
            body["tool_calls"] = [_call_fragment(call) for call in delta.tool_calls]
        if delta.extra:
            body.update(delta.extra)
        choice: dict[str, JSON] = {
            "index": delta.choice,
            "delta": body,
            "finish_reason": delta.finish_reason,
        }
        if delta.logprobs is not None:
            choice["logprobs"] = delta.logprobs
        return self._head + orjson.dumps(choice) + self._tail

    def end(self, usage: Usage | None, _stated: Mapping[str, JSON] = NOTHING) -> bytes:
        """Encode the end of a whole stream: usage if the client asked for it, then `[DONE]`."""
        if not self._include_usage:
            return DONE
        shown = b"null" if usage is None else orjson.dumps(usage_object(usage))
        return self._head + b'],"usage":' + shown + b"}\n\n" + DONE

    @staticmethod
    def error(body: bytes) -> bytes:
        """Encode an error event; no finish_reason and no `[DONE]` follow it."""
        return b"data: " + body + b"\n\n"


def _call_fragment(call: ToolCallDelta) -> dict[str, JSON]:
    function: dict[str, JSON] = {"arguments": call.arguments}
    fragment: dict[str, JSON] = {"index": call.index}
    if call.id is not None:
        fragment["id"] = call.id
        fragment["type"] = "function"
    if call.name is not None:
        function["name"] = call.name
    fragment["function"] = function
    if call.extra:
        fragment.update(call.extra)
    return fragment


# --- errors --------------------------------------------------------------------------------------


def error_object(_status: int, error: Mapping[str, JSON]) -> dict[str, JSON]:
    """Wrap the members of an error as OpenAI does."""
    return {"error": dict(error)}
