"""The facade of the filter: `Inspector.detect` reads a whole request once, `decide` judges it per zone.

Fail closed: whatever goes wrong in here becomes a FilterRefusal, and the caller sends nothing. No
policy is applied here. The only thing kept between calls is spans under keyed hashes and, per
conversation, a short expiring tail of digits.
"""

from __future__ import annotations

import re
import time
from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol

from filters.conversation import TailMemory
from filters.decision import UNIQUE_TYPES, Found
from filters.detector import DetectorError
from filters.errors import DetectorFailed, Unscannable
from filters.jsontext import unescape
from filters.neighbours import Piece, beginning, newest_said, pieces_of, without_chance_hits
from filters.records import record
from filters.seen import SeenTexts
from filters.walker import Kind, Limits, walk, written_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from filters.spans import Span
    from filters.verdict import JSON, Unread
    from filters.walker import Part, Walk

_CERTAIN: Final = 0.8
"""Score from which a finding counts inside an id of the wire format."""


_EARLIER: Final = -1
"""Stands for the request before this one among the numbers of parts."""

_MACHINE_ID: Final = re.compile(r"[A-Za-z][\w.:/+=-]*", re.ASCII)


class Detector(Protocol):
    """What `filters.engine.Engine` offers."""

    rules_version: str

    def detect(self, text: str) -> list[Span]: ...

    def detect_joined(self, texts: Sequence[str]) -> list[tuple[int, Span]]: ...


@record
class Detection:
    """Everything found in one request, before any policy. Lives as long as the request."""

    body: JSON = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    found: tuple[Found, ...]
    unread: tuple[Unread, ...]
    parts_seen: int
    characters: int
    rules_version: str
    elapsed_us: int
    stages_us: Mapping[str, int]
    degraded: bool = False


