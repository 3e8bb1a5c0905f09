"""OpenAI's Responses dialect: client JSON -> ChatRequest, and answers -> client JSON. Pure.

Source: OpenAI API reference, "Responses" and "Streaming events". Everything that would keep state at a
provider (`previous_response_id`, conversations, background runs, hosted tools) is refused; `store` is
never true on the way out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

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
from gateway.surfaces.reading import integer, model_of, number, object_of, optional, refuse, rest, wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from billing.usage import Usage
    from gateway.domain import Completion, Delta, Part, ToolCallDelta

NAME: Final = "responses"
KIND: Final = "chat"
CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"

# --- parsing -------------------------------------------------------------------------------------


def parse(body: JSON) -> ChatRequest:
    """Read a Responses request. Raises InvalidRequest or UnsupportedFeature, naming the field at fault."""
    body = object_of(body)
    for field in ("previous_response_id", "conversation", "background", "prompt"):
        refuse(
            body,
            field,
            "제공자에 상태를 두는 기능은 쓸 수 없습니다. 이전 대화를 input에 함께 보내세요.",
            "state at the provider is not offered. Send the earlier turns in `input`.",
        )
    reasoning = optional(body, "reasoning", dict) or {}
    text = optional(body, "text", dict) or {}
    most_probable = integer(0, 20)(body, "top_logprobs")
    included = _included(body)
    tools = tuple(_tool(t, f"tools[{i}]") for i, t in enumerate(optional(body, "tools", list) or ()))
    return ChatRequest(
        model=model_of(body),
        messages=(*_instructions(body), *_turns(_input(body.get("input")))),
        tools=tools,
        tool_choice=_tool_choice(body),
        parallel_tool_calls=optional(body, "parallel_tool_calls", bool),
        response_format=_format(text.get("format")),
        max_output_tokens=integer(1, 10_000_000)(body, "max_output_tokens"),
        temperature=number(0, 2)(body, "temperature"),
        top_p=number(0, 1)(body, "top_p"),
        logprobs=True if most_probable or _LOGPROBS in included else None,
        top_logprobs=most_probable or None,
        reasoning_effort=optional(reasoning, "effort", str),
        service_tier=optional(body, "service_tier", str),
        user=optional(body, "user", str),
        metadata=optional(body, "metadata", dict),
        stream=bool(optional(body, "stream", bool)),
        include_usage=True,
        extra=_beside(body, text, included) or NOTHING,
        own_words={"reasoning": reasoning, "tools": "strict"} if reasoning or tools else NOTHING,
    )


def _included(body: Mapping[str, JSON]) -> list[str]:
    included = optional(body, "include", list) or []
    if not all(isinstance(item, str) for item in included):
        raise wrong_type("include", "문자열 목록/a list of strings")
    return included


def _beside(body: Mapping[str, JSON], text: Mapping[str, JSON], included: list[str]) -> dict[str, JSON]:
    """Return what this dialect alone has, for providers that speak it; others name what they leave out."""
    more = {
        "text": rest(text, ("format",)),
        "include": [item for item in included if item not in (_LOGPROBS, _PROOFS)],
        "truncation": None if body.get("truncation") == "disabled" else body.get("truncation"),
    }
    return {**rest(body, _TAKEN), **{name: value for name, value in more.items() if value}}


_LOGPROBS: Final = "message.output_text.logprobs"
_PROOFS: Final = "reasoning.encrypted_content"
"""Asked for wherever a provider gives it."""
_TAKEN: Final = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text"),
        *("max_output_tokens", "temperature", "top_p", "top_logprobs", "reasoning", "service_tier", "user"),
        *("metadata", "stream", "stream_options", "store", "previous_response_id", "conversation"),
        *("background", "prompt", "include", "truncation"),
    }
)


def _instructions(body: Mapping[str, JSON]) -> tuple[Message, ...]:
    text = optional(body, "instructions", str)
    return (Message("developer", (Text(text),)),) if text else ()


def _input(given: JSON) -> Iterator[Message]:
    if isinstance(given, str) and given:
        yield Message("user", (Text(given),))
    elif isinstance(given, list) and given:
        for i, item in enumerate(given):
            yield _item(item, f"input[{i}]")
    elif given in (None, "", []):
        raise InvalidRequest(
            "'input'이 비어 있습니다. 글이나 메시지 목록을 보내세요.",
            "'input' is empty. Send a text or a list of items.",
            param="input",
            code="empty_messages",
        )
    else:
        raise wrong_type("input", "문자열이나 목록/a string or a list")


def _turns(messages: Iterable[Message]) -> Iterator[Message]:
    """Join what an assistant said in one turn: calls that stand in several messages are refused elsewhere.

    Two texts stay two messages, since the items that they came from could not be told from one.
    """
    turn: Message | None = None
    for message in messages:
        if turn is not None and _continues(turn, message):
            turn = replace(turn, parts=turn.parts + message.parts)
            continue
        if turn is not None:
            yield turn
        turn = message
    if turn is not None:
        yield turn


def _continues(turn: Message, message: Message) -> bool:
    if turn.role != "assistant" or message.role != "assistant" or not (turn.parts and message.parts):
        return False
    return not (isinstance(turn.parts[-1], Text) and isinstance(message.parts[0], Text))


def _item(item: JSON, path: str) -> Message:
    match item:
        case {"role": "user" | "assistant" | "system" | "developer" as role}:
            return Message(role, tuple(_content(item.get("content"), f"{path}.content")))
        case {"type": "function_call", "call_id": str(id_), "name": str(name), "arguments": str(arguments)}:
            return Message("assistant", (ToolCall(id_, name, arguments),))
        case {"type": "function_call_output", "call_id": str(id_), "output": output}:
            return Message("tool", (ToolResult(id_, tuple(_content(output, f"{path}.output"))),))
        case {"type": "reasoning"}:
            return Message("assistant", (_reasoning(item),))
        case _:
            raise InvalidRequest(
                f"'{path}'는 알 수 없는 항목입니다. message, function_call, function_call_output 중 하나로.",
                f"'{path}' is not a known item. Send message, function_call or function_call_output.",
                param=path,
                code="unknown_content_part",
            )


def _reasoning(item: Mapping[str, JSON]) -> Reasoning:
    pieces = item.get("summary") or item.get("content") or ()
    text = "\n".join(str(piece.get("text", "")) for piece in pieces if isinstance(piece, dict))
    id_ = item["id"] if isinstance(item.get("id"), str) else None
    return proofs.of_encrypted(text, optional(item, "encrypted_content", str), id_)


def _content(content: JSON, path: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
    elif isinstance(content, list):
        for i, part in enumerate(content):
            yield _part(part, f"{path}[{i}]")
    else:
        raise wrong_type(path, "문자열이나 내용 목록/a string or a list of parts")


def _part(part: JSON, path: str) -> Part:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text)}:
            return Text(text)
        case {"type": "refusal", "refusal": str(text)}:
            return Text(text)
        case {"type": "input_image", "image_url": str(url)}:
            return Image(url, part.get("detail"))
        case {"type": "input_file"}:
            name, data, id_ = (optional(part, f, str) for f in ("filename", "file_data", "file_id"))
            return File(name, data or optional(part, "file_url", str), id_)
        case _:
            raise InvalidRequest(
                f"'{path}'는 알 수 없는 내용입니다. input_text, input_image, input_file로 보내세요.",
                f"'{path}' is not a known content part. Send input_text, input_image or input_file.",
                param=path,
                code="unknown_content_part",
            )


def _tool(item: JSON, path: str) -> Tool:
    match item:
        case {"type": "function", "name": str(name)}:
            description, strict = optional(item, "description", str), optional(item, "strict", bool)
            return Tool(name, description, item.get("parameters"), strict)
        case {"type": str(kind)}:
            raise UnsupportedFeature(
                f"'{path}': 함수 도구만 쓸 수 있습니다({kind[:40]}은(는) 제공자가 실행합니다).",
                f"'{path}': only function tools are offered ({kind[:40]} runs at the provider).",
                param=path,
            )
        case _:
            raise wrong_type(path, "type과 name을 가진 객체/an object with type and name")


def _tool_choice(body: Mapping[str, JSON]) -> ToolChoice | None:
    value = body.get("tool_choice")
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case {"type": "function", "name": str(name)}:
            return ToolChoice("named", name)
        case _:
            raise wrong_type(
                "tool_choice", "auto, none, required나 함수 지정/auto, none, required or a function"
            )


def _format(wanted: JSON) -> ResponseFormat | None:
    match wanted:
        case None:
            return None
        case {"type": "text" | "json_object" as kind}:
            return ResponseFormat(kind)
        case {"type": "json_schema", "schema": schema}:
            return ResponseFormat(
                "json_schema", wanted.get("name"), schema, wanted.get("strict"), wanted.get("description")
            )
        case _:
            raise wrong_type(
                "text.format", "text, json_object나 json_schema/text, json_object or json_schema"
            )


# --- whole answers -------------------------------------------------------------------------------


def encode(completion: Completion, model_id: str, answer_id: str, created: int) -> bytes:
    """Encode a whole answer; `model_id` is our name of the model that served it."""
    choice = completion.choices[0] if completion.choices else None
    items = [_shown(part, f"{answer_id}_{i}") for i, part in enumerate(choice.parts)] if choice else []
    if choice and choice.refusal:
        items.append(_message(answer_id, [{"type": "refusal", "refusal": choice.refusal}]))
    finish = choice.finish_reason if choice else None
    usage = completion.report.usage if completion.report else None
    response = _response(answer_id, model_id, created, [i for i in items if i], finish)
    return orjson.dumps({**response, "usage": usage_object(usage)})


def _response(
    answer_id: str, model_id: str, created: int, output: list[dict[str, JSON]], finish: str | None
) -> dict[str, JSON]:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish or "")
    return {
        "id": f"resp_{answer_id}",
        "object": "response",
        "created_at": created,
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "model": model_id,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "metadata": {},
        "store": False,
        "usage": None,
    }


def _shown(part: Part, id_: str) -> dict[str, JSON] | None:
    match part:
        case Text(text):
            return _message(id_, [_output_text(text)]) if text else None
        case Reasoning():
            proof = proofs.as_encrypted(part.proofs)
            return _reasoning_item(part.text, proof, str(part.extra.get("id") or f"rs_{id_}"))
        case ToolCall(call_id, name, arguments):
            return _call_item(id_, call_id, name, arguments)
        case _:
            return None


def _message(id_: str, content: list[dict[str, JSON]], status: str = "completed") -> dict[str, JSON]:
    return {"id": f"msg_{id_}", "type": "message", "status": status, "role": "assistant", "content": content}


def _output_text(text: str) -> dict[str, JSON]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _reasoning_item(text: str, proof: str | None, id_: str) -> dict[str, JSON]:
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: dict[str, JSON] = {"id": id_, "type": "reasoning", "summary": summary}
    return item | ({"encrypted_content": proof} if proof else {})


def _call_item(
    id_: str, call_id: str, name: str, arguments: str, status: str = "completed"
) -> dict[str, JSON]:
    return {
        "id": f"fc_{id_}",
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def usage_object(usage: Usage | None) -> dict[str, JSON] | None:
    """Responses' usage: cached is part of input, reasoning is part of output."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cache_read or 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": usage.total_tokens,
    }


