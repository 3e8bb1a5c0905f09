"""GET /api/me/usage: one's own figures to the nano-won, and nobody else's."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from billing.budgets import Budget, Every, Measure, Scope
from billing.money import NANO
from billing.store import end_budget, open_engine, set_budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Gateway

QUESTION = [{"role": "user", "content": "도로 점용 허가 절차를 두 문장으로 설명해 주세요."}]


def usage(gateway: Gateway, who: str = "p1", **parameters: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {gateway.keys[who]}"}
    return httpx.get(f"{gateway.url}/api/me/usage", params=parameters, headers=headers, timeout=20)


def ask(gateway: Gateway, who: str = "p1", model: str = "sim-large") -> Decimal:
    answer = gateway.post({"model": model, "messages": QUESTION}, who)
    assert answer.status_code == 200
    gateway.until_written()
    return Decimal(answer.headers["x-haechi-cost-krw"])


def test_what_was_just_paid_for_is_shown_to_the_last_digit(gateway: Gateway) -> None:
    before = usage(gateway).json()
    cost = ask(gateway) + ask(gateway, model="sim-second")
    after = usage(gateway).json()
    assert Decimal(after["total"]["cost_krw"]) - Decimal(before["total"]["cost_krw"]) == cost
    assert after["total"]["requests"] - before["total"]["requests"] == 2
    assert {row["model"] for row in after["by_model"]} >= {"sim-large", "sim-second"}
    assert sum(Decimal(row["cost_krw"]) for row in after["data"]) == Decimal(after["total"]["cost_krw"])
    assert after["total"]["tokens"]["input"] > 0


def test_nobody_sees_what_others_use(gateway: Gateway) -> None:
    ask(gateway, "p1")
    mine = usage(gateway, "p2").json()
    ask(gateway, "p1")
    assert usage(gateway, "p2").json()["total"] == mine["total"]
    assert mine["person"] == "p2"


def test_a_service_key_sees_its_service(gateway: Gateway) -> None:
    gateway.issue("bot", service="민원봇", unit_code="general")
    gateway.wait_for_key("bot")
    ask(gateway, "bot")
    seen = usage(gateway, "bot").json()
    assert (seen["person"], seen["service"]) == (None, "민원봇")
    assert seen["total"]["requests"] == 1


def test_rows_come_in_pages(gateway: Gateway) -> None:
    ask(gateway)
    ask(gateway, model="sim-second")
    first = usage(gateway, limit=1).json()
    assert (len(first["data"]), first["has_more"], first["next_offset"]) == (1, True, 1)
    second = usage(gateway, limit=1, offset=1).json()
    assert second["data"][0] != first["data"][0]


def test_a_day_without_requests_is_empty(gateway: Gateway) -> None:
    seen = usage(gateway, **{"from": "2026-01-01", "to": "2026-01-31"}).json()
    assert (seen["total"]["requests"], seen["data"], seen["has_more"]) == (0, [], False)
    assert seen["period"] == {"first_day": "2026-01-01", "last_day": "2026-01-31"}


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"month": "11월"}, "month"),
        ({"month": "2026-11", "from": "2026-11-01"}, "month"),
        ({"from": "어제"}, "from"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "to"),
        ({"from": "2024-01-01", "to": "2026-11-01"}, "to"),
    ],
)
def test_a_period_that_is_none_is_named(gateway: Gateway, parameters: dict[str, str], param: str) -> None:
    answer = usage(gateway, **parameters)
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == ("invalid_period", param)


def test_without_a_key_nothing_is_shown(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/api/me/usage", timeout=20).status_code == 401


def test_budgets_of_every_scope_over_the_caller_are_shown(gateway: Gateway) -> None:
    engine = open_engine(gateway.settings.load_config().database_url)
    now = datetime.now(UTC)
    budgets = [
        Budget("u", Scope("unit", "seoul"), Every.YEAR, 10**6 * NANO),
        Budget("p", Scope("person", "p1"), Every.MONTH, 10**9, measure=Measure.TOKENS),
        Budget("o", Scope("unit", "hr"), Every.MONTH, 10**6 * NANO),
    ]
    for budget in budgets:
        set_budget(engine, budget, now=now, by="test", reason="test")
    ask(gateway)
    shown = {(row["scope"], row["scope_id"]): row for row in usage(gateway).json()["budgets"]}
    for budget in budgets:
        end_budget(engine, budget.id, now=now, by="test", reason="over")
    engine.dispose()
    assert shown.keys() == {("unit", "seoul"), ("person", "p1")}
    tokens = shown["person", "p1"]
    assert (tokens["measure"], tokens["limit"], tokens["held"]) == ("tokens", str(10**9), "0")
    assert int(tokens["left"]) == 10**9 - int(tokens["spent"])
    assert shown["unit", "seoul"]["resets_at"].endswith("-12-31T15:00:00Z")


def test_the_answer_is_described(gateway: Gateway) -> None:
    document = httpx.get(f"{gateway.url}/openapi.json", timeout=20).json()
    operation = document["paths"]["/api/me/usage"]["get"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/MyUsage")
    assert {parameter["name"] for parameter in operation["parameters"]} == {
        *("month", "from", "to", "limit", "offset")
    }
    assert "BudgetLeft" in json.dumps(document["components"]["schemas"])


@contextmanager
def without(gateway: Gateway, table: str) -> Iterator[None]:
    engine = open_engine(gateway.settings.load_config().database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO gone")
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE gone RENAME TO {table}")
        engine.dispose()


def test_a_database_that_cannot_be_read_is_not_the_callers_fault(gateway: Gateway) -> None:
    with without(gateway, "usage_person_day"):
        answer = usage(gateway)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
    assert "usage_person_day" not in answer.text


def test_a_defect_is_answered_in_the_callers_envelope(gateway: Gateway) -> None:
    headers = {"authorization": f"Bearer {gateway.keys['p1']}"}
    with without(gateway, "video_job"):
        answer = httpx.get(f"{gateway.url}/v1/videos", headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "video_job" not in answer.text
