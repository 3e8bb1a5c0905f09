"""[[plans]] of haechi.toml."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import parse
from gateway.config_mistakes import ConfigError


def read(text: str):
    return parse(text.encode(), Path("/x/haechi.toml"), {}).plans


def test_without_plans_a_seat_costs_what_invoices_say():
    (seat,) = read("[invoices]\nseat_krw = 28000\n")
    assert (seat.id, seat.name, seat.monthly_krw, seat.minimum_seats, seat.models) == (
        "seat",
        "",
        28_000,
        1,
        (),
    )


def test_a_plan_has_what_the_file_says():
    (plan,) = read(
        '[[plans]]\nid = "team"\nname = "팀"\nmonthly_krw = 41000\nyearly_discount_percent = "16.67"\n'
        'minimum_seats = 5\nmodels = ["gpt-*"]\nrequests = 3000\nincludes = "우선 응답"\n'
    )
    assert plan.yearly_discount_percent == Decimal("16.67")
    assert (plan.minimum_seats, plan.models, plan.requests, plan.includes) == (
        5,
        ("gpt-*",),
        3000,
        "우선 응답",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "monthly_krw = 0",
        "monthly_krw = -1",
        "monthly_krw = 1\nminimum_seats = 0",
        'monthly_krw = 1\nyearly_discount_percent = "100"',
        "monthly_krw = 1\nrequests = 0",
        'monthly_krw = 1\n[[plans]]\nid = "a"\nname = "b"\nmonthly_krw = 2',
    ],
)
def test_a_plan_that_makes_no_sense_is_named(wrong):
    with pytest.raises(ConfigError, match="plans"):
        read(f'[[plans]]\nid = "a"\nname = "a"\n{wrong}\n')
