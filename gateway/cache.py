"""Answers given again to exactly the same question: off unless configured, and never across a border.

The key is a keyed hash over everything that may make a difference: the department, the zones and the
policy and rules that judged it, the surface, the model, and the request as it was before masking. So a
hit was judged alike, for the same payer. What is kept is the provider's answer with its tokens in place
of personal data, in this process only, for `ttl_s`; each reader's answer is guarded and restored anew.
A hit is charged nothing and has its own row.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from gateway import metrics
from gateway.domain import Delta, Reasoning, Text, ToolCall, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from billing.ledger import Dispatch
    from gateway.catalogue import Deployment
    from gateway.domain import JSON, Call, Choice, Completion, Part
    from gateway.ways import Way

WHOLE_REASONS: Final = frozenset({"stop", "tool_calls"})
"""An answer that was cut short or filtered is not given again."""

HOW_IT_IS_SENT: Final = frozenset({"stream", "stream_options"})
"""Fields that change how an answer travels, not what it says."""

ENTRY_OVERHEAD_BYTES: Final = 2_000
_THOUGHTS: Final = "reasoning_details"
"""Comes before the text that it thought of; what else an answer carries, behind it."""


@dataclass(frozen=True, slots=True)
class CacheRules:
    ttl_s: float = 600.0
    most_entries: int = 1_000
    most_bytes: int = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Cached:
    """A whole answer, still masked, and the attempt that was charged for it."""

    completion: Completion
    dispatch: Dispatch
    deployment: Deployment
    size: int
    expires_at: float


class AnswerCache:
    """`clock` is any steady clock in seconds. Belongs to one event loop."""

    def __init__(self, key: bytes, rules: CacheRules, clock: Callable[[], float]) -> None:
        self._key = key
        self._rules = rules
        self._clock = clock
        self._entries: OrderedDict[bytes, Cached] = OrderedDict()
        self._bytes = 0

    def key(self, call: Call, way: Way, body: JSON) -> bytes:
        """Return the place of an answer. `body` is the request as the client sent it."""
        question = {name: value for name, value in body.items() if name not in HOW_IT_IS_SENT}
        receipt = way.verdict.receipt
        scope = [
            call.caller.department_id,
            list(call.caller.unit_path),
            sorted(way.zones),
            way.judged,
            receipt.policy_version,
            receipt.rules_version,
            receipt.action.word,
            call.surface,
            call.label,
            way.model.id,
        ]
        content = orjson.dumps([scope, question], option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(content, key=self._key, digest_size=32).digest()

    def get(self, key: bytes) -> Cached | None:
        found = self._entries.get(key)
        if found is not None and found.expires_at <= self._clock():
            self._drop(key)
            found = None
        if found is not None:
            self._entries.move_to_end(key)
        metrics.count(metrics.cache_lookups, "hit" if found else "miss")
        return found

    def put(self, key: bytes, completion: Completion, dispatch: Dispatch, deployment: Deployment) -> None:
        """Keep an answer if it is whole, and as long as there is room; the least used goes first."""
        if not _is_whole(completion):
            return
        size = _size(completion)
        if size > self._rules.most_bytes // 8:
            return
        self._drop(key)
        expires_at = self._clock() + self._rules.ttl_s
        self._entries[key] = Cached(completion, dispatch, deployment, size, expires_at)
        self._bytes += size
        while len(self._entries) > self._rules.most_entries or self._bytes > self._rules.most_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        dropped = self._entries.pop(key, None)
        self._bytes -= dropped.size if dropped else 0


def as_deltas(completion: Completion) -> list[Delta]:
    """Return a whole answer as the deltas of a stream, with what a stream says beside its texts."""
    return [delta for choice in completion.choices for delta in _deltas(choice)]


def _deltas(choice: Choice) -> Iterator[Delta]:
    thoughts = {name: value for name, value in choice.extra.items() if name == _THOUGHTS}
    if thoughts:
        yield Delta(choice.index, extra=thoughts)
    texts = sum(isinstance(part, Text) for part in choice.parts)
    calls = 0
    for part in choice.parts:
        if isinstance(part, Reasoning):
            yield from _thought(choice.index, part)
            continue
        delta = _delta(choice.index, part, calls)
        # of several texts nobody could say which of them it spells out
        yield delta._replace(logprobs=choice.logprobs) if delta.text and texts == 1 else delta
        calls += isinstance(part, ToolCall)
    if choice.refusal:
        yield Delta(choice.index, refusal=choice.refusal)
    if rest := {name: value for name, value in choice.extra.items() if name != _THOUGHTS}:
        yield Delta(choice.index, extra=rest)
    yield Delta(choice.index, finish_reason=choice.finish_reason)


def _thought(choice: int, thought: Reasoning) -> Iterator[Delta]:
    """Say a thought, then its proof; an id of its own comes with the first and with the proof."""
    proofs = thought.proofs
    if thought.text:
        named = {name: proofs[name] for name in proofs.keys() & {"reasoning_id"}}
        yield Delta(choice, reasoning=thought.text, extra=named or None)
    if proofs.keys() - {"reasoning_id"}:
        yield Delta(choice, extra=proofs)


def _delta(choice: int, part: Part, number: int) -> Delta:
    match part:
        case Text(text):
            return Delta(choice, text=text)
        case ToolCall(id_, name, arguments, extra):
            return Delta(choice, tool_calls=(ToolCallDelta(number, id_, name, arguments, extra or None),))
        case _:
            raise TypeError("only texts and tool calls are kept")


def _is_whole(completion: Completion) -> bool:
    parts = [part for choice in completion.choices for part in choice.parts]
    return (
        completion.complete
        and bool(parts)
        and all(choice.finish_reason in WHOLE_REASONS for choice in completion.choices)
        and all(isinstance(part, Text | Reasoning | ToolCall) for part in parts)
    )


def _size(completion: Completion) -> int:
    texts = (text for choice in completion.choices for part in choice.parts for text in _texts(part))
    beside = [[choice.extra, choice.logprobs] for choice in completion.choices]
    return ENTRY_OVERHEAD_BYTES + sum(4 * len(text) for text in texts) + 4 * len(orjson.dumps(beside))


def _texts(part: Part) -> Iterable[str]:
    match part:
        case Text(text):
            return (text,)
        case Reasoning(text, signature, redacted):
            return (text, signature or "", redacted or "")
        case ToolCall(arguments=arguments):
            return (arguments,)
        case _:
            return ()
