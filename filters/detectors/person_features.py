"""Candidates for a person's name in Korean text, and the features that the scorer weighs.

A candidate is a stretch of one Hangul run (`김민준` in `김민준이고`), of two or three runs (`톰 행크스`,
`홍 길동`), or one surname before a title (`박 과장`). Features are small dictionary look-ups; their
weights are learned offline and live in filters/lexicon/person_weights.txt. Training and running share
this module, so that they cannot drift apart. Pure: no input or output, no state.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.detectors.person_words import (
    CLASSES,
    CLASSES_ON_THE_LEFT,
    COMPOUND_SURNAMES,
    ENDS_A_NOUN,
    HONORIFIC,
    LABEL_AND_TITLE,
    ORGANISATION_END,
    PARTICLE,
    TITLE,
    code_at,
    given_at,
    is_dull,
    is_inflection,
    is_suffix,
    is_surname_at,
    is_usual_given,
    is_verbal_ending,
    is_verbal_tail,
    kinds_at,
    odds_first,
    odds_foreign,
    odds_second,
    odds_single,
    starts_foreign,
    starts_with_compound,
    suffix_at,
)
from filters.lexicon import korean
from filters.lexicon.persons import is_known_person
from filters.lexicon.sounds import is_other, sound

if TYPE_CHECKING:
    from mypy_extensions import i64

RUN: Final = re.compile(r"([가-힣]+)")
MAX_RUN: Final = 16
"""Longer runs of Hangul without a space are prose without spacing; only their start is looked at."""
MAX_GAP: Final = 4
JOINTS: Final = (" ", "-")
"""What may stand inside a name of several runs."""
MAX_NAME: Final = 8
LONGEST_COMPOUND: Final = 4

INNER: Final = tuple(
    "shape word common token known given run suffix agree tail tail2 surname foreign compound "
    "sound listed".split()
)
"""Features of the run itself."""
OUTER: Final = ("left_class", "left_gap", "right_class", "right_head", "right_gap", "both", "shape_gap")
"""Features of what stands around it."""
TEMPLATES: Final = INNER + OUTER

Key = int | str
Features = tuple[Key, ...]
Form = tuple[str, int, tuple[int, str]]
"""A name, its shape, and the class of what follows it with its demand on the final consonant."""
Side = tuple[int, str, str]
"""Class of the neighbouring word, the word, the outline of the gap between."""


class Runs:
    """A text cut into its runs of Hangul: `gaps[i]` stands before `words[i]`, and one behind the last."""

    __slots__ = ("_starts", "gaps", "words")

    def __init__(self, words: list[str], gaps: list[str]) -> None:
        self.words = words
        self.gaps = gaps
        self._starts: list[int] = []

    def start_of(self, index: int) -> int:
        """Where `words[index]` begins in the text; worked out for all of them at the first question."""
        if not self._starts:
            at = 0
            for gap, word in zip(self.gaps, self.words, strict=False):
                at += len(gap)
                self._starts.append(at)
                at += len(word)
        return self._starts[index]


class Candidate(NamedTuple):
    """`[start, end)` in the text; it begins with run `first` and ends in run `last`."""

    start: int
    end: int
    first: int
    last: int
    name: str
    word: str
    """the run in which it ends, whole"""
    shape: int
    suffix: tuple[int, str]


SURNAME_ALONE: Final = 0
TWO: Final = 1
THREE: Final = 2
THREE_OTHER: Final = 3
COMPOUND: Final = 4
LONG: Final = 5
MANY: Final = 6
SPACED: Final = 7
"""Shapes: what kind of candidate it is."""

NO_SOUND: Final = -100
NOT_GIVEN: Final = 90
SOUNDED: Final = frozenset((TWO, THREE_OTHER, LONG, MANY))
LISTED: Final = frozenset((TWO, THREE_OTHER, LONG))

HONORIFIC_SUFFIX: Final = korean.HONORIFIC_CLASS
SURNAME_CLASS: Final = korean.SURNAME_CLASS
LONG_TITLES: Final = frozenset(title for title in korean.TITLES if len(title) == 3)
UNKNOWN_SUFFIX: Final = 30, "-"
NOT_A_NAME: Final = korean.NOT_A_NAME
NOUN_ENDINGS: Final = frozenset(
    "명관서자실과장비률별식중상하용형직팀반국부원소권물기증표안문금일시청단회성화적력량제법도한된할함며나면론인"
)
"""Syllables that make another noun or a verb form of a noun: 사업명, 변동비, 반영한."""


def cut(text: str) -> Runs:
    parts = RUN.split(text)
    return Runs(parts[1::2], parts[0::2])


def may_hold_name(word: str) -> bool:
    """Cheap and generous: whether a run can begin a name at all, whatever stands around it."""
    return not is_dull(word, 0, len(word)) and may_hold_if_not_dull(word)


def may_hold_if_not_dull(word: str) -> bool:
    """The same of a word that is known not to be dull."""
    length = len(word)
    if length < 3:
        known = is_surname_at(word, 0) or code_at(word, 0, length) != 0
        return known or given_at(word, 0, length) >= 0
    return _looks_like_one(word, length) or (is_surname_at(word, 0) and _is_listed(word, length))


def _is_listed(word: str, length: i64) -> bool:
    """성동일은: a listed person, although its beginning is a word and its end an ending."""
    code = code_at(word, 0, length)
    return code % 10 > 0 if code else code_at(word, 0, 3) % 10 > 0 and is_suffix(word, 3)


def _looks_like_one(word: str, length: i64) -> bool:
    """The same for three syllables and more, as far as words and endings say."""
    dull_head = is_dull(word, 0, 2)
    if _is_verb_form(word, length, dull_head=dull_head):
        return False
    if is_usual_given(word, 1, 3) and is_surname_at(word, 0) and is_suffix(word, 3):
        return length == 3 or not dull_head or not is_verbal_tail(word, 2)  # 조정하는
    if dull_head and (is_inflection(word, 2) or is_dull(word, 2, min(4, length))):
        return False
    if kinds_at(word, length - 1) & ENDS_A_NOUN and is_dull(word, 0, length - 1):
        return False
    inflected = is_inflection(word, length - 2) and is_dull(word, 0, length - 2)
    return not inflected and not is_verbal_ending(word, length - 3)


def _is_verb_form(word: str, length: i64, *, dull_head: bool) -> bool:
    """소지하고, 예정임, 반영한: a noun and the ending that makes a verb of it."""
    if word[2] == "하" and is_verbal_tail(word, 2):
        return code_at(word, 0, 2) >= 1000
    return length == 3 and dull_head and word[2] in "임한함됨인" and 1 <= code_at(word, 0, 2) // 1000 <= 2


def is_part_of_a_number(runs: Runs, index: int) -> bool:
    """3층, 15일까지, 테헤란로 427: what stands beside digits or Latin letters without a space."""
    word, before = runs.words[index], runs.gaps[index]
    if before != " ":
        last = before[-1:]
        if last.isalnum() and last.isascii() and not is_usual_given(word, 1, min(3, len(word))):
            return True
    return word[-1] in "로길동" and runs.gaps[index + 1][:2].strip(" ").isdigit()


CORPORATE_SIGNS: Final = frozenset("㈜㈲㈔㈶")
CORPORATE_FORMS: Final = frozenset("주유사재합")
COMPANY_WORDS: Final = frozenset(
    "주식회사 유한회사 합자회사 합명회사 재단법인 사단법인 의료법인 학교법인 농업회사법인".split()
)


def is_company(runs: Runs, index: int) -> bool:
    """(주)한빛, 한빛(주), ㈜ 한빛, 주식회사 한빛."""
    before, behind = runs.gaps[index], runs.gaps[index + 1]
    if before == " " and behind == " ":
        before = behind = ""  # as almost always
    else:
        before, behind = before.rstrip(" "), behind.lstrip(" ")
    if before[-1:] in CORPORATE_SIGNS or behind[:1] in CORPORATE_SIGNS:
        return True
    if index and not before and runs.words[index - 1] in COMPANY_WORDS:
        return True
    if before == ")" and index and runs.words[index - 1] in CORPORATE_FORMS:
        return runs.gaps[index - 1].rstrip(" ").endswith("(")
    if behind == "(" and index + 1 < len(runs.words) and runs.words[index + 1] in CORPORATE_FORMS:
        return runs.gaps[index + 2].lstrip(" ").startswith(")")
    return False


def candidates_at(runs: Runs, index: int) -> list[Candidate]:
    """Every candidate that begins with run `index`."""
    word = runs.words[index]
    if not may_hold_name(word) or is_part_of_a_number(runs, index) or is_company(runs, index):
        return []
    start = runs.start_of(index)
    forms = forms_of(word)
    alone = surname_alone(word)
    if alone and title_follows(runs, index, alone[2][0]):
        forms.append(alone)
    found = [
        Candidate(start, start + len(name), index, index, name, word[:MAX_RUN], shape, suffix)
        for name, shape, suffix in forms
    ]
    if runs.gaps[index + 1] in JOINTS and starts_several(word):
        found += over_several_runs(runs, index)
    return found


def forms_of(word: str) -> list[Form]:
    """The names that a run may begin with, each with its shape and what follows it."""
    if len(word) > MAX_RUN:
        word = word[:MAX_RUN]
    foreign = starts_foreign(word) or odds_foreign(word, 0, 1) > 1
    longest = MAX_NAME if foreign or starts_with_compound(word) else 3
    forms: list[Form] = []
    for length in range(2, min(len(word), longest) + 1):
        suffix = suffix_at(word, length)
        if suffix is None:
            if length < 3 or not _is_surely_a_name(word[:length], word):
                continue
            suffix = UNKNOWN_SUFFIX
        name = word[:length]
        shape = _shape(name, word)
        if shape is None or name in NOT_A_NAME:
            continue
        if suffix[0] != SURNAME_CLASS:
            forms.append((name, shape, suffix))
    return forms


def surname_alone(word: str) -> Form | None:
    """김씨, 박과장, 이 의원: the form in which a run begins with a surname and no given name."""
    if not is_surname_at(word, 0):
        return None
    suffix = suffix_at(word, 1)
    if suffix is None or 0 < suffix[0] < HONORIFIC_SUFFIX:
        return None
    return word[0], SURNAME_ALONE, suffix


def _is_surely_a_name(name: str, word: str) -> bool:
    """A listed name before letters that are no particle (유해진진짜), unless a word begins inside it."""
    length = len(name)
    code = code_at(name, 0, length)
    if code >= 1000 or code // 10 % 10 or (length == 3 and not is_usual_given(name, 1, 3)):
        return False
    if code_at(word, length - 1, min(length + 1, len(word))) >= 1000 or code_at(name, 0, 2) >= 1000:
        return False
    return is_known_person(name)


def _shape(name: str, word: str) -> int | None:
    """The kind of name that this may be, or None if nothing speaks for it."""
    length = len(name)
    if length == 2:
        known = is_surname_at(name, 0) or given_at(name, 0, 2) >= 0 or code_at(name, 0, 2) % 1000 >= 100
        return TWO if known or is_known_person(name) else None
    if length <= LONGEST_COMPOUND and starts_with_compound(name):
        return COMPOUND
    if length == 3 and is_surname_at(name, 0):
        return THREE
    if _looks_foreign(name, word):
        return THREE_OTHER if length == 3 else LONG
    return None


def _looks_foreign(name: str, word: str) -> bool:
    code = code_at(name, 0, len(name))
    if code >= 1000:
        return code % 1000 >= 100
    if code % 1000 >= 100:
        return True
    if code_at(word, 0, len(word)) >= 1000 or name[-1] in "다요며서지고게는은을던한된할될함됨음기여해":
        return is_known_person(name)
    return odds_foreign(name, 0, len(name)) >= 0 or is_known_person(name)


def title_follows(runs: Runs, index: int, suffix_class: int) -> bool:
    """A surname alone counts only before a title or an honorific, as in 안 전 후보."""
    word = runs.words[index]
    if suffix_class >= HONORIFIC_SUFFIX:
        plain = word[1] == "씨" or word[1:] == "모" or word[1:4] in LONG_TITLES
        return plain or not _begins_with_a_word(word)
    if index + 1 >= len(runs.words) or len(runs.gaps[index + 1]) != 1:
        return False
    if runs.words[index + 1] == "전" and index + 2 < len(runs.words):
        former = runs.words[index + 2]
        return class_of_start(former) in (TITLE, LABEL_AND_TITLE) or _class_of_end(former) == TITLE
    return class_of_start(runs.words[index + 1]) in (TITLE, HONORIFIC, LABEL_AND_TITLE)


def _begins_with_a_word(word: str) -> bool:
    """함양 is no Mr Ham, 유형과 no Mr Yu: the syllable and the title make another word."""
    for length in (2, 3):
        code = code_at(word, 0, min(length, len(word)))
        if code >= 1000 or code // 10 % 10:
            return True
    return False


def class_of_start(word: str) -> i64:
    """The class of the title, label or honorific that a word begins with (`팀장은` is a title), else 0."""
    for length in range(min(len(word), 5), 0, -1):
        found = CLASSES.at(word, 0, length)
        if found and (length > 1 or is_suffix(word, 1)):
            return found
    return 0


def starts_several(word: str) -> bool:
    """Whether a name of several runs may begin with this one: a surname alone, or a foreign given name."""
    if len(word) > 6:
        return False
    return _is_surname(word) or (_foreign_part(word) and not _hides_particle(word))


def _is_surname(word: str) -> bool:
    return is_surname_at(word, 0) if len(word) == 1 else word in COMPOUND_SURNAMES


def over_several_runs(runs: Runs, index: int) -> list[Candidate]:
    """톰 행크스, 이브 생 로랑, 홍 길동: two to four runs with one space or hyphen between."""
    word = joined = runs.words[index]
    spaced = _is_surname(word)
    foreign = _foreign_part(word)
    found: list[Candidate] = []
    if index + 1 == len(runs.words) or not (foreign or _starts_with_given(runs.words[index + 1])):
        return found
    for last in range(index + 1, min(index + 4, len(runs.words))):
        if runs.gaps[last] not in JOINTS:
            break
        word = runs.words[last]
        for length in range(min(len(word), 7), 0, -1):
            suffix = suffix_at(word, length)
            if suffix is None:
                continue
            part = word[:length]
            if spaced and last == index + 1 and length == 2 and _is_free_given(part):
                shape = SPACED
            elif (
                foreign and _foreign_part(part) and (length > 1 or part == word) and not _hides_particle(part)
            ):
                shape = MANY
            else:
                continue
            end = runs.start_of(last) + length
            found.append(
                Candidate(runs.start_of(index), end, index, last, joined + part, word, shape, suffix)
            )
        if not foreign or not _foreign_part(word) or _hides_particle(word):
            break
        joined += word
    return found


def _starts_with_given(word: str) -> bool:
    return given_at(word, 0, min(2, len(word))) >= 0


def _is_free_given(part: str) -> bool:
    """A given name that is no word as well."""
    return given_at(part, 0, 2) >= 0 and not is_dull(part, 0, 2)


def _hides_particle(word: str) -> bool:
    """마이크가 조단에게: an unknown word that is a known one with a particle ends a name."""
    length: i64 = len(word)
    if length < 3 or code_at(word, 0, length):
        return False
    return _ends_in_particle(word, length - 1) or _ends_in_particle(word, length - 2)


def _ends_in_particle(word: str, at: i64) -> bool:
    return is_suffix(word, at) and code_at(word, 0, at) > 0


def _foreign_part(word: str, *, first: bool = True) -> bool:
    code = code_at(word, 0, len(word))
    if first and code // 10 % 10 and code % 1000 < 300:
        return False  # a place before all, such as 프랑스; 휘트니 휴스턴 may end with one
    if code % 1000 >= 100:
        return True
    return code < 1000 and len(word) > 1 and odds_foreign(word, 0, len(word)) >= 1


# Features --------------------------------------------------------------------------------------


def inner(candidate: Candidate, runs: Runs) -> Features:
    """The features of the candidate itself, in the order of `INNER`."""
    name, word, shape = candidate.name, candidate.word, candidate.shape
    if shape < MANY:
        return of_one_run(name, word, shape, candidate.suffix)
    first_word = runs.words[candidate.first]
    first = code_at(first_word, 0, len(first_word))
    last = code_at(word, 0, candidate.end - runs.start_of(candidate.last))
    common, token = (first // 1000) * 5 + last // 1000, (first // 100 % 10) * 4 + last // 100 % 10
    known = int(is_known_person(name))
    code = code_at(name, 0, len(name))
    return _features(name, word, shape, candidate.suffix, code, common, token, known)


def of_one_run(name: str, word: str, shape: int, suffix: tuple[int, str]) -> Features:
    code = code_at(name, 0, len(name))
    known = int(is_known_person(name)) if code < 1000 or code % 10 else 2
    return _features(name, word, shape, suffix, code, code // 1000, code // 10 % 100, known)


def _features(  # noqa: PLR0913, PLR0917 - the classes differ between one run and several; nobody else calls it
    name: str, word: str, shape: int, suffix: tuple[int, str], code: int, common: int, token: int, known: int,
) -> Features:  # fmt: skip
    suffix_class, demand = suffix
    kind = shape * 10 + min(len(name), MAX_NAME)
    whole = code_at(word, 0, len(word)) if suffix_class else 0
    bare = not suffix_class
    return (
        kind,
        kind * 10_000 + code,
        shape * 100 + common,
        shape * 100 + token,
        shape * 10 + known,
        given_key(name, shape),
        shape * 100 + whole // 1000 * 10 + whole // 100 % 10,
        kind * 100 + suffix_class,
        _agreement(name, demand),
        name[-1] if bare else "",
        name[-2:] if bare else "",
        name[0] if shape < THREE_OTHER else "",
        shape * 100 + foreign_score(name) if shape >= THREE_OTHER or shape == TWO else 0,
        code_at(name, 0, 2) // 1000 * 10 + (name[2] in NOUN_ENDINGS) if shape == THREE else -1,
        sound_key(name, shape),
        listed_key(name, shape),
    )


def foreign_score(name: str) -> i64:
    """How foreign its syllables are together, cut to [-9, 20]."""
    return max(-9, min(20, odds_foreign(name, 0, len(name))))


def sound_key(name: str, shape: int) -> int:
    """Whether it sounds like part of a foreign name; of Korean names `given_key` knows more."""
    return shape * 100 + sound(name) if shape in SOUNDED else NO_SOUND


def listed_key(name: str, shape: int) -> int:
    """Whether it names things that are no people (나폴리, 라이온스)."""
    return shape * 10 + is_other(name) if shape in LISTED else -1


def given_key(name: str, shape: int) -> i64:
    """How much the given name looks like one."""
    if shape == TWO:
        as_given = given_at(name, 0, 2)
        if as_given < 0:
            as_given = NOT_GIVEN
        return (
            10_000 + as_given * 10 + odds_single(name, 1) + 5 if is_surname_at(name, 0) else 20_000 + as_given
        )
    length: i64 = len(name)
    if shape == COMPOUND and length == 3:
        return 50_000 + odds_single(name, 2)
    if shape in (THREE, COMPOUND, SPACED):
        known = given_at(name, length - 2, length)
        if known >= 0:
            return 30_000 + known
        return 40_000 + odds_first(name, length - 2) + odds_second(name, length - 1)
    return 0


def _agreement(name: str, demand: str) -> int:
    """0 no demand, 1 the particle fits the final consonant, 2 it does not."""
    if demand == "-":
        return 0
    has_final = (ord(name[-1]) - 0xAC00) % 28 != 0
    return 1 if has_final == (demand == "C") else 2


def outer(candidate: Candidate, runs: Runs) -> Features:
    """The features of its surroundings, in the order of `OUTER`."""
    return around(runs, candidate.first, candidate.last, candidate.shape, candidate.suffix[0])


def around(runs: Runs, first: int, last: int, shape: int, suffix_class: int) -> Features:
    left_class, left_gap = left_of(runs, first)
    right_class, right_head, right_gap = right_of(runs, last)
    bare = not suffix_class
    return (
        left_class + 10 * shape,
        left_gap,
        right_class + 10 * shape + 1000 * bare if suffix_class < 50 else -1,
        right_head,
        right_gap if bare else "~" + right_gap[:1],
        left_class * 1000 + right_class * 100 + min(suffix_class, 20),
        f"{shape}{right_gap[:1] if bare else '~'}",
    )


def left_of(runs: Runs, index: int) -> tuple[int, str]:
    """The class of the word before run `index`, and the outline of the gap."""
    gap = runs.gaps[index]
    if index == 0 or len(gap) > MAX_GAP:
        return 0, _outlines(gap[-2:])
    word = runs.words[index - 1]
    return CLASSES_ON_THE_LEFT.at(word, 0, len(word)) or _class_of_end(word), _outlines(gap[:3])


def _class_of_end(word: str) -> i64:
    whole: i64 = len(word)
    kinds = kinds_at(word, whole - 1)
    if whole > 2 and kinds & ORGANISATION_END:
        return 6
    for length in (4, 3, 2):
        if whole > length:
            found = CLASSES.at(word, whole - length, whole)
            if found:
                return found
    return 7 if kinds & PARTICLE else 0


def right_of(runs: Runs, index: int) -> Side:
    gap = runs.gaps[index + 1]
    if index + 1 == len(runs.words) or len(gap) > MAX_GAP:
        return 0, "", _outlines(gap[:3])
    word = runs.words[index + 1]
    return class_of_start(word), word[:2], _outlines(gap[:3])


OUTLINES: Final = str.maketrans(
    dict.fromkeys(map(chr, range(0x30, 0x3A)), "0")
    | {chr(code): "A" for letter in "Aa" for code in range(ord(letter), ord(letter) + 26)}
)


def _outlines(gap: str) -> str:
    """A gap's outline: digits are 0, Latin letters A, Hanja 漢."""
    if gap == " " or not gap:
        return gap
    outline = gap.translate(OUTLINES)
    return (
        outline if outline.isascii() else "".join("漢" if "\u4e00" <= c <= "\u9fff" else c for c in outline)
    )
