"""PERSON: names of people in Korean text, scored by a small linear model over a shipped lexicon.

`find` is the whole detector: candidates (person_features.py), their score, the best one per place,
then a second look at the document (a name seen once with a title is a name everywhere). A name alone
never blocks; the policy masks it. Pure: no input or output after the lexicon is loaded.
"""

from __future__ import annotations

from functools import cache
from math import exp
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.detector import MAX_MATCHES, DetectorError
from filters.detectors import name_rules
from filters.detectors.person_features import (
    HONORIFIC_SUFFIX,
    JOINTS,
    MAX_RUN,
    SURNAME_ALONE,
    THREE,
    Form,
    cut,
    forms_of,
    is_company,
    is_part_of_a_number,
    may_hold_if_not_dull,
    over_several_runs,
    starts_several,
    surname_alone,
    title_follows,
)
from filters.detectors.person_weights import Sides, Weights, weights_of
from filters.detectors.person_words import is_dull, known_syllables
from filters.lexicon import LEXICON_DIR, SURNAMES
from filters.spans import PERSON, Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from filters.detectors.person_features import Runs

THRESHOLD: Final = -0.3
"""Log odds; below even, because a name missed costs more than a word masked, and a name never blocks."""
THRESHOLD_IF_REPEATED: Final = -2.5
"""A sure name of the same letters, or a name just before in a list, lowers it."""
LIST_GAPS: Final = frozenset((", ", "·", " · ", "/", " / ", "、", ",", "‧", "ㆍ"))
SURE: Final = 0.0
BARELY: Final = 0.1
WORTH_A_LOOK_AROUND: Final = -1.5
"""In the tuning data no candidate that scores less by itself is a name, whatever stands around it."""
HONORIFIC_BONUS: Final = 1.5
"""홍길동님: in the prompts of an office 님 after a full name's shape says more than in the news."""

OWNER: Final = "names"
MAX_LOOKS: Final = 60_000
"""In one text; a megabyte of prose takes about 30,000."""
LOOKS_OF_SEVERAL: Final = 5


class Promise:
    """What a run says by itself: its forms with their scores, and whether more runs may join it."""

    __slots__ = ("forms", "several")

    def __init__(self, forms: list[tuple[float, Form]], *, several: bool) -> None:
        self.forms = forms
        self.several = several


NO_PROMISE: Final = Promise([], several=False)


class Scored(NamedTuple):
    """A candidate with its log odds; `[start, end)` in the text, `first` and `last` are its runs."""

    score: float
    start: int
    end: int
    first: int
    last: int
    name: str


class Names:
    """PERSON as a detector of the engine."""

    name = OWNER
    gates = (r"[가-힣]|[A-Z][a-z]",)

    def find(self, text: str) -> list[Span]:
        """See the module's `find`."""
        return find(text)


def find(text: str) -> list[Span]:
    """Names of people in `text`, in order, without overlaps; offsets are code points of `text`."""
    runs = cut(text)
    spans = [
        Span(name.start, name.end, PERSON, 1 / (1 + exp(THRESHOLD - name.score)), "person")
        for name in _accepted(runs)
    ]
    return _merged(spans, name_rules.find(text, runs, spans))


def _merged(scored: list[Span], ruled: Iterable[Span]) -> list[Span]:
    """Both, sorted; where they overlap the scorer's goes if the rule's is longer."""
    spans: list[Span] = []
    for span in sorted([*scored, *ruled], key=lambda s: (s.start, -s.end)):
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    return spans


def _accepted(runs: Runs) -> list[Scored]:
    """The best candidate per place, from left to right; a doubtful one counts if it is sure elsewhere."""
    scored = _scored(runs)
    sure = {candidate.name for candidate in scored if candidate.score > SURE}
    chosen: list[Scored] = []
    for candidate in scored:
        if candidate.score > THRESHOLD:
            _choose(candidate, chosen)
        elif candidate.name in sure or _continues_list(candidate, chosen, runs):
            _choose(candidate._replace(score=BARELY), chosen)
    return chosen


