"""Numbers in tables whose heading row says what a column holds: CSV, tabs, Markdown, blanks.

The label of `성명,주민등록번호,연락처` stands lines above its numbers and the label of the next column
nearer, so each cell is judged here by its own heading. Halves in two columns are put together.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from filters import checksums
from filters.detector import limited
from filters.detectors.candidates import candidates
from filters.detectors.labels import label_of
from filters.detectors.numbers import judged
from filters.spans import KR_FRN, KR_RRN, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: Final = (
    r"(?:주민|민번|외국인|법인|사업자|면허|카드|계좌|통장|보험증|건강보험|연락처|전화|휴대|핸드폰|앞|뒷|뒤"
    r"|(?i:rrn|jumin|resident|phone|mobile|account|card|brn))"
)
_WORD: Final = re.compile(_WORDS)
_LONG_NUMBER: Final = re.compile(r"[0-9]{5}|[0-9]{3}-[0-9]{3}")
"""What no heading holds."""

_MARKS: Final = ("\t", "|", ";", ",")
"""Between columns; the first that a heading holds."""

_KINDS: Final = frozenset({"rrn", "frn", "corp", "brn", "licence", "card", "account", "health", "phone"})
_ACCOUNT: Final = re.compile(r"계좌|통장|(?i:account|acct)")
"""입금, 은행: such a column holds amounts or names."""

_QUANTITY: Final = re.compile(r"(?:수|료|액|율|률|세|매출|한도|잔고)\s?(?:\([^)]*\))?$")
"""사업자 수, 건강보험료(원), 카드매출: amounts, whatever else the heading names."""

_RESIDENT: Final = re.compile(r"주민|민번|외국인|(?i:rrn|jumin|resident)")
_FRONT: Final = re.compile(
    r"앞(?!면)|생년월일|생일|출생|(?i:front|first|birth)|(?:번호|(?i:rrn|jumin))[ _]?1$"
)
_BACK: Final = re.compile(r"뒷(?!면)|뒤(?!면)|(?i:back|rear|last)|(?:번호|(?i:rrn|jumin))[ _]?2$")
_NOT_DIGIT: Final = re.compile(r"[^0-9]+")
_LEAST_DIGITS: Final = 8
_LONGEST_LABEL: Final = 24
_HEADINGS: Final = 3
"""So many headings in a row of lines are heeded: a row that looks like one must not hide the real one."""


class Columns:
    """Every kind of number, below its own heading; `partial` where only the back half is in the table."""

    name = "columns"
    gates = (
        rf"{_WORDS}[^\n,;\t|]*[,;\t|][^\n]*\n",
        rf"[,;\t|][^\n,;\t|]*{_WORDS}[^\n,;\t|]*\n",
        r"[0-9]{6} *[1-8][0-9]{6}",
    )

    def find(self, text: str) -> list[Span]:
        spans = list(limited(_found(text), self.name))
        if _BETWEEN_BLANKS.search(text):
            spans += limited(_found_between_blanks(text), self.name)
        return spans


class _Heading(NamedTuple):
    """What stands in which column: labels of whole numbers, and front and back halves."""

    mark: str
    width: int
    kinds: dict[int, str]
    halves: list[tuple[int, int, bool]]
    """Column of the front or -1, of the back, and whether its heading names a resident number."""


def _found(text: str) -> Iterator[Span]:
    headings: list[_Heading] = []
    start, length = 0, len(text)
    while start < length:
        end = text.find("\n", start)
        end = length if end < 0 else end
        heading = _heading(text, start, end)
        if heading is not None:
            headings = [*headings[1 - _HEADINGS :], heading]
        elif headings and not text[start:end].isspace():
            headings = [heading for heading in headings if heading.mark in text[start:end]]
            for known in headings:
                yield from _in_row(text, _cells(text, start, end, known), known)
        start = end + 1


def _heading(text: str, start: int, end: int) -> _Heading | None:
    if _WORD.search(text, start, end) is None or _LONG_NUMBER.search(text, start, end):
        return None
    line = text[start:end]
    mark = next((mark for mark in _MARKS if mark in line), "")
    if not mark:
        return None
    labels = [cell.strip(" \"'*`") for cell in line.split(mark)]
    kinds = {place: kind for place, label in enumerate(labels) if (kind := _kind(label))}
    halves = _halves(labels)
    return _Heading(mark, len(labels), kinds, halves) if kinds or halves else None


def _kind(label: str) -> str:
    if not label or len(label) > _LONGEST_LABEL or _QUANTITY.search(label):
        return ""
    kind = label_of(label, len(label), len(label)).kind
    return kind if kind in _KINDS and (kind != "account" or _ACCOUNT.search(label)) else ""


def _halves(labels: list[str]) -> list[tuple[int, int, bool]]:
    """Each back with the front that stands nearest before it, else with the next."""
    found = []
    fronts = [place for place, label in enumerate(labels) if _FRONT.search(label)]
    for back, label in enumerate(labels):
        if _BACK.search(label) and len(label) <= _LONGEST_LABEL:
            behind = bisect_right(fronts, back)
            before = behind - 1 if behind and fronts[behind - 1] < back else behind - 2
            front = fronts[before] if before >= 0 else fronts[behind] if behind < len(fronts) else -1
            named = _RESIDENT.search(label) is not None
            if named or front >= 0:
                found.append((front, back, named))
    return found


def _cells(text: str, start: int, end: int, heading: _Heading) -> list[tuple[int, int]]:
    """Where the cells of a line begin and end. An amount's commas (35,000) part cells only if they must."""
    cells = list(_split(text, start, end, heading.mark))
    if heading.mark == "," and len(cells) > heading.width:
        return _with_whole_amounts(text, cells)
    return cells


