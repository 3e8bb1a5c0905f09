"""Incidents as values: what the queue lists, what a detail holds, what a reviewer may ask. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.incidents.states import Refusal, Resolution, Severity, State

Origin = Literal["filter", "report"]
"""Who made an incident of a request: the filter's verdict, or the member of staff who sent it."""
NOBODY: Final = "-"
"""Stands for "no assignee" in a filter."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One row of the queue. `id` is the request's id, which is the receipt's."""

    id: str
    at: datetime
    origin: Origin
    action: str
    """allow, mask, route or block: what the gateway did."""
    severity: Severity
    department_id: str
    unit_path: tuple[str, ...]
    person_id: str
    key_id: str
    model_id: str
    surface: str
    zone: str
    grade: str
    rules_version: str
    policy_version: str
    reasons: tuple[str, ...]
    counts: Mapping[str, int]
    """Findings per type."""
    findings: int
    state: State
    resolution: Resolution | None
    assignee: str | None
    """A login of the console."""
    version: int
    """Raised by every change; whoever changes names the version that they saw."""
    due_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    reported_at: datetime | None
    """When the member of staff reported a false alarm (오탐 신고)."""


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A distinct finding of an incident, without its text. `score` is in [0, 1], `times` how often."""

    place: int
    type: str
    label: str
    rule: str
    action: str
    value_hash: str
    finding_key_id: str
    path: str
    score: float
    times: int


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of an incident's history."""

    at: datetime
    actor: str
    action: str
    """`assign`, `start`, `resolve`, `reopen`, `report`, `reveal`, `reveal_ask`, `exception.propose`, …"""
    reason: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What to list. Empty fields let everything through."""

    states: frozenset[State] = frozenset()
    resolution: Resolution | None = None
    severities: frozenset[Severity] = frozenset()
    department: str = ""
    """A unit's code; units below it are included."""
    person: str = ""
    model: str = ""
    assignee: str = ""
    """A login; `-` for those that nobody has."""
    type: str = ""
    rule: str = ""
    value_hash: str = ""
    action: str = ""
    surface: str = ""
    origin: str = ""
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    overdue_at: datetime | None = None
    """Only those not resolved whose verdict was due before this moment."""
    reported: bool | None = None
    id: str = ""
    """The beginning of an id."""


ORDERS: Final = ("at", "due", "severity", "changed", "department", "person", "findings")
"""What a list can be ordered by; with a hyphen in front descending. `-at` is the newest first."""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Live counts over the queue."""

    new: int
    in_review: int
    resolved: int
    overdue: int
    unassigned: int
    """Not resolved, and nobody has it."""
    mine: int
    """Not resolved, and the one who asks has it."""
    reported: int
    """Not resolved, and reported as a false alarm."""
    by_severity: Mapping[str, int]
    """Not resolved, by severity's word."""

    @property
    def open(self) -> int:
        return self.new + self.in_review


@dataclass(frozen=True, slots=True)
class Seen:
    """An incident as somebody saw it: its change is refused if the version moved on."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What came of a change to several incidents; each is changed by itself, or not at all."""

    done: tuple[Incident, ...]
    conflicts: tuple[Incident, ...] = ()
    """Somebody else was faster: as they stand now."""
    refused: tuple[tuple[str, Refusal], ...] = ()
    """Ids that a rule keeps from this reviewer or this step, and which rule."""
    missing: tuple[str, ...] = ()


# --- the stored text ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """One finding in a stored part; offsets count code points of the part's text, `end` exclusive."""

    start: int
    end: int
    type: str
    label: str
    score: float
    rule: str
    action: str
    value_hash: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One string of the request, as filters.walker.Part has it; `path` is how a person writes `where`."""

    where: tuple[str | int, ...] = field(repr=False)
    path: str
    role: str
    kind: int
    """filters.walker.Kind."""
    name: str = field(repr=False)
    text: str = field(repr=False)
    spans: tuple[StoredSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredText:
    """What is sealed of a prompt. `omitted` counts parts that were left out for their size."""

    parts: tuple[StoredPart, ...]
    omitted: int = 0

    @property
    def complete(self) -> bool:
        return self.omitted == 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of a part's text as a reviewer may see it; `span` numbers a finding over the whole text.

    A masked finding has `text` `█████` (five blocks, whatever its length) and `revealed` False.
    """

    text: str
    span: int | None = None
    type: str = ""
    label: str = ""
    rule: str = ""
    action: str = ""
    score: float = 0.0
    value_hash: str = ""
    revealed: bool = False


@dataclass(frozen=True, slots=True)
class ShownPart:
    path: str
    role: str
    pieces: tuple[Piece, ...]


TextState = Literal["none", "stored", "destroyed"]
"""`none`: policy stored no text. `destroyed`: its day is over, its key gone within the hour."""


@dataclass(frozen=True, slots=True)
class ShownText:
    """The text as this reviewer may see it now: open reveals of theirs are in the clear."""

    state: TextState
    parts: tuple[ShownPart, ...] = ()
    omitted: int = 0
    stored_until: datetime | None = None
    destroyed_at: datetime | None = None


RevealWhat = Literal["span", "all", "person"]


@dataclass(frozen=True, slots=True)
class Reveal:
    """A look at one span (`span` is its number), at all of the text, or at who the person is."""

    id: str
    incident_id: str
    asked_by: str
    asked_at: datetime
    reason: str
    what: RevealWhat
    span: int | None
    state: Literal["asked", "open", "refused"]
    """`asked` waits for a second person; `open` until `until`."""
    decided_by: str | None
    decided_at: datetime | None
    until: datetime | None

    def is_open(self, now: datetime) -> bool:
        return self.state == "open" and self.until is not None and now < self.until


@dataclass(frozen=True, slots=True)
class Similar:
    """Other incidents, the newest first: with an equal found value, of the person, of a rule."""

    by_value: tuple[Incident, ...]
    by_person: tuple[Incident, ...]
    by_rule: tuple[Incident, ...]
    values: int
    """How many there are in all, each; counted up to 1,000."""
    people: int
    rules: int


@dataclass(frozen=True, slots=True)
class Detail:
    incident: Incident
    findings: tuple[FoundValue, ...]
    history: tuple[Happening, ...]
    text: ShownText
    note: str | None
    """What the member of staff wrote with the report, in the clear; None: nothing, or destroyed."""
    reveals: tuple[Reveal, ...]
    person_open: bool
    """Whether a reveal of theirs shows this reviewer who the person is; else show a pseudonym."""
    near: Refusal | None
    """`own_incident` or `own_department` where the look is flagged."""


# --- exceptions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExceptionScope:
    """What may pass: findings of `type`, narrowed by at least one of the others."""

    type: str
    rule: str = ""
    department_id: str = ""
    value_hash: str = ""
    finding_key_id: str = ""
    """Of the key that `value_hash` was made with."""


ExceptionState = Literal["proposed", "approved", "refused", "revoked"]


@dataclass(frozen=True, slots=True)
class ReviewException:
    id: str
    incident_id: str | None
    scope: ExceptionScope
    reason: str
    until: datetime
    state: ExceptionState
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decided_reason: str
    ended_by: str | None
    ended_at: datetime | None
    version: int

    def in_force(self, now: datetime) -> bool:
        return self.state == "approved" and now < self.until


@dataclass(frozen=True, slots=True)
class SavedView:
    """A filter of the queue that its owner named. `query` is the query string of the page."""

    id: str
    owner: str
    name: str
    query: str
    saved_at: datetime
