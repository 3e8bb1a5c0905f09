"""The attempts of one request: deployment after deployment, model after model, until one answers.

    the model asked for    its deployments by strategy, each at once after the other's failure;
                           then those whose failure may pass, again, after a pause
    its fallbacks          the same, in the order of the configuration, as far as the verdict lets them

All inside a bound of attempts, of time and of what failed attempts were charged. A stream is opened by
its first content, a whole answer by its end; before that any failure can be made good here, after it
none. Every attempt has its own dispatch and charge. A client that leaves ends the trying: what is
under way is heard out, nothing new begins.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing.budgets import BudgetExceeded
from billing.journal import JournalUnavailable, RowRefused
from filters.records import record
from gateway import metrics, routing, unavailable
from gateway.admission import NoRoom
from gateway.catalogue import Strategy
from gateway.cohort import Cohort
from gateway.config_limits import Contacts
from gateway.errors import GatewayError, ServiceUnavailable, UnsupportedFeature, UpstreamError
from gateway.retry import Hope, RetryRules, hope, pause_s

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from billing.ledger import Entry
    from filters.verdict import Verdict
    from gateway.attempt import Attempt
    from gateway.catalogue import Deployment
    from gateway.dispatch import Dispatcher
    from gateway.domain import Call, ChatRequest, Delta
    from gateway.health import Fleet
    from gateway.ways import Way


@record
class Leg:
    """A way, and the request as it goes there: masked for its zone, bounded for its model."""

    way: Way
    request: ChatRequest


@record
class Opened:
    """An attempt that answers: what it said first, and the rest of it."""

    leg: Leg
    attempt: Attempt
    first: list[Delta]
    rest: AsyncGenerator[list[Delta], None]
    attempts: int


@dataclass(frozen=True, slots=True)
class Team:
    """What all failovers share."""

    fleet: Fleet
    dispatcher: Dispatcher
    rules: RetryRules
    strategy: Strategy
    budget_refused: Callable[[BudgetExceeded], None] = lambda _: None
    """Hears of every request that a hard budget did not cover."""
    contacts: Contacts = field(default_factory=Contacts)
    """Whom to ask when a budget is used up."""
    cohort: Cohort = field(default_factory=Cohort)


class Failover:
    """`open` is awaited once; `client_gone` may come at any time.

    `receipt(way, number)` gives the rows that must be durable together with the first dispatch by a
    verdict; a second verdict, for a fallback in another zone, is number 1.
    """

    def __init__(
        self,
        team: Team,
        call: Call,
        legs: Iterable[Leg],
        receipt: Callable[[Way, int], Sequence[Entry]],
        size: int,
    ) -> None:
        self._team = team
        self._call = call
        self._legs = legs
        self._receipt = receipt
        self._size = size
        self._pick = int(call.request_id[-4:], 16) / 0x10000
        self._attempt: Attempt | None = None
        self._attempts = 0
        self._recorded: list[Verdict] = []
        self._failed_cost = 0
        self._failed_tokens = 0
        self._failed: Attempt | None = None
        self._last: GatewayError | None = None
        self._gone: asyncio.Future[None] | None = None
        self._client_gone = False
        self._started = asyncio.get_running_loop().time()

    async def open(self) -> Opened:
        """Return the first attempt that answers. Raises GatewayError: why none does."""
        try:
            for leg in self._legs:
                opened = await self._at(leg)
                if opened is not None:
                    return opened
                if not self._may_go_on():
                    break
        except JournalUnavailable as error:
            raise unavailable.ledger_unavailable() from error
        except BudgetExceeded as refusal:
            self._attempts -= 1  # it was refused with its dispatch row: nobody was asked
            self._team.budget_refused(refusal)
            contact = self._team.contacts.of(refusal.scope, self._call.caller)
            raise unavailable.budget_exhausted(refusal, contact) from refusal
        except RowRefused as refusal:
            raise unavailable.record_refused() from refusal
        assert self._last is not None, "a leg that is not opened leaves an error"
        raise self._last

    def client_gone(self) -> None:
        """Nobody listens any more: hear out what is under way, begin nothing."""
        self._client_gone = True
        if self._attempt is not None:
            self._attempt.client_gone()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    @property
    def asked(self) -> bool:
        """Whether any attempt was dispatched."""
        return self._attempts > 0

    @property
    def used_tokens(self) -> int:
        """Tokens that the attempts were charged for, as far as they are settled."""
        attempt = None if self._attempt is self._failed else self._attempt
        return self._failed_tokens + (attempt.charge.usage.total_tokens if attempt and attempt.charge else 0)

    # --- one model -------------------------------------------------------------------------------

    async def _at(self, leg: Leg) -> Opened | None:
        deployments = routing.allowed(leg.way.model, leg.way.zones, leg.way.countries)
        failures: dict[str, tuple[Hope, int]] = {}
        for _ in range(max(self._team.rules.attempts, len(deployments))):
            deployment = await self._next(leg, deployments, failures)
            if deployment is None:
                break
            try:
                return await self._try(leg, deployment)
            except UpstreamError as error:
                if not self._may_still_hope(error, deployment, failures):
                    raise
            except NoRoom as full:
                metrics.count(metrics.turned_away, deployment.id)
                self._last = unavailable.overloaded(leg.way.model.id, full.retry_after_s)
                failures[deployment.id] = (Hope.ELSEWHERE, 0)
            except (UnsupportedFeature, ServiceUnavailable) as unable:
                self._last = unable
                failures[deployment.id] = (Hope.ELSEWHERE, 0)
        self._last = self._last or self._why_nobody(leg, deployments)
        return None

    async def _next(
        self, leg: Leg, deployments: Sequence[Deployment], failures: dict[str, tuple[Hope, int]]
    ) -> Deployment | None:
        """Return who is asked next: somebody new at once, or somebody again after a pause."""
        if not failures:
            return self._choose(leg, deployments)
        if not self._may_go_on():
            return None
        new = self._choose(leg, [d for d in deployments if d.id not in failures])
        if new is not None:
            return new
        again = [d for d in deployments if failures.get(d.id, (None, 0))[0] is Hope.AGAIN]
        if not again or not await self._pause(sum(count for _, count in failures.values())):
            return None
        return self._choose(leg, again)

    def _choose(self, leg: Leg, deployments: Sequence[Deployment]) -> Deployment | None:
        strategy = leg.way.model.strategy or self._team.strategy
        if strategy is Strategy.CHEAPEST:
            bound = self._team.dispatcher.bound_nano_krw
            standings = self._team.fleet.standings(
                deployments, lambda deployment: bound(leg.request, deployment, self._size)
            )
        else:
            standings = self._team.fleet.standings(deployments)
        return routing.choose(standings, strategy, self._pick)

    async def _try(self, leg: Leg, deployment: Deployment) -> Opened:
        """Make one attempt. Raises UpstreamError after it was settled, NoRoom if there was none."""
        place = await self._team.fleet.enter(deployment, self._call.caller.department_id)
        try:
            attempt = self._team.dispatcher.prepare(
                self._call, leg.request, deployment, self._attempts + 1, place
            )
            await self._team.cohort.step()
        except BaseException:
            place.leave()
            raise
        if self._client_gone:  # it left while it waited: nobody reads this
            place.leave()
            raise NoRoom(1)
        self._attempt = attempt
        self._attempts += 1
        if self._attempts > 1:
            metrics.count(metrics.retries, deployment.model_id)
        events = attempt.events(self._beside(leg.way))
        first: list[Delta] = []
        async for deltas in events:
            first += deltas
            if any(delta.has_content for delta in deltas):
                break
        return Opened(leg, attempt, first, events, self._attempts)

    def _beside(self, way: Way) -> Sequence[Entry]:
        if any(way.verdict is verdict for verdict in self._recorded):
            return ()
        self._recorded.append(way.verdict)
        return self._receipt(way, len(self._recorded) - 1)

    # --- after a failure ---------------------------------------------------------------------------

    def _may_still_hope(
        self, error: UpstreamError, deployment: Deployment, failures: dict[str, tuple[Hope, int]]
    ) -> bool:
        self._last = error
        charge = self._attempt.charge if self._attempt else None
        if charge is not None:
            self._failed_cost += charge.amount_nano_krw
            self._failed_tokens += charge.usage.total_tokens
        self._failed = self._attempt
        verdict = hope(error)
        failures[deployment.id] = (verdict, failures.get(deployment.id, (verdict, 0))[1] + 1)
        return verdict is not Hope.FINAL and not self._client_gone

    def _may_go_on(self) -> bool:
        rules = self._team.rules
        elapsed = asyncio.get_running_loop().time() - self._started
        return (
            not self._client_gone
            and elapsed < rules.retry_for_s
            and self._failed_cost < rules.retry_cost_nano_krw
        )

    async def _pause(self, failures: int) -> bool:
        """Wait before somebody is asked again. Return whether that is worth while."""
        loop = asyncio.get_running_loop()
        asked_for = self._last.retry_after_s if self._last is not None else None
        seconds = pause_s(self._team.rules, failures, asked_for, self._pick)
        too_late = loop.time() - self._started + seconds >= self._team.rules.retry_for_s
        if too_late or seconds > self._team.rules.pause_most_s:
            return False
        self._gone = loop.create_future()
        await wait_out(seconds, self._gone)
        return not self._client_gone

    def _why_nobody(self, leg: Leg, deployments: Sequence[Deployment]) -> GatewayError:
        if not deployments:
            return unavailable.no_deployment(leg.way.model.id)
        return unavailable.resting(leg.way.model.id, self._team.fleet.retry_after_s(deployments))


async def wait_out(seconds: float, gone: asyncio.Future[None]) -> None:
    """Wait until the whole pause is over, or `gone` is done.

    uvloop's timers end up to a millisecond early: too soon for the breaker, which knows the pause too.
    """
    until = time.monotonic() + seconds
    while not gone.done() and (left := until - time.monotonic()) > 0:
        await asyncio.wait((gone,), timeout=left)
