"""A bill held against the ledger: equal books agree, and each kind of difference is told by its name."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bill_match import DifferenceKind, LedgerCost, LedgerDay, MatchTerms, match
from billing.bill_models import ModelNames
from billing.bill_rows import Bill, BilledRow
from billing.money import NANO

DAY = date(2026, 11, 3)
FX = Decimal(1400)
PRICES = {"input": Decimal("2.5"), "output": Decimal(10), "cache_read": Decimal("1.25")}
"""Dollars for a million."""
BUCKETS = frozenset({"input", "output", "cache_read", "cache_write"})
STRICT = MatchTerms(tolerance_percent=Decimal(0), tolerance_krw=0)


def dollars(bucket, quantity):
    return PRICES[bucket] * quantity / 1_000_000


def ledger_day(day=DAY, model="gpt-4o-2024-08-06", provider="openai", fx=FX, **quantities):
    costs = tuple(
        LedgerCost(bucket, "USD", dollars(bucket, count), int(dollars(bucket, count) * fx * NANO))
        for bucket, count in quantities.items()
    )
    return LedgerDay(day, provider, model, quantities, costs)


def billed(day=DAY, model="gpt-4o-2024-08-06", key="", factor=1, fx=None, **quantities):
    """Rows that say the same as `ledger_day` of the same arguments."""
    money = "USD" if fx is None else "KRW"
    return [
        BilledRow(1, day, model, key, bucket, count, dollars(bucket, count) * factor * (fx or 1), money)
        for bucket, count in quantities.items()
    ]


def bill(*rows, exact=True):
    flat = tuple(row for part in rows for row in part)
    return Bill("test", "UTC", flat, exact, BUCKETS)


def kinds(found):
    return Counter(one.kind.value for one in found.differences)


def test_equal_books_agree_to_the_nano_won():
    found = match(
        [bill(billed(input=1_000_003, output=77))], [ledger_day(input=1_000_003, output=77)], STRICT
    )
    assert found.differences == ()
    assert found.agrees
    assert found.here_nano_krw == found.there_nano_krw


@given(
    st.lists(
        st.tuples(
            st.integers(0, 29), st.sampled_from(["a", "b"]), st.integers(1, 10**9), st.integers(1, 10**9)
        ),
        max_size=20,
        unique_by=lambda one: one[:2],
    )
)
def test_any_book_agrees_with_itself_and_every_change_is_found(rows):
    days = [ledger_day(DAY + timedelta(d), model, input=i, output=o) for d, model, i, o in rows]
    lines = [billed(DAY + timedelta(d), model, input=i, output=o) for d, model, i, o in rows]
    same = match([bill(*lines)], days, STRICT)
    assert all(abs(one.nano_krw or 0) <= 1 for one in same.differences)
    for index in range(len(rows)):
        without = match([bill(*lines[:index], *lines[index + 1 :])], days, STRICT)
        assert kinds(without)["missing_there"] == 1
        assert not without.agrees


def test_what_only_one_side_knows_is_missing_on_the_other():
    found = match(
        [bill(billed(input=10_000), billed(model="o1", input=500_000))],
        [ledger_day(input=10_000), ledger_day(day=DAY + timedelta(1), input=400_000)],
        STRICT,
    )
    assert kinds(found) == {"missing_here": 1, "missing_there": 1}
    here, there = sorted(found.differences, key=lambda one: one.kind)
    assert (here.model, here.there_quantity, here.nano_krw) == ("o1", 500_000, 1750 * NANO)
    assert (there.here_quantity, there.nano_krw) == (400_000, -1400 * NANO)


def test_another_quantity_is_not_another_price_as_well():
    found = match([bill(billed(input=1_200_000))], [ledger_day(input=1_000_000)], STRICT)
    (one,) = found.differences
    assert (one.kind, one.nano_krw) == (DifferenceKind.QUANTITY, 700 * NANO)
    assert (one.here_quantity, one.there_quantity) == (1_000_000, 1_200_000)


def test_another_price_of_the_same_quantity():
    found = match(
        [bill(billed(input=1_000_000, factor=Decimal("1.1")))], [ledger_day(input=1_000_000)], STRICT
    )
    (one,) = found.differences
    assert (one.kind, one.nano_krw) == (DifferenceKind.PRICE, 350 * NANO)


def test_what_the_bills_decimals_cannot_say_is_rounding():
    rows = [
        row._replace(cost=row.cost.quantize(Decimal("0.01"))) for row in billed(input=1_234, output=987_654)
    ]
    found = match([bill(rows)], [ledger_day(input=1_234, output=987_654)], MatchTerms())
    assert set(kinds(found)) == {"rounding"}
    assert found.agrees


def test_a_rate_moves_all_costs_alike_and_a_price_only_its_own():
    theirs = [
        *billed(input=1_000_000, fx=Decimal(1414)),
        *billed(model="m2", input=2_000_000, fx=Decimal(1414)),
        *billed(model="m3", input=1_000_000, factor=2, fx=Decimal(1414)),
    ]
    ours = [
        ledger_day(input=1_000_000),
        ledger_day(model="m2", input=2_000_000),
        ledger_day(model="m3", input=1_000_000),
    ]
    found = match([bill(theirs)], ours, STRICT)
    by_model = {(one.model, one.kind.value): one.nano_krw for one in found.differences}
    assert by_model == {
        ("gpt-4o-2024-08-06", "fx"): 35 * NANO,
        ("m2", "fx"): 70 * NANO,
        ("m3", "fx"): 35 * NANO,
        ("m3", "price"): 3535 * NANO,
    }


def test_a_rate_that_the_bill_states_needs_no_guess():
    rows = [
        row._replace(fx_rate=Decimal(1414)) for row in billed(input=1_000_000, factor=2, fx=Decimal(1414))
    ]
    found = match([bill(rows)], [ledger_day(input=1_000_000)], STRICT)
    assert {one.kind.value: one.nano_krw for one in found.differences} == {
        "fx": 35 * NANO,
        "price": 3535 * NANO,
    }


def test_a_request_at_midnight_that_stands_on_the_day_before_does_not_disagree():
    ours = [ledger_day(input=900_000), ledger_day(day=DAY + timedelta(1), input=600_000)]
    theirs = bill(billed(input=1_000_000), billed(day=DAY + timedelta(1), input=500_000))
    found = match([theirs], ours, STRICT)
    assert kinds(found) == {"quantity": 2}
    assert found.agrees


def test_gains_and_losses_of_two_models_do_not_cancel():
    ours = [ledger_day(input=1_000_000), ledger_day(model="m2", input=1_000_000)]
    theirs = bill(billed(input=2_000_000), billed(model="m2", input=1))
    found = match([theirs], ours, MatchTerms(tolerance_krw=100))
    assert not found.agrees
    assert found.outside_nano_krw > 6_900 * NANO


def test_keys_tell_who_used_the_provider_past_the_gateway():
    terms = MatchTerms(
        tolerance_krw=0, tolerance_percent=Decimal(0), keys={"key_a": "openai", "key_b": "openai-2"}
    )
    ours = [ledger_day(input=1_000), ledger_day(provider="openai-2", input=2_000)]
    theirs = bill(
        billed(key="key_a", input=1_000), billed(key="key_b", input=2_000), billed(key="key_x", input=9_000)
    )
    found = match([theirs], ours, terms)
    (one,) = found.differences
    assert (one.kind, one.key, one.there_quantity) == (DifferenceKind.MISSING_HERE, "key_x", 9_000)
    joined = match([theirs], ours, STRICT)
    assert kinds(joined) == {"quantity": 1}


def test_a_usage_export_is_compared_without_costs_and_priced_as_ours():
    rows = [row._replace(cost=None) for row in billed(input=1_100_000)]
    found = match([bill(rows)], [ledger_day(input=1_000_000)], STRICT)
    (one,) = found.differences
    assert (one.kind, one.nano_krw) == (DifferenceKind.QUANTITY, 350 * NANO)
    assert found.there_nano_krw is None
    unknown = match([bill([row._replace(model="new", cost=None) for row in rows])], [], STRICT)
    assert unknown.unpriced == 1
    assert not unknown.agrees


def test_usage_and_costs_of_two_files_are_one_bill():
    usage = [row._replace(cost=None) for row in billed(input=1_000_000, output=5)]
    costs = [row._replace(quantity=None) for row in billed(input=1_000_000, output=5)]
    found = match([bill(usage), bill(costs)], [ledger_day(input=1_000_000, output=5)], STRICT)
    assert found.agrees
    assert found.differences == ()


def test_a_bill_that_does_not_tell_cached_input_apart_counts_it_as_input():
    whole = Bill(
        "test", "UTC", (BilledRow(1, DAY, "m", "", "input", 300, None, "USD"),), True, frozenset({"input"})
    )
    found = match([whole], [ledger_day(model="m", input=100, cache_read=200)], STRICT)
    assert found.differences == ()


@pytest.mark.parametrize(
    ("name", "exact", "model"),
    [
        ("gpt-4o-2024-08-06", True, "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", True, "gpt-4o-mini-2024-07-18"),
        ("Claude Opus 4.5", True, "claude-opus-4-5-20251101"),
        ("gpt 4o 1120 cached Inp glbl Tokens", False, "gpt-4o"),
        ("gpt 4o mini 0718 Outp glbl Tokens", False, "gpt 4o mini 0718 Outp glbl Tokens"),
        ("APN2-Claude4.5Sonnet-output-tokens", False, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("APN2-Claude4.5Haiku-output-tokens", False, "APN2-Claude4.5Haiku-output-tokens"),
        ("APN2-ClaudeSonnet4.5-output-tokens", False, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("Generate content output token count gemini 2.5 flash", False, "gemini-2.5-flash"),
        ("Generate content output token count gemini 2.5 flash lite", False, "gemini-2.5-flash-lite"),
        ("Gemini 2.5 Pro Text Input - Predictions", False, "gemini-2.5-pro"),
        ("내부 이름", False, "solar-pro"),
    ],
)
def test_a_model_is_found_under_the_name_that_the_bill_gives_it(name, exact, model):
    names = ModelNames(
        [
            "gpt-4o",
            "claude-opus-4-5-20251101",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "gemini-2.5-flash",
            "gemini-2.5-flash-lite",
            "gemini-2.5-pro",
            "solar-pro",
        ],
        {"내부 이름": "solar-pro"},
    )
    assert names.find(name, exact=exact) == model
