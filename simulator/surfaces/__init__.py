"""What is not a chat: embeddings, token counts, images, speech, transcription, video. Pure.

Each module answers a request body with a `Served`: the bytes to send and what the books say about
them, in the units by which that surface is metered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.exchange import JSON


@dataclass(frozen=True, slots=True)
class Served:
    """`billed` holds quantities by unit (`input`, `output`, `characters`, `audio_ms`, `images`, …)."""

    body: bytes = field(repr=False)
    model: str
    billed: Mapping[str, int]
    reported: JSON = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
