from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from billing.budgets import Budget, Every, Scope
from billing.errors import RowRefused
from billing.ledger import Kind, Outcome, record_of
from billing.provider_bills import BillLine
from billing.store import LedgerSink, budget_status, check_accounts, rerate, set_budget, verify
from billing.store.reconciliation import Reconciled, Result, apply, compare
from billing.store.slots import Process
from billing.tables import charges
from billing.usage import Usage, UsageSource
from tests.interleaving import meanwhile

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing.ledger import Charge
    from tests.billing.conftest import Maker

DEAD = Process(Process.this().host, 2**22 + 1, "1")
GUESS = Usage(input=400, output=200)


def estimated(sink: LedgerSink, make: Maker, usage: Usage = GUESS, **more: Any) -> Charge:
    dispatch = make.dispatch()
    charge = make.charge(
        dispatch, **({"usage": usage, "source": UsageSource.ESTIMATED, "outcome": Outcome.BROKEN} | more)
    )
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    return charge


def line(attempt_id: str | None = None, **more: Any) -> BillLine:
    fields = {"provider_request_id": None, "usage": None, "cost": None, "currency": "KRW"} | more
    return BillLine(fields.pop("number", 1), attempt_id, **fields)


def reconcile(
    engine: Engine, sink: LedgerSink, make: Maker, *bill: BillLine, **more: Any
) -> list[Reconciled]:
    compared = compare(engine, bill, now=make.tick(), reason="bill of november", **more)
    apply(sink, compared)
    return compared


