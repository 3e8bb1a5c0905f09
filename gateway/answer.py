"""An answer on its way back: each of its channels is guarded and restored on its own.

A channel is one text that a reader sees as a whole: the text of a choice, its reasoning, its
refusal, the arguments of one tool call, the transcript of its sound. Held-back text leaves with the
channel's own end, which is before the next channel of its choice begins and before the choice's
finish_reason. Pure; what is held back, and why, is filters/streaming.py's business. What answers
carry beside their texts is taken apart in carried.py.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from filters.errors import DetectorFailed
from filters.streaming import AnswerFilter
from gateway import carried
from gateway.domain import NOTHING_BUT_TEXT, PROOFS, Delta, Reasoning, Text, ToolCall, ToolCallDelta
from gateway.errors import FilterFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from filters.inspector import Detector
    from filters.verdict import Finding, Verdict
    from gateway.carried import Piece
    from gateway.domain import JSON, Choice, Completion, Part

Channel: TypeAlias = tuple[int, str, int]
"""(choice, kind, number of the tool call)."""


class _refusing:  # noqa: N801 - reads as a statement: `with _refusing():`
    """What the guard could not inspect is not passed on: the answer ends with an error of ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DetectorFailed):
            raise FilterFailed(
                "답변의 민감정보 검사가 끝나지 않아 답변을 멈췄습니다. 다시 시도하세요.",
                "The inspection of the answer did not finish, so the answer was stopped. Try again.",
            ) from error


