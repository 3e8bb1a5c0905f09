"""Anthropic's Messages dialect: client JSON -> ChatRequest, and answers -> client JSON. Pure.

Source: https://docs.anthropic.com/en/api/messages and …/messages-streaming. Tools that Anthropic would
run itself, remote MCP servers and containers are refused: their state and traffic would live outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import (
    JSON,
    NOTHING,
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
from gateway.surfaces import proofs
from gateway.surfaces.reading import (
    integer,
    messages_of,
    model_of,
    number,
    object_of,
    optional,
    refuse,
    rest,
    wrong_type,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from billing.usage import Usage
    from gateway.domain import Choice, Completion, Delta, Part, ToolCallDelta

NAME: Final = "messages"
KIND: Final = "chat"
CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"

# --- parsing -------------------------------------------------------------------------------------


def parse(body: JSON) -> ChatRequest:
    """Read a Messages request. Raises InvalidRequest or UnsupportedFeature, naming the field at fault."""
    body = object_of(body)
    for field in ("mcp_servers", "container", "context_management"):
        refuse(
            body,
            field,
            "제공자 쪽에 상태를 두는 기능은 쓸 수 없습니다.",
            "state at the provider is not offered.",
        )
    thinking = optional(body, "thinking", dict) or {}
    config = optional(body, "output_config", dict) or {}
    metadata = optional(body, "metadata", dict) or {}
    choice, parallel = _tool_choice(body)
    messages = (*_system(body), *_messages(body))
    of_documents = sorted({name for m in messages for name in _said_of_documents(m.parts)})
    return ChatRequest(
        model=model_of(body),
        messages=messages,
        tools=tuple(_tool(t, f"tools[{i}]") for i, t in enumerate(optional(body, "tools", list) or ())),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        response_format=_format(config.get("format") or body.get("output_format")),
        max_output_tokens=_max_tokens(body),
        temperature=number(0, 1)(body, "temperature"),
        top_p=number(0, 1)(body, "top_p"),
        top_k=integer(0, 1_000_000)(body, "top_k"),
        stop=tuple(_strings(body, "stop_sequences")),
        reasoning_effort=optional(config, "effort", str) if thinking.get("type") != "disabled" else "none",
        reasoning_budget_tokens=_budget(thinking),
        service_tier=optional(body, "service_tier", str),
        user=metadata.get("user_id") if isinstance(metadata.get("user_id"), str) else None,
        stream=bool(optional(body, "stream", bool)),
        include_usage=True,
        extra=rest(body, _TAKEN) or NOTHING,
        own_words=_own_words(
            thinking=thinking, output_config=rest(config, ("format",)), documents=of_documents
        ),
    )


_TAKEN: Final = frozenset(
    {
        *(
            "model",
            "messages",
            "system",
            "tools",
            "tool_choice",
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
        ),
        *(
            "stop_sequences",
            "thinking",
            "output_config",
            "output_format",
            "service_tier",
            "metadata",
            "stream",
        ),
        *("mcp_servers", "container", "context_management"),
    }
)


def _own_words(**said: JSON) -> Mapping[str, JSON]:
    return {name: value for name, value in said.items() if value} or NOTHING


def _max_tokens(body: Mapping[str, JSON]) -> int:
    limit = integer(1, 10_000_000)(body, "max_tokens")
    if limit is None:
        raise InvalidRequest(
            "'max_tokens'가 없습니다. 답변의 최대 토큰 수를 넣으세요.",
            "'max_tokens' is missing. State how many tokens the answer may have.",
            param="max_tokens",
            code="missing_field",
        )
    return limit


def _budget(thinking: Mapping[str, JSON]) -> int | None:
    if thinking.get("type") == "enabled":
        return integer(1, 10_000_000)(thinking, "budget_tokens")
    return None


def _strings(body: Mapping[str, JSON], field: str) -> list[str]:
    value = optional(body, field, list) or []
    if not all(isinstance(item, str) for item in value):
        raise wrong_type(field, "문자열 목록/a list of strings")
    return value


def _format(wanted: JSON) -> ResponseFormat | None:
    match wanted:
        case None:
            return None
        case {"type": "json_schema", "schema": dict(schema)}:
            return ResponseFormat("json_schema", name="answer", schema=schema)
        case _:
            raise wrong_type("output_config.format", "json_schema 형식/a json_schema format")


def _tool(item: JSON, path: str) -> Tool:
    match item:
        case {"name": str(name), "input_schema": dict(schema)} if item.get("type") in (None, "custom"):
            taken = ("name", "description", "input_schema", "strict", "type")
            description = optional(item, "description", str)
            return Tool(name, description, schema, optional(item, "strict", bool), rest(item, taken))
        case {"type": str(kind)} if kind != "custom":
            raise UnsupportedFeature(
                f"'{path}': 제공자가 직접 실행하는 도구({kind[:40]})는 쓸 수 없습니다.",
                f"'{path}': tools that the provider runs itself ({kind[:40]}) are not offered.",
                param=path,
            )
        case _:
            raise wrong_type(path, "name과 input_schema를 가진 객체/an object with name and input_schema")


def _tool_choice(body: Mapping[str, JSON]) -> tuple[ToolChoice | None, bool | None]:
    value = optional(body, "tool_choice", dict)
    if value is None:
        return None, None
    parallel = False if value.get("disable_parallel_tool_use") is True else None
    match value:
        case {"type": "auto" | "none" as mode}:
            return ToolChoice(mode), parallel
        case {"type": "any"}:
            return ToolChoice("required"), parallel
        case {"type": "tool", "name": str(name)}:
            return ToolChoice("named", name), parallel
        case _:
            raise wrong_type("tool_choice", "auto, any, tool 또는 none/auto, any, tool or none")


def _system(body: Mapping[str, JSON]) -> tuple[Message, ...]:
    system = body.get("system")
    if system in (None, "", []):
        return ()
    return (Message("system", tuple(_content(system, "system"))),)


def _messages(body: Mapping[str, JSON]) -> Iterator[Message]:
    for i, item in enumerate(messages_of(body)):
        yield from _message(item, f"messages[{i}]")


def _message(item: JSON, path: str) -> Iterator[Message]:
    """Yield one message, or several: results of tools are messages of their own."""
    if not isinstance(item, dict):
        raise wrong_type(path, "객체/an object")
    role = item.get("role")
    if role not in ("user", "assistant"):
        raise InvalidRequest(
            f"'{path}.role'은 user나 assistant여야 합니다.",
            f"'{path}.role' must be user or assistant.",
            param=f"{path}.role",
            code="invalid_value",
        )
    parts = tuple(_content(item.get("content"), f"{path}.content"))
    for part in parts:
        if isinstance(part, ToolResult):
            yield Message("tool", (part,))
    said = tuple(part for part in parts if not isinstance(part, ToolResult))
    if said:
        yield Message(role, said)


def _content(content: JSON, path: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
    elif isinstance(content, list):
        for i, block in enumerate(content):
            yield _block(block, f"{path}[{i}]")
    else:
        raise wrong_type(path, "문자열이나 내용 목록/a string or a list of blocks")


def _block(block: JSON, path: str) -> Part:
    match block:
        case {"type": "text", "text": str(text)}:
            return Text(text, rest(block, ("type", "text")))
        case {"type": "image", "source": dict(source)}:
            return Image(_url(source, path), extra=rest(block, ("type", "source")))
        case {"type": "document", "source": dict(source)}:
            return _document(block, source, path)
        case {"type": "tool_use", "id": str(id_), "name": str(name), "input": given}:
            extra = rest(block, ("type", "id", "name", "input"))
            return ToolCall(id_, name, orjson.dumps(given).decode(), extra)
        case {"type": "tool_result", "tool_use_id": str(id_)}:
            inner = block.get("content")
            parts = tuple(_content(inner, f"{path}.content")) if inner is not None else ()
            extra = rest(block, ("type", "tool_use_id", "content", "is_error"))
            return ToolResult(id_, parts, block.get("is_error") is True, extra)
        case {"type": "thinking", "thinking": str(text)}:
            return proofs.of_signature(text, optional(block, "signature", str))
        case {"type": "redacted_thinking", "data": str(data)}:
            return Reasoning("", redacted=data)
        case _:
            raise InvalidRequest(
                f"'{path}'는 알 수 없는 내용입니다. text, image, document, tool_use, tool_result로 보내세요.",
                f"'{path}' is not a known block. Send text, image, document, tool_use or tool_result.",
                param=path,
                code="unknown_content_part",
            )


def _url(source: Mapping[str, JSON], path: str) -> str:
    match source:
        case {"type": "base64", "media_type": str(kind), "data": str(data)}:
            return f"data:{kind};base64,{data}"
        case {"type": "url", "url": str(url)}:
            return url
        case _:
            raise wrong_type(f"{path}.source", "base64 또는 url/base64 or url")


def _document(block: Mapping[str, JSON], source: Mapping[str, JSON], path: str) -> Part:
    title = block.get("title")
    if source.get("type") == "text" and isinstance(source.get("data"), str):
        pieces = [source["data"]]
    elif source.get("type") == "content":
        pieces = [p.text for p in _content(source.get("content"), path) if isinstance(p, Text)]
    else:
        extra = rest(block, ("type", "source", "title"))
        return File(title if isinstance(title, str) else None, _url(source, path), extra=extra)
    said = {name: block[name] for name in _OF_DOCUMENTS if block.get(name) is not None}
    document = {**said, "pieces": pieces if source["type"] == "content" else None}
    return Text("".join(pieces), {**rest(block, ("type", "source", *_OF_DOCUMENTS)), "document": document})


_OF_DOCUMENTS: Final = ("title", "context", "citations")


def _said_of_documents(parts: Iterable[Part]) -> Iterator[str]:
    """Name what was said of documents that other dialects have no place for; a file's title is its name."""
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _said_of_documents(part.parts)
            continue
        said = part.extra if isinstance(part, File) else part.extra.get("document")
        if isinstance(said, Mapping):
            yield from (name for name in _OF_DOCUMENTS if said.get(name) not in (None, {"enabled": False}))


