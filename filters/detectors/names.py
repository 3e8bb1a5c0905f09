"""PERSON: names of people in Korean text, scored by a small linear model over a shipped lexicon.

`find` is the whole detector: candidates (person_features.py), their score, the best one per place,
then a second look at the document (a name seen once with a title is a name everywhere). A name alone
never blocks; the policy masks it. Pure: no input or output after the lexicon is loaded.
"""

from __future__ import annotations

from functools import cache
from math import exp
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.detector import limited
from filters.detectors import name_rules
from filters.detectors.person_features import (
    DULL,
    HONORIFIC_SUFFIX,
    INNER,
    MAX_RUN,
    OUTER,
    SURNAME_ALONE,
    TEMPLATES,
    THREE,
    Features,
    Form,
    Key,
    around,
    cut,
    forms_of,
    inner,
    is_part_of_a_number,
    may_hold_name,
    of_one_run,
    outer,
    over_several_runs,
    starts_several,
    title_follows,
)
from filters.lexicon import LEXICON_DIR
from filters.spans import PERSON, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from filters.detectors.person_features import Runs

THRESHOLD: Final = 0.0
"""Log odds; a name elsewhere in the text lowers it to `THRESHOLD_IF_REPEATED`."""
THRESHOLD_IF_REPEATED: Final = -2.0
SURE: Final = 1.0
BARELY: Final = 0.1
WORTH_A_LOOK_AROUND: Final = -2.0
"""In the tuning data no candidate that scores less by itself is a name, whatever stands around it."""
HONORIFIC_BONUS: Final = 1.5
"""홍길동님: in the prompts of an office 님 after a full name's shape says more than in the news."""

Table = dict[Key, float]
Scored = tuple[float, int, int, int, int, str]
"""Log odds, start, end, first run, last run, name."""
FIRST, LAST = 3, 4


class Weights(NamedTuple):
    """What training learned: one table of log odds per template, for the run itself and around it."""

    bias: float
    own: list[Table]
    around: list[Table]


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
        Span(start, end, PERSON, 1 / (1 + exp(-score)), "person")
        for score, start, end, *_ in _accepted(cut(text))
    ]
    return _merged(spans, name_rules.find(text, spans))


def _merged(scored: list[Span], ruled: Iterable[Span]) -> list[Span]:
    """Both, sorted; where they overlap the scorer's goes if the rule's is longer."""
    spans: list[Span] = []
    for span in sorted([*scored, *ruled], key=lambda s: (s.start, -s.end)):
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    return spans


def _accepted(runs: Runs) -> list[Scored]:
    """The best candidate per place, from left to right; a doubtful one counts if it is sure elsewhere."""
    scored = list(limited(_scored(runs), Names.name))
    sure = {name for score, _, _, _, _, name in scored if score > SURE}
    chosen: list[Scored] = []
    for candidate in scored:
        score, _, _, first, _, name = candidate
        if score <= THRESHOLD:
            if name not in sure:
                continue
            candidate = (BARELY, *candidate[1:])  # noqa: PLW2901 - the one place that changes a score
        if not chosen or first > chosen[-1][LAST]:
            chosen.append(candidate)
        elif first == chosen[-1][FIRST] and candidate > chosen[-1]:
            chosen[-1] = candidate
    return chosen


def _scored(runs: Runs) -> Iterator[Scored]:
    """Candidates that reach at least the lower threshold.

    Runs come back in a long text; what a run says by itself is worked out once per call.
    """
    seen: dict[str, tuple[list[tuple[float, Form]], bool]] = {}
    for index, word in enumerate(runs.words):
        if word in DULL:
            continue
        if word not in seen:
            seen[word] = _promising(word)
        forms, several = seen[word]
        if (not forms and not several) or is_part_of_a_number(runs, index):
            continue
        start = runs.starts[index]
        for score, (name, shape, suffix) in forms:
            if shape != SURNAME_ALONE or title_follows(runs, index, suffix[0]):
                total = score + _sum(_weights().around, around(runs, index, index, shape, suffix[0]))
                if shape == THREE and suffix[0] == HONORIFIC_SUFFIX and total > -HONORIFIC_BONUS:
                    total += HONORIFIC_BONUS
                if total > THRESHOLD_IF_REPEATED:
                    yield total, start, start + len(name), index, index, name
        if several:
            yield from _scored_over_several(runs, index)


def _promising(word: str) -> tuple[list[tuple[float, Form]], bool]:
    """The forms of a run that are worth a look around, with their own score; whether more runs may join."""
    if not may_hold_name(word):
        return [], False
    bias, own, _ = _weights()
    forms = [(bias + _sum(own, of_one_run(form[0], word[:MAX_RUN], *form[1:])), form) for form in forms_of(word)]
    kept = [(score, form) for score, form in forms if score > WORTH_A_LOOK_AROUND or form[1] == SURNAME_ALONE]
    return kept, starts_several(word)


def _scored_over_several(runs: Runs, index: int) -> Iterator[Scored]:
    bias, own, surroundings = _weights()
    for candidate in over_several_runs(runs, index):
        score = bias + _sum(own, inner(candidate, runs))
        if score > WORTH_A_LOOK_AROUND:
            score += _sum(surroundings, outer(candidate, runs))
            if score > THRESHOLD_IF_REPEATED:
                yield score, candidate.start, candidate.end, index, candidate.last, candidate.name


def _sum(tables: list[Table], keys: Features) -> float:
    return sum([table[key] for table, key in zip(tables, keys, strict=True) if key in table])


@cache
def _weights() -> Weights:
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
    return Weights(bias, [tables[name] for name in INNER], [tables[name] for name in OUTER])


def _unescaped(key: str) -> str:
    return key.encode("ascii").decode("unicode_escape") if "\\" in key else key
