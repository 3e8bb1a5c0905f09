"""What only language gives away, names and addresses, in the shape of the engine's detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filters.detectors import addresses, names

if TYPE_CHECKING:
    from filters.spans import Span


class Persons:
    """PERSON by the lexicon scorer of filters/detectors/names.py; it reads every text."""

    name = "persons"
    gates = ()

    def __init__(self) -> None:
        names.find("김민준")  # reads the lexicon now, not in the first request

    def find(self, text: str) -> list[Span]:
        return names.find(text)


class Addresses:
    """KR_ADDRESS by filters/detectors/addresses.py."""

    name = "addresses"
    gates = addresses.GATES

    def find(self, text: str) -> list[Span]:
        return addresses.find(text)
