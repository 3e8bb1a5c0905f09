"""A provider's own statement of a cost, held against ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from billing.ledger import Charge, Outcome
from billing.usage import Usage, UsageSource
from gateway.price_watch import PriceDifference, PriceWatch, differs
from tests.billing.conftest import Maker

USAGE = Usage(input=1_000_000)
"""1.25 dollars by the test's book."""


def charge(make: Maker, stated: str | None) -> Charge:
    dispatch = make.dispatch()
    return Charge.settle(
        dispatch,
        charge_id="c",
        settled_at=make.tick(),
        outcome=Outcome.SUCCESS,
        source=UsageSource.REPORTED,
        usage=USAGE,
        stated_cost_usd=None if stated is None else Decimal(stated),
    )


@pytest.mark.parametrize(
    ("stated", "told"), [("1.25", 0), ("1.374", 0), ("1.376", 1), ("1.12", 1), ("0", 1), (None, 0)]
)
def test_a_statement_further_from_ours_than_allowed_is_told(stated: str | None, told: int) -> None:
    make, heard = Maker(), list[PriceDifference]()
    labels = {"deployment": "gpt@openai"}
    before = REGISTRY.get_sample_value("haechi_price_differences_total", labels) or 0
    watch = PriceWatch(Decimal(10), heard.append)
    watch.look(charge(make, stated), make.dispatch().quote)
    assert len(heard) == told
    after = REGISTRY.get_sample_value("haechi_price_differences_total", labels) or 0
    assert after - before == told


def test_a_price_is_logged_once_an_hour_and_without_anything_of_the_request() -> None:
    make, heard = Maker(), list[PriceDifference]()
    watch = PriceWatch(Decimal(10), heard.append)
    with capture_logs() as logs:
        for minutes in (0, 30, 61):
            late = replace(
                charge(make, "2.5"),
                settled_at=datetime(2026, 11, 22, tzinfo=UTC) + timedelta(minutes=minutes),
            )
            watch.look(late, make.dispatch().quote)
    assert [entry["event"] for entry in logs] == ["price_differs"] * 2
    assert len(heard) == 3
    assert (heard[0].percent, logs[0]["percent"], logs[0]["price_key"]) == (
        Decimal("100.0"),
        "100.0",
        "openai/gpt",
    )


def test_nothing_is_told_where_the_institution_says_so() -> None:
    make, heard = Maker(), list[PriceDifference]()
    PriceWatch(Decimal(0), heard.append).look(charge(make, "99"), make.dispatch().quote)
    assert heard == []


@given(st.integers(0, 10**15), st.decimals("0.1", "50", places=1))
def test_what_is_within_the_percentage_never_differs(computed: int, percent: Decimal) -> None:
    within = computed + int(computed * percent / 100)
    assert not differs(within, computed, percent)
    assert differs(within + 10**7 + 1, computed, percent)
