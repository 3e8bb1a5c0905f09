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
from filters.lexicon import COMPOUND_SURNAMES, SURNAMES, is_known_person, korean
from filters.lexicon.korean import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: Final = re.compile(r"[가-힣]+")
MAX_RUN: Final = 16
"""Longer runs of Hangul without a space are prose without spacing; only their start is looked at."""
MAX_GAP: Final = 4
MAX_NAME: Final = 8

INNER: Final = (
    "shape", "word", "common", "token", "known", "given", "run", "suffix", "agree", "tail", "tail2", "surname",
    "foreign",
)  # fmt: skip
"""Features of the run itself."""
OUTER: Final = ("left_class", "left_tail", "left_gap", "right_class", "right_head", "right_gap", "both", "shape_gap")
"""Features of what stands around it."""
TEMPLATES: Final = INNER + OUTER

Key = int | str
Features = tuple[Key, ...]
Side = tuple[int, str, str]
"""Class of the neighbouring word, the word, the outline of the gap between."""


class Run(NamedTuple):
    """A maximal run of Hangul syllables, `[start, end)` in the text."""

    start: int
    end: int
    word: str


class Candidate(NamedTuple):
    """`[start, end)` in the text; `last` is the index of the run that it ends in."""

    start: int
    end: int
    last: int
    name: str
    shape: int
    suffix: tuple[int, str]
    inner: Features


SURNAME_ALONE, TWO, THREE, THREE_OTHER, COMPOUND, LONG, MANY, SPACED = range(8)
"""Shapes: what kind of candidate it is."""

TITLE, RELATION, HONORIFIC, LABEL_AND_TITLE = 2, 3, 4, 5
CLASS_OF: Final[dict[str, int]] = (
    dict.fromkeys(korean.TITLES, TITLE)
    | dict.fromkeys(korean.LABELS, 1)
    | dict.fromkeys(korean.RELATIONS, RELATION)
    | dict.fromkeys(korean.HONORIFICS.split(), HONORIFIC)
    | {word: LABEL_AND_TITLE for word in korean.TITLES if word in korean.LABELS}
)
LABELS_WITH_PARTICLE: Final = {
    label + particle: 1 for label in korean.LABELS for particle in ("은", "는", "이", "가", "인", "의")
}
UNKNOWN_SUFFIX: Final = 30, "-"
WORDS: Final = lexicon.words()
GIVEN: Final = lexicon.given()
FIRST, SECOND, SINGLE, FOREIGN = (lexicon.syllables(position) for position in range(4))


def runs_of(text: str) -> list[Run]:
    return [Run(m.start(), m.end(), m.group()) for m in RUN.finditer(text)]


def candidates_at(runs: list[Run], index: int, text: str) -> Iterator[Candidate]:
    """Every candidate that begins with run `index`."""
    run = runs[index]
    word = run.word[:MAX_RUN]
    if word in korean.NOT_A_NAME:
        return
    for length in range(1, min(len(word), MAX_NAME) + 1):
        suffix = SUFFIXES.get(word[length:])
        name = word[:length]
        if suffix is None:
            if length < 3 or not _is_surely_a_name(name):
                continue
            suffix = UNKNOWN_SUFFIX
        shape = None if name in korean.NOT_A_NAME else _shape(name, word)
        if shape is None or (shape == SURNAME_ALONE and not _title_follows(runs, index, suffix[0])):
            continue
        inner = _inner(name, word, shape, suffix)
        yield Candidate(run.start, run.start + length, index, name, shape, suffix, inner)
    yield from _over_several_runs(runs, index, text)


def _is_surely_a_name(name: str) -> bool:
    """A listed name before letters that are no particle: 유해진진짜."""
    code = WORDS.get(name, 0)
    return code < 1000 and code // 10 % 10 == 0 and is_known_person(name) and (len(name) > 3 or name[1:] in GIVEN)


