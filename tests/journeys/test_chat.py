"""A chat from the real `openai` client to the provider and back, and what it leaves in the books."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openai import BadRequestError

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway

QUESTION = [{"role": "user", "content": "도로 점용 허가 절차를 두 문장으로 설명해 주세요."}]


def one(rows: list[Any]) -> Any:
    assert len(rows) == 1, rows
    return rows[0]


def asked(gateway: Gateway, attempt_id: str) -> dict[str, Any]:
    """What the simulator says it was asked under this attempt."""
    return one(
        [r for r in gateway.simulator.ledger() if r["kind"] == "asked" and r["attempt_id"] == attempt_id]
    )


def answered(gateway: Gateway, attempt_id: str) -> dict[str, Any]:
    return one(
        [r for r in gateway.simulator.ledger() if r["kind"] == "answered" and r["attempt_id"] == attempt_id]
    )


def test_a_prompt_is_answered_and_charged_to_the_department_of_its_author(gateway: Gateway) -> None:
    with gateway.client("p1") as client:
        raw = client.chat.completions.with_raw_response.create(model="sim-large", messages=QUESTION)
        completion = raw.parse()

    assert completion.choices[0].message.content
    assert completion.model == "sim-large"
    charge = one(gateway.charges(raw.headers["x-request-id"]))
    assert (charge["department_id"], charge["person_id"]) == ("general", "p1")
    assert charge["unit_path"] == "seoul/admin/general"
    assert (charge["outcome"], charge["source"], charge["kind"]) == ("success", "reported", "charge")
    assert completion.usage.prompt_tokens == (charge["input"] or 0) + (charge["cache_read"] or 0)
    assert completion.usage.completion_tokens == (charge["output"] or 0) + (charge["reasoning"] or 0)
    assert answered(gateway, charge["attempt_id"])["model"] == "sim-large"
    receipt = one(gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=charge["request_id"]))
    assert receipt["action"] == "allow"
    assert receipt["parts_seen"] >= 1


def test_the_charge_is_the_sum_of_its_lines_by_the_frozen_price(gateway: Gateway) -> None:
    with gateway.client() as client:
        raw = client.chat.completions.with_raw_response.create(model="sim-large", messages=QUESTION)
    charge = one(gateway.charges(raw.headers["x-request-id"]))
    lines = gateway.rows("SELECT * FROM ledger_charge_line WHERE charge_id = :c", c=charge["charge_id"])

    price = {"input": 1.25, "cache_read": 0.125, "output": 10, "reasoning": 10}
    expected = sum(round(line["quantity"] * price[line["token_class"]] * 1391.20 * 1000) for line in lines)
    assert {line["token_class"] for line in lines} <= set(price)
    assert charge["amount_nano_krw"] == sum(line["amount_nano_krw"] for line in lines)
    assert abs(charge["amount_nano_krw"] - expected) <= len(lines)
    assert float(raw.headers["x-haechi-cost-krw"]) == pytest.approx(expected / 1e9)


def test_a_stream_ends_with_the_usage_that_was_charged(gateway: Gateway) -> None:
    with gateway.client("p2") as client:
        stream = client.chat.completions.create(
            model="sim-large", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        request_id = stream.response.headers["x-request-id"]

    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        "stop"
    ]
    usage = chunks[-1].usage
    assert chunks[-1].choices == []
    charge = one(gateway.charges(request_id))
    assert usage.prompt_tokens == (charge["input"] or 0) + (charge["cache_read"] or 0)
    assert usage.completion_tokens == (charge["output"] or 0) + (charge["reasoning"] or 0)
    assert charge["department_id"] == "hr"
    assert charge["first_token_us"] > 0


def test_usage_is_asked_of_the_provider_and_shown_only_to_a_client_that_asked(gateway: Gateway) -> None:
    response = gateway.post({"model": "sim-large", "messages": QUESTION, "stream": True})

    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    assert all("usage" not in event for event in events)
    assert response.text.rstrip().endswith("data: [DONE]")
    assert one(gateway.charges(response.headers["x-request-id"]))["source"] == "reported"


def test_a_stream_and_a_whole_answer_of_the_same_prompt_charge_the_same(gateway: Gateway) -> None:
    body = {"model": "sim-second", "messages": QUESTION}
    whole = one(gateway.charges(gateway.post(body).headers["x-request-id"]))
    stream = one(gateway.charges(gateway.post({**body, "stream": True}).headers["x-request-id"]))

    for column in ("input", "cache_read", "output", "reasoning", "amount_nano_krw"):
        assert whole[column] == stream[column], column


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_statute",
            "description": "법령 조문을 찾습니다",
            "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
    }
]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_and_their_results_answered(gateway: Gateway, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "도로법 제61조를 찾아 요약해 주세요."}]
    with gateway.client() as client:
        first = client.chat.completions.create(
            model="sim-large", messages=messages, tools=TOOLS, tool_choice="required", stream=stream
        )
        if stream:
            parts = [
                c.choices[0].delta.tool_calls[0] for c in first if c.choices and c.choices[0].delta.tool_calls
            ]
            call_id, name = parts[0].id, parts[0].function.name
            arguments = "".join(part.function.arguments or "" for part in parts)
        else:
            call = first.choices[0].message.tool_calls[0]
            call_id, name, arguments = call.id, call.function.name, call.function.arguments
        assert name == "find_statute"
        assert isinstance(json.loads(arguments), dict)
        call_object = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call_object]},
            {"role": "tool", "tool_call_id": call_id, "content": "제61조(도로의 점용 허가) …"},
        ]
        second = client.chat.completions.create(model="sim-large", messages=messages, tools=TOOLS)
    assert second.choices[0].message.content


# --- the filter ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "주민등록번호는 901010-1234567입니다",
        "주민등록번호 ９０１０１０－１２３４５６７ 확인",
        [{"type": "text", "text": "번호는 901010"}, {"type": "text", "text": "-1234567 입니다"}],
    ],
    ids=["glued", "full-width", "split into parts"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_resident_number_is_refused_and_reaches_no_provider(
    gateway: Gateway, content: Any, stream: bool
) -> None:
    before = len(gateway.simulator.ledger())
    with gateway.client() as client, pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(
            model="sim-large", messages=[{"role": "user", "content": content}], stream=stream
        )

    assert refused.value.type == "sensitive_data_blocked"
    assert refused.value.response.headers["x-should-retry"] == "false"
    body = refused.value.response.text
    assert "KR_RRN" in body
    assert "messages[0].content" in body
    assert "1234567" not in body
    assert "901010" not in body
    assert len(gateway.simulator.ledger()) == before
    request_id = refused.value.response.headers["x-request-id"]
    assert gateway.rows("SELECT * FROM ledger_dispatch WHERE request_id = :r", r=request_id) == []
    receipt = one(gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=request_id))
    assert receipt["action"] == "block"
    assert "1234567" not in json.dumps(receipt, default=str)


def test_a_card_number_in_tool_arguments_is_refused(gateway: Gateway) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": '{"card": "4111-1111-1111-1111"}'},
    }
    response = gateway.post(
        {
            "model": "sim-large",
            "messages": [
                {"role": "user", "content": "확인해 주세요"},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            ],
        }
    )
    assert response.status_code == 400
    assert "CREDIT_CARD" in response.text
    assert "4111" not in response.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_phone_number_leaves_as_a_token_and_comes_back_as_itself(gateway: Gateway, stream: bool) -> None:
    prompt = "민원인 연락처 010-1234-5678로 회신 문안을 써 주세요. 연락처를 그대로 적어 주세요."
    response = gateway.post(
        {"model": "sim-large", "messages": [{"role": "user", "content": prompt}], "stream": stream}
    )

    assert response.status_code == 200, response.text
    assert response.headers["x-haechi-verdict"] == "mask"
    charge = one(gateway.charges(response.headers["x-request-id"]))
    sent = json.dumps(asked(gateway, charge["attempt_id"]), ensure_ascii=False)
    assert "5678" not in sent
    assert "PHONE_NUMBER_1" in sent
    text = _text(response)
    assert "⟦" not in text
    assert "010-1234-5678" in text


def _text(response: httpx.Response) -> str:
    if "event-stream" not in response.headers["content-type"]:
        return str(response.json()["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    return "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])


def test_a_marked_text_is_sent_to_the_in_house_model_and_says_so(gateway: Gateway) -> None:
    messages = [{"role": "user", "content": "[비공개]\n조직 개편 검토안입니다. 요약해 주세요."}]
    response = gateway.post({"model": "sim-large", "messages": messages})

    assert response.status_code == 200, response.text
    assert response.json()["model"] == "house-model"
    assert response.headers["x-haechi-model"] == "house-model"
    assert response.headers["x-haechi-verdict"] == "route"
    charge = one(gateway.charges(response.headers["x-request-id"]))
    assert (charge["model_id"], charge["zone"]) == ("house-model", "in_house")
    receipt = one(gateway.rows("SELECT * FROM receipt WHERE request_id = :r", r=charge["request_id"]))
    assert receipt["action"] == "route"


def test_an_image_is_refused_for_an_external_model(gateway: Gateway) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    parts = [{"type": "text", "text": "이 그림을 설명해 주세요"}, image]
    response = gateway.post({"model": "sim-large", "messages": [{"role": "user", "content": parts}]})

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "sensitive_data_blocked"
    assert response.json()["error"]["param"] == "messages[0].content[1]"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://intra.seoul.example/plan.png"}},
        {"type": "file", "file": {"file_id": "file-abc123"}},
    ],
    ids=["an address to fetch", "a file kept at a provider"],
)
def test_what_would_be_fetched_from_elsewhere_is_refused_in_house_too(gateway: Gateway, part: Any) -> None:
    parts = [{"type": "text", "text": "설명해 주세요"}, part]
    response = gateway.post({"model": "house-model", "messages": [{"role": "user", "content": parts}]})

    assert (response.status_code, response.json()["error"]["code"]) == (400, "unreadable_part")
    assert "내용을 요청에 직접" in response.json()["error"]["message"]


def test_a_preview_says_what_would_happen_and_sends_nothing(gateway: Gateway) -> None:
    before = len(gateway.simulator.ledger())
    body = {"model": "sim-large", "messages": [{"role": "user", "content": "전화 010-1234-5678"}]}
    preview = gateway.post(body, path="/v1/filter/preview").json()

    assert preview["verdict"] == "mask"
    assert [found["type"] for found in preview["findings"]] == ["PHONE_NUMBER"]
    assert preview["masked"]["messages"][0]["content"] == "전화 ⟦PHONE_NUMBER_1⟧"
    assert len(gateway.simulator.ledger()) == before


# --- models, operation ---------------------------------------------------------------------------


def test_models_lists_only_what_the_caller_may_use(gateway: Gateway) -> None:
    gateway.issue("limited", person_id="p1", allowed_models=frozenset({"sim-second"}))
    gateway.wait_for_key("limited")
    with gateway.client("limited") as client:
        assert [model.id for model in client.models.list()] == ["sim-second"]
        assert client.models.retrieve("sim-second").id == "sim-second"
    with gateway.client("p1") as client:
        assert {"sim-large", "house-model"} <= {model.id for model in client.models.list()}
    refused = gateway.post({"model": "sim-large", "messages": QUESTION}, "limited")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "model_not_allowed"


def test_ready_alive_and_measured(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/livez").json() == {"status": "ok"}
    ready = httpx.get(f"{gateway.url}/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (
        200,
        {"database": "ok", "journal": "ok", "filter": "ok"},
    )
    gateway.post({"model": "sim-large", "messages": QUESTION})
    metrics = httpx.get(f"{gateway.url}/metrics").text
    assert 'haechi_requests_total{outcome="ok",surface="chat"}' in metrics
    for private in ("p1", "general", "김하늘", gateway.keys["p1"]):
        assert f'"{private}"' not in metrics


def test_the_api_page_loads_nothing_from_another_host(gateway: Gateway) -> None:
    page = httpx.get(f"{gateway.url}/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    script = page.text.split('<script src="')[1].split('"')[0]
    assert httpx.get(f"{gateway.url}{script}").status_code == 200
    paths = httpx.get(f"{gateway.url}/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/models", "/livez", "/readyz"} <= set(paths)


def test_every_answer_has_its_own_request_id(gateway: Gateway) -> None:
    responses = [
        gateway.post({"model": "sim-large", "messages": QUESTION}),
        gateway.post({"model": "sim-large", "messages": QUESTION, "stream": True}),
        gateway.post(b"{"),
        httpx.get(f"{gateway.url}/nowhere"),
        httpx.get(f"{gateway.url}/v1/models"),
    ]
    ids = [response.headers["x-request-id"] for response in responses]
    assert len(set(ids)) == len(ids)
