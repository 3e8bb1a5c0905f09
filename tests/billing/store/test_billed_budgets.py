"""Budgets count what a department will be billed, overhead and VAT included."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.budgets import Budget, BudgetExceeded, Every, Scope
from billing.ledger import record_of
from billing.money import NANO
from billing.statements import LineKind, LineSum, Terms, lines_of
from billing.store import budget_status, check_accounts, set_budget
from billing.store.billed_budgets import BilledSink, surcharged
from billing.store.notices import standings
from billing.store.transfers import Order, TransferRefused, transfer
from billing.surcharges import NO_SURCHARGES, Surcharges
from billing.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.billing.conftest import Maker

TERMS = Terms(overhead_percent=Decimal(10), vat_percent=Decimal(10))
UNIT = Scope("unit", "총무과")
WON = 17_390 * 10**6
"""Nano-won of ten thousand input tokens of the test's model: 17.39 won."""


@pytest.fixture
def billed(engine: Engine, make: Maker, key: bytes) -> Iterator[tuple[Engine, BilledSink]]:
    database = surcharged(engine, Surcharges.of(TERMS))
    sink = BilledSink(database, key, clock=lambda: make.now)
    sink.open()
    yield database, sink
    sink.close()


def limit(database: Engine, make: Maker, won: int, scope: Scope = UNIT, *, hard: bool = True) -> Budget:
    budget = Budget(make.ids.next(make.now), scope, Every.MONTH, won * NANO, hard)
    set_budget(database, budget, now=make.now, by="test", reason="test")
    return budget


def spend(sink: BilledSink, make: Maker, times: int) -> BudgetExceeded | None:
    """Spend 17.39 won so often, each with a hold of just that."""
    for _ in range(times):
        dispatch = make.dispatch(hold_nano_krw=WON)
        (refusal,) = sink.write([[record_of(dispatch)]])
        if refusal is not None:
            assert isinstance(refusal, BudgetExceeded)
            return refusal
        sink.write([[record_of(make.charge(dispatch, usage=Usage(input=10_000)))]])
    return None


def test_a_hard_budget_is_used_up_when_what_is_billed_reaches_it(
    billed: tuple[Engine, BilledSink], make: Maker
) -> None:
    database, sink = billed
    limit(database, make, 100)
    assert spend(sink, make, 4) is None  # 4 × 17.39 × 1.21 = 84.1676 won
    refusal = spend(sink, make, 1)
    assert refusal is not None
    assert "예산 100원 가운데 15원 남았고" in refusal.korean
    assert refusal.needed == WON * 121 // 100
    (status,) = budget_status(database, make.now)
    assert (status.limit, status.spent, status.left) == (100 * NANO, 4 * WON * 121 // 100, 15_832_400_000)
    (standing,) = standings(database, make.now)
    assert standing.spent == status.spent
    payer = make.attribution()
    assert sink.left_nano_krw(payer, "2026-11") == pytest.approx(status.left, abs=2)
    assert check_accounts(database) == []


def test_what_is_spent_with_its_surcharges_cannot_be_given_away(
    billed: tuple[Engine, BilledSink], make: Maker
) -> None:
    database, sink = billed
    giver, taker = limit(database, make, 100), limit(database, make, 1, Scope("unit", "행정국"), hard=False)
    spend(sink, make, 4)
    with pytest.raises(TransferRefused, match="15"):
        transfer(database, Order(giver.id, taker.id, 16 * NANO), now=make.now, by="t", reason="t")
    transfer(database, Order(giver.id, taker.id, 15 * NANO), now=make.now, by="t", reason="t")
    assert spend(sink, make, 1) is not None


def test_without_percentages_nothing_is_different(engine: Engine, make: Maker, key: bytes) -> None:
    sink = BilledSink(engine, key, clock=lambda: make.now)
    sink.open()
    limit(engine, make, 100)
    assert spend(sink, make, 5) is None
    assert spend(sink, make, 1) is not None
    (status,) = budget_status(engine, make.now)
    assert status.spent == 5 * WON
    sink.close()


METERED_LINE = LineSum(
    LineKind.USAGE, "2026-11", "gpt", "openai", "input", "own",
    "1.25", "USD", 1_000_000, "v1", "1391.20", "2026-11-01", 4, 9, 0,
)  # fmt: skip
percents = st.decimals("0", "100", places=2)


@given(overhead=percents, vat=percents, metered=st.integers(0, 10**16), stated=st.integers(0, 10**16))
def test_a_limit_covers_every_invoice_that_is_metered_within_it(
    overhead: Decimal, vat: Decimal, metered: int, stated: int
) -> None:
    surcharges = Surcharges(overhead, vat)
    assert surcharges.billed(surcharges.metered(stated)) <= stated
    assert surcharges.metered(surcharges.billed(metered)) >= metered
    terms = Terms(overhead_percent=overhead, vat_percent=vat)
    lines = lines_of([METERED_LINE._replace(nano_krw=metered)], terms)
    on_invoice = sum(line.nano_krw for line in lines if line.kind is not LineKind.ROUNDING)
    assert abs(on_invoice - surcharges.billed(metered)) <= 3  # each line of an invoice is rounded
    assert NO_SURCHARGES.billed(metered) == metered
