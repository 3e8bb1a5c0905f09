"""Requests and tokens a minute, seen by real clients: whose limit, when to come again, in each dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from anthropic import Anthropic
from anthropic import RateLimitError as AnthropicRateLimitError
from openai import RateLimitError

from tests.journeys.conftest import CONFIG, Gateway, install, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Simulator

QUESTION: Any = [{"role": "user", "content": "도로 점용 허가 절차를 두 문장으로 설명해 주세요."}]
LIMITS = """
[[rate_limits.rules]]
name = "직원"
per = ["person"]
departments = ["general"]
requests_per_min = 3

[[rate_limits.rules]]
name = "인사과"
per = ["key"]
departments = ["hr"]
tokens_per_min = 3000

[[rate_limits.rules]]
name = "두 번째 모델"
per = ["key", "model"]
models = ["sim-second"]
requests_per_min = 1
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("limited")
    text = CONFIG.format(simulator=simulator.url, filter="", faulty="http://127.0.0.1:9") + LIMITS
    settings = install(folder, text)
    made = Gateway("", folder, settings, simulator)
    with serving(settings) as made.url:
        yield made


@pytest.fixture
def limited(served: Gateway, request: pytest.FixtureRequest) -> Gateway:
    """Callers of the test's own: `general`, whose requests are limited, and `hr`, whose tokens are."""
    for unit in ("general", "hr"):
        served.issue(unit, service=f"{request.node.name}-{unit}", unit_code=unit)
    for unit in ("general", "hr"):
        served.wait_for_key(unit)
    return served


def test_a_client_learns_its_limit_before_and_when_it_is_reached(limited: Gateway) -> None:
    with limited.client("general") as client:
        for remaining in (2, 1, 0):
            answer = client.chat.completions.with_raw_response.create(model="sim-large", messages=QUESTION)
            assert answer.headers["x-ratelimit-limit-requests"] == "3"
            assert answer.headers["x-ratelimit-remaining-requests"] == str(remaining)
            assert "m" in answer.headers["x-ratelimit-reset-requests"]
            assert "x-ratelimit-limit-tokens" not in answer.headers
        with pytest.raises(RateLimitError) as refusal:
            client.chat.completions.create(model="sim-large", messages=QUESTION)
    error = refusal.value
    assert error.code == "rate_limit_exceeded"
    assert "사용자 service:" in error.message
    assert "person service:" in error.message
    headers = error.response.headers
    assert 1 <= int(headers["retry-after"]) <= 80
    assert headers["x-should-retry"] == "true"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    request_id = headers["x-request-id"]
    assert limited.rows("SELECT * FROM ledger_dispatch WHERE request_id = :r", r=request_id) == []


def test_tokens_of_a_stream_are_counted_at_once_and_corrected_at_its_end(limited: Gateway) -> None:
    with limited.client("hr") as client:
        options: Any = {"model": "sim-large", "messages": QUESTION, "max_tokens": 2000, "stream": True}
        with client.chat.completions.with_streaming_response.create(**options) as stream:
            counted = 3000 - int(stream.headers["x-ratelimit-remaining-tokens"])
            assert counted > 2000
            list(stream.iter_lines())
        whole = client.chat.completions.with_raw_response.create(
            model="sim-large", messages=QUESTION, max_tokens=10
        )
    left = int(whole.headers["x-ratelimit-remaining-tokens"])
    assert 3000 - left < counted
    streamed = limited.charges(stream.headers["x-request-id"])[0]
    assert 3000 - left >= streamed["input"] + streamed["output"]


def test_a_request_above_the_limit_is_not_asked_to_come_again(limited: Gateway) -> None:
    answer = limited.post({"model": "sim-large", "messages": QUESTION, "max_tokens": 3500}, "hr")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "request_above_rate_limit"
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


def test_anthropic_clients_read_their_own_headers(limited: Gateway) -> None:
    client = Anthropic(base_url=limited.url, api_key=limited.keys["general"], max_retries=0)
    ask: Any = {"model": "sim-large", "messages": QUESTION, "max_tokens": 100}
    headers = client.messages.with_raw_response.create(**ask).headers
    assert headers["anthropic-ratelimit-requests-limit"] == "3"
    assert headers["anthropic-ratelimit-requests-remaining"] == "2"
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    for _ in range(2):
        client.messages.create(**ask)
    with pytest.raises(AnthropicRateLimitError) as refusal:
        client.messages.create(**ask)
    assert int(refusal.value.response.headers["retry-after"]) >= 1
    assert refusal.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
    client.close()


def test_a_combination_is_counted_by_itself(limited: Gateway) -> None:
    ask = {"model": "sim-second", "messages": QUESTION, "max_tokens": 100}
    assert limited.post(ask, "hr").status_code == 200
    refused = limited.post(ask, "hr")
    assert refused.status_code == 429
    assert refused.json()["error"]["subject"].keys() == {"key", "model"}
    assert limited.post(ask, "general").status_code == 200


def test_a_key_has_limits_of_its_own(limited: Gateway) -> None:
    limited.issue("slow", service="느린 봇", unit_code="hr", requests_per_min=1)
    limited.wait_for_key("slow")
    ask = {"model": "sim-large", "messages": QUESTION, "max_tokens": 100}
    first, second = limited.post(ask, "slow"), limited.post(ask, "slow")
    assert (first.status_code, second.status_code) == (200, 429)
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert second.json()["error"]["subject"].keys() == {"key"}


def test_what_the_filter_stops_costs_no_tokens(limited: Gateway) -> None:
    secret = {"role": "user", "content": "주민등록번호는 900101-1234568 입니다"}
    limited.post({"model": "sim-large", "messages": [secret], "max_tokens": 2900}, "hr")
    answer = limited.post({"model": "sim-large", "messages": QUESTION, "max_tokens": 2700}, "hr")
    assert answer.status_code == 200


def test_my_usage_shows_what_is_left(limited: Gateway) -> None:
    limited.post({"model": "sim-large", "messages": QUESTION}, "general")
    headers = {"authorization": f"Bearer {limited.keys['general']}"}
    shown = httpx.get(f"{limited.url}/api/me/usage", headers=headers, timeout=20).json()["rate_limits"]
    mine = next(row for row in shown if row["limit"] == "직원")
    assert mine["subject"]["person"].startswith("service:")
    assert (mine["unit"], mine["per_min"], mine["left"]) == ("requests", 3, 2)


def test_media_count_like_conversations(limited: Gateway) -> None:
    asked = [
        ("/v1/embeddings", {"model": "sim-embedding", "input": "도로 점용"}),
        ("/v1/images/generations", {"model": "sim-image", "prompt": "해치"}),
        ("/v1/videos", {"model": "sim-video", "prompt": "해치", "seconds": 4}),
        ("/v1/audio/speech", {"model": "sim-speech", "input": "안녕하세요", "voice": "alloy"}),
    ]
    answers = [limited.post(body, "general", path=path) for path, body in asked]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0", "0"]
