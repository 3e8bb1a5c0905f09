from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import NANO, half_even
from billing.statements import Invoice, LineKind, LineSum, Terms
from billing.store.focus_rows import DayLine
from gateway.invoices.focus import COLUMNS, NotExact, ascii_of, check_row, focus_csv
from tests.invoices.conftest import made

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "seoul/admin/general"


def day(number: int, quantity: int, price: str, per: int = 1_000_000, kind: str = "charge") -> DayLine:
    numerator, denominator = (Decimal(price) * Decimal("1391.20") * NANO).as_integer_ratio()
    nano = half_even(quantity * numerator, denominator * per)
    return DayLine(
        PATH, "general", date(2026, 11, number), kind, "모델-가", "openai", "input", "own", price, "USD", per,
        "v1", "1391.20", "2026-11-01", 3, quantity, nano,
    )  # fmt: skip


def invoice_of(days: Sequence[DayLine], terms: Terms) -> Invoice:
    sums = [
        LineSum(
            LineKind.CORRECTION if one.kind != "charge" else LineKind.USAGE,
            "2026-11", one.model, one.provider, one.token_class, one.basis, one.unit_price, one.currency,
            one.per, one.price_version, one.fx_rate, one.fx_date, one.charge_lines, one.quantity, one.nano_krw,
        )
        for one in days
    ]  # fmt: skip
    return made(terms, *sums)


def rows_of(days: Sequence[DayLine], invoice: Invoice) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(focus_csv("2026-11", days, [invoice])))))


@given(
    st.lists(
        st.builds(
            day,
            st.integers(1, 30),
            st.integers(-(10**9), 10**9),
            st.decimals(min_value=0, max_value=500, places=6).map(str),
            st.sampled_from([1, 1_000, 1_000_000]),
            st.sampled_from(["charge", "correction"]),
        ),
        max_size=12,
    ),
    st.sampled_from([Decimal(0), Decimal(10)]),
)
def test_each_cost_is_quantity_times_price_and_all_sum_to_the_invoice(
    days: list[DayLine], vat: Decimal
) -> None:
    invoice = invoice_of(days, Terms(vat_percent=vat, overhead_percent=Decimal("3.3")))
    rows = rows_of(days, invoice)
    assert sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0)) == invoice.total_krw
    for row in rows:
        if row["ChargeCategory"] == "Usage":
            assert Decimal(row["ListCost"]) == Decimal(row["PricingQuantity"]) * Decimal(row["ListUnitPrice"])
        else:
            assert row["ChargeCategory"] in {"Adjustment", "Tax"}


def test_a_row_that_does_not_multiply_is_refused() -> None:
    days = [day(3, 1_000, "1.25")]
    row = next(iter(rows_of(days, invoice_of(days, Terms()))))
    check_row(row)
    with pytest.raises(NotExact):
        check_row(row | {"ListCost": "1.7390001"})


def test_names_are_ascii_and_hangul_stands_in_own_columns() -> None:
    days = [day(3, 1_000, "1.25")]
    row = next(iter(rows_of(days, invoice_of(days, Terms(institution_id="SEOUL")))))
    assert list(row) == list(COLUMNS)
    for name, value in row.items():
        assert value.isascii() or name.startswith("x_"), name
    assert row["x_SubAccountName"] == "총무과"
    assert row["ServiceName"] == ascii_of("모델-가")
    assert row["ChargePeriodStart"] == "2026-11-02T15:00:00Z"
    assert (row["PricingUnit"], row["ConsumedUnit"]) == ("1000000 Tokens", "Tokens")
    assert "." in row["BilledCost"]


def test_a_correction_is_marked_as_one() -> None:
    days = [day(3, -1_000, "1.25", kind="reconciliation")]
    (row, *_) = rows_of(days, invoice_of(days, Terms()))
    assert (row["ChargeClass"], row["ChargeCategory"]) == ("Correction", "Usage")
    assert Decimal(row["BilledCost"]) < 0
