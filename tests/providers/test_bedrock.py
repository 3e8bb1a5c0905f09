"""Bedrock Converse: requests that AWS's own model of the service accepts, signed; both kinds of answer."""

from __future__ import annotations

import base64
import json
import struct
from binascii import crc32
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from billing.usage import Usage
from gateway.catalogue import Credential
from gateway.domain import Image, Message, Reasoning, ResponseFormat, Text, Tool, ToolCall, ToolChoice
from gateway.errors import InvalidRequest, UnsupportedFeature, UpstreamProtocolError, UpstreamRateLimited
from gateway.providers import adapter
from gateway.providers.bedrock_answers import report_of
from tests.providers.conversation import FORM, MESSAGES, PARAMETERS, WEATHER
from tests.providers.exchanges import ask, deployment, sent, streamed, whole

AWS = "https://bedrock-runtime.ap-northeast-2.amazonaws.com"
KEYS = Credential(access_key_id="AKIDEXAMPLE", secret_access_key="secret", session_token="token")
MODEL = "apac.anthropic.claude-sonnet-4-20250514-v1:0"
HERE = deployment(
    "bedrock", "bedrock", base_url=AWS, upstream_model=MODEL, region="ap-northeast-2", credential=KEYS
)


# --- requests ------------------------------------------------------------------------------------


def test_what_is_sent_fits_the_model_of_the_service_that_aws_publishes() -> None:
    body = sent(ask(**PARAMETERS, response_format=FORM, reasoning_effort="low"), HERE)
    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = service.operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": MODEL, **_with_bytes(body)}, shape)
    assert not report.has_errors(), report.generate_report()
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["inferenceConfig"] == {"maxTokens": 4000, "stopSequences": ["끝"]}
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2048


def _with_bytes(value: Any) -> Any:
    """Give blobs as bytes, which is how botocore wants them before it writes base64."""
    if isinstance(value, dict):
        return {k: base64.b64decode(v) if k == "bytes" else _with_bytes(v) for k, v in value.items()}
    return [_with_bytes(v) for v in value] if isinstance(value, list) else value


def test_marks_of_the_cache_become_cache_points() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    messages = (
        Message("system", (Text("규칙", mark),)),
        Message("user", (Text("긴 글", mark), Text("질문"))),
    )
    body = sent(ask(messages=messages, tools=(Tool("f", extra=mark),)), HERE)
    assert body["system"] == [{"text": "규칙"}, point]
    assert body["messages"][0]["content"] == [{"text": "긴 글"}, point, {"text": "질문"}]
    assert body["toolConfig"]["tools"][1] == point
    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = service.operation_model("Converse").input_shape
    assert not ParamValidator().validate({"modelId": MODEL, **body}, shape).has_errors()


def test_the_request_is_signed_over_the_path_that_is_sent() -> None:
    request = adapter("bedrock").request(ask(stream=True), HERE)
    assert request.url == f"{AWS}/model/{MODEL}/converse-stream"
    proof = request.headers["authorization"]
    assert "AKIDEXAMPLE" in proof
    assert "/ap-northeast-2/bedrock/aws4_request" in proof
    assert request.headers["x-amz-security-token"] == "token"
    assert "secret" not in repr(request)


def test_an_inference_profile_s_address_is_one_segment_of_the_path() -> None:
    arn = "arn:aws:bedrock:us-east-1:123:application-inference-profile/abc"
    url = adapter("bedrock").request(ask(), deployment("bedrock", base_url=AWS, upstream_model=arn)).url
    assert url == f"{AWS}/model/arn:aws:bedrock:us-east-1:123:application-inference-profile%2Fabc/converse"


def test_an_api_key_of_bedrock_needs_no_signature() -> None:
    headers = adapter("bedrock").request(ask(), deployment("bedrock", base_url=AWS)).headers
    assert headers["authorization"] == "Bearer sk-our-own"


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 2},
        {"logprobs": True},
        {"response_format": ResponseFormat("json_object")},
        {"messages": MESSAGES, "tools": (WEATHER,), "tool_choice": ToolChoice("none")},
    ],
)
def test_what_would_change_the_answer_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFeature):
        adapter("bedrock").request(ask(**asked), HERE)


def test_an_image_by_address_cannot_be_sent() -> None:
    messages = (Message("user", (Image("https://example.kr/a.png"),)),)
    with pytest.raises(InvalidRequest):
        adapter("bedrock").request(ask(messages=messages), HERE)


def test_what_a_model_lacks_is_dropped_and_named() -> None:
    nova = deployment("bedrock", base_url=AWS, upstream_model="amazon.nova-lite-v1:0")
    request = adapter("bedrock").request(ask(seed=1, top_k=3, reasoning_effort="low"), nova)
    assert request.dropped == ("reasoning_effort", "seed", "top_k")


