"""How much a word sounds like part of a person's name, and whether a dictionary knows it as something else.

Both answer what the word lists cannot: foreign names are too many to list (몰렌코프, 이글레시아스), and what
looks like one is often a country, a club or a brand. Written by filters/scripts/build_lexicon.py; pairs of
syllables and fingerprints only, so that 200,000 words cost 300 KB.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from typing import Final
from zlib import crc32

from filters.lexicon import LEXICON_DIR

CELLS: Final = 1 << 15
"""Pairs of syllables share so many cells; the log odds were counted in the same cells."""
TENTHS: Final = 10
"""The file holds tenths."""
SOFTEST: Final = -8
LOUDEST: Final = 12


def sound(name: str) -> int:
    """Log odds, rounded and cut to [-8, 12], that syllables follow each other so in a person's name."""
    before = EDGE
    total = 0
    for syllable in name:
        code = ord(syllable)
        total += _PAIRS[cell(before, code)] - _ZERO
        before = code
    total += _PAIRS[cell(before, EDGE)] - _ZERO
    return max(SOFTEST, min(LOUDEST, (total + TENTHS // 2) // TENTHS))


def cell(first: int, second: int) -> int:
    """The cell of two syllables side by side; `EDGE` stands before the first and behind the last."""
    return (first * 131 + second * 7919) & CELLS - 1


EDGE: Final = 94


def is_other(name: str) -> int:
    """How many names of things that are no people hold the word: 0 none, 1 one, 2 up to seven, 3 more."""
    value = crc32(name.encode()) & ~3
    shelf = value >> _SHELF_BITS
    at = bisect_left(_OTHERS, value, _SHELVES[shelf], _SHELVES[shelf + 1])
    return _OTHERS[at] & 3 if at < len(_OTHERS) and _OTHERS[at] & ~3 == value else 0


def _others() -> array[int]:
    values = array("I", (LEXICON_DIR / "others.crc").read_bytes())
    if sys.byteorder == "big":
        values.byteswap()
    return values


_ZERO: Final = 128
_PAIRS: Final = bytes(value + _ZERO for value in array("b", (LEXICON_DIR / "sounds.bin").read_bytes()))
_OTHERS: Final = _others()
_SHELF_BITS: Final = 20
"""As in persons.py; a shelf holds about 14."""
_SHELVES: Final = array(
    "I", (bisect_left(_OTHERS, shelf << _SHELF_BITS) for shelf in range((1 << 32 - _SHELF_BITS) + 1))
)
