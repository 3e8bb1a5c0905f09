from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from billing.money import NANO, half_even
from billing.statements import (
    BudgetLine,
    Invoice,
    LineKind,
    LineSum,
    Rounding,
    Seats,
    Terms,
    UnitName,
    canonical,
    digest,
    given_out,
    lines_of,
    number_of,
)

PRICES = st.decimals(min_value=0, max_value=1000, places=4)
RATES = st.decimals(min_value=1, max_value=3000, places=2)


@st.composite
def line_sums(draw: st.DrawFn) -> LineSum:
    """A quantity at a price and a rate, charged as the ledger charges it; corrections may be negative."""
    kind = draw(st.sampled_from([LineKind.USAGE, LineKind.LATE, LineKind.CORRECTION]))
    price, rate = draw(PRICES), draw(st.none() | RATES)
    quantity = draw(st.integers(-(10**9) if kind is LineKind.CORRECTION else 0, 10**9))
    exact = (price * (rate or 1) * NANO).as_integer_ratio()
    return LineSum(
        kind=kind,
        original_month=draw(st.sampled_from(["2026-09", "2026-10", "2026-11"])),
        model=draw(st.sampled_from(["gpt", "claude", "=cmd()"])),
        provider="openai",
        token_class=draw(st.sampled_from(["input", "output", "images"])),
        basis="own",
        unit_price=str(price),
        currency="USD" if rate else "KRW",
        per=1_000_000,
        price_version="v1",
        fx_rate="" if rate is None else str(rate),
        fx_date="" if rate is None else "2026-11-01",
        charge_lines=draw(st.integers(1, 1000)),
        quantity=quantity,
        nano_krw=half_even(quantity * exact[0], exact[1] * 1_000_000),
    )


TERMS = st.builds(
    Terms,
    rounding=st.sampled_from(Rounding),
    overhead_percent=st.decimals(min_value=0, max_value=50, places=2),
    overhead_krw=st.integers(0, 100_000),
    vat_percent=st.sampled_from([Decimal(0), Decimal(10)]),
)


@given(st.lists(line_sums(), max_size=30), TERMS)
def test_lines_sum_to_the_total_for_any_usage_price_rate_and_rounding(
    sums: list[LineSum], terms: Terms
) -> None:
    lines = lines_of(sums, terms)
    exact = sum(line.nano_krw for line in lines if line.kind is not LineKind.ROUNDING)
    total = sum(line.amount_krw for line in lines)
    assert total == terms.rounding.cut(exact)
    assert sum(line.nano_krw for line in lines) == total * NANO
    assert sum(line.nano_krw for line in lines if line.kind in {"usage", "late", "correction"}) == sum(
        one.nano_krw for one in sums
    )
    assert [line.no for line in lines] == list(range(1, len(lines) + 1))
    if terms.rounding is Rounding.TEN_WON:
        assert total % 10 == 0


@given(st.lists(st.integers(-(10**15), 10**15), max_size=40))
def test_won_are_given_out_to_the_largest_remainders(amounts: list[int]) -> None:
    shares = given_out(amounts)
    assert all(abs(share * NANO - amount) <= NANO for share, amount in zip(shares, amounts, strict=True))
    assert abs(sum(shares) * NANO - sum(amounts)) < NANO


@given(st.lists(line_sums(), max_size=20), st.integers(0, 20))
def test_splitting_usage_over_two_lines_never_changes_the_total(sums: list[LineSum], cut: int) -> None:
    whole = sum(line.amount_krw for line in lines_of(sums, Terms()))
    halves = [one._replace(nano_krw=one.nano_krw // 2) for one in sums[:cut]]
    rest = [one._replace(nano_krw=one.nano_krw - one.nano_krw // 2, basis="as:input") for one in sums[:cut]]
    assert sum(line.amount_krw for line in lines_of([*halves, *rest, *sums[cut:]], Terms())) == whole


def invoice(sums: list[LineSum], terms: Terms) -> Invoice:
    return Invoice(
        number=number_of(terms, "2026-11", 7),
        month="2026-11",
        kind="department",
        final=True,
        issued_on="2026-12-02",
        institution_id=terms.institution_id,
        institution_name="서울특별시",
        issuer_name="디지털도시국",
        rounding=terms.rounding,
        path=(UnitName("seoul", "서울특별시"), UnitName("a/b", "총무과")),
        people=3,
        requests=40,
        lines=lines_of(sums, terms),
        budgets=(BudgetLine("month", "2026-11", 10**15, 10**14),),
        seats=Seats(3, 30_000, 10**13),
    )


@given(st.lists(line_sums(), max_size=5), TERMS)
def test_a_record_reads_back_as_it_was_written(sums: list[LineSum], terms: Terms) -> None:
    written = invoice(sums, terms)
    text = canonical(written)
    assert Invoice.from_json(json.loads(text)) == written
    assert canonical(Invoice.from_json(json.loads(text))) == text
    assert len(digest(text)) == 64


def test_a_number_names_institution_year_month_and_serial() -> None:
    assert number_of(Terms(institution_id="SEOUL"), "2026-11", 7) == "SEOUL-2026-11-0007"


def test_a_budget_line_says_what_is_left_and_how_much_is_spent() -> None:
    line = BudgetLine("year", "2026", 3_000_000 * NANO, 1_000_000 * NANO)
    assert (line.left_nano_krw, line.rate_percent) == (2_000_000 * NANO, Decimal("33.3"))
    assert BudgetLine("year", "2026", 0, 1).rate_percent is None


def test_seats_reproduce_seouls_published_month() -> None:
    seats = Seats(6_318, 30_000, 13_750_000 * NANO)
    assert seats.seats_krw == 189_540_000
    assert seats.saved_percent == Decimal("92.7")


def test_ten_won_are_the_rule_and_the_cut_is_a_line() -> None:
    one = LineSum(
        LineKind.USAGE, "2026-11", "gpt", "openai", "input", "own",
        "1.25", "USD", 1_000_000, "v1", "1391.20", "2026-11-01", 4, 9, 12_347_600_000_000,
    )  # fmt: skip
    lines = lines_of([one], Terms())
    assert [(line.kind, line.amount_krw) for line in lines] == [("usage", 12_347), ("rounding", -7)]
    assert lines[-1].nano_krw == -7_600_000_000
