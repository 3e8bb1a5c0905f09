from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from billing.budgets import Budget, BudgetExceeded, Every, Measure, Scope
from billing.journal import Journal
from billing.ledger import Outcome, record_of
from billing.segments import Segments
from billing.store import (
    LedgerSink,
    budget_status,
    check_accounts,
    end_budget,
    open_dispatches,
    open_engine,
    set_budget,
    usage_report,
    verify,
)
from billing.store.slots import Process
from billing.tables import charges, metadata
from billing.usage import Usage, UsageSource
from tests.interleaving import meanwhile

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from billing.ledger import Dispatch
    from tests.billing.conftest import Maker

pytestmark = pytest.mark.anyio
UNIT = Scope("unit", "총무과")
DEAD = Process(Process.this().host, 2**22 + 1, "1")


def limit(
    engine: Engine, make: Maker, nano_krw: int, scope: Scope = UNIT, every: Every = Every.MONTH, **more: Any
) -> str:
    budget = Budget(make.ids.next(make.now), scope, every, nano_krw, **more)
    set_budget(engine, budget, now=make.now, by="test", reason="test")
    return budget.id


def spent_and_held(engine: Engine, make: Maker) -> list[tuple[int, int]]:
    return [(status.spent, status.held) for status in budget_status(engine, make.now)]


def test_a_hold_lasts_from_dispatch_to_charge(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    limit(engine, make, 10**15)
    dispatch = make.dispatch()
    assert sink.write([[record_of(dispatch)]]) == [None]
    assert spent_and_held(engine, make) == [(0, dispatch.hold_nano_krw)]
    charge = make.charge(dispatch)
    assert sink.write([[record_of(charge)]]) == [None]
    assert spent_and_held(engine, make) == [(charge.amount_nano_krw, 0)]
    assert check_accounts(engine) == []


def test_units_that_differ_in_the_case_of_a_letter_are_two(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    charge = None
    for unit in ("IT", "it"):
        dispatch = make.dispatch(make.attribution(department_id=unit, unit_path=("서울특별시", unit)))
        charge = make.charge(dispatch)
        assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    limit(engine, make, 10**15, Scope("unit", "it"))
    assert charge is not None
    assert spent_and_held(engine, make) == [(charge.amount_nano_krw, 0)]


def test_a_group_is_admitted_in_order_until_the_budget_is_full(
    engine: Engine, sink: LedgerSink, make: Maker, key: bytes
) -> None:
    limit(engine, make, 250)
    group = [[record_of(make.dispatch(hold_nano_krw=hold))] for hold in (100, 100, 100, 50, 1)]
    results = sink.write(group)
    assert [type(result) for result in results] == [
        type(None),
        type(None),
        BudgetExceeded,
        type(None),
        BudgetExceeded,
    ]
    assert len(open_dispatches(engine)) == 3
    assert verify(engine, key).ok


@pytest.mark.parametrize("measure", [Measure.TOKENS, Measure.REQUESTS])
def test_a_hold_in_another_measure_lasts_from_dispatch_to_charge(
    engine: Engine, sink: LedgerSink, make: Maker, measure: Measure
) -> None:
    limit(engine, make, 2_001 if measure is Measure.TOKENS else 1, measure=measure)
    first, second = make.dispatch(), make.dispatch()  # of 1,500 bytes and 500 tokens each
    assert sink.write([[record_of(first)]]) == [None]
    ((refusal,), held) = sink.write([[record_of(second)]]), budget_status(engine, make.now)[0].held
    assert isinstance(refusal, BudgetExceeded)
    assert (refusal.measure, held) == (measure, 2_000 if measure is Measure.TOKENS else 1)
    sink.write([[record_of(make.charge(first))]])  # 400 + 50 + 200 tokens
    (status,) = budget_status(engine, make.now)
    assert (status.spent, status.held) == (650 if measure is Measure.TOKENS else 1, 0)
    assert check_accounts(engine) == []


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.REFUSED_BY_PROVIDER])
def test_an_attempt_that_no_provider_took_is_no_request(
    engine: Engine, sink: LedgerSink, make: Maker, outcome: Outcome
) -> None:
    limit(engine, make, 1, measure=Measure.REQUESTS)
    dispatch = make.dispatch()
    charge = make.charge(dispatch, outcome=outcome, source=UsageSource.NONE, usage=Usage())
    sink.write([[record_of(dispatch)], [record_of(charge)]])
    assert budget_status(engine, make.now)[0].left == 1
    assert check_accounts(engine) == []


