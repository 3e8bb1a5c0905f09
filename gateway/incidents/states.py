"""States, verdicts, severity and deadlines of incidents, and who may open one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final, Literal

from filters import spans
from filters.verdict import Action
from gateway.working_days import working_days_later

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from gateway.audit import Actor
    from gateway.incidents.records import Incident


class State(StrEnum):
    NEW = "new"
    IN_REVIEW = "in_review"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """The reviewer's verdict."""

    TRUE_POSITIVE = "true_positive"
    FALSE_POSITIVE = "false_positive"
    EXCEPTION = "exception"
    """A finding that is right, and may pass for a reason: an exception was proposed."""
    ESCALATED = "escalated"
    """Handed on to those who deal with breaches."""


class Severity(IntEnum):
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The name used in APIs and configuration: low, medium, high, critical."""
        return self.name.lower()


SEVERITIES: Final[Mapping[str, Severity]] = {one.word: one for one in Severity}

CRITICAL_TYPES: Final = frozenset({spans.KR_RRN, spans.KR_FRN, spans.SECRET})
"""고유식별정보 of everybody, and what opens doors."""
HIGH_TYPES: Final = frozenset(
    {spans.KR_PASSPORT, spans.KR_DRIVER_LICENSE, spans.CREDIT_CARD, spans.SECURITY_MARKING}
)
DENSE: Final = "dense_personal_data"
MANY: Final = 5
"""Findings from which a request holds many."""


def severity_of(action: Action, counts: Mapping[str, int], reasons: Collection[str], grade: str) -> Severity:
    """Return how much a request weighs: `counts` is findings per type, `grade` that of what was sent."""
    if grade == "C" or DENSE in reasons:
        return Severity.CRITICAL
    if action is Action.BLOCK and CRITICAL_TYPES & counts.keys():
        return Severity.CRITICAL if sum(counts.values()) >= MANY else Severity.HIGH
    if action is Action.BLOCK or (CRITICAL_TYPES | HIGH_TYPES) & counts.keys():
        return Severity.HIGH
    if action is Action.ROUTE or sum(counts.values()) >= MANY:
        return Severity.MEDIUM
    return Severity.LOW


# --- what may follow what -----------------------------------------------------------------------------

Refusal = Literal["own_incident", "own_department", "wrong_state"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an incident."""

    state: State
    assignee: str | None
    resolution: Resolution | None = None

    def told(self, before: Incident) -> dict[str, str | None]:
        """Return what the history says of it: only what changed."""
        told: dict[str, str | None] = {}
        if self.state is not before.state:
            told |= {"from": before.state.value, "to": self.state.value}
        if self.assignee != before.assignee:
            told["assignee"] = self.assignee
        if self.resolution is not None:
            told["resolution"] = self.resolution.value
        return told


def assigned(one: Incident, to: str | None) -> Change | Refusal:
    """Hand an incident to somebody, or back to the queue."""
    if one.state is State.RESOLVED:
        return "wrong_state"
    return Change(one.state, to)


def started(one: Incident, login: str) -> Change | Refusal:
    if one.state is not State.NEW:
        return "wrong_state"
    return Change(State.IN_REVIEW, one.assignee or login)


def resolved(one: Incident, resolution: Resolution, login: str) -> Change | Refusal:
    if one.state is State.RESOLVED:
        return "wrong_state"
    return Change(State.RESOLVED, one.assignee or login, resolution)


def reopened(one: Incident, login: str) -> Change | Refusal:
    if one.state is not State.RESOLVED:
        return "wrong_state"
    return Change(State.IN_REVIEW, one.assignee or login)


# --- deadlines ----------------------------------------------------------------------------------------

SLA_DAYS: Final[Mapping[Severity, int]] = {
    Severity.CRITICAL: 1,
    Severity.HIGH: 2,
    Severity.MEDIUM: 5,
    Severity.LOW: 10,
}
"""Working days until a verdict is due, unless `[review] sla_days` says otherwise."""


def due_at(at: datetime, severity: Severity, sla_days: Mapping[Severity, int] = SLA_DAYS) -> datetime:
    """Return when the verdict is due: the close of a Korean working day, in UTC."""
    return working_days_later(at, sla_days[severity])


# --- who looks ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who acts on incidents; `person_id` and `department_id` are None for an account without a person."""

    actor: Actor
    person_id: str | None = None
    department_id: str | None = None
    line: frozenset[str] = frozenset()
    """Units above and below their own department, but for the institution: whom they answer to, or lead."""

    @property
    def login(self) -> str:
        return self.actor.name


Nearness = Literal["refuse", "flag"]


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """`[review]` of haechi.toml."""

    store_text: bool = False
    """Whether the text of a request that became an incident is kept, sealed."""
    text_days: int = 30
    text_most_characters: int = 2_000_000
    """Beyond them parts are left out: first those without findings, the oldest first."""
    flag_types: frozenset[str] = field(
        default=frozenset({spans.KR_RRN, spans.KR_FRN, spans.KR_PASSPORT, spans.SECRET})
    )
    """A masked request that holds one of these becomes an incident."""
    flag_findings: int = 10
    """So does one with so many findings; 0: none for their number."""
    sla_days: Mapping[Severity, int] = field(default_factory=lambda: dict(SLA_DAYS))
    reveal_minutes: int = 10
    two_person_text: bool = False
    """Whether a second reviewer must agree before the whole text is shown."""
    own_incident: Nearness = "refuse"
    own_department: Nearness = "flag"
    exception_days_most: int = 180
    cipher: str | None = None
    """`package.module:name` of another cipher than AES-256-GCM (gateway.vault)."""


def nearness(reviewer: Reviewer, person_id: str, department_id: str) -> Refusal | None:
    """Return how near an incident is to who opens it; None: neither theirs nor their department's.

    Their department is also the units above and below it: nobody judges those they answer to.
    """
    if reviewer.person_id is not None and reviewer.person_id == person_id:
        return "own_incident"
    if department_id and (department_id == reviewer.department_id or department_id in reviewer.line):
        return "own_department"
    return None


def keeps_out(near: Refusal | None, rules: ReviewRules) -> bool:
    """Whether the institution's rules refuse somebody so near; else the look is flagged in the audit."""
    if near == "own_incident":
        return rules.own_incident == "refuse"
    return near == "own_department" and rules.own_department == "refuse"
