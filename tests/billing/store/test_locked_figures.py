"""Whatever comes after a lock (late use, corrections, a closed department), no locked figure moves."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from billing.ledger import record_of
from billing.statements import LineKind, Terms
from billing.store import LedgerSink, open_engine, verify
from billing.store.corrections import correction
from billing.store.invoices import draft, lock_with_invoices, stored_invoices
from billing.store.months import Deed, SealKey, approve, preview, standing, steps
from billing.tables import charges, metadata
from billing.usage import Usage
from tests.billing.conftest import KEY, Maker

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOVEMBER, DECEMBER_ = "2026-11", "2026-12"
IN_NOVEMBER = datetime(2026, 11, 20, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, 1, 0, tzinfo=UTC)
TERMS = Terms(institution_id="SEOUL")
TOKENS = st.integers(0, 5_000_000)
USES = st.lists(st.tuples(st.sampled_from(["총무과", "인사과"]), TOKENS, TOKENS), min_size=1, max_size=6)


def place(department: str) -> dict[str, object]:
    return {"department_id": department, "unit_path": ("서울특별시", "행정국", department)}


def ledger(engine: Engine, month: str | None = None) -> int:
    statement = select(func.coalesce(func.sum(charges.c.amount_nano_krw), 0))
    if month is not None:
        statement = statement.where(charges.c.billing_period == month)
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def metered(engine: Engine, month: str) -> int:
    found = draft(engine, month, TERMS, {}, DECEMBER).invoices
    return sum(one.metered_nano_krw for one in found if one.kind == "department")


@settings(max_examples=20, deadline=None)
@given(USES, USES, st.lists(st.tuples(st.integers(0, 5), TOKENS, TOKENS), max_size=4))
def test_late_use_and_corrections_never_change_a_locked_figure(
    before: list[tuple[str, int, int]],
    late: list[tuple[str, int, int]],
    corrected: list[tuple[int, int, int]],
) -> None:
    """November's use comes in two parts, however split; the second, and corrections, after the lock."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder)}/haechi.db")
        metadata.create_all(engine)
        make = Maker()
        make.now = IN_NOVEMBER
        sink = LedgerSink(engine, KEY, clock=lambda: make.now)
        sink.open()
        try:
            written = [use(sink, make, *one) for one in before]
            make.now = DECEMBER
            deed = Deed("finance", DECEMBER)
            for step in (preview, approve):
                step(engine, NOVEMBER, deed)
            lock_with_invoices(engine, NOVEMBER, deed, SealKey(KEY, 1), TERMS, {})
            locked = (stored_invoices(engine, NOVEMBER), steps(engine, NOVEMBER), ledger(engine, NOVEMBER))
            for one in late:
                use(sink, make, *one)
            for index, tokens, answered in corrected:
                correct(
                    engine, sink, make, written[index % len(written)], Usage(input=tokens, output=answered)
                )
            after = (stored_invoices(engine, NOVEMBER), steps(engine, NOVEMBER), ledger(engine, NOVEMBER))
            assert after == locked
            assert standing(engine, NOVEMBER).figures.nano_krw == locked[2]
            assert metered(engine, DECEMBER_) == ledger(engine, DECEMBER_)
            assert ledger(engine, NOVEMBER) + ledger(engine, DECEMBER_) == ledger(engine)
            assert verify(engine, KEY).problems == ()
            check_notes(engine, set(written))
        finally:
            sink.close()
            engine.dispose()


def use(sink: LedgerSink, make: Maker, department: str, tokens: int, answered: int) -> str:
    """One attempt that began in November, whenever it is settled; return the id of its charge."""
    dispatch = make.dispatch(make.attribution(**place(department)), started_at=IN_NOVEMBER)
    charge = make.charge(dispatch, usage=Usage(input=tokens, output=answered))
    assert sink.ship([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    return charge.charge_id


def correct(engine: Engine, sink: LedgerSink, make: Maker, charge_id: str, usage: Usage) -> None:
    with engine.connect() as connection:
        made = correction(
            connection, charge_id, usage, now=make.tick(), reason="제공사 청구서", raw_usage=None
        )
    if made is not None:
        assert sink.ship([[record_of(made)]]) == [None]


def check_notes(engine: Engine, originals: set[str]) -> None:
    """December tells late use from corrections, and names the row that each of these is about."""
    for one in draft(engine, DECEMBER_, TERMS, {}, DECEMBER).invoices:
        if one.kind != "department":
            continue
        assert {line.kind for line in one.lines} <= {
            LineKind.LATE,
            LineKind.CORRECTION,
            LineKind.ROUNDING,
        }
        for note in one.adjustments:
            assert note.original_month == NOVEMBER
            assert (note.corrects in originals) == (note.kind == "correction")


def test_a_department_without_a_name_any_more_is_still_billed(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    """A department that was deleted from the register with charges open keeps them, under its code."""
    make.now = IN_NOVEMBER
    use(sink, make, "총무과", 1_000_000, 0)
    make.now = DECEMBER
    deed = Deed("finance", DECEMBER)
    for step in (preview, approve):
        step(engine, NOVEMBER, deed)
    lock_with_invoices(engine, NOVEMBER, deed, SealKey(KEY, 1), TERMS, {"행정국": "행정국"})
    (one,) = [invoice for invoice in stored_invoices(engine, NOVEMBER) if invoice.kind == "department"]
    assert (one.unit.id, one.unit.name, one.metered_nano_krw) == ("총무과", "총무과", ledger(engine))
