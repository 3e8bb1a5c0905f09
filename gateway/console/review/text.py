"""A stored text as pieces that a page can show without harm: spans masked in place, long stretches left out. Pure.

What can disguise a text is named instead of obeyed: controls that turn the writing direction, characters
nobody sees, control characters. HTML needs nothing here, since templates escape all of it. A text of a
megabyte is cut to what stands around its findings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["text", "masked", "open", "odd", "cut"]

AROUND: Final = 600
"""Characters shown on either side of a finding, and at the beginning of a text."""
MOST_SPANS: Final = 200
"""Findings shown in one text; a page with more is no longer read but scrolled."""

_ODD: Final = re.compile(
    "([\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff])"
)
"""Controls, direction marks, fillers, lone surrogates and tags: what is there but is not seen."""


class Marked(Protocol):
    """A finding in a text. `start` and `end` count its characters."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text. `number` is the finding's place in what was handed in; -1 for no finding.

    `text`: what is shown; of "masked" nothing, of "odd" the code point's name, of "cut" how many
    characters were left out.
    """

    kind: Kind
    text: str
    number: int = -1


def pieces(text: str, found: Sequence[Marked], opened: frozenset[int] = frozenset()) -> list[Piece]:
    """Return `text` cut into pieces. `opened`: the findings (by number) whose value may be seen.

    Where findings overlap, the later one begins where the earlier ends, and one that lies wholly within
    another stays hidden with it.
    """
    shown: list[Piece] = []
    at = 0
    order = sorted(range(len(found)), key=lambda number: (found[number].start, -found[number].end))
    for number in order[:MOST_SPANS]:
        start, end = max(found[number].start, at), min(found[number].end, len(text))
        if end <= start:
            continue
        shown += _between(text[at:start], first=at == 0, last=False)
        shown += _value(text[start:end], number, is_open=number in opened)
        at = end
    if len(order) > MOST_SPANS:
        return [*shown, Piece("cut", str(len(text) - at))]
    return [*shown, *_between(text[at:], first=at == 0, last=True)]


def _between(text: str, *, first: bool, last: bool) -> Iterator[Piece]:
    """Yield a stretch without findings, its far middle left out."""
    head = AROUND
    tail = 0 if last else AROUND
    if first and not last:
        head = AROUND // 2
    if len(text) <= head + tail + 1:
        yield from _visible(text)
        return
    yield from _visible(text[:head])
    yield Piece("cut", str(len(text) - head - tail))
    yield from _visible(text[len(text) - tail :] if tail else "")


def _value(text: str, number: int, *, is_open: bool) -> Iterator[Piece]:
    if not is_open:
        yield Piece("masked", "", number)
        return
    for piece in _between(text, first=True, last=False):
        yield Piece("open", piece.text, number) if piece.kind == "text" else piece


def _visible(text: str) -> Iterator[Piece]:
    for index, part in enumerate(_ODD.split(text.replace("\r\n", "\n"))):
        if part:
            yield Piece("odd", f"U+{ord(part):04X}") if index % 2 else Piece("text", part)
