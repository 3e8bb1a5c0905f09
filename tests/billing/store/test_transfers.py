from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from billing.budgets import Budget, BudgetExceeded, Every, Measure, Scope
from billing.ledger import record_of
from billing.store import LedgerSink, budget_status, end_budget, set_budget
from billing.store.transfers import Order, TransferRefused, history, transfer, transfers_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from billing.store.budget_admin import BudgetChange
    from tests.billing.conftest import Maker

GIVER, TAKER = Scope("unit", "총무과"), Scope("unit", "인사과")


def limit(engine: Engine, make: Maker, scope: Scope, nano_krw: int, every: Every = Every.MONTH) -> str:
    budget = Budget(make.ids.next(make.now), scope, every, nano_krw)
    set_budget(engine, budget, now=make.tick(), by="finance", reason="배정")
    return budget.id


@pytest.fixture
def both(engine: Engine, make: Maker) -> tuple[str, str]:
    return limit(engine, make, GIVER, 1000), limit(engine, make, TAKER, 100)


def move(engine: Engine, make: Maker, ids: tuple[str, str], amount: int, **more: Any) -> None:
    transfer(engine, Order(*ids, amount), **({"now": make.tick(), "by": "finance", "reason": "전용"} | more))


def limits(engine: Engine, make: Maker) -> dict[str, int]:
    return {status.budget.scope.id: status.limit for status in budget_status(engine, make.now)}


def test_a_transfer_lowers_one_limit_and_raises_the_other_until_the_period_ends(
    engine: Engine, make: Maker, both: tuple[str, str]
) -> None:
    move(engine, make, both, 400)
    assert limits(engine, make) == {"총무과": 600, "인사과": 500}
    make.tick(timedelta(days=30))
    assert limits(engine, make) == {"총무과": 1000, "인사과": 100}


def test_writers_hold_to_the_limits_after_a_transfer(
    engine: Engine, sink: LedgerSink, make: Maker, both: tuple[str, str]
) -> None:
    other = make.attribution(person_id="p9", department_id="인사과", unit_path=("서울특별시", "인사과"))
    assert isinstance(sink.write([[record_of(make.dispatch(other, hold_nano_krw=101))]])[0], BudgetExceeded)
    move(engine, make, both, 400)
    assert sink.write([[record_of(make.dispatch(other, hold_nano_krw=500))]]) == [None]
    assert isinstance(sink.write([[record_of(make.dispatch(hold_nano_krw=601))]])[0], BudgetExceeded)
    assert sink.write([[record_of(make.dispatch(hold_nano_krw=600))]]) == [None]


def test_what_is_spent_or_held_cannot_be_given(
    engine: Engine, sink: LedgerSink, make: Maker, both: tuple[str, str]
) -> None:
    sink.write([[record_of(make.dispatch(hold_nano_krw=700))]])
    with pytest.raises(TransferRefused, match="left"):
        move(engine, make, both, 301)
    move(engine, make, both, 300)
    assert limits(engine, make) == {"총무과": 700, "인사과": 400}
    with pytest.raises(TransferRefused):
        move(engine, make, both, 1)


def test_a_giver_without_an_account_yet_is_judged_by_the_ledger(
    engine: Engine, sink: LedgerSink, make: Maker
) -> None:
    sink.write([[record_of(make.dispatch(hold_nano_krw=700))]])
    ids = limit(engine, make, GIVER, 1000), limit(engine, make, TAKER, 100)
    with pytest.raises(TransferRefused):
        move(engine, make, ids, 301)


@pytest.mark.parametrize(
    ("amount", "change"), [(0, {}), (-1, {}), (1, {"reason": " "}), (9 * 10**18, {})], ids=str
)
def test_what_makes_no_sense_is_refused_and_moves_nothing(
    engine: Engine, make: Maker, both: tuple[str, str], amount: int, change: dict[str, Any]
) -> None:
    with pytest.raises(TransferRefused):
        move(engine, make, both, amount, **change)
    assert limits(engine, make) == {"총무과": 1000, "인사과": 100}


