from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from billing.budgets import Budget, Every, Scope
from billing.ledger import record_of
from billing.store import LedgerSink, end_budget, set_budget
from billing.store.notices import (
    Address,
    Notice,
    Watch,
    note,
    read_notices,
    read_watches,
    said,
    set_watch,
    standings,
)
from billing.store.outbox import claim, due, listed, mark_failed, mark_sent, retry
from tests.interleaving import meanwhile

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.billing.conftest import Maker

UNIT = Scope("unit", "총무과")
MAIL, HOOK = Address("email", "kim@seoul.example"), Address("webhook", "finance")


def notice(make: Maker, **changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "id": make.ids.next(make.now),
        "budget_id": "b1",
        "period": "2026-11",
        "occasion": "80",
        "noted_at": make.tick(),
        "document": {"percent": 80, "scope": "총무과"},
    }
    return Notice(**(fields | changes))


def limit(engine: Engine, make: Maker, nano_krw: int, scope: Scope = UNIT, **more: Any) -> str:
    budget = Budget(make.ids.next(make.now), scope, Every.MONTH, nano_krw, **more)
    set_budget(engine, budget, now=make.now, by="test", reason="test")
    return budget.id


# --- how budgets stand ---------------------------------------------------------------------------


def test_a_budget_stands_as_its_account_does(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    budget_id = limit(engine, make, 10**15)
    assert standings(engine, make.now) == [], "nothing was written since it was set"
    dispatch = make.dispatch()
    charge = make.charge(dispatch)
    sink.write([[record_of(dispatch)], [record_of(charge)]])
    (found,) = standings(engine, make.now)
    assert (found.budget_id, found.period, found.spent) == (budget_id, "2026-11", charge.amount_nano_krw)
    assert not found.refused
    make.tick(timedelta(days=30))
    assert standings(engine, make.now) == [], "a new period has spent nothing"


def test_a_refusal_marks_its_own_budget(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    limit(engine, make, 10)
    (refusal,) = sink.write([[record_of(make.dispatch(hold_nano_krw=11))]])
    assert refusal is not None
    key, measure = refusal.account.key, refusal.measure  # type: ignore[attr-defined]
    (found,) = standings(engine, make.now, {(key, measure)})
    assert found.refused
    (found,) = standings(engine, make.now, {(key._replace(scope_id="인사과"), measure)})
    assert not found.refused


def test_an_ended_budget_is_spoken_of_no_more(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    budget_id = limit(engine, make, 10**15)
    sink.write([[record_of(make.dispatch())]])
    assert len(standings(engine, make.now)) == 1
    end_budget(engine, budget_id, now=make.now, by="test", reason="test")
    assert standings(engine, make.now) == []


# --- notices -------------------------------------------------------------------------------------


def test_a_notice_is_written_once_whoever_writes_it(engine: Engine, make: Maker) -> None:
    notices = [notice(make) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda one: note(engine, one, [MAIL, HOOK]), notices))
    assert sorted(written) == [False, False, False, True]
    assert len(read_notices(engine)) == 1
    assert len(due(engine, make.now)) == 2


def test_another_period_and_another_occasion_are_other_notices(engine: Engine, make: Maker) -> None:
    assert note(engine, notice(make), [MAIL])
    assert note(engine, notice(make, occasion="100"), [MAIL, MAIL])
    assert note(engine, notice(make, period="2026-12"), [])
    assert [one.occasion for one in read_notices(engine)] == ["80", "100", "80"]
    assert len(listed(engine)) == 2


def test_what_was_said_is_known_by_budget_and_period(engine: Engine, sink: LedgerSink, make: Maker) -> None:
    budget_id = limit(engine, make, 10**15)
    sink.write([[record_of(make.dispatch())]])
    standing = standings(engine, make.now)
    assert said(engine, standing) == {(budget_id, "2026-11"): set()}
    note(engine, notice(make, budget_id=budget_id), [])
    note(engine, notice(make, budget_id=budget_id, period="2026-10", occasion="50"), [])
    assert said(engine, standing) == {(budget_id, "2026-11"): {"80"}}


def test_a_notice_is_never_changed(engine: Engine, make: Maker) -> None:
    note(engine, notice(make), [])
    with pytest.raises(DatabaseError, match="insert-only"), engine.begin() as connection:
        connection.execute(text("DELETE FROM budget_notice"))


# --- the outbox ----------------------------------------------------------------------------------


def test_one_of_many_sends(engine: Engine, make: Maker) -> None:
    note(engine, notice(make), [MAIL])
    (delivery,) = due(engine, make.now)
    until = make.now + timedelta(minutes=1)
    with ThreadPoolExecutor(4) as pool:
        claims = list(pool.map(lambda _: claim(engine, delivery, until), range(4)))
    assert sorted(claims) == [False, False, False, True]
    assert due(engine, make.now) == []


def test_a_sender_that_dies_leaves_the_delivery_to_the_next(engine: Engine, make: Maker) -> None:
    note(engine, notice(make), [MAIL])
    (delivery,) = due(engine, make.now)
    assert claim(engine, delivery, make.now + timedelta(minutes=1))
    make.tick(timedelta(minutes=2))
    (again,) = due(engine, make.now)
    assert (again.tries, again.address, again.notice.document["scope"]) == (1, MAIL, "총무과")


def test_what_is_sent_is_not_sent_again(engine: Engine, make: Maker) -> None:
    note(engine, notice(make), [MAIL])
    (delivery,) = due(engine, make.now)
    mark_sent(engine, delivery, make.now)
    mark_failed(engine, delivery, "late", make.now)
    assert due(engine, make.now) == []
    assert [one.state for one in listed(engine)] == ["sent"]
    assert retry(engine, make.now) == 0


def test_a_dead_letter_stays_until_somebody_retries_it(engine: Engine, make: Maker) -> None:
    note(engine, notice(make), [MAIL, HOOK])
    first, second = due(engine, make.now)
    mark_failed(engine, first, "smtp 550", None)
    mark_failed(engine, second, "http 500", make.now + timedelta(seconds=30))
    assert [one.failure for one in listed(engine, only="dead")] == ["smtp 550"]
    assert len(listed(engine, only="waiting")) == 1
    assert listed(engine, only="sent") == []
    assert retry(engine, make.now, "another") == 0
    assert retry(engine, make.now, first.notice.id) == 1
    assert [one.address for one in due(engine, make.now)] == [first.address]


# --- who is told ---------------------------------------------------------------------------------


def test_a_watch_is_set_changed_and_taken_back_with_its_trail(engine: Engine, make: Maker) -> None:
    trailed: list[tuple[Any, Any]] = []

    def watch(value: Watch | None) -> None:
        set_watch(
            engine,
            UNIT,
            value,
            now=make.tick(),
            by="finance",
            reason="담당자 변경",
            trail=lambda _, change: trailed.append((change.before, change.after)),
        )

    first = Watch(("kim@seoul.example",), (70, 90), forecast=False)
    watch(first)
    assert read_watches(engine) == {UNIT: first}
    watch(Watch(("lee@seoul.example",)))
    assert read_watches(engine) == {UNIT: Watch(("lee@seoul.example",))}
    watch(None)
    assert read_watches(engine) == {}
    assert trailed[0] == ({}, {"emails": ["kim@seoul.example"], "thresholds": [70, 90], "forecast": False})
    assert trailed[1][0] == trailed[0][1]
    assert trailed[2][1] == {}


def test_of_two_who_say_at_once_who_is_told_both_are_heard(engine: Engine, make: Maker) -> None:
    def watched(email: str) -> None:
        set_watch(engine, UNIT, Watch((email,)), now=make.now, by="finance", reason="시험")

    for statement in count():
        with meanwhile(engine, statement, watched, "lee@seoul.example") as other:
            watched("kim@seoul.example")
        if not other:
            break
        other[0].result()
        (kept,) = read_watches(engine).values()
        assert kept.emails in {("kim@seoul.example",), ("lee@seoul.example",)}
        if statement % 2:  # the first of all, and one that changes what is there
            set_watch(engine, UNIT, None, now=make.now, by="finance", reason="시험")
    assert statement > 2
