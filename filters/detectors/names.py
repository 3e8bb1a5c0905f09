"""PERSON: names of people in Korean text, scored by a small linear model over a shipped lexicon.

`find` is the whole detector: candidates (person_features.py), their score, the best one per place,
then a second look at the document (a name seen once with a title is a name everywhere). A name alone
never blocks; the policy masks it. Pure: no input or output after the lexicon is loaded.
"""

from __future__ import annotations

import re
from functools import cache
from math import exp
from typing import TYPE_CHECKING, Final

from filters.detectors.person_features import INNER, OUTER, TEMPLATES, Candidate, Key, candidates_at, outer, runs_of
from filters.lexicon import LEXICON_DIR
from filters.spans import PERSON, Span

if TYPE_CHECKING:
    from filters.detectors.person_features import Run

THRESHOLD: Final = 0.0
Table = dict[Key, float]
INTEGER_TEMPLATES: Final = frozenset(
    "shape word common token known given run suffix agree foreign left_class right_class both".split()
)


class Names:
    """PERSON as a detector of the engine."""

    name = "names"
    gates = (r"[가-힣]",)

    def find(self, text: str) -> list[Span]:
        """See the module's `find`."""
        return find(text)


INITIAL: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Z](?=\s?(?:\([^()\n]{1,12}\)\s?)?(?:씨|군|양)(?:[은는이가을를의와과도만\s,.·)(]|에게|측|께|라|로|$))"
)
"""A씨, B(30·여)씨: a person whose name was left out is still told apart from others."""
HANJA: Final = re.compile(r"\(([\u4e00-\u9fff]{2,4})(?=[)\s,·-])")


def find(text: str) -> list[Span]:
    """Names of people in `text`, in order, without overlaps; offsets are code points of `text`."""
    spans = _korean(text)
    spans += [Span(m.start(), m.end(), PERSON, 0.6, "person_initial") for m in INITIAL.finditer(text)]
    spans += [Span(*m.span(1), PERSON, 0.9, "person_hanja") for s in list(spans) if (m := HANJA.match(text, s.end))]
    return sorted(spans)


def _korean(text: str) -> list[Span]:
    runs = runs_of(text)
    spans: list[Span] = []
    index = 0
    while index < len(runs):
        best = _best(text, runs, index)
        if best is None:
            index += 1
            continue
        candidate, score = best
        spans.append(Span(candidate.start, candidate.end, PERSON, 1 / (1 + exp(-score)), "person"))
        index = candidate.last + 1
    return spans


def _best(text: str, runs: list[Run], index: int) -> tuple[Candidate, float] | None:
    best: Candidate | None = None
    best_score = THRESHOLD
    for candidate in candidates_at(runs, index, text):
        score = score_of(text, runs, index, candidate)
        if score > best_score:
            best, best_score = candidate, score
    return (best, best_score) if best else None


def score_of(text: str, runs: list[Run], index: int, candidate: Candidate) -> float:
    bias, inner, surroundings = _weights()
    score = bias
    for table, key in zip(inner, candidate.inner, strict=True):
        score += table.get(key, 0.0)
    for table, key in zip(surroundings, outer(text, runs, index, candidate), strict=True):
        score += table.get(key, 0.0)
    return score


@cache
def _weights() -> tuple[float, list[Table], list[Table]]:
    tables: dict[str, dict[Key, float]] = {name: {} for name in TEMPLATES}
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
