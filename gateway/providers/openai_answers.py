"""Answers of the OpenAI chat format, streamed or whole, into deltas and a Completion.

The decoder of openai.py; it stands apart because it is the hot path: 100 events an answer come
through here. It reads every dialect of the format at once, since they differ by addition only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import (
    MAX_CHOICES,
    NOTHING,
    Choice,
    Delta,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    delta_of,
)
from gateway.providers import failures
from gateway.providers.decoding import AnswerDecoder, writable
from gateway.providers.openai_usage import report_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.domain import JSON, Part, UsageReport
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
_USUAL: Final = frozenset({"index", "delta", "finish_reason", "logprobs"})
_CARRIED: Final = ("annotations", "reasoning_details", "audio", "images")
_IN_PIECES: Final = ("reasoning.text", "reasoning.summary")
_PIECES: Final = ("text", "summary")
_HEAD: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "service_tier", "error", "obfuscation"}
)


class Decoder(AnswerDecoder):
    """Reads `chat.completion` and `chat.completion.chunk`."""

    def __init__(self, profile: Profile, *, stream: bool) -> None:
        super().__init__(stream=stream)
        self._profile = profile
        self._answers: dict[int, _Answer] = {}

    @property
    def finished(self) -> bool:
        return bool(self._answers) and all(answer.finished for answer in self._answers.values())

    def choices(self) -> tuple[Choice, ...]:
        return tuple(self._answers[index].choice(index) for index in sorted(self._answers))

    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport:
        return report_of(raw, self._profile, partial=partial)

    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        self.take_event(body, deltas, "message")
        if self.failure is None and not self._answers:
            if self.raw_usage is None:
                raise ValueError("an answer without choices")
            self.failure = failures.from_event({"type": "no_choices"})  # counted, and nothing said

    def take_event(self, event: JSON, deltas: list[Delta], member: str = "delta") -> None:
        """Take one event, or one whole body whose choices hold `message` instead of `delta`."""
        if not self.served_model:
            self._take_head(event)
        usage = event.get("usage") or ("x_groq" in event and (event["x_groq"] or NOTHING).get("usage"))
        if usage:
            self.raw_usage = usage
        if len(event) > 5:
            self._take_extra(event)
        for choice in event.get("choices") or ():
            self._take_choice(choice, deltas, member)
        if error := event.get("error"):
            self.failure = failures.from_event(error)

    def _take_head(self, chunk: Mapping[str, JSON]) -> None:
        """Azure opens with a chunk that names nothing, so the first chunk with a name counts."""
        self.id = self.id or str(chunk.get("id") or "")
        self.served_model = str(chunk.get("model") or "")
        self.created = created if type(created := chunk.get("created")) is int else 0

    def _take_extra(self, chunk: Mapping[str, JSON]) -> None:
        for name in chunk.keys() - _HEAD:
            if chunk[name] is not None:
                self.extra[name] = chunk[name]
        if tier := chunk.get("service_tier"):
            self.service_tier = tier

    def _take_choice(self, choice: Mapping[str, JSON], deltas: list[Delta], member: str) -> None:
        index = index if type(index := choice.get("index")) is int else 0
        answer = self._answers.get(index)
        if answer is None:
            if len(self._answers) == MAX_CHOICES:  # each costs every other that ends a look at it
                raise ValueError("more choices than anybody asks for")
            answer = self._answers[index] = _Answer()
        message = choice.get(member) or NOTHING
        if len(message) == 1 and _is_middle(choice) and type(text := message.get("content")) is str:
            answer.text.append(text)
            deltas.append(delta_of((index, text, "", "", (), None, None, None)))
            return
        content = message.get("content", choice.get("text"))  # the second of a legacy completion
        plain = (type(content) is str or content is None) and message.keys() <= _PLAIN
        delta = Delta(index, content or "") if plain else answer.rich(index, message)
        reason = choice.get("finish_reason") or None  # some servers say "" until the end
        logprobs = choice.get("logprobs")
        if reason is not None or logprobs is not None:
            shown = None if logprobs is None else writable(logprobs)
            delta = delta._replace(finish_reason=answer.end(reason), logprobs=shown)
        answer.keep(delta)
        deltas.append(delta)
        if usage := choice.get("usage"):  # Moonshot
            self.raw_usage = usage
        if error := choice.get("error") or (reason in _NOT_AN_END and {"type": str(reason)}):
            self.failure = failures.from_event(error)


def _is_middle(choice: Mapping[str, JSON]) -> bool:
    """Whether a choice neither ends nor says more than its delta does, as in nearly every event."""
    return choice.keys() <= _USUAL and choice.get("finish_reason") is None and choice.get("logprobs") is None


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
        self.logprobs = _Growing()
        self.finish_reason: str | None = None
        self.finished = False
        self.extra = _Growing()

    def end(self, reason: JSON) -> str | None:
        """Translate a finish reason; unknown ones stay as they are, failures are none."""
        if reason is None or reason in _NOT_AN_END:
            return None
        self.finished = True
        return _FINISH.get(reason, str(reason))

    def keep(self, delta: Delta) -> None:
        if delta.text:
            self.text.append(delta.text)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason
        if delta.logprobs is not None:
            self.logprobs.add(delta.logprobs)
        if delta.extra:
            self.extra.add(delta.extra)

    def rich(self, index: int, message: Mapping[str, JSON]) -> Delta:
        """Read a delta or message with more than text in it."""
        text, thought = _content(message.get("content"))
        thought = message.get("reasoning_content") or message.get("reasoning") or thought
        extra = {name: value for name in _CARRIED if (value := message.get(name))}
        return Delta(
            index,
            text,
            thought if type(thought) is str else "",
            refusal if type(refusal := message.get("refusal")) is str else "",
            self._call_deltas(message),
            extra=writable(extra) if extra else None,
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
        id_ = call.get("id")
        id_ = id_ if type(id_) is str and id_ else None
        function = call.get("function") or call.get("custom") or NOTHING
        name = function.get("name")
        name = name if type(name) is str and name else None
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
        arguments = function.get("arguments", function.get("input"))
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
            self.logprobs.whole(),
            self.extra.whole() or NOTHING,
        )


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
            thought.append(_thinking(part.get("thinking")))
        elif type(piece := part.get("text")) is str:
            text.append(piece)
    return "".join(text), "".join(thought)


def _thinking(thought: JSON) -> str:
    if type(thought) is str:
        return thought
    return "".join(piece.get("text") or "" for piece in thought or ())


class _Growing:
    """A member that comes in pieces, put together whenever they are twice as many as the last time.

    Piece by piece, what is there would be copied for each: 58 s of the event loop for 50,000 of sound.
    """

    __slots__ = ("_most", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[JSON] = []
        self._most = 2

    def add(self, piece: JSON) -> None:
        """Raises RecursionError for what is nested too deep."""
        self._pieces.append(piece)
        if len(self._pieces) >= self._most:
            self._pieces = [_joined("", self._pieces)]
            self._most *= 2

    def whole(self) -> JSON:
        """Return it; None also for what only its last pieces nested too deep."""
        try:
            return _joined("", self._pieces)
        except RecursionError:
            return None


def _joined(name: str, pieces: Iterable[JSON]) -> JSON:
    """Put pieces together: lists extend, objects merge, sound and its text append, else the last counts."""
    run: list[JSON] = []
    for piece in pieces:
        if not (run and _grows(name, run[-1], piece)):
            if piece is None:
                continue
            run.clear()
        run.append(piece)
    if len(run) < 2:
        return run[0] if run else None
    if isinstance(run[0], str):
        return "".join(run)
    if isinstance(run[0], list):
        items = [item for piece in run for item in piece]
        return _thoughts(items) if name == "reasoning_details" else items
    members: dict[str, list[JSON]] = {}
    for piece in run:
        for member, value in piece.items():
            members.setdefault(member, []).append(value)
    return {member: _joined(member, values) for member, values in members.items()}


def _grows(name: str, old: JSON, new: JSON) -> bool:
    """Whether a piece goes on with the one before it; else it takes its place."""
    if isinstance(old, str):
        return isinstance(new, str) and name in {"data", "transcript"}
    return (isinstance(old, list) and isinstance(new, list)) or (
        isinstance(old, dict) and isinstance(new, dict)
    )


def _thoughts(pieces: Iterable[JSON]) -> list[JSON]:
    """Put the pieces of each thought together, so that each text stands in one place."""
    runs: list[list[JSON]] = []
    for piece in pieces:
        if runs and _goes_on(runs[-1][-1], piece):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return [_thought(run) if len(run) > 1 else run[0] for run in runs]


def _thought(run: list[dict[str, JSON]]) -> JSON:
    whole: dict[str, JSON] = {}
    for piece in run:
        whole |= {name: value for name, value in piece.items() if value is not None}
    for name in _PIECES:
        if texts := [text for piece in run if isinstance(text := piece.get(name), str)]:
            whole[name] = "".join(texts)
    return whole


def _goes_on(last: JSON, piece: JSON) -> bool:
    """Whether a piece is of the thought before it: nothing follows a proof."""
    if not (isinstance(last, dict) and isinstance(piece, dict)) or last.get("signature"):
        return False
    kind = piece.get("type")
    return kind in _IN_PIECES and (kind, piece.get("index")) == (last.get("type"), last.get("index"))


def _dumped(arguments: JSON) -> str:
    return "" if arguments is None else orjson.dumps(arguments).decode()
