"""Answers of the OpenAI chat format, streamed or whole, into deltas and a Completion.

The decoder of openai.py; it stands apart because it is the hot path: 100 events an answer come
through here. It reads every dialect of the format at once, since they differ by addition only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import (
    NOTHING,
    Choice,
    Completion,
    Delta,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
)
from gateway.providers import failures
from gateway.providers.base import MAX_BODY_BYTES, MAX_EVENT_BYTES
from gateway.providers.openai_usage import report_of
from gateway.sse import Event, EventDecoder, EventTooLong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON, Part, UsageReport
    from gateway.errors import UpstreamError
    from gateway.providers.profiles import Profile

_FINISH: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "eos": "stop",  # Together
    "end_turn": "stop",
    "model_length": "length",  # Mistral
    "max_tokens": "length",
    "sensitive": "content_filter",  # Z.ai
}
_NOT_AN_END: Final = frozenset({"error", "network_error", "abort", "insufficient_system_resource"})
_PLAIN: Final = frozenset({"content", "role"})
_CARRIED: Final = ("annotations", "reasoning_details", "audio", "images")
_HEAD: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "service_tier", "error", "obfuscation"}
)


class Decoder:
    """See base.Decoder. `failure` keeps an error event that the provider sent inside the answer."""

    def __init__(self, profile: Profile, *, stream: bool) -> None:
        self.failure: UpstreamError | None = None
        self._profile = profile
        self._stream = stream
        self._events = EventDecoder(MAX_EVENT_BYTES)
        self._body = bytearray()
        self._whole = not stream
        self._fed = False
        self._ended = False
        self._truncated = False
        self._head: dict[str, JSON] = {}
        self._extra: dict[str, JSON] = {}
        self._choices: dict[int, _Answer] = {}
        self._usage: Mapping[str, JSON] | None = None

    @property
    def done(self) -> bool:
        return self._ended or (self._usage is not None and self._all_finished)

    @property
    def _all_finished(self) -> bool:
        return bool(self._choices) and all(answer.finished for answer in self._choices.values())

    def feed(self, data: bytes) -> list[Delta]:
        if self.failure is not None:
            raise self.failure
        if not self._fed and data:
            self._look_at(data)
        if self._whole:
            return self._collect(data)
        try:
            events = self._events.feed(data)
        except EventTooLong:
            events = []
            self.failure = failures.broken("an event is too long")
        return self._decoded(events)

    def finish(self) -> Completion:
        if self._whole:
            self._parse_whole()
        elif self.failure is None:
            self._take_cut_off(self._events.flush())
        if self.failure is not None and not self._choices and self._usage is None:
            raise self.failure
        complete = self.failure is None and not self._truncated and (self._ended or self._all_finished)
        return Completion(
            id=str(self._head.get("id") or ""),
            served_model=str(self._head.get("model") or ""),
            choices=tuple(self._choices[i].choice(i) for i in sorted(self._choices)),
            report=self._report(complete=complete),
            created=_integer(self._head.get("created")),
            service_tier=self._head.get("service_tier"),
            complete=complete,
            extra=self._extra or NOTHING,
        )

    def _report(self, *, complete: bool) -> UsageReport | None:
        return None if self._usage is None else report_of(self._usage, self._profile, partial=not complete)

    # --- streams ---------------------------------------------------------------------------------

    def _look_at(self, data: bytes) -> None:
        """See by the first byte whether a promised stream is a JSON body instead."""
        first = data.lstrip()[:1]
        if first:
            self._fed = True
            self._whole = self._whole or first in b"{["
        if first == b"<" and self._stream:
            self.failure = failures.broken("HTML instead of a stream")

    def _decoded(self, events: list[Event]) -> list[Delta]:
        """Decode what arrived together; an error waits for the next call if deltas precede it."""
        deltas: list[Delta] = []
        try:
            for event in events:
                if event.data == b"[DONE]":
                    self._ended = True
                    continue
                self._take(orjson.loads(event.data), deltas, "delta")
                if self.failure is not None:
                    break
        except (ValueError, TypeError, AttributeError):  # not JSON, or JSON of another shape
            self.failure = failures.broken("an event that is not of the chat format")
        if self.failure is not None and not deltas:
            raise self.failure
        return deltas

    def _take_cut_off(self, events: list[Event]) -> None:
        """Read a last event without its empty line; one that is cut in the middle ends the answer."""
        for event in events:
            if event.data == b"[DONE]":
                self._ended = True
                continue
            try:
                self._take(orjson.loads(event.data), [], "delta")
            except (ValueError, TypeError, AttributeError):
                self._truncated = True

    # --- whole bodies ----------------------------------------------------------------------------

    def _collect(self, data: bytes) -> list[Delta]:
        self._body += data
        if len(self._body) > MAX_BODY_BYTES:
            self.failure = failures.broken("a body is too long")
            raise self.failure
        if self._stream and self._body.rstrip().endswith(b"}"):
            return self._instead_of_a_stream()
        return []

    def _instead_of_a_stream(self) -> list[Delta]:
        """Serve a server that ignores `stream`, and raise an error that came as plain JSON."""
        try:
            body = orjson.loads(self._body)
        except orjson.JSONDecodeError:
            return []
        self._body.clear()
        deltas: list[Delta] = []
        self._take(body, deltas, "message")
        self._ended = self.failure is None
        if self.failure is not None and not deltas:
            raise self.failure
        return deltas

    def _parse_whole(self) -> None:
        if self._stream and self._ended:
            return
        try:
            body = orjson.loads(self._body)
            self._take(body, [], "message")
        except (ValueError, TypeError, AttributeError) as e:
            raise failures.broken("a body that is not of the chat format") from e
        if self.failure is None and not self._choices:
            raise failures.broken("an answer without choices")
        self._ended = True

    # --- what both share -------------------------------------------------------------------------

    def _take(self, chunk: JSON, deltas: list[Delta], member: str) -> None:
        """Take one chunk, or one whole body whose choices hold `message` instead of `delta`."""
        if not self._head:
            self._head = {name: chunk.get(name) for name in ("id", "model", "created")}
        usage = chunk.get("usage") or (chunk.get("x_groq") or NOTHING).get("usage")
        if usage:
            self._usage = usage
        if len(chunk) > 5:
            self._take_extra(chunk)
        for choice in chunk.get("choices") or ():
            self._take_choice(choice, deltas, member)
        if error := chunk.get("error"):
            self.failure = failures.from_event(error)

    def _take_extra(self, chunk: Mapping[str, JSON]) -> None:
        for name in chunk.keys() - _HEAD:
            if chunk[name] is not None:
                self._extra[name] = chunk[name]
        if tier := chunk.get("service_tier"):
            self._head["service_tier"] = tier
        if not self._head.get("model"):  # Azure opens with an empty chunk
            self._head |= {name: chunk.get(name) for name in ("id", "model", "created")}

    def _take_choice(self, choice: Mapping[str, JSON], deltas: list[Delta], member: str) -> None:
        index = choice.get("index") or 0
        answer = self._choices.get(index)
        if answer is None:
            answer = self._choices[index] = _Answer()
        message = choice.get(member)
        reason = choice.get("finish_reason")
        logprobs = choice.get("logprobs")
        if message and not message.keys() <= _PLAIN:
            delta = answer.rich(index, message)
        elif message and type(content := message.get("content")) is str:
            delta = Delta(index, content)
        else:
            delta = Delta(index) if not message else answer.rich(index, message)
        if reason is not None or logprobs is not None:
            delta = delta._replace(finish_reason=answer.end(reason), logprobs=logprobs)
        if error := choice.get("error"):
            self.failure = failures.from_event(error)
        elif reason in _NOT_AN_END:
            self.failure = self.failure or failures.from_event({"type": str(reason)})
        if usage := choice.get("usage"):  # Moonshot
            self._usage = usage
        if answer.keep(delta):
            deltas.append(delta)


class _Answer:
    """One choice as it grows."""

    __slots__ = (
        *("calls", "extra", "finish_reason", "finished", "last_call"),
        *("logprobs", "reasoning", "refusal", "text"),
    )

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, _Call] = {}
        self.last_call = -1
        self.logprobs: JSON = None
        self.finish_reason: str | None = None
        self.finished = False
        self.extra: dict[str, JSON] = {}

    def end(self, reason: JSON) -> str | None:
        """Translate a finish reason; unknown ones stay as they are, failures are none."""
        if reason is None or reason in _NOT_AN_END:
            return None
        self.finished = True
        return _FINISH.get(reason, str(reason))

    def keep(self, delta: Delta) -> bool:
        """Add a delta to the answer; return whether it says anything."""
        if delta.text:
            self.text.append(delta.text)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason
        if delta.logprobs is not None:
            self.logprobs = _joined(self.logprobs, delta.logprobs)
        if delta.extra:
            self.extra = _joined(self.extra, delta.extra)
        return delta[1:] != _SILENT

    def rich(self, index: int, message: Mapping[str, JSON]) -> Delta:
        """Read a delta or message with more than text in it."""
        text, thought = _content(message.get("content"))
        thought = message.get("reasoning_content") or message.get("reasoning") or thought
        extra = {name: value for name in _CARRIED if (value := message.get(name))}
        return Delta(
            index,
            text,
            thought if type(thought) is str else "",
            message.get("refusal") or "",
            self._call_deltas(message),
            extra=extra or None,
        )

    def _call_deltas(self, message: Mapping[str, JSON]) -> tuple[ToolCallDelta, ...]:
        calls = message.get("tool_calls")
        if not calls:
            legacy = message.get("function_call")
            return (self._call_delta({"index": 0, "function": legacy}),) if legacy else ()
        return tuple(self._call_delta(call) for call in calls)

    def _call_delta(self, call: Mapping[str, JSON]) -> ToolCallDelta:
        """Find the call that a fragment belongs to.

        Some servers leave the index out, or give 0 to every call: a new id with a name is a new call.
        """
        id_ = call.get("id") or None
        function = call.get("function") or NOTHING
        name = function.get("name") or None
        index = call.get("index")
        if type(index) is not int:
            index = self.last_call + 1 if id_ or name or self.last_call < 0 else self.last_call
        known = self.calls.get(index)
        if known is not None and id_ and name and known.id and id_ != known.id:
            index = max(self.calls) + 1
            known = None
        elif index not in self.calls and not (id_ or name) and self.last_call >= 0:
            index, known = self.last_call, self.calls[self.last_call]
        if known is None:
            known = self.calls[index] = _Call(id_, name)
            first = True
        else:
            first = False
        self.last_call = index
        arguments = function.get("arguments")
        text = arguments if type(arguments) is str else _dumped(arguments)
        known.arguments.append(text)
        return ToolCallDelta(index, *known.identify(id_, name, first=first), text)

    def choice(self, index: int) -> Choice:
        parts: list[Part] = []
        if reasoning := "".join(self.reasoning):
            parts.append(Reasoning(reasoning))
        if text := "".join(self.text):
            parts.append(Text(text))
        parts += [call.part(i) for i, call in sorted(self.calls.items())]
        return Choice(
            index,
            tuple(parts),
            self.finish_reason,
            "".join(self.refusal) or None,
            self.logprobs,
            self.extra or NOTHING,
        )


_SILENT: Final = Delta()[1:]


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self, id_: str | None, name: str | None) -> None:
        self.id, self.name = id_, name
        self.arguments: list[str] = []

    def identify(self, id_: str | None, name: str | None, *, first: bool) -> tuple[str | None, str | None]:
        """Say id and name once, though some servers repeat them in every fragment."""
        if first:
            return id_, name
        new_id, new_name = (id_ if not self.id else None), (name if not self.name else None)
        self.id, self.name = self.id or id_, self.name or name
        return new_id, new_name

    def part(self, index: int) -> ToolCall:
        return ToolCall(self.id or f"call_{index}", self.name or "", "".join(self.arguments))


def _content(content: JSON) -> tuple[str, str]:
    """Split content into text and thought; Mistral's reasoning models send a list of both."""
    if type(content) is str:
        return content, ""
    text, thought = [], []
    for part in content or ():
        if part.get("type") == "thinking":
            thought += [piece.get("text") or "" for piece in part.get("thinking") or ()]
        elif type(piece := part.get("text")) is str:
            text.append(piece)
    return "".join(text), "".join(thought)


def _joined(old: JSON, new: JSON) -> JSON:
    """Grow a member that arrives in pieces: lists extend, objects merge, strings append."""
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {name: _joined(old.get(name), value) for name, value in new.items()}
    if isinstance(old, str) and isinstance(new, str) and len(old) + len(new) < MAX_BODY_BYTES:
        return new if old == new else old + new
    return old if new is None else new


def _dumped(arguments: JSON) -> str:
    return "" if arguments is None else orjson.dumps(arguments).decode()


def _integer(value: JSON) -> int:
    return value if type(value) is int else 0