def test_a_correction_moves_tokens_and_counts_no_request(
    engine: Engine, make: Maker, open_sink: Any, key: bytes
) -> None:
    for measure in (Measure.TOKENS, Measure.REQUESTS):
        limit(engine, make, 10**6, measure=measure)
    dead = open_sink(process=DEAD)
    dispatch = make.dispatch(hold_nano_krw=10**9)
    dead.write([[record_of(dispatch)]])
    sink = open_sink()
    sink.ship([[record_of(make.charge(dispatch))]])  # the real usage arrives after the estimate
    spent = {status.budget.measure: status.spent for status in budget_status(engine, make.now)}
    assert spent == {Measure.TOKENS: 650, Measure.REQUESTS: 1}
    assert check_accounts(engine) == []
    assert verify(engine, key).ok


def test_what_the_tightest_budget_leaves_is_known_without_asking_the_database(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    payer = make.attribution()
    dispatch = make.dispatch(payer, hold_nano_krw=70)
    month = dispatch.billing_period
    assert sink.left_nano_krw(payer, month) is None
    limit(engine, make, 10**12)
    limit(engine, make, 100, Scope("person", "p1"))
    limit(engine, make, 10, Scope("person", "p2"))
    limit(engine, make, 1, Scope("key", "k1"), hard=False)
    limit(engine, make, 10**9, measure=Measure.TOKENS)
    sink.write([[record_of(dispatch)]])
    assert sink.left_nano_krw(payer, month) == 30
    sink.write([[record_of(make.charge(dispatch, usage=Usage()))]])
    assert sink.left_nano_krw(payer, month) == 100
    assert sink.left_nano_krw(make.attribution(person_id="p3"), month) == 10**12


@pytest.mark.parametrize(
    "scope",
    [Scope("key", "k1"), Scope("person", "p1"), Scope("unit", "총무과"), Scope("unit", "서울특별시")],
    ids=str,
)
def test_every_scope_of_the_chain_refuses(
    engine: Engine, sink: LedgerSink, make: Maker, scope: Scope
) -> None:
    limit(engine, make, 10, scope)
    (refusal,) = sink.write([[record_of(make.dispatch(hold_nano_krw=11))]])
    assert isinstance(refusal, BudgetExceeded)
    assert refusal.account.key[:2] == scope
    other = make.attribution(person_id="p2", key_id="k2", department_id="x", unit_path=("부산", "x"))
    assert sink.write([[record_of(make.dispatch(other, hold_nano_krw=11))]]) == [None]


def test_a_budget_counts_what_was_spent_before_it_was_set(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    settled, running = make.dispatch(hold_nano_krw=10**12), make.dispatch(hold_nano_krw=500)
    charge = make.charge(settled)
    sink.write([[record_of(settled)], [record_of(charge)], [record_of(running)]])
    limit(engine, make, charge.amount_nano_krw + 600)
    (refusal, fits) = sink.write([[record_of(make.dispatch(hold_nano_krw=h))] for h in (101, 100)])
    assert isinstance(refusal, BudgetExceeded)
    assert fits is None
    assert spent_and_held(engine, make) == [(charge.amount_nano_krw, 600)]


def test_a_new_period_begins_with_nothing_spent(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    limit(engine, make, 100)
    assert sink.write([[record_of(make.dispatch(hold_nano_krw=100))]]) == [None]
    make.tick(timedelta(days=30))
    assert sink.write([[record_of(make.dispatch(hold_nano_krw=100))]]) == [None]
    assert check_accounts(engine) == []


def test_a_yearly_budget_spans_its_months(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    limit(engine, make, 100, every=Every.YEAR)
    assert sink.write([[record_of(make.dispatch(hold_nano_krw=60))]]) == [None]
    make.tick(timedelta(days=30))
    assert isinstance(sink.write([[record_of(make.dispatch(hold_nano_krw=60))]])[0], BudgetExceeded)


def test_a_raised_limit_admits_and_an_ended_one_counts_no_more(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    limit(engine, make, 10)
    assert sink.write([[record_of(make.dispatch(hold_nano_krw=20))]])[0] is not None
    raised = limit(engine, make, 30)
    assert sink.write([[record_of(make.dispatch(hold_nano_krw=20))]]) == [None]
    assert len(budget_status(engine, make.now)) == 1
    assert end_budget(engine, raised, now=make.now, by="test", reason="over")
    assert not end_budget(engine, raised, now=make.now, by="test", reason="over")
    assert sink.write([[record_of(make.dispatch(hold_nano_krw=10**9))]]) == [None]
    again = limit(engine, make, 10**9 + 50)
    assert again
    assert isinstance(sink.write([[record_of(make.dispatch(hold_nano_krw=31))]])[0], BudgetExceeded)


def test_a_negative_budget_is_refused(engine: Engine, make: Maker) -> None:
    with pytest.raises(ValueError, match="negative"):
        limit(engine, make, -1)


def test_adoption_gives_the_hold_back_and_charges_at_most_it(
    engine: Engine, make: Maker, open_sink: Any
) -> None:
    limit(engine, make, 10**12)
    dead = open_sink(process=DEAD)
    left = [make.dispatch(hold_nano_krw=10**9) for _ in range(3)]
    dead.write([[record_of(dispatch)] for dispatch in left])
    open_sink()
    ((spent, held),) = spent_and_held(engine, make)
    assert held == 0
    assert 0 < spent <= 3 * 10**9
    assert check_accounts(engine) == []


def test_what_was_acknowledged_without_the_database_is_counted_and_never_refused(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    limit(engine, make, 10)
    dispatch = make.dispatch(hold_nano_krw=10**12)
    assert sink.ship([[record_of(dispatch)], [record_of(make.charge(dispatch))]]) == [None, None]
    ((spent, held),) = spent_and_held(engine, make)
    assert (spent > 10, held) == (True, 0)


def test_only_a_hard_budget_needs_the_database(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    limit(engine, make, 10**12, hard=False)
    dispatch = [record_of(make.dispatch())]
    sink.write([[record_of(make.dispatch())]])
    assert not sink.needs_database(dispatch)
    limit(engine, make, 10**12)
    sink.write([[record_of(make.dispatch())]])
    assert sink.needs_database(dispatch)
    assert not sink.needs_database([record_of(make.charge(make.dispatch()))])


def test_a_budget_is_known_before_the_first_request(
    engine: Engine, make: Maker, open_sink: Any, key: bytes
) -> None:
    dispatch = [record_of(make.dispatch())]
    assert LedgerSink(engine, key).needs_database(dispatch), "nobody has looked yet"
    assert not open_sink().needs_database(dispatch)
    limit(engine, make, 10)
    assert open_sink().needs_database(dispatch)


def test_writing_twice_counts_once(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    limit(engine, make, 10**15)
    dispatch = make.dispatch()
    group = [[record_of(dispatch)], [record_of(make.charge(dispatch))]]
    sink.write(group)
    before = spent_and_held(engine, make)
    assert sink.write(group) == [None, None]
    assert spent_and_held(engine, make) == before
    assert check_accounts(engine) == []


async def test_many_writers_never_overspend_a_nearly_spent_budget(
    engine: Engine, make: Maker, key: bytes, tmp_path: Path
) -> None:
    bound = make.dispatch().hold_nano_krw
    most = 30 * bound
    limit(engine, make, most)
    journals = [Journal(LedgerSink(engine, key), Segments(tmp_path / "s", 1 << 16)) for _ in range(3)]
    for journal in journals:
        journal.start()
    taken = await asyncio.gather(*(make.spend(journals[i % 3]) for i in range(300)))
    refused = taken.count(False)
    for journal in journals:
        journal.stop()
    ((spent, held),) = spent_and_held(engine, make)
    assert held == 0
    assert spent <= most
    assert spent == sum(row.cost_nano_krw for row in usage_report(engine, "department"))
    assert refused > 0
    assert most - spent < 3 * 64 * bound
    assert check_accounts(engine) == []
    assert verify(engine, key).ok


TOKEN = 1_739_000
"""Nano-won of one input token of the test's model."""


class Life(RuleBasedStateMachine):
    """Two writers that dispatch, settle, crash, ship twice and go back in time, under one budget."""

    attempts: Any = Bundle("attempts")
    directory: Path
    make_entries: type[Maker]

    def __init__(self) -> None:
        super().__init__()
        self.make = self.make_entries()
        self.engine = open_engine(f"sqlite:///{self.directory}/{self.make.ids.next(self.make.now)}.db")
        metadata.create_all(self.engine)
        self.sinks = [self._sink(process=DEAD), self._sink(process=DEAD)]
        self.limit = 2_000 * TOKEN
        limit(self.engine, self.make, self.limit)
        self.settled: set[str] = set()

    def _sink(self, **more: Any) -> LedgerSink:
        sink = LedgerSink(self.engine, b"k" * 32, clock=lambda: self.make.now, **more)
        sink.open()
        return sink

    def teardown(self) -> None:
        for sink in self.sinks:
            sink._checkpointer.stop()
            sink._disconnect()
        self.engine.dispose()

    @rule(target=attempts, which=st.integers(0, 1), tokens=st.integers(0, 900))
    def dispatch(self, which: int, tokens: int) -> Any:
        dispatch = self.make.dispatch(hold_nano_krw=tokens * TOKEN, input_bytes=tokens, max_output_tokens=0)
        (refusal,) = self.sinks[which].write([[record_of(dispatch)]])
        return None if refusal else dispatch

    @rule(attempt=consumes(attempts), which=st.integers(0, 1), share=st.floats(0, 1), twice=st.booleans())
    def settle(self, attempt: Dispatch | None, which: int, share: float, twice: bool) -> None:
        if attempt is None:
            return
        usage = Usage(input=int(attempt.input_bytes * share))
        record = record_of(self.make.charge(attempt, usage=usage))
        for _ in range(1 + twice):
            assert self.sinks[which].write([[record]]) == [None]
        self.settled.add(attempt.attempt_id)

    @rule(which=st.integers(0, 1))
    def crash(self, which: int) -> None:
        """Its successor adopts what it left open, also of the other one, which is a zombie then."""
        self.sinks[which]._checkpointer.stop()
        self.sinks[which]._disconnect()
        self.sinks[which] = self._sink(process=DEAD)
        self.sinks[which].tick()

    @rule(minutes=st.integers(-600, 600))
    def the_clock_jumps(self, minutes: int) -> None:
        self.make.tick(timedelta(minutes=minutes))

    @invariant()
    def accounts_are_what_the_ledger_says(self) -> None:
        assert check_accounts(self.engine) == []

    @invariant()
    def nothing_is_overspent(self) -> None:
        """But for real usage that came after an estimate below it: charged, and by no more than that."""
        with self.engine.connect() as connection:
            late = connection.execute(
                select(func.coalesce(func.sum(charges.c.amount_nano_krw), 0)).where(
                    charges.c.kind == "correction", charges.c.amount_nano_krw > 0
                )
            ).scalar_one()
        for status in budget_status(self.engine, self.make.now):
            assert status.spent + status.held <= self.limit + late

    @invariant()
    def every_chain_holds(self) -> None:
        report = verify(self.engine, b"k" * 32)
        assert report.ok, report.problems

    @invariant()
    def every_attempt_is_charged_once_or_open(self) -> None:
        left_open = set(open_dispatches(self.engine))
        assert not left_open & self.settled


def test_no_order_of_events_breaks_the_ledger(tmp_path: Path, make: Maker) -> None:
    Life.directory = tmp_path
    Life.make_entries = type(make)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life,
        settings=settings(
            max_examples=15,
            phases=[Phase.generate],
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_accounts_are_compared_as_of_one_moment(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    """A charge that is written between reading the account and adding up the ledger is no difference."""
    limit(engine, make, 10**15)
    for statement in count():
        dispatch = make.dispatch()
        rows = [[record_of(dispatch)], [record_of(make.charge(dispatch))]]
        with meanwhile(engine, statement, sink.write, rows) as written:
            assert check_accounts(engine) == [], statement
        if not written:
            break
        assert written[0].result() == [None, None]
    assert statement > 2
    assert check_accounts(engine) == []


def test_what_an_account_cannot_hold_loses_no_charge(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    """9.2 billion won fit; a budget in requests counts them, too, and has no limit in won."""
    limit(engine, make, 10**6, measure=Measure.REQUESTS)
    for _ in range(5):
        dispatch = make.dispatch()
        charge = make.charge(dispatch, stated_cost_usd=Decimal(1_800_000))
        assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    (status,) = budget_status(engine, make.now)
    assert (status.spent, status.held) == (5, 0)
    assert check_accounts(engine) == []
