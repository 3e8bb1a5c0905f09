"""What departments will have spent, when budgets run out, and what is out of line: for CLI, API and console.

The arithmetic is billing/forecast.py's, a budget's end billing/thresholds.py's, so that a report and a
notice name the same day. No SQL, no HTTP.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from billing.budgets import Measure, ScopeKind
from billing.forecast import HISTORY_DAYS, Outlook, Unusual, month_of, outlook, unusual, year_of
from billing.periods import billing_day
from billing.store.notices import standings
from billing.store.report_queries import department_days, key_days, keys_of_department
from billing.thresholds import forecast, used_up
from gateway.store.organisation import list_keys
from gateway.working_days import is_working_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from billing.thresholds import Standing
    from gateway.store.database import Database

INSTITUTION: Final = ""
"""The id of the line that counts all departments together."""


@dataclass(frozen=True, slots=True)
class BudgetEnd:
    """A department's budget in its running period. `runs_out_on` None: it lasts, or nobody can say."""

    standing: Standing
    runs_out_on: date | None

    @property
    def used_up(self) -> bool:
        return used_up(self.standing)


@dataclass(frozen=True, slots=True)
class OutlookLine:
    department_id: str
    month: Outlook
    year: Outlook
    budgets: tuple[BudgetEnd, ...]

    @property
    def runs_out_on(self) -> date | None:
        """The earliest day on which a budget in won runs out."""
        return min((one.runs_out_on for one in self.budgets if one.runs_out_on), default=None)

    @property
    def over(self) -> bool:
        return any(one.used_up for one in self.budgets)


class OutlookReport:
    """One question: today, one department or all."""

    def __init__(self, database: Database, now: datetime, department_id: str | None = None) -> None:
        self._database = database
        self._now = now
        self._department = department_id
        self.today = billing_day(now)
        self.month = month_of(self.today)
        self.year = year_of(self.today)

    @cached_property
    def daily(self) -> Mapping[str, Mapping[date, int]]:
        """Nano-won by department and day, as far back as a year's sum or a level needs."""
        return department_days(self._database, self._since, self._department)

    @property
    def _since(self) -> date:
        return min(self.year[0], self.today - timedelta(days=HISTORY_DAYS))

    @cached_property
    def whole(self) -> Mapping[date, int]:
        """Nano-won by day of all departments together."""
        total: dict[date, int] = defaultdict(int)
        for by_day in self.daily.values():
            for day, nano_krw in by_day.items():
                total[day] += nano_krw
        return dict(sorted(total.items()))

    def institution(self) -> OutlookLine:
        """Return the sum of the departments, forecast as one: their errors make up for each other."""
        return self._line(INSTITUTION, self.whole, ())

    def departments(self) -> list[OutlookLine]:
        """Return departments with use, those with the highest month-end first."""
        lines = [self._line(id_, by_day, self._ends.get(id_, ())) for id_, by_day in self.daily.items()]
        return sorted(lines, key=lambda line: (-_end(line.month), line.department_id))

    def _line(
        self, department_id: str, by_day: Mapping[date, int], budgets: tuple[BudgetEnd, ...]
    ) -> OutlookLine:
        month, year = (
            outlook(by_day, period, self.today, is_working_day) for period in (self.month, self.year)
        )
        return OutlookLine(department_id, month, year, budgets)

    @cached_property
    def _ends(self) -> dict[str, tuple[BudgetEnd, ...]]:
        found: dict[str, tuple[BudgetEnd, ...]] = defaultdict(tuple)
        for standing in standings(self._database, self._now):
            if standing.scope.kind == ScopeKind.UNIT and standing.measure is Measure.WON:
                end = BudgetEnd(standing, forecast(standing, self._now, is_working_day))
                found[standing.scope.id] += (end,)
        return dict(found)

    def key_names(self, found: Iterable[Unusual]) -> dict[str, str]:
        """Map the keys that were found to their labels."""
        wanted = {one.subject for one in found}
        keys = list_keys(self._database) if wanted else []
        return {key.id: key.grant.label for key in keys if key.id in wanted}

    def unusual_departments(self) -> list[Unusual]:
        return unusual(self.daily, self.today, is_working_day)

    def unusual_keys(self) -> list[Unusual]:
        first = self.today - timedelta(days=HISTORY_DAYS)
        only = (
            None if self._department is None else keys_of_department(self._database, self._department, first)
        )
        return unusual(key_days(self._database, first, only), self.today, is_working_day)


def _end(found: Outlook) -> int:
    return found.spent_nano if found.forecast is None else found.forecast.expected
