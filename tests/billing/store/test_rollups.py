from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from billing.ledger import Kind, Outcome, derived_id, record_of
from billing.periods import billing_day, from_us
from billing.store import LedgerSink, rollups
from billing.store.usage_queries import groups, last_days, totals, usage_by
from billing.tables import charges, lines, usage_line_days
from billing.usage import CLASSES, Usage, UsageSource
from billing.usage_sums import Dimension, Filter, Order, Page

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker

NOVEMBER = Filter(months=("2026-11",))


def write(sink: LedgerSink, make: Maker, dispatch: Any, **charge: Any) -> Any:
    made = make.charge(dispatch, **charge)
    assert sink.write([[record_of(dispatch)], [record_of(made)]]) == [None, None]
    return made


def readded(engine: Engine, *columns: str) -> Counter[tuple[str, ...]]:
    """Add the ledger up in Python: an independent hand."""
    sums: Counter[tuple[str, ...]] = Counter()
    with engine.connect() as connection:
        for row in connection.execute(select(charges)).mappings():
            sums[tuple(row[column] for column in columns)] += row["amount_nano_krw"]
    return sums


def test_sums_are_those_of_the_ledger(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    for number in range(12):
        attribution = make.attribution(person_id=f"p{number % 3}", model_id=f"m{number % 2}")
        at = datetime(2026, 11, 1 + number, 14, 59, tzinfo=UTC)
        write(sink, make, make.dispatch(attribution, started_at=at), usage=Usage(input=number, output=7))
    assert rollups.bring_up_to_date(engine) == 0
    found = usage_by(engine, [Dimension.PERSON, Dimension.MODEL])
    expected = readded(engine, "person_id", "model_id")
    assert {row.key: row.cost_nano_krw for row in found} == dict(expected)
    assert totals(engine).cost_nano_krw == expected.total()
    assert totals(engine).tokens == {"input": sum(range(12)), "output": 84}
    assert rollups.verify_sums(engine).ok


def test_a_day_is_koreas(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    for at in (datetime(2026, 11, 1, 14, 59, 59, tzinfo=UTC), datetime(2026, 11, 1, 15, 0, tzinfo=UTC)):
        write(sink, make, make.dispatch(started_at=at))
    rollups.bring_up_to_date(engine)
    days = usage_by(engine, [Dimension.DAY], page=Page(Order.KEY, descending=False))
    assert [str(row.key[0]) for row in days] == ["2026-11-01", "2026-11-02"]


def test_nothing_is_counted_twice_however_often_it_is_asked(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    write(sink, make, make.dispatch())
    rollups.bring_up_to_date(engine)
    before = totals(engine)
    rollups.bring_up_to_date(engine)
    assert totals(engine) == before
    write(sink, make, make.dispatch())
    rollups.bring_up_to_date(engine)
    assert totals(engine).cost_nano_krw == 2 * before.cost_nano_krw


def test_many_processes_at_once_count_every_row_once(
    engine: Engine, sink: LedgerSink, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "BATCH", 7)
    for _ in range(40):
        write(sink, make, make.dispatch())
    workers = [threading.Thread(target=rollups.bring_up_to_date, args=(engine,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert totals(engine).attempts == 40
    assert rollups.verify_sums(engine) == rollups.SumsReport(8, 0, ())  # three lines of invoices


def test_a_process_that_dies_in_a_batch_leaves_nothing_of_it(
    engine: Engine, sink: LedgerSink, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sink, make, make.dispatch())
    with monkeypatch.context() as broken:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        broken.setattr(rollups, "_move_on", die)
        with pytest.raises(KeyboardInterrupt):
            rollups.bring_up_to_date(engine)
    assert totals(engine).attempts == 0
    rollups.bring_up_to_date(engine)
    assert totals(engine).attempts == 1


def test_bounded_work_says_what_is_left(
    engine: Engine, sink: LedgerSink, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "BATCH", 2)
    for _ in range(3):
        write(sink, make, make.dispatch())
    assert rollups.bring_up_to_date(engine, most_batches=1) == 4
    assert rollups.rows_behind(engine) == 4
    assert rollups.verify_sums(engine).ok


def test_a_request_counts_once_and_once_for_each_model_it_asked(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    first = make.dispatch(make.attribution(model_id="a", deployment_id="a@x"))
    nothing = {"outcome": Outcome.NOT_SENT, "source": UsageSource.NONE, "usage": Usage()}
    write(sink, make, first, **nothing)
    same = {"request_id": first.request_id}
    write(
        sink, make, make.dispatch(make.attribution(model_id="a", deployment_id="a@y"), attempt_no=2, **same)
    )
    write(
        sink, make, make.dispatch(make.attribution(model_id="b", deployment_id="b@y"), attempt_no=3, **same)
    )
    rollups.bring_up_to_date(engine)
    assert (totals(engine).requests, totals(engine).attempts, totals(engine).failed) == (1, 3, 1)
    assert {r.key: r.requests for r in usage_by(engine, [Dimension.MODEL])} == {("a",): 1, ("b",): 1}
    assert {r.key: r.requests for r in usage_by(engine, [Dimension.DEPLOYMENT])} == {
        ("a@x",): 1,
        ("a@y",): 1,
        ("b@y",): 1,
    }
    assert {r.key: r.requests for r in usage_by(engine, [Dimension.PROVIDER])} == {("openai",): 1}


def test_a_correction_adds_its_difference_and_no_request(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    dispatch = make.dispatch()
    charge = write(sink, make, dispatch, source=UsageSource.ESTIMATED)
    rollups.bring_up_to_date(engine)
    actual = make.charge(dispatch, usage=Usage(input=10))
    difference = {"input": 10 - 400, "cache_read": -50, "output": -200}
    from dataclasses import replace

    from billing.quotes import negated

    correction = replace(
        actual,
        charge_id=derived_id("correction", charge.charge_id),
        kind=Kind.CORRECTION,
        corrects=charge.charge_id,
        outcome=Outcome.CORRECTED,
        lines=(*negated(charge.lines), *actual.lines),
        usage_delta=difference,
    )
    assert sink.write([[record_of(correction)]]) == [None]
    rollups.bring_up_to_date(engine)
    found = totals(engine)
    assert (found.requests, found.attempts, found.estimated) == (1, 1, 1)
    assert found.cost_nano_krw == actual.amount_nano_krw
    assert found.tokens == {"input": 10}
    assert rollups.verify_sums(engine).ok


def test_lines_are_summed_at_their_prices_and_make_the_total(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    for _ in range(3):
        write(sink, make, make.dispatch())
    rollups.bring_up_to_date(engine)
    with engine.connect() as connection:
        summed = connection.execute(select(usage_line_days)).mappings().all()
        single = connection.execute(select(lines.c.token_class, lines.c.quantity)).all()
    assert {row["token_class"]: row["quantity"] for row in summed} == dict(
        Counter({c: sum(q for k, q in single if k == c) for c, _ in single})
    )
    assert sum(row["won"] * 10**9 + row["nano_rest"] for row in summed) == totals(engine).cost_nano_krw
    assert {row["fx_rate"] for row in summed} == {"1391.20"}


def test_a_rebuild_gives_the_same_sums(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    for number in range(5):
        write(sink, make, make.dispatch(make.attribution(person_id=f"p{number}")))
    rollups.bring_up_to_date(engine)
    before = usage_by(engine, [Dimension.DAY, Dimension.PERSON])
    rollups.rebuild(engine)
    assert usage_by(engine, [Dimension.DAY, Dimension.PERSON]) == before


@pytest.mark.parametrize("table", [table.name for table in rollups.SUMS])
def test_a_sum_that_is_one_nano_won_off_is_found(
    engine: Engine, sink: LedgerSink, make: Maker, table: str
) -> None:
    write(sink, make, make.dispatch())
    rollups.bring_up_to_date(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {table} SET nano_rest = nano_rest + 1"))
    report = rollups.verify_sums(engine)
    assert not report.ok
    assert all(table in difference for difference in report.differences)
    rollups.rebuild(engine)
    assert rollups.verify_sums(engine).ok


def test_sums_beyond_one_integer_of_the_database_are_exact(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    dear = Usage(input=6 * 10**9)
    group = []
    for _ in range(1_000):
        dispatch = make.dispatch()
        group += [[record_of(dispatch)], [record_of(make.charge(dispatch, usage=dear))]]
    assert set(sink.write(group)) == {None}
    rollups.bring_up_to_date(engine)
    expected = 1_000 * make.charge(make.dispatch(), usage=dear).amount_nano_krw
    assert totals(engine).cost_nano_krw == expected > 2**63


@pytest.fixture
def office(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    """Six people in two departments, two days, one service."""
    for number in range(6):
        department = ("총무과", "인사과")[number % 2]
        attribution = make.attribution(
            person_id=f"p{number}",
            key_id=f"k{number}",
            department_id=department,
            unit_path=("서울특별시", "행정국", department),
            via_service="openwebui" if number == 5 else None,
        )
        at = datetime(2026, 11, 3, 1, tzinfo=UTC) + timedelta(days=number // 3)
        write(sink, make, make.dispatch(attribution, started_at=at), usage=Usage(input=100 * (number + 1)))
    rollups.bring_up_to_date(engine)


@pytest.mark.usefixtures("office")
@pytest.mark.parametrize(
    ("where", "people"),
    [
        (Filter(departments=("총무과",)), {"p0", "p2", "p4"}),
        (Filter(departments=()), set()),
        (Filter(under=("행정국",)), {"p0", "p1", "p2", "p3", "p4", "p5"}),
        (Filter(under=("총무",)), set()),
        (Filter(under=("인사과", "없는과")), {"p1", "p3", "p5"}),
        (Filter(last_day=billing_day(datetime(2026, 11, 3, 1, tzinfo=UTC))), {"p0", "p1", "p2"}),
        (Filter(persons=("p1", "p5")), {"p1", "p5"}),
        (Filter(keys=("k3",), months=("2026-11",)), {"p3"}),
        (Filter(services=("openwebui",)), {"p5"}),
        (Filter(models=("claude",)), set()),
        (Filter(months=("2026-10",)), set()),
    ],
)
def test_a_filter_narrows_the_sums(engine: Engine, where: Filter, people: set[str]) -> None:
    found = usage_by(engine, [Dimension.PERSON], where)
    assert {row.key[0] for row in found} == people
    assert groups(engine, [Dimension.PERSON], where) == len(people)
    assert sum(row.cost_nano_krw for row in found) == totals(engine, where).cost_nano_krw


@pytest.mark.usefixtures("office")
def test_pages_cut_one_order(engine: Engine) -> None:
    by_cost = [row.key[0] for row in usage_by(engine, [Dimension.PERSON], NOVEMBER)]
    assert by_cost == ["p5", "p4", "p3", "p2", "p1", "p0"]
    for order in Order:
        whole = usage_by(engine, [Dimension.PERSON], page=Page(order, descending=False))
        halves = [
            row
            for offset in (0, 4)
            for row in usage_by(engine, [Dimension.PERSON], page=Page(order, False, offset, 4))
        ]
        assert halves == whole


@pytest.mark.usefixtures("office")
def test_keys_know_the_last_day_they_were_used(engine: Engine) -> None:
    found = last_days(engine, ["k0", "k5", "never"])
    assert {key: str(day) for key, day in found.items()} == {"k0": "2026-11-03", "k5": "2026-11-04"}


amounts = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 10**9), st.integers(0, 40))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(amounts, max_size=30))
def test_any_ledger_is_summed_to_the_nano_won(engine: Engine, sink: LedgerSink, make: Maker, rows) -> None:
    group = []
    for person, model, tokens, day in rows:
        at = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=day)
        attribution = make.attribution(person_id=f"p{person}", model_id=f"m{model}")
        dispatch = make.dispatch(attribution, started_at=at)
        charge = make.charge(dispatch, usage=Usage(input=tokens, output=tokens // 3))
        group += [[record_of(dispatch)], [record_of(charge)]]
    sink.write(group)
    rollups.bring_up_to_date(engine)
    for by, column in ((Dimension.PERSON, "person_id"), (Dimension.MODEL, "model_id")):
        assert {r.key: r.cost_nano_krw for r in usage_by(engine, [by])} == dict(readded(engine, column))
    assert rollups.verify_sums(engine).ok


def test_every_class_of_usage_has_its_column(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    usage = Usage(**{name: number for number, name in enumerate(CLASSES, start=1)})
    write(sink, make, make.dispatch(), usage=usage)
    rollups.bring_up_to_date(engine)
    assert totals(engine).tokens == dict(usage.classes())


FIRSTS = (date(2026, 10, 1), date(2026, 10, 3), None)
LASTS = (date(2026, 10, 31), date(2026, 11, 4), date(2026, 11, 2), None)
UNITS = (None, ("서울특별시",), ("행정국",), ("재무국",), ("총무과", "인사과"))


def test_whichever_table_answers_the_answer_is_the_same(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    group = []
    for number in range(24):
        bureau, department = (("행정국", "총무과"), ("행정국", "인사과"), ("재무국", "예산과"))[number % 3]
        attribution = make.attribution(
            person_id=f"p{number % 5}", department_id=department, unit_path=("서울특별시", bureau, department)
        )
        at = datetime(2026, 10, 1, 3, tzinfo=UTC) + timedelta(days=3 * (number % 12))
        dispatch = make.dispatch(attribution, started_at=at)
        group += [[record_of(dispatch)], [record_of(make.charge(dispatch, usage=Usage(input=10 * number)))]]
    assert set(sink.write(group)) == {None}
    rollups.bring_up_to_date(engine)
    for first, last, under in product(FIRSTS, LASTS, UNITS):
        where = Filter(first_day=first, last_day=last, under=under)
        expected = sum(
            charge["amount_nano_krw"]
            for charge in charges_within(engine, first, last)
            if under is None or set(under) & set(charge["unit_path"].split("/"))
        )
        assert totals(engine, where).cost_nano_krw == expected
        for dimension in (Dimension.DAY, Dimension.MODEL, Dimension.DEPARTMENT, Dimension.PERSON):
            rows = usage_by(engine, [dimension], where)
            assert sum(row.cost_nano_krw for row in rows) == expected
            assert groups(engine, [dimension], where) == len(rows)


def charges_within(engine: Engine, first: date | None, last: date | None) -> list[Any]:
    with engine.connect() as connection:
        rows = connection.execute(select(charges)).mappings().all()
    days = ((row, billing_day(from_us(row["started_at_us"]))) for row in rows)
    return [row for row, day in days if (first or date.min) <= day <= (last or date.max)]