# --- answers -------------------------------------------------------------------------------------


def message(payload: dict[str, Any], **headers: str) -> bytes:
    """Write one message of an AWS event stream: lengths, checksum, headers, payload, checksum."""
    names = {
        ":content-type": "application/json",
        **{f":{k.replace('_', '-')}": v for k, v in headers.items()},
    }
    head = b"".join(
        struct.pack("!B", len(k)) + k.encode() + struct.pack("!BH", 7, len(v)) + v.encode()
        for k, v in names.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(head) + len(body), len(head))
    prelude += struct.pack("!I", crc32(prelude))
    return prelude + head + body + struct.pack("!I", crc32(prelude + head + body))


def event(kind: str, **payload: Any) -> bytes:
    return message(payload, message_type="event", event_type=kind)


def delta(index: int, **content: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=content)


USAGE = {
    "inputTokens": 10,
    "outputTokens": 4,
    "totalTokens": 26,
    "cacheReadInputTokens": 5,
    "cacheWriteInputTokens": 7,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 3}, {"ttl": "5m", "inputTokens": 4}],
}
STREAM = [
    event("messageStart", role="assistant"),
    delta(0, reasoningContent={"text": "음"}),
    delta(0, reasoningContent={"signature": "S"}),
    event("contentBlockStop", contentBlockIndex=0),
    delta(1, text="안"),
    delta(1, text="녕"),
    event("contentBlockStop", contentBlockIndex=1),
    event("contentBlockStart", contentBlockIndex=2, start={"toolUse": {"toolUseId": "t1", "name": "f"}}),
    delta(2, toolUse={"input": '{"city":'}),
    delta(2, toolUse={"input": '"서울"}'}),
    event("contentBlockStop", contentBlockIndex=2),
    event("contentBlockStart", contentBlockIndex=3, start={"toolUse": {"toolUseId": "t2", "name": "g"}}),
    event("contentBlockStop", contentBlockIndex=3),
    event("messageStop", stopReason="tool_use"),
    event("metadata", usage=USAGE, metrics={"latencyMs": 1}),
]
BODY = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "음", "signature": "S"}}},
                {"text": "안녕"},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"city": "서울"}}},
                {"toolUse": {"toolUseId": "t2", "name": "g", "input": {}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": USAGE,
}


def test_a_binary_stream_and_a_whole_answer_say_and_cost_the_same() -> None:
    _, from_stream, failure = streamed([b"".join(STREAM)], HERE)
    from_body = whole(BODY, HERE)
    assert from_stream == from_body
    assert failure is None
    assert from_body.choices[0].parts == (
        Reasoning("음", "S"),
        Text("안녕"),
        ToolCall("t1", "f", '{"city":"서울"}'),
        ToolCall("t2", "g", "{}"),
    )
    assert from_body.report is not None
    assert from_body.report.usage == Usage(
        input=10, cache_read=5, cache_write_5m=4, cache_write_1h=3, output=4
    )


def test_a_stream_cut_anywhere_in_a_message_is_incomplete() -> None:
    stream = b"".join(STREAM)
    for cut in (5, 20, len(stream) - len(STREAM[-1]) - len(STREAM[-2]) - 3):
        _, completion, _ = streamed([stream[:cut]], HERE)
        assert completion is not None
        assert not completion.complete


def test_a_stream_without_metadata_ends_and_has_no_usage() -> None:
    _, completion, _ = streamed(STREAM[:-1], HERE)
    assert completion is not None
    assert (completion.complete, completion.report) == (True, None)


def test_an_exception_in_the_stream_is_named() -> None:
    thrown = message({"message": "slow down"}, message_type="exception", exception_type="throttlingException")
    deltas, completion, failure = streamed([*STREAM[:6], thrown], HERE)
    assert "".join(d.text for d in deltas) == "안녕"
    assert isinstance(failure, UpstreamRateLimited)
    assert failure.upstream_code == "throttlingException"
    assert completion is not None
    assert not completion.complete


def test_a_wrong_checksum_is_a_protocol_error() -> None:
    broken = bytearray(STREAM[4])
    broken[-6] ^= 1
    *_, failure = streamed([*STREAM[:4], bytes(broken)], HERE)
    assert isinstance(failure, UpstreamProtocolError)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b'{"output":{"message":{}}}'])
def test_a_body_of_another_kind_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        whole(body, HERE)


def test_a_total_with_or_without_the_cache_is_right_and_any_other_is_flagged() -> None:
    raw = {"inputTokens": 10, "outputTokens": 4, "cacheReadInputTokens": 5}
    assert not report_of({**raw, "totalTokens": 19}).usage.quarantined
    assert not report_of({**raw, "totalTokens": 14}).usage.quarantined
    assert report_of({**raw, "totalTokens": 15}).usage.quarantined