def test_a_budget_gives_nothing_to_itself_or_to_one_that_has_ended(
    engine: Engine, make: Maker, both: tuple[str, str]
) -> None:
    with pytest.raises(TransferRefused):
        move(engine, make, (both[0], both[0]), 1)
    end_budget(engine, both[1], now=make.tick(), by="finance", reason="끝")
    with pytest.raises(TransferRefused, match="in force"):
        move(engine, make, both, 1)


def test_a_year_can_give_to_a_month(engine: Engine, make: Maker) -> None:
    ids = limit(engine, make, GIVER, 1000, Every.YEAR), limit(engine, make, TAKER, 100)
    move(engine, make, ids, 400)
    make.tick(timedelta(days=30))
    assert limits(engine, make) == {"총무과": 600, "인사과": 100}


def test_the_trail_is_written_with_the_transfer_or_not_at_all(
    engine: Engine, make: Maker, both: tuple[str, str]
) -> None:
    seen: list[BudgetChange] = []
    move(engine, make, both, 400, trail=lambda _connection, change: seen.append(change))
    (change,) = seen
    assert (change.action, change.subject, change.by, change.reason) == (
        "budget.transfer",
        "unit:총무과",
        "finance",
        "전용",
    )
    assert (change.before["giver_limit_krw"], change.after["giver_limit_krw"]) == ("0.000001", "0.0000006")
    assert (change.after["taker"], change.after["taker_limit_krw"]) == ("unit:인사과", "0.0000005")

    def full(_connection: object, _change: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        move(engine, make, both, 1, trail=full)
    assert limits(engine, make) == {"총무과": 600, "인사과": 500}


def test_transfers_are_never_changed(engine: Engine, make: Maker, both: tuple[str, str]) -> None:
    move(engine, make, both, 400)
    with pytest.raises(DatabaseError, match="insert-only"), engine.begin() as connection:
        connection.execute(text("UPDATE budget_transfer SET amount_nano_krw = 1"))
    assert [row["amount_nano_krw"] for row in transfers_of(engine, both[0])] == [400]


def test_the_history_shows_who_when_why_before_and_after(engine: Engine, make: Maker) -> None:
    first = limit(engine, make, GIVER, 1000)
    ids = limit(engine, make, GIVER, 2000), limit(engine, make, TAKER, 100)
    move(engine, make, ids, 400)
    move(engine, make, ids, 100, by="deputy")
    end_budget(engine, ids[1], now=make.tick(), by="finance", reason="끝")
    rows = history(engine)
    seen = [(r.action, r.scope.id, r.before, r.after, r.by, r.reason) for r in rows]
    assert seen == [
        ("set", "총무과", None, 1000, "finance", "배정"),
        ("set", "총무과", 1000, 2000, "finance", "배정"),
        ("set", "인사과", None, 100, "finance", "배정"),
        ("take", "인사과", 100, 500, "finance", "전용"),
        ("give", "총무과", 2000, 1600, "finance", "전용"),
        ("take", "인사과", 500, 600, "deputy", "전용"),
        ("give", "총무과", 1600, 1500, "deputy", "전용"),
        ("end", "인사과", 100, None, "finance", "끝"),
    ]
    assert [row.period for row in rows][3:5] == ["2026-11", "2026-11"]
    assert {row.scope for row in history(engine, TAKER)} == {TAKER}
    assert rows[0].budget_id == first


def test_tokens_are_not_given_for_won(engine: Engine, make: Maker, both: tuple[str, str]) -> None:
    tokens = Budget(make.ids.next(make.now), TAKER, Every.MONTH, 100, measure=Measure.TOKENS)
    set_budget(engine, tokens, now=make.tick(), by="finance", reason="배정")
    with pytest.raises(TransferRefused, match="won"):
        move(engine, make, (both[0], tokens.id), 1)
    assert [(row.measure, row.after) for row in history(engine, TAKER)] == [("won", 100), ("tokens", 100)]
