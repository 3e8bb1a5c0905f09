"""PERSON: names of people in Korean text, scored by a small linear model over a shipped lexicon.

`find` is the whole detector: candidates (person_features.py), their score, the best one per place,
then a second look at the document (a name seen once with a title is a name everywhere). A name alone
never blocks; the policy masks it. Pure: no input or output after the lexicon is loaded.
"""

from __future__ import annotations

from functools import cache
from math import exp
from typing import TYPE_CHECKING, Final

from filters.detectors import name_rules
from filters.detectors.person_features import (
    HONORIFIC_SUFFIX,
    INNER,
    OUTER,
    SURNAME_ALONE,
    TEMPLATES,
    THREE,
    Candidate,
    Key,
    candidates_at,
    cut,
    inner,
    may_hold_name,
    outer,
)
from filters.lexicon import LEXICON_DIR
from filters.spans import PERSON, Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from filters.detectors.person_features import Runs

THRESHOLD: Final = 0.0
"""Log odds; a name elsewhere in the text lowers it to `THRESHOLD_IF_REPEATED`."""
THRESHOLD_IF_REPEATED: Final = -2.0
SURE: Final = 1.0
WORTH_A_LOOK_AROUND: Final = -2.0
"""In the tuning data no candidate that scores less by itself is a name, whatever stands around it."""
HONORIFIC_BONUS: Final = 1.5
"""홍길동님: in the prompts of an office 님 after a full name's shape says more than in the news."""

Table = dict[Key, float]
INTEGER_TEMPLATES: Final = frozenset(
    "shape word common token known given run suffix agree foreign left_class right_class both compound".split()
)

class Names:
    """PERSON as a detector of the engine."""

    name = "names"
    gates = (r"[가-힣]|[A-Z][a-z]",)

    def find(self, text: str) -> list[Span]:
        """See the module's `find`."""
        return find(text)


def find(text: str) -> list[Span]:
    """Names of people in `text`, in order, without overlaps; offsets are code points of `text`."""
    spans = [
        Span(candidate.start, candidate.end, PERSON, 1 / (1 + exp(-score)), "person")
        for candidate, score in _accepted(cut(text))
    ]
    return _merged(spans, name_rules.find(text, spans))


def _merged(scored: list[Span], ruled: Iterable[Span]) -> list[Span]:
    """Both, sorted; where they overlap the scorer's goes if the rule's is longer."""
    spans: list[Span] = []
    for span in sorted([*scored, *ruled], key=lambda s: (s.start, -s.end)):
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    return spans


def _accepted(runs: Runs) -> list[tuple[Candidate, float]]:
    """The best candidate per place, from left to right; a doubtful one counts if it is sure elsewhere."""
    scored: list[tuple[Candidate, float]] = []
    for index in range(len(runs.words)):
        if may_hold_name(runs, index):
            scored += _scored(runs, candidates_at(runs, index))
    sure = {candidate.name for candidate, score in scored if score > SURE}
    chosen: list[tuple[Candidate, float]] = []
    for candidate, score in scored:
        if score <= THRESHOLD:
            if candidate.name not in sure:
                continue
            score = 0.1  # noqa: PLW2901
        if chosen and candidate.first <= chosen[-1][0].last:
            if score > chosen[-1][1] and candidate.first == chosen[-1][0].first:
                chosen[-1] = candidate, score
        else:
            chosen.append((candidate, score))
    return chosen


def _scored(runs: Runs, candidates: Iterable[Candidate]) -> list[tuple[Candidate, float]]:
    """Candidates that reach at least the lower threshold, with their log odds."""
    bias, own, around = _weights()
    scored = []
    for candidate in candidates:
        score = bias
        for table, key in zip(own, inner(candidate, runs), strict=True):
            if key in table:
                score += table[key]
        if score < WORTH_A_LOOK_AROUND and candidate.shape != SURNAME_ALONE:
            continue
        for table, key in zip(around, outer(candidate, runs), strict=True):
            if key in table:
                score += table[key]
        if candidate.shape == THREE and candidate.suffix[0] == HONORIFIC_SUFFIX and score > -HONORIFIC_BONUS:
            score += HONORIFIC_BONUS
        if score > THRESHOLD_IF_REPEATED:
            scored.append((candidate, score))
    return scored


@cache
def _weights() -> tuple[float, list[Table], list[Table]]:
    tables: dict[str, Table] = {name: {} for name in TEMPLATES}
    bias = 0.0
    for line in (LEXICON_DIR / "person_weights.txt").read_text("utf-8").splitlines():
        template, key, weight = line.split("\t")
        if template == "bias":
            bias = float(weight)
        elif template in INTEGER_TEMPLATES:
            tables[template][int(key)] = float(weight)
        else:
            tables[template][_unescaped(key)] = float(weight)
    return bias, [tables[name] for name in INNER], [tables[name] for name in OUTER]


def _unescaped(key: str) -> str:
    return key.encode("ascii").decode("unicode_escape") if "\\" in key else key
