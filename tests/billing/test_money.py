from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import (
    NANO,
    ceiling,
    format_won,
    format_won_exact,
    half_even,
    nano,
    remainder_under_10_won,
    truncate_10_won,
    whole_won,
    won,
)

AMOUNTS = st.integers(-(10**19), 10**19)


@given(AMOUNTS, st.integers(1, 10**12))
def test_half_even_is_the_rounding_of_exact_fractions(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize(("numerator", "rounded"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (-5, -2)])
def test_a_tie_goes_to_the_even_neighbour(numerator: int, rounded: int) -> None:
    assert half_even(numerator, 2) == rounded


@given(st.integers(0, 10**19), st.integers(1, 10**12))
def test_a_ceiling_is_never_below(numerator: int, denominator: int) -> None:
    up = ceiling(numerator, denominator)
    assert Fraction(numerator, denominator) <= up < Fraction(numerator, denominator) + 1


@given(AMOUNTS)
def test_nano_won_survive_the_way_to_won_and_back(amount: int) -> None:
    assert nano(won(amount)) == amount


def test_public_money_drops_what_is_under_ten_won() -> None:
    amount = nano(Decimal("12345.67"))
    assert truncate_10_won(amount) == 12_340
    assert remainder_under_10_won(amount) == nano(Decimal("5.67"))


@given(AMOUNTS)
def test_the_cut_and_its_remainder_make_the_whole(amount: int) -> None:
    assert truncate_10_won(amount) * NANO + remainder_under_10_won(amount) == amount
    assert truncate_10_won(amount) % 10 == 0
    assert abs(remainder_under_10_won(amount)) < 10 * NANO


def test_a_credit_is_cut_towards_zero_like_a_debit() -> None:
    assert truncate_10_won(-19 * NANO) == -10
    assert whole_won(-1) == 0


def test_won_are_written_as_koreans_write_them() -> None:
    assert format_won(1_234_567_000_000_000) == "1,234,567원"
    assert format_won_exact(1_234_500_000_000) == "1,234.5원"
    assert format_won_exact(-500_000_000) == "-0.5원"
    assert format_won_exact(NANO) == "1원"
