"""What a detector is, and how its failure is said. No detector lives here.

A detector reads one *folded* text (see filters/fold.py) and returns spans in the coordinates of that
text; the engine maps them back to the original. It keeps no state between calls, does no input or
output, and lets nothing of the text into an exception: the engine turns whatever it raises into
`DetectorError`, and the caller refuses the request (fail closed).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from filters.spans import Span


class DetectorError(Exception):
    """A detector failed or ran out of time: the text counts as unscanned and must not leave.

    `detector` is the detector's name; the message never holds text of the prompt.
    """

    def __init__(self, detector: str, reason: str) -> None:
        super().__init__(f"{detector}: {reason}")
        self.detector = detector
        self.reason = reason


MAX_MATCHES: Final = 20_000
"""Of one kind in one text. No honest text holds more; a hostile one is refused before it costs seconds."""

_Item = TypeVar("_Item")


def limited(items: Iterable[_Item], owner: str, most: int = MAX_MATCHES) -> Iterator[_Item]:
    """The items, or `DetectorError` in the name of `owner` when there are more than `most`."""
    iterator = iter(items)
    yield from islice(iterator, most)
    for _ in iterator:
        raise DetectorError(owner, "TooMany")


class Detector(Protocol):
    """One recogniser of the engine."""

    @property
    def name(self) -> str:
        """A stable name for receipts and errors, such as `numbers` or `secrets`."""
        ...

    @property
    def gates(self) -> Sequence[str]:
        """RE2 patterns of which one must occur in a text before `find` is called; empty means always."""
        ...

    def find(self, text: str) -> list[Span]:
        """Spans in code points of `text`, in any order, overlaps allowed."""
        ...
