from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.prices import NoPrice, PriceBook, PriceTableError
from billing.quotes import total
from billing.usage import Usage

TOML = """
[[prices]]
key = "openai/gpt"
from = 2026-01-01
currency = "USD"
input = "1.25"
output = "10"

[[prices]]
key = "openai/gpt"
from = 2026-11-10T12:00:00+09:00
currency = "USD"
input = "1.00"
output = "8"
verified = true

[[prices]]
key = "in-house"
from = 2026-01-01
until = 2026-12-01
currency = "KRW"
input = "0"
output = "0"

[[fx]]
base = "USD"
date = 2026-11-01
rate = "1391.20"

[[fx]]
base = "USD"
date = 2026-11-02
published_at = 2026-11-02T08:30:00+09:00
rate = "1400"
"""


@pytest.fixture
def book() -> PriceBook:
    tables = tomllib.loads(TOML)
    return PriceBook.from_tables(tables["prices"], tables["fx"])


def test_a_price_holds_from_its_first_instant(book: PriceBook) -> None:
    change = datetime(2026, 11, 10, 3, tzinfo=UTC)
    old, new = book.quote("openai/gpt", change - timedelta(microseconds=1)), book.quote("openai/gpt", change)
    assert old.price.prices["input"] == Decimal("1.25")
    assert new.price.prices["input"] == Decimal("1.00")
    assert (old.verified, new.verified) == (False, True)
    assert old.price_version != new.price_version


def test_the_rate_is_the_last_one_published_before_dispatch(book: PriceBook) -> None:
    published = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)
    assert book.fx_at("USD", published - timedelta(microseconds=1)).rate == Decimal("1391.20")
    assert book.fx_at("USD", published).rate == 1400


def test_a_new_price_never_re_prices_what_was_admitted_before(book: PriceBook) -> None:
    admitted = book.quote("openai/gpt", datetime(2026, 11, 9, tzinfo=UTC))
    before = total(admitted.rate(Usage(input=1000)))
    book.quote("openai/gpt", datetime(2026, 11, 20, tzinfo=UTC))
    assert total(admitted.rate(Usage(input=1000))) == before


def test_equal_quotes_are_one_object(book: PriceBook) -> None:
    at = datetime(2026, 11, 15, tzinfo=UTC)
    assert book.quote("openai/gpt", at) is book.quote("openai/gpt", at + timedelta(days=1))


def test_two_prices_that_somebody_gave_one_name_are_two() -> None:
    table = {"key": "m", "currency": "KRW", "version": "기본", "input": "1000"}
    until_march = table | {"from": "2026-01-01", "until": "2026-04-01"}
    sale = table | {"from": "2026-04-01", "until": "2026-07-01", "version": "할인", "input": "500"}
    book = PriceBook.from_tables([until_march, sale, table | {"from": "2026-07-01", "input": "2000"}], [])
    found = [book.quote("m", datetime(2026, month, 15, tzinfo=UTC)).price.prices["input"] for month in (3, 8)]
    assert found == [1000, 2000]


@pytest.mark.parametrize(
    ("key", "at"),
    [
        ("unknown", datetime(2026, 11, 15, tzinfo=UTC)),
        ("openai/gpt", datetime(2025, 12, 31, 14, 59, tzinfo=UTC)),
        ("in-house", datetime(2026, 11, 30, 15, tzinfo=UTC)),
        ("openai/gpt", datetime(2026, 10, 31, 14, 59, tzinfo=UTC)),
    ],
    ids=["no such key", "before the first version", "after until", "no rate yet"],
)
def test_no_price_no_service(book: PriceBook, key: str, at: datetime) -> None:
    with pytest.raises(NoPrice) as refusal:
        book.quote(key, at)
    assert "haechi.toml" in refusal.value.korean
    assert "haechi.toml" in refusal.value.english


def test_all_mistakes_of_both_tables_are_named_at_once() -> None:
    with pytest.raises(PriceTableError) as mistakes:
        PriceBook.from_tables([{"key": "a", "currency": "USD", "input": 1.5}], [{"base": "XXX"}])
    fields = {(problem.entry, problem.field) for problem in mistakes.value.problems}
    assert fields == {
        ("prices[0]", "from"),
        ("prices[0]", "input"),
        ("fx[0]", "base"),
        ("fx[0]", "date"),
        ("fx[0]", "rate"),
    }
