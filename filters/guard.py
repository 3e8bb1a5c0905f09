"""Guards an answer: identifiers, cards and secrets that were not in the prompt do not reach the reader.

A model may repeat what it was trained on or what a tool told it. Names are never looked for here.
A stream waits for at most 40 characters, and only while they may begin an identifier.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from filters.decision import UNIQUE_TYPES, finding_hash, normalised
from filters.errors import DetectorFailed
from filters.kinds import korean_name
from filters.spans import SECRET
from filters.verdict import Action, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filters.inspector import Detector
    from filters.spans import Span
    from filters.verdict import JSON

HELD_AT_MOST: Final = 40
_CONTEXT: Final = 48
"""Characters already sent that detection still reads: the label before a number says what it is."""

_LEAST_SCORE: Final = 0.5
_HEADS: Final = (
    "-----BEGIN",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hf_",
    "hk-",
    "npm_",
    "sk-",
    "sk_",
    "xoxb-",
    "xoxp-",
)
_HEADS_BY_START: Final = {
    start: tuple(head for head in _HEADS if head.startswith(start))
    for head in _HEADS
    for start in (head[:1], head[:2])
}
_SHORTEST: Final = 8
"""Characters of the shortest identifier; what is shorter holds none whole, and halves are held back."""

_LABELS: Final = r"(?i:passw(?:or)?d|secret|api[_-]?key|service_?key|비밀번호|암호|인증키)"
_WORTH_A_LOOK: Final = re.compile(
    r"\d(?:\D{0,4}\d){7}|" + "|".join(re.escape(head) for head in _HEADS) + "|" + _LABELS
)
"""Eight digits close together, the head of a secret, or its label: else there is nothing to detect."""

_NUMBER_AT_END: Final = re.compile(
    r"(?:[A-Za-z]{0,2}\d[\dA-Za-z]*(?:[\s.,\-–—_/·:*]{1,3}[\dA-Za-z]+)*[\s.,\-–—_/·:*]{0,3}|(?<![A-Za-z])[A-Z]{1,2})\Z"
)
"""Digits in groups, or the capitals that begin a passport's number."""

_WORD_AT_END: Final = re.compile(r"[A-Za-z0-9_+/.=-]+\Z")
_LABEL_END: Final = re.compile(r"호|키|(?i:sswd|word|cret|key)")
"""The end of a label: where none stands, no label was completed."""

_LABELLED_AT_END: Final = re.compile(_LABELS + r"[^\w\n]{0,4}(?:은|는|이|가)?[^\w\n]{0,4}[^\s\"']{0,40}\Z")
_MOSTLY_DIGITS: Final = 8
_QUIET: Final = re.compile(r"[\s가-킣킥-혷혹-힣.,!?()~·…]*")
"""Korean without a digit or letter, and without the last syllables of a label (호, 키): begins nothing."""

_PEM_HEAD: Final = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY")
_PEM_AT_END: Final = re.compile(r"-{1,5}(?:BEGIN[A-Z ]{0,30}-{0,5})?\Z")
_PEM_END: Final = re.compile(r"-----END [A-Z ]{0,30}-----")
_WORD_ON: Final = re.compile(r"[A-Za-z0-9_+/.=-]*")


