"""A hard budget refuses before anything is sent, says whose it is, and is never overspent."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openai import RateLimitError

from billing.budgets import Budget, Every, Measure, Scope
from billing.money import NANO, won
from billing.store import budget_status, check_accounts, end_budget, open_engine, set_budget
from tests.journeys.test_media import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.journeys.conftest import Gateway

QUESTION: Any = [{"role": "user", "content": "도로 점용 허가 절차를 두 문장으로 설명해 주세요."}]


@pytest.fixture
def budget(gateway: Gateway) -> Iterator[Callable[..., None]]:
    """Set a monthly budget, in won unless said otherwise; it is ended with the test."""
    engine = open_engine(gateway.settings.load_config().database_url)
    made: list[str] = []

    def set_one(scope: Scope, limit: int, measure: Measure = Measure.WON) -> None:
        now = datetime.now(UTC)
        made.append(f"{scope.id}-{now.timestamp()}")
        amount = limit * NANO if measure is Measure.WON else limit
        one = Budget(made[-1], scope, Every.MONTH, amount, measure=measure)
        set_budget(engine, one, now=now, by="test", reason="test")

    yield set_one
    for one in made:
        end_budget(engine, one, now=datetime.now(UTC), by="test", reason="over")
    engine.dispose()


def test_an_exhausted_budget_is_refused_with_whose_it_is_and_what_to_do(
    gateway: Gateway, budget: Callable[..., None]
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


def test_another_department_is_not_concerned(gateway: Gateway, budget: Callable[..., None]) -> None:
    budget(Scope("unit", "hr"), 0)
    with gateway.client("p1") as client:
        assert client.chat.completions.create(model="sim-large", messages=QUESTION).choices


def test_a_bureau_is_never_overspent_by_concurrent_requests(
    gateway: Gateway, budget: Callable[..., None]
) -> None:
    engine = open_engine(gateway.settings.load_config().database_url)
    budget(Scope("unit", "admin"), 10**6)
    before = budget_status(engine, datetime.now(UTC))[0].spent
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
    gateway.until_written()
    (status,) = budget_status(engine, datetime.now(UTC))
    assert any(served)
    assert status.held == 0
    assert status.left >= 0
    assert check_accounts(engine) == []
    engine.dispose()


# --- whoever asks, by whatever surface, is refused and told why --------------------------------------

SURFACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "sim-large", "messages": QUESTION}),
    "chat stream": ("/v1/chat/completions", {"model": "sim-large", "messages": QUESTION, "stream": True}),
    "responses": ("/v1/responses", {"model": "sim-large", "input": "도로 점용"}),
    "responses stream": ("/v1/responses", {"model": "sim-large", "input": "도로 점용", "stream": True}),
    "messages": ("/v1/messages", {"model": "sim-large", "messages": QUESTION, "max_tokens": 10}),
    "messages stream": (
        "/v1/messages",
        {"model": "sim-large", "messages": QUESTION, "max_tokens": 10, "stream": True},
    ),
    "embeddings": ("/v1/embeddings", {"model": "sim-embedding", "input": "도로 점용"}),
    "images": ("/v1/images/generations", {"model": "sim-image", "prompt": "해치"}),
    "speech": ("/v1/audio/speech", {"model": "sim-speech", "input": "안녕하세요", "voice": "alloy"}),
    "video": ("/v1/videos", {"model": "sim-video", "prompt": "해치", "seconds": 4}),
}
FORMS: dict[str, tuple[str, dict[str, str], str]] = {
    "edits": ("/v1/images/edits", {"model": "house-image", "prompt": "해치"}, "image"),
    "transcription": ("/v1/audio/transcriptions", {"model": "house-transcription"}, "file"),
}


def ask(gateway: Gateway, surface: str, who: str = "p2") -> httpx.Response:
    if surface in SURFACES:
        path, body = SURFACES[surface]
        return gateway.post(body, who, path=path)
    path, fields, name = FORMS[surface]
    headers = {"authorization": f"Bearer {gateway.keys[who]}"}
    files = {name: ("x.wav", recording(1.0), "audio/wav")}
    return httpx.post(f"{gateway.url}{path}", data=fields, files=files, headers=headers, timeout=20)


@pytest.mark.parametrize("measure", [Measure.TOKENS, Measure.REQUESTS])
@pytest.mark.parametrize("surface", [*SURFACES, *FORMS])
def test_every_surface_refuses_before_anything_is_sent(
    gateway: Gateway, budget: Callable[..., None], surface: str, measure: Measure
) -> None:
    asked = len(gateway.simulator.ledger())
    budget(Scope("unit", "admin"), 0, measure)
    answer = ask(gateway, surface)
    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    error = answer.json()["error"]
    assert error["code"] == "budget_exhausted"
    assert (error["scope"], error["scope_id"], error["measure"]) == ("unit", "admin", measure)
    assert (error[f"left_{measure}"], int(error[f"needed_{measure}"]) > 0) == ("0", True)
    assert error["resets_at"].endswith("-01T00:00:00+09:00")
    assert error["contact"] == "행정국 서무팀 02-2133-2000"
    assert "행정국 서무팀 02-2133-2000" in error["message"]
    assert len(gateway.simulator.ledger()) == asked


def test_whom_to_ask_is_the_nearest_contact_above_the_budget(
    gateway: Gateway, budget: Callable[..., None]
) -> None:
    budget(Scope("unit", "seoul"), 0)
    assert ask(gateway, "chat").json()["error"]["contact"] == "재무과 02-2133-1000"


def test_requests_are_counted_one_by_one(gateway: Gateway, budget: Callable[..., None]) -> None:
    gateway.issue("counted", service="세는 봇", unit_code="general")
    gateway.wait_for_key("counted")
    key_id = gateway.rows("SELECT id FROM api_key WHERE label = 'counted'")[0]["id"]
    budget(Scope("key", key_id), 2, Measure.REQUESTS)
    assert [ask(gateway, "chat", "counted").status_code for _ in range(4)] == [200, 200, 429, 429]


# --- every request has a bound -----------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["chat", "chat stream", "responses"])
def test_an_answer_without_a_limit_gets_the_models(gateway: Gateway, surface: str) -> None:
    answer = ask(gateway, surface)
    (charge,) = gateway.charges(answer.headers["x-request-id"])
    sent = next(
        json.loads(row["received"])
        for row in gateway.simulator.ledger()
        if row["kind"] == "asked" and row["attempt_id"] == charge["attempt_id"]
    )
    assert sent["max_completion_tokens"] == 4000, "the model's, which is below the default of 4096"
    (dispatch,) = gateway.rows("SELECT * FROM ledger_dispatch WHERE attempt_id = :a", a=charge["attempt_id"])
    assert dispatch["max_output_tokens"] == 4000
    assert charge["amount_nano_krw"] <= dispatch["hold_nano_krw"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "unpriced", "messages": QUESTION}),
        ("/v1/images/generations", {"model": "unpriced-image", "prompt": "해치"}),
    ],
)
def test_without_a_price_there_is_no_service(gateway: Gateway, path: str, body: Any) -> None:
    asked = times_asked(gateway)
    answer = gateway.post(body, path=path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_price")
    assert times_asked(gateway) == asked


# --- what an answer cost, and what is left -----------------------------------------------------------


def test_a_whole_answer_says_what_it_cost_and_what_is_left(
    gateway: Gateway, budget: Callable[..., None]
) -> None:
    budget(Scope("unit", "seoul"), 10**6)
    budget(Scope("person", "p2"), 10**5)
    answer = ask(gateway, "chat")
    (charge,) = gateway.charges(answer.headers["x-request-id"])
    assert Decimal(answer.headers["x-haechi-cost-krw"]) == won(charge["amount_nano_krw"])
    assert Decimal(answer.headers["x-haechi-budget-remaining-krw"]) == left(gateway, "p2")


@pytest.mark.parametrize("surface", ["chat stream", "responses stream", "messages stream"])
def test_a_stream_says_it_in_a_comment_before_its_end(
    gateway: Gateway, budget: Callable[..., None], surface: str
) -> None:
    budget(Scope("person", "p2"), 10**5)
    answer = ask(gateway, surface)
    (charge,) = gateway.charges(answer.headers["x-request-id"])
    before, _, rest = answer.text.partition("\n\n: x-haechi-cost-krw=")
    comment, _, end = rest.partition("\n\n")
    cost, _, remaining = comment.partition(" x-haechi-budget-remaining-krw=")
    assert Decimal(cost) == won(charge["amount_nano_krw"])
    assert Decimal(remaining) == left(gateway, "p2")
    assert "data: " in before
    assert end.startswith(("data: ", "event: "))


def test_without_a_budget_only_the_cost_is_told(gateway: Gateway) -> None:
    answer = ask(gateway, "chat stream")
    assert "\n\n: x-haechi-cost-krw=" in answer.text
    assert "x-haechi-budget-remaining-krw" not in answer.text


def left(gateway: Gateway, person: str) -> Decimal:
    engine = open_engine(gateway.settings.load_config().database_url)
    statuses = budget_status(engine, datetime.now(UTC))
    engine.dispose()
    return next(won(status.left) for status in statuses if status.budget.scope == Scope("person", person))


# --- a row that the database does not take -----------------------------------------------------------


@pytest.fixture(params=["ledger_dispatch", "ledger_charge"])
def refusing(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[str]:
    """Let the database refuse the rows of one model, as it refuses a value that it cannot hold."""
    engine = open_engine(gateway.settings.load_config().database_url)
    trigger = (
        f"CREATE TRIGGER refusing BEFORE INSERT ON {request.param} WHEN NEW.model_id = 'sim-second' "
        "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(trigger)
    yield request.param
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refusing")
    engine.dispose()


@pytest.mark.parametrize("stream", [False, True])
def test_a_row_that_is_refused_is_an_error_of_its_own(gateway: Gateway, refusing: str, stream: bool) -> None:
    gateway.post({"model": "sim-second", "messages": QUESTION})  # acknowledged before anybody knows, and kept
    gateway.until_written()  # from now on everybody waits for the database
    asked = times_asked(gateway)
    answer = gateway.post({"model": "sim-second", "messages": QUESTION, "stream": stream})
    if stream and refusing == "ledger_charge":  # it was being sent when its charge was refused
        assert '"record_refused"' in answer.text
        assert "[DONE]" not in answer.text
    else:
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "record_refused"
        assert answer.headers["x-should-retry"] == "false"
    assert times_asked(gateway) - asked == (refusing == "ledger_charge")
    open_attempts = gateway.rows(
        "SELECT attempt_id FROM ledger_dispatch WHERE request_id = :r", r=answer.headers["x-request-id"]
    )
    assert len(open_attempts) == (refusing == "ledger_charge"), "what was sent is adopted and charged later"
    assert ask(gateway, "chat").status_code == 200


def times_asked(gateway: Gateway) -> int:
    return sum(row["kind"] == "asked" for row in gateway.simulator.ledger())
