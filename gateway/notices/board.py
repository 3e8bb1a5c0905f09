"""The notice board: looks how budgets stand, notes what is to be said, and delivers it.

One daemon thread per process, apart from the event loop and its thread pool. Several processes share
the work: the database lets one of them note an occasion and one at a time send a delivery. A round:

    look      budgets x rules -> occasions -> notices with their deliveries, durable together
    deliver   what is due: claim, send, mark; a failure comes back later, doubling the pause
"""

from __future__ import annotations

import random
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from billing.budgets import ScopeKind
from billing.periods import billing_month
from billing.store import notices as store
from billing.store import outbox
from billing.store.notices import Address, Notice, Watch
from billing.thresholds import Rules, occasions
from gateway import metrics
from gateway.notices import mail, webhooks
from gateway.notices.failures import DeliveryFailed
from gateway.notices.messages import (
    adopted_document,
    document_of,
    letter_of,
    price_document,
    webhook_body,
)
from gateway.store.names import emails_of, name_of
from gateway.working_days import is_working_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from billing.budgets import AccountKey, BudgetExceeded, Measure, Scope
    from billing.store.outbox import Delivery
    from billing.thresholds import Occasion, Standing
    from gateway.config_notices import NoticeSettings
    from gateway.price_watch import PriceDifference
    from gateway.store.database import Database

log = structlog.get_logger("haechi")

LONGEST_PAUSE: Final = timedelta(hours=1)
MOST_REFUSED: Final = 10_000
_WORKED: Final = Watch()