def _shape(name: str, word: str) -> int | None:
    """The kind of name that this may be, or None if nothing speaks for it."""
    length = len(name)
    first_is_surname = name[0] in SURNAMES
    if length == 1:
        return SURNAME_ALONE if first_is_surname else None
    if length == 2:
        known = first_is_surname or name in GIVEN or WORDS.get(name, 0) % 1000 >= 100
        return TWO if known or is_known_person(name) else None
    if length == 3 and first_is_surname:
        return THREE
    if length == 4 and name[:2] in COMPOUND_SURNAMES:
        return COMPOUND
    if _looks_foreign(name, word):
        return THREE_OTHER if length == 3 else LONG
    return None


def _looks_foreign(name: str, word: str) -> bool:
    code = WORDS.get(name, 0)
    if code >= 1000:
        return code % 1000 >= 100
    if code % 1000 >= 100:
        return True
    if WORDS.get(word, 0) >= 1000 or name[-1] in "다요며서지고게는은을를던한된할될함됨음기여해":
        return is_known_person(name)
    return foreign_score(name) >= 0 or is_known_person(name)


def foreign_score(name: str) -> int:
    """Sum of the syllables' log odds of standing in a foreign person's name."""
    return sum(FOREIGN.get(s, 0) for s in name)


def _title_follows(runs: list[Run], index: int, suffix_class: int) -> bool:
    """김씨, 박과장, 이 의원, 안 전 후보: a surname alone counts only before a title or an honorific."""
    if suffix_class >= 50:
        word = runs[index].word
        return word[1] == "씨" or word[1:] == "모" or not _begins_with_a_word(word)
    if suffix_class or index + 1 >= len(runs) or runs[index + 1].start - runs[index].end != 1:
        return False
    if runs[index + 1].word == "전" and index + 2 < len(runs):
        return class_of_start(runs[index + 2].word) in (TITLE, LABEL_AND_TITLE)
    return class_of_start(runs[index + 1].word) in (TITLE, HONORIFIC, LABEL_AND_TITLE)


