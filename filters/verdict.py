"""The verdict over one request: what was found, what may happen to it, what the receipt says.

Pure values. Nothing here holds or prints prompt text except `Verdict.body`, the masked body, and
`Verdict.masks`, neither of which is part of a repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from filters.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from filters.spans import Span

JSON: TypeAlias = Any
NOTHING: Mapping[str, Any] = MappingProxyType({})


_MOST_RECORDED = 1_000
"""Findings written out in a stored receipt; `counts` and `actions` count them all."""


def _nothing() -> Mapping[str, int]:
    return NOTHING


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


class Grade(IntEnum):
    """N2SF grade of a text: open, sensitive, classified. Mixed content takes the highest."""

    O = 0  # noqa: E741 - the grade's official letter
    S = 1
    C = 2


class Unread(NamedTuple):
    """A part that no detector has read. `kind` is image, audio, video, file, tokens or unknown."""

    path: str
    kind: str


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
    value_hash: str = ""
    """Keyed hash of the found value, to correlate incidents; empty where no key was given."""
    exception: str = ""
    """The id of the exception by which it passes, empty for all others."""


@record
class Receipt:
    """What was looked at and what was decided; safe to store: it holds no text.

    `action` is what the policy says; under `simulated` it was recorded and not carried out.
    `unscanned` names parts that could not be read (images, audio, files), by path.
    `counts` is findings per type. `reasons` says what raised the action beyond single findings:
    `dense_personal_data`, `grade_C`.
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
    grade_before: str = "O"
    """N2SF grade of what the client sent."""
    zone: str = ""
    simulated: bool = False
    reasons: tuple[str, ...] = ()
    actions: Mapping[str, int] = field(default_factory=_nothing)
    """Findings per action word."""
    stages_us: Mapping[str, int] = field(default_factory=_nothing)
    """Time per stage in microseconds: walk, detect, join, decide."""

    def as_record(self) -> dict[str, JSON]:
        """The receipt as plain JSON values, for the store: types, scores, rules, paths, hashes."""
        return {
            "rules_version": self.rules_version,
            "policy_version": self.policy_version,
            "zone": self.zone,
            "action": self.action.word,
            "simulated": self.simulated,
            "reasons": list(self.reasons),
            "grade_before": self.grade_before,
            "grade": self.grade,
            "parts_seen": self.parts_seen,
            "characters_seen": self.characters_seen,
            "unscanned": list(self.unscanned),
            "degraded": self.degraded,
            "counts": dict(self.counts),
            "actions": dict(self.actions),
            "elapsed_us": self.elapsed_us,
            "stages_us": dict(self.stages_us),
            "findings": [
                {
                    "path": found.path,
                    "type": found.span.type,
                    "label": found.span.label,
                    "score": found.span.score,
                    "rule": found.span.rule,
                    "action": found.action.word,
                    "value_hash": found.value_hash,
                    **({"exception": found.exception} if found.exception else NOTHING),
                }
                for found in self.findings[:_MOST_RECORDED]
            ],
        }


@record
class Verdict:
    """The decision for one request towards one zone.

    `body` is the request as it may be sent: the object given in when nothing was masked, a copy
    with tokens in place otherwise. Under BLOCK it is the masked version that could be sent instead.
    `masks` maps each token that may be restored to its original text; it lives in memory for the
    request and is never stored or logged.
    """

    action: Action
    findings: tuple[Finding, ...]
    body: JSON = field(repr=False)
    masks: Mapping[str, str] = field(repr=False)
    receipt: Receipt
    known: frozenset[str] = field(default=frozenset(), repr=False)
    """Identifiers of the prompt, normalised: an answer that repeats one gives nothing away."""
