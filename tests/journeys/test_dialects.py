"""The same gateway in Anthropic's and Responses' words, asked by their own clients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import pytest
from openai import BadRequestError, OpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Gateway

QUESTION = "도로 점용 허가 절차를 두 문장으로 설명해 주세요."
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.keys["p1"], max_retries=0) as client:
        yield client


@pytest.fixture
def openai(gateway: Gateway) -> Iterator[OpenAI]:
    with gateway.client("p1") as client:
        yield client


# --- Anthropic's Messages ------------------------------------------------------------------------


def test_a_message_is_answered_with_its_usage(gateway: Gateway, claude: anthropic.Anthropic) -> None:
    raw = claude.messages.with_raw_response.create(
        model="sim-large", max_tokens=200, messages=[{"role": "user", "content": QUESTION}]
    )
    message = raw.parse()
    assert message.content[0].text
    assert message.stop_reason in ("end_turn", "max_tokens")
    charge = gateway.charges(raw.headers["x-request-id"])[0]
    assert charge["surface"] == "messages"
    assert message.usage.output_tokens == (charge["output"] or 0) + (charge["reasoning"] or 0)
    assert message.usage.input_tokens == charge["input"]


def test_a_message_streams_block_by_block(gateway: Gateway, claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(
        model="sim-large", max_tokens=200, messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text
    assert final.content[-1].text == text
    assert final.stop_reason in ("end_turn", "max_tokens")
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_claudes_tools_are_called_and_answered(claude: anthropic.Anthropic, stream: bool) -> None:
    asked: Any = {
        "model": "sim-large",
        "max_tokens": 300,
        "messages": [{"role": "user", "content": "도로법 제61조를 찾아 주세요."}],
        "tools": [{"name": "find_statute", "description": "법령 조문 찾기", "input_schema": SCHEMA}],
        "tool_choice": {"type": "any"},
    }
    if stream:
        with claude.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        message = claude.messages.create(**asked)
    call = next(block for block in message.content if block.type == "tool_use")
    assert call.name == "find_statute"
    assert isinstance(call.input, dict)
    assert message.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "제61조(도로의 점용 허가) …"}
    asked["messages"] += [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}],
        },
        {"role": "user", "content": [result, {"type": "text", "text": "요약해 주세요."}]},
    ]
    del asked["tool_choice"]
    assert claude.messages.create(**asked).content[0].text


def test_a_resident_number_is_refused_in_claudes_envelope(
    gateway: Gateway, claude: anthropic.Anthropic
) -> None:
    before = len(gateway.simulator.ledger())
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(
            model="sim-large",
            max_tokens=10,
            system=[{"type": "text", "text": "담당자 주민등록번호 901010-1234567"}],
            messages=[{"role": "user", "content": "안녕하세요"}],
        )
    error = refused.value.body["error"]
    assert refused.value.body["type"] == "error"
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "sensitive_data_blocked"
    assert error["param"] == "system[0].text"
    assert len(gateway.simulator.ledger()) == before


def test_a_number_split_over_two_documents_is_refused(claude: anthropic.Anthropic) -> None:
    halves = ("주민번호 앞부분은 900101 이고", "뒷부분은 1234568 입니다")
    sources: list[Any] = [{"type": "text", "media_type": "text/plain", "data": half} for half in halves]
    documents: list[Any] = [{"type": "document", "source": source} for source in sources]
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(
            model="sim-large", max_tokens=50, messages=[{"role": "user", "content": documents}]
        )
    assert refused.value.body["error"]["code"] == "sensitive_data_blocked"


def test_a_number_over_three_requests_of_a_conversation_is_refused(openai: OpenAI) -> None:
    def say(text: str) -> None:
        openai.chat.completions.create(
            model="sim-large",
            max_tokens=20,
            messages=[{"role": "user", "content": text}],
            extra_headers={"x-conversation-id": "split-over-three"},
        )

    say("35000")
    say("900101")
    with pytest.raises(BadRequestError) as refused:
        say("1234568")
    assert refused.value.code == "sensitive_data_blocked"


def test_counting_tokens_sends_nothing_and_is_inspected(
    gateway: Gateway, claude: anthropic.Anthropic
) -> None:
    before = len(gateway.simulator.ledger())
    counted = claude.messages.count_tokens(
        model="sim-large", messages=[{"role": "user", "content": QUESTION}]
    )
    assert 5 < counted.input_tokens < 100
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.count_tokens(
            model="sim-large", messages=[{"role": "user", "content": "주민번호 901010-1234567"}]
        )
    assert len(gateway.simulator.ledger()) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mcp_servers", [{"type": "url", "url": "https://mcp.example", "name": "x"}]),
        ("container", "c_1"),
        ("tools", [{"type": "web_search_20250305", "name": "web_search"}]),
    ],
)
def test_what_would_live_at_the_provider_is_refused(gateway: Gateway, field: str, value: Any) -> None:
    body = {
        "model": "sim-large",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "."}],
        field: value,
    }
    response = gateway.post(body, path="/v1/messages")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_feature")


def test_claudes_streams_break_with_an_error_event(gateway: Gateway) -> None:
    response = gateway.post(
        {
            "model": "down-model",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": "."}],
            "stream": True,
        },
        path="/v1/messages",
    )
    assert response.status_code == 502
    assert response.json()["type"] == "error"


# --- OpenAI's Responses --------------------------------------------------------------------------


def test_a_response_is_answered_with_its_usage(gateway: Gateway, openai: OpenAI) -> None:
    raw = openai.responses.with_raw_response.create(model="sim-large", input=QUESTION, instructions="짧게")
    response = raw.parse()
    assert response.status in ("completed", "incomplete")
    assert response.output_text
    charge = gateway.charges(raw.headers["x-request-id"])[0]
    assert charge["surface"] == "responses"
    assert response.usage.input_tokens == (charge["input"] or 0) + (charge["cache_read"] or 0)
    assert response.usage.output_tokens == (charge["output"] or 0) + (charge["reasoning"] or 0)


def test_a_response_streams_in_numbered_events(openai: OpenAI) -> None:
    with openai.responses.stream(model="sim-large", input=[{"role": "user", "content": QUESTION}]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text
    assert final.output_text == text
    numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert numbers == sorted(set(numbers))
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_functions_are_called_and_answered(openai: OpenAI, stream: bool) -> None:
    items: list[Any] = [{"role": "user", "content": "도로법 제61조를 찾아 주세요."}]
    asked: Any = {
        "model": "sim-large",
        "tools": [{"type": "function", "name": "find_statute", "parameters": SCHEMA, "strict": False}],
    }
    if stream:
        with openai.responses.stream(**asked, input=items, tool_choice="required") as events:
            response = events.get_final_response()
    else:
        response = openai.responses.create(**asked, input=items, tool_choice="required")
    call = next(item for item in response.output if item.type == "function_call")
    assert call.name == "find_statute"
    assert isinstance(json.loads(call.arguments), dict)
    items += [
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "제61조 …"},
    ]
    assert openai.responses.create(**asked, input=items).output_text


def test_a_number_split_over_response_items_is_refused(gateway: Gateway, openai: OpenAI) -> None:
    before = len(gateway.simulator.ledger())
    with pytest.raises(BadRequestError) as refused:
        openai.responses.create(
            model="sim-large",
            input=[
                {"role": "user", "content": [{"type": "input_text", "text": "주민등록번호 901010"}]},
                {"role": "user", "content": [{"type": "input_text", "text": "-1234567"}]},
            ],
        )
    assert refused.value.code == "sensitive_data_blocked"
    assert len(gateway.simulator.ledger()) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [("previous_response_id", "resp_1"), ("conversation", "conv_1"), ("background", True)],
)
def test_state_at_the_provider_is_refused(gateway: Gateway, field: str, value: Any) -> None:
    response = gateway.post({"model": "sim-large", "input": "안녕", field: value}, path="/v1/responses")
    assert (response.status_code, response.json()["error"]["param"]) == (400, field)
