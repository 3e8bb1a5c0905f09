"""Identifiers that somebody split over neighbouring strings: parts, messages, turns. Pure.

Only the ends of strings matter, so the strings are laid side by side with their middles left out,
once without anything between them and once line by line; what is found across a border is cut back
into one piece per string.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from filters import checksums
from filters.detectors.labels import label_of
from filters.resolve import resolve
from filters.spans import CREDIT_CARD, KR_FRN, KR_RRN, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REACH: Final = 60
"""Characters kept at each end of a string: the longest identifier with its separators, and a label."""

_WALL: Final = "\x00" * 8
_DIGIT_NEAR: Final = 32
_HAS_DIGIT: Final = re.compile("[0-9０-９공영일이삼사오육칠팔구]")


class _Segment(NamedTuple):
    """`length` characters of a string, by its number, from `start` on, laid at `at` of the joined text."""

    at: int
    string: int
    start: int
    length: int


def find_joined(texts: Sequence[str], find: Callable[[str], list[Span]]) -> list[tuple[int, Span]]:
    """Pieces (string index, span) of identifiers that cross a border; `find` reads one text."""
    pieces: dict[tuple[int, int, int], tuple[int, Span]] = {}
    for first, last in _neighbours(texts):
        for between in ("", "\n"):
            joined, segments = _laid_out(texts, first, last, between)
            for span in resolve([*find(joined), *_bridges(joined, segments)]):
                touched = [(index, _trimmed(texts[index], piece)) for index, piece in _cut(span, segments)]
                if len({index for index, _ in touched}) > 1:
                    for index, piece in touched:
                        pieces.setdefault((index, piece.start, piece.end), (index, piece))
    return [pieces[key] for key in sorted(pieces)]


def _neighbours(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Ranges of strings whose borders all have digits near on both sides."""
    ranges: list[tuple[int, int]] = []
    for index in range(len(texts) - 1):
        if _HAS_DIGIT.search(texts[index][-_DIGIT_NEAR:]) and _HAS_DIGIT.search(
            texts[index + 1][:_DIGIT_NEAR]
        ):
            if ranges and ranges[-1][1] == index:
                ranges[-1] = (ranges[-1][0], index + 1)
            else:
                ranges.append((index, index + 1))
    return ranges


def _laid_out(texts: Sequence[str], first: int, last: int, between: str) -> tuple[str, list[_Segment]]:
    parts: list[str] = []
    segments: list[_Segment] = []
    at = 0
    for index in range(first, last + 1):
        text = texts[index]
        if index > first:
            parts.append(between)
            at += len(between)
        for start, end in _kept(text):
            if start:
                parts.append(_WALL)
                at += len(_WALL)
            parts.append(text[start:end])
            segments.append(_Segment(at, index, start, end - start))
            at += end - start
    return "".join(parts), segments


def _kept(text: str) -> list[tuple[int, int]]:
    if len(text) <= 2 * _REACH:
        return [(0, len(text))]
    return [(0, _REACH), (len(text) - _REACH, len(text))]


def _cut(span: Span, segments: list[_Segment]) -> list[tuple[int, Span]]:
    pieces = []
    for segment in segments:
        start = max(span.start, segment.at)
        end = min(span.end, segment.at + segment.length)
        if start < end:
            shift = segment.start - segment.at
            pieces.append((segment.string, span._replace(start=start + shift, end=end + shift)))
    return pieces


def _trimmed(text: str, piece: Span) -> Span:
    """Without the words that stood between the halves."""
    digits = [match.start() for match in _ANY_DIGIT.finditer(text, piece.start, piece.end)]
    return piece._replace(start=digits[0], end=digits[-1] + 1) if digits else piece


_ANY_DIGIT: Final = re.compile("[0-9]")


# --- words between the halves: "901010 이고" / "이어서 1234567" --------------------------------------------

_FRONT: Final = re.compile(r"(?<![0-9])[0-9](?:[- .]?[0-9]){2,11}(?=[^0-9]{0,14}$)")
_BACK: Final = re.compile(r"^[^0-9]{0,16}([0-9](?:[- .]?[0-9]){2,11})(?![0-9])")
_OTHER: Final = re.compile("[^0-9]+")


def _bridges(joined: str, segments: list[_Segment]) -> list[Span]:
    """Halves with words around the border: only with a check digit or a label, and a real date."""
    spans = []
    for left, right in pairwise(segments):
        if left.string == right.string:
            continue
        front = _FRONT.search(joined[left.at : left.at + left.length])
        back = _BACK.search(joined[right.at : right.at + right.length])
        if front and back:
            start, end = left.at + front.start(), right.at + back.end(1)
            labels = {label_of(joined, start, end).kind, label_of(joined, right.at + back.start(1), end).kind}
            kind = _kind(_OTHER.sub("", front.group() + back[1]), labels)
            if kind:
                spans.append(Span(start, end, kind, 0.7, "bridged"))
    return spans


def _kind(digits: str, labels: set[str]) -> str:
    if len(digits) == 13 and checksums.is_birth_date(digits):
        foreign = digits[6] in "5678"
        valid = checksums.frn_valid(digits) if foreign else checksums.rrn_valid(digits)
        if valid or labels & {"rrn", "frn"}:
            return KR_FRN if foreign else KR_RRN
    if len(digits) in {15, 16} and checksums.luhn_valid(digits) and "card" in labels:
        return CREDIT_CARD
    return ""