def _begins_with_a_word(word: str) -> bool:
    """함양 is no Mr Ham, 유형과 no Mr Yu: the syllable and the title make another word."""
    return any(WORDS.get(word[:length], 0) >= 1000 or WORDS.get(word[:length], 0) // 10 % 10 for length in (2, 3))


def class_of_start(word: str) -> int:
    """The class of the title, label or honorific that a word begins with (`팀장은` is a title), else 0."""
    for length in range(min(len(word), 5), 0, -1):
        found = CLASS_OF.get(word[:length])
        if found and (length > 1 or word[1:] in SUFFIXES):
            return found
    return 0


def _over_several_runs(runs: list[Run], index: int, text: str) -> Iterator[Candidate]:
    """톰 행크스, 이브 생 로랑, 홍 길동: two to four runs with one space or hyphen between."""
    first = runs[index]
    word = first.word
    spaced = word in SURNAMES or word in COMPOUND_SURNAMES
    foreign = len(word) <= 6 and _foreign_part(word) and not _hides_particle(word)
    if not spaced and not foreign:
        return
    joined = word
    for last in range(index + 1, min(index + 4, len(runs))):
        run = runs[last]
        if run.start - runs[last - 1].end != 1 or text[run.start - 1] not in " -":
            return
        for length in range(min(len(run.word), 7), 0, -1):
            suffix = SUFFIXES.get(run.word[length:])
            part = run.word[:length]
            if suffix is None:
                continue
            if spaced and last == index + 1 and length == 2 and part in GIVEN:
                shape = SPACED
            elif foreign and _foreign_part(part) and (length > 1 or part == run.word) and not _hides_particle(part):
                shape = MANY
            else:
                continue
            inner = _inner(joined + part, run.word, shape, suffix, (word, part))
            yield Candidate(first.start, run.start + length, last, joined + part, shape, suffix, inner)
        if not foreign or not _foreign_part(run.word) or _hides_particle(run.word):
            return
        joined += run.word


def _hides_particle(word: str) -> bool:
    """마이크가 조단에게: an unknown word that is a known one with a particle ends a name."""
    if WORDS.get(word, 0) or len(word) < 3:
        return False
    return any(word[-n:] in SUFFIXES and WORDS.get(word[:-n], 0) for n in (1, 2))


def _foreign_part(word: str) -> bool:
    code = WORDS.get(word, 0)
    if code // 10 % 10 and code % 1000 < 300:
        return False  # a place before all, such as 프랑스
    if code % 1000 >= 100:
        return True
    return code < 1000 and len(word) > 1 and foreign_score(word) >= 1


# Features --------------------------------------------------------------------------------------


def _inner(
    name: str, word: str, shape: int, suffix: tuple[int, str], parts: tuple[str, str] | None = None
) -> Features:
    suffix_class, demand = suffix
    kind = shape * 10 + min(len(name), MAX_NAME)
    code = WORDS.get(name, 0)
    whole = WORDS.get(word, 0) if suffix_class and word is not name else 0
    bare = not suffix_class
    if parts is None:
        common, token = code // 1000, code // 10 % 100
        known = is_known_person(name) if code < 1000 or code % 10 else 2
    else:
        first, last = (WORDS.get(part, 0) for part in parts)
        common, token = (first // 1000) * 5 + last // 1000, (first // 100 % 10) * 4 + last // 100 % 10
        known = is_known_person(name)
    return (
        kind,
        kind * 10_000 + code,
        shape * 100 + common,
        shape * 100 + token,
        shape * 10 + known,
        _given_key(name, shape),
        shape * 100 + whole // 1000 * 10 + whole // 100 % 10,
        kind * 100 + suffix_class,
        _agreement(name, demand),
        name[-1] if bare else "",
        name[-2:] if bare else "",
        name[0] if shape < THREE_OTHER else "",
        shape * 100 + max(-9, min(20, foreign_score(name))) if shape >= THREE_OTHER or shape == TWO else 0,
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


def outer(text: str, runs: list[Run], index: int, candidate: Candidate) -> Features:
    """The features of a candidate's surroundings; `index` is the run that it begins with."""
    left, right = left_of(text, runs, index), right_of(text, runs, candidate.last)
    shape, suffix_class = candidate.shape, candidate.suffix[0]
    inside = suffix_class >= 50
    return (
        left[0] + 10 * shape,
        left[1][-1:],
        left[2],
        right[0] + 10 * shape + 1000 * (not suffix_class) if not inside else -1,
        right[1][:2],
        right[2] if not suffix_class else "~" + right[2][:1],
        left[0] * 1000 + right[0] * 100 + min(suffix_class, 20),
        f"{shape}{right[2][:1] if not suffix_class else '~'}",
    )


def left_of(text: str, runs: list[Run], index: int) -> Side:
    start = runs[index].start
    if index == 0 or start - runs[index - 1].end > MAX_GAP:
        return 0, "", _outlines(text[max(0, start - 2) : start])
    word = runs[index - 1].word
    found = CLASS_OF.get(word) or LABELS_WITH_PARTICLE.get(word) or _class_of_end(word)
    return found, word, _outlines(text[runs[index - 1].end : start])


def _class_of_end(word: str) -> int:
    if word[-1] in korean.ORGANISATION_ENDINGS and len(word) > 2:
        return 6
    for length in (4, 3, 2):
        if len(word) > length and word[-length:] in CLASS_OF:
            return CLASS_OF[word[-length:]]
    return 7 if word[-1:] in ("은", "는", "이", "가", "의", "을", "를") else 0


def right_of(text: str, runs: list[Run], index: int) -> Side:
    end = runs[index].end
    if index + 1 == len(runs) or runs[index + 1].start - end > MAX_GAP:
        return 0, "", _outlines(text[end : end + 3])
    word = runs[index + 1].word
    return class_of_start(word), word, _outlines(text[end : runs[index + 1].start])


def _outlines(gap: str) -> str:
    """A gap's outline: digits are 0, Latin letters A, Hanja 漢; at most three characters."""
    return "".join(map(_outline, gap[:3]))


def _outline(character: str) -> str:
    if character.isascii():
        return "0" if character.isdigit() else "A" if character.isalpha() else character
    return "漢" if "\u4e00" <= character <= "\u9fff" else character
