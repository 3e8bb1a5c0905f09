from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, get_args

import pytest
from sqlalchemy.exc import OperationalError

from billing.ledger import Outcome, record_of
from billing.money import NANO
from billing.store import LedgerSink, Savings, months_with_charges, reports, savings, usage_report
from billing.store.reports import By
from billing.usage import Usage, UsageSource

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker


@pytest.fixture
def month(sink: LedgerSink, make: Maker) -> None:
    """총무과: two people, three attempts for two requests; 인사과: one person in October and November."""
    total, staff = make.attribution(), make.attribution(person_id="p2")
    other = make.attribution(person_id="p3", department_id="인사과", model_id="claude")
    first = make.dispatch(total)
    retried = make.dispatch(total, request_id=first.request_id, attempt_no=2)
    october = make.dispatch(other, started_at=datetime(2026, 10, 31, 14, 59, tzinfo=UTC))
    rest = [make.dispatch(staff), make.dispatch(other), october]
    nothing = {"outcome": Outcome.NOT_SENT, "source": UsageSource.NONE, "usage": Usage()}
    sink.write([[record_of(dispatch)] for dispatch in (first, retried, *rest)])
    sink.write([[record_of(make.charge(first, **nothing))], [record_of(make.charge(retried))]])
    sink.write([[record_of(make.charge(dispatch, source=UsageSource.ESTIMATED))] for dispatch in rest])


@pytest.mark.usefixtures("month")
def test_usage_is_summed_by_department(engine: Engine, make: Maker) -> None:
    one = make.charge(make.dispatch()).amount_nano_krw
    total, staff = usage_report(engine, "department", month="2026-11")
    assert (total.key, total.requests, total.attempts, total.estimated) == ("총무과", 2, 3, 1)
    assert total.cost_nano_krw == 2 * one
    assert total.tokens == {"input": 800, "cache_read": 100, "output": 400}
    assert (total.input_tokens, total.output_tokens) == (900, 400)
    assert (staff.key, staff.requests, staff.cost_nano_krw) == ("인사과", 1, one)


@pytest.mark.usefixtures("month")
def test_usage_is_summed_by_person_and_by_model(engine: Engine) -> None:
    assert {row.key: row.attempts for row in usage_report(engine, "person")} == {"p1": 2, "p2": 1, "p3": 2}
    assert {row.key: row.attempts for row in usage_report(engine, "model")} == {"gpt": 3, "claude": 2}


@pytest.mark.usefixtures("month")
def test_a_range_of_time_and_departments_narrows_a_report(engine: Engine, make: Maker) -> None:
    until_october = usage_report(engine, "department", end=datetime(2026, 11, 1, tzinfo=UTC))
    assert [(row.key, row.attempts) for row in until_october] == [("인사과", 1)]
    assert usage_report(engine, "person", start=make.now + timedelta(days=1)) == []
    assert [row.key for row in usage_report(engine, "model", department_ids=["인사과"])] == ["claude"]


@pytest.mark.usefixtures("month")
def test_months_are_koreas(engine: Engine) -> None:
    assert months_with_charges(engine) == ("2026-10", "2026-11")


@pytest.mark.usefixtures("month")
def test_savings_compare_people_with_seats(engine: Engine, make: Maker) -> None:
    found = savings(engine, 30_000, ["2026-10", "2026-11"])
    assert (found.people, found.person_months, found.months) == (3, 4, 2)
    assert (found.seats_krw, found.seats_of_active_krw) == (180_000, 120_000)
    assert found.metered_nano_krw == 4 * make.charge(make.dispatch()).amount_nano_krw
    assert savings(engine, 30_000, ["2026-11"], people=365).seats_krw == 10_950_000


def test_the_published_case_of_seoul_is_reproduced() -> None:
    found = Savings(4, 6_318, 0, 30_000, 55_000_000 * NANO)
    assert (found.seats_krw, found.saved_krw, found.saved_percent) == (
        758_160_000,
        703_160_000,
        Decimal("92.7"),
    )


def test_no_seats_save_no_percent() -> None:
    assert Savings(0, 0, 0, 30_000, 5).saved_percent == 0


def test_sums_beyond_one_integer_of_the_database_are_exact(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    dear = Usage(input=6 * 10**9)  # 10.4 million won each
    group = []
    for _ in range(1_000):
        dispatch = make.dispatch()
        group += [[record_of(dispatch)], [record_of(make.charge(dispatch, usage=dear))]]
    assert set(sink.write(group)) == {None}
    (row,) = usage_report(engine, "department")
    assert row.cost_nano_krw == 1_000 * make.charge(make.dispatch(), usage=dear).amount_nano_krw > 2**63


def test_an_empty_ledger_reports_nothing(engine: Engine) -> None:
    assert usage_report(engine, "department", month="2026-11") == []
    assert savings(engine, 30_000, ["2026-11"]).saved_krw == 0


@pytest.mark.usefixtures("month")
@pytest.mark.parametrize("by", get_args(By))
def test_a_report_from_the_sums_is_that_from_the_charges(engine: Engine, by: By) -> None:
    for month in (None, "2026-10", "2026-11"):
        period = reports._period(month, None, None)
        assert usage_report(engine, by, month=month) == reports._from_charges(engine, by, period, None)


@pytest.mark.usefixtures("month")
def test_a_database_that_takes_no_writes_is_reported_from_its_charges(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_engine: Engine) -> int:
        raise OperationalError("INSERT", {}, Exception("attempt to write a readonly database"))

    expected = usage_report(engine, "person"), savings(engine, 30_000, ["2026-10", "2026-11"])
    monkeypatch.setattr(reports, "bring_up_to_date", refuse)
    assert (usage_report(engine, "person"), savings(engine, 30_000, ["2026-10", "2026-11"])) == expected
