from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from billing.ledger import Outcome, record_of
from billing.prices import PriceBook
from billing.quotes import total
from billing.store import LedgerSink, rerate
from billing.store.corrections import correction
from billing.store.rerating import what_if
from billing.usage import CLASSES, Usage, UsageSource

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


def test_corrections_are_rated_again_line_by_line(
    engine: Engine, sink: LedgerSink, make: Maker, tamper: Any
) -> None:
    corrected(engine, sink, make, Usage(input=400, output=200), Usage(input=90, output=200))
    found = rerate(engine, "2026-11")
    assert (found.ok, found.charges, found.corrections) == (True, 1, 1)
    right = total(make.dispatch().quote.rate(Usage(input=90, output=200)))
    assert found.rerated_nano_krw == found.charged_nano_krw == right
    tamper().run("UPDATE ledger_charge SET amount_nano_krw = amount_nano_krw + 1 WHERE kind = 'correction'")
    assert len(rerate(engine, "2026-11").differing) == 1


AMOUNTS = st.decimals("0", "9999", places=6).map(str)
USAGES = st.builds(
    Usage,
    **{name: st.none() | st.integers(0, 10**7) for name in CLASSES},
    quarantined=st.booleans(),
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prices=st.dictionaries(st.sampled_from(["input", "output", "cache_read", "searches"]), AMOUNTS),
    money=st.tuples(st.sampled_from(["USD", "KRW"]), st.decimals("0.01", "9999", places=4).map(str)),
    factor=AMOUNTS,
    used=st.lists(
        st.tuples(USAGES, st.sampled_from([None, "flex"]), st.none() | st.decimals("0", "100", places=9)),
        min_size=1,
        max_size=5,
    ),
)
def test_any_month_rates_again_to_the_same_won_and_so_it_does_by_its_own_prices(
    sqlite: Engine,
    make: Maker,
    prices: dict[str, str],
    money: tuple[str, str],
    factor: str,
    used: list[tuple[Usage, str | None, Decimal | None]],
) -> None:
    table = {"key": "openai/gpt", "from": "2026-01-01", "currency": money[0], "output": "1", **prices}
    table |= {"service_tiers": {"flex": factor}, "tiers": [{"above_input_tokens": 10_000, "output": "2"}]}
    make.book = PriceBook.from_tables([table], [{"base": "USD", "date": "2026-01-01", "rate": money[1]}])
    sink = LedgerSink(sqlite, b"k" * 32, clock=lambda: make.now)
    sink.open()
    try:
        for usage, tier, stated in used:
            charge = make.charge(make.dispatch(), usage=usage, service_tier=tier, stated_cost_usd=stated)
            assume(charge.amount_nano_krw < 2**61)  # more than 2 billion won: no column holds four of it
            write(sink, make, usage=usage, service_tier=tier, stated_cost_usd=stated)
        found = rerate(sqlite, "2026-11")
        assert found.ok
        assert found.rerated_nano_krw == found.charged_nano_krw
        same = what_if(sqlite, "2026-11", lambda quote, _at: quote)
        assert same.whole.rerated_nano_krw == same.whole.charged_nano_krw == found.charged_nano_krw
    finally:
        sink.close()


def test_a_month_by_other_prices_says_what_they_would_have_made_of_it_and_changes_nothing(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    write(sink, make, usage=Usage(input=1_000, output=1_000))
    write(sink, make, stated_cost_usd=Decimal("0.5"))
    corrected(engine, sink, make, Usage(input=400, output=200), Usage(input=90, output=200))
    before = rerate(engine, "2026-11")
    table = {"key": "openai/gpt", "from": "2026-01-01", "currency": "KRW", "input": "1000", "output": "2000"}
    other = PriceBook.from_tables([table], [])
    found = what_if(engine, "2026-11", lambda quote, at: other.quote(quote.price_key, at))
    stated = int(Decimal("0.5") * Decimal("1391.20") * 10**9)
    rated = (1_000 * 1_000 + 1_000 * 2_000 + 90 * 1_000 + 200 * 2_000) * 10**9 // 10**6
    assert found.whole == (4, before.charged_nano_krw, rated + stated)
    assert (found.kept, found.kept_nano_krw) == (1, stated)
    assert found.by_model == {"gpt": found.whole}
    assert found.by_department == {"총무과": found.whole}
    assert rerate(engine, "2026-11") == before
    assert what_if(engine, "2026-11", lambda _quote, _at: None).whole[1:] == (before.charged_nano_krw,) * 2


def corrected(engine: Engine, sink: LedgerSink, make: Maker, before: Usage, after: Usage) -> None:
    dispatch = make.dispatch()
    charge = make.charge(dispatch, usage=before)
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    with engine.connect() as connection:
        made = correction(
            connection, charge.charge_id, after, now=make.tick(), reason="stated later", raw_usage="{}"
        )
    assert made is not None
    assert sink.write([[record_of(made)]]) == [None]
