"""The engine: fold, gate, detect, map back, resolve. `Engine.detect` is what the rest of Haechi calls.

It decides nothing: what happens to a finding is policy (filters/policy.py). It holds no text after
a call returns and is safe to share between threads. Any failure of a detector is a `DetectorError`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from filters import spans as types
from filters.detector import MAX_MATCHES, Detector, DetectorError
from filters.detectors.columns import Columns
from filters.detectors.contacts import Emails, IpAddresses
from filters.detectors.custom import MIN_SCORE, CustomDetector, CustomRule
from filters.detectors.documents import BirthDates, CustomsCodes, Passports, Vehicles
from filters.detectors.english import english_detectors
from filters.detectors.language import Addresses, Persons
from filters.detectors.markings import Markings
from filters.detectors.numbers import BackHalves, Halves, Numbers, PartialResidents
from filters.detectors.secrets import Credentials, Passwords, PrivateKeys, VendorKeys
from filters.fold import Folded, fold
from filters.gate import Gate
from filters.joined import find_joined
from filters.memory import release_after
from filters.resolve import resolve
from filters.views import VIEWS, Reading, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from filters.spans import Span

RULES_VERSION: Final = "2026.11.6"
"""Raised with every change of what is found; docs/filter.md keeps the changelog."""

THRESHOLD: Final = MIN_SCORE
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
        anywhere: list[Detector] = [
            Numbers(),
            Halves(),
            BackHalves(),
            Emails(),
            Passports(),
            CustomsCodes(),
            VendorKeys(),
            Credentials(),
            *english_detectors(),
        ]
        """What survives a disguise: read in every view of the text."""
        as_written: list[Detector] = [
            PartialResidents(),
            IpAddresses(),
            Vehicles(),
            BirthDates(),
            Markings(),
            Passwords(),
        ]
        of_the_whole: list[Detector] = [PrivateKeys(), *own, Columns(), Addresses(), Persons()]
        """What may be long, or learns from the whole text: never read in pieces."""
        self._detectors = [*anywhere, *as_written, *of_the_whole]
        local = len(anywhere) + len(as_written)
        self._local = frozenset(range(local))
        self._whole = frozenset(range(local, len(self._detectors)))
        self._in_views = frozenset(range(len(anywhere))) | frozenset(range(local, local + 1 + len(own)))
        self._views = frozenset(range(len(self._detectors), len(self._detectors) + len(VIEWS)))
        self._gate = Gate(
            [*(detector.gates for detector in self._detectors), *(view.gates for view in VIEWS)]
        )

    def detect(self, text: str) -> list[Span]:
        """Sorted, disjoint spans in code points of `text`. Raises `DetectorError`: refuse the text."""
        with _sealed("engine"):
            try:
                return resolve(self._found(text))
            finally:
                release_after(text)

    def detect_joined(self, texts: Sequence[str]) -> list[tuple[int, Span]]:
        """Identifiers that run across the borders of consecutive strings.

        Each comes as one piece per string it touches: (index of the string, span within it). What a
        single string holds alone is left to `detect`.
        """
        with _sealed("joined"):
            return find_joined(texts, self._identifiers)

    def _found(self, text: str) -> list[Span]:
        folded = fold(text)
        fired: set[int] = set()
        spans: list[Span] = []
        for part in folded.pieces():
            owners = self._gate.owners(part.text)
            fired |= owners
            self._read_by(owners & self._local, part, spans)
            self._in_all_views(owners, part, spans)
            if len(spans) > MAX_MATCHES:
                raise DetectorError("engine", "TooMany")
        self._read_by(fired & self._whole, folded, spans)
        return spans

    def _identifiers(self, text: str) -> list[Span]:
        """What `_found` finds without names, addresses, markings and the like."""
        folded = fold(text)
        owners = self._gate.owners(folded.text)
        spans: list[Span] = []
        self._read_by(owners & self._in_views, folded, spans)
        self._in_all_views(owners, folded, spans)
        return spans

    def _in_all_views(self, owners: AbstractSet[int], folded: Folded, spans: list[Span]) -> None:
        for index in sorted(owners & self._views):
            reading = read(VIEWS[index - len(self._detectors)], folded)
            if reading is not None:
                self._in_view(reading, spans)

    def _in_view(self, reading: Reading, spans: list[Span]) -> None:
        """Findings that touch what the view changed; only its surroundings are read again."""
        for start, end in reading.stretches():
            part = reading.folded.part(start, end)
            owners = self._gate.owners(part.text) & self._in_views
            self._read_by(owners, part, spans, reading.changes_from(start))

    def _read_by(
        self,
        owners: Iterable[int],
        folded: Folded,
        spans: list[Span],
        wanted: Callable[[int, int], bool] | None = None,
    ) -> None:
        """Add what some detectors find, in the original's coordinates; `wanted` judges the folded ones."""
        for owner in owners:
            detector = self._detectors[owner]
            try:
                found = detector.find(folded.text)
            except DetectorError:
                raise
            except Exception as failure:  # noqa: BLE001 - its message might quote the text
                raise DetectorError(detector.name, type(failure).__name__) from None
            spans += [
                folded.traced(span)
                for span in found
                if span.score >= THRESHOLD and (wanted is None or wanted(span.start, span.end))
            ]


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


class _sealed:  # noqa: N801 - reads as a statement
    """Turns any failure within into a `DetectorError` without its message, which might quote the text."""

    __slots__ = ("_owner",)

    def __init__(self, owner: str) -> None:
        self._owner = owner

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, _: object) -> None:
        if isinstance(failure, Exception) and not isinstance(failure, DetectorError):
            raise DetectorError(self._owner, type(failure).__name__) from None
