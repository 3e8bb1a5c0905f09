"""What genai-prices says, as prices of the book."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price

from billing.money import EXACT, won
from billing.pricebook import Draft
from billing.prices import PriceBook
from billing.quotes import total
from billing.usage import Usage
from gateway import price_sources

DAY = date(2026, 11, 20)
FX = [{"base": "USD", "date": "2026-01-01", "rate": "1"}]


@pytest.mark.parametrize(
    ("key", "used"),
    [
        ("openai/gpt-5.1", Usage(input=1_000, cache_read=500, output=200)),
        ("anthropic/claude-opus-4-6", Usage(input=900, cache_read=80, cache_write_5m=70, output=33)),
        ("google/gemini-2.5-pro", Usage(input=150_000, cache_read=10_000, output=2_000)),
        ("google/gemini-2.5-pro", Usage(input=250_000, cache_read=10_000, output=2_000)),
        ("openai/o3", Usage(input=10, output=10)),
    ],
)
def test_the_book_charges_what_genai_prices_calculates(key: str, used: Usage) -> None:
    found = price_sources.collect([key], DAY)
    book = PriceBook.from_tables([dict(table) for table in found.prices], FX)
    at = datetime(2026, 11, 20, 3, tzinfo=UTC)
    provider, _, model = key.partition("/")
    theirs = calc_price(
        TheirUsage(
            input_tokens=used.input_tokens,
            cache_read_tokens=used.cache_read or 0,
            cache_write_tokens=used.cache_write_5m or 0,
            output_tokens=used.output or 0,
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=at,
    ).total_price
    ours = won(total(book.quote(key, at).rate(used)))
    assert EXACT.subtract(ours, theirs).copy_abs() < EXACT.create_decimal("1e-8")


def test_a_change_that_is_known_for_a_later_day_is_a_price_of_its_own() -> None:
    found = price_sources.collect(["google/gemini-3.6-flash"], DAY)
    assert [table["from"] for table in found.prices] == ["2026-11-20", "2027-01-01"]
    assert found.prices[0]["input"] != found.prices[1]["input"]


def test_what_cannot_be_said_is_named_and_the_dearer_side_taken() -> None:
    found = price_sources.collect(["deepseek/deepseek-reasoner", "openai/gpt-5.1", "in-house/llm"], DAY)
    assert found.unknown == ("in-house/llm",)
    assert any("time of day" in english for _, english in found.notes)
    assert any("flex" in english for _, english in found.notes)


def test_everything_that_it_knows_and_the_book_can_say_is_a_price_that_the_book_takes() -> None:
    found = price_sources.collect(price_sources.known_keys(), DAY)
    draft = Draft.of(found.prices, (), price_sources.label())
    assert len(draft.prices) > 2_000
    assert all(table["source"].startswith("genai-prices ") for table in draft.prices)