def rows(engine: Engine, attempt_id: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(select(charges).where(charges.c.attempt_id == attempt_id))
        return [dict(row) for row in found.mappings()]


def paid(engine: Engine, attempt_id: str) -> int:
    return sum(row["amount_nano_krw"] for row in rows(engine, attempt_id))


def test_a_bill_makes_an_estimate_right_by_a_new_row(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    charge = estimated(sink, make)
    (found,) = reconcile(engine, sink, make, line(charge.attempt_id, usage=Usage(input=1000, output=10)))
    expected = make.dispatch().quote.rate(Usage(input=1000, output=10))
    assert found.result is Result.RECONCILED
    assert (found.before_nano_krw, found.after_nano_krw) == (
        charge.amount_nano_krw,
        sum(one.amount_nano_krw for one in expected),
    )
    first, second = sorted(rows(engine, charge.attempt_id), key=lambda row: row["kind"])
    assert first["amount_nano_krw"] == charge.amount_nano_krw, "the estimate stands as it was written"
    assert (second["kind"], second["source"], second["corrects"]) == (
        Kind.RECONCILIATION,
        UsageSource.RECONCILED,
        charge.charge_id,
    )
    assert (second["input"], second["output"]) == (600, -190)
    assert second["reason"] == "bill of november"
    assert paid(engine, charge.attempt_id) == found.after_nano_krw
    assert verify(engine, key).ok
    assert rerate(engine, charge.billing_period).ok


def test_the_same_bill_again_writes_nothing(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    charge = estimated(sink, make)
    bill = line(charge.attempt_id, usage=Usage(input=1000, output=10))
    reconcile(engine, sink, make, bill)
    (again,) = reconcile(engine, sink, make, bill)
    assert (again.result, again.charge) == (Result.SAME, None)
    assert len(rows(engine, charge.attempt_id)) == 2


def test_a_later_bill_counts_from_what_stands_by_then(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    charge = estimated(sink, make)
    for input_tokens in (1000, 300, 1000):
        reconcile(engine, sink, make, line(charge.attempt_id, usage=Usage(input=input_tokens, output=10)))
        right = make.dispatch().quote.rate(Usage(input=input_tokens, output=10))
        assert paid(engine, charge.attempt_id) == sum(one.amount_nano_krw for one in right)
    assert len(rows(engine, charge.attempt_id)) == 4


def test_a_cost_is_charged_as_it_is_stated(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    in_won, in_dollars = estimated(sink, make), estimated(sink, make)
    reconcile(
        engine,
        sink,
        make,
        line(in_won.attempt_id, cost=Decimal("12.5")),
        line(in_dollars.attempt_id, cost=Decimal("0.01"), currency="USD", number=2),
    )
    assert paid(engine, in_won.attempt_id) == 12_500_000_000
    assert paid(engine, in_dollars.attempt_id) == 13_912_000_000


def test_an_estimate_that_was_right_is_confirmed(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    charge = estimated(sink, make)
    (found,) = reconcile(engine, sink, make, line(charge.attempt_id, usage=GUESS))
    assert found.result is Result.RECONCILED
    assert [row["amount_nano_krw"] for row in rows(engine, charge.attempt_id)][1] == 0
    (again,) = reconcile(engine, sink, make, line(charge.attempt_id, usage=GUESS))
    assert again.result is Result.SAME


def test_an_adopted_attempt_is_found_by_the_providers_own_id(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    charge = estimated(sink, make, provider_request_id="chatcmpl-7")
    (found,) = reconcile(
        engine, sink, make, line(provider_request_id="chatcmpl-7", usage=Usage(input=1, output=1))
    )
    assert (found.result, found.attempt_id) == (Result.RECONCILED, charge.attempt_id)


def test_what_means_nothing_or_several_things_is_left_alone(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    for _ in range(2):
        estimated(sink, make, provider_request_id="twice")
    charge = estimated(sink, make)
    usage = Usage(input=1)
    found = reconcile(
        engine,
        sink,
        make,
        line("nobody", usage=usage),
        line(provider_request_id="nobody", usage=usage, number=2),
        line(provider_request_id="twice", usage=usage, number=3),
        line(charge.attempt_id, cost=Decimal(1), currency="EUR", number=4),
        line(charge.attempt_id, usage=usage, number=5),
    )
    assert [one.result for one in found] == [
        Result.UNKNOWN,
        Result.UNKNOWN,
        Result.AMBIGUOUS,
        Result.NO_RATE,
        Result.AMBIGUOUS,
    ]
    assert paid(engine, charge.attempt_id) == charge.amount_nano_krw


def test_a_reported_charge_changes_only_where_that_is_asked_for(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    charge = estimated(sink, make, source=UsageSource.REPORTED, outcome=Outcome.SUCCESS)
    bill = line(charge.attempt_id, usage=Usage(input=1, output=1))
    assert reconcile(engine, sink, make, bill)[0].result is Result.DIFFERS
    assert paid(engine, charge.attempt_id) == charge.amount_nano_krw
    assert reconcile(engine, sink, make, bill, with_reported=True)[0].result is Result.RECONCILED
    assert paid(engine, charge.attempt_id) != charge.amount_nano_krw
    same = line(charge.attempt_id, usage=Usage(input=1, output=1))
    assert reconcile(engine, sink, make, same)[0].result is Result.SAME


def test_budgets_follow_in_the_same_transaction(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    budget = Budget("b", Scope("unit", "총무과"), Every.MONTH, 10**15)
    set_budget(engine, budget, now=make.now, by="test", reason="test")
    charge = estimated(sink, make)
    reconcile(engine, sink, make, line(charge.attempt_id, cost=Decimal(5)))
    (status,) = budget_status(engine, make.now)
    assert (status.spent, status.held) == (5 * 10**9, 0)
    assert check_accounts(engine) == []


def test_usage_that_arrives_after_the_bill_counts_from_the_bill(
    engine: Engine, sink: LedgerSink, make: Maker, open_sink: Any, key: bytes
) -> None:
    """A writer that was cut off wakes up with its report when its attempt was adopted and billed."""
    dead = open_sink(process=DEAD)
    dispatch = make.dispatch()
    dead.write([[record_of(dispatch)]])
    sink.tick()
    reconcile(engine, sink, make, line(dispatch.attempt_id, cost=Decimal(5)))
    late = make.charge(dispatch, usage=Usage(input=7, output=7))
    assert sink.write([[record_of(late)]]) == [None]
    assert paid(engine, dispatch.attempt_id) == late.amount_nano_krw
    assert len(rows(engine, dispatch.attempt_id)) == 3
    assert verify(engine, key).ok


def test_usage_that_arrives_between_comparing_and_applying_counts_once(
    engine: Engine, sink: LedgerSink, make: Maker, open_sink: Any
) -> None:
    dead = open_sink(process=DEAD)
    dispatch = make.dispatch()
    dead.write([[record_of(dispatch)]])
    sink.tick()
    compared = compare(engine, [line(dispatch.attempt_id, cost=Decimal(5))], now=make.tick(), reason="bill")
    late = make.charge(dispatch, usage=Usage(input=7, output=7))
    assert sink.write([[record_of(late)]]) == [None]
    (written,) = apply(sink, compared)
    assert (written.before_nano_krw, written.after_nano_krw) == (late.amount_nano_krw, 5 * 10**9)
    assert paid(engine, dispatch.attempt_id) == 5 * 10**9
    assert check_accounts(engine) == []


def test_usage_and_a_bill_at_once_end_as_if_one_had_come_first(
    engine: Engine, sink: LedgerSink, make: Maker, open_sink: Any, key: bytes
) -> None:
    other, ends = open_sink(), set()
    for statement in count():
        dead = open_sink(process=DEAD)
        dispatch = make.dispatch()
        dead.write([[record_of(dispatch)]])
        sink.tick()
        bill = [line(dispatch.attempt_id, cost=Decimal(5))]
        late = make.charge(dispatch, usage=Usage(input=7, output=7))
        compared = compare(engine, bill, now=make.tick(), reason="bill")
        with meanwhile(engine, statement, other.write, [[record_of(late)]]) as written:
            apply(sink, compared)
        if not written:
            break
        assert written[0].result() == [None]
        ends.add(paid(engine, dispatch.attempt_id))
        assert ends <= {5 * 10**9, late.amount_nano_krw}, statement
    assert statement > 2
    assert late.amount_nano_krw in ends, "once the bill was first"
    assert verify(engine, key).ok


def test_a_line_that_the_ledger_cannot_hold_keeps_no_other_back(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    good, absurd, last = (estimated(sink, make) for _ in range(3))
    bill = [
        line(good.attempt_id, cost=Decimal(7)),
        line(absurd.attempt_id, cost=Decimal(10**9), currency="USD", number=2),
        line(last.attempt_id, cost=Decimal(8), number=3),
    ]
    with pytest.raises(RowRefused):
        reconcile(engine, sink, make, *bill)
    assert paid(engine, good.attempt_id) == 7 * 10**9
    assert paid(engine, absurd.attempt_id) == absurd.amount_nano_krw
    assert paid(engine, last.attempt_id) == 8 * 10**9
    assert verify(engine, key).ok


@pytest.mark.parametrize("lines", [1, 150])
def test_a_bill_of_any_length_is_applied(engine: Engine, sink: LedgerSink, make: Maker, lines: int) -> None:
    made = [estimated(sink, make) for _ in range(lines)]
    bill = [line(charge.attempt_id, cost=Decimal(n), number=n) for n, charge in enumerate(made)]
    found = reconcile(engine, sink, make, *bill)
    assert {one.result for one in found} == {Result.RECONCILED}
    assert [paid(engine, charge.attempt_id) for charge in made] == [n * 10**9 for n in range(lines)]


USAGES = st.builds(Usage, input=st.integers(0, 10**6), output=st.none() | st.integers(0, 10**6))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(USAGES, st.lists(USAGES | st.decimals(0, 10**6, places=6), min_size=1, max_size=3))
def test_any_bills_end_at_the_last_one(
    sqlite: Engine, make: Maker, guess: Usage, bills: list[Usage | Decimal]
) -> None:
    sink = LedgerSink(sqlite, b"k" * 32, clock=lambda: make.now)
    sink.open()
    try:
        charge = estimated(sink, make, guess)
        for bill in bills:
            stated = {"cost": bill} if isinstance(bill, Decimal) else {"usage": bill}
            (found,) = reconcile(sqlite, sink, make, line(charge.attempt_id, **stated))
            assert paid(sqlite, charge.attempt_id) == found.after_nano_krw
            assert reconcile(sqlite, sink, make, line(charge.attempt_id, **stated))[0].result is Result.SAME
        assert verify(sqlite, b"k" * 32).ok
    finally:
        sink.close()
