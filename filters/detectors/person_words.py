"""What the lexicon says of a word, or of a piece of one, asked without cutting the piece off.

Names of people are found by many such questions (person_features.py). Pure; the lexicon is read once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from filters import lexicon
from filters.lexicon import korean
from filters.lexicon.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_extensions import i64

FIRST_SYLLABLE: Final = 0xAC00
SYLLABLES: Final = 11_172
"""가 … 힣."""

TITLE: Final = 2
RELATION: Final = 3
HONORIFIC: Final = 4
LABEL_AND_TITLE: Final = 5
_CLASS_OF: Final[dict[str, int]] = (
    dict.fromkeys(korean.TITLES, TITLE)
    | dict.fromkeys(korean.LABELS, 1)
    | dict.fromkeys(korean.RELATIONS, RELATION)
    | dict.fromkeys(korean.HONORIFICS, HONORIFIC)
    | {word: LABEL_AND_TITLE for word in korean.TITLES if word in korean.LABELS}
)
_CLASS_OF_LEFT: Final = _CLASS_OF | {
    label + particle: 1 for label in korean.LABELS for particle in ("은", "는", "이", "가", "인", "의")
}
CLASSES: Final = Table(_CLASS_OF.items(), len(_CLASS_OF))
"""Classes of titles, labels, relations and honorifics."""
CLASSES_ON_THE_LEFT: Final = Table(_CLASS_OF_LEFT.items(), len(_CLASS_OF_LEFT))


# --- syllables ---------------------------------------------------------------------------------------


def _of_syllables(values: dict[str, int], otherwise: int) -> bytes:
    """One byte per syllable, in order."""
    table = bytearray([otherwise] * SYLLABLES)
    for syllable, value in values.items():
        table[ord(syllable) - FIRST_SYLLABLE] = value
    return bytes(table)


ZERO: Final = 16
"""Log odds of syllables are kept as bytes, so many higher."""


def _log_odds(position: int, otherwise: int) -> bytes:
    odds = lexicon.syllables(position)
    return _of_syllables({syllable: ZERO + value for syllable, value in odds.items()}, ZERO + otherwise)


SURNAMES: Final = lexicon.SURNAMES
COMPOUND_SURNAMES: Final = lexicon.COMPOUND_SURNAMES
SURNAME: Final = 1
ORGANISATION_END: Final = 2
PARTICLE: Final = 4
ENDS_A_NOUN: Final = 8
"""Kinds of syllables: bits that `kinds_at` answers."""
_KINDS_OF: Final = {
    SURNAME: "".join(SURNAMES),
    ORGANISATION_END: "".join(word for word in korean.ORGANISATION_ENDINGS if len(word) == 1),
    PARTICLE: "은는이가의을를",
    ENDS_A_NOUN: "은는이가을를의에도만로와과",
}
_KINDS: Final = _of_syllables(
    {
        syllable: sum(kind for kind, members in _KINDS_OF.items() if syllable in members)
        for syllable in set().union(*_KINDS_OF.values())
    },
    0,
)
_FIRST: Final = _log_odds(0, -4)
_SECOND: Final = _log_odds(1, -4)
_SINGLE: Final = _log_odds(2, -4)
_FOREIGN: Final = _log_odds(3, 0)


def kinds_at(word: str, at: i64) -> i64:
    """What kinds of syllable stands there; 0 for other characters."""
    code: i64 = ord(word[at]) - FIRST_SYLLABLE
    return _KINDS[code] if 0 <= code < SYLLABLES else 0


def is_surname_at(word: str, at: i64) -> bool:
    """Whether the syllable there is a surname."""
    code: i64 = ord(word[at]) - FIRST_SYLLABLE
    return 0 <= code < SYLLABLES and _KINDS[code] & SURNAME != 0


def odds_first(word: str, at: i64) -> i64:
    """Log odds that the syllable begins a given name of two; -4 where nobody bears such a name."""
    return _FIRST[ord(word[at]) - FIRST_SYLLABLE] - ZERO


def odds_second(word: str, at: i64) -> i64:
    """The same that it ends one."""
    return _SECOND[ord(word[at]) - FIRST_SYLLABLE] - ZERO


def odds_single(word: str, at: i64) -> i64:
    """The same that it is one."""
    return _SINGLE[ord(word[at]) - FIRST_SYLLABLE] - ZERO


def odds_foreign(word: str, start: i64, end: i64) -> i64:
    """Sum of the syllables' log odds of standing in a foreign person's name."""
    total: i64 = 0
    at: i64 = start
    while at < end:
        total += _FOREIGN[ord(word[at]) - FIRST_SYLLABLE] - ZERO
        at += 1
    return total


# --- given names -------------------------------------------------------------------------------------

_GIVEN: Final = Table(((name, code + 1) for name, code in lexicon.given()), 15_000)
_USUAL: Final = 41


def given_at(word: str, start: i64, end: i64) -> i64:
    """The class of a given name of two syllables (`lexicon.given`), -1 if it is none."""
    return _GIVEN.at(word, start, end) - 1


def is_usual_given(word: str, start: i64, end: i64) -> bool:
    """Whether many people are called so."""
    return _GIVEN.at(word, start, end) >= _USUAL


# --- what follows a name or makes a verb of a noun ---------------------------------------------------

_INFLECTION: Final = 128
_VERBAL_ENDING: Final = 64
_VERBAL_TAIL: Final = 32
_SUFFIX: Final = 31
_SUFFIXES: Final = sorted({suffix for _, suffix in korean.suffixes()})
_NUMBER_OF: Final = {suffix: number for number, suffix in enumerate(_SUFFIXES, start=1)}
_PARTICLES: Final = frozenset(
    form for form, (number, _) in korean.suffixes() if 0 < number < korean.HONORIFIC_CLASS
)
_VERBAL_TAILS: Final = frozenset(korean.VERBAL_TAILS)
_INFLECTIONS: Final = _PARTICLES | _VERBAL_TAILS


def _endings() -> Iterator[tuple[str, int]]:
    for form, suffix in korean.suffixes():
        yield form, _NUMBER_OF[suffix] | _marks_of(form)
    for form in _INFLECTIONS | korean.VERBAL_ENDINGS:
        yield form, _marks_of(form)


def _marks_of(form: str) -> int:
    return (
        _INFLECTION * (form in _INFLECTIONS)
        + _VERBAL_ENDING * (form in korean.VERBAL_ENDINGS)
        + _VERBAL_TAIL * (form in _VERBAL_TAILS)
    )


_ENDINGS: Final = Table(_endings(), 16_700)


def suffix_at(word: str, start: i64) -> tuple[int, str] | None:
    """Class and demand of `word[start:]` as what follows a name; None if nothing known does."""
    number = _ENDINGS.at(word, start, len(word)) & _SUFFIX
    return _SUFFIXES[number - 1] if number else None


def is_suffix(word: str, start: i64) -> bool:
    """Whether `word[start:]` may follow a name; nothing may."""
    return _ENDINGS.at(word, start, len(word)) & _SUFFIX != 0


def is_inflection(word: str, start: i64) -> bool:
    """Whether `word[start:]` is a particle or makes a verb of a noun."""
    return _ENDINGS.at(word, start, len(word)) >= _INFLECTION


def is_verbal_tail(word: str, start: i64) -> bool:
    """Whether `word[start:]` makes a verb or another noun of a noun."""
    return _ENDINGS.at(word, start, len(word)) & _VERBAL_TAIL != 0


def is_verbal_ending(word: str, start: i64) -> bool:
    """Whether `word[start:]` ends a verb and no name."""
    return _ENDINGS.at(word, start, len(word)) & _VERBAL_ENDING != 0


# --- words -------------------------------------------------------------------------------------------

_DULL: Final = 128
_WORD: Final = 127


def _names_nobody(word: str, code: int) -> bool:
    """A usual word or a place, as far as the lexicon knows, and not shaped like a usual full name."""
    common, foreign, thing, known = code // 1000, code // 100 % 10, code // 10 % 10, code % 10
    if thing and not known and word[-1] in "시군구읍면":
        return True
    named = len(word) == 3 and is_surname_at(word, 0)
    if known or (named and is_usual_given(word, 1, 3)):
        return False
    if thing and not common and named:
        return odds_first(word, 1) + odds_second(word, 2) < 0
    return common == 1 or (common == 2 and foreign < 2) or (not foreign and (common == 3 or thing == 1))


_NEVER_A_NAME: Final = korean.NOT_A_NAME.union(
    korean.PLACES,
    (title for title in _CLASS_OF if len(title) > 2),
    (title + "님" for title in _CLASS_OF),
    (particle for particle in _PARTICLES if len(particle) > 1),
)


def _said_of_words() -> Iterator[tuple[str, int]]:
    """The four digits of a word's class in seven bits, and whether it is dull."""
    for word, code in lexicon.words():
        packed = code // 1000 << 4 | code // 100 % 10 << 2 | code // 10 % 10 << 1 | code % 10
        dull = word in _NEVER_A_NAME or _names_nobody(word, code)
        yield word, packed | _DULL * dull
    for word in _NEVER_A_NAME:
        yield word, _DULL


