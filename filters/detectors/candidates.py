"""Rows of digits in a text, cut into candidates for identity numbers. Says where, not what.

A *run* is a row of digit groups with at most four other characters (no letter, no Hangul) between
two groups. Its *windows* are the stretches of neighbouring groups that may be one number. Budget
tables are long runs, so everything here rejects early and allocates late.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from filters.detectors.labels import Label, label_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUN: Final = re.compile(r"(?<![0-9])[0-9]++(?:[^0-9A-Za-z가-힣]{1,4}+[0-9]++)*+")
_GROUP: Final = re.compile(r"[0-9]++")
_MIN_DIGITS, _MAX_DIGITS = 8, 19
_MAX_GROUPS: Final = 19
_TIES: Final = frozenset("-._·/")
"""A bare one of these joins two groups so closely that no number ends there."""

_UNIT: Final = re.compile(
    r"\s?(?:천|백|십)?(?:원|만\s?원|억|조|달러|USD|KRW|명|건|개|㎡|톤|매|권|부\b|%|km|kg|천원|배럴|리터|주\b)"
)

Group = tuple[int, int]


class Candidate:
    """A stretch of digit groups. `separators[i]` stands between group i and group i + 1.

    `isolated`: nothing ties it to digits or letters outside.
    """

    __slots__ = ("_label", "digits", "end", "isolated", "lengths", "separators", "start", "text")

    def __init__(self, text: str, groups: list[Group], lengths: tuple[int, ...], *, isolated: bool) -> None:
        self.text = text
        self.start, self.end = groups[0][0], groups[-1][1]
        self.digits = "".join([text[first:last] for first, last in groups])
        self.lengths = lengths
        self.separators = [text[left[1] : right[0]] for left, right in zip(groups, groups[1:], strict=False)]
        self.isolated = isolated
        self._label: Label | None = None

    @property
    def label(self) -> Label:
        if self._label is None:
            self._label = label_of(self.text, self.start, self.end)
        return self._label

    def is_called(self, *kinds: str) -> bool:
        """Whether its own label is one of `kinds`."""
        label = self.label
        return label.direct and label.kind in kinds

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
        return _thousands(self.lengths, self.separators) or _UNIT.match(self.text, self.end) is not None


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
            else:
                yield from _windows(text, groups)


def _single(text: str, groups: list[Group]) -> Iterator[Candidate]:
    start, end = groups[0]
    if end - start <= _MAX_DIGITS:
        yield Candidate(text, groups, (end - start,), isolated=_free(text, start, end))


def _windows(text: str, groups: list[Group]) -> Iterator[Candidate]:
    """Stretches by common shape, the whole run, and any stretch of 13 digits that may begin with a date."""
    lengths = [last - first for first, last in groups]
    amounts = _amounts(text, groups, lengths)
    count = len(groups)
    for first in range(count):
        total = 0
        for last in range(first, min(count, first + _MAX_GROUPS)):
            total += lengths[last]
            if total > _MAX_DIGITS:
                break
            if total < _MIN_DIGITS or (amounts and (first in amounts) != (last in amounts)):
                continue
            shape = tuple(lengths[first : last + 1])
            if shape in SHAPES or _is_loose(text, groups, shape, total, first, last):
                window = groups[first : last + 1]
                isolated = _free(text, window[0][0], window[-1][1]) and not _tied(text, groups, first, last)
                if isolated or total == 13 or len(shape) == count:
                    yield Candidate(text, window, shape, isolated=isolated)


def _amounts(text: str, groups: list[Group], lengths: list[int]) -> set[int]:
    """Indices of groups that belong to an amount (1,234,567): such a number is taken whole or not."""
    found: set[int] = set()
    for index in range(1, len(groups)):
        if lengths[index] == 3 and text[groups[index - 1][1] : groups[index][0]] == ",":
            found.add(index - 1)
            found.add(index)
    return found


def _is_loose(
    text: str, groups: list[Group], shape: tuple[int, ...], total: int, first: int, last: int
) -> bool:
    """An uncommon shape that is still worth a look."""
    if len(shape) == len(groups):
        return total > 8
    if total == 13 and len(shape) > 2:
        return _may_begin_with_date(text, groups, first)
    return len(shape) >= 8 and max(shape) <= 2 and _is_own_row(text, groups, first, last)


def _may_begin_with_date(text: str, groups: list[Group], first: int) -> bool:
    digits = ""
    for start, end in groups[first : first + 6]:
        digits += text[start:end]
        if len(digits) >= 6:
            break
    return digits[2] in "01" and digits[4] in "0123"


def _is_own_row(text: str, groups: list[Group], first: int, last: int) -> bool:
    """Whether single digits go on neither before nor behind with the same separators."""
    inner = {text[groups[index][1] : groups[index + 1][0]] for index in range(first, last)}
    if first and groups[first - 1][1] - groups[first - 1][0] <= 2:
        if text[groups[first - 1][1] : groups[first][0]] in inner:
            return False
    if last + 1 < len(groups) and groups[last + 1][1] - groups[last + 1][0] <= 2:
        return text[groups[last][1] : groups[last + 1][0]] not in inner
    return True


def _free(text: str, start: int, end: int) -> bool:
    """No ASCII letter touches it; Hangul may, as a particle or a label."""
    before, behind = text[start - 1 : start], text[end : end + 1]
    return not (before.isascii() and before.isalpha()) and not (behind.isascii() and behind.isalpha())


def _tied(text: str, groups: list[Group], first: int, last: int) -> bool:
    """Whether a bare hyphen or the like goes on to a further group."""
    if first and text[groups[first - 1][1] : groups[first][0]] in _TIES:
        return True
    return last + 1 < len(groups) and text[groups[last][1] : groups[last + 1][0]] in _TIES


SHAPES: Final = frozenset(
    {
        (6, 7), (7, 6), (6, 1, 6), (2, 2, 2, 7), (2, 4, 7), (6, 3, 4), (6, 4, 3),  # RRN, FRN, corporate
        (4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (8, 8), (6, 10), (5, 6, 4),  # cards
        (3, 2, 5), (5, 2, 3), (5, 5),  # business registration
        (2, 2, 6, 2), (2, 6, 2, 2), (4, 6, 2), (4, 8), (2, 8, 2), (2, 10), (10, 2),  # driver's licence
        (3, 4, 4), (4, 4, 3), (3, 3, 4), (2, 3, 4), (2, 4, 4), (4, 4), (3, 8), (7, 4), (3, 7), (2, 7), (2, 8),
        (4, 3, 4), (4, 4, 4), (2, 2, 4, 4), (2, 2, 3, 4), (2, 1, 3, 4), (2, 1, 4, 4), (2, 3, 4, 4), (2, 3, 3, 4), (2, 9),
        (1, 10),  # health insurance
    }
)  # fmt: skip
"""Group lengths in which the numbers of filters/detectors/numbers.py are commonly written."""
