"""Bad input gets a clear error in Korean and English that says what to do, and no provider is called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway

HELLO = [{"role": "user", "content": "안녕하세요"}]


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "sim-large", "messages": HELLO, **fields}


BAD: dict[str, tuple[Any, int, str, str | None]] = {
    "malformed JSON": (b'{"model": "sim-large", ', 400, "malformed_json", None),
    "not UTF-8": (b'{"model": "\xff\xfe"}', 400, "malformed_json", None),
    "empty body": (b"", 400, "malformed_json", None),
    "a list": ([], 400, "invalid_request", None),
    "model missing": ({"messages": HELLO}, 400, "missing_field", "model"),
    "model of the wrong type": ({"model": 3, "messages": HELLO}, 400, "missing_field", "model"),
    "unknown model": (chat(model="gpt-5x"), 404, "model_not_found", "model"),
    "messages missing": ({"model": "sim-large"}, 400, "invalid_type", "messages"),
    "messages empty": (chat(messages=[]), 400, "empty_messages", "messages"),
    "messages a string": (chat(messages="안녕"), 400, "invalid_type", "messages"),
    "message a string": (chat(messages=["안녕"]), 400, "invalid_type", "messages[0]"),
    "unknown role": (
        chat(messages=[{"role": "god", "content": "."}]),
        400,
        "invalid_value",
        "messages[0].role",
    ),
    "content a number": (
        chat(messages=[{"role": "user", "content": 7}]),
        400,
        "invalid_type",
        "messages[0].content",
    ),
    "content missing": (chat(messages=[{"role": "user"}]), 400, "invalid_type", "messages[0].content"),
    "unknown part": (
        chat(messages=[{"role": "user", "content": [{"type": "hologram"}]}]),
        400,
        "unknown_content_part",
        "messages[0].content[0]",
    ),
    "temperature a string": (chat(temperature="hot"), 400, "invalid_type", "temperature"),
    "temperature a bool": (chat(temperature=True), 400, "invalid_type", "temperature"),
    "temperature out of range": (chat(temperature=3), 400, "invalid_value", "temperature"),
    "max_tokens zero": (chat(max_tokens=0), 400, "invalid_value", "max_tokens"),
    "n too large": (chat(n=999), 400, "invalid_value", "n"),
    "stream a string": (chat(stream="yes"), 400, "invalid_type", "stream"),
    "stream_options a list": (chat(stream_options=[]), 400, "invalid_type", "stream_options"),
    "a tool without a name": (
        chat(tools=[{"type": "function", "function": {}}]),
        400,
        "invalid_type",
        "tools[0].function.name",
    ),
    "a hosted tool": (chat(tools=[{"type": "web_search"}]), 400, "unsupported_feature", "tools[0]"),
    "a search of the provider's": (
        chat(web_search_options={}),
        400,
        "unsupported_feature",
        "web_search_options",
    ),
    "a remote server of tools": (
        chat(mcp_servers=[{"type": "url", "url": "https://mcp.example"}]),
        400,
        "unsupported_feature",
        "mcp_servers",
    ),
    "legacy functions": (chat(functions=[{"name": "f"}]), 400, "unsupported_feature", "functions"),
    "a field of ours": (chat(haechi_skip_filter=True), 400, "unknown_field", "haechi_skip_filter"),
    "tool result without id": (
        chat(messages=[{"role": "tool", "content": "x"}]),
        400,
        "invalid_type",
        "messages[0].tool_call_id",
    ),
    "nested too deeply": (
        b'{"model":"sim-large","metadata":' + b'{"a":' * 600 + b"1" + b"}" * 601,
        400,
        "",
        None,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name_and_reaches_nobody(gateway: Gateway, name: str) -> None:
    body, status, code, param = BAD[name]
    before = len(gateway.simulator.ledger())
    response = gateway.post(body)
    error = response.json()["error"]

    assert response.status_code == status, response.text
    assert code in ("", error["code"])
    assert param is None or error["param"] == param
    assert any("가" <= c <= "힣" for c in error["message"])
    assert " / " in error["message"]
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["x-request-id"]
    assert len(gateway.simulator.ledger()) == before


def test_a_body_over_the_limit_is_refused_before_it_is_read(gateway: Gateway) -> None:
    """The limit of this gateway is 1 MiB."""
    response = gateway.post(chat(messages=[{"role": "user", "content": "가" * 400_000}]))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(gateway: Gateway) -> None:
    def pieces() -> Any:
        for _ in range(40):
            yield b" " * 65536

    response = httpx.post(
        f"{gateway.url}/v1/chat/completions",
        content=pieces(),
        headers={"authorization": f"Bearer {gateway.keys['p1']}"},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


def test_a_compressed_body_is_refused(gateway: Gateway) -> None:
    response = gateway.post(b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_encoding")


def test_the_language_of_an_error_is_the_callers(gateway: Gateway) -> None:
    korean = gateway.post(b"{").json()["error"]["message"]
    english = gateway.post(b"{", headers={"accept-language": "en-US,en;q=0.9,ko;q=0.5"}).json()["error"][
        "message"
    ]
    assert korean.startswith("본문이")
    assert english.startswith("The body")


def test_an_unknown_field_is_the_providers_and_passes(gateway: Gateway) -> None:
    response = gateway.post(chat(some_vendor_option={"a": 1}))
    assert response.status_code == 200
    attempt = gateway.charges(response.headers["x-request-id"])[0]["attempt_id"]
    asked = [r for r in gateway.simulator.ledger() if r["attempt_id"] == attempt and r["kind"] == "asked"]
    assert "some_vendor_option" in json.dumps(asked)


def test_an_unknown_address_and_method_answer_in_the_envelope(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/v1/nothing").json()["error"]["code"] == "not_found"
    wrong = httpx.get(f"{gateway.url}/v1/chat/completions")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


def test_personal_data_in_a_field_that_nobody_reads_is_found(gateway: Gateway) -> None:
    for fields in (
        {"metadata": {"who": "901010-1234567"}},
        {"user": "901010-1234567"},
        {"vendor_option": {"deep": ["901010-1234567"]}},
        {"tools": [{"type": "function", "function": {"name": "f", "description": "901010-1234567"}}]},
    ):
        response = gateway.post(chat(**fields))
        assert response.status_code == 400, fields
        assert response.json()["error"]["type"] == "sensitive_data_blocked"
