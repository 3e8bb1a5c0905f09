"""Rows of digits in a text, cut into candidates for identity numbers. Says where, not what.

A *run* is a row of digit groups with at most four other characters (no letter, no Hangul) between
two groups. Its *windows* are the stretches of neighbouring groups that may be one number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from filters.detectors.labels import Label, label_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUN: Final = re.compile(r"(?<![0-9])[0-9]++(?:[^0-9A-Za-z가-힣]{1,4}+[0-9]++)*+")
_GROUP: Final = re.compile(r"[0-9]++")
_MIN_DIGITS, _MAX_DIGITS = 8, 19
_MAX_GROUPS: Final = 19
_TIES: Final = frozenset({"-", ".", "_", "·", "/"})
"""A bare one of these joins two groups so closely that no number ends there."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A stretch of digit groups. `separators[i]` stands between group i and group i + 1."""

    text: str
    start: int
    end: int
    digits: str
    lengths: tuple[int, ...]
    separators: tuple[str, ...]
    isolated: bool
    """Nothing ties it to digits or letters outside."""

    @cached_property
    def label(self) -> Label:
        return label_of(self.text, self.start, self.end)

    @property
    def kind(self) -> str:
        return self.label.kind

    def is_called(self, *kinds: str) -> bool:
        """Whether its own label is one of `kinds`."""
        return self.label.direct and self.label.kind in kinds

    @cached_property
    def bare(self) -> bool:
        return len(self.lengths) == 1

    @cached_property
    def blank(self) -> bool:
        """Some groups are held together by white space only, as in a table."""
        return any(separator.isspace() for separator in self.separators)

    @cached_property
    def tight(self) -> bool:
        """Groups are held together by one and the same mark, as a person writes a number."""
        marks = {separator.strip() for separator in self.separators}
        return len(marks) == 1 and "" not in marks and "," not in marks and "|" not in marks

    @cached_property
    def spread(self) -> bool:
        """Written digit by digit or in pairs: nobody writes amounts or dates so."""
        return len(self.lengths) >= 6 and max(self.lengths) <= 2

    @cached_property
    def money(self) -> bool:
        """Groups of three behind commas, or a currency or unit right behind."""
        return self._thousands or _UNIT.match(self.text, self.end) is not None

    @property
    def _thousands(self) -> bool:
        return (
            len(self.lengths) > 2
            and {separator.strip() for separator in self.separators} == {","}
            and set(self.lengths[1:]) == {3}
        )


_UNIT: Final = re.compile(r"\s?(?:천|백|십)?(?:원|만\s?원|억|조|달러|USD|KRW|명|건|개|㎡|톤|매|권|부\b|%|km|kg|천원)")


def candidates(text: str) -> Iterator[Candidate]:
    """Every stretch of digit groups that may be one number, longest first at each place."""
    for match in _RUN.finditer(text):
        start, end = match.span()
        if end - start >= _MIN_DIGITS:
            yield from _windows(text, start, end)


def _windows(text: str, start: int, end: int) -> Iterator[Candidate]:
    groups = [group.span() for group in _GROUP.finditer(text, start, end)]
    lengths = [last - first for first, last in groups]
    for first in range(len(groups)):
        total = 0
        for last in range(first, min(len(groups), first + _MAX_GROUPS)):
            total += lengths[last]
            if total > _MAX_DIGITS:
                break
            if total < _MIN_DIGITS:
                continue
            shape = tuple(lengths[first : last + 1])
            if shape in SHAPES or len(shape) == len(groups) or (total == 13 and len(shape) > 2):
                yield _candidate(text, groups[first : last + 1], shape, start, end)
            elif len(shape) >= 8 and max(shape) <= 2 and _is_own_row(text, groups, first, last):
                yield _candidate(text, groups[first : last + 1], shape, start, end)


def _is_own_row(text: str, groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether single digits go on neither before nor behind with the same separators."""
    inner = {text[groups[index][1] : groups[index + 1][0]] for index in range(first, last)}
    before = first > 0 and groups[first][0] - groups[first - 1][0] <= 3 + max(map(len, inner))
    behind = last + 1 < len(groups) and groups[last + 1][1] - groups[last][1] <= 2 + max(map(len, inner))
    return not (before and text[groups[first - 1][1] : groups[first][0]] in inner) and not (
        behind and text[groups[last][1] : groups[last + 1][0]] in inner
    )


def _candidate(
    text: str, groups: list[tuple[int, int]], shape: tuple[int, ...], run_start: int, run_end: int
) -> Candidate:
    start, end = groups[0][0], groups[-1][1]
    separators = tuple(text[left[1] : right[0]] for left, right in zip(groups, groups[1:], strict=False))
    return Candidate(
        text=text,
        start=start,
        end=end,
        digits="".join(text[first:last] for first, last in groups),
        lengths=shape,
        separators=separators,
        isolated=_free_before(text, start, run_start) and _free_behind(text, end, run_end),
    )


def _free_before(text: str, start: int, run_start: int) -> bool:
    if start == 0:
        return True
    mark = text[start - 1]
    if start == run_start:
        return not (mark.isascii() and mark.isalpha())
    return not (mark in _TIES and text[start - 2].isdigit())


def _free_behind(text: str, end: int, run_end: int) -> bool:
    if end >= len(text):
        return True
    mark = text[end]
    if end == run_end:
        return not (mark.isascii() and mark.isalpha())
    return not (mark in _TIES and text[end + 1].isdigit())


SHAPES: Final = frozenset(
    {
        (6, 7), (7, 6), (13,), (6, 1, 6), (2, 2, 2, 7), (2, 4, 7), (6, 3, 4), (6, 4, 3),  # RRN, FRN, corporate
        (4, 4, 4, 4), (16,), (15,), (4, 6, 5), (14,), (4, 6, 4), (19,), (4, 4, 4, 4, 3), (8, 8), (6, 10), (5, 6, 4),  # cards
        (3, 2, 5), (5, 2, 3), (10,), (3, 7), (5, 5),  # business registration
        (2, 2, 6, 2), (2, 6, 2, 2), (12,), (4, 6, 2), (4, 8), (2, 8, 2), (2, 10), (10, 2),  # driver's licence
        (3, 4, 4), (4, 4, 3), (3, 3, 4), (11,), (2, 3, 4), (2, 4, 4), (9,), (4, 4), (8,), (3, 8), (7, 4), (3, 7), (2, 7),
        (2, 8), (4, 3, 4), (2, 2, 4, 4), (2, 2, 3, 4), (2, 1, 3, 4), (2, 1, 4, 4), (2, 3, 4, 4), (2, 3, 3, 4), (2, 10), (2, 9),
        (1, 10),  # health insurance
    }
)  # fmt: skip
"""Group lengths in which the numbers of filters/detectors/numbers.py are commonly written."""
