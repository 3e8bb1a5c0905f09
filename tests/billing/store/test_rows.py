from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger import (
    ATTRIBUTION_COLUMNS,
    CHARGE_COLUMNS,
    DISPATCH_COLUMNS,
    Attribution,
    line_row,
    record_of,
)
from billing.store.rows import (
    attribution_of,
    correction_of,
    dispatch_of,
    line_of,
    read_quote,
)
from billing.usage import Usage

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker


def test_a_dispatch_comes_back_as_it_was(make: Maker) -> None:
    dispatch = make.dispatch(make.attribution(stream=True, via_service="포털"))
    row = dict(zip(DISPATCH_COLUMNS, record_of(dispatch).values, strict=True))
    assert dispatch_of(row, dispatch.quote) == dispatch


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_a_unit_may_have_any_name(units: list[str]) -> None:
    attribution = Attribution("p", "k", units[-1], tuple(units), "m", "d", "v", "u", "z", "s")
    row = dict(zip(ATTRIBUTION_COLUMNS, attribution.row(), strict=True))
    assert attribution_of(row).unit_path == tuple(units)


def test_lines_come_back_as_they_were(make: Maker) -> None:
    for line in make.charge(make.dispatch()).lines:
        assert line_of(line_row(line)) == line


def test_a_correction_is_the_difference_and_names_what_it_corrects(make: Maker) -> None:
    dispatch = make.dispatch()
    guess = make.charge(dispatch, usage=Usage(input=100, output=50))
    actual = make.charge(dispatch, usage=Usage(input=80, output=70, cache_read=5))
    first = record_of(guess)
    row = dict(zip(CHARGE_COLUMNS, first.values, strict=True))
    correction = correction_of([row], first.lines, record_of(actual), "why")
    values = dict(zip(CHARGE_COLUMNS, correction.values, strict=True))
    assert (values["input"], values["output"], values["cache_read"]) == (-20, 20, 5)
    assert values["audio_input"] is None
    assert values["amount_nano_krw"] == actual.amount_nano_krw - guess.amount_nano_krw
    assert (values["kind"], values["corrects"], values["reason"]) == ("correction", guess.charge_id, "why")
    assert sum(line_of(line).amount_nano_krw for line in correction.lines) == values["amount_nano_krw"]


def test_a_quote_that_is_not_there_is_an_error(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(LookupError, match="nowhere"):
        read_quote(connection, "nowhere")