class Channels:
    """All channels of one answer."""

    def __init__(
        self, verdict: Verdict, detector: Detector, hash_key: bytes = b"", *, text_is_json: bool = False
    ) -> None:
        """`text_is_json`: the text itself is JSON source, so that a restored value must be escaped."""
        self._verdict = verdict
        self._detector = detector
        self._hash_key = hash_key
        self._json_kinds = frozenset({"call", "text"} if text_is_json else {"call"})
        self._filters: dict[Channel, AnswerFilter] = {}
        self._last: dict[int, Channel] = {}
        """Of each choice, the channel that spoke last."""
        self._carried: dict[Channel, Piece] = {}
        """Channels that stand in `extra`, with what tells where."""
        self._unspoken: dict[int, AnswerFilter] = {}
        """Of each choice, what its logprobs spell beside any text."""
        self._ended: list[Finding] = []

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was masked in the answer: identifiers and secrets that the prompt did not hold."""
        return (*self._ended, *(f for known in self._filters.values() for f in known.findings))

    def deltas(self, deltas: Iterable[Delta]) -> list[Delta]:
        """Return what may be sent on now, in the order it came."""
        out: list[Delta] = []
        run: list[Delta] = []
        with _refusing():
            for delta in deltas:
                plain = delta[2:] == NOTHING_BUT_TEXT
                if run and not (plain and delta.choice == run[0].choice):
                    out += self._run(run)
                    run = []
                if plain:
                    run.append(delta)
                    continue
                out += self._apart(delta)
            out += self._run(run)
        return out

    def flush(self) -> list[Delta]:
        """Return what is still held back, when no finish_reason has released it."""
        choices = {choice for choice, _, _ in self._filters}
        with _refusing():
            return [delta for choice in sorted(choices) for delta in self._flush(choice)]

    def completion(self, completion: Completion) -> Completion:
        """Return a whole answer guarded and restored."""
        with _refusing():
            choices = tuple(self._choice(choice) for choice in completion.choices)
        return (
            completion if choices == completion.choices else dataclasses.replace(completion, choices=choices)
        )

    def _filter(self, channel: Channel) -> AnswerFilter:
        known = self._filters.get(channel)
        if known is None:
            known = self._filters[channel] = self._new_filter(channel)
        return known

    def _new_filter(self, channel: Channel) -> AnswerFilter:
        return AnswerFilter(
            self._verdict,
            self._detector,
            path=f"choices[{channel[0]}].{channel[1]}",
            in_json=channel[1] in self._json_kinds,
            hash_key=self._hash_key,
        )

    def _run(self, run: list[Delta]) -> list[Delta]:
        """Fragments of one text that arrived together: most pass together as they are."""
        if not run:
            return run
        channel = (run[0].choice, "text", 0)
        out = self._before(channel) if self._last.get(run[0].choice) != channel else []
        if len(run) > 1 and self._filter(channel).passes("".join([d.text for d in run])):
            return out + run if out else run
        return out + [self._delta(delta) for delta in run]

    def _apart(self, delta: Delta) -> list[Delta]:
        """Take the channels of a delta one after the other, and its finish_reason behind them."""
        out: list[Delta] = []
        end = delta.finish_reason
        if delta.logprobs is not None and not delta.has_content:
            delta = delta._replace(logprobs=self._harmless(delta.choice, delta.logprobs))
        if delta.extra:
            if not PROOFS.isdisjoint(delta.extra):  # of what was said until now, all of it
                out += self._rest_of_last(delta.choice)
            delta = delta._replace(extra=self._extra(delta.choice, delta.extra) or None)
        if end is not None and (
            delta.has_content or delta.extra
        ):  # vLLM says its last word and the reason in one
            delta = delta._replace(finish_reason=None)
        elif end is not None:
            return [*out, *self._flush(delta.choice), delta]
        for piece, channel in _pieces(delta):
            if channel is not None:
                out += self._before(channel)
            out.append(self._delta(piece))
        if end is not None:
            out += [*self._flush(delta.choice), Delta(delta.choice, finish_reason=end)]
        return out

    def _before(self, channel: Channel) -> list[Delta]:
        """Return what is held of the channel before this one, when this one begins.

        Calls whose fragments alternate go on side by side: an identifier may be split over them.
        """
        last = self._last.get(channel[0])
        goes_on = channel == last or (channel[1] == "call" and channel in self._filters)
        out = [] if goes_on else self._rest_of_last(channel[0]) + self._rest_of_thoughts(channel)
        self._last[channel[0]] = channel
        self._filter(channel)  # begun, even where its first fragment is only a name
        return out

    def _rest_of_last(self, choice: int) -> list[Delta]:
        last = self._last.get(choice)
        held = self._filters.get(last) if last is not None else None
        rest = held.flush() if held is not None else ""
        return [_delta_of(last, rest)] if last is not None and rest else []

    def _rest_of_thoughts(self, begins: Channel) -> list[Delta]:
        """Return what is held of `reasoning_details` where something else than reasoning begins."""
        if not self._carried or begins[1] == "reasoning":
            return []
        thoughts = [c for c in self._carried if c[0] == begins[0] and c[1] in carried.THOUGHTS]
        return [self._delta_of(c, rest) for c in thoughts if (rest := self._filters[c].flush())]

    def _extra(self, choice: int, extra: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return what a delta carries, guarded; the proof of a thought that was changed is left out."""
        guarded = carried.guarded(extra, partial(self._grow, choice))
        thought = self._filters.get((choice, "reasoning", 0))
        if "signature" in guarded and "reasoning_id" not in guarded and thought and thought.findings:
            del guarded["signature"]
        return guarded

    def _grow(self, choice: int, piece: Piece) -> tuple[str, bool]:
        """Return what of a carried text may be sent on now, and whether all of it is as it was said."""
        if piece.frame is None:
            return self._alone(choice, piece)
        channel = (choice, piece.kind, piece.number)
        self._carried[channel] = piece
        grows = self._filter(channel)
        text = grows.feed(piece.text) + (grows.flush() if piece.is_last else "")
        return text, not grows.findings

    def _alone(self, choice: int, piece: Piece) -> tuple[str, bool]:
        """Return a carried text that is here whole."""
        once = self._new_filter((choice, piece.kind, 0))
        text = once.whole(piece.text)
        self._ended += once.findings
        return text, not once.findings

    def _harmless(self, choice: int, logprobs: JSON) -> JSON:
        """Return logprobs that no text stands beside, unless they spell what may become an identifier."""
        if choice not in self._unspoken:
            self._unspoken[choice] = self._new_filter((choice, "logprobs", 0))
        spelled = _spelled(logprobs)
        return logprobs if spelled and self._unspoken[choice].feed(spelled) == spelled else None

    def _delta_of(self, channel: Channel, text: str) -> Delta:
        piece = self._carried.get(channel)
        return Delta(channel[0], extra=carried.piece_of(piece, text)) if piece else _delta_of(channel, text)

    def _delta(self, delta: Delta) -> Delta:
        choice, said = delta.choice, delta
        if delta.text:
            text = self._filter((choice, "text", 0)).feed(delta.text)
            if text is not delta.text:  # most fragments pass as they are
                delta = delta._replace(text=text)
        if delta.reasoning:
            delta = delta._replace(reasoning=self._filter((choice, "reasoning", 0)).feed(delta.reasoning))
        if delta.refusal:
            delta = delta._replace(refusal=self._filter((choice, "refusal", 0)).feed(delta.refusal))
        if delta.tool_calls:
            delta = delta._replace(tool_calls=tuple(self._call(choice, call) for call in delta.tool_calls))
        if delta.logprobs is not None and delta != said:  # they spell out what is held
            delta = delta._replace(logprobs=None)
        return delta

    def _call(self, choice: int, call: ToolCallDelta) -> ToolCallDelta:
        if call.name:
            call = call._replace(name=self._name(choice, call.name))
        if not call.arguments:
            return call
        return call._replace(arguments=self._filter((choice, "call", call.index)).feed(call.arguments))

    def _flush(self, choice: int) -> list[Delta]:
        out: list[Delta] = []
        for channel in [c for c in self._filters if c[0] == choice]:
            ended = self._filters.pop(channel)
            rest = ended.flush()
            self._ended += ended.findings
            if rest:
                out.append(self._delta_of(channel, rest))
            self._carried.pop(channel, None)
        return out

    def _choice(self, choice: Choice) -> Choice:
        parts = tuple(self._part(choice.index, i, part) for i, part in enumerate(choice.parts))
        refusal = choice.refusal and self._whole((choice.index, "refusal", 0), choice.refusal)
        extra = choice.extra and carried.guarded(choice.extra, partial(self._alone, choice.index))
        if parts == choice.parts and refusal == choice.refusal and extra == choice.extra:
            return choice
        return dataclasses.replace(choice, parts=parts, refusal=refusal, logprobs=None, extra=extra)

    def _part(self, choice: int, number: int, part: Part) -> Part:
        match part:
            case Text(text):
                kept = self._whole((choice, "text", number), text)
                return part if kept == text else dataclasses.replace(part, text=kept)
            case Reasoning(text):
                return self._thought((choice, "reasoning", number), part)
            case ToolCall(_, name, arguments):
                kept, named = self._whole((choice, "call", number), arguments), self._name(choice, name)
                said = (kept, named) == (arguments, name)
                return part if said else dataclasses.replace(part, name=named, arguments=kept)
            case _:
                return part

    def _thought(self, channel: Channel, thought: Reasoning) -> Reasoning:
        """Guard a thought. A proof holds for the text as it was said, but OpenAI's, which brings its own."""
        kept = self._whole(channel, thought.text)
        if kept == thought.text:
            return thought
        holds = "id" in thought.extra or not self._filter(channel).findings
        return dataclasses.replace(thought, text=kept, signature=thought.signature if holds else None)

    def _name(self, choice: int, name: str) -> str:
        """Guard a function's name, which is the model's word, too."""
        return self._alone(choice, carried.Piece("call.name", name))[0]

    def _whole(self, channel: Channel, text: str) -> str:
        answer_filter = self._filter(channel)
        return answer_filter.feed(text) + answer_filter.flush()