# --- streams -------------------------------------------------------------------------------------


class StreamEncoder:
    """Encodes deltas as Responses events. One item is open at a time; `_items` are the closed ones."""

    def __init__(self, model_id: str, answer_id: str, created: int, *, include_usage: bool) -> None:
        del include_usage  # this dialect always shows usage
        self._head = (answer_id, model_id, created)
        self._sequence = 0
        self._items: list[dict[str, JSON]] = []
        self._open: tuple[str, int] | None = None
        self._item_id = ""
        self._text: list[str] = []
        self._call: tuple[str, str] = ("", "")
        self._proof: str | None = None
        self._thought_id: str | None = None
        self._finish: str | None = None
        self._begun = False

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        pieces = list(self._begin())
        for delta in deltas:
            pieces += self._delta(delta)
        return b"".join(pieces)

    def end(self, usage: Usage | None, _stated: Mapping[str, JSON] = NOTHING) -> bytes:
        """Close the open item, then state the whole response with what it used."""
        pieces = [*self._begin(), *self._close()]
        response = {**_response(*self._head, self._items, self._finish), "usage": usage_object(usage)}
        pieces.append(self._event(f"response.{response['status']}", response=response))
        return b"".join(pieces)

    def error(self, body: bytes) -> bytes:
        """Encode an error that ends the stream; here its members stand beside the event's type."""
        members = orjson.loads(body)["error"]
        return self._event("error", **{k: v for k, v in members.items() if k != "type"})

    def _begin(self) -> Iterator[bytes]:
        if not self._begun:
            self._begun = True
            response = {**_response(*self._head, [], None), "status": "in_progress"}
            yield self._event("response.created", response=response)
            yield self._event("response.in_progress", response=response)

    def _delta(self, delta: Delta) -> Iterator[bytes]:
        if delta.choice:
            return
        if delta.extra:
            yield from self._thought(delta.extra)
        if delta.reasoning:
            yield from self._reasoning(delta.reasoning)
        if delta.text:
            yield from self._piece("message", "response.output_text.delta", delta.text)
        if delta.refusal:
            yield from self._piece("refusal", "response.refusal.delta", delta.refusal)
        for call in delta.tool_calls:
            yield from self._call_piece(call)
        if delta.finish_reason is not None:
            self._finish = delta.finish_reason

    def _thought(self, extra: Mapping[str, JSON]) -> Iterator[bytes]:
        """Take id and proof of a thought; one without text is an item, too."""
        id_ = extra.get("reasoning_id")
        if id_ and id_ != self._thought_id:
            yield from self._close_reasoning()
            self._thought_id = id_
        proof = proofs.as_encrypted(extra)
        if proof is None:
            return
        is_redacted = "signature" not in extra  # and whole at once
        if is_redacted:
            yield from self._close_reasoning()
        if self._open != ("reasoning", 0):
            yield from self._start("reasoning", 0)
        self._proof = proof if self._proof is None else self._proof + str(extra["signature"])
        if is_redacted:
            yield from self._close_reasoning()

    def _reasoning(self, text: str) -> Iterator[bytes]:
        if self._proof is not None:  # what was proven is over
            yield from self._close_reasoning()
        if self._open != ("reasoning", 0):
            yield from self._start("reasoning", 0)
        if not self._text:
            part = {"type": "summary_text", "text": ""}
            yield self._item_event("response.reasoning_summary_part.added", summary_index=0, part=part)
        self._text.append(text)
        yield self._item_event("response.reasoning_summary_text.delta", delta=text, summary_index=0)

    def _close_reasoning(self) -> Iterator[bytes]:
        if self._open == ("reasoning", 0):
            yield from self._close()

    def _piece(self, kind: str, event: str, text: str) -> Iterator[bytes]:
        if self._open != (kind, 0):
            yield from self._start(kind, 0)
        self._text.append(text)
        more: dict[str, JSON] = {"logprobs": []} if kind == "message" else {}
        yield self._item_event(event, delta=text, content_index=0, **more)

    def _call_piece(self, call: ToolCallDelta) -> Iterator[bytes]:
        if self._open != ("function_call", call.index):
            yield from self._close()
            self._call = (call.id or "", call.name or "")
            yield from self._start("function_call", call.index)
        if call.arguments:
            self._text.append(call.arguments)
            yield self._item_event("response.function_call_arguments.delta", delta=call.arguments)

    def _start(self, kind: str, number: int) -> Iterator[bytes]:
        yield from self._close()
        self._open = (kind, number)
        self._text = []
        item = self._item("in_progress")
        self._item_id = str(item["id"])
        yield self._event("response.output_item.added", output_index=len(self._items), item=item)
        if kind in ("message", "refusal"):
            yield self._item_event("response.content_part.added", content_index=0, part=self._part(kind, ""))

    def _close(self) -> Iterator[bytes]:
        if self._open is None:
            return
        kind, text = self._open[0], "".join(self._text)
        yield from self._done(kind, text)
        item = self._item("completed")
        yield self._event("response.output_item.done", output_index=len(self._items), item=item)
        self._items.append(item)
        self._open = None
        if kind == "reasoning":
            self._proof = self._thought_id = None

    def _done(self, kind: str, text: str) -> Iterator[bytes]:
        if kind == "function_call":
            yield self._item_event(
                "response.function_call_arguments.done", arguments=text, name=self._call[1]
            )
        elif kind == "reasoning":
            if text:
                part = {"type": "summary_text", "text": text}
                yield self._item_event("response.reasoning_summary_text.done", summary_index=0, text=text)
                yield self._item_event("response.reasoning_summary_part.done", summary_index=0, part=part)
        else:
            name, member = ("output_text", "text") if kind == "message" else ("refusal", "refusal")
            more: dict[str, JSON] = {"logprobs": []} if kind == "message" else {}
            yield self._item_event(f"response.{name}.done", content_index=0, **{member: text}, **more)
            yield self._item_event("response.content_part.done", content_index=0, part=self._part(kind, text))

    def _item(self, status: str) -> dict[str, JSON]:
        assert self._open is not None, "an item is open"
        kind, text = self._open[0], "".join(self._text)
        id_ = f"{self._head[0]}_{len(self._items)}"
        if kind == "function_call":
            return _call_item(id_, *self._call, text, status)
        if kind == "reasoning":
            return _reasoning_item(text, self._proof, self._thought_id or f"rs_{id_}")
        return _message(id_, [self._part(kind, text)] if status == "completed" else [], status)

    def _part(self, kind: str, text: str) -> dict[str, JSON]:
        return _output_text(text) if kind == "message" else {"type": "refusal", "refusal": text}

    def _item_event(self, event: str, /, **members: JSON) -> bytes:
        return self._event(event, item_id=self._item_id, output_index=len(self._items), **members)

    def _event(self, name: str, /, **members: JSON) -> bytes:
        body: dict[str, Any] = {"type": name, "sequence_number": self._sequence, **members}
        self._sequence += 1
        return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(body))


# --- errors --------------------------------------------------------------------------------------


def error_object(_status: int, error: Mapping[str, JSON]) -> dict[str, JSON]:
    """Wrap the members of an error as OpenAI does."""
    return {"error": dict(error)}
