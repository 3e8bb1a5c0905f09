"""Spans of texts that were inspected before: a chat client sends its whole history every time.

Holds no text: the key is a hash keyed with a random key of this process, the value is offsets. No
detection here.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from filters.spans import Span

_MOST_SPANS: Final = 64
"""Texts with more are inspected again, so that one entry stays small."""


class SeenTexts:
    """A bounded, least-recently-used memory from text to spans; `capacity` counts texts, 0 turns it off."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._spans: OrderedDict[bytes, tuple[Span, ...]] = OrderedDict()
        self._lock = Lock()

    def get(self, text: str) -> Sequence[Span] | None:
        if not self._capacity:
            return None
        key = self._hash(text)
        with self._lock:
            spans = self._spans.get(key)
            if spans is not None:
                self._spans.move_to_end(key)
            return spans

    def put(self, text: str, spans: Sequence[Span]) -> None:
        if not self._capacity or len(spans) > _MOST_SPANS:
            return
        key = self._hash(text)
        with self._lock:
            self._spans[key] = tuple(spans)
            while len(self._spans) > self._capacity:
                self._spans.popitem(last=False)

    def _hash(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()
