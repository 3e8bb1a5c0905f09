"""Rows of digits in a text, cut into candidates for identity numbers. Says where, not what.

A *run* is a row of digit groups with at most five other characters (no letter, no Hangul) between
two groups. Its *windows* are the stretches of neighbouring groups that may be one number. Budget
tables are long runs, so everything here rejects early and allocates late.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain
from string import ascii_letters
from typing import TYPE_CHECKING, Final, NamedTuple

from filters import checksums
from filters.detectors.labels import label_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from mypy_extensions import i64

_RUN: Final = re.compile(r"[0-9]++(?:[^0-9A-Za-z가-힣]{1,5}+[0-9]++)*+")
_MIN_DIGITS: Final = 8
_MAX_DIGITS: Final = 19
_MAX_GROUPS: Final = 19
_DATE: Final = (4, 2, 2)
_TIES: Final = frozenset("-._·/")
"""A bare one of these joins two groups so closely that no number ends there."""

_UNIT: Final = re.compile(
    r" ?(?:[천백십만]{0,2} ?원(?![가-힣]{2})|만 ?원|억|조(?![가-힣])|달러|USD|KRW"
    r"|명(?![가-힣])|[건개매](?![가-힣])|㎡|톤|%|km|kg)"
)


class Row:
    """Digit groups of one run: the digits, where each group begins and ends, and what stands between."""

    __slots__ = ("digits", "ends", "lengths", "separators", "starts", "text")

    def __init__(self, text: str, start: int, end: int) -> None:
        """`text[start:end]` begins and ends with a digit."""
        self.text = text
        self.digits: list[str] = []
        self.separators: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        at = start
        while True:
            first, at = at, _end_of_digits(text, at, end)
            self.digits.append(text[first:at])
            self.starts.append(first)
            self.ends.append(at)
            if at == end:
                break
            first, at = at, _start_of_digits(text, at)
            self.separators.append(text[first:at])
        self.lengths = tuple(map(len, self.digits))

    def free(self, first: int, last: int) -> bool:
        """Whether no letter touches groups `first` to `last`."""
        return _free(self.text, self.starts[first], self.ends[last])


def _end_of_digits(text: str, at: i64, end: i64) -> i64:
    while at < end and 0 <= ord(text[at]) - _ZERO <= _NINE:
        at += 1
    return at


def _start_of_digits(text: str, at: i64) -> i64:
    while not 0 <= ord(text[at]) - _ZERO <= _NINE:
        at += 1
    return at


_ZERO: Final = 48
"""The code of the digit 0."""
_NINE: Final = 9


class Candidate:
    """A stretch of digit groups. `separators[i]` stands between group i and group i + 1.

    `columns`: the groups stand beside further numbers, as in a row of a table, so chance may have made it.
    `isolated`: nothing ties it to digits or letters outside. `called`: the kind of its own label, empty
    when it has none or when another number stands between.
    """

    __slots__ = (
        "_counted",
        "called",
        "columns",
        "digits",
        "end",
        "isolated",
        "lengths",
        "separators",
        "start",
        "text",
    )

    def __init__(self, row: Row, first: int, last: int, *, isolated: bool) -> None:
        """Groups `first` to `last` of a row, both included."""
        self.text = row.text
        self.start, self.end = row.starts[first], row.ends[last]
        self.digits = "".join(row.digits[first : last + 1])
        self.lengths = row.lengths[first : last + 1]
        self.separators = row.separators[first:last]
        self.isolated = isolated
        self.columns = len(row.lengths) > last - first + 1 and _are_columns(row.separators, first, last)
        self._counted: bool | None = None
        label = label_of(self.text, self.start, self.end)
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
        return len(marks) == 1 and not marks & {"", ",", ";", "|"}

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
        if self._counted is None:
            self._counted = _UNIT.match(self.text, self.end) is not None
        return self._counted


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
        if end - start >= _MIN_DIGITS and _are_enough(text, start, end):
            yield from _of_row(Row(text, start, end))


def _are_enough(text: str, start: i64, end: i64) -> bool:
    """Whether a run holds as many digits as a number; most are dates and amounts that do not."""
    count: i64 = 0
    at: i64 = start
    while at < end:
        if 0 <= ord(text[at]) - _ZERO <= _NINE:
            count += 1
            if count == _MIN_DIGITS:
                return True
        at += 1
    return False


def _of_row(row: Row) -> Iterable[Candidate]:
    lengths = row.lengths
    total = sum(lengths)
    if len(lengths) == 1:
        return [Candidate(row, 0, 0, isolated=row.free(0, 0))] if total <= _MAX_DIGITS else []
    if total < _MIN_DIGITS or lengths == _DATE:
        return []
    if _TIES.issuperset(row.separators):
        return _chain(row, total)
    return _windows(row)


def _short_groups(row: Row) -> list[Candidate]:
    """Digits written one by one or in pairs: rows of short groups, as long as a number."""
    lengths = row.lengths
    found: list[Candidate] = []
    first = 0
    for last in range(1, len(lengths) + 1):
        if last == len(lengths) or lengths[last] > _SHORT:
            if last - first >= _MIN_DIGITS // _SHORT:
                found += _of_short_groups(row, first, last)
            first = last + 1
    return found


def _of_short_groups(row: Row, first: int, behind: int) -> list[Candidate]:
    """Stretches of short groups that are held together by one separator, or by one and a second."""
    lengths, separators = row.lengths, row.separators
    found: list[Candidate] = []
    while first < behind - 1:
        last = first + 1
        inner = {separators[first]}
        while last < behind - 1 and (separators[last] in inner or len(inner) < _MIXED_SEPARATORS):
            inner.add(separators[last])
            last += 1
        if _MIN_DIGITS <= sum(lengths[first : last + 1]) <= _MAX_DIGITS and last - first + 1 >= _ROW_GROUPS:
            found.append(Candidate(row, first, last, isolated=row.free(first, last)))
        first = last if last - first > _MIN_DIGITS else first + 1
    return found


_SHORT: Final = 2
_ROW_GROUPS: Final = 7
"""Fewer groups of one or two digits are a date: '24. 1. 1. ~ '24. 12. 31."""
_MIXED_SEPARATORS: Final = 2
"""`9 0 1 0 1 0 - 1 2 3`: a blank between digits and a hyphen between halves."""


def _chain(row: Row, total: int) -> list[Candidate]:
    """A run tied throughout is one number, except that a resident number may hang in a longer chain."""
    lengths = row.lengths
    last = len(lengths) - 1
    found: list[Candidate] = []
    if last == 1 and row.separators[0] == "." and row.digits[1] in {"0", "00"}:
        last = 0  # 9010101234567.0: a number that passed through a spreadsheet
    if _MIN_DIGITS < total <= _MAX_DIGITS or lengths in SHAPES:
        found.append(Candidate(row, 0, last, isolated=row.free(0, last)))
    if last > 1:
        found += [
            Candidate(row, first, first + 1, isolated=False)
            for first in range(last)
            if lengths[first : first + 2] == (6, 7)
        ]
    return found + _links(row)


def _links(row: Row) -> list[Candidate]:
    """The numbers of a chain of several: 700313-1098400/010-8374-2913, 700313-1098400.010-8374-2913."""
    lengths, separators = row.lengths, row.separators
    mark = next((mark for mark in _BETWEEN_LINKS if mark in separators), "")
    if not mark or (mark != "/" and separators.count(mark) == len(separators)):
        return []
    found: list[Candidate] = []
    first = 0
    for last in range(len(lengths)):
        if last == len(separators) or separators[last] == mark:
            bare = first == last and mark != "/"  # the digits behind a decimal point are no number
            if lengths[first : last + 1] in SHAPES and not bare:
                found.append(Candidate(row, first, last, isolated=row.free(first, last)))
            first = last + 1
    return found


_BETWEEN_LINKS: Final = ("/", "·", ".")
"""Marks between whole numbers whose own groups another mark holds together; the first one counts."""


def _windows(row: Row) -> Iterator[Candidate]:
    """Stretches by common shape, the whole run, and any stretch of 13 digits that may begin with a date."""
    yield from _short_groups(row)
    lengths, separators = row.lengths, row.separators
    if max(lengths) <= _SHORT:
        return
    thousands = _thousands_commas(lengths, separators)
    plan = _plan(lengths) if len(lengths) <= _CACHED_GROUPS else _planned(lengths, thousands)
    for window in chain(plan, _stretches(lengths, separators)):
        first, last = window.first, window.last
        if first in thousands or last + 1 in thousands or not _fits(row, window):
            continue
        isolated = row.free(first, last) and not _tied(separators, first, last)
        if isolated or window.total == _RESIDENT or window.kind == "stretch":
            yield Candidate(row, first, last, isolated=isolated)


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
    if "," in separators and not _TIES.isdisjoint(separators):
        yield from _cells(lengths, separators)


def _cells(lengths: tuple[int, ...], separators: list[str]) -> Iterator[_Window]:
    """Groups that are tied to each other and to nothing else: 110-234-567890 in a row with commas."""
    first = 0
    for last in range(len(lengths)):
        if last == len(separators) or separators[last] not in _TIES:
            total = sum(lengths[first : last + 1])
            if (
                first < last
                and _MIN_DIGITS < total <= _MAX_DIGITS
                and lengths[first : last + 1] not in SHAPES
            ):
                yield _Window(first, last, total, "stretch")
            first = last + 1


def _fits(row: Row, window: _Window) -> bool:
    """Whether the text bears out what the lengths suggest."""
    first, last, total, kind = window
    if kind == "loose":
        return _may_begin_with_date(row, first) and (
            not any(map(_is_break, row.separators[first:last])) or _is_called_resident(row, first, last)
        )
    if total == _MIN_DIGITS:  # 15xx, or a local number
        return row.digits[first][0] == "1" or row.separators[first].strip() == "-"
    return True


def _thousands_commas(lengths: tuple[int, ...], separators: list[str]) -> set[int]:
    """Indices of groups that go on with an amount (1,234,567): no number begins at or ends before one."""
    if "," not in separators:
        return set()
    return {
        index + 1
        for index, mark in enumerate(separators)
        if mark == "," and lengths[index + 1] == 3 and _is_of_amount(lengths, separators, index)
    }


def _is_of_amount(lengths: tuple[int, ...], separators: list[str], comma: int) -> bool:
    """Whether a comma before three digits parts thousands and not columns, as in 12-34,010-8374-2913."""
    if lengths[comma] > 3 or (comma > 0 and separators[comma - 1] in _HYPHENS):
        return False
    if comma + 1 == len(separators):
        return True
    dots = separators[comma + 1 : comma + 3] == [".", "."] and lengths[comma + 3] == _LAST_OF_PHONE
    return not dots and separators[comma + 1] not in _HYPHENS


_HYPHENS: Final = frozenset("-_")
_LAST_OF_PHONE: Final = 4
"""Digits at the end of 010.8374.2913; an amount has one point."""


def _is_called_resident(row: Row, first: int, last: int) -> bool:
    """주민번호 9104, 1210, 56784: a label right before it holds together what breaks would part."""
    if not checksums.is_birth_date("".join(row.digits[first : last + 1])):
        return False
    label = label_of(row.text, row.starts[first], row.ends[last])
    return label.direct and label.kind in {"rrn", "frn"}


_BREAK: Final = re.compile(r"\n|[.)\],;:]\s|\s[(\[]|\s[-/]\s|[~;|]")


@lru_cache(maxsize=4096)
def _is_break(separator: str) -> bool:
    """A new line, a list number, a bracket or a blank around a mark: a new stretch begins.

    The cache keeps punctuation only, no letter or digit of a text.
    """
    return _BREAK.search(separator) is not None


def _may_begin_with_date(row: Row, first: int) -> bool:
    digits = "".join(row.digits[first : first + 6])
    return digits[2] in "01" and digits[4] in "0123"


def _free(text: str, start: int, end: int) -> bool:
    """No ASCII letter touches it, alone or with a hyphen (POL-2021…); Hangul may: a particle, a label."""
    before = start - 1
    if before > 0 and text[before] in "-_":
        before -= 1
    behind = end
    if behind + 1 < len(text) and text[behind] in "-_":
        behind += 1
    return not (before >= 0 and text[before] in ascii_letters) and not (
        behind < len(text) and text[behind] in ascii_letters
    )


_COLUMN: Final = frozenset({"", ",", ";", "|"})


def _are_columns(separators: list[str], first: int, last: int) -> bool:
    """Whether groups are held together, and to one more on their line, by what stands between columns."""
    around = separators[max(0, first - 1) : first] + separators[last : last + 1]
    inside = all(separator.strip() in _COLUMN for separator in separators[first:last])
    return inside and any(mark.strip() in _COLUMN and "\n" not in mark for mark in around)


def _tied(separators: list[str], first: int, last: int) -> bool:
    """Whether a bare hyphen or the like goes on to a further group."""
    return (first > 0 and separators[first - 1] in _TIES) or (
        last < len(separators) and separators[last] in _TIES
    )


SHAPES: Final = frozenset(
    {
        (9,), (10,), (11,), (12,), (13,), (14,), (15,), (16,), (19,),
        (6, 7), (7, 6), (6, 1, 6), (2, 2, 2, 7), (2, 4, 7), (6, 3, 4), (6, 4, 3),  # RRN, FRN, corporate
        (8, 7), (4, 2, 2, 7),  # RRN with the century
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