def _continues_list(candidate: Scored, chosen: list[Scored], runs: Runs) -> bool:
    """기현우·나혜림·노상구: what stands in a row with names is one, if it has the length of one."""
    if not chosen or chosen[-1].last != candidate.first - 1 or len(candidate.name) not in (3, 4):
        return False
    return runs.gaps[candidate.first] in LIST_GAPS and chosen[-1].end == _end_of_run(
        runs, candidate.first - 1
    )


def _end_of_run(runs: Runs, index: int) -> int:
    return runs.start_of(index) + len(runs.words[index])


def _choose(candidate: Scored, chosen: list[Scored]) -> None:
    if not chosen or candidate.first > chosen[-1].last:
        chosen.append(candidate)
    elif candidate.first == chosen[-1].first and candidate > chosen[-1]:
        chosen[-1] = candidate


def _scored(runs: Runs) -> list[Scored]:
    """Candidates that reach at least the lower threshold.

    Runs come back in a long text; what a run says by itself is worked out once per call.
    """
    weights, alone = _model()
    seen: dict[str, Promise] = {}
    scored: list[Scored] = []
    gaps = runs.gaps
    looks = 0
    for index, word in enumerate(runs.words):
        promise = seen.get(word)
        if promise is None:
            promise = alone.get(word, NO_PROMISE) if len(word) == 1 else _promise(weights, word)
            seen[word] = promise
        if promise is NO_PROMISE or is_part_of_a_number(runs, index) or is_company(runs, index):
            continue
        looks += 1
        if promise.forms:
            _score_here(weights, runs, index, promise.forms, scored)
        if promise.several and gaps[index + 1] in JOINTS:
            looks += LOOKS_OF_SEVERAL
            _score_over_several(weights, runs, index, scored)
        if looks > MAX_LOOKS or len(scored) > MAX_MATCHES:
            raise DetectorError(OWNER, "TooMany")
    return scored


def _score_here(
    weights: Weights, runs: Runs, index: int, forms: list[tuple[float, Form]], scored: list[Scored]
) -> None:
    sides: Sides | None = None
    for own, (name, shape, suffix) in forms:
        suffix_class = suffix[0]
        if shape == SURNAME_ALONE and not title_follows(runs, index, suffix_class):
            continue
        if sides is None:
            sides = weights.sides(runs, index, index)
        score = own + weights.beside(sides, shape, suffix_class)
        if shape == THREE and suffix_class == HONORIFIC_SUFFIX and score > -HONORIFIC_BONUS:
            score += HONORIFIC_BONUS
        if score > THRESHOLD_IF_REPEATED:
            start = runs.start_of(index)
            scored.append(Scored(score, start, start + len(name), index, index, name))


def _promise(weights: Weights, word: str) -> Promise:
    """The forms of a run that are worth a look around, with their own score; whether more runs may join."""
    if is_dull(word, 0, len(word)) or not may_hold_if_not_dull(word):
        return NO_PROMISE
    cut_word = word[:MAX_RUN]
    kept: list[tuple[float, Form]] = []
    for form in forms_of(word):
        score = weights.of_one_run(form[0], cut_word, form[1], form[2])
        if score > WORTH_A_LOOK_AROUND:
            kept.append((score, form))
    alone = surname_alone(word)
    if alone is not None:
        kept.append((weights.of_one_run(alone[0], cut_word, alone[1], alone[2]), alone))
    several = starts_several(word)
    return Promise(kept, several=several) if kept or several else NO_PROMISE


def _score_over_several(weights: Weights, runs: Runs, index: int, scored: list[Scored]) -> None:
    for candidate in over_several_runs(runs, index):
        score = weights.of(candidate, runs)
        if score > WORTH_A_LOOK_AROUND:
            score += weights.around(runs, index, candidate.last, candidate.shape, candidate.suffix[0])
            if score > THRESHOLD_IF_REPEATED:
                scored.append(
                    Scored(score, candidate.start, candidate.end, index, candidate.last, candidate.name)
                )


@cache
def _model() -> tuple[Weights, dict[str, Promise]]:
    """The weights, and what every single syllable promises: surnames, and parts of foreign names."""
    weights = _weights()
    syllables = SURNAMES.union(known_syllables())
    promises = {syllable: _promise(weights, syllable) for syllable in syllables}
    return weights, promises


@cache
def _weights() -> Weights:
    return weights_of((LEXICON_DIR / "person_weights.txt").read_text("utf-8"))
