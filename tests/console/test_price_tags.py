from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from billing.prices import PriceBook
from gateway.console.price_tags import price_tags

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def tag(**price):
    entry = {
        "key": "k",
        "from": "2026-01-01",
        "currency": "USD",
        "source": "test",
        "checked": "2026-11-22",
        **price,
    }
    entry["from"], entry["checked"] = (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 22, tzinfo=UTC).date(),
    )
    fx = {
        "base": "USD",
        "quote": "KRW",
        "date": datetime(2026, 1, 2, tzinfo=UTC).date(),
        "rate": "1391.20",
        "source": "t",
    }
    return price_tags(PriceBook.from_tables([entry], [fx]).quote("k", NOW))


def test_prices_are_in_won_at_todays_rate_and_keep_what_the_provider_states():
    rows = {row.usage_class: row for row in tag(input="1.25", output="10").rows}
    assert rows["input"].won == Decimal(1739)
    assert rows["input"].stated == Decimal("1.25")
    assert rows["output"].won == Decimal(13912)


def test_a_price_below_a_hundred_won_keeps_two_digits():
    assert tag(images="0.04").rows[0].won == Decimal("55.65")


def test_a_list_shows_input_and_output_or_else_the_first_price():
    assert [row.usage_class for row in tag(cache_read="0.1", input="1", output="2").main] == [
        "input",
        "output",
    ]
    assert [row.usage_class for row in tag(images="0.04").main] == ["images"]


def test_tiers_and_variants_say_when_they_hold():
    rows = tag(input="1", output="2", tiers=[{"above_input_tokens": 272000, "input": "2"}]).rows
    assert [row.where for row in rows] == ["", "", "> 272,000"]
