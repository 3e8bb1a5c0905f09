"""Admits requests by the minute, and corrects what they were taken for. Belongs to one event loop.

    admit    counts one request, and the tokens it may use at most, in every bucket that it falls into
    settle   gives back the tokens that it did not use

The hot path looks shares up in a dict and lowers them; only where a share is used up does the request wait
for another one. What nobody spends for IDLE_US goes back, so that other workers can have it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from billing.periods import to_us
from gateway.limits.rules import Unit, buckets, has_limits
from gateway.limits.windows import Ask, Moment, Share, wait_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from gateway.domain import Caller
    from gateway.limits.rules import Bucket, Rule
    from gateway.limits.windows import Windows

log = structlog.get_logger("haechi.limits")

IDLE_US: Final = 500_000
TIDY_S: Final = 0.5
MOST_TRIES: Final = 50
"""How often a request takes a new share that others spend before it."""


class LimitReached(Exception):
    """A bucket has no room. `wait_us` None: the request alone is larger than the limit."""

    def __init__(self, standing: Standing, need: int, wait: int | None) -> None:
        super().__init__(standing.bucket.id)
        self.standing = standing
        self.need = need
        self.wait_us = wait


@dataclass(frozen=True, slots=True)
class Standing:
    """One bucket as it stands: what is left of its minute, and when all of it is free again."""

    bucket: Bucket
    left: int
    fresh_us: int
    at_us: int


@dataclass(slots=True)
class Admission:
    """One admitted request: what was counted for it, and where."""

    limiter: Limiter
    counted: Sequence[tuple[Bucket, int]]
    minute: int
    settled: bool = field(default=False)

    def standings(self) -> list[Standing]:
        return [self.limiter.standing(bucket) for bucket, _ in self.counted]

    def settle(self, tokens: int) -> None:
        """Count the tokens that were used instead of those that might have been. Once."""
        if not self.settled:
            self.settled = True
            for bucket, amount in self.counted:
                if bucket.unit is Unit.TOKENS and tokens != amount:
                    self.limiter.give_back(bucket.id, self.minute, amount - tokens)


class Limiter:
    def __init__(self, rules: Sequence[Rule], windows: Windows, now: Callable[[], datetime]) -> None:
        self._rules = tuple(rules)
        self._windows = windows
        self._now = now
        self._shares: dict[str, Share] = {}
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._wanted: Counter[str] = Counter()
        self._back: dict[tuple[str, int], int] = {}

    def counts(self, caller: Caller) -> bool:
        """Whether anything may have to be counted for this caller."""
        return bool(self._rules) or has_limits(caller)

    async def admit(self, caller: Caller, model_id: str, tokens: int) -> Admission | None:
        """Count a request that may use so many tokens; None if no rule counts it.

        Raises LimitReached, and counts nothing then.
        """
        needs = [
            (bucket, 1 if bucket.unit is Unit.REQUESTS else tokens)
            for bucket in buckets(self._rules, caller, model_id)
        ]
        if not needs:
            return None
        for _ in range(MOST_TRIES):
            at_us = to_us(self._now())
            at = Moment.of(at_us)
            short = [(bucket, need) for bucket, need in needs if self._share(bucket, at).spare < need]
            if not short:
                return self._counted(needs, at, at_us)
            await self._fetch(short, at)
            for bucket, need in short:
                self._refuse_if_full(bucket, need)
        raise LimitReached(self.standing(short[0][0]), short[0][1], 1_000_000)  # others were always quicker

    def standing(self, bucket: Bucket) -> Standing:
        at_us = to_us(self._now())
        at = Moment.of(at_us)
        share = self._share(bucket, at)
        return Standing(bucket, share.left(at), share.fresh_us(at), at_us)

    async def standings(self, caller: Caller, model_ids: Iterable[str]) -> list[Standing]:
        """Return how every bucket of a caller stands, as all workers together count now."""
        found = {b.id: b for model_id in model_ids for b in buckets(self._rules, caller, model_id)}
        if found:
            at = Moment.of(to_us(self._now()))
            await self._fetch([(bucket, 0) for bucket in found.values()], at)
        return [self.standing(bucket) for bucket in found.values()]

    def give_back(self, bucket_id: str, minute: int, amount: int) -> None:
        """Let others have what was counted in a minute and not used; below zero: count it, too."""
        share = self._shares.get(bucket_id)
        if share is not None and share.minute == minute:
            share.spare += amount
        else:
            self._return(bucket_id, minute, amount)

    async def run(self) -> None:
        """Return what nobody spends, and forget whom nobody asks for, until cancelled."""
        while True:
            await asyncio.sleep(TIDY_S)
            try:
                await self.tidy()
            except Exception:  # what is not returned weighs for a minute and is gone
                log.exception("rate_limits_not_returned")

    async def tidy(self, idle_us: int = IDLE_US) -> None:
        now_us = to_us(self._now())
        minute = Moment.of(now_us).minute
        for bucket_id, share in list(self._shares.items()):
            if share.spare and (share.minute != minute or now_us - share.moved_at_us >= idle_us):
                self._return(bucket_id, share.minute, share.spare)
                share.used -= share.spare
                share.spare = 0
            if share.minute < minute - 1:
                del self._shares[bucket_id]
        back, self._back = self._back, {}
        if back:
            await self._windows.give([(*place, amount) for place, amount in back.items()])

    async def aclose(self) -> None:
        """Return everything and let go of the shared counts."""
        try:
            await self.tidy(idle_us=0)
        finally:
            await self._windows.aclose()

    # --- shares ------------------------------------------------------------------------------------

    def _counted(self, needs: Sequence[tuple[Bucket, int]], at: Moment, at_us: int) -> Admission:
        for bucket, need in needs:
            share = self._shares[bucket.id]
            share.spare -= need
            share.moved_at_us = at_us
        return Admission(self, needs, at.minute)

    def _refuse_if_full(self, bucket: Bucket, need: int) -> None:
        standing = self.standing(bucket)
        if standing.left < need:
            at, share = Moment.of(standing.at_us), self._shares[bucket.id]
            used = share.used - share.spare
            raise LimitReached(standing, need, wait_us(bucket.limit, used, share.previous, need, at))

    def _share(self, bucket: Bucket, at: Moment) -> Share:
        """Return this worker's share of this minute; what is left of an earlier one goes back to it.

        A key may be given another limit within a minute: the share begins anew, all workers' counts stay.
        """
        share = self._shares.get(bucket.id)
        if share is None or share.minute != at.minute or share.limit != bucket.limit:
            if share is not None and share.spare:
                self._return(bucket.id, share.minute, share.spare)
            share = self._shares[bucket.id] = Share(bucket.limit, at.minute)
        return share

    def _return(self, bucket_id: str, minute: int, amount: int) -> None:
        self._back[bucket_id, minute] = self._back.get((bucket_id, minute), 0) + amount

    async def _fetch(self, short: Sequence[tuple[Bucket, int]], at: Moment) -> None:
        """Take shares of these buckets, and wait for those that others are taking already."""
        for bucket, need in short:
            self._wanted[bucket.id] += need
        mine = [(bucket, need) for bucket, need in short if bucket.id not in self._taking]
        if mine:
            task = asyncio.get_running_loop().create_task(self._take(mine, at))
            self._taking.update((bucket.id, task) for bucket, _ in mine)
            task.add_done_callback(lambda _: self._taken(mine))
        try:
            await asyncio.wait({self._taking[bucket.id] for bucket, _ in short})
        finally:
            for bucket, need in short:
                self._wanted[bucket.id] -= need
                if not self._wanted[bucket.id]:
                    del self._wanted[bucket.id]

    def _taken(self, short: Sequence[tuple[Bucket, int]]) -> None:
        for bucket, _ in short:
            del self._taking[bucket.id]

    async def _take(self, short: Sequence[tuple[Bucket, int]], at: Moment) -> None:
        asks = [self._ask(bucket, need, at) for bucket, need in short]
        try:
            answers = await self._windows.take(asks, at)
        except Exception:
            log.exception("rate_limits_uncounted")
            return
        now_us = to_us(self._now())
        for ask, told in zip(asks, answers, strict=True):
            share = self._shares.get(ask.counter)
            if share is None or share.minute != at.minute:  # the minute ended meanwhile
                self._return(ask.counter, at.minute, told.granted)
                continue
            share.spare += told.granted
            share.used, share.previous, share.moved_at_us = told.used, told.previous, now_us

    def _ask(self, bucket: Bucket, need: int, at: Moment) -> Ask:
        spare = self._share(bucket, at).spare
        return Ask(bucket.id, bucket.limit, max(0, need - spare), max(0, self._wanted[bucket.id] - spare))