def _split(text: str, start: int, end: int, mark: str) -> Iterator[tuple[int, int]]:
    while True:
        closing = text.find('"', start + 1, end) if text[start : start + 1] == '"' else -1
        stop = text.find(mark, max(start, closing), end)
        if stop < 0:
            yield start, end
            return
        yield start, stop
        start = stop + 1


def _with_whole_amounts(text: str, cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in cells:
        before = text[slice(*joined[-1])].rpartition(",")[2].strip() if joined else ""
        digits = text[start:end]
        if digits.isdigit() and len(digits) == 3 and before.isdigit() and len(before) <= 3:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _in_row(text: str, cells: list[tuple[int, int]], heading: _Heading) -> Iterator[Span]:
    for place, kind in heading.kinds.items():
        if place >= len(cells):
            break
        yield from _in_cell(text, *cells[place], kind)
    for front, back, named in heading.halves:
        if back >= len(cells):
            break
        if front < len(cells):
            yield from _of_halves(text, cells[front] if front >= 0 else (0, 0), cells[back], named=named)


def _in_cell(text: str, start: int, end: int, kind: str) -> Iterator[Span]:
    if end - start < _LEAST_DIGITS:
        return
    for candidate in candidates(text[start:end]):
        candidate.called = kind
        for span in judged(candidate):
            yield Span(start + span.start, start + span.end, span.type, span.score, span.rule, span.label)


def _of_halves(text: str, front: tuple[int, int], back: tuple[int, int], *, named: bool) -> Iterator[Span]:
    """Both cells as one number where the front is a birthday, else the back alone if its heading names it."""
    start, end = _digits_in(text, *back)
    first, last = _digits_in(text, *front)
    after = text[start:end]
    if len(after) != 7 or not after.isdigit() or after[0] in "09":
        return
    kind = KR_FRN if after[0] in "5678" else KR_RRN
    before = _NOT_DIGIT.sub("", text[first:last])
    before = before.zfill(6) if before else ""  # a spreadsheet drops the zeros of 050617
    if len(before) in {6, 8} and checksums.is_birth_date(before[-6:] + after):
        yield Span(first, last, kind, 0.8, "columns")
        yield Span(start, end, kind, 0.8, "columns")
    elif named:
        yield Span(start, end, kind, 0.75, "kr_rrn_back", "partial")


def _digits_in(text: str, start: int, end: int) -> tuple[int, int]:
    """A cell without what surrounds its digits: blanks, quotes, asterisks."""
    while start < end and not "0" <= text[start] <= "9":
        start += 1
    while end > start and not "0" <= text[end - 1] <= "9":
        end -= 1
    return start, end


# --- columns parted by blanks: "성명  주민등록번호  호봉", "김철수  910412 1056784  12" --------------

_BETWEEN_BLANKS: Final = re.compile(r"[0-9]{6} *[1-8][0-9]{6}")
_PARTED: Final = (re.compile(r"[^ ]+(?: [^ ]+)*"), re.compile("[^ ]+"))
"""Cells that several blanks part, and cells that one does."""

_RESIDENTS: Final = frozenset({"rrn", "frn"})
"""All that is looked for here: blanks part words as well as columns."""

_MOST_COLUMNS: Final = 16
_LONGEST_HEADING: Final = 400
_LINE: Final = re.compile("[^\n]+")
_RULE: Final = re.compile("[-=+ ]*")
_DIGIT: Final = re.compile("[0-9]")
_WHOLE_BACK: Final = re.compile("[1-8][0-9]{6}(?![0-9])")
_RESIDENT_OR_HALF: Final = re.compile(rf"{_RESIDENT.pattern}|앞|뒷|뒤")


def _found_between_blanks(text: str) -> Iterator[Span]:
    headings: list[tuple[re.Pattern[str], _Heading]] = []
    for line in _LINE.finditer(text):
        row = line.group()
        if _DIGIT.search(row) is None:
            headings = [] if _RULE.fullmatch(row) is None else headings
        elif headings and _WHOLE_BACK.search(row):
            for parted, heading in headings:
                cells = [
                    (line.start() + cell.start(), line.start() + cell.end()) for cell in parted.finditer(row)
                ]
                yield from _in_blank_row(text, cells, heading)
        if len(row) <= _LONGEST_HEADING and _RESIDENT_OR_HALF.search(row) and not _LONG_NUMBER.search(row):
            headings = [(parted, known) for parted in _PARTED if (known := _blank_heading(row, parted))]


def _blank_heading(row: str, parted: re.Pattern[str]) -> _Heading | None:
    labels = parted.findall(row)
    if not 1 < len(labels) <= _MOST_COLUMNS:
        return None
    kinds = {place: kind for place, label in enumerate(labels) if (kind := _kind(label)) in _RESIDENTS}
    halves = _halves(labels)
    return _Heading(" ", len(labels), kinds, halves) if kinds or halves else None


def _in_blank_row(text: str, cells: list[tuple[int, int]], heading: _Heading) -> Iterator[Span]:
    """Columns are counted from the left and from the right: one cell may hold a blank, another be empty."""
    for shift in {0, len(cells) - heading.width}:
        for place in heading.kinds:
            yield from _resident_at(text, cells, place + shift)
        for front, back, named in heading.halves:
            if front >= 0 and min(front, back) + shift >= 0 and max(front, back) + shift < len(cells):
                yield from _of_halves(text, cells[front + shift], cells[back + shift], named=named)


def _resident_at(text: str, cells: list[tuple[int, int]], place: int) -> Iterator[Span]:
    """A number in this cell, or in it and in the one before or behind."""
    if 0 <= place < len(cells):
        yield from _in_cell(text, *cells[place], "rrn")
    for front in (place - 1, place):
        if 0 <= front < len(cells) - 1:
            yield from _of_halves(text, cells[front], cells[front + 1], named=False)
