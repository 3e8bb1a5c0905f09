"""An invoice of a department as a lock would keep it, with everything on it that there can be."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.money import NANO, half_even
from billing.statements import (
    Adjustment,
    BudgetLine,
    Child,
    FxSource,
    Invoice,
    LedgerRoot,
    LineKind,
    LineSum,
    Seats,
    Terms,
    UnitName,
    lines_of,
)

ROOT = "9f2c61d0e8b7a4533f1c2d6e9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b"


def line_sum(
    model: str, token_class: str, quantity: int, price: str, kind: LineKind = LineKind.USAGE
) -> LineSum:
    """A line of a model priced in dollars, charged as the ledger charges it."""
    numerator, denominator = (Decimal(price) * Decimal("1391.20") * NANO).as_integer_ratio()
    nano = half_even(quantity * numerator, denominator * 1_000_000)
    month = "2026-11" if kind is LineKind.USAGE else "2026-10"
    priced = ("own", price, "USD", 1_000_000, "openai/gpt-5.1@2026-01-01", "1391.20", "2026-11-01")
    return LineSum(kind, month, model, "openai", token_class, *priced, 12, quantity, nano)


def made(terms: Terms, *sums: LineSum) -> Invoice:
    lines = lines_of(sums, terms)
    return Invoice(
        number="SEOUL-2026-11-0007",
        month="2026-11",
        kind="department",
        final=True,
        issued_on="2026-12-02",
        institution_id="SEOUL",
        institution_name="서울특별시",
        issuer_name="디지털도시국",
        rounding=terms.rounding,
        path=(UnitName("seoul", "서울특별시"), UnitName("admin", "행정국"), UnitName("general", "총무과")),
        people=42,
        requests=18_204,
        lines=lines,
        budgets=(
            BudgetLine("month", "2026-11", 1_500_000 * NANO, 1_019_448 * NANO),
            BudgetLine("year", "2026", 12_000_000 * NANO, 9_400_000 * NANO),
        ),
        seats=Seats(42, 30_000, sum(one.nano_krw for one in sums)),
        adjustments=(
            Adjustment(
                "01JC1",
                "01JB7",
                "reconciliation",
                "2026-10",
                1_792_000_000_000_000,
                -1_043_400_000_000,
                "=1+1",
            ),
        ),
        fx_sources=(FxSource("USD", "1391.20", "2026-11-01", "서울외국환중개 매매기준율"),),
        ledger=LedgerRoot(ROOT, 1_204, 913_204),
    )


@pytest.fixture
def terms() -> Terms:
    return Terms(institution_id="SEOUL", overhead_percent=Decimal("5.5"), vat_percent=Decimal(10))


@pytest.fixture
def invoice(terms: Terms) -> Invoice:
    """Lines of three models, one that would run as a formula, late usage and a credit."""
    return made(
        terms,
        line_sum("gpt-5.1", "input", 212_400_113, "1.25"),
        line_sum("gpt-5.1", "cache_read", 80_112_345, "0.125"),
        line_sum("gpt-5.1", "output", 31_200_457, "10"),
        line_sum("claude-sonnet-4.5", "input", 41_234_567, "3"),
        line_sum("claude-sonnet-4.5", "output", 9_876_543, "15"),
        line_sum('=HYPERLINK("http://x")', "output", 1_001, "10"),
        line_sum("gpt-5.1", "output", 120_000, "10", LineKind.LATE),
        line_sum("gpt-5.1", "input", -600_000, "1.25", LineKind.CORRECTION),
    )


@pytest.fixture
def summary(invoice: Invoice) -> Invoice:
    children = [
        Child(f"SEOUL-2026-11-{n:04d}", UnitName(f"u{n}", f"제{n}과"), 10_000 * n + 7_650)
        for n in range(1, 8)
    ]
    import dataclasses

    return dataclasses.replace(
        invoice,
        number="SEOUL-2026-11-0001",
        kind="summary",
        lines=(),
        adjustments=(),
        children=tuple(children),
        path=invoice.path[:2],
    )
