"""FinOps' own validator over our FOCUS file, where it can run: it needs Python 3.12, so it has a place of its own.

`.ci/install-full` puts it into `.focus`. It reads its rules and lists by relative paths, therefore its working
folder is its site-packages.
"""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from billing.statements import LineKind, Terms
from gateway.invoices.focus import COLUMNS, check_row, focus_csv
from tests.invoices.conftest import line_sum, made
from tests.invoices.test_agreement import days_of

if TYPE_CHECKING:
    from billing.statements import Invoice

PLACE = Path(__file__).parents[2] / ".focus"
FALSE_ALARMS = {
    "InvoiceId-C-004-C": "one half of an OR: it wants no InvoiceId, its other half wants one in every row",
}
"""What the rules of 1.2.0.1 find in any file with invoices; docs/billing.md says the same."""


@pytest.fixture
def furnished() -> Invoice:
    """Every kind of row: usage of tokens, searches and seconds, a correction, overhead, VAT, rounding."""
    return made(
        Terms(
            institution_id="SEOUL", overhead_percent=Decimal(3), overhead_krw=1_000, vat_percent=Decimal(10)
        ),
        line_sum("gpt-5.1", "input", 104_220_331, "1.25"),
        line_sum("gpt-5.1", "output", 8_833_120, "10"),
        line_sum("모델-가", "cache_read", 1_000_001, "0.125"),
        line_sum("gpt-5.1", "searches", 3, "10000"),
        line_sum("gpt-5.1", "output", -75_000, "10", LineKind.CORRECTION),
    )


def test_cost_is_quantity_times_unit_price_in_every_row(furnished: Invoice) -> None:
    text = "".join(focus_csv("2026-11", days_of(furnished), [furnished]))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) > 5
    for row in rows:
        check_row(row)
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["ProviderName"] for row in rows} == {row["InvoiceIssuerName"] for row in rows}
    assert date.fromisoformat(rows[0]["BillingPeriodStart"][:10]) == date(2026, 10, 31)


@pytest.mark.full
def test_the_validator_of_focus_finds_nothing_but_its_own_false_alarms(
    furnished: Invoice, tmp_path: Path
) -> None:
    command = PLACE / "bin" / "focus-validator"
    if not command.exists():
        message = ".focus/bin/focus-validator is missing: there was no Python 3.12 (run .ci/install-full)"
        if os.environ.get("HAECHI_FOCUS"):
            pytest.fail(message)
        pytest.skip(message)
    file = tmp_path / "focus.csv"
    file.write_text("".join(focus_csv("2026-11", days_of(furnished), [furnished])), encoding="utf-8")
    (packages,) = PLACE.glob("lib/python3.*/site-packages")
    arguments = ("--validate-version", "1.2", "--focus-dataset", "CostAndUsage", "--block-download")
    ran = subprocess.run(
        [command, "--data-file", file, *arguments, "--output-type", "console", "--show-violations"],
        cwd=packages,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    passed = re.findall(r"(\S+): PASS", ran.stdout)
    failed = set(re.findall(r"(\S+): FAIL", ran.stdout))
    assert len(passed) > 100, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert failed <= FALSE_ALARMS.keys(), ran.stdout[-3000:]
