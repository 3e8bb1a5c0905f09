"""The engine: fold, gate, detect, map back, resolve. `Engine.detect` is what the rest of Haechi calls.

It decides nothing: what happens to a finding is policy (filters/policy.py). It holds no text after
a call returns and is safe to share between threads. Any failure of a detector is a `DetectorError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from filters.detector import Detector, DetectorError
from filters.detectors.contacts import Emails, IpAddresses
from filters.detectors.documents import BirthDates, CustomsCodes, Passports, Vehicles
from filters.detectors.markings import Markings
from filters.detectors.numbers import Halves, Numbers, PartialResidents
from filters.fold import Folded, fold
from filters.gate import Gate
from filters.resolve import resolve
from filters.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RULES_VERSION: Final = "2026.11.1"
"""Raised with every change of what is found; docs/filter.md keeps the changelog."""


class Engine:
    """All detectors behind one gate.

    `extra` are further detectors: agency rules, recognisers from elsewhere.
    """

    def __init__(self, extra: Iterable[Detector] = ()) -> None:
        self.rules_version = RULES_VERSION
        self._detectors: list[Detector] = [
            Numbers(),
            Halves(),
            PartialResidents(),
            Emails(),
            IpAddresses(),
            Passports(),
            CustomsCodes(),
            Vehicles(),
            BirthDates(),
            Markings(),
            *extra,
        ]
        self._gate = Gate([detector.gates for detector in self._detectors])

    def detect(self, text: str) -> list[Span]:
        """Sorted, disjoint spans in code points of `text`. Raises `DetectorError`: refuse the text."""
        folded = fold(text)
        return resolve(self._found(folded))

    def detect_joined(self, texts: Sequence[str]) -> list[tuple[int, Span]]:
        """Identifiers that run across the borders of consecutive strings and are found in none alone.

        Each comes as one piece per string it touches: (index of the string, span within it).
        """
        del texts
        return []

    def _found(self, folded: Folded) -> list[Span]:
        spans: list[Span] = []
        for owner in self._gate.owners(folded.text):
            for span in _guarded(self._detectors[owner], folded.text):
                start, end = folded.origin(span.start, span.end)
                spans.append(span._replace(start=start, end=end))
        return spans


def _guarded(detector: Detector, text: str) -> list[Span]:
    try:
        return detector.find(text)
    except DetectorError:
        raise
    except Exception as failure:
        raise DetectorError(detector.name, type(failure).__name__) from None