# --- whole answers -------------------------------------------------------------------------------

STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def encode(completion: Completion, model_id: str, answer_id: str, _created: int) -> bytes:
    """Encode a whole answer; `model_id` is our name of the model that served it."""
    choice = completion.choices[0] if completion.choices else None
    blocks = [block for part in choice.parts if (block := _shown(part)) is not None] if choice else []
    if choice and choice.refusal:
        blocks.append({"type": "text", "text": choice.refusal})
    return orjson.dumps(
        {
            "id": f"msg_{answer_id}",
            "type": "message",
            "role": "assistant",
            "model": model_id,
            "content": blocks,
            **_stop(choice, completion),
            "usage": usage_object(completion.report.usage if completion.report else None),
        }
    )


def _stop(choice: Choice | None, completion: Completion) -> dict[str, JSON]:
    if choice is None:
        return _ending(None, completion.extra, called=False)
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    return _ending(choice.finish_reason, completion.extra, called=called)


def _ending(reason: str | None, stated: Mapping[str, JSON], *, called: bool) -> dict[str, JSON]:
    """Say why an answer ended, in its provider's own words if they are of this dialect."""
    if reason == "stop" and called:  # OpenAI's reason where the client had named the function
        reason = "tool_calls"
    own, sequence = (
        said if isinstance(said := stated.get(name), str) else None
        for name in ("stop_reason", "stop_sequence")
    )
    return {"stop_reason": own or STOP_REASONS.get(reason or "", reason), "stop_sequence": sequence}


