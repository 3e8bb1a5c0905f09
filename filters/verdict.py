"""The verdict over one request: what was found, what may happen to it, what the receipt says.

Pure values. Nothing here holds or prints prompt text except `Verdict.body`, the masked body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from filters.spans import Span


class Action(IntEnum):
    """What happens to a finding or a request; the highest of its findings decides a request."""

    ALLOW = 0
    MASK = 1
    ROUTE = 2
    """Only an in-house deployment may answer."""
    BLOCK = 3

    @property
    def word(self) -> str:
        """The name used in configuration, receipts and APIs: allow, mask, route, block."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One span of one string of the request, with what the policy does to it.

    `path` locates the string as a person would write it: `messages[1].content`,
    `messages[0].content[2].text`, `tools[0].function.description`.
    """

    path: str
    span: Span
    action: Action
    token: str = ""
    """The mask token that stands in its place, empty unless masked."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was looked at and what was decided; safe to store: it holds no text.

    `unscanned` names parts that could not be read (images, audio, files), by path.
    """

    rules_version: str
    policy_version: str
    parts_seen: int
    characters_seen: int
    unscanned: tuple[str, ...]
    action: Action
    counts: Mapping[str, int]
    grade: str
    """N2SF grade of what would leave: C, S or O."""
    elapsed_us: int
    degraded: bool = False
    findings: tuple[Finding, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision for one request towards one zone.

    `body` is the request as it may be sent: the object given in when nothing was masked, a copy
    with tokens in place otherwise. `masks` maps each token to its original text; it lives in memory
    for the request and is never stored or logged.
    """

    action: Action
    findings: tuple[Finding, ...]
    body: Any
    masks: Mapping[str, str] = field(repr=False)
    receipt: Receipt
