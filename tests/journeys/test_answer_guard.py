"""What a model says is inspected too: an identifier that was not in the prompt does not reach the reader."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Gateway

LEAK = "회신 예: 주민등록번호 901010-1234567, 담당 김하늘입니다."
USAGE = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}


class Leaking(BaseHTTPRequestHandler):
    """Answers every chat with LEAK, streams it two characters at a time; in JSON where that was asked."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = LEAK
        if asked.get("response_format"):
            token = next(w for w in asked["messages"][0]["content"].split() if w.startswith("⟦"))
            text = json.dumps({"value": token}, ensure_ascii=False)
        body = self._stream(text) if asked.get("stream") else self._whole(text)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _whole(self, text: str) -> bytes:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return json.dumps({"id": "1", "model": "m", "choices": [choice], "usage": USAGE}).encode()

    def _stream(self, text: str) -> bytes:
        choices: list[dict[str, Any]] = [
            {"index": 0, "delta": {"content": text[i : i + 2]}, "finish_reason": None}
            for i in range(0, len(text), 2)
        ]
        choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        events = [{"id": "1", "model": "m", "choices": [choice]} for choice in choices]
        events.append({"id": "1", "model": "m", "choices": [], "usage": USAGE})
        return b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events) + b"data: [DONE]\n\n"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def faulty_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Leaking)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def text_of(response: Any) -> str:
    if not response.headers["content-type"].startswith("text/event-stream"):
        return str(response.json()["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)


@pytest.mark.parametrize("stream", [False, True])
def test_an_identifier_that_the_prompt_did_not_hold_is_masked_and_recorded(
    gateway: Gateway, stream: bool
) -> None:
    messages = [{"role": "user", "content": "회신 예문을 하나 써 주세요."}]
    response = gateway.post({"model": "faulty-model", "messages": messages, "stream": stream})

    text = text_of(response)
    assert "1234567" not in response.text
    assert text.startswith("회신 예: 주민등록번호 ")
    assert text.endswith("담당 김하늘입니다.")  # names are never masked in answers
    request_id = response.headers["x-request-id"]
    receipt = gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=f"{request_id}#answer")
    assert len(receipt) == 1
    assert json.loads(receipt[0]["counts"]) == {"KR_RRN": 1}
    assert "1234567" not in json.dumps(receipt, default=str)
    assert len(gateway.charges(request_id)) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_restored_value_keeps_a_json_answer_valid(gateway: Gateway, stream: bool) -> None:
    """The masked e-mail holds a quote, which must come back escaped inside the model's JSON."""
    prompt = '주소 서울특별시 중구 세종대로 110 "본관" 3층 을 JSON으로'
    asked = {"model": "faulty-model", "messages": [{"role": "user", "content": prompt}], "stream": stream}
    response = gateway.post({**asked, "response_format": {"type": "json_object"}})
    assert response.headers["x-haechi-verdict"] == "mask", response.text
    assert "⟦" not in json.loads(text_of(response))["value"]
