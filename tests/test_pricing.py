"""The price book in a running process: swapped as a whole, and still there when the database is not."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from billing.periods import billing_day
from billing.pricebook import Draft, PriceRefused
from billing.prices import PriceBook
from gateway.audit import Actor, Deed
from gateway.config import parse
from gateway.pricing import LivePrices, PriceDesk, book_of, in_force, rates
from gateway.rerating import version_of
from gateway.store.database import migrate, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.config import Config

NOW = datetime.now(UTC)
TODAY = billing_day(NOW).isoformat()
TEXT = b"""
[[prices]]
key = "m"
from = 2026-01-01
currency = "KRW"
input = "100"
[[fx]]
base = "USD"
date = 2026-01-01
rate = "1400"
"""
DEED = Deed(NOW, Actor("finance1"), "test")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return parse(TEXT, tmp_path / "haechi.toml", {})


@pytest.fixture
def desk(config: Config) -> Iterator[PriceDesk]:
    migrate(config.database_url)
    with opened(config.database_url) as engine:
        yield PriceDesk(engine, config)


def draft(price: str = "120", day: str = TODAY) -> Draft:
    return Draft.of([{"key": "m", "from": day, "currency": "KRW", "input": price}], [], "test")


def test_a_running_process_takes_up_what_was_approved_and_keeps_it_without_the_database(
    desk: PriceDesk, tmp_path: Path
) -> None:
    live = LivePrices(desk.database, desk.base)
    live.start()
    try:
        assert live.quote("m", NOW).price.prices["input"] == 100
        desk.approve(desk.propose(draft(), DEED).number, DEED)
        until = time.monotonic() + 3
        while live.book.quote("m", NOW).price.prices["input"] == 100:
            assert time.monotonic() < until
            time.sleep(0.05)
        desk.database.dispose()
        (tmp_path / "haechi.db").rename(tmp_path / "away.db")
        time.sleep(0.7)
        assert live.quote("m", NOW).price_version.startswith("v1-")
    finally:
        live.stop()


def test_without_a_usable_database_the_file_is_the_book(config: Config) -> None:
    assert book_of(config) == config.price_book
    migrate(config.database_url)
    assert book_of(config).prices == config.price_book.prices


def test_a_rate_that_somebody_sets_for_today_holds_from_now_on(desk: PriceDesk) -> None:
    rate = {"base": "USD", "date": TODAY, "rate": "1500", "kind": "manual"}
    made = desk.propose(Draft.of([], [rate], "test"), DEED)
    desk.approve(made.number, DEED)
    latest, first = rates(desk.book())
    assert (latest.published_at, latest.rate, first.rate) == (NOW, 1500, 1400)


def test_a_reason_is_asked_for_what_takes_something_back(desk: PriceDesk) -> None:
    made = desk.propose(draft(day="2099-01-01"), DEED)
    silent = replace(DEED, reason=" ")
    with pytest.raises(PriceRefused, match="Say why"):
        desk.reject(made.number, silent)
    desk.approve(made.number, DEED)
    with pytest.raises(PriceRefused, match="Say why"):
        desk.withdraw(made.number, silent)


def test_what_is_in_force_is_the_last_that_has_begun_and_not_ended() -> None:
    tables = [
        {"key": "a", "from": "2026-01-01", "until": "2026-02-01", "currency": "KRW", "input": "1"},
        {"key": "b", "from": "2026-01-01", "currency": "KRW", "input": "1"},
        {"key": "b", "from": "2026-03-01", "currency": "KRW", "input": "2"},
        {"key": "c", "from": "2026-06-01", "currency": "KRW", "input": "1"},
    ]
    found = in_force(PriceBook.from_tables(tables, []), datetime(2026, 4, 1, tzinfo=UTC))
    assert [(price.key, price.prices["input"]) for price in found] == [("b", 2)]


def test_a_version_is_named_by_its_number_the_file_or_a_price_of_it(desk: PriceDesk) -> None:
    desk.approve(desk.propose(draft(), DEED).number, DEED)
    assert version_of(desk, "1").prices["m"] == version_of(desk, "v1").prices["m"]
    assert version_of(desk, "0").prices == version_of(desk, "haechi.toml").prices == desk.base.prices
    name = desk.book().quote("m", NOW).price_version
    assert version_of(desk, name).prices["m"][0].prices["input"] == 120
    assert len(version_of(desk, "current").prices["m"]) == 2
    for wrong in ("7", "nothing"):
        with pytest.raises(PriceRefused, match="no version"):
            version_of(desk, wrong)