def _spelled(logprobs: JSON) -> str:
    """Return the tokens of log probabilities, as OpenAI writes them, in one."""
    lists = logprobs.values() if isinstance(logprobs, dict) else ()
    steps = [step for steps in lists if isinstance(steps, list) for step in steps if isinstance(step, dict)]
    return "".join(token for step in steps if isinstance(token := step.get("token"), str))


def _pieces(delta: Delta) -> list[tuple[Delta, Channel | None]]:
    """Return a delta as deltas of one channel each; the first has what belongs to none."""
    choice = delta.choice
    pieces: list[tuple[Delta, Channel | None]] = []
    if delta.reasoning:
        pieces.append((Delta(choice, reasoning=delta.reasoning), (choice, "reasoning", 0)))
    if delta.text:
        pieces.append((Delta(choice, delta.text), (choice, "text", 0)))
    if delta.refusal:
        pieces.append((Delta(choice, refusal=delta.refusal), (choice, "refusal", 0)))
    pieces += [(Delta(choice, tool_calls=(call,)), (choice, "call", call.index)) for call in delta.tool_calls]
    if len(pieces) < 2:
        return [(delta, pieces[0][1] if pieces else None)]
    first, channel = pieces[0]
    return [(first._replace(extra=delta.extra), channel), *pieces[1:]]  # logprobs would be of all of them


def _delta_of(channel: Channel, text: str) -> Delta:
    choice, kind, number = channel
    match kind:
        case "reasoning":
            return Delta(choice=choice, reasoning=text)
        case "refusal":
            return Delta(choice=choice, refusal=text)
        case "call":
            return Delta(choice=choice, tool_calls=(ToolCallDelta(number, arguments=text),))
        case _:
            return Delta(choice=choice, text=text)
