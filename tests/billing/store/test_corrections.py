from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.ledger import Kind, Outcome, record_of
from billing.prices import PriceBook
from billing.provider_bills import BillLine
from billing.quotes import total, variant
from billing.store import LedgerSink, rerate, verify
from billing.store.corrections import correction
from billing.store.reconciliation import apply, compare
from billing.tables import charges
from billing.usage import Usage, UsageSource
from tests.interleaving import meanwhile

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from billing.ledger import Record
    from tests.billing.conftest import Maker

USAGES = st.builds(Usage, input=st.integers(0, 10**6), output=st.none() | st.integers(0, 10**6))


def write(sink: LedgerSink, make: Maker, usage: Usage, **changes: Any) -> Any:
    dispatch = make.dispatch()
    charge = make.charge(dispatch, usage=usage, **changes)
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    return charge


def correct(engine: Engine, make: Maker, charge_id: str, usage: Usage) -> Any:
    with engine.connect() as connection:
        return correction(
            connection, charge_id, usage, now=make.tick(), reason="stated later", raw_usage="{}"
        )


def sum_of(engine: Engine, attempt_id: str) -> int:
    with engine.connect() as connection:
        amounts = connection.execute(
            select(charges.c.amount_nano_krw).where(charges.c.attempt_id == attempt_id)
        ).scalars()
        return sum(amounts)


def test_the_sum_is_what_the_stated_usage_costs_and_the_books_still_verify(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    charge = write(sink, make, Usage(input=400, output=200))
    made = correct(engine, make, charge.charge_id, Usage(input=100, output=200))
    assert (made.kind, made.corrects, made.outcome) == (Kind.CORRECTION, charge.charge_id, Outcome.CORRECTED)
    assert sink.write([[record_of(made)]]) == [None]
    expected = make.charge(make.dispatch(), usage=Usage(input=100, output=200))
    assert sum_of(engine, charge.attempt_id) == expected.amount_nano_krw
    assert verify(engine, key).problems == ()
    assert rerate(engine, charge.billing_period).ok


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(USAGES, USAGES)
def test_any_correction_ends_at_the_stated_usage(
    sqlite: Engine, make: Maker, before: Usage, after: Usage
) -> None:
    sink = LedgerSink(sqlite, b"k" * 32, clock=lambda: make.now)
    sink.open()
    try:
        charge = write(sink, make, before)
        made = correct(sqlite, make, charge.charge_id, after)
        if made is None:
            assert before.total_tokens == after.total_tokens
        else:
            assert sink.write([[record_of(made)]]) == [None]
        right = total(make.dispatch().quote.rate(after))
        assert sum_of(sqlite, charge.attempt_id) == right
        assert correct(sqlite, make, charge.charge_id, after) is None
    finally:
        sink.close()


def test_two_who_learn_the_same_write_it_once(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    charge = write(sink, make, Usage(input=400))
    first = correct(engine, make, charge.charge_id, Usage(input=100))
    second = correct(engine, make, charge.charge_id, Usage(input=100))
    assert first.charge_id == second.charge_id
    assert sink.write([[record_of(first)], [record_of(second)]]) == [None, None]
    assert correct(engine, make, charge.charge_id, Usage(input=100)) is None


def test_a_charge_that_came_after_its_adopted_estimate_is_corrected_to_the_right_sum(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    dispatch = make.dispatch()
    assert sink.write([[record_of(dispatch)]]) == [None]
    assert sink.adopt([dispatch.attempt_id]) == 1
    late = make.charge(dispatch, usage=Usage(input=400))
    assert sink.write([[record_of(late)]]) == [None]  # becomes a correction of the estimate
    made = correct(engine, make, late.charge_id, Usage(input=100))
    assert sink.write([[record_of(made)]]) == [None]
    assert sum_of(engine, dispatch.attempt_id) == total(dispatch.quote.rate(Usage(input=100)))


def test_what_is_not_in_the_ledger_yet_cannot_be_corrected(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    with pytest.raises(LookupError):
        correct(engine, make, "nobody", Usage(input=1))


def state(sink: LedgerSink, make: Maker, charge: Any, usage: Usage, **more: Any) -> None:
    """Correct a charge as the poller of films does: read and written in one transaction."""

    def deciding(connection: Connection) -> list[Record]:
        made = correction(
            connection, charge.charge_id, usage, now=make.now, reason="stated later", raw_usage="{}", **more
        )
        return [] if made is None else [record_of(made)]

    sink.correct([charge.attempt_id], deciding)


def bill(engine: Engine, sink: LedgerSink, make: Maker, charge: Any, krw: int) -> None:
    line = BillLine(1, charge.attempt_id, None, None, Decimal(krw), "KRW")
    apply(sink, compare(engine, [line], now=make.now, reason="bill"))


def test_a_correction_and_a_bill_at_once_end_as_if_one_had_come_first(
    engine: Engine, sink: LedgerSink, make: Maker, open_sink: Any, key: bytes
) -> None:
    other, ends, stated = open_sink(), set(), Usage(input=100, output=200)
    for statement in count():
        charge = write(sink, make, Usage(input=400, output=200), source=UsageSource.ESTIMATED)
        with meanwhile(engine, statement, bill, engine, other, make, charge, 5) as billed:
            state(sink, make, charge, stated)
        if not billed:
            break
        billed[0].result()
        ends.add(sum_of(engine, charge.attempt_id))
        assert ends <= {5 * 10**9, total(make.dispatch().quote.rate(stated))}, statement
    assert statement > 2
    assert verify(engine, key).ok


def test_a_correction_that_is_told_again_behind_a_bill_changes_nothing(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    """The poller died between its correction and its note that the job is done."""
    charge = write(sink, make, Usage(input=400, output=200), source=UsageSource.ESTIMATED)
    state(sink, make, charge, Usage(input=100, output=200))
    bill(engine, sink, make, charge, 5)
    state(sink, make, charge, Usage(input=100, output=200))
    assert sum_of(engine, charge.attempt_id) == 5 * 10**9


def test_a_size_that_is_stated_later_has_its_own_price(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    film = {"key": "film", "from": "2026-01-01", "currency": "KRW", "video_seconds": "100"}
    large = [{"size": "1920x1080", "video_seconds": "300"}]
    quote = PriceBook.from_tables([film | {"variants": large}], []).quote("film", make.now)
    usage = Usage(video_ms=8_000)
    dispatch = make.dispatch(quote=quote)
    charge = make.charge(dispatch, usage=usage, source=UsageSource.ESTIMATED)
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    assert sum_of(engine, charge.attempt_id) == 800 * 10**9
    state(sink, make, charge, usage, served_as=variant("1920x1080", None))
    assert sum_of(engine, charge.attempt_id) == 2_400 * 10**9
    assert verify(engine, key).problems == ()
    assert rerate(engine, charge.billing_period).ok