class Inspector:
    """Detection over whole requests; safe to share between threads.

    `time_budget_s` bounds one request, checked between strings (each detector bounds itself).
    """

    def __init__(
        self,
        engine: Detector,
        limits: Limits | None = None,
        *,
        time_budget_s: float = 5.0,
        remembered: int = 4096,
    ) -> None:
        self.engine = engine
        self.limits = limits or Limits()
        self.time_budget_s = time_budget_s
        self.tails = TailMemory()
        self._seen = SeenTexts(remembered)

    @property
    def rules_version(self) -> str:
        return self.engine.rules_version

    def detect(self, body: JSON, conversation: str = "", now: datetime | None = None) -> Detection:
        """Find everything in `body`: a parsed JSON request, or one string.

        With a `conversation` key and the time, a number split over two requests of that
        conversation is found too. Raises Unscannable (too deep, too large) and DetectorFailed.
        """
        began = time.perf_counter_ns()
        walked = walk(body, self.limits)
        walked_at = time.perf_counter_ns()
        found = self._each(walked, began)
        detected_at = time.perf_counter_ns()
        joined = self._across(walked)
        if conversation and now is not None:
            joined += self._over_requests(walked, conversation, now)
        found += _unknown(joined, found)
        joined_at = time.perf_counter_ns()
        return Detection(
            body=body,
            parts=tuple(walked.parts),
            found=tuple(sorted(found, key=lambda f: (f.part, f.span.start))),
            unread=tuple(walked.unread),
            parts_seen=walked.seen,
            characters=walked.characters,
            rules_version=self.engine.rules_version,
            elapsed_us=(joined_at - began) // 1000,
            stages_us={
                "walk": (walked_at - began) // 1000,
                "detect": (detected_at - walked_at) // 1000,
                "join": (joined_at - detected_at) // 1000,
            },
            degraded=bool(getattr(self.engine, "degraded", False)),
        )

    def _each(self, walked: Walk, began_ns: int) -> list[Found]:
        deadline = began_ns + int(self.time_budget_s * 1e9)
        found: list[Found] = []
        for index, part in enumerate(walked.parts):
            if not part.text:
                continue
            found += [Found(index, span) for span in self._in_part(part)]
            if len(found) > self.limits.findings:
                raise Unscannable("too_large")
            if time.perf_counter_ns() > deadline:
                raise DetectorFailed(written_path(part.where), "timeout")
        return found

    def _in_part(self, part: Part) -> Iterable[Span]:
        if part.kind is Kind.TEXT and not part.name:
            return self._spans(part.text, part)
        if part.kind is Kind.JSON_TEXT:
            plain = unescape(part.text)
            spans = [_moved(s, *plain.origin(s.start, s.end)) for s in self._spans(plain.text, part)]
            return without_chance_hits(part.text, spans)
        if part.kind is Kind.PROTOCOL:
            return _certain(part.text, self._spans(part.text, part))
        if part.name:
            return self._named(part)
        return self._spans(part.text, part)

    def _named(self, part: Part) -> list[Span]:
        """A structured value read as `성명: 홍길동`: its key is the context that gives it its meaning."""
        lead = f"{part.name}: "
        shift = len(lead)
        return [
            s._replace(start=max(s.start - shift, 0), end=s.end - shift)
            for s in self._spans(lead + part.text, part)
            if s.end > shift
        ]

    def _spans(self, text: str, part: Part) -> Sequence[Span]:
        key = self._seen.key_of(text)
        known = self._seen.get(key)
        if known is not None:
            return known
        try:
            spans = self.engine.detect(text)
        except DetectorError as failure:
            raise DetectorFailed(written_path(part.where), failure.reason) from None
        except Exception as failure:  # noqa: BLE001 - any failure means unscanned; its text may hold the prompt
            raise DetectorFailed(written_path(part.where), type(failure).__name__) from None
        self._seen.put(key, spans)
        return spans

    def _across(self, walked: Walk) -> list[Found]:
        """Numbers split over consecutive strings, and over consecutive messages of the user."""
        pieces = pieces_of(walked.parts)
        found = self._joined(pieces)
        users = [piece for piece in pieces if walked.parts[piece.part].role == "user"]
        if 1 < len(users) < len(pieces):
            found += self._joined(users)
        return found

    def _joined(self, pieces: list[Piece]) -> list[Found]:
        if len(pieces) < 2:
            return []
        try:
            hits = self.engine.detect_joined([piece.text for piece in pieces])
        except Exception as failure:  # noqa: BLE001 - as above
            raise DetectorFailed("joined texts", type(failure).__name__) from None
        return [
            Found(pieces[index].part, _moved(span, *pieces[index].origin(span.start, span.end)))
            for index, span in hits
        ]

    def _over_requests(self, walked: Walk, conversation: str, now: datetime) -> list[Found]:
        """Numbers that began in the conversation's request before this one and end in its newest message."""
        newest = newest_said(walked.parts)
        tail = self.tails.check(conversation, [piece.text for piece in newest], now)
        earlier = [Piece(_EARLIER, piece) for piece in tail]
        near = beginning(newest)
        joined = [found for begin in range(len(tail)) for found in self._joined([*earlier[begin:], *near])]
        return [found for found in joined if found.part != _EARLIER]


def _unknown(more: list[Found], found: list[Found]) -> list[Found]:
    """Those of `more` that `found` does not say of the same place, each once.

    A digit of a resident number may be the last one of a telephone number too: policy takes the stricter.
    """
    known = {(one.part, one.span.start, one.span.end, one.span.type) for one in found}
    fresh = {(one.part, one.span.start, one.span.end, one.span.type): one for one in more}
    return [one for place, one in fresh.items() if place not in known]


def _moved(span: Span, start: int, end: int) -> Span:
    return span._replace(start=start, end=end)


def _certain(text: str, spans: Sequence[Span]) -> Sequence[Span]:
    """In an id of letters and digits only what is unique and certain counts: ids look like anything."""
    if _MACHINE_ID.fullmatch(text) is None:
        return spans
    return [span for span in spans if span.type in UNIQUE_TYPES and span.score >= _CERTAIN]
