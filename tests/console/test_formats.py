from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import NANO
from gateway.console import formats
from gateway.console.i18n import LANGUAGES


@pytest.mark.parametrize(
    ("nano_krw", "korean", "english"),
    [
        (None, "–", "–"),
        (0, "0원", "₩0"),
        (1, "1원 미만", "under ₩1"),
        (NANO, "1원", "₩1"),
        (1_234_567 * NANO + NANO - 1, "1,234,567원", "₩1,234,567"),
        (-12_300 * NANO, "△12,300원", "△₩12,300"),
    ],
)
def test_won_are_whole_with_separators_and_a_triangle_for_less(nano_krw, korean, english):
    assert formats.won(nano_krw, "ko") == korean
    assert formats.won(nano_krw, "en") == english


@given(st.integers(-(10**24), 10**24))
def test_no_digit_of_an_exact_amount_is_lost(nano_krw):
    assert Decimal(formats.exact_won(nano_krw).replace(",", "")) * NANO == nano_krw


@pytest.mark.parametrize(
    ("number", "korean", "english"),
    [
        (999, "999", "999"),
        (12_345, "1.2만", "12.3k"),
        (48_200_000, "4,820만", "48.2M"),
        (9_999_999_999, "99.9억", "9.9B"),
        (-20_000, "△2만", "△20k"),
    ],
)
def test_short_counts_are_cut_and_never_promise_more_than_there_is(number, korean, english):
    assert formats.short_count(number, "ko") == korean
    assert formats.short_count(number, "en") == english


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_a_hundred_per_cent_means_all_of_it(part, whole):
    shown = Decimal(formats.percent(part, whole).replace(",", "").removesuffix("%"))
    assert (shown >= 100) == (part >= whole)


def test_a_change_says_less_with_a_triangle_and_nothing_where_nothing_was():
    assert formats.change(877, 1000) == "△12.3%"
    assert formats.change(1081, 1000) == "8.1%"
    assert formats.change(5, 0) == "–"


def test_times_are_shown_in_korea():
    assert formats.moment(datetime(2026, 11, 21, 15, 5, tzinfo=UTC)) == "2026-11-22 00:05"
    assert formats.moment(None) == "–"


def test_days_and_months_speak_the_readers_language():
    assert formats.long_day(date(2026, 11, 22), "ko") == "11월 22일 (일)"
    assert formats.long_day(date(2026, 11, 22), "en") == "Sun 22 Nov"
    assert formats.long_month("2026-11", "ko") == "2026년 11월"
    assert formats.long_month("2026-11", "en") == "November 2026"


def test_a_unit_price_below_a_won_keeps_its_digits():
    assert formats.price(Decimal("0.14"), "ko") == "0.14원"
    assert formats.price(Decimal(1739), "en") == "₩1,739"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_filter_takes_what_a_template_gives_it(language):
    filters = formats.filters(language)
    assert filters["won"](5 * NANO)
    assert filters["count"](5)
    assert filters["short_count"](50_000)
    assert filters["share_of"](1, 4) == "25.0%"
    assert filters["long_month"]("2026-11")
