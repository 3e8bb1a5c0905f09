"""Why a row was not written: nobody can write now, the row is at fault, or a budget says no.

JournalUnavailable   nothing can be made durable, so nothing may be sent
SinkUnavailable      the database is away; inside the journal only
RowRefused           this submission, for what is in it
└── BudgetExceeded   (billing.budgets) a hard budget does not cover it
"""

from __future__ import annotations


class JournalUnavailable(Exception):
    """Nothing can be made durable now, so nothing may be sent. `korean` and `english` say what to do."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


class SinkUnavailable(Exception):
    """The database did not take a group, and nothing is wrong with the group; try again later."""


class RowRefused(Exception):
    """One submission was refused for what is in it; its group was written without it."""

    is_defect = True
    """Whether somebody should be told: a row that the database cannot take is a fault of ours."""


def nothing_recorded() -> JournalUnavailable:
    """The refusal of a dispatch that cannot be made durable."""
    return JournalUnavailable(
        "사용 기록을 남길 수 없어 요청을 보내지 않았습니다. 잠시 뒤에 다시 시도하세요.",
        "usage cannot be recorded now, so nothing was sent; try again shortly",
    )
