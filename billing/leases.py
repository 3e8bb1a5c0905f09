"""Leases: what a writer may take from hard budgets before its rows are in the database. Pure.

On one machine a row is durable once it is in its writer's own log, and goes into the database a moment
later (`billing.early`). So that no other writer spends the same won meanwhile, a share of what a hard budget
leaves is set aside for the writer, its lease, and in every transaction

    spent + held + leases of all writers <= limit

holds. What dispatches take from a lease stands in it until their rows are written; then it stands in `held`.
Near the limit no lease is given, and each dispatch is judged in the database.

The event loop takes from a `Purse`; the journal's thread fills it (`share_of`), and counts what is set aside
by what comes back to it. They share no lock: grants go one way through a deque, what was taken the other way.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from billing.budgets import NO_LIMITS, NOTHING, Amounts, Budgets, minus, plus
from billing.movements import movements_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.budgets import Account, AccountKey, Limits, Movement
    from billing.ledger import Record

SHARE: Final = 32
"""A lease is at most this part of what an account has left."""
LEAST_HOLDS: Final = 4
"""A share that does not cover so many of the largest holds is not worth a row."""
REPEATED: Final = 2
"""An account is leased from so many dispatches on, between two looks at what is used."""
FRESH_S: Final = 0.2
"""So long after the budgets were read nothing is taken by them any more; who changes one, waits for it."""

Leased: TypeAlias = "dict[AccountKey, Amounts]"


class Taken(NamedTuple):
    """What a submission took from leases, and what it adds in nano-won to what its accounts spent and hold.

    `sums` are those of all submissions until then, by account.
    """

    leased: Leased
    added: Mapping[AccountKey, int]
    sums: Mapping[AccountKey, int]


class Terms(NamedTuple):
    """The budgets that a purse goes by, and until when (`time.monotonic`)."""

    budgets: Budgets
    until: float


class Purse:
    """What one event loop may take. Its own thread calls; the journal's sets `terms` and adds to `grants`."""

    def __init__(self) -> None:
        self.terms = Terms(Budgets({}), 0.0)
        self.grants: deque[tuple[AccountKey, Amounts]] = deque()
        self.added: dict[AccountKey, int] = {}
        """What all submissions taken here added to accounts, in nano-won; for any thread to read."""
        self._free: Leased = {}

    def take(
        self, submission: Sequence[Record], holds: Mapping[str, Amounts], *, dispatches: bool
    ) -> Taken | None:
        """Take what a submission holds under hard budgets; None, and nothing, if that is not there.

        `holds` are those of the attempts that it charges; `dispatches`: whether one of its rows holds.
        """
        terms = self.terms
        if dispatches and time.monotonic() > terms.until:
            return None
        if not terms.budgets.by_scope:
            return NOTHING_TAKEN
        movements = movements_of(submission, holds, refusable=True)
        leased: Leased = {}
        if dispatches:
            for movement in movements:
                if movement.refusable:
                    add_holds(leased, movement, terms.budgets)
            self._collect()
            for key, asked in leased.items():
                free = self._free.get(key)
                if free is None or asked[0] > free[0] or asked[1] > free[1] or asked[2] > free[2]:
                    return None
            for key, asked in leased.items():
                self._free[key] = minus(self._free[key], asked)
        return self._taken(leased, movements, terms.budgets)

    def _taken(self, leased: Leased, movements: Iterable[Movement], budgets: Budgets) -> Taken:
        added: dict[AccountKey, int] = {}
        for movement in movements:
            won, keys = movement.held[0] + movement.spent[0], budgets.keys(movement)
            if not added:  # as nearly always: a submission moves the accounts of one attempt
                added = dict.fromkeys(keys, won)
                continue
            for key in keys:
                added[key] = added.get(key, 0) + won
        sums = {key: self.added.get(key, 0) + won for key, won in added.items()}
        self.added |= sums
        return Taken(leased, added, sums)

    def undo(self, taken: Taken) -> None:
        """Forget a submission that is not written from here; its leases go back to the journal."""
        for key, won in taken.added.items():
            self.added[key] -= won

    def give_up(self, submission: Sequence[Record]) -> Leased:
        """Return all that is free of the accounts of a submission, which the database judges now."""
        self._collect()
        given: Leased = {}
        if self._free:
            budgets = self.terms.budgets
            for movement in movements_of(submission, {}, refusable=True):
                for key in budgets.keys(movement):
                    free = self._free.pop(key, None)
                    if free is not None:
                        given[key] = free
        return given

    def empty(self) -> None:
        """Forget what is free: every lease ends."""
        self._free.clear()
        self.grants.clear()

    def _collect(self) -> None:
        while self.grants:
            key, amounts = self.grants.popleft()
            self._free[key] = plus(self._free.get(key, NOTHING), amounts)


NOTHING_TAKEN: Final = Taken({}, {}, {})


def add_holds(taken: Leased, movement: Movement, budgets: Budgets) -> None:
    """Add what a movement holds in accounts with hard limits, in the measures that have one."""
    for key, limits in budgets.keys(movement).items():
        if limits != NO_LIMITS:
            held = _limited(movement.held, limits)
            taken[key] = plus(taken[key], held) if key in taken else held


def share_of(account: Account, set_aside: Amounts, largest_hold: Amounts) -> Amounts:
    """Return what to add to a lease, `set_aside` until now, of an account whose limits are known.

    `account.leased` is what is set aside for all writers, this one included.
    """
    if account.limits == NO_LIMITS:
        return NOTHING
    grants, is_short = [0, 0, 0], False
    for place, limit in enumerate(account.limits):
        if limit is None:
            continue
        left = limit - account.spent[place] - account.held[place] - account.leased[place]
        share = (left + set_aside[place]) // SHARE
        if share < max(1, LEAST_HOLDS * largest_hold[place]):
            return NOTHING
        grants[place] = max(0, min(left, share - set_aside[place]))
        is_short = is_short or set_aside[place] < share // 2
    return Amounts._make(grants) if is_short else NOTHING


def _limited(amounts: Amounts, limits: Limits) -> Amounts:
    won, tokens, requests = limits
    return Amounts(
        0 if won is None else amounts[0],
        0 if tokens is None else amounts[1],
        0 if requests is None else amounts[2],
    )
