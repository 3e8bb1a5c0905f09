from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger import (
    ATTRIBUTION_COLUMNS,
    CHARGE_COLUMNS,
    DISPATCH_COLUMNS,
    GENESIS,
    LINE_COLUMNS,
    Charge,
    CostBasis,
    IdSource,
    Outcome,
    Row,
    canonical,
    chain,
    record_of,
)
from billing.usage import Usage, UsageSource

if TYPE_CHECKING:
    from tests.billing.conftest import Maker

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=200))
def test_ids_never_repeat_and_keep_their_order_when_the_clock_goes_back(steps_ms: list[int]) -> None:
    ids = IdSource()
    now = NOW
    made = []
    for step in steps_ms:
        now += timedelta(milliseconds=step)
        made.append(ids.next(now))
    assert made == sorted(set(made))


def test_an_id_says_when_it_was_made() -> None:
    milliseconds = int(IdSource().next(NOW).replace("-", "")[:12], 16)
    assert datetime.fromtimestamp(milliseconds / 1000, UTC) == NOW


def test_ten_thousand_ids_of_one_millisecond_differ() -> None:
    ids = IdSource()
    assert len({ids.next(NOW) for _ in range(10_000)}) == 10_000


def test_records_are_as_wide_as_their_columns(make: Maker) -> None:
    dispatch = make.dispatch()
    charge = record_of(make.charge(dispatch))
    assert len(make.attribution().row()) == len(ATTRIBUTION_COLUMNS)
    assert len(record_of(dispatch).values) == len(DISPATCH_COLUMNS)
    assert len(charge.values) == len(CHARGE_COLUMNS)
    assert all(len(line) == len(LINE_COLUMNS) for line in charge.lines)


def test_lines_sum_to_the_amount(make: Maker) -> None:
    charge = make.charge(make.dispatch())
    assert charge.amount_nano_krw == sum(line.amount_nano_krw for line in charge.lines) > 0


def test_nothing_stated_stays_apart_from_zero(make: Maker) -> None:
    values = dict(
        zip(
            CHARGE_COLUMNS,
            record_of(make.charge(make.dispatch(), usage=Usage(input=0, output=5))).values,
            strict=True,
        )
    )
    assert (values["input"], values["cache_read"], values["output"]) == (0, None, 5)


def test_a_charge_lies_in_the_month_its_attempt_began_in(make: Maker) -> None:
    """Begun in the last second of October in Seoul, over in November, on a clock that was set back."""
    dispatch = make.dispatch(started_at=datetime(2026, 10, 31, 14, 59, 59, tzinfo=UTC))
    for settled_at in (
        datetime(2026, 10, 31, 15, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 31, 14, 50, tzinfo=UTC),
    ):
        assert make.charge(dispatch, settled_at=settled_at).billing_period == "2026-10"
    assert make.dispatch(started_at=datetime(2026, 10, 31, 15, tzinfo=UTC)).billing_period == "2026-11"


def test_a_cost_stated_in_dollars_is_charged_as_stated(make: Maker) -> None:
    charge = make.charge(make.dispatch(), stated_cost_usd=Decimal("0.001"))
    assert charge.cost_basis is CostBasis.STATED
    assert charge.amount_nano_krw == 1_391_200_000
    assert charge.usage.input == 400


def test_what_was_never_sent_costs_nothing_and_is_settled_once(make: Maker) -> None:
    dispatch = make.dispatch()
    first, again = (Charge.not_sent(dispatch, make.now, "test") for _ in range(2))
    assert first == again
    assert (first.amount_nano_krw, first.outcome, first.source) == (0, Outcome.NOT_SENT, UsageSource.NONE)


def test_json_columns_of_other_rows_travel_as_text() -> None:
    record = record_of(Row("receipt", {"id": 1, "counts": {"KR_RRN": 2}, "path": ["a"]}))
    assert record.values == (1, '{"KR_RRN":2}', '["a"]')


@pytest.mark.parametrize("hostile", ["\0", "a\ud800b", "가" * 100_000])
def test_what_a_provider_sends_cannot_make_its_charge_unwritable(make: Maker, hostile: str) -> None:
    charge = make.charge(
        make.dispatch(),
        served_model=hostile,
        provider_request_id=hostile,
        raw_usage=hostile,
        service_tier=hostile,
    )
    written = canonical(record_of(charge), 1, 1)
    assert b"\\u0000" not in written
    assert len(written) < 100_000
    orjson.loads(written)


@given(
    st.binary(max_size=200),
    st.binary(min_size=32, max_size=32),
    st.integers(1, 2**60),
    st.binary(max_size=50),
)
def test_the_chain_is_hmac_sha_256(key: bytes, previous: bytes, seq: int, row: bytes) -> None:
    message = previous + str(seq).encode() + b":" + row
    assert chain(previous, seq, row, key) == hmac.digest(key, message, "sha256")


def test_the_chain_binds_content_place_and_predecessor(make: Maker) -> None:
    record = record_of(make.dispatch())
    row = canonical(record, 1, 1)
    mac = chain(GENESIS, 1, row, b"key")
    changed = [
        chain(GENESIS, 2, row, b"key"),
        chain(b"x" * 32, 1, row, b"key"),
        chain(GENESIS, 1, row + b" ", b"key"),
        chain(GENESIS, 1, row, b"other"),
        chain(GENESIS, 1, canonical(record, 2, 1), b"key"),
        chain(GENESIS, 1, canonical(record, 1, 2), b"key"),
    ]
    assert mac not in changed
    assert len(set(changed)) == len(changed)
