"""Candidates for a person's name in Korean text, and the features that the scorer weighs.

A candidate is a stretch of one Hangul run (`김민준` in `김민준이고`), of two or three runs (`톰 행크스`,
`홍 길동`), or one surname before a title (`박 과장`). Features are small dictionary look-ups; their
weights are learned offline and live in filters/lexicon/person_weights.txt. Training and running share
this module, so that they cannot drift apart. Pure: no input or output, no state.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from filters import lexicon
from filters.lexicon import COMPOUND_SURNAMES, SURNAMES, korean

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: Final = re.compile(r"[가-힣]+")
MAX_RUN: Final = 16
"""Longer runs of Hangul without a space are prose without spacing; only their start is looked at."""
MAX_GAP: Final = 4

TEMPLATES: Final = (
    "shape", "word", "given", "run", "suffix", "agree", "tail", "tail2", "surname", "foreign",
    "left_class", "left_word", "left_gap", "right_class", "right_word", "right_gap",
)  # fmt: skip

Key = int | str
Features = tuple[Key, ...]


class Run(NamedTuple):
    """A maximal run of Hangul syllables and what stands between it and its neighbours."""

    start: int
    end: int
    word: str


class Candidate(NamedTuple):
    """`[start, end)` in the text given; `last` is the index of the run that it ends in."""

    start: int
    end: int
    last: int
    features: Features


# Shapes: what kind of candidate this is.
SURNAME_ALONE, TWO, THREE, THREE_OTHER, COMPOUND, LONG, MANY, SPACED = range(8)


def _suffixes() -> dict[str, tuple[int, str]]:
    """What may follow a name in its run -> (class, demand on the final consonant: C, V or -)."""
    table: dict[str, tuple[int, str]] = {"": (0, "-")}
    particles: dict[str, tuple[int, str]] = {}
    for number, members in enumerate(korean.PARTICLES.values(), start=1):
        for member in members.split():
            form, _, demand = member.partition(":")
            particles[form] = number, demand
    after = {"": "-"} | {form: demand for form, (_, demand) in particles.items()}
    heads = [(50, korean.HONORIFICS.split()), (51, korean.TITLES)]
    for number, words in heads:
        for word in words:
            for form in after:
                table.setdefault(word + form, (number, "-"))
                table.setdefault(word + "님" + form, (number, "-"))
    return table | particles


SUFFIXES: Final = _suffixes()
MAX_SUFFIX: Final = 9
CLASS_OF: Final = (
    dict.fromkeys(korean.TITLES, 2) | dict.fromkeys(korean.LABELS, 1) | dict.fromkeys(korean.RELATIONS, 3)
    | dict.fromkeys(korean.HONORIFICS.split(), 4) | {w: 5 for w in korean.TITLES if w in korean.LABELS}
)  # fmt: skip
LABELS_WITH_PARTICLE: Final = {
    label + particle: 1 for label in korean.LABELS for particle in ("은", "는", "이", "가", "인", "의")
}
WORDS: Final = lexicon.words()
GIVEN: Final = lexicon.given()
FIRST, SECOND, SINGLE, FOREIGN = (lexicon.syllables(position) for position in range(4))
LEARNED_WORDS: dict[str, set[str]] = {"left": set(), "right": set()}


def runs_of(text: str) -> list[Run]:
    return [Run(m.start(), m.end(), m.group()) for m in RUN.finditer(text)]


def candidates_at(text: str, runs: list[Run], index: int) -> Iterator[Candidate]:
    """Every candidate that begins with run `index`."""
    word = runs[index].word
    if len(word) > MAX_RUN:
        word = word[:MAX_RUN]
    if word in korean.NOT_A_NAME:
        return
    first_is_surname = word[0] in SURNAMES
    left = None
    for length in range(1, min(len(word), 8) + 1):
        suffix = SUFFIXES.get(word[length:])
        if suffix is None:
            continue
        name = word[:length]
        shape = _shape(name, first_is_surname)
        if shape is None:
            continue
        if left is None:
            left = _left(text, runs, index)
        if shape == SURNAME_ALONE and not _title_follows(runs, index, suffix[0]):
            continue
        run = runs[index]
        right = _right(text, runs, index)
        features = _features(name, word, shape, suffix, left, right)
        yield Candidate(run.start, run.start + length, index, features)
    yield from _over_several_runs(text, runs, index, left)


def _shape(name: str, first_is_surname: bool) -> int | None:  # noqa: FBT001 - computed once for the run
    """The kind of name that this may be, or None if nothing speaks for it."""
    length = len(name)
    if length == 1:
        return SURNAME_ALONE if first_is_surname else None
    if length == 2:
        return TWO if first_is_surname or name in GIVEN or WORDS.get(name, 0) % 1000 >= 100 else None
    if length == 3:
        if first_is_surname:
            return THREE
        return THREE_OTHER if _looks_foreign(name) else None
    if length == 4 and name[:2] in COMPOUND_SURNAMES:
        return COMPOUND
    return LONG if _looks_foreign(name) else None


def _looks_foreign(name: str) -> bool:
    code = WORDS.get(name, 0)
    if code >= 1000 and code < 4000:
        return code % 1000 >= 100
    return code % 1000 >= 100 or foreign_score(name) >= 3 or _two_tokens(name)


def foreign_score(name: str) -> int:
    """Sum of the syllables' log odds of standing in a foreign person's name."""
    return sum(FOREIGN.get(s, 0) for s in name)


def _two_tokens(name: str) -> bool:
    """브래드피트: two known parts of foreign names written together."""
    return any(
        WORDS.get(name[:cut], 0) % 1000 >= 200 and WORDS.get(name[cut:], 0) % 1000 >= 100
        for cut in range(2, len(name) - 1)
    )


def _title_follows(runs: list[Run], index: int, suffix_class: int) -> bool:
    """김씨, 박과장, 이 의원: a surname alone counts only before a title or an honorific."""
    if suffix_class >= 50:
        return True
    if suffix_class or index + 1 >= len(runs) or runs[index + 1].start - runs[index].end != 1:
        return False
    return class_of_start(runs[index + 1].word) in (2, 4, 5)


def class_of_start(word: str) -> int:
    """The class of the title, label or honorific that a word begins with (`팀장은` is a title), else 0."""
    for length in range(min(len(word), 5), 0, -1):
        found = CLASS_OF.get(word[:length])
        if found and (length > 1 or word[1:] in SUFFIXES):
            return found
    return 0


def _over_several_runs(
    text: str, runs: list[Run], index: int, left: tuple[int, str, str] | None
) -> Iterator[Candidate]:
    first = runs[index]
    word = first.word
    spaced = len(word) == 1 and (word in SURNAMES) or word in COMPOUND_SURNAMES
    if not spaced and not (len(word) <= 6 and _looks_foreign_part(word)):
        return
    joined = word
    for last in range(index + 1, min(index + 4, len(runs))):
        run = runs[last]
        if run.start - runs[last - 1].end != 1 or text[run.start - 1] not in " ·-":
            return
        for length in range(min(len(run.word), 7), 0, -1):
            suffix = SUFFIXES.get(run.word[length:])
            if suffix is None:
                continue
            part = run.word[:length]
            if spaced and last == index + 1 and length == 2 and part in GIVEN:
                shape = SPACED
            elif not spaced and (_looks_foreign_part(part) if length > 1 else part == run.word):
                shape = MANY
            else:
                continue
            if left is None:
                left = _left(text, runs, index)
            features = _features(joined + part, run.word, shape, suffix, left, _right(text, runs, last))
            yield Candidate(first.start, run.start + length, last, features)
        if spaced or not _looks_foreign_part(run.word):
            return
        joined += run.word


def _looks_foreign_part(word: str) -> bool:
    code = WORDS.get(word, 0)
    if 1000 <= code < 4000:
        return code % 1000 >= 200
    return code % 1000 >= 100 or (len(word) > 1 and foreign_score(word) >= 2)


# Features --------------------------------------------------------------------------------------


def _features(
    name: str, word: str, shape: int, suffix: tuple[int, str],
    left: tuple[int, str, str], right: tuple[int, str, str],
) -> Features:  # fmt: skip
    suffix_class, demand = suffix
    length = min(len(name), 8)
    kind = shape * 10 + length
    return (
        kind,
        kind * 10_000 + WORDS.get(name, 0),
        _given_key(name, shape),
        WORDS.get(word, 0) if suffix_class else 0,
        kind * 100 + suffix_class,
        _agreement(name, demand),
        name[-1] if not suffix_class else "",
        name[-2:] if not suffix_class else "",
        name[0] if shape < THREE_OTHER else "",
        shape * 100 + max(-9, min(20, foreign_score(name))) if shape >= THREE_OTHER or shape == TWO else 0,
        left[0] + 10 * shape,
        left[1],
        left[2],
        right[0] + 10 * shape if suffix_class < 50 else 0,
        right[1],
        right[2] if not suffix_class else "~",
    )


def _given_key(name: str, shape: int) -> int:
    """How much the given name looks like one."""
    if shape == TWO:
        as_given = GIVEN.get(name, 90)
        return 10_000 + as_given * 10 + SINGLE.get(name[1], -4) + 5 if name[0] in SURNAMES else 20_000 + as_given
    if shape in (THREE, COMPOUND, SPACED):
        given = name[-2:]
        known = GIVEN.get(given)
        if known is not None:
            return 30_000 + known
        return 40_000 + FIRST.get(given[0], -4) + SECOND.get(given[1], -4)
    return 0


def _agreement(name: str, demand: str) -> int:
    """0 no demand, 1 the particle fits the final consonant, 2 it does not."""
    if demand == "-":
        return 0
    has_final = (ord(name[-1]) - 0xAC00) % 28 != 0
    return 1 if has_final == (demand == "C") else 2


def _left(text: str, runs: list[Run], index: int) -> tuple[int, str, str]:
    """(class, word, gap) of what stands before run `index`."""
    start = runs[index].start
    if index == 0 or start - runs[index - 1].end > MAX_GAP:
        return 0, "", _mask(text[max(0, start - 2) : start])
    word = runs[index - 1].word
    gap = text[runs[index - 1].end : start]
    found = CLASS_OF.get(word) or LABELS_WITH_PARTICLE.get(word) or _class_of_end(word)
    return found, word, _mask(gap)


def _class_of_end(word: str) -> int:
    if word[-1] in korean.ORGANISATION_ENDINGS and len(word) > 2:
        return 6
    for length in (4, 3, 2):
        if len(word) > length and word[-length:] in CLASS_OF:
            return CLASS_OF[word[-length:]]
    return 7 if word[-1:] in ("은", "는", "이", "가", "의", "을", "를") else 0


def _right(text: str, runs: list[Run], index: int) -> tuple[int, str, str]:
    end = runs[index].end
    if index + 1 == len(runs) or runs[index + 1].start - end > MAX_GAP:
        return 0, "", _mask(text[end : end + 3])
    gap = text[end : runs[index + 1].start]
    word = runs[index + 1].word
    return class_of_start(word), word, _mask(gap)


def _mask(gap: str) -> str:
    """A gap's outline: digits are 0, Latin letters A, Hanja 漢; at most three characters."""
    return "".join(map(_outline, gap[:3]))


def _outline(character: str) -> str:
    if character.isascii():
        return "0" if character.isdigit() else "A" if character.isalpha() else character
    return "漢" if "\u4e00" <= character <= "\u9fff" else character
