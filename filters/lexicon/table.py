"""A table of words that holds no word: fingerprints of 48 bits, each with a small value, in two byte strings.

Dictionaries of the lexicon's words took most of the filter's own memory, and cutting pieces off words to ask
about them most of its time. Compiled, `Table.at` reads the fingerprint off the word where it stands. As
written, arithmetic is slower than a dictionary: then the table is one.
Fingerprints of up to three syllables are exact; of longer words one in 10^9 is taken for another, and the
same one in every process.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_extensions import i64

ENTRY: Final = 7
"""Bytes: six of the fingerprint, one of the value."""


def fingerprint(word: str, start: i64, end: i64) -> i64:
    """48 bits of `word[start:end]`; one to one for up to three Hangul syllables."""
    code: i64 = 0
    at: i64 = start
    while at < end:
        code = (code * 32749 + ord(word[at])) & 0xFFFF_FFFF_FFFF
        at += 1
    return code


def _spread(code: i64) -> i64:
    """Neighbouring fingerprints fall far apart (Knuth's multiplicative hashing); below 2^63."""
    return ((code ^ (code >> 17)) & 0x7FFF_FFFF) * 0x9E37_79B1 >> 5


IS_COMPILED: Final = not isinstance(fingerprint, FunctionType)


class Table:
    """What is said of each word: a number from 1 to 255. 0 means that the word is not there."""

    __slots__ = ("_dictionary", "_entries", "_marks", "_mask")

    def __init__(
        self, said: Iterable[tuple[str, int]], count: int, *, fingerprints: bool = IS_COMPILED
    ) -> None:
        """Of about `count` words; what is said first of a word holds. Raises `ValueError` for many more."""
        self._dictionary: dict[str, int] | None = None
        self._marks = self._entries = b""
        self._mask: i64 = (1 << (count + count // 2 + 3).bit_length()) - 1
        if fingerprints:
            self._marks, self._entries = self._filled(said)
        else:
            self._dictionary = {}
            for word, value in said:
                self._dictionary.setdefault(word, value)

    def at(self, word: str, start: i64, end: i64) -> i64:
        """What is said of `word[start:end]`."""
        if self._dictionary is not None:
            return self._dictionary.get(word[start:end], 0)
        code = fingerprint(word, start, end)
        place = _spread(code)
        mark = place >> 20 & 255 | 1
        marks = self._marks
        place &= self._mask
        while True:
            seen: i64 = marks[place]
            if seen == 0:
                return 0
            if seen == mark and self._is(code, place):
                return self._entries[place * ENTRY + 6]
            place = (place + 1) & self._mask

    def _is(self, code: i64, place: i64) -> bool:
        entries = self._entries
        at: i64 = place * ENTRY
        last: i64 = at + 6
        while at < last:
            if entries[at] != code & 255:
                return False
            code >>= 8
            at += 1
        return True

    def _filled(self, said: Iterable[tuple[str, int]]) -> tuple[bytes, bytes]:
        marks, entries = bytearray(self._mask + 1), bytearray(ENTRY * (self._mask + 1))
        free = (self._mask + 1) * 3 // 4
        for word, value in said:
            code = fingerprint(word, 0, len(word))
            place = _spread(code)
            mark = place >> 20 & 255 | 1
            place &= self._mask
            number: int = code
            while marks[place] and entries[ENTRY * place : ENTRY * place + 6] != number.to_bytes(6, "little"):
                place = (place + 1) & self._mask
            if not marks[place]:
                free -= 1
                if not free:
                    raise ValueError("a table of fingerprints must keep a quarter of its places free")
                marks[place] = mark
                entries[ENTRY * place : ENTRY * (place + 1)] = (number | value << 48).to_bytes(
                    ENTRY, "little"
                )
        return bytes(marks), bytes(entries)
