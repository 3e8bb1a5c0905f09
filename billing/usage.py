"""What one attempt used, in disjoint classes. Pure values: no price, no provider, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class UsageSource(StrEnum):
    """Where the figures of a charge come from."""

    REPORTED = "reported"
    """The provider's final usage."""
    PARTIAL = "partial"
    """The provider reported some of it, e.g. the input before a stream broke."""
    ESTIMATED = "estimated"
    """Nobody reported it; a labelled estimate."""
    RECONCILED = "reconciled"
    """A provider's bill or usage export, later; of reconciliations only."""
    NONE = "none"
    """Nothing was used: the attempt was proven unsent, or the provider refused it without usage."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Disjoint quantities of one attempt; their sum is what the provider counted, none twice.

    `None` means "not stated" (absent or null at the provider), 0 means "stated to be none".
    Tokens unless a name says otherwise. `quarantined` marks a report whose components do not add up
    to the provider's own total: it is kept, flagged, and priced on the safe (higher) side.
    Source of each provider's conventions: docs/providers.md.
    """

    input: int | None = None
    """Uncached text input."""
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    """Visible output, without reasoning and without audio or image output."""
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    requests: int | None = None
    searches: int | None = None
    images: int | None = None
    characters: int | None = None
    audio_ms: int | None = None
    """Milliseconds of audio heard or spoken."""
    video_ms: int | None = None
    quarantined: bool = False

    def __post_init__(self) -> None:
        if min(filter(None, _quantities(self)), default=0) < 0:
            negative = {name: value for name, value in self.classes() if value < 0}
            raise ValueError(f"usage classes are negative: {negative}")

    def classes(self) -> Iterator[tuple[str, int]]:
        """Return (class, quantity) of every class that is stated and not zero, in a fixed order."""
        quantities = _quantities(self)
        return compress(zip(CLASSES, quantities, strict=True), quantities)

    @property
    def input_tokens(self) -> int:
        """All tokens that went in: uncached, cached, audio and image."""
        return sum(filter(None, _input_quantities(self)))

    @property
    def output_tokens(self) -> int:
        """All tokens that came out: visible, reasoning, audio and image."""
        return sum(filter(None, _output_quantities(self)))

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


INPUT_TOKEN_CLASSES = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
)
OUTPUT_TOKEN_CLASSES = ("output", "reasoning", "audio_output", "image_output")
TOKEN_CLASSES = INPUT_TOKEN_CLASSES + OUTPUT_TOKEN_CLASSES
CLASSES = tuple(f.name for f in fields(Usage) if f.name != "quarantined")

# One call each instead of one per class: a charge goes through its classes eight times.
_quantities = attrgetter(*CLASSES)
_input_quantities = attrgetter(*INPUT_TOKEN_CLASSES)
_output_quantities = attrgetter(*OUTPUT_TOKEN_CLASSES)
