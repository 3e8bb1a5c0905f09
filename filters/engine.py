"""The engine: fold, gate, detect, map back, resolve. `Engine.detect` is what the rest of Haechi calls.

It decides nothing: what happens to a finding is policy (filters/policy.py). It holds no text after
a call returns and is safe to share between threads. Any failure of a detector is a `DetectorError`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from filters import spans as types
from filters.detector import Detector, DetectorError
from filters.detectors.contacts import Emails, IpAddresses
from filters.detectors.custom import CustomDetector, CustomRule
from filters.detectors.documents import BirthDates, CustomsCodes, Passports, Vehicles
from filters.detectors.english import english_detectors
from filters.detectors.language import Addresses, Persons
from filters.detectors.markings import Markings
from filters.detectors.numbers import Halves, Numbers, PartialResidents
from filters.detectors.secrets import Credentials, Passwords, PrivateKeys, VendorKeys
from filters.fold import fold
from filters.gate import Gate
from filters.joined import find_joined
from filters.resolve import resolve
from filters.views import VIEWS, Reading, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from filters.spans import Span

RULES_VERSION: Final = "2026.11.1"
"""Raised with every change of what is found; docs/filter.md keeps the changelog."""

THRESHOLD: Final = 0.5
"""A finding below it is a guess and stays in the engine; policies may ask for more."""


class Engine:
    """All detectors behind one gate.

    `rules` are the agency's own; `extra` are further detectors, such as Presidio recognisers in a
    `PresidioDetector`. `rules_version` changes with either.
    """

    def __init__(self, rules: Sequence[CustomRule] = (), extra: Iterable[Detector] = ()) -> None:
        own = [*(CustomDetector(rule) for rule in rules), *extra]
        self.rules_version = _version(rules, own)
        self.types = _BUILT_IN | {rule.type for rule in rules}
        # What survives a disguise, in every reading of the text; then what is read only as it stands.
        anywhere: list[Detector] = [
            Numbers(),
            Halves(),
            Emails(),
            Passports(),
            CustomsCodes(),
            VendorKeys(),
            PrivateKeys(),
            Credentials(),
            *english_detectors(),
            *own,
        ]
        as_written: list[Detector] = [
            PartialResidents(),
            IpAddresses(),
            Vehicles(),
            BirthDates(),
            Markings(),
            Passwords(),
            Addresses(),
            Persons(),
        ]
        self._detectors = [*anywhere, *as_written]
        self._everywhere = frozenset(range(len(anywhere)))
        self._gate = Gate(
            [*(detector.gates for detector in self._detectors), *(view.gates for view in VIEWS)]
        )

    def detect(self, text: str) -> list[Span]:
        """Sorted, disjoint spans in code points of `text`. Raises `DetectorError`: refuse the text."""
        return resolve(self._found(text, every_detector=True))

    def detect_joined(self, texts: Sequence[str]) -> list[tuple[int, Span]]:
        """Identifiers that run across the borders of consecutive strings.

        Each comes as one piece per string it touches: (index of the string, span within it). What a
        single string holds alone is left to `detect`.
        """
        return find_joined(texts, lambda text: self._found(text, every_detector=False))

    def _found(self, text: str, *, every_detector: bool) -> list[Span]:
        folded = fold(text)
        owners = self._gate.owners(folded.text)
        readers = owners if every_detector else owners & self._everywhere
        spans = [
            _moved(span, folded.origin(span.start, span.end)) for span in self._read_by(readers, folded.text)
        ]
        for index, view in enumerate(VIEWS, len(self._detectors)):
            if index in owners and (reading := read(view, folded)) is not None:
                spans += self._in_view(reading)
        return spans

    def _in_view(self, reading: Reading) -> list[Span]:
        """Findings that touch what the view changed; only its surroundings are read again."""
        spans: list[Span] = []
        for start, end in reading.stretches():
            part = reading.folded.text[start:end]
            for span in self._read_by(self._gate.owners(part) & self._everywhere, part):
                first, last = span.start + start, span.end + start
                if reading.changes(first, last):
                    spans.append(_moved(span, reading.folded.origin(first, last)))
        return spans

    def _read_by(self, owners: Iterable[int], text: str) -> list[Span]:
        return [
            span
            for owner in owners
            if owner < len(self._detectors)
            for span in _guarded(self._detectors[owner], text)
            if span.score >= THRESHOLD
        ]


def _moved(span: Span, place: tuple[int, int]) -> Span:
    return span._replace(start=place[0], end=place[1])


_BUILT_IN: Final = frozenset(
    value
    for name, value in vars(types).items()
    if name.isupper() and isinstance(value, str) and name == value
)


def _version(rules: Sequence[CustomRule], own: Sequence[Detector]) -> str:
    if not own:
        return RULES_VERSION
    described = repr([*rules, *(detector.name for detector in own)]).encode()
    return f"{RULES_VERSION}+{hashlib.blake2b(described, digest_size=4).hexdigest()}"


def _guarded(detector: Detector, text: str) -> list[Span]:
    """A detector's findings; its failure loses message and cause, which might quote the text."""
    try:
        return detector.find(text)
    except DetectorError:
        raise
    except Exception as failure:  # noqa: BLE001 - whatever fails, the text counts as unscanned
        raise DetectorError(detector.name, type(failure).__name__) from None
