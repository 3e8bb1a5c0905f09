"""JSON inside a string (tool-call arguments, tool results): read unescaped, masked within its literals.

Works on the text itself and never re-serialises it, so order, spacing and duplicate keys stay as
they are and nothing hides in what a parser would drop. No detection and no policy here.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

import orjson

_OPENS_CONTAINER: Final = re.compile(r"\s*[\[{]")
_LITERAL: Final = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?|-?\d[\d.eE+-]*+')
_ESCAPES: Final = re.compile(
    r"(?P<plain>(?:\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})+)|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.",
    re.DOTALL,
)
"""A run of characters of the basic plane, a surrogate pair, a lone surrogate, or a short escape."""


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
    if _OPENS_CONTAINER.match(text) is None:
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
    for match in _ESCAPES.finditer(text):
        start, end = match.span()
        pieces += text[at:start], json.loads(f'"{match.group()}"')
        origins.extend(range(at, start))
        origins.extend(range(start, end, 6) if match.group("plain") else (start,))
        at = end
    pieces.append(text[at:])
    origins.extend(range(at, len(text) + 1))
    return Unescaped("".join(pieces), origins)


def literals_within(found: list[Literal], start: int, end: int) -> list[Literal]:
    """Those of sorted literals that share a character with a range."""
    first = bisect_right(found, start, key=lambda literal: literal.end)
    last = bisect_left(found, end, lo=first, key=lambda literal: literal.start)
    return found[first:last]


def quote_inside(value: str) -> str:
    """`value` as it stands between the quotes of a JSON string."""
    return json.dumps(value, ensure_ascii=False)[1:-1]
