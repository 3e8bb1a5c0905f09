"""What the reports of seats and forecasts read is what the ledger holds, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from billing.ledger import record_of
from billing.periods import billing_day, from_us
from billing.plans import Plan
from billing.store.report_queries import (
    count_first,
    department_days,
    key_days,
    keys_of_department,
    months_summed,
    person_uses,
    sums_position,
)
from billing.tables import charges
from billing.usage import Usage

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing.store import LedgerSink
    from tests.billing.conftest import Maker

ALL = Plan("all", "모두", 30_000)
SOME = Plan("some", "일부", 20_000, models=("m0*",))
NONE = Plan("none", "없음", 10_000, models=("never-*",))
FIRST = date(2026, 1, 1)


def fill(sink: LedgerSink, make: Maker) -> None:
    """Three people, two departments, two models, two keys, October and November."""
    for number in range(24):
        who = make.attribution(
            person_id=f"p{number % 3}",
            department_id=f"d{number % 2}",
            model_id=f"m{number % 4 // 2}",
            key_id=f"k{number % 2}",
        )
        at = datetime(2026, 10 + number % 2, 1 + number, 14, 59, tzinfo=UTC)
        dispatch = make.dispatch(who, started_at=at, billing_period=f"2026-{10 + number % 2}")
        charge = make.charge(dispatch, usage=Usage(input=1_000 * number, output=7))
        assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]


def rows(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(charges)).mappings())


def test_people_departments_and_months_are_those_of_the_charges(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    fill(sink, make)
    assert count_first(engine)
    assert months_summed(engine) == ("2026-10", "2026-11")
    expected: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows(engine):
        sums = expected[row["person_id"], row["department_id"], row["billing_period"]]
        sums[0] += row["amount_nano_krw"]
        sums[1] += 1
        sums[2] += row["amount_nano_krw"] if row["model_id"] == "m0" else 0
    uses = person_uses(engine, ("2026-10", "2026-11"), (ALL, SOME, NONE))
    found = {(u.person_id, u.department_id, u.month): [u.nano_krw, u.requests, u.covered[1][1]] for u in uses}
    assert found == dict(expected)
    assert all(u.covered[0] == (u.requests, u.nano_krw) for u in uses)
    assert all(u.covered[2] == (0, 0) for u in uses)
    only = person_uses(engine, ("2026-11",), (ALL,), department_id="d1")
    assert {(u.department_id, u.month) for u in only} == {("d1", "2026-11")}


def test_days_are_koreas_and_sum_to_the_charges(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    fill(sink, make)
    count_first(engine)
    for read, column in ((department_days, "department_id"), (key_days, "key_id")):
        expected: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
        for row in rows(engine):
            expected[row[column]][billing_day(from_us(row["started_at_us"]))] += row["amount_nano_krw"]
        assert read(engine, FIRST) == expected
    assert set(department_days(engine, FIRST, "d0")) == {"d0"}
    assert set(key_days(engine, FIRST, ["k1"])) == {"k1"}
    assert key_days(engine, FIRST, []) == {}
    assert keys_of_department(engine, "d1", FIRST) == ["k1"]
    assert department_days(engine, date(2027, 1, 1)) == {}


def test_the_position_tells_when_the_sums_have_moved(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    assert sums_position(engine) == 0
    fill(sink, make)
    assert sums_position(engine) == 0
    count_first(engine)
    assert sums_position(engine) == 48
