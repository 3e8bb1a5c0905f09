from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, select

from billing.budgets import Budget, Every, Scope
from billing.ledger import Charge, record_of
from billing.money import NANO
from billing.months import MonthRefused
from billing.statements import LineKind, Terms
from billing.store import LedgerSink, set_budget
from billing.store import invoices as store_invoices
from billing.store.invoice_lines import charges_behind, count_behind
from billing.store.invoices import (
    TamperedInvoice,
    draft,
    headings,
    invoices_of,
    lock_with_invoices,
    stored_invoice,
    stored_invoices,
)
from billing.store.months import Deed, MonthFigures, SealKey, approve, preview
from billing.store.rollups import SUMS
from billing.tables import charges, usage_positions
from billing.usage import Usage

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker

NOVEMBER = "2026-11"
DECEMBER = datetime(2026, 12, 2, 1, 0, tzinfo=UTC)
NAMES = {"서울특별시": "서울특별시", "행정국": "행정국", "총무과": "총무과", "인사과": "인사과(옛)"}
TERMS = Terms(institution_id="SEOUL", issuer_name="디지털도시국")
SEAL = (b"k" * 32, 1)


def exchange(sink: LedgerSink, make: Maker, **changes: Any) -> None:
    stated = changes.pop("stated_cost_usd", None)
    usage = changes.pop("usage", Usage(input=400, cache_read=50, output=200))
    dispatch = make.dispatch(make.attribution(**changes))
    charge = make.charge(dispatch, usage=usage, stated_cost_usd=stated)
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]


@pytest.fixture
def november(engine: Engine, sink: LedgerSink, make: Maker) -> Engine:
    """Two departments of a bureau, one person of the bureau itself, and a department that was moved."""
    for person in ("p1", "p1", "p2"):
        exchange(sink, make, person_id=person, usage=Usage(input=40_000, output=20_001))
    exchange(sink, make, department_id="인사과", unit_path=("서울특별시", "행정국", "인사과", "1팀"))
    exchange(sink, make, department_id="인사과", unit_path=("서울특별시", "기획국", "인사과"))
    exchange(sink, make, department_id="행정국", unit_path=("서울특별시", "행정국"), person_id="boss")
    make.now = DECEMBER
    return engine


def ledger_sum(engine: Engine, month: str) -> int:
    statement = select(func.sum(charges.c.amount_nano_krw)).where(charges.c.billing_period == month)
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar() or 0)


def close(engine: Engine, month: str = NOVEMBER, terms: Terms = TERMS) -> None:
    deed = Deed(
        "finance1", DECEMBER.replace(month=12) if month == NOVEMBER else datetime(2027, 1, 2, tzinfo=UTC)
    )
    preview(engine, month, deed)
    approve(engine, month, deed)
    lock_with_invoices(engine, month, deed, SealKey(*SEAL), terms, NAMES)


def test_invoices_of_all_departments_sum_to_the_ledger(november: Engine) -> None:
    drafts = draft(november, NOVEMBER, TERMS, NAMES, DECEMBER)
    departments = [one for one in drafts.invoices if one.kind == "department"]
    assert [one.unit_path for one in departments] == [
        "서울특별시/기획국/인사과",
        "서울특별시/행정국",
        "서울특별시/행정국/인사과",
        "서울특별시/행정국/총무과",
    ]
    assert sum(one.metered_nano_krw for one in departments) == ledger_sum(november, NOVEMBER)
    assert drafts.rows == 6
    dearest = departments[-1]
    assert (dearest.people, dearest.requests) == (2, 3)
    assert [line.kind for line in dearest.lines] == ["usage", "usage", "rounding"]
    assert dearest.total_krw % 10 == 0


def test_a_unit_above_has_a_summary_of_what_is_below_it(november: Engine) -> None:
    drafts = {
        (one.kind, one.unit.id): one for one in draft(november, NOVEMBER, TERMS, NAMES, DECEMBER).invoices
    }
    whole, bureau = drafts["summary", "서울특별시"], drafts["summary", "행정국"]
    assert len(whole.children) == 4
    assert len(bureau.children) == 3
    assert whole.total_krw == sum(child.total_krw for child in whole.children)
    assert (whole.people, bureau.people) == (3, 3)
    assert whole.number < bureau.number


def test_a_locked_month_keeps_its_invoices_names_and_root(november: Engine) -> None:
    close(november)
    final = stored_invoices(november, NOVEMBER)
    assert [one.number for one in final][:2] == ["SEOUL-2026-11-0001", "SEOUL-2026-11-0002"]
    assert all(one.final and len(one.ledger.root) == 64 and one.ledger.rows == 6 for one in final)
    assert invoices_of(november, NOVEMBER, TERMS, {"인사과": "새 이름"}, DECEMBER) == final
    assert stored_invoice(november, "SEOUL-2026-11-0001") == final[0]
    assert stored_invoice(november, "SEOUL-2026-11-9999") is None
    assert [one.total_krw for one in headings(november, NOVEMBER)] == [one.total_krw for one in final]
    assert final[2].path[-1].name == "인사과(옛)"


