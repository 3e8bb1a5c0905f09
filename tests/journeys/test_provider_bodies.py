"""What a provider sends, as it should not be: through a whole gateway each is a right answer or a clear error, once charged."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from tests.journeys.conftest import Gateway

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
JSON_TYPE, EVENTS = "application/json", "text/event-stream"


def whole(content: str = "네", usage: Any = USAGE, **more: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **more}
    return json.dumps(body | ({} if usage == "absent" else {"usage": usage}), ensure_ascii=False).encode()


def chunk(delta: Any, reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    body = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def stream(*chunks: bytes, usage: Any = USAGE, done: int = 1) -> bytes:
    last = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    ended = b"data: " + json.dumps(last | ({} if usage == "absent" else {"usage": usage})).encode() + b"\n\n"
    return (
        b"".join(chunks or (chunk({"content": "네"}),))
        + chunk({}, "stop")
        + ended
        + b"data: [DONE]\n\n" * done
    )


FINE = stream()
CALL = {"index": 0, "id": "c1", "type": "function"}
ARGUMENTS = '{"부서":"총무\\u2028과 🏛️"}'
SPLIT = stream(
    chunk({"tool_calls": [CALL | {"function": {"name": "find", "arguments": ""}}]}),
    *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in ARGUMENTS),
)
DEEP = b'"logprobs": ' + b"[" * 300 + b"]" * 300 + b', "finish_reason"'
NESTED = {
    "nested": (JSON_TYPE, whole().replace(b'"finish_reason"', DEEP)),
    "nested on its way": (
        EVENTS,
        stream(chunk({"content": "네"}), chunk({"content": "!"}).replace(b'"finish_reason"', DEEP)),
    ),
}
NO_ANSWER: dict[str, tuple[str, bytes]] = {
    "HTML": ("text/html", b"<html><body>busy</body></html>"),
    "empty": (JSON_TYPE, b""),
    "truncated JSON": (JSON_TYPE, whole()[:-20]),
    "gigantic": (JSON_TYPE, whole("x" * (65 << 20))),
    "invalid UTF-8": (JSON_TYPE, whole().replace("네".encode(), b"\xff\xfe")),
}
ANSWERS: dict[str, tuple[str, bytes]] = {
    "wrong content type": ("text/plain", whole()),
    "usage null": (JSON_TYPE, whole(usage=None)),
    "usage absent": (JSON_TYPE, whole(usage="absent")),
    "usage negative": (JSON_TYPE, whole(usage=USAGE | {"completion_tokens": -3, "total_tokens": 6})),
    "separators": (JSON_TYPE, whole("네\u2028네")),
}
STREAMS: dict[str, bytes] = {
    "CRLF": FINE.replace(b"\n", b"\r\n"),
    "comments": b": x\n\n" + FINE.replace(b"\n\n", b"\n\n: x\n\n"),
    "no final newline": FINE.rstrip(b"\n"),
    "several data lines": FINE.replace(b'"choices"', b'\ndata: "choices"'),
    "separators": stream(chunk({"content": "네\u2028네"})),
    "[DONE] missing": stream(done=0),
    "[DONE] doubled": stream(done=2),
    "usage null": stream(usage=None),
    "usage absent": stream(usage="absent"),
    "usage negative": stream(usage=USAGE | {"completion_tokens": -3, "total_tokens": 6}),
    "usage cumulative": stream(
        chunk({"content": "네"}, usage=USAGE | {"completion_tokens": 1, "total_tokens": 10})
    ),
    "JSON instead": whole(),
}
TOKENS = {"usage negative": (9, 0), "usage null": None, "usage absent": None}
"""Charged (input, output) where it is not what USAGE says; None: an estimate."""


@pytest.fixture(scope="module")
def filter_table() -> str:
    """One attempt each, and a breaker that never opens: each body is judged for itself."""
    return 'in_house_model = "house-model"\n\n[routing]\nattempts = 1\nbreaker_failures = 1000'


@pytest.fixture(scope="module")
def faulty_url() -> Iterator[str]:
    async def answer(request: Request) -> Response:
        asked = await request.json()
        name = asked["messages"][-1]["content"]
        if name == "split arguments":
            return Response(SPLIT, media_type=EVENTS)
        if asked.get("stream") and name in STREAMS:
            return Response(STREAMS[name], media_type=EVENTS)
        content_type, body = (NO_ANSWER | ANSWERS | NESTED)[name]
        return Response(body, media_type=content_type)

    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def ask(gateway: Gateway, name: str, *, streamed: bool = False) -> Any:
    body = {"model": "faulty-model", "messages": [{"role": "user", "content": name}], "stream": streamed}
    return gateway.post(body | ({"stream_options": {"include_usage": True}} if streamed else {}))


def charge_of(gateway: Gateway, response: Any) -> dict[str, Any]:
    (charge,) = gateway.charges(response.headers["x-request-id"])
    return charge


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", NO_ANSWER)
def test_what_is_no_answer_is_a_clear_error_and_one_charge(
    gateway: Gateway, name: str, *, streamed: bool
) -> None:
    response = ask(gateway, name, streamed=streamed)
    assert response.status_code == 502
    error = response.json()["error"]
    assert error["code"] in {"upstream_protocol_error", "upstream_broken"}
    assert "다시 시도" in error["message"]
    assert charge_of(gateway, response)["outcome"] in {"error", "broken"}


def judged(gateway: Gateway, response: Any, name: str, text: str, usage: dict[str, Any]) -> None:
    """The client is shown what is charged, also where the provider did not say it."""
    assert text == ("네\u2028네" if name == "separators" else "네")
    charge = charge_of(gateway, response)
    wanted = TOKENS.get(name, (9, 3))
    if wanted is None:
        assert charge["source"] == "estimated"
    else:
        assert (charge["input"], charge["output"] or 0) == wanted
    assert charge["outcome"] == "success"
    assert usage["prompt_tokens"] == charge["input"] + (charge["cache_read"] or 0) > 0
    assert usage["completion_tokens"] == (charge["output"] or 0) + (charge["reasoning"] or 0)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_odd_body_is_a_right_answer_and_one_charge(gateway: Gateway, name: str) -> None:
    response = ask(gateway, name)
    assert response.status_code == 200
    answer = response.json()
    judged(gateway, response, name, answer["choices"][0]["message"]["content"], answer["usage"])


@pytest.mark.parametrize("name", STREAMS)
def test_an_odd_stream_is_a_right_answer_and_one_charge(gateway: Gateway, name: str) -> None:
    response = ask(gateway, name, streamed=True)
    events = [line[6:] for line in response.text.split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    deltas = [json.loads(event)["choices"] for event in events[:-1]]
    text = "".join(choice["delta"].get("content") or "" for choices in deltas for choice in choices)
    judged(gateway, response, name, text, json.loads(events[-2])["usage"])


def test_arguments_split_in_an_escape_and_a_character_come_whole(gateway: Gateway) -> None:
    response = ask(gateway, "split arguments", streamed=True)
    events = [line[6:] for line in response.text.split("\n\n") if line.startswith("data: {")]
    calls = [
        call
        for event in events
        for choice in json.loads(event)["choices"]
        for call in choice["delta"].get("tool_calls") or ()
    ]
    assert "".join(call["function"]["arguments"] for call in calls) == ARGUMENTS
    assert charge_of(gateway, response)["output"] == 3


def test_log_probabilities_that_could_not_be_written_are_a_clear_error_and_one_charge(
    gateway: Gateway,
) -> None:
    response = ask(gateway, "nested")
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_protocol_error")
    charge = charge_of(gateway, response)
    assert (charge["outcome"], charge["source"]) == ("error", "reported")
    assert (charge["input"], charge["output"]) == (9, 3)

    response = ask(gateway, "nested on its way", streamed=True)
    said, ended = (line[6:] for line in response.text.split("\n\n") if line.startswith("data: "))
    assert json.loads(said)["choices"][0]["delta"]["content"] == "네"
    assert json.loads(ended)["error"]["code"] == "upstream_protocol_error"
    assert charge_of(gateway, response)["outcome"] == "error"
