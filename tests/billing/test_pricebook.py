"""Versions of the price book: what goes together with what, and what a draft would change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import day_start
from billing.pricebook import Draft, DraftError, PriceVersion, VersionState, assembled, changes, check
from billing.prices import FxRule, NoPrice, PriceBook
from billing.quotes import Quote, total
from billing.usage import CLASSES, Usage

NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)
PRICE: dict[str, Any] = {"key": "m", "from": "2026-01-01", "currency": "USD", "input": "1", "output": "10"}
FX: dict[str, Any] = {"base": "USD", "date": "2026-11-01", "rate": "1400", "source": "시험"}
BASE = PriceBook.from_tables([PRICE], [FX])


def draft(*prices: dict[str, Any], fx: tuple[dict[str, Any], ...] = ()) -> Draft:
    return Draft.of([PRICE | one for one in prices], [FX | one for one in fx], "test")


def version(number: int, *prices: dict[str, Any], fx: tuple[dict[str, Any], ...] = ()) -> PriceVersion:
    return PriceVersion(number, draft(*prices, fx=fx), NOW, "finance1", state=VersionState.APPROVED)


def at(day: str) -> datetime:
    return day_start(date.fromisoformat(day))


def test_a_price_is_in_force_from_its_korean_day_and_not_a_moment_earlier() -> None:
    book = assembled(BASE, [version(1, {"from": "2026-12-01", "input": "2"})])
    starts = at("2026-12-01")
    assert book.quote("m", starts - timedelta(microseconds=1)).price.prices["input"] == 1
    assert book.quote("m", starts).price.prices["input"] == 2
    assert book.quote("m", starts).price_version == "v1-20261201"
    early = at("2026-11-02")
    assert book.quote("m", early).price_version == BASE.quote("m", early).price_version


def test_what_the_file_was_edited_to_meanwhile_gives_way_to_what_was_approved() -> None:
    base = PriceBook.from_tables([PRICE | {"from": "2026-12-01"}], [FX])
    book = assembled(base, [version(1, {"from": "2026-12-01", "input": "2"})])
    assert book.quote("m", at("2026-12-01")).price_version == "v1-20261201"


@pytest.mark.parametrize(
    ("price", "field"),
    [
        ({"from": "2026-01-01"}, "from"),
        ({"from": "2026-06-01"}, "from"),  # the version below ends on 2026-07-01
        ({"from": "2025-06-01", "until": "2026-02-01"}, "from"),
    ],
)
def test_prices_of_a_key_do_not_overlap(price: dict[str, Any], field: str) -> None:
    book = assembled(BASE, [version(1, {"from": "2026-05-01", "until": "2026-07-01"})])
    with pytest.raises(DraftError) as refused:
        check(book, draft(price), NOW)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert "겹치지 않는" in refused.value.korean


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"from": None}, "needs a date"),
        ({"from": "tomorrow"}, "needs a date"),
        ({"from": "2026-12-01T09:00:00+09:00"}, "beginning of a day"),
        ({"input": "-1"}, "negative"),
        ({"input": "1e12"}, "absurd"),
        ({"input": 1.25}, "write amounts as text"),
        ({"input": "cheap"}, "not a number"),
        ({"currency": "XYZ"}, "unknown currency"),
        ({"until": "2025-01-01"}, "after from"),
        ({"imput": "1"}, "unknown field"),
    ],
)
def test_a_price_that_cannot_be_right_is_refused_by_name(table: dict[str, Any], word: str) -> None:
    with pytest.raises(DraftError, match=word):
        draft(table)


def test_a_draft_without_anything_is_none() -> None:
    with pytest.raises(DraftError, match="no price"):
        Draft.of([], [], "test")


def test_a_price_in_a_currency_without_a_rate_is_refused() -> None:
    with pytest.raises(DraftError, match="JPY/KRW"):
        check(BASE, draft({"from": "2026-12-01", "currency": "JPY"}), NOW)
    yen = {"from": "2026-12-01", "currency": "JPY", "input": "150", "output": "1500"}
    both = draft(yen, fx=({"base": "JPY", "rate": "9.3"},))
    check(BASE, both, NOW)


def test_a_change_that_nobody_expects_must_be_meant() -> None:
    tenfold, more = (
        draft({"from": "2026-12-01", "input": "10"}),
        draft({"from": "2026-12-01", "input": "10.1"}),
    )
    check(BASE, tenfold, NOW)
    with pytest.raises(DraftError, match="--large-changes"):
        check(BASE, more, NOW)
    check(BASE, more, NOW, large_changes=True)
    with pytest.raises(DraftError, match="from 10 to 0 USD"):
        check(BASE, draft({"from": "2026-12-01", "output": "0"}), NOW)
    in_won = {"from": "2026-12-01", "currency": "KRW"}
    with pytest.raises(DraftError, match="from USD 1 to 1 KRW"):
        check(BASE, draft(in_won), NOW)
    check(BASE, draft(in_won | {"input": "1400", "output": "14000"}), NOW)
    with pytest.raises(DraftError, match="absurd"):
        check(BASE, draft({"key": "new", "from": "2026-12-01", "input": "90000"}), NOW)
    with pytest.raises(DraftError, match="more than twice"):
        check(BASE, draft(fx=({"date": "2026-11-02", "rate": "139120"},)), NOW)


def test_a_second_rate_for_a_day_is_refused_and_one_that_somebody_sets_holds_from_then_on() -> None:
    with pytest.raises(DraftError, match="manual"):
        check(BASE, draft(fx=({"rate": "1401"},)), NOW)
    noon = datetime(2026, 11, 1, 3, tzinfo=UTC)
    put_right = version(1, fx=({"rate": "1401", "kind": "manual", "published_at": noon},))
    book = assembled(BASE, [put_right])
    assert book.fx_at("USD", noon - timedelta(seconds=1)).rate == 1400
    assert book.fx_at("USD", noon).rate == 1401


def test_a_fixed_monthly_rate_holds_for_its_month_only() -> None:
    base = PriceBook.from_tables([PRICE], [FX], FxRule.MONTHLY)
    fixed = {"date": "2026-11-01", "rate": "1390", "kind": "monthly"}
    book = assembled(base, [version(1, fx=(fixed, {"date": "2026-11-05", "rate": "1500"}))])
    assert book.fx_at("USD", at("2026-11-30")).rate == 1390
    with pytest.raises(NoPrice, match="2026-12"):
        book.fx_at("USD", at("2026-12-01"))
    with pytest.raises(DraftError, match="first day"):
        draft(fx=(fixed | {"date": "2026-11-02"},))


def test_a_rate_that_is_too_old_is_none() -> None:
    book = PriceBook.from_tables([PRICE], [FX], fx_most_days=7)
    assert book.fx_at("USD", at("2026-11-08")).rate == 1400
    with pytest.raises(NoPrice, match="within 7 days"):
        book.fx_at("USD", at("2026-11-09"))


def test_a_draft_says_what_it_changes_figure_by_figure() -> None:
    tier = {"above_input_tokens": 200_000, "input": "2"}
    found = changes(
        BASE, draft({"from": "2026-12-01", "input": "1.5", "tiers": [tier], "service_tiers": {"flex": "0.5"}})
    )
    assert [(one.name, one.kind, one.before, one.after, one.percent) for one in found] == [
        ("input", "changed", Decimal(1), Decimal("1.5"), Decimal("50.0")),
        ("input > 200000", "added", None, Decimal(2), None),
        ("output", "same", Decimal(10), Decimal(10), Decimal("0.0")),
        ("× flex", "added", None, Decimal("0.5"), None),
    ]


def test_two_prices_of_a_key_in_one_draft_follow_each_other() -> None:
    found = changes(BASE, draft({"from": "2026-12-01", "input": "2"}, {"from": "2027-01-01", "input": "3"}))
    assert [(one.before, one.after) for one in found if one.name == "input"] == [(1, 2), (2, 3)]


def test_a_draft_is_the_same_after_it_was_kept() -> None:
    kept = draft({"from": date(2026, 12, 1), "until": date(2027, 1, 1)}, fx=({"rate": "1"},))
    again = Draft.from_document(kept.document, kept.source)
    assert (again.digest, again.starts_on) == (kept.digest, date(2026, 11, 1))
    assert PriceVersion(1, again, NOW, "a").prices == PriceVersion(1, kept, NOW, "a").prices


amounts = st.decimals("0", "99999", places=6).map(str)
usages = st.builds(
    Usage,
    **{name: st.none() | st.integers(0, 10**7) for name in CLASSES},
    quarantined=st.booleans(),
)


@given(
    price=st.dictionaries(st.sampled_from(["input", "output", "cache_read", "images", "requests"]), amounts),
    currency=st.sampled_from(["USD", "KRW"]),
    tier=st.none() | st.tuples(st.integers(1, 10**6), amounts),
    factor=st.decimals("0.01", "3", places=4).map(str),
    rate=st.decimals("0.01", "9999", places=4).map(str),
    usage=usages,
    served=st.sampled_from([None, "flex", "strange"]),
)
def test_any_usage_rates_to_the_same_won_again_from_the_stored_quote(
    price: dict[str, str],
    currency: str,
    tier: tuple[int, str] | None,
    factor: str,
    rate: str,
    usage: Usage,
    served: str | None,
) -> None:
    table: dict[str, Any] = {"input": "1", **price, "currency": currency, "service_tiers": {"flex": factor}}
    if tier is not None:
        table["tiers"] = [{"above_input_tokens": tier[0], "input": tier[1]}]
    kept = draft(table | {"from": "2026-12-01"}, fx=({"rate": rate, "date": "2026-11-30"},))
    book = assembled(BASE, [PriceVersion(1, Draft.from_document(kept.document, ""), NOW, "a")])
    quote = book.quote("m", at("2026-12-01"))
    again = Quote.from_document(quote.document)
    assert (again.id, again.rate(usage, served)) == (quote.id, quote.rate(usage, served))
    lines = quote.rate(usage, served)
    assert total(lines) == sum(line.amount_nano_krw for line in lines)


@given(
    days=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60) | st.none()), min_size=1, max_size=6),
    asked=st.integers(0, 500),
)
def test_at_any_instant_at_most_one_price_is_in_force(days: list[tuple[int, int | None]], asked: int) -> None:
    start, nothing = date(2026, 1, 1), PriceBook({}, {})
    kept: list[PriceVersion] = []
    for number, (offset, length) in enumerate(days, 1):
        table = {"from": (start + timedelta(offset)).isoformat(), "currency": "KRW", "input": str(number)}
        if length is not None:
            table["until"] = (start + timedelta(offset + length)).isoformat()
        one = version(number, table)
        try:
            check(assembled(nothing, kept), one.draft, NOW, large_changes=True)
        except DraftError:
            continue
        kept.append(one)
    instant = day_start(start + timedelta(asked))
    begun = [one.prices["m"][0] for one in kept if one.prices["m"][0].starts_at <= instant]
    expected = max(begun, key=lambda price: price.starts_at, default=None)
    try:
        found = assembled(nothing, kept).quote("m", instant).price
    except NoPrice:
        assert expected is None or (expected.ends_at is not None and expected.ends_at <= instant)
    else:
        assert expected is not None
        assert found.prices == expected.prices