def test_a_correction_of_a_locked_month_is_a_credit_note_that_names_the_row(
    november: Engine, sink: LedgerSink, make: Maker
) -> None:
    make.now = datetime(2026, 11, 25, tzinfo=UTC)
    dispatch = make.dispatch()
    first = make.charge(dispatch, usage=Usage(input=100_000))
    sink.write([[record_of(dispatch)], [record_of(first)]])
    make.now = DECEMBER
    close(november)
    before = stored_invoices(november, NOVEMBER)
    credit = Charge.settle(
        dispatch, charge_id="credit-1", settled_at=DECEMBER, outcome="corrected", source=first.source,
        usage=Usage(), kind="correction", corrects=first.charge_id, reason="provider's bill",
    )  # fmt: skip
    negative = tuple(
        line._replace(quantity=-line.quantity, amount_nano_krw=-line.amount_nano_krw) for line in first.lines
    )
    import dataclasses

    sink.ship([[record_of(dataclasses.replace(credit, lines=negative))]])
    late = make.dispatch(started_at=datetime(2026, 11, 30, 14, 59, tzinfo=UTC))
    sink.ship([[record_of(late)], [record_of(make.charge(late))]])
    exchange(sink, make)
    (december,) = [
        one for one in draft(november, "2026-12", TERMS, NAMES, DECEMBER).invoices if one.kind == "department"
    ]
    kinds = {(line.kind, line.original_month): line for line in december.lines}
    assert kinds[LineKind.CORRECTION, NOVEMBER].nano_krw == -first.amount_nano_krw
    assert kinds[LineKind.LATE, NOVEMBER].nano_krw > 0
    assert kinds[LineKind.USAGE, "2026-12"].nano_krw > 0
    named = {one.charge_id: one for one in december.adjustments}
    assert (named["credit-1"].corrects, named["credit-1"].original_month) == (first.charge_id, NOVEMBER)
    assert len(named) == 2
    assert stored_invoices(november, NOVEMBER) == before


def test_budget_columns_count_the_unit_and_what_is_below_it_up_to_the_month(
    november: Engine, make: Maker
) -> None:
    for unit, every in (("행정국", Every.YEAR), ("총무과", Every.MONTH)):
        budget = Budget(f"b-{unit}", Scope("unit", unit), every, 1_000_000 * NANO)
        set_budget(november, budget, now=make.now, by="test", reason="test")
    drafts = {
        (one.kind, one.unit.id): one for one in draft(november, NOVEMBER, TERMS, NAMES, DECEMBER).invoices
    }
    (line,) = drafts["department", "총무과"].budgets
    assert (line.period, line.spent_nano_krw) == (NOVEMBER, drafts["department", "총무과"].metered_nano_krw)
    (above,) = drafts["summary", "행정국"].budgets
    assert above.period == "2026"
    assert above.spent_nano_krw > line.spent_nano_krw
    assert above.left_nano_krw == 1_000_000 * NANO - above.spent_nano_krw


def test_stated_costs_are_one_line_at_their_sum(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    for cost in ("0.00021", "0.5", "0.00021"):
        exchange(sink, make, stated_cost_usd=Decimal(cost))
    (summary, _, one) = draft(engine, NOVEMBER, TERMS, NAMES, DECEMBER).invoices
    assert summary.kind == "summary"
    (line, _rounding) = one.lines
    assert (line.quantity, line.unit_price, line.charge_lines) == (1, "0.50042", 3)
    assert len(charges_behind(engine, one, line)) == 3


def test_every_line_leads_to_the_charges_that_it_sums(november: Engine) -> None:
    for one in draft(november, NOVEMBER, TERMS, NAMES, DECEMBER).invoices:
        for line in one.lines:
            behind = charges_behind(november, one, line)
            if line.kind is LineKind.USAGE:
                assert sum(part.nano_krw for part in behind) == line.nano_krw
                assert sum(part.quantity for part in behind) == line.quantity
                assert count_behind(november, one, line) == (line.charge_lines, line.nano_krw)
            else:
                assert behind == []


def test_the_fx_rate_is_shown_with_its_date_and_source(november: Engine) -> None:
    one = draft(november, NOVEMBER, TERMS, NAMES, DECEMBER).invoices[-1]
    (rate,) = one.fx_sources
    assert (rate.rate, rate.date, rate.source) == ("1391.20", "2026-10-01", "test")


def test_a_stored_invoice_that_was_changed_is_not_shown(november: Engine, tamper: Any) -> None:
    close(november)
    tamper().run("UPDATE billing_invoice SET document = replace(document, '총무과', '인사과')")
    with pytest.raises(TamperedInvoice):
        stored_invoices(november, NOVEMBER)


def test_a_month_that_changed_since_its_approval_keeps_no_invoice(
    november: Engine, sink: LedgerSink, make: Maker
) -> None:
    deed = Deed("finance1", DECEMBER)
    preview(november, NOVEMBER, deed)
    approve(november, NOVEMBER, deed)
    make.now = datetime(2026, 11, 28, tzinfo=UTC)
    exchange(sink, make)
    with pytest.raises(MonthRefused):
        lock_with_invoices(november, NOVEMBER, deed, SealKey(*SEAL), TERMS, NAMES)
    assert stored_invoices(november, NOVEMBER) == ()


def test_a_month_whose_sums_are_counted_anew_keeps_no_invoice(
    november: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`haechi ledger rollups rebuild` has begun and not ended when the invoices are put together."""
    deed = Deed("finance1", DECEMBER)
    preview(november, NOVEMBER, deed)
    approve(november, NOVEMBER, deed)
    counted = store_invoices.month_figures

    def then_rebuilt(engine: Engine, month: str) -> MonthFigures:
        found = counted(engine, month)
        with engine.begin() as connection:
            for table in (*SUMS, usage_positions):
                connection.execute(delete(table))
        return found

    monkeypatch.setattr(store_invoices, "month_figures", then_rebuilt)
    with pytest.raises(MonthRefused, match="do not add up"):
        lock_with_invoices(november, NOVEMBER, deed, SealKey(*SEAL), TERMS, NAMES)
    monkeypatch.undo()
    assert stored_invoices(november, NOVEMBER) == ()
    lock_with_invoices(november, NOVEMBER, deed, SealKey(*SEAL), TERMS, NAMES)
    assert len(stored_invoices(november, NOVEMBER)) > 0
