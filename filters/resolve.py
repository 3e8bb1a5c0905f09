"""Overlap resolution: of findings that claim the same characters, the best one stays. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from filters.spans import Span


def resolve(spans: Sequence[Span]) -> list[Span]:
    """Non-overlapping spans in order: higher score first, then the longer, then the earlier one wins."""
    ordered = sorted(spans)
    if all(left.end <= right.start for left, right in pairwise(ordered)):
        return ordered  # as almost always
    kept: list[tuple[int, int, Span]] = []
    for span in sorted(set(spans), key=_rank):
        if not _overlaps(kept, span):
            insort(kept, (span.start, span.end, span))
    return [span for _, _, span in kept]


def _rank(span: Span) -> tuple[float, int, int, str, str]:
    return (-span.score, span.start - span.end, span.start, span.type, span.rule)


def _overlaps(kept: list[tuple[int, int, Span]], span: Span) -> bool:
    """Whether a kept span shares a character with `span`; kept spans are disjoint and sorted."""
    index = bisect_left(kept, (span.end,))
    return index > 0 and kept[index - 1][1] > span.start
