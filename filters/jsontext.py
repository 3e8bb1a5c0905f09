"""JSON inside a string (tool-call arguments, tool results): read unescaped, masked within its literals.

Works on the text itself and never re-serialises it, so order, spacing and duplicate keys stay as
they are and nothing hides in what a parser would drop. No detection and no policy here.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

import orjson

_LITERAL: Final = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?|-?\d[\d.eE+-]*+')
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SIMPLE: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Literal(NamedTuple):
    """A string (its inside, without quotes) or a number of the JSON text, as a half-open range."""

    start: int
    end: int
    is_string: bool
    is_key: bool


class Unescaped(NamedTuple):
    """A JSON text with its escapes decoded. `origins[i]` is where character i begins in the original.

    `origins` has one more entry than `text` has characters; it is None when nothing was escaped.
    """

    text: str
    origins: list[int] | None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The original range behind `text[start:end]`."""
        if self.origins is None:
            return start, end
        return self.origins[start], self.origins[end]


def is_json_container(text: str) -> bool:
    """Whether the string is a whole JSON object or array."""
    head = text.lstrip()[:1]
    if head not in ("{", "["):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def literals(text: str) -> list[Literal]:
    """The string and number literals of a valid JSON text, in order."""
    return [
        Literal(*match.span(1), is_string=True, is_key=match.group(2) is not None)
        if match.group(1) is not None
        else Literal(*match.span(), is_string=False, is_key=False)
        for match in _LITERAL.finditer(text)
    ]


def unescape(text: str) -> Unescaped:
    r"""Decode every escape of a valid JSON text once. `\"` becomes a quote: read it, do not parse it."""
    if "\\" not in text:
        return Unescaped(text, None)
    pieces: list[str] = []
    origins: list[int] = []
    at = 0
    for match in _joined_surrogates(text):
        start, end, character = match
        pieces.append(text[at:start])
        origins.extend(range(at, start))
        pieces.append(character)
        origins.append(start)
        at = end
    pieces.append(text[at:])
    origins.extend(range(at, len(text) + 1))
    return Unescaped("".join(pieces), origins)


def quote_inside(value: str) -> str:
    """`value` as it stands between the quotes of a JSON string."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _joined_surrogates(text: str) -> list[tuple[int, int, str]]:
    """Escapes as (start, end, character); a surrogate pair is one character."""
    found: list[tuple[int, int, str]] = []
    for match in _ESCAPE.finditer(text):
        start, end = match.span()
        code = match.group(1)
        character = chr(int(code, 16)) if code else _SIMPLE.get(match.group(2), match.group(2))
        if found and found[-1][1] == start and _is_pair(found[-1][2], character):
            high = found.pop()
            character = (high[2] + character).encode("utf-16", "surrogatepass").decode("utf-16")
            start = high[0]
        found.append((start, end, character))
    return found


def _is_pair(high: str, low: str) -> bool:
    return "\ud800" <= high <= "\udbff" and "\udc00" <= low <= "\udfff"
