"""A hard budget refuses before anything is sent, says whose it is, and is never overspent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from openai import RateLimitError

from billing.budgets import Budget, Every, Scope
from billing.money import NANO
from billing.store import budget_status, check_accounts, end_budget, open_engine, set_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.journeys.conftest import Gateway

QUESTION = [{"role": "user", "content": "도로 점용 허가 절차를 두 문장으로 설명해 주세요."}]


@pytest.fixture
def budget(gateway: Gateway) -> Iterator[Callable[[Scope, int], None]]:
    """Set a monthly budget in won; it is ended with the test."""
    engine = open_engine(gateway.settings.load_config().database_url)
    made: list[str] = []

    def set_one(scope: Scope, won: int) -> None:
        now = datetime.now(UTC)
        made.append(f"{scope.id}-{now.timestamp()}")
        set_budget(
            engine, Budget(made[-1], scope, Every.MONTH, won * NANO), now=now, by="test", reason="test"
        )

    yield set_one
    for one in made:
        end_budget(engine, one, now=datetime.now(UTC), by="test", reason="over")
    engine.dispose()


def test_an_exhausted_budget_is_refused_with_whose_it_is_and_what_to_do(
    gateway: Gateway, budget: Callable[[Scope, int], None]
) -> None:
    budget(Scope("unit", "hr"), 0)
    with gateway.client("p2") as client, pytest.raises(RateLimitError) as refusal:
        client.chat.completions.create(model="sim-large", messages=QUESTION)
    error = refusal.value
    assert error.code == "budget_exhausted"
    assert error.response.headers["x-should-retry"] == "false"
    assert "hr" in error.message
    request_id = error.response.headers["x-request-id"]
    assert gateway.charges(request_id) == []
    assert gateway.rows("SELECT * FROM ledger_dispatch WHERE request_id = :r", r=request_id) == []
    assert len(gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=request_id)) == 1


def test_another_department_is_not_concerned(gateway: Gateway, budget: Callable[[Scope, int], None]) -> None:
    budget(Scope("unit", "hr"), 0)
    with gateway.client("p1") as client:
        assert client.chat.completions.create(model="sim-large", messages=QUESTION).choices


def test_a_bureau_is_never_overspent_by_concurrent_requests(
    gateway: Gateway, budget: Callable[[Scope, int], None]
) -> None:
    engine = open_engine(gateway.settings.load_config().database_url)
    budget(Scope("unit", "admin"), 10**6)
    before = budget_status(engine, datetime.now(UTC))[0].spent_nano_krw
    room = 200  # won: a handful of holds of at most 4,000 tokens
    budget(Scope("unit", "admin"), before // NANO + room)

    def ask(_: int) -> bool:
        with gateway.client("p1") as client:
            try:
                client.chat.completions.create(model="sim-large", messages=QUESTION, max_tokens=2000)
            except RateLimitError:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(ask, range(24)))
    (status,) = budget_status(engine, datetime.now(UTC))
    assert any(served)
    assert status.held_nano_krw == 0
    assert status.left_nano_krw >= 0
    assert check_accounts(engine) == []
    engine.dispose()
