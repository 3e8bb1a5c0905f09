"""A billing month's way from open to locked: which step may follow which, and who may take it. Pure.

    open -> preview      figures are put together to be looked at; charges may still come
    preview -> approved  finance stands by the figures; the month is over
    approved -> locked   nothing is added any more: the ledger's root, totals and invoices are kept
    preview, approved -> open   taken back, with a reason

A locked month never changes. SQL is in billing.store.months.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from billing.periods import month_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class MonthState(StrEnum):
    OPEN = "open"
    PREVIEW = "preview"
    APPROVED = "approved"
    LOCKED = "locked"


class MonthRefused(Exception):
    """A step that cannot be taken; `korean` and `english` say why and what to do."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


class MonthChanged(MonthRefused):
    """Somebody else took a step of this month in the meantime."""


@dataclass(frozen=True, slots=True)
class MonthStep:
    """One step of a month: what it is now, since when, by whom and why.

    `document` holds what the step stands for: `rows` and `nano_krw` of the month when it was taken; of a
    lock also `total_krw`, `invoices`, `seal` and `root`.
    """

    month: str
    number: int
    state: MonthState
    at: datetime
    by: str
    reason: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)


BEFORE: Final[Mapping[MonthState, tuple[MonthState, ...]]] = {
    MonthState.OPEN: (MonthState.PREVIEW, MonthState.APPROVED),
    MonthState.PREVIEW: (MonthState.OPEN, MonthState.PREVIEW),
    MonthState.APPROVED: (MonthState.PREVIEW,),
    MonthState.LOCKED: (MonthState.APPROVED,),
}
"""From which states each state may be reached."""

WORDS: Final[Mapping[MonthState, str]] = {
    MonthState.OPEN: "열림",
    MonthState.PREVIEW: "검토",
    MonthState.APPROVED: "승인",
    MonthState.LOCKED: "마감",
}


def check_step(last: MonthStep | None, wanted: MonthState, month: str, now: datetime) -> None:
    """Raise MonthRefused where `wanted` cannot follow `last`. Raises ValueError for what is no month."""
    state = MonthState.OPEN if last is None else last.state
    if state not in BEFORE[wanted]:
        needed = ", ".join(WORDS[one] for one in BEFORE[wanted])
        raise MonthRefused(
            f"{month}은(는) 지금 '{WORDS[state]}' 상태입니다."
            f" '{WORDS[wanted]}'은(는) {needed} 상태에서만 됩니다.",
            f"{month} is {state}; {wanted} follows only {', '.join(BEFORE[wanted])}.",
        )
    start, end = month_bounds(month)
    if wanted is MonthState.PREVIEW and now < start:
        raise MonthRefused(
            f"{month}은(는) 아직 시작하지 않았습니다. 검토할 요금이 없습니다.",
            f"{month} has not begun. There is nothing to look at.",
        )
    if wanted in {MonthState.APPROVED, MonthState.LOCKED} and now < end:
        raise MonthRefused(
            f"{month}은(는) 아직 끝나지 않았습니다. 다음 달 1일부터 승인할 수 있습니다.",
            f"{month} is not over. It can be approved from the first of the next month.",
        )


def check_four_eyes(last: MonthStep | None, by: str) -> None:
    """Raise MonthRefused where the one who approves is the one who put the month together."""
    if last is not None and last.by == by:
        raise MonthRefused(
            f"{last.by}이(가) 검토를 올렸습니다. 승인은 다른 사람이 해야 합니다([invoices] four_eyes).",
            f"{last.by} made the preview. Somebody else must approve it ([invoices] four_eyes).",
        )
