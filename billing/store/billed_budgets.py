"""Budgets that count what is billed: overhead and VAT included (DESIGN, invariant 4).

The ledger and the accounts hold what was metered. The institution's percentages travel with the engine
(`surcharged`), as the key of the access audit does: limits are compared after taking them off, rounded down,
and whoever looks at a budget is shown spent and held with them. Without percentages nothing is different.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from billing.budgets import Account, Amounts, Budget, BudgetExceeded, Budgets, Measure
from billing.money import NANO, half_even
from billing.store.accounts import Accounts, Moving
from billing.store.sink import LedgerSink
from billing.surcharges import NO_SURCHARGES, Surcharges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from billing.ledger import Attribution, Record

_OPTION: Final = "haechi_surcharges"


def surcharged(engine: Engine, surcharges: Surcharges) -> Engine:
    """Return the engine with what invoices add to what was metered; itself where they add nothing.

    A statement on an engine with options costs eight calls more, and a request has three.
    """
    return engine if surcharges.is_none else engine.execution_options(**{_OPTION: surcharges})


def surcharges_of(carrier: Engine | Connection) -> Surcharges:
    found: Surcharges = carrier.get_execution_options().get(_OPTION, NO_SURCHARGES)
    return found


def as_billed(connection: Connection, account: Account) -> Account:
    """Return an account as budgets count it."""
    surcharges = surcharges_of(connection)
    if surcharges.is_none:
        return account
    return replace(
        account,
        spent=_billed(surcharges, account.spent),
        held=_billed(surcharges, account.held),
        leased=_billed(surcharges, account.leased),
    )


class BilledAccounts(Accounts):
    """Accounts of metered amounts, held against limits of what may be billed."""

    def __init__(self, surcharges: Surcharges) -> None:
        super().__init__()
        self._surcharges = surcharges

    def refresh(self, connection: Connection) -> bool:
        known = self.revision
        found = super().refresh(connection)
        if self.revision != known:  # those just read: a second look may see a later change
            just_read = chain.from_iterable(self._budgets.by_scope.values())
            self._budgets = Budgets.of(map(self._metered, just_read))
        return found

    def move(
        self,
        connection: Connection,
        group: Sequence[Sequence[Record]],
        open_hold: Callable[[str], Amounts | None],
        how: Moving,
    ) -> list[BudgetExceeded | None]:
        refusals = super().move(connection, group, open_hold, how)
        return [None if one is None else self._told(one) for one in refusals]

    def left_nano_krw(self, payer: Attribution, billing_period: str) -> int | None:
        left = super().left_nano_krw(payer, billing_period)
        return None if left is None else self._surcharges.billed(left)

    def _metered(self, budget: Budget) -> Budget:
        if budget.measure is not Measure.WON:
            return budget
        metered = self._surcharges.metered
        # What was moved here is rounded down, and what was moved away is rounded up in its size.
        moved = {period: metered(amount) for period, amount in budget.moved.items()}
        return replace(budget, limit=metered(budget.limit), moved=moved)

    def _told(self, refusal: BudgetExceeded) -> BudgetExceeded:
        """Return a refusal in the figures of the budget: billed, as it was set."""
        account, surcharges = refusal.account, self._surcharges
        if refusal.measure is not Measure.WON:
            return refusal
        limits = account.limits
        won = None if limits[0] is None else half_even(surcharges.billed(limits[0]), NANO) * NANO
        shown = replace(
            account,
            spent=_billed(surcharges, account.spent),
            held=_billed(surcharges, account.held),
            leased=_billed(surcharges, account.leased),
            limits=type(limits)(won, *limits[1:]),
        )
        return BudgetExceeded(shown, refusal.measure, surcharges.billed(refusal.needed))


class BilledSink(LedgerSink):
    """The ledger's sink; its budgets count what is billed where the engine says what invoices add."""

    def __init__(self, engine: Engine, key: bytes, **more: Any) -> None:  # noqa: ANN401 - of LedgerSink
        super().__init__(engine, key, **more)
        surcharges = surcharges_of(engine)
        if not surcharges.is_none:
            self._accounts = BilledAccounts(surcharges)


def _billed(surcharges: Surcharges, amounts: Amounts) -> Amounts:
    return amounts._replace(nano_krw=surcharges.billed(amounts.nano_krw))
