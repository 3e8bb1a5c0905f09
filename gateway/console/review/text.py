"""A stored text as runs that a page can show without harm: findings in place, long stretches left out. Pure.

What can disguise a text is named instead of obeyed: controls that turn the writing direction, characters
nobody sees, control characters. HTML needs nothing here, since templates escape all of it. A text of a
megabyte is cut to what stands around its findings. What is masked comes masked from the desk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.incidents.records import Piece

AROUND: Final = 600
"""Characters shown on either side of a finding, at the beginning of a text, and of a long value's ends."""
MOST_SPANS: Final = 200
"""Findings shown in one text; a page with more is no longer read but scrolled."""

_ODD: Final = re.compile(
    "([\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff])"
)
"""Controls, direction marks, fillers, lone surrogates and tags: what is there but is not seen."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of a shown text.

    `text`: of "plain" and "open" (a finding that may be seen) the characters, of "odd" the name of a code
    point, of "cut" how many characters were left out, of "masked" nothing. `span` numbers the finding.
    """

    kind: Literal["plain", "masked", "open", "odd", "cut"]
    text: str
    span: int = -1
    type: str = ""


def runs(pieces: Sequence[Piece]) -> list[Run]:
    """Return what to show of a part's pieces, in order."""
    shown: list[Run] = []
    spans = 0
    for index, piece in enumerate(pieces):
        if piece.span is not None:
            spans += 1
            shown += _value(piece, piece.span)
        else:
            shown += _stretch(piece.text, first=index == 0, last=index == len(pieces) - 1)
        if spans == MOST_SPANS and index < len(pieces) - 1:
            return [*shown, Run("cut", str(sum(len(left.text) for left in pieces[index + 1 :])))]
    return shown


def _value(piece: Piece, span: int) -> Iterator[Run]:
    if not piece.revealed:
        yield Run("masked", "", span, piece.type)
        return
    for run in _stretch(piece.text, first=False, last=False):
        yield Run("open", run.text, span, piece.type) if run.kind == "plain" else run


def _stretch(text: str, *, first: bool, last: bool) -> Iterator[Run]:
    """Yield a stretch, its far middle left out; at the end of a text nothing stands behind the cut."""
    tail = 0 if last and not first else AROUND
    if len(text) <= AROUND + tail:
        yield from _visible(text)
        return
    yield from _visible(text[:AROUND])
    yield Run("cut", str(len(text) - AROUND - tail))
    yield from _visible(text[len(text) - tail :])


def _visible(text: str) -> Iterator[Run]:
    for index, part in enumerate(_ODD.split(text.replace("\r\n", "\n"))):
        if part:
            yield Run("odd", f"U+{ord(part):04X}") if index % 2 else Run("plain", part)
