"""Fallbacks, breakers, room and turns, side calls, the cache: each seen from outside, each judged by the books."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.faults.clients import RawClient
from tests.faults.conftest import serving_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.server import Addresses, FaultServer
    from tests.journeys.conftest import Gateway

MORE = """
[side_calls]
model = "cheap"

[cache]
enabled = true
ttl_s = 1.0

[[providers]]
name = "inside"
base_url = "FAULTS/v1"
zone = "in_house"

[[providers]]
name = "broken-inside"
base_url = "http://127.0.0.1:9/v1"
zone = "in_house"
"""


def model(id_: str, *deployments: str, **more: Any) -> str:
    extra = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    places = ", ".join(f"{{ {d} }}" for d in deployments)
    return f'\n[[models]]\nid = "{id_}"\n{extra}deployments = [{places}]\n'


def at(provider: str, fault: str, id_: str, more: str = "", price: str = "any") -> str:
    return f'provider = "{provider}", upstream_model = "{fault}", price_key = "{price}", id = "{id_}"{more}'


MODELS = (
    model("cheap", at("faulty", "fine", "cheap-1"))
    + model("plain", at("faulty", "fine", "plain-1"))
    + model("falls-back", at("faulty", "internal", "falls-1"), fallbacks=["cheap"])
    + model("falls-inside", at("faulty", "internal", "falls-inside-1"), fallbacks=["house"])
    + model("house", at("inside", "fine", "house-1"))
    + model("house-falls-out", at("broken-inside", "fine", "out-1"), fallbacks=["plain"])
    + model("house-down", at("broken-inside", "fine", "house-down-1"), fallbacks=["house", "plain"])
    + model("trips", at("faulty", "internal", "trips-1"), at("faulty", "fine", "trips-2", price="dear"))
    + model("recovers", at("faulty", "flaky", "recovers-1"))
    + model("narrow", at("faulty", "slow-start", "narrow-1", ", max_concurrency = 1"))
)


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, faults: FaultServer, addresses: Addresses
) -> Iterator[Gateway]:
    more = MORE.replace("FAULTS", faults.url) + MODELS
    limits = "drain_s = 1.0\nqueue_length = 3\nqueue_s = 10.0\n"
    with serving_faults(
        tmp_path_factory.mktemp("failover"), faults, addresses, limits=limits, more=more
    ) as made:
        yield made


def ask(
    gateway: Gateway, model: str, who: str = "p1", text: str | None = None, **more: Any
) -> httpx.Response:
    text = text or f"도로 점용 허가 절차를 설명해 주세요. {time.monotonic_ns() % 9973}"
    headers = more.pop("headers", {})
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return gateway.post(body, who, headers=headers)


# --- fallbacks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_answers_under_its_own_name_and_both_are_charged(gateway: Gateway, stream: bool) -> None:
    response = ask(gateway, "falls-back", stream=stream)

    assert response.status_code == 200, response.text
    assert response.headers["x-haechi-model"] == "cheap"
    assert '"model":"cheap"' in response.text.replace(" ", "")
    charges = gateway.charges(response.headers["x-request-id"])
    assert [c["model_id"] for c in charges][-1] == "cheap"
    assert {c["model_id"] for c in charges} == {
        "falls-back",
        "cheap",
    } or stream  # the breaker may be open by now
    assert charges[-1]["outcome"] == "success"


def test_a_fallback_that_is_not_open_to_the_caller_does_not_answer(gateway: Gateway) -> None:
    gateway.issue("narrowly", person_id="p1", allowed_models=frozenset({"falls-back"}))
    gateway.wait_for_key("narrowly")

    assert ask(gateway, "falls-back", "narrowly").status_code in (502, 503)


def test_a_fallback_into_the_house_gets_its_own_verdict(gateway: Gateway) -> None:
    """A phone number is masked for the outside and allowed inside: each attempt was sent what its zone allows."""
    response = ask(gateway, "falls-inside", text="연락처는 010-1234-5678 입니다. 회신해 주세요.")

    assert response.status_code == 200, response.text
    assert response.headers["x-haechi-model"] == "house"
    assert response.headers["x-haechi-zone"] == "in_house"
    assert response.headers["x-haechi-verdict"] == "allow"
    request_id = response.headers["x-request-id"]
    receipts = gateway.rows(
        "SELECT * FROM receipt WHERE request_id LIKE :r ORDER BY request_id", r=f"{request_id}%"
    )
    assert [(r["action"], r["model_id"]) for r in receipts] == [("mask", "falls-inside"), ("allow", "house")]


def test_a_fallback_out_of_the_house_is_judged_for_the_outside(gateway: Gateway, faults: FaultServer) -> None:
    """What may be said inside and not outside stays unanswered, however many fallbacks are configured."""
    harmless = ask(gateway, "house-falls-out")
    before = len(faults.seen)
    secret = ask(gateway, "house-falls-out", text="[비공개]\n조직 개편 검토안입니다. 요약해 주세요.")

    assert harmless.headers["x-haechi-model"] == "plain"
    assert secret.status_code in (502, 503)
    assert len(faults.seen) == before


def test_what_may_not_leave_falls_back_inside_only(gateway: Gateway) -> None:
    response = ask(gateway, "house-down", text="[비공개]\n조직 개편 검토안입니다. 요약해 주세요.")

    assert response.headers["x-haechi-model"] == "house"
    charges = gateway.charges(response.headers["x-request-id"])
    assert {c["zone"] for c in charges} == {"in_house"}


# --- the breaker -----------------------------------------------------------------------------------


def health(gateway: Gateway, model: str) -> dict[str, Any]:
    report = httpx.get(f"{gateway.url}/health/models").json()
    return next(m for m in report["models"] if m["id"] == model)


def test_a_deployment_that_keeps_failing_is_left_alone_and_shown(
    gateway: Gateway, faults: FaultServer
) -> None:
    for _ in range(5):
        assert ask(gateway, "trips").status_code == 200
    before = len(faults.seen)
    response = ask(gateway, "trips")

    assert [entry["fault"] for entry in faults.seen[before:]] == ["fine"]
    assert "x-haechi-attempts" not in response.headers
    shown = health(gateway, "trips")
    assert shown["status"] == "degraded"
    assert [d["state"] for d in shown["deployments"]] == ["open", "closed"]
    assert shown["deployments"][0]["last_failure"] == "UpstreamUnavailable"
    assert shown["deployments"][0]["next_probe_in_s"] > 0
    metrics = httpx.get(f"{gateway.url}/metrics").text
    assert 'haechi_deployment_open{deployment="trips-1"} 1.0' in metrics
    assert 'haechi_breaker_opened_total{deployment="trips-1"}' in metrics


def test_the_only_deployment_is_asked_again_soon(gateway: Gateway) -> None:
    """`down-model` refuses connections: five failures open it, and after breaker_alone_s it is probed."""
    codes = [ask(gateway, "down-model").json()["error"]["code"] for _ in range(4)]
    resting = ask(gateway, "down-model")
    assert codes[0] == "upstream_unavailable"
    assert resting.json()["error"]["code"] == "model_resting"
    assert resting.status_code == 503
    assert 1 <= int(resting.headers["retry-after"]) <= 2
    time.sleep(2.1)
    assert ask(gateway, "down-model").json()["error"]["code"] == "upstream_unavailable"


def test_a_refusal_without_any_attempt_still_leaves_its_receipt(gateway: Gateway) -> None:
    for _ in range(3):
        response = ask(gateway, "down-model")
    assert response.json()["error"]["code"] == "model_resting"
    request_id = response.headers["x-request-id"]
    assert [
        r["attempts"] for r in gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=request_id)
    ] == [0]
    assert gateway.rows("SELECT * FROM ledger_dispatch WHERE request_id = :r", r=request_id) == []


# --- room ------------------------------------------------------------------------------------------


def test_beyond_the_queue_requests_are_turned_away_at_once_and_no_department_starves(
    gateway: Gateway,
) -> None:
    """One place, three in the queue: p1 sends nine at once, p2 (another department) one after them, and is served."""

    def timed(who: str) -> tuple[int, float, httpx.Response]:
        started = time.monotonic()
        response = ask(gateway, "narrow", who)
        return response.status_code, time.monotonic() - started, response

    with ThreadPoolExecutor(10) as pool:
        crowd = [pool.submit(timed, "p1") for _ in range(9)]
        time.sleep(0.4)
        other = pool.submit(timed, "p2")
        results = [future.result() for future in crowd]
        status, waited, _ = other.result()

    refused = [(took, response) for code, took, response in results if code == 503]
    served = sum(code == 200 for code, _, _ in results)
    assert status == 200
    assert waited < 3.0  # the one under way, at most one more, and its own 0.8 s
    assert served + len(refused) == 9
    assert served in (3, 4)
    for took, response in refused:
        assert response.json()["error"]["code"] == "overloaded"
        assert int(response.headers["retry-after"]) >= 1
        assert took < 2.0
    assert health(gateway, "narrow")["deployments"][0]["in_flight"] == 0
    assert health(gateway, "narrow")["deployments"][0]["queued"] == 0


def test_a_client_that_leaves_the_queue_is_not_sent(gateway: Gateway, faults: FaultServer) -> None:
    before = len(faults.seen)
    with RawClient(gateway) as first:
        first.ask("narrow", stream=False, cache_control="no-cache")
        while len(faults.seen) == before:
            time.sleep(0.02)
        with RawClient(gateway) as second:
            second.ask("narrow", stream=False, cache_control="no-cache")
            time.sleep(0.4)
        first.read_until(b'"usage"')
    time.sleep(0.3)
    assert len(faults.seen) == before + 1
    assert health(gateway, "narrow")["deployments"][0]["in_flight"] == 0


# --- side calls ------------------------------------------------------------------------------------


def test_a_side_call_goes_to_the_cheap_model_and_is_labelled(gateway: Gateway) -> None:
    response = ask(gateway, "plain", headers={"X-OpenWebUI-Task": "title_generation"})
    charge = gateway.charges(response.headers["x-request-id"])[0]

    assert response.json()["model"] == "cheap"
    assert response.headers["x-haechi-task"] == "title_generation"
    assert (charge["label"], charge["model_id"]) == ("title_generation", "cheap")


def test_side_calls_are_a_line_of_their_own_in_reports(gateway: Gateway) -> None:
    from billing.store import open_engine
    from billing.store.reports import usage_report

    ask(gateway, "plain", headers={"X-OpenWebUI-Task": "tags_generation"})
    month = gateway.rows("SELECT max(billing_period) AS month FROM ledger_charge")[0]["month"]
    engine = open_engine(gateway.settings.load_config().database_url)
    rows = {row.key: row for row in usage_report(engine, "task", month=month)}
    engine.dispose()

    assert rows["tags_generation"].requests == 1
    assert rows["tags_generation"].cost_nano_krw > 0
    assert "" in rows


@pytest.mark.parametrize("task", ["", "{{TASK}}", "주민번호", "x" * 500])
def test_what_is_no_task_is_a_persons_request(gateway: Gateway, task: str) -> None:
    response = ask(gateway, "plain", headers={"X-OpenWebUI-Task": task.encode()})
    charge = gateway.charges(response.headers["x-request-id"])[0]

    assert (charge["label"], charge["model_id"]) == ("", "plain")


# --- the cache -------------------------------------------------------------------------------------


def test_the_same_question_of_a_department_is_answered_from_the_cache_for_nothing(
    gateway: Gateway, faults: FaultServer
) -> None:
    text = "같은 질문입니다. 연락처 010-1234-5678"
    first = ask(gateway, "plain", text=text)
    before = len(faults.seen)
    second = ask(gateway, "plain", text=text)
    streamed = ask(gateway, "plain", text=text, stream=True)

    assert len(faults.seen) == before
    assert second.headers["x-haechi-cache"] == "hit"
    assert second.headers["x-haechi-cost-krw"] == "0"
    assert (
        second.json()["choices"][0]["message"]["content"] == first.json()["choices"][0]["message"]["content"]
    )
    assert streamed.text.rstrip().endswith("data: [DONE]")
    assert "안녕하세요" in "".join(
        choice["delta"].get("content") or ""
        for line in streamed.text.splitlines()
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
    )
    rows = gateway.rows("SELECT * FROM ledger_charge WHERE request_id = :r", r=second.headers["x-request-id"])
    assert [(r["kind"], r["amount_nano_krw"], r["department_id"]) for r in rows] == [
        ("cache_hit", 0, "general")
    ]
    receipts = gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=second.headers["x-request-id"])
    assert [r["attempts"] for r in receipts] == [0]


def test_the_cache_never_crosses_a_department_nor_outlives_its_time(gateway: Gateway) -> None:
    text = "부서마다 따로 답합니다."
    assert "x-haechi-cache" not in ask(gateway, "plain", "p1", text).headers
    assert "x-haechi-cache" not in ask(gateway, "plain", "p2", text).headers
    assert ask(gateway, "plain", "p1", text).headers["x-haechi-cache"] == "hit"
    assert "x-haechi-cache" not in ask(gateway, "plain", "p1", text, temperature=0.1).headers
    fresh = ask(gateway, "plain", "p1", text, headers={"cache-control": "no-cache"})
    assert "x-haechi-cache" not in fresh.headers
    time.sleep(1.1)
    assert "x-haechi-cache" not in ask(gateway, "plain", "p1", text).headers


def test_the_ledger_verifies_with_hits_retries_and_fallbacks_in_it(gateway: Gateway) -> None:
    from billing.store import open_engine, verify
    from gateway.keyring import Purpose

    gateway.until_written()
    engine = open_engine(gateway.settings.load_config().database_url)
    report = verify(engine, gateway.settings.keyring().current(Purpose.LEDGER_CHAIN).key)
    engine.dispose()
    assert report.ok, report.problems[:3]
    assert report.open == 0
