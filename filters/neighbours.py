"""Which strings of a request stand side by side, so that a number split over them can be found.

Values of a small JSON object do, those of a table do not: among many numbers some neighbours always
look like one identifier, and a register that holds whole ones is found value by value. Nothing is
detected here.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.jsontext import Unescaped, literals, literals_within, unescape
from filters.walker import MOST_DIGITS, Kind

if TYPE_CHECKING:
    from filters.jsontext import Literal
    from filters.spans import Span
    from filters.walker import Part, Where

_MOST_VALUES: Final = 12
"""Values with digits that one JSON text, message or field may hold and still be joined."""

_CERTAIN: Final = 0.9
"""Score of a resident number with a label or a valid check digit."""

_LONGEST_ESCAPED: Final = 2_000
"""A longer string with escapes is no fragment of a number, and unescaping it twice is dear."""

_ACROSS: Final = 120
"""Characters behind a border that are read with what stands before it: a number, and what labels it."""

_DIGIT: Final = re.compile(r"\d")
_SPELLED: Final = re.compile(r"""\d(?:"?\s*,\s*"?\d)+(?!\d)""")


class Piece(NamedTuple):
    """A stretch of content without escapes: it begins at `start` of part `part`."""

    part: int
    text: str
    start: int = 0
    origins: list[int] | None = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The range of the part's own text behind `text[start:end]`."""
        first, last = Unescaped(self.text, self.origins).origin(start, end)
        return self.start + first, self.start + last


def pieces_of(parts: list[Part]) -> list[Piece]:
    """The content in reading order; what is structure between two values does not part them."""
    crowds = Counter(_crowd(part) for part in parts if _is_value(part) and _DIGIT.search(part.text))
    pieces: list[Piece] = []
    for index, part in enumerate(parts):
        if part.kind is Kind.JSON_TEXT:
            pieces += _values(index, part.text)
        elif part.kind not in (Kind.TEXT, Kind.NUMBER):
            continue
        elif not _is_value(part) or crowds[_crowd(part)] <= (
            MOST_DIGITS if _is_digit(part) else _MOST_VALUES
        ):
            pieces.append(Piece(index, part.text))
    return [piece for piece in pieces if piece.text]


def newest_said(parts: list[Part]) -> list[Piece]:
    """The texts of the user's last message; of a body without roles, all its texts."""
    said = [index for index, part in enumerate(parts) if part.role == "user" and part.kind is Kind.TEXT]
    if said:
        message = parts[said[-1]].where[:2]
        said = [index for index in said if parts[index].where[:2] == message]
    else:
        said = [index for index, part in enumerate(parts) if not part.role and part.kind is Kind.TEXT]
    return [Piece(index, parts[index].text) for index in said]


def beginning(pieces: list[Piece]) -> list[Piece]:
    """The first pieces, as far as a number that began before them can reach."""
    near: list[Piece] = []
    left = _ACROSS
    for piece in pieces:
        if left <= 0:
            break
        if piece.text:
            near.append(piece)
            left -= len(piece.text)
    return near


def _is_value(part: Part) -> bool:
    """Whether a part is a value of a structure rather than something that somebody wrote."""
    return bool(part.name) or part.kind is Kind.NUMBER


def _is_digit(part: Part) -> bool:
    """Whether a value is one digit in a list, so perhaps of a number that is spelled out."""
    return len(part.text) == 1 and part.text.isdecimal() and isinstance(part.where[-1], int)


def _crowd(part: Part) -> tuple[bool, Where]:
    return _is_digit(part), _group(part.where)


def _group(where: Where) -> Where:
    """What a value belongs to: its message or item of a list, else its field at the top."""
    return where[:2] if len(where) > 1 and isinstance(where[1], int) else where[:1]


def without_chance_hits(text: str, spans: list[Span]) -> list[Span]:
    """Spans of a JSON text but those that run over neighbouring numbers of a table.

    A span with words between its values (`"앞자리": "901010", "뒷자리": "1234567"`) stays, and so does
    a certain one that is a list of single digits.
    """
    inside = literals(text) if spans else []
    if not _is_crowded(text, inside):
        return spans
    return [
        span
        for span in spans
        if len(literals_within(inside, span.start, span.end)) <= 1
        or any(map(str.isalpha, text[span.start : span.end]))
        or (span.score >= _CERTAIN and _SPELLED.fullmatch(text, span.start, span.end))
    ]


def _is_crowded(text: str, inside: list[Literal]) -> bool:
    """Whether there are too many values with digits, or too many single digits in lists."""
    digits = values = 0
    for before, literal in pairwise([None, *inside]):
        if literal is None or literal.is_key or not _DIGIT.search(text, literal.start, literal.end):
            continue
        if literal.end - literal.start == 1 and not (before and before.is_key):
            digits += 1
        else:
            values += 1
        if digits > MOST_DIGITS or values > _MOST_VALUES:
            return True
    return False


def _values(part: int, text: str) -> list[Piece]:
    inside = literals(text)
    if _is_crowded(text, inside):
        return []
    return [_value(part, text, literal) for literal in inside if not literal.is_key]


def _value(part: int, text: str, literal: Literal) -> Piece:
    raw = text[literal.start : literal.end]
    if len(raw) > _LONGEST_ESCAPED and "\\" in raw:
        return Piece(part, "")
    plain = unescape(raw)
    return Piece(part, plain.text, literal.start, plain.origins)
