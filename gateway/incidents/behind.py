"""What the review does off the path of requests: counts, sends incidents on, writes the weekly report.

Every process runs one of these. The sums and the outbox let them take turns; the report of a week is noted
once, because a notice of the same occasion is refused by the database.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from time import thread_time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from billing.periods import KST, billing_day
from billing.store import notices
from billing.store.notices import Address, Notice
from gateway.incidents.exporting import Exporter
from gateway.incidents.oversight import Period
from gateway.incidents.weekly import WEEKLY, last_week, week_name, weekly_document
from gateway.store.incident_statistics import count_everything, freshen, overview

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config_review_export import ExportSettings
    from gateway.keyring import Keyring
    from gateway.store.database import Database

log = structlog.get_logger("haechi.incidents")

COUNT_S: Final = 10.0
RESTS: Final = 20
"""How many times the processor time of a round it rests at least: requests need the same processor."""
LONGEST_REST_S: Final = 60.0
WHOLE: Final = timedelta(hours=1)
"""How often everything is compared, however old: what came late is counted then."""
MORNING: Final = time(8, 0)
"""When the report of the week before is written, on Monday, in Korea."""


@dataclass(slots=True)
class ReviewWork:
    """`run` lasts until it is cancelled."""

    database: Database
    keyring: Keyring
    settings: ExportSettings
    _compared_at: datetime | None = None
    _reported: Period | None = None
    _failing: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Count and send until cancelled; a database that is away is tried again."""
        pause_s = min(COUNT_S, self.settings.check_s) if self.settings.targets else COUNT_S
        while True:
            await asyncio.sleep(pause_s)
            spent_s = await asyncio.to_thread(self.round, datetime.now(UTC))
            await asyncio.sleep(min(LONGEST_REST_S, RESTS * spent_s))

    def round(self, now: datetime) -> float:
        """Do everything that is due once; return the processor time that it took, in seconds.

        What fails is logged by its kind, once, and comes again.
        """
        began_s = thread_time()
        self._do("count", lambda: self._count(now))
        if self.settings.targets:
            exporter = Exporter(self.database, self.keyring, self.settings, lambda: datetime.now(UTC))
            self._do("export", exporter.round)
        if self.settings.weekly_to:
            self._do("weekly", lambda: self._report(now))
        return thread_time() - began_s

    def _do(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it outlives every fault of the database
            if what not in self._failing:
                log.warning("review_work_failed", what=what, error=type(error).__name__)
            self._failing.add(what)
        else:
            self._failing.discard(what)

    def _report(self, now: datetime) -> None:
        week = due_week(now)
        if week is not None and week != self._reported:
            report_week(self.database, self.settings, week, now)
            self._reported = week

    def _count(self, now: datetime) -> None:
        if self._compared_at is None or now - self._compared_at >= WHOLE:
            count_everything(self.database, now)
            self._compared_at = now
        else:
            freshen(self.database, now)


def due_week(now: datetime) -> Period | None:
    """Return the week whose report is due: the one before, from Monday morning on."""
    today = billing_day(now)
    if today.weekday() == 0 and now.astimezone(KST).time() < MORNING:
        return None
    return last_week(today)


def report_week(database: Database, settings: ExportSettings, week: Period, now: datetime) -> bool:
    """Note the report of a week; False if any process has noted it already."""
    if _is_noted(database, week_name(week)):
        return False
    document = weekly_of(database, week, now)
    notice = Notice(uuid4().hex, "", week_name(week), WEEKLY, now, document)
    return notices.note(database, notice, [Address("email", to) for to in settings.weekly_to])


def weekly_of(database: Database, period: Period, now: datetime) -> dict[str, object]:
    """Return the document of a week: its figures beside those of the week before."""
    count_everything(database, now)
    week = timedelta(days=7)
    before = Period(period.first - week, period.last - week)
    return weekly_document(overview(database, period, now), overview(database, before, now))


def _is_noted(database: Database, week: str) -> bool:
    return any(one.occasion == WEEKLY and one.period == week for one in notices.read_notices(database))
