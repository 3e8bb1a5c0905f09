"""The learned weights of filters/detectors/person_features.py, and sums over them.

`Weights.of` and `Weights.around` say what `inner` and `outer` would, without building their tuples: most
candidates are looked at and dropped, so this is where the time goes. A test holds both to the same sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from filters.detectors.person_features import (
    INNER,
    MANY,
    MAX_NAME,
    NO_SOUND,
    NOUN_ENDINGS,
    OUTER,
    TEMPLATES,
    THREE,
    THREE_OTHER,
    TWO,
    foreign_score,
    given_key,
    inner,
    left_of,
    listed_key,
    right_of,
    sound_key,
)
from filters.detectors.person_words import code_at, given_at, odds_first, odds_second
from filters.lexicon.korean import HONORIFIC_CLASS
from filters.lexicon.persons import is_known_person

if TYPE_CHECKING:
    from filters.detectors.person_features import Candidate, Key, Runs

Table = dict["Key", float]
INTEGER_TEMPLATES: Final = frozenset(
    "shape word common token known given run suffix agree foreign left_class right_class "
    "both compound sound listed".split()
)


class Weights:
    """One table of log odds per template."""

    def __init__(self, bias: float, tables: dict[str, Table]) -> None:
        self.bias = bias
        self.tables = tables
        self._own = [tables[name] for name in INNER]
        self._by_code: dict[int, float] = {}
        """kind and class of the word -> what shape, word, common and token say together"""
        self._by_suffix: dict[int, float] = {}
        """kind, class of the suffix and agreement -> what these say of a run that is no word"""
        self._run = tables["run"]
        self._tail, self._tail2 = tables["tail"], tables["tail2"]
        self._no_tail = self._tail.get("", 0.0) + self._tail2.get("", 0.0)
        self._known = [tables["known"].get(key, 0.0) for key in range(80)]
        self._known_given = [tables["given"].get(30_000 + code, 0.0) for code in range(60)]
        self._given = tables["given"]
        self._compound = tables["compound"]
        self._no_compound = self._compound.get(-1, 0.0)
        self._foreign = tables["foreign"]
        self._native = self._foreign.get(0, 0.0)
        self._sound, self._listed = tables["sound"], tables["listed"]
        self._unheard = self._sound.get(NO_SOUND, 0.0) + self._listed.get(-1, 0.0)
        self._left_class, self._right_class = tables["left_class"], tables["right_class"]
        self._left_gap, self._right_gap = tables["left_gap"], tables["right_gap"]
        self._right_head, self._both = tables["right_head"], tables["both"]
        self._shape_gap = tables["shape_gap"]
        self._surname = tables["surname"]
        self._no_surname = self._surname.get("", 0.0)

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
        suffix_class, demand = suffix
        kind = shape * 10 + min(len(name), MAX_NAME)
        code = code_at(name, 0, len(name))
        score = self._by_code.get(kind * 10_000 + code)
        if score is None:
            score = self._learn_code(kind, shape, code)
        known = 2 if code >= 1000 and not code % 10 else 1 if is_known_person(name) else 0
        agreement = 0
        if demand != "-":
            agreement = 1 if ((ord(name[-1]) - 0xAC00) % 28 != 0) == (demand == "C") else 2
        suffixed = self._by_suffix.get(kind * 1000 + suffix_class * 10 + agreement)
        if suffixed is None:
            suffixed = self._learn_suffix(kind, suffix_class, agreement)
        score += self._known[shape * 10 + known] + suffixed
        if suffix_class:
            whole = code_at(word, 0, len(word))
            if whole:
                score += self._of_whole(shape, whole)
        else:
            score += self._tail.get(name[-1], 0.0) + self._tail2.get(name[-2:], 0.0)
        return score + self._of_shape(name, shape)

    def _of_shape(self, name: str, shape: int) -> float:
        if shape == THREE:
            known = given_at(name, 1, 3)
            if known >= 0:
                score = self._known_given[known]
            else:
                score = self._given.get(40_000 + odds_first(name, 1) + odds_second(name, 2), 0.0)
            compound = code_at(name, 0, 2) // 1000 * 10 + (name[2] in NOUN_ENDINGS)
            score += self._compound.get(compound, 0.0) + self._native + self._unheard
        else:
            foreign = 0
            score = self._sound.get(sound_key(name, shape), 0.0) + self._listed.get(
                listed_key(name, shape), 0.0
            )
            if shape >= THREE_OTHER or shape == TWO:
                foreign = shape * 100 + foreign_score(name)
            score += self._given.get(given_key(name, shape), 0.0) + self._no_compound
            score += self._foreign.get(foreign, 0.0)
        return score + (self._surname.get(name[0], 0.0) if shape < THREE_OTHER else self._no_surname)

    def _of_whole(self, shape: int, whole: int) -> float:
        """What it says that the run with its suffix is a word, beyond what a run says that is none."""
        of_word = self._run.get(shape * 100 + whole // 1000 * 10 + whole // 100 % 10, 0.0)
        return of_word - self._run.get(shape * 100, 0.0)

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

    def _learn_suffix(self, kind: int, suffix_class: int, agreement: int) -> float:
        score = (
            self.tables["suffix"].get(kind * 100 + suffix_class, 0.0)
            + self.tables["agree"].get(agreement, 0.0)
            + self._run.get(kind // 10 * 100, 0.0)
            + (self._no_tail if suffix_class else 0.0)
        )
        self._by_suffix[kind * 1000 + suffix_class * 10 + agreement] = score
        return score

    def around(self, runs: Runs, first: int, last: int, shape: int, suffix_class: int) -> float:
        """What stands around a candidate adds this to its log odds."""
        return self.beside(self.sides(runs, first, last), shape, suffix_class)

    def sides(self, runs: Runs, first: int, last: int) -> Sides:
        """What stands around runs `first` to `last`, for all candidates that begin and end there."""
        left_class, left_gap = left_of(runs, first)
        right_class, right_head, right_gap = right_of(runs, last)
        always = self._left_gap.get(left_gap, 0.0) + self._right_head.get(right_head, 0.0)
        return Sides(left_class, right_class, right_gap, always)

    def beside(self, sides: Sides, shape: int, suffix_class: int) -> float:
        """What they add to the log odds of one candidate."""
        right_class, gap = sides.right_class, sides.right_gap
        if suffix_class:
            right = right_class + 10 * shape if suffix_class < HONORIFIC_CLASS else -1
            shape_gap = _BEHIND_SUFFIX[shape]
            gap = _GAP_BEHIND_SUFFIX if gap == " " else "~" + gap[:1]
        else:
            right = right_class + 10 * shape + 1000
            shape_gap = f"{shape}{gap[:1]}"
        both = sides.left_class * 1000 + right_class * 100 + min(20, suffix_class)
        return (
            sides.always
            + self._left_class.get(sides.left_class + 10 * shape, 0.0)
            + self._right_class.get(right, 0.0)
            + self._right_gap.get(gap, 0.0)
            + self._both.get(both, 0.0)
            + self._shape_gap.get(shape_gap, 0.0)
        )


class Sides:
    """The words before and behind a candidate, as the weights ask for them.

    `always` is what they say of every candidate; the rest depends on its shape.
    """

    __slots__ = ("always", "left_class", "right_class", "right_gap")

    def __init__(self, left_class: int, right_class: int, right_gap: str, always: float) -> None:
        self.left_class = left_class
        self.right_class = right_class
        self.right_gap = right_gap
        self.always = always


_GAP_BEHIND_SUFFIX: Final = "~ "
_BEHIND_SUFFIX: Final = [f"{shape}~" for shape in range(8)]


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
