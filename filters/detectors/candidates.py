"""Rows of digits in a text, cut into candidates for identity numbers. Says where, not what.

A *run* is a row of digit groups with at most five other characters (no letter, no Hangul) between
two groups. Its *windows* are the stretches of neighbouring groups that may be one number. Budget
tables are long runs, so everything here rejects early and allocates late.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.detectors.labels import label_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

_RUN: Final = re.compile(r"(?<![0-9])[0-9]++(?:[^0-9A-Za-z가-힣]{1,5}+[0-9]++)*+")
_GROUP: Final = re.compile(r"[0-9]++")
_MIN_DIGITS, _MAX_DIGITS = 8, 19
_MAX_GROUPS: Final = 19
_DATE: Final = (4, 2, 2)
_TIES: Final = frozenset("-._·/")
"""A bare one of these joins two groups so closely that no number ends there."""

_UNIT: Final = re.compile(
    r" ?(?:[천백십만]{0,2} ?원(?![가-힣]{2})|만 ?원|억|조(?![가-힣])|달러|USD|KRW"
    r"|명(?![가-힣])|[건개매](?![가-힣])|㎡|톤|%|km|kg)"
)

Group = tuple[int, int]


class Candidate:
    """A stretch of digit groups. `separators[i]` stands between group i and group i + 1.

    `isolated`: nothing ties it to digits or letters outside. `called`: the kind of its own label, empty
    when it has none or when another number stands between.
    """

    __slots__ = ("called", "digits", "end", "isolated", "lengths", "separators", "start", "text")

    def __init__(self, text: str, groups: list[Group], lengths: tuple[int, ...], *, isolated: bool) -> None:
        self.text = text
        self.start, self.end = groups[0][0], groups[-1][1]
        self.digits = "".join([text[first:last] for first, last in groups])
        self.lengths = lengths
        self.separators = [text[left[1] : right[0]] for left, right in pairwise(groups)]
        self.isolated = isolated
        label = label_of(text, self.start, self.end)
        self.called = label.kind if label.direct else ""

    @property
    def bare(self) -> bool:
        return len(self.lengths) == 1

    @property
    def blank(self) -> bool:
        """Some groups are held together by white space only, as in a table."""
        return any(separator.isspace() for separator in self.separators)

    @property
    def tight(self) -> bool:
        """Groups are held together by one and the same mark, as a person writes a number."""
        marks = {separator.strip() for separator in self.separators}
        return len(marks) == 1 and not marks & {"", ",", "|"}

    @property
    def spread(self) -> bool:
        """Written digit by digit or in pairs: nobody writes amounts or dates so."""
        return len(self.lengths) >= 6 and max(self.lengths) <= 2

    @property
    def money(self) -> bool:
        """Groups of three behind commas, or a currency or unit right behind."""
        return self.thousands or self.counted

    @property
    def thousands(self) -> bool:
        """Written 1,234,567."""
        return _thousands(self.lengths, self.separators)

    @property
    def counted(self) -> bool:
        """A currency or another unit stands right behind."""
        return _UNIT.match(self.text, self.end) is not None


def _thousands(lengths: tuple[int, ...], separators: list[str]) -> bool:
    return (
        len(lengths) > 2
        and all(length == 3 for length in lengths[1:])
        and all(separator.strip() == "," for separator in separators)
    )


def candidates(text: str) -> Iterator[Candidate]:
    """Every stretch of digit groups that may be one number."""
    for match in _RUN.finditer(text):
        start, end = match.span()
        if end - start >= _MIN_DIGITS:
            groups = [group.span() for group in _GROUP.finditer(text, start, end)]
            if len(groups) == 1:
                yield from _single(text, groups)
                continue
            lengths = tuple([last - first for first, last in groups])
            if sum(lengths) >= _MIN_DIGITS and lengths != _DATE:
                yield from _windows(text, groups, lengths)


def _single(text: str, groups: list[Group]) -> Iterator[Candidate]:
    start, end = groups[0]
    if end - start <= _MAX_DIGITS:
        yield Candidate(text, groups, (end - start,), isolated=_free(text, start, end))


def _rows(text: str, groups: list[Group], lengths: tuple[int, ...]) -> Iterator[Candidate]:
    """Digits written one by one or in pairs: rows of short groups, as long as a number."""
    first = 0
    for last in range(1, len(groups) + 1):
        if last == len(groups) or lengths[last] > _SHORT:
            if last - first >= _MIN_DIGITS // _SHORT:
                yield from _row(text, groups[first:last], lengths[first:last])
            first = last + 1


def _row(text: str, groups: list[Group], lengths: tuple[int, ...]) -> Iterator[Candidate]:
    """Stretches of short groups that are held together by one separator, or by one and a second."""
    separators = [text[left[1] : right[0]] for left, right in pairwise(groups)]
    first = 0
    while first < len(groups) - 1:
        last = first + 1
        inner = {separators[first]}
        while last < len(groups) - 1 and (separators[last] in inner or len(inner) < _MIXED_SEPARATORS):
            inner.add(separators[last])
            last += 1
        if _MIN_DIGITS <= sum(lengths[first : last + 1]) <= _MAX_DIGITS and last - first + 1 >= _ROW_GROUPS:
            isolated = _free(text, groups[first][0], groups[last][1])
            yield Candidate(text, groups[first : last + 1], lengths[first : last + 1], isolated=isolated)
        first = last if last - first > _MIN_DIGITS else first + 1


_SHORT: Final = 2
_ROW_GROUPS: Final = 7
"""Fewer groups of one or two digits are a date: '24. 1. 1. ~ '24. 12. 31."""
_MIXED_SEPARATORS: Final = 2
"""`9 0 1 0 1 0 - 1 2 3`: a blank between digits and a hyphen between halves."""


def _chain(text: str, groups: list[Group], lengths: tuple[int, ...]) -> Iterator[Candidate]:
    """A run tied throughout is one number, except that a resident number may hang in a longer chain."""
    if 8 < sum(lengths) <= _MAX_DIGITS or lengths in SHAPES:
        yield Candidate(text, groups, lengths, isolated=_free(text, groups[0][0], groups[-1][1]))
    for first in range(len(groups) - 1):
        if lengths[first : first + 2] == (6, 7) and len(groups) > 2:
            yield Candidate(text, groups[first : first + 2], (6, 7), isolated=False)


def _windows(text: str, groups: list[Group], lengths: tuple[int, ...]) -> Iterator[Candidate]:
    """Stretches by common shape, the whole run, and any stretch of 13 digits that may begin with a date."""
    if all(text[left[1] : right[0]] in _TIES for left, right in pairwise(groups)):
        yield from _chain(text, groups, lengths)
        return
    yield from _rows(text, groups, lengths)
    if max(lengths) <= _SHORT:
        return
    separators = [text[left[1] : right[0]] for left, right in pairwise(groups)]
    thousands = _thousands_commas(lengths, separators)
    plan = _plan(lengths) if len(lengths) <= _CACHED_GROUPS else _planned(lengths, thousands)
    for window in chain(plan, _stretches(lengths, separators)):
        first, last = window.first, window.last
        if first in thousands or last + 1 in thousands or not _fits(text, groups, separators, window):
            continue
        start, end = groups[first][0], groups[last][1]
        isolated = _free(text, start, end) and not _tied(separators, first, last)
        if isolated or window.total == _RESIDENT or window.kind == "stretch":
            yield Candidate(text, groups[first : last + 1], lengths[first : last + 1], isolated=isolated)


class _Window(NamedTuple):
    """Groups `first` to `last` of a run, `total` digits; `kind` says why they are looked at."""

    first: int
    last: int
    total: int
    kind: str


_CACHED_GROUPS: Final = 24
_RESIDENT: Final = 13
"""Digits of a resident number."""


def _planned(lengths: tuple[int, ...], thousands: AbstractSet[int] = frozenset()) -> Iterator[_Window]:
    """The windows that group lengths alone suggest: common shapes and 13 digits."""
    for first in range(len(lengths)):
        if first in thousands:
            continue
        total = 0
        for last in range(first, min(len(lengths), first + _MAX_GROUPS)):
            total += lengths[last]
            if total > _MAX_DIGITS:
                break
            shape = lengths[first : last + 1]
            if shape in SHAPES:
                yield _Window(first, last, total, "shape")
            elif total == _RESIDENT and len(shape) > 2:
                yield _Window(first, last, total, "loose")


@lru_cache(maxsize=4096)
def _plan(lengths: tuple[int, ...]) -> tuple[_Window, ...]:
    return tuple(_planned(lengths))


def _stretches(lengths: tuple[int, ...], separators: list[str]) -> Iterator[_Window]:
    """Groups between two breaks, whatever their shape: a label may make a number of them."""
    first = 0
    for last in range(len(lengths)):
        if last == len(separators) or _is_break(separators[last]):
            total = sum(lengths[first : last + 1])
            if _MIN_DIGITS < total <= _MAX_DIGITS and lengths[first : last + 1] not in SHAPES:
                yield _Window(first, last, total, "stretch")
            first = last + 1


def _fits(text: str, groups: list[Group], separators: list[str], window: _Window) -> bool:
    """Whether the text bears out what the lengths suggest."""
    first, last, total, kind = window
    if kind == "loose":
        unbroken = not any(map(_is_break, separators[first:last]))
        return unbroken and _may_begin_with_date(text, groups, first)
    if total == _MIN_DIGITS:
        return text[groups[first][0]] == "1" or separators[first].strip() == "-"  # 15xx, or a local number
    return True


def _thousands_commas(lengths: tuple[int, ...], separators: list[str]) -> set[int]:
    """Indices of groups that go on with an amount (1,234,567): no number begins at or ends before one."""
    if "," not in separators:
        return set()
    return {index + 1 for index, mark in enumerate(separators) if mark == "," and lengths[index + 1] == 3}


_BREAK: Final = re.compile(r"\n|[.)\],;:]\s|\s[(\[]|\s[-/]\s|[~;|]")


@lru_cache(maxsize=4096)
def _is_break(separator: str) -> bool:
    """A new line, a list number, a bracket or a blank around a mark: a new stretch begins.

    The cache keeps punctuation only, no letter or digit of a text.
    """
    return _BREAK.search(separator) is not None


def _may_begin_with_date(text: str, groups: list[Group], first: int) -> bool:
    digits = ""
    for start, end in groups[first : first + 6]:
        digits += text[start:end]
        if len(digits) >= 6:
            break
    return digits[2] in "01" and digits[4] in "0123"


def _free(text: str, start: int, end: int) -> bool:
    """No ASCII letter touches it, alone or with a hyphen (POL-2021…); Hangul may: a particle, a label."""
    return not _LETTER_BEFORE.search(text, max(0, start - 2), start) and not _LETTER_BEHIND.match(text, end)


_LETTER_BEFORE: Final = re.compile(r"[A-Za-z][-_]?$")
_LETTER_BEHIND: Final = re.compile(r"[-_]?[A-Za-z]")


def _tied(separators: list[str], first: int, last: int) -> bool:
    """Whether a bare hyphen or the like goes on to a further group."""
    return (first > 0 and separators[first - 1] in _TIES) or (
        last < len(separators) and separators[last] in _TIES
    )


SHAPES: Final = frozenset(
    {
        (9,), (10,), (11,), (12,), (13,), (14,), (15,), (16,), (19,),
        (6, 7), (7, 6), (6, 1, 6), (2, 2, 2, 7), (2, 4, 7), (6, 3, 4), (6, 4, 3),  # RRN, FRN, corporate
        (4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (8, 8), (6, 10), (5, 6, 4),  # cards
        (3, 2, 5), (5, 2, 3), (5, 5),  # business registration
        (2, 2, 6, 2), (2, 6, 2, 2), (2, 6, 2),  # licences, old and new
        (4, 6, 2), (4, 8), (2, 8, 2), (2, 10), (10, 2),  # driver's licence
        (3, 4, 4), (4, 4, 3), (3, 3, 4), (2, 3, 4), (2, 4, 4), (4, 4), (3, 8), (7, 4), (3, 7), (2, 7), (2, 8),
        (4, 3, 4), (4, 4, 4), (2, 9),
        (2, 2, 4, 4), (2, 2, 3, 4), (2, 1, 3, 4), (2, 1, 4, 4), (2, 3, 4, 4), (2, 3, 3, 4),  # with 82
        (1, 10),  # health insurance
    }
)  # fmt: skip
"""Group lengths in which the numbers of filters/detectors/numbers.py are commonly written."""