_WORDS: Final = Table(_said_of_words(), 127_000)


def code_at(word: str, start: i64, end: i64) -> i64:
    """The class of `word[start:end]` (`lexicon.words`), 0 if the lexicon does not know it."""
    packed = _WORDS.at(word, start, end) & _WORD
    if not packed:
        return 0
    return (packed >> 4) * 1000 + (packed >> 2 & 3) * 100 + (packed >> 1 & 1) * 10 + (packed & 1)


def known_syllables() -> list[str]:
    """The words of one syllable."""
    every = map(chr, range(FIRST_SYLLABLE, FIRST_SYLLABLE + SYLLABLES))
    return [syllable for syllable in every if code_at(syllable, 0, 1)]


def is_dull(word: str, start: i64, end: i64) -> bool:
    """Whether `word[start:end]` is a word that is not looked at, nor are its inflected forms."""
    return _WORDS.at(word, start, end) >= _DULL


# --- how a name may begin ----------------------------------------------------------------------------

_FOREIGN_START: Final = 1
_COMPOUND_SURNAME: Final = 2


def _starts() -> Iterator[tuple[str, int]]:
    for word, _ in lexicon.words(foreign_only=True):
        start = word[:2]
        yield start, _FOREIGN_START | _COMPOUND_SURNAME * (start in COMPOUND_SURNAMES)
    for surname in COMPOUND_SURNAMES:
        yield surname, _COMPOUND_SURNAME


_STARTS: Final = Table(_starts(), 15_700)


def starts_foreign(word: str) -> bool:
    """Whether some foreign name begins with the same two syllables."""
    return _STARTS.at(word, 0, min(2, len(word))) & _FOREIGN_START != 0


def starts_with_compound(word: str) -> bool:
    """Whether it begins with a surname of two syllables."""
    return _STARTS.at(word, 0, min(2, len(word))) & _COMPOUND_SURNAME != 0
