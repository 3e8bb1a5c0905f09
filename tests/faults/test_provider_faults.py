"""However a provider fails: a clear error, exactly one charge per attempt it saw, and nothing of its words."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

if TYPE_CHECKING:
    from tests.faults.server import FaultServer
    from tests.journeys.conftest import Gateway


class Seen(NamedTuple):
    """What the client sees, and how the one attempt is charged. `code` None: a whole answer."""

    status: int
    code: str | None
    outcome: str
    source: str


UNKNOWN_END = ("broken", "estimated")

EXPECTED: dict[tuple[str, bool], Seen] = {
    ("fine", False): Seen(200, None, "success", "reported"),
    ("fine", True): Seen(200, None, "success", "reported"),
    ("done-missing", False): Seen(200, None, "success", "reported"),
    ("done-missing", True): Seen(200, None, "success", "reported"),
    ("usage-missing", False): Seen(200, None, "success", "estimated"),
    ("usage-missing", True): Seen(200, None, "success", "estimated"),
    ("reset-before-headers", False): Seen(502, "upstream_unavailable", *UNKNOWN_END),
    ("reset-before-headers", True): Seen(502, "upstream_unavailable", *UNKNOWN_END),
    ("reset-after-headers", False): Seen(502, "upstream_broken", *UNKNOWN_END),
    ("reset-after-headers", True): Seen(502, "upstream_broken", *UNKNOWN_END),
    ("hang-before-headers", False): Seen(504, "upstream_timeout", "timeout", "estimated"),
    ("hang-before-headers", True): Seen(504, "upstream_timeout", "timeout", "estimated"),
    ("hang-before-first-byte", False): Seen(504, "upstream_timeout", "timeout", "estimated"),
    ("hang-before-first-byte", True): Seen(504, "upstream_timeout", "timeout", "estimated"),
    ("hang-mid-stream", False): Seen(504, "upstream_timeout", "timeout", "estimated"),
    ("hang-mid-stream", True): Seen(200, "upstream_timeout", "timeout", "estimated"),
    ("reset-mid-stream", False): Seen(502, "upstream_broken", *UNKNOWN_END),
    ("reset-mid-stream", True): Seen(200, "upstream_broken", *UNKNOWN_END),
    ("cut-after-text", False): Seen(502, "upstream_protocol_error", "error", "estimated"),
    ("cut-after-text", True): Seen(200, "upstream_broken", *UNKNOWN_END),
    ("truncated-json", False): Seen(502, "upstream_protocol_error", "error", "estimated"),
    ("html-200", False): Seen(502, "upstream_protocol_error", "error", "estimated"),
    ("html-200", True): Seen(502, "upstream_protocol_error", "error", "estimated"),
    ("html-502", False): Seen(502, "upstream_unavailable", "refused_by_provider", "none"),
    ("html-502", True): Seen(502, "upstream_unavailable", "refused_by_provider", "none"),
    ("unauthorised", False): Seen(502, "upstream_rejected", "refused_by_provider", "none"),
    ("unauthorised", True): Seen(502, "upstream_rejected", "refused_by_provider", "none"),
    ("rate-limited", False): Seen(429, "upstream_rate_limited", "refused_by_provider", "none"),
    ("internal", False): Seen(502, "upstream_unavailable", "refused_by_provider", "none"),
    ("internal", True): Seen(502, "upstream_unavailable", "refused_by_provider", "none"),
    ("error-in-200", False): Seen(502, "upstream_unavailable", "refused_by_provider", "none"),
    ("error-in-200", True): Seen(502, "upstream_unavailable", "refused_by_provider", "none"),
    ("error-event-mid-stream", True): Seen(200, "upstream_unavailable", *UNKNOWN_END),
}


@pytest.mark.parametrize(("fault", "stream"), EXPECTED, ids=lambda value: str(value))
def test_a_fault_becomes_a_clear_error_and_one_charge(
    gateway: Gateway, faults: FaultServer, fault: str, stream: bool
) -> None:
    expected = EXPECTED[fault, stream]
    before = len(faults.seen)
    response = gateway.post(_question(fault, stream))

    assert response.status_code == expected.status, response.text
    assert "SECRET UPSTREAM WORDS" not in response.text
    assert "<html" not in response.text
    _check_end(response, expected, stream)
    charges = gateway.charges(response.headers["x-request-id"])
    assert [c["attempt_id"] for c in charges] == faults.attempts()[before:]
    assert [(c["outcome"], c["source"]) for c in charges] == [(expected.outcome, expected.source)]
    if expected.source == "estimated":
        assert charges[0]["input"] > 0
        assert charges[0]["amount_nano_krw"] > 0
    if expected.source == "none":
        assert charges[0]["amount_nano_krw"] == 0


def _check_end(response: httpx.Response, expected: Seen, stream: bool) -> None:
    if not stream or expected.status != 200:
        error = response.json().get("error")
        assert (error["code"] if error else None) == expected.code
        if error:
            assert any("가" <= c <= "힣" for c in error["message"])
        return
    data = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    if expected.code is None:
        assert data[-1] == "[DONE]"
        return
    assert "[DONE]" not in data
    assert json.loads(data[-1])["error"]["code"] == expected.code
    assert all(c["finish_reason"] is None for line in data[:-1] for c in json.loads(line)["choices"])


def _question(model: str, stream: bool) -> dict[str, Any]:
    content = "도로 점용 허가 절차를 두 문장으로 설명해 주세요."
    return {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream}


def test_a_provider_that_is_down_is_charged_nothing(gateway: Gateway) -> None:
    response = gateway.post(_question("down-model", stream=False))

    assert response.status_code == 502
    assert response.json()["error"]["code"] == "upstream_unavailable"
    charges = gateway.charges(response.headers["x-request-id"])
    assert [(c["outcome"], c["source"], c["amount_nano_krw"]) for c in charges] == [("not_sent", "none", 0)]


def test_a_rate_limit_of_the_provider_names_its_retry_after(gateway: Gateway) -> None:
    assert gateway.post(_question("rate-limited", stream=False)).headers["retry-after"] == "7"


def test_a_client_that_hangs_up_still_pays_for_what_was_generated(gateway: Gateway) -> None:
    """The fault server needs 4 s for its stream, the gateway drains for 1 s: the rest is estimated."""
    request_id = _hang_up_after_first_chunk(gateway, "slow-stream")
    charge = _one_charge(gateway, request_id)

    assert charge["outcome"] == "client_gone"
    assert charge["source"] == "estimated"
    assert charge["output"] > 0


def test_an_endless_stream_without_a_client_is_closed(gateway: Gateway, faults: FaultServer) -> None:
    request_id = _hang_up_after_first_chunk(gateway, "endless-stream")
    charge = _one_charge(gateway, request_id)

    assert charge["outcome"] == "client_gone"
    for _ in range(50):
        if charge["attempt_id"] in faults.hung_up:
            break
        time.sleep(0.1)
    assert charge["attempt_id"] in faults.hung_up


def _hang_up_after_first_chunk(gateway: Gateway, model: str) -> str:
    host, port = gateway.url.removeprefix("http://").split(":")
    body = json.dumps(_question(model, stream=True)).encode()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.keys['p1']}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        received = b""
        while b'"content":"' not in received.replace(b'"content":""', b""):
            received += connection.recv(4096)
    head = received.split(b"\r\n\r\n")[0].decode()
    return next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("x-request-id"))


def _one_charge(gateway: Gateway, request_id: str) -> dict[str, Any]:
    charges = gateway.charges(request_id)
    assert len(charges) == 1
    return charges[0]
