from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.ledger import Outcome, record_of
from billing.store import LedgerSink, rerate
from billing.usage import Usage, UsageSource

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker


def write(sink: LedgerSink, make: Maker, **changes: Any) -> None:
    dispatch = make.dispatch()
    assert sink.write([[record_of(dispatch)], [record_of(make.charge(dispatch, **changes))]]) == [None, None]


def test_a_month_rates_again_to_the_same_won(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    write(sink, make)
    write(sink, make, usage=Usage(input=7, cache_read=3, cache_write_5m=2, output=11, reasoning=5))
    write(sink, make, usage=Usage(input=7, cache_read=3, output=11, quarantined=True))
    write(sink, make, stated_cost_usd=Decimal("0.0042"))
    write(sink, make, usage=Usage(), outcome=Outcome.NOT_SENT, source=UsageSource.NONE)
    found = rerate(engine, "2026-11")
    assert found.ok
    assert found.charges == 5
    assert found.rerated_nano_krw == found.charged_nano_krw > 0
    assert rerate(engine, "2026-10").charges == 0


def test_a_price_book_that_changed_meanwhile_changes_nothing(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    write(sink, make)
    make.book = type(make.book).from_tables(
        [{"key": "openai/gpt", "from": "2026-01-01", "currency": "KRW", "input": "1", "output": "1"}], []
    )
    write(sink, make)
    assert rerate(engine, "2026-11").ok


def test_an_amount_that_its_usage_does_not_make_is_named(
    engine: Engine, sink: LedgerSink, make: Maker, tamper: Any
) -> None:
    write(sink, make)
    tamper().run("UPDATE ledger_charge SET amount_nano_krw = amount_nano_krw + 1")
    found = rerate(engine, "2026-11")
    assert len(found.differing) == 1
    assert found.charged_nano_krw - found.rerated_nano_krw == 1
