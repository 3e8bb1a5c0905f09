"""The simulator as it runs: a process of its own, asked over real HTTP."""

from __future__ import annotations

import json

import httpx
import openai
import pytest

from gateway.demo.children import Child

MESSAGES = [{"role": "user", "content": "행사 추진계획 보고서 초안을 작성해 주세요."}]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    import sys

    folder = tmp_path_factory.mktemp("simulator")
    command = [sys.executable, "-m", "simulator", "--ledger", str(folder / "ledger.jsonl")]
    with Child(command, folder / "log") as child:
        yield child.ready()["url"]


def books(url: str, attempt: str) -> dict[str, dict]:
    lines = httpx.get(f"{url}/ledger").text.splitlines()
    return {r["kind"]: r for r in map(json.loads, lines) if r["attempt_id"] == attempt}


def test_the_openai_client_streams_and_usage_comes_only_if_asked(simulator):
    client = openai.OpenAI(base_url=f"{simulator}/openai/v1", api_key="any")
    plain = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert all(chunk.usage is None for chunk in plain)
    asked = list(
        client.chat.completions.create(
            model="m",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"x-haechi-attempt": "a-stream"},
        )
    )
    assert asked[-1].choices == []
    assert (
        asked[-1].usage.model_dump(exclude_none=True) == books(simulator, "a-stream")["answered"]["reported"]
    )


def test_a_stream_and_a_whole_answer_of_the_same_prompt_count_the_same(simulator):
    client = openai.OpenAI(base_url=f"{simulator}/openai/v1", api_key="any")
    for attempt, stream in (("a-1", True), ("a-2", False)):
        answer = client.chat.completions.create(
            model="m", messages=MESSAGES, stream=stream, extra_headers={"x-haechi-attempt": attempt}
        )
        if stream:
            list(answer)
    one, other = books(simulator, "a-1")["answered"], books(simulator, "a-2")["answered"]
    assert (one["tokens"], one["answered_sha256"]) == (other["tokens"], other["answered_sha256"])


def test_a_client_that_hangs_up_leaves_an_incomplete_answer_in_the_books(tmp_path):
    import sys
    import time

    command = [sys.executable, "-m", "simulator", "--tokens-per-s", "20"]
    with Child(command, tmp_path / "log") as child:
        url = child.ready()["url"]
        body = {"model": "m", "messages": MESSAGES, "stream": True}
        headers = {"x-haechi-attempt": "gone"}
        with httpx.stream("POST", f"{url}/openai/v1/chat/completions", json=body, headers=headers) as answer:
            next(answer.iter_bytes())
        deadline = time.monotonic() + 10
        while "answered" not in books(url, "gone") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert books(url, "gone")["answered"]["complete"] is False


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("openai/v1/chat/completions", b"{", 400),
        ("openai/v1/chat/completions", b'{"model": "m", "messages": []}', 400),
        ("openai/v1/chat/completions", b"[]", 400),
        ("anthropic/v1/messages", b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}', 400),
        ("cohere/v2/chat", b'"text"', 400),
        ("openai/v1/responses", b"{}", 400),
        ("openai/v1/nowhere", b"{}", 404),
    ],
)
def test_a_malformed_request_is_refused_in_json(simulator, path, body, status):
    answer = httpx.post(f"{simulator}/{path}", content=body)
    assert answer.status_code == status
    assert answer.json()


def test_it_says_that_it_is_simulated(simulator):
    assert httpx.get(f"{simulator}/livez").json() == {"status": "ok", "simulated": True}
    body = {"model": "m", "messages": MESSAGES}
    answer = httpx.post(f"{simulator}/openai/v1/chat/completions", json=body)
    assert answer.headers["x-simulated"] == "true"