class AnswerGuard:
    """One channel of an answer.

    `known` holds the prompt's own identifiers, normalised; `prompt` is the request as the model saw
    it, looked into only when something was found. What is masked becomes `[주민등록번호 가림]` and a
    Finding in `findings`, with `path` as its place and, given a `hash_key`, a keyed hash of the value.
    """

    def __init__(
        self,
        engine: Detector,
        known: frozenset[str] = frozenset(),
        prompt: JSON = None,
        *,
        path: str = "answer",
        in_json: bool = False,
        hash_key: bytes = b"",
    ) -> None:
        self._engine = engine
        self._known = known
        self._prompt = prompt
        self._path = path
        self._quotes = _Quotes() if in_json else None
        self._hash_key = hash_key
        self._held = ""
        self._context = ""
        self._labelled = False
        self._swallowing: re.Pattern[str] | None = None
        self.findings: list[Finding] = []

    def feed(self, text: str) -> str:
        """What may be sent on now. Raises DetectorFailed."""
        if self.passes(text):
            return text
        text = self._swallowed(self._held + text)
        if not text:
            return ""
        if not self._labelled and _LABEL_END.search(self._context[-4:] + text):
            self._labelled = _LABELLED_AT_END.search((self._context + text)[-_CONTEXT:]) is not None
        return self._released(text, _after_label(text) if self._labelled else _pending(text))

    def passes(self, text: str) -> bool:
        """Whether text passes as it is, however it was cut, because it begins nothing; then it is read."""
        busy = self._held or self._labelled or self._swallowing or self._quotes
        if busy or _QUIET.fullmatch(text) is None:
            return False
        self._context = (self._context + text)[-_CONTEXT:]
        return True

    def flush(self) -> str:
        """The rest, when the channel has ended."""
        text = self._swallowed(self._held)
        self._held, self._swallowing = "", None
        return self._released(text, len(text)) if text else ""

    def _released(self, text: str, cut: int) -> str:
        """`text[:cut]` without leaks; the rest is held unless a leak reaches into it."""
        leaks = self._leaks(text) if cut and self._is_worth_a_look(text, cut) else []
        pieces: list[str] = []
        at = 0
        for start, end, span in leaks:
            if start >= cut:
                break
            if start < at:
                continue
            self._record(span, text[start:end])
            pieces.append(self._passed(text[at:start]))
            pieces.append(self._marked(span))
            at = end
            if span.type == SECRET:
                at = self._swallow_on(text, start, end)
        pieces.append(self._passed(text[at:cut]))
        in_block = self._swallowing is _PEM_END  # the end of its last line may be here already
        self._held = text[-HELD_AT_MOST:] if in_block else text[max(at, cut) :]
        self._context = (self._context + text[: max(at, cut)])[-_CONTEXT:]
        if self._labelled:
            self._labelled = _LABELLED_AT_END.search(self._context + self._held) is not None
        return "".join(pieces)

    def _is_worth_a_look(self, text: str, cut: int) -> bool:
        """Whether an identifier may stand in `text` and begin before `cut`."""
        if self._labelled:
            return True
        look = _WORTH_A_LOOK.search(text) if len(text) >= _SHORTEST else None
        return look is not None and look.start() < cut

    def _leaks(self, text: str) -> list[tuple[int, int, Span]]:
        """Leaks in what is not sent yet, as (start, end, span) in `text`."""
        shift = len(self._context)
        window = self._context + text
        try:
            spans = self._engine.detect(window)
        except Exception as failure:  # noqa: BLE001 - any failure means unscanned; its text may hold the answer
            raise DetectorFailed(self._path, type(failure).__name__) from None
        leaks: list[tuple[int, int, Span]] = []
        for span in spans:
            if span.type not in UNIQUE_TYPES or span.score < _LEAST_SCORE or span.end <= shift:
                continue
            value = window[span.start : span.end]
            if normalised(value) in self._known or _said(value, self._prompt):
                continue
            leaks.append((max(span.start - shift, 0), span.end - shift, span))
        return leaks

    def _record(self, span: Span, value: str) -> None:
        digest = finding_hash(self._hash_key, span.type, value) if self._hash_key else ""
        self.findings.append(Finding(self._path, span, Action.MASK, value_hash=digest))

    def _marked(self, span: Span) -> str:
        mark = f"[{korean_name(span.type)} 가림]"
        return f'"{mark}"' if self._quotes is not None and not self._quotes.inside else mark

    def _passed(self, text: str) -> str:
        if self._quotes is not None:
            self._quotes.read(text)
        return text

    def _swallow_on(self, text: str, start: int, end: int) -> int:
        """A secret goes on until its word or its PEM block ends, also where detection saw only its head."""
        if _PEM_HEAD.match(text, start):
            closing = _PEM_END.search(text, end)
            if closing is None:
                self._swallowing = _PEM_END
            return closing.end() if closing else len(text)
        end = _word_end(text, end)
        if end == len(text):
            self._swallowing = _WORD_ON
        return end

    def _swallowed(self, text: str) -> str:
        """What is left after the secret that is being swallowed."""
        if self._swallowing is _WORD_ON:
            end = _word_end(text, 0)
            if end < len(text):
                self._swallowing = None
            return text[end:]
        if self._swallowing is _PEM_END:
            closing = _PEM_END.search(text)
            if closing is None:
                self._held = text[-HELD_AT_MOST:]
                return ""
            self._held, self._swallowing = "", None
            return text[closing.end() :]
        return text


def _said(value: str, prompt: JSON) -> bool:
    """Whether the prompt holds a value, its digits perhaps grouped otherwise."""
    digits = [c for c in value if c.isdecimal()]
    if len(digits) < _MOSTLY_DIGITS:
        return any(value in text for text in _strings(prompt))
    grouped = re.compile(r"\D{0,3}".join(digits))
    return any(grouped.search(text) for text in _strings(prompt))


def _strings(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)):
        yield repr(value)
    else:
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for child in children:
            yield from _strings(child)


class _Quotes:
    """Whether the JSON source read so far ends inside a string."""

    def __init__(self) -> None:
        self.inside = False
        self._escaping = False

    def read(self, text: str) -> None:
        for character in text:
            if self._escaping:
                self._escaping = False
            elif character == "\\":
                self._escaping = self.inside
            elif character == '"':
                self.inside = not self.inside


def _after_label(text: str) -> int:
    """Where the word begins that may be the password its label announced."""
    at = max(0, len(text) - HELD_AT_MOST)
    return max(at, 1 + max(text.rfind(gap, at) for gap in " \n\t\"'"))


def _pending(text: str) -> int:
    """Where the suffix begins that may still grow into an identifier, at most 40 characters back."""
    last = text[-1]
    if not (last.isascii() or last.isdecimal() or last in "–—·"):
        return len(text)
    at = max(0, len(text) - HELD_AT_MOST)
    number = _NUMBER_AT_END.search(text, at)
    cut = number.start() if number else len(text)
    block = _PEM_AT_END.search(text, at) if "-" in text else None
    if block:
        cut = min(cut, block.start())
    word = _WORD_AT_END.search(text, at)
    if word and _may_be_secret(word.group()):
        cut = min(cut, word.start())
    return cut


def _may_be_secret(word: str) -> bool:
    heads = _HEADS_BY_START.get(word[:2], ())
    return any(word.startswith(head) or head.startswith(word) for head in heads)


def _word_end(text: str, at: int) -> int:
    word = _WORD_ON.match(text, at)
    return word.end() if word else at