class NoticeBoard:
    """`refused`, `adopted` and `price_differs` may be called from any thread; they only remember."""

    def __init__(
        self,
        database: Database,
        settings: NoticeSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._settings = settings
        self._now = now
        self._refused: set[tuple[AccountKey, Measure]] = set()
        self._adopted: deque[tuple[str, int]] = deque(maxlen=1_000)
        self._differing: dict[tuple[str, str], PriceDifference] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    # --- what others tell it ---------------------------------------------------------------------

    def refused(self, refusal: BudgetExceeded) -> None:
        """A hard budget did not cover a request: it is used up."""
        if len(self._refused) < MOST_REFUSED:
            self._refused.add((refusal.account.key, refusal.measure))

    def adopted(self, whose: str, attempts: int) -> None:
        """A writer died; attempts that it left open were charged by estimate."""
        metrics.count(metrics.adopted, amount=attempts)
        self._adopted.append((whose, attempts))

    def price_differs(self, difference: PriceDifference) -> None:
        """A provider states a cost that our price does not make of the usage: somebody should look."""
        self._differing.setdefault((billing_month(difference.at), difference.price_key), difference)

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, where there is anybody to tell."""
        if self._settings.is_on:
            self._thread.start()

    def stop(self) -> None:
        """End after the delivery under way; what is left is delivered by the next process."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=15)

    def _run(self) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                self.round()
            except Exception as error:  # noqa: BLE001 - the database may be away; notices wait for it
                if not failing:
                    log.warning("notices_failed", error=type(error).__name__)
                failing = True
            else:
                failing = False
            self._stop.wait(self._settings.check_s)

    def round(self) -> None:
        """Look and deliver once. Raises what SQLAlchemy raises."""
        self.look()
        self.deliver()

    # --- looking ---------------------------------------------------------------------------------

    def look(self) -> int:
        """Note what is to be said now; return how many notices are new."""
        now = self._now()
        refused = frozenset(self._refused)
        standings = store.standings(self._database, now, refused)
        said = store.said(self._database, standings)
        watches = store.read_watches(self._database)
        noted = 0
        for standing in standings:
            watch = watches.get(standing.scope, _WORKED)
            before = said[standing.budget_id, standing.period]
            for occasion in occasions(standing, self._rules(watch), before, now, is_working_day):
                noted += self._note(standing, occasion, watch, now)
        self._refused -= refused
        return noted + self._note_adopted(now) + self._note_differing(now)

    def _rules(self, watch: Watch) -> Rules:
        rules = self._settings.rules
        return Rules(
            rules.thresholds if watch.thresholds is None else watch.thresholds,
            rules.forecast if watch.forecast is None else watch.forecast,
        )

    def _note(self, standing: Standing, occasion: Occasion, watch: Watch, now: datetime) -> bool:
        name = name_of(self._database, standing.scope.kind, standing.scope.id)
        document = document_of(standing, occasion, name)
        addresses = list(self._addresses(standing.scope, watch)) if occasion.told else []
        notice = Notice(uuid4().hex, standing.budget_id, standing.period, occasion.name, now, document)
        if not store.note(self._database, notice, addresses):
            return False
        log.info(
            "budget_noted",
            notice=notice.id,
            budget=standing.budget_id,
            occasion=occasion.name,
            addressees=len(addresses),
        )
        metrics.count(metrics.notices, "noted")
        return True

    def _note_adopted(self, now: datetime) -> int:
        noted = 0
        while self._adopted:
            whose, attempts = self._adopted[0]
            document = adopted_document(whose, attempts)
            notice = Notice(uuid4().hex, "", billing_month(now), f"adopted:{whose}", now, document)
            noted += store.note(self._database, notice, list(self._institution()))
            self._adopted.popleft()
        return noted

    def _note_differing(self, now: datetime) -> int:
        """Note each price once a month."""
        noted = 0
        for (month, price_key), difference in list(self._differing.items()):
            document = price_document(difference)
            notice = Notice(uuid4().hex, "", month, f"price:{price_key}", now, document)
            noted += store.note(self._database, notice, list(self._institution()))
            del self._differing[month, price_key]
        return noted

    def _addresses(self, scope: Scope, watch: Watch) -> Iterator[Address]:
        """The budget's own contacts, else the person it is of, else the institution's."""
        emails = watch.emails
        if not emails and scope.kind == ScopeKind.PERSON:
            emails = emails_of(self._database, scope.id)
        if self._settings.smtp is not None:
            yield from (Address("email", email) for email in emails or self._settings.emails)
        for hook in self._settings.webhooks:
            if not hook.scopes or ":".join(scope) in hook.scopes:
                yield Address("webhook", hook.name)

    def _institution(self) -> Iterator[Address]:
        if self._settings.smtp is not None:
            yield from (Address("email", email) for email in self._settings.emails)
        yield from (Address("webhook", hook.name) for hook in self._settings.webhooks if not hook.scopes)

    # --- delivering ------------------------------------------------------------------------------

    def deliver(self) -> int:
        """Send what is due and nobody else sends; return how many were sent."""
        sent = 0
        unreachable: set[str] = set()
        for delivery in outbox.due(self._database, self._now()):
            way = "" if delivery.address.channel == "email" else delivery.address.target
            if self._stop.is_set() or way in unreachable:
                continue
            if not outbox.claim(self._database, delivery, self._now() + self._lease):
                continue
            try:
                self._send(delivery)
            except DeliveryFailed as failure:
                if failure.is_unreachable:
                    unreachable.add(way)
                self._failed(delivery, failure)
            else:
                outbox.mark_sent(self._database, delivery, self._now())
                metrics.count(metrics.notices, "sent")
                sent += 1
        return sent

    @property
    def _lease(self) -> timedelta:
        """Longer than one delivery can take, with every time-out of its conversation."""
        longest = max(
            [hook.timeout_s for hook in self._settings.webhooks]
            + ([self._settings.smtp.timeout_s] if self._settings.smtp else [])
        )
        return timedelta(seconds=10 * longest)

    def _send(self, delivery: Delivery) -> None:
        """Raises DeliveryFailed."""
        notice, (channel, target) = delivery.notice, delivery.address
        if channel == "email":
            if self._settings.smtp is None:
                raise DeliveryFailed("no [notices.smtp]")
            mail.send(self._settings.smtp, letter_of(notice.document), target, notice.id, self._now())
            return
        hook = self._settings.webhook(target)
        if hook is None:
            raise DeliveryFailed("no such webhook in haechi.toml")
        webhooks.post(hook, webhook_body(notice), notice.id, self._now())

    def _failed(self, delivery: Delivery, failure: DeliveryFailed) -> None:
        tries = delivery.tries + 1
        is_dead = failure.is_final or tries >= self._settings.tries
        next_try = None if is_dead else self._now() + self.pause(tries)
        outbox.mark_failed(self._database, delivery, failure.reason, next_try)
        log.warning(
            "notice_dead" if is_dead else "notice_not_delivered",
            notice=delivery.notice.id,
            channel=delivery.address.channel,
            tries=tries,
            reason=failure.reason,
        )
        metrics.count(metrics.notices, "dead" if is_dead else "failed")

    def pause(self, tries: int) -> timedelta:
        """Return the pause after so many tries: doubling, up to an hour, a quarter of it by chance."""
        plain = timedelta(seconds=self._settings.first_pause_s * 2 ** min(tries - 1, 20))
        return min(plain, LONGEST_PAUSE) * random.uniform(0.75, 1.0)  # noqa: S311 - spreads tries