def _shown(part: Part) -> dict[str, JSON] | None:
    match part:
        case Text(text):
            return {"type": "text", "text": text} if text else None
        case Reasoning(text, signature, redacted, extra):
            if redacted is not None:
                return {"type": "redacted_thinking", "data": redacted}
            proof = proofs.as_signature(signature, extra.get("id")) if signature else ""
            return {"type": "thinking", "thinking": text, "signature": proof}
        case ToolCall(id_, name, arguments):
            return {"type": "tool_use", "id": id_, "name": name, "input": _input(arguments)}
        case _:
            return None


def _input(arguments: str) -> JSON:
    """Return the arguments as an object; what is no JSON object is handed on as text, not lost."""
    try:
        given = orjson.loads(arguments or "{}")
        orjson.dumps([[[[given]]]])  # read deeper than the answer around it can be written
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return {"_invalid_json": arguments}
    return given if isinstance(given, dict) else {"_value": given}


def usage_object(usage: Usage | None) -> dict[str, JSON]:
    """Anthropic's usage: the input excludes what was read from or written to the cache."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    five, hour = usage.cache_write_5m or 0, usage.cache_write_1h or 0
    return {
        "input_tokens": usage.input_tokens - (usage.cache_read or 0) - five - hour,
        "cache_read_input_tokens": usage.cache_read or 0,
        "cache_creation_input_tokens": five + hour,
        "output_tokens": usage.output_tokens,
    }


# --- streams -------------------------------------------------------------------------------------


class StreamEncoder:
    """Encodes deltas as Anthropic's events: one block is open at a time, as its clients expect."""

    def __init__(self, model_id: str, answer_id: str, _created: int, *, include_usage: bool) -> None:
        del include_usage  # this dialect always shows usage
        message: dict[str, JSON] = {
            "id": f"msg_{answer_id}",
            "type": "message",
            "role": "assistant",
            "model": model_id,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(None),
        }
        self._opening = _event("message_start", message=message)
        self._open: tuple[str, int] | None = None
        self._blocks = 0
        self._reason: str | None = None
        self._called = False
        self._is_proven = False
        """The thought before this has its proof: another is a block of its own."""
        self._thought_id: str | None = None

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        pieces = [self._take_opening()]
        for delta in deltas:
            pieces += self._delta(delta)
        return b"".join(pieces)

    def _take_opening(self) -> bytes:
        opening, self._opening = self._opening, b""
        return opening

    def _delta(self, delta: Delta) -> Iterator[bytes]:
        if delta.choice:
            return
        thought_id = delta.extra.get("reasoning_id", self._thought_id) if delta.extra else self._thought_id
        if thought_id != self._thought_id or (self._is_proven and delta.reasoning):
            yield from self._close_thought()
            self._thought_id = thought_id
        if delta.reasoning:
            yield from self._piece("thinking", 0, "thinking_delta", thinking=delta.reasoning)
        if delta.extra:
            yield from self._proof(delta.extra)
        for text in (delta.text, delta.refusal):
            if text:
                yield from self._piece("text", 0, "text_delta", text=text)
        for call in delta.tool_calls:
            yield from self._call(call)
        if delta.finish_reason is not None:
            self._reason = delta.finish_reason

    def _proof(self, extra: Mapping[str, JSON]) -> Iterator[bytes]:
        if extra.get("signature"):
            proof = proofs.as_signature(extra["signature"], extra.get("reasoning_id"))
            yield from self._piece("thinking", 0, "signature_delta", signature=proof)
            self._is_proven = True
        if extra.get("redacted_thinking"):
            block = {"type": "redacted_thinking", "data": extra["redacted_thinking"]}
            yield from self._start(("redacted_thinking", self._blocks), block)

    def _close_thought(self) -> Iterator[bytes]:
        self._is_proven = False
        if self._open == ("thinking", 0):
            yield from self._close()

    def _call(self, call: ToolCallDelta) -> Iterator[bytes]:
        if self._open != ("tool_use", call.index):
            block = {"type": "tool_use", "id": call.id or "", "name": call.name or "", "input": {}}
            yield from self._start(("tool_use", call.index), block)
            self._called = True
        if call.arguments:
            yield self._content("input_json_delta", partial_json=call.arguments)

    def _piece(self, kind: str, number: int, delta_type: str, **piece: JSON) -> Iterator[bytes]:
        if self._open != (kind, number):
            empty: dict[str, JSON] = {"type": kind, kind: ""}
            if kind == "thinking":
                empty["signature"] = ""
            yield from self._start((kind, number), empty)
        yield self._content(delta_type, **piece)

    def _start(self, kind: tuple[str, int], block: dict[str, JSON]) -> Iterator[bytes]:
        yield from self._close()
        self._open = kind
        yield _event("content_block_start", index=self._blocks, content_block=block)

    def _content(self, delta_type: str, **piece: JSON) -> bytes:
        return _event("content_block_delta", index=self._blocks, delta={"type": delta_type, **piece})

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            yield _event("content_block_stop", index=self._blocks)
            self._open = None
            self._blocks += 1

    def end(self, usage: Usage | None, stated: Mapping[str, JSON] = NOTHING) -> bytes:
        """Close the open block, say why it ended and what it used."""
        stop = _ending(self._reason, stated, called=self._called)
        return b"".join(
            (
                self._take_opening(),
                *self._close(),
                _event("message_delta", delta=stop, usage=usage_object(usage)),
                _event("message_stop"),
            )
        )

    @staticmethod
    def error(body: bytes) -> bytes:
        return b"event: error\ndata: " + body + b"\n\n"


def _event(name: str, **members: JSON) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **members}))


# --- counting ------------------------------------------------------------------------------------


class Counting:
    """This dialect for `count_tokens`, where `max_tokens` is not asked for."""

    NAME = "count_tokens"
    KIND = KIND
    CONTENT_TYPE = CONTENT_TYPE
    StreamEncoder = StreamEncoder
    encode = staticmethod(encode)

    @staticmethod
    def parse(body: JSON) -> ChatRequest:
        return parse({**body, "max_tokens": 1} if isinstance(body, dict) else body)

    @staticmethod
    def error_object(status: int, error: Mapping[str, JSON]) -> dict[str, JSON]:
        return error_object(status, error)


# --- errors --------------------------------------------------------------------------------------

_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_object(status: int, error: Mapping[str, JSON]) -> dict[str, JSON]:
    """Wrap the members of an error (message, type, code, …) as this dialect does."""
    return {"type": "error", "error": {**error, "type": _ERROR_TYPES.get(status, "api_error")}}
