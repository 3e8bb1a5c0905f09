"""What the end of a conversation's last message may be the beginning of: a short, expiring digit tail.

Finds a number that is split over two requests of one conversation when the client sends only its
newest message. Memory of one process; at most 40 characters per conversation, nothing but digits and
what separates them, under a keyed hash of the conversation's name, for ten minutes.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_LONGEST: Final = 40
_DIGITS_AT_END: Final = re.compile(r"[A-Za-z]?\d(?:[\d\s.,\-–—_/·]*\d)?[\s.,\-–—_/·]*\Z")


Tail: TypeAlias = tuple[str, ...]
"""The pieces apart, oldest first: any of them may be where the number begins, 35000 before it is not."""


class TailMemory:
    """At most `capacity` conversations, each for `lifetime`."""

    def __init__(self, capacity: int = 10_000, lifetime: timedelta = timedelta(minutes=10)) -> None:
        self._capacity = capacity
        self._lifetime = lifetime
        self._key = secrets.token_bytes(32)
        self._tails: OrderedDict[bytes, tuple[datetime, Tail]] = OrderedDict()
        self._lock = Lock()

    def check(self, conversation: str, texts: Sequence[str], now: datetime) -> Tail:
        """The tail left by the conversation's request before this one; then remember this one's.

        `texts` are the user's strings of this request, in order. A text that is digits from end to
        end continues the tail, so a number in three pieces is found as well.
        """
        key = hashlib.blake2b(conversation.encode(), key=self._key, digest_size=16).digest()
        with self._lock:
            before = self._fresh(key, now)
            after: Tail = () if not texts else before
            for text in texts:
                after = _tail_after(after, text)
            self._tails.pop(key, None)
            if after:
                self._tails[key] = (now + self._lifetime, after)
                while len(self._tails) > self._capacity:
                    self._tails.popitem(last=False)
        return before

    def forget_expired(self, now: datetime) -> int:
        """Drop what has expired; returns how many conversations are left."""
        with self._lock:
            for key in [key for key, (until, _) in self._tails.items() if until <= now]:
                del self._tails[key]
            return len(self._tails)

    def _fresh(self, key: bytes, now: datetime) -> Tail:
        until_and_tail = self._tails.get(key)
        if until_and_tail is None or until_and_tail[0] <= now:
            return ()
        return until_and_tail[1]


def _tail_after(before: Tail, text: str) -> Tail:
    stripped = text.strip()
    match = _DIGITS_AT_END.search(stripped[-_LONGEST:])
    if match is None:
        return ()
    whole = match.start() == 0 and len(stripped) <= _LONGEST
    tail = (*before, match.group()) if whole else (match.group(),)
    while sum(map(len, tail)) > _LONGEST:
        tail = tail[1:]
    return tail
