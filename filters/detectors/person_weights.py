"""The learned weights of filters/detectors/person_features.py, and sums over them.

`Weights.of` and `Weights.around` say what `inner` and `outer` would, without building their tuples: most
candidates are looked at and dropped, so this is where the time goes. A test holds both to the same sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from filters.detectors.person_features import (
    GIVEN,
    INNER,
    MANY,
    MAX_NAME,
    NOUN_ENDINGS,
    OUTER,
    TEMPLATES,
    THREE,
    THREE_OTHER,
    TWO,
    WORDS,
    foreign_score,
    given_key,
    inner,
    left_of,
    right_of,
)
from filters.lexicon import is_known_person

if TYPE_CHECKING:
    from filters.detectors.person_features import Candidate, Key, Runs

Table = dict["Key", float]
INTEGER_TEMPLATES: Final = frozenset(
    "shape word common token known given run suffix agree foreign left_class right_class "
    "both compound".split()
)


class Weights:
    """One table of log odds per template."""

    def __init__(self, bias: float, tables: dict[str, Table]) -> None:
        self.bias = bias
        self.tables = tables
        self._own = [tables[name] for name in INNER]
        self._by_code: dict[int, float] = {}
        """kind and class of the word -> what shape, word, common and token say together"""
        self._no_tail = tables["tail"].get("", 0.0) + tables["tail2"].get("", 0.0)
        self._given = {name: tables["given"].get(30_000 + code, 0.0) for name, code in GIVEN.items()}

    def of(self, candidate: Candidate, runs: Runs) -> float:
        """Log odds of the candidate by itself."""
        if candidate.shape < MANY:
            return self.of_one_run(candidate.name, candidate.word, candidate.shape, candidate.suffix)
        keys = inner(candidate, runs)
        return self.bias + sum(
            [table[key] for table, key in zip(self._own, keys, strict=True) if key in table]
        )

    def of_one_run(self, name: str, word: str, shape: int, suffix: tuple[int, str]) -> float:
        """The same for a candidate within one run."""
        tables = self.tables
        suffix_class, demand = suffix
        kind = shape * 10 + (min(MAX_NAME, len(name)))
        code = WORDS.get(name, 0)
        score = self._by_code.get(kind * 10_000 + code)
        if score is None:
            score = self._learn_code(kind, shape, code)
        known = int(is_known_person(name)) if code < 1000 or code % 10 else 2
        score += tables["known"].get(shape * 10 + known, 0.0) + tables["suffix"].get(
            kind * 100 + suffix_class, 0.0
        )
        if suffix_class:
            whole = WORDS.get(word, 0)
            score += (
                tables["run"].get(shape * 100 + whole // 1000 * 10 + whole // 100 % 10, 0.0) + self._no_tail
            )
        else:
            score += tables["run"].get(shape * 100, 0.0)
            score += tables["tail"].get(name[-1], 0.0) + tables["tail2"].get(name[-2:], 0.0)
        if demand == "-":
            score += tables["agree"].get(0, 0.0)
        else:
            fits = ((ord(name[-1]) - 0xAC00) % 28 != 0) == (demand == "C")
            score += tables["agree"].get(1 if fits else 2, 0.0)
        return score + self._of_shape(name, shape)

    def _of_shape(self, name: str, shape: int) -> float:
        tables = self.tables
        if shape == THREE:
            given = self._given.get(name[1:])
            score = tables["given"].get(given_key(name, shape), 0.0) if given is None else given
            compound = WORDS.get(name[:2], 0) // 1000 * 10 + (name[2] in NOUN_ENDINGS)
            score += tables["compound"].get(compound, 0.0) + tables["foreign"].get(0, 0.0)
        else:
            score = tables["given"].get(given_key(name, shape), 0.0) + tables["compound"].get(-1, 0.0)
            foreign = (
                shape * 100 + max(-9, min(20, foreign_score(name)))
                if shape >= THREE_OTHER or shape == TWO
                else 0
            )
            score += tables["foreign"].get(foreign, 0.0)
        return score + tables["surname"].get(name[0] if shape < THREE_OTHER else "", 0.0)

    def _learn_code(self, kind: int, shape: int, code: int) -> float:
        tables = self.tables
        score = (
            self.bias
            + tables["shape"].get(kind, 0.0)
            + tables["word"].get(kind * 10_000 + code, 0.0)
            + tables["common"].get(shape * 100 + code // 1000, 0.0)
            + tables["token"].get(shape * 100 + code // 10 % 100, 0.0)
        )
        self._by_code[kind * 10_000 + code] = score
        return score

    def around(self, runs: Runs, first: int, last: int, shape: int, suffix_class: int) -> float:
        """What stands around a candidate adds this to its log odds."""
        tables = self.tables
        left_class, left_gap = left_of(runs, first)
        right_class, right_head, right_gap = right_of(runs, last)
        if suffix_class:
            right = right_class + 10 * shape if suffix_class < 50 else -1
            gap, shape_gap = "~" + right_gap[:1], f"{shape}~"
        else:
            right = right_class + 10 * shape + 1000
            gap, shape_gap = right_gap, f"{shape}{right_gap[:1]}"
        both = left_class * 1000 + right_class * 100 + (min(20, suffix_class))
        return (
            tables["left_class"].get(left_class + 10 * shape, 0.0)
            + tables["left_gap"].get(left_gap, 0.0)
            + tables["right_class"].get(right, 0.0)
            + tables["right_head"].get(right_head, 0.0)
            + tables["right_gap"].get(gap, 0.0)
            + tables["both"].get(both, 0.0)
            + tables["shape_gap"].get(shape_gap, 0.0)
        )


def weights_of(content: str) -> Weights:
    """Weights from lines of `template TAB key TAB log odds`; `bias` has no key.

    Raises:
        ValueError: a line that is not of this form.
        KeyError: a template that the features do not have.
    """
    tables: dict[str, Table] = {name: {} for name in TEMPLATES}
    bias = 0.0
    for line in content.splitlines():
        template, key, weight = line.split("\t")
        if template == "bias":
            bias = float(weight)
        else:
            tables[template][int(key) if template in INTEGER_TEMPLATES else _unescaped(key)] = float(weight)
    return Weights(bias, tables)


def _unescaped(key: str) -> str:
    return key.encode("ascii").decode("unicode_escape") if "\\" in key else key


__all__ = ["OUTER", "Weights", "weights_of"]
