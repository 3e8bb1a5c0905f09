"""An agency's own rules: employee numbers by pattern, project code names by word list.

Each rule carries examples, and loading it proves them: a rule that misses its own example, or hits
what it says it must not hit, is a configuration error and never reaches a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import re2
import regex

from filters.detector import Detector, DetectorError, limited
from filters.fold import fold
from filters.gate import Gate
from filters.spans import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIN_SCORE: Final = 0.5
"""The engine leaves out what is less sure than this."""

TIMEOUT_S: Final = 0.1
"""For one pattern over one text. An agency's pattern may backtrack; a time-out refuses the request."""


class CustomRuleError(ValueError):
    """A rule of the configuration is wrong; the message says which and why."""


@dataclass(frozen=True, slots=True)
class CustomRule:
    """`type` is the entity type to report: one of filters/spans.py or a new one (`EMPLOYEE_NUMBER`).

    `patterns` are regular expressions in the `regex` module's syntax; `words` are found as they are,
    whatever their case; `recognizer` names a Presidio recogniser, `package.module:Class`, whose findings
    count as this type. `examples` must be found, `counterexamples` must not.
    """

    name: str
    type: str
    patterns: Sequence[str] = ()
    words: Sequence[str] = ()
    examples: Sequence[str] = ()
    counterexamples: Sequence[str] = ()
    score: float = 0.9
    label: str = ""
    gates: Sequence[str] = field(default=())
    """RE2 patterns for the gate; without them every text is searched."""

    recognizer: str = ""

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> CustomRule:
        """A rule from a table of the configuration. Raises `CustomRuleError` naming a wrong key."""
        unknown = set(table) - set(cls.__slots__)
        if unknown or not {"name", "type"} <= set(table):
            raise CustomRuleError(
                f"사용자 정의 규칙: 알 수 없거나 빠진 키 / unknown or missing keys: {sorted(unknown)}"
            )
        return cls(**table)  # type: ignore[arg-type]


class CustomDetector:
    """One agency rule as a detector. Raises `CustomRuleError` when the rule breaks its own examples."""

    def __init__(self, rule: CustomRule) -> None:
        self.name = f"custom:{rule.name}"
        self.gates = tuple(rule.gates)
        self._rule = rule
        self._patterns = [_compiled(rule, pattern) for pattern in (*rule.patterns, *_alternation(rule.words))]
        self._recognizer = _recognizer(rule) if rule.recognizer else None
        if not self._patterns and self._recognizer is None:
            raise CustomRuleError(f"'{rule.name}': 찾을 것이 없습니다 / has no patterns, words or recognizer")
        self._prove()

    def find(self, text: str) -> list[Span]:
        rule = self._rule
        ranges = [*self._matches(text), *self._recognized(text)]
        return [Span(start, end, rule.type, rule.score, self.name, rule.label) for start, end in ranges]

    def _matches(self, text: str) -> list[tuple[int, int]]:
        try:
            return [
                (match.start(), match.end())
                for pattern in self._patterns
                for match in limited(pattern.finditer(text, timeout=TIMEOUT_S), self.name)
                if match.end() > match.start()
            ]
        except TimeoutError:
            raise DetectorError(self.name, "TimeoutError") from None

    def _recognized(self, text: str) -> list[tuple[int, int]]:
        if self._recognizer is None:
            return []
        return [(span.start, span.end) for span in self._recognizer.find(text)]

    def _prove(self) -> None:
        """Every example is found through the gate, as in service; no counterexample is."""
        rule = self._rule
        if rule.score < MIN_SCORE:
            raise CustomRuleError(
                f"'{rule.name}': score {MIN_SCORE} 미만 / score must be at least {MIN_SCORE}"
            )
        gate = _gate(rule)
        for example in rule.examples:
            text = fold(example).text
            if not gate.owners(text) or not self.find(text):
                raise CustomRuleError(f"'{rule.name}': 예시를 찾지 못합니다 / misses its example: {example}")
        for example in rule.counterexamples:
            if self.find(fold(example).text):
                raise CustomRuleError(f"'{rule.name}': 반례를 찾습니다 / hits its counterexample: {example}")


def _gate(rule: CustomRule) -> Gate:
    try:
        return Gate([rule.gates])
    except re2.error:
        raise CustomRuleError(
            f"'{rule.name}': RE2가 모르는 gates입니다 / gates that RE2 does not know"
        ) from None


def _recognizer(rule: CustomRule) -> Detector:
    from filters.presidio import PresidioDetector, recognizer_named

    try:
        return PresidioDetector(recognizer_named(rule.recognizer))
    except (ValueError, TypeError) as error:
        raise CustomRuleError(f"'{rule.name}': {error}") from error


def _compiled(rule: CustomRule, pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern, regex.IGNORECASE)
    except regex.error as error:
        raise CustomRuleError(f"'{rule.name}': 정규식 오류 / bad pattern: {error}") from error


def _alternation(words: Sequence[str]) -> list[str]:
    """One pattern for all words, longest first; an ASCII word does not match inside a longer one."""
    escaped = [_bounded(word) for word in sorted(words, key=len, reverse=True)]
    return ["|".join(escaped)] if escaped else []


def _bounded(word: str) -> str:
    before = r"(?<![A-Za-z0-9])" if word[0].isascii() and word[0].isalnum() else ""
    behind = r"(?![A-Za-z0-9])" if word[-1].isascii() and word[-1].isalnum() else ""
    return f"{before}{regex.escape(word)}{behind}"
