"""What states, verdicts, severities and deeds of the review are called on a page. Words only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from filters.kinds import KINDS, UNREAD_KINDS, kind_text
from gateway.console.i18n import N_
from gateway.incidents.states import Resolution, Severity, State
from gateway.working_days import working_days_between

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.console.i18n import Language

SEVERITIES: Final[Mapping[Severity, tuple[str, str]]] = {
    Severity.CRITICAL: (N_("심각"), "bad"),
    Severity.HIGH: (N_("높음"), "bad"),
    Severity.MEDIUM: (N_("보통"), "warn"),
    Severity.LOW: (N_("낮음"), "plain"),
}
STATES: Final[Mapping[State, tuple[str, str]]] = {
    State.NEW: (N_("새 사건"), "info"),
    State.IN_REVIEW: (N_("검토 중"), "warn"),
    State.RESOLVED: (N_("끝남"), "good"),
}
RESOLUTIONS: Final[Mapping[Resolution, tuple[str, str]]] = {
    Resolution.TRUE_POSITIVE: (N_("정탐"), "good"),
    Resolution.FALSE_POSITIVE: (N_("오탐"), "info"),
    Resolution.EXCEPTION: (N_("예외로 인정"), "plain"),
    Resolution.ESCALATED: (N_("상급 보고"), "bad"),
}
VERDICTS: Final = (
    (Resolution.TRUE_POSITIVE, "t", N_("정탐"), N_("막을 것을 막았습니다.")),
    (Resolution.FALSE_POSITIVE, "f", N_("오탐"), N_("민감정보가 아닙니다. 예외를 제안할 수 있습니다.")),
    (
        Resolution.EXCEPTION,
        "e",
        N_("예외로 인정"),
        N_("민감정보지만 이 일에는 필요합니다. 예외를 제안하세요."),
    ),
    (Resolution.ESCALATED, "s", N_("상급 보고"), N_("유출 사고로 보고 담당자에게 넘깁니다.")),
)
"""Verdicts with the key that chooses each."""

ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "block": (N_("차단"), "bad"),
    "route": (N_("내부망으로"), "warn"),
    "mask": (N_("가림"), "info"),
    "allow": (N_("허용"), "plain"),
}

SOON: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Said:
    """A Korean text marked for the catalogue, with what fills it and how it looks."""

    text: str
    tone: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


def time_left(due: datetime, now: datetime) -> Said:
    """Say how long a verdict may still take, in working days as the deadline counts."""
    if due <= now:
        days = working_days_between(due, now)
        if days == 0:
            return Said(N_("오늘 기한이 지남"), "late")
        return Said(N_("근무일 %(days)s일 지남"), "late", {"days": days})
    days = working_days_between(now, due)
    if days == 0:
        return Said(N_("오늘까지"), "soon")
    return Said(N_("근무일 %(days)s일 남음"), "soon" if due - now <= SOON else "", {"days": days})


@dataclass(frozen=True, slots=True)
class Words:
    """What the templates of the review call things."""

    language: Language
    now: datetime
    severities: Mapping[Any, tuple[str, str]] = field(default_factory=lambda: SEVERITIES)
    actions: Mapping[str, tuple[str, str]] = field(default_factory=lambda: ACTIONS)

    def kind(self, type_: str) -> str:
        """Return what a type is called in the reader's language."""
        return kind_name(type_, self.language)

    def left(self, due: datetime) -> Said:
        return time_left(due, self.now)

    def state(self, incident: Any) -> tuple[str, str]:  # noqa: ANN401 - an incident or a line of the queue
        """Return the word and tone of where an incident's work stands: its verdict once there is one."""
        if incident.resolution is not None:
            return RESOLUTIONS[Resolution(incident.resolution)]
        return STATES[State(incident.state)]

    @staticmethod
    def verdict(resolution: str) -> str:
        """Return what a verdict is called, also one that is known no more."""
        return RESOLUTIONS[Resolution(resolution)][0] if resolution in set(Resolution) else resolution

    @staticmethod
    def short(incident_id: str) -> str:
        """Return the end of an id, enough to tell the rows of a page apart."""
        return incident_id[-8:]


def kind_name(type_: str, language: Language) -> str:
    text = kind_text(type_)
    return text.ko if language == "ko" else text.en


def kinds(language: Language) -> list[tuple[str, str]]:
    """Return every type with its name, in the order of the names; behind them what could not be read."""
    named = sorted(((type_, kind_name(type_, language)) for type_ in KINDS), key=lambda pair: pair[1])
    return [*named, *((type_, kind_name(type_, language)) for type_ in UNREAD_KINDS)]
