"""Each wire format of the simulator, read back by the gateway's own adapter for it.

Two independent writings of the same documents check each other here; the books then need no faith.
"""

from __future__ import annotations

import json
import struct
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue import Deployment
from gateway.domain import ChatRequest, Image, Message, Text, Tool, ToolCall, ToolChoice, ToolResult, Zone
from gateway.providers import adapter
from simulator import answers, app
from simulator.dialects import DIALECTS, dialect
from simulator.wires import bedrock

LOOKUP = Tool("조회", "부서 조회", {"type": "object", "properties": {"부서": {"type": "string"}}})
PLACES = [
    ("openai", "openai", "openai"),
    ("openai", "generic", "meta"),
    ("openai", "upstage", "upstage"),
    ("openai", "clova", "naver"),
    ("openai", "friendli", "friendli"),
    ("openai", "skt", "skt"),
    ("openai", "kt", "kt"),
    ("openai", "xai", "xai"),
    ("openai", "mistral", "mistral"),
    ("openai", "groq", "groq"),
    ("openai", "deepseek", "deepseek"),
    ("openai", "perplexity", "perplexity"),
    ("responses", "responses", "openai"),
    ("anthropic", "anthropic", "anthropic"),
    ("gemini", "gemini", "google"),
    ("bedrock", "bedrock", "aws"),
    ("cohere", "cohere", "cohere"),
]


def deployment(wire: str, profile: str, provider: str) -> Deployment:
    return Deployment(
        id=f"m@{provider}",
        model_id="m",
        provider=provider,
        wire=wire,
        profile=profile,
        base_url=f"http://simulator/{provider}",
        upstream_model="grok-4.7" if provider == "xai" else "some-model",
        zone=Zone.EXTERNAL,
        price_key="any",
        region="us-east-1",
        simulated=True,
    )


def exchange(chat: ChatRequest, place: tuple[str, str, str]) -> SimpleNamespace:
    """Write the request with the adapter, answer it as the simulator does, read the answer back."""
    there = deployment(*place)
    spoken = dialect(there.provider)
    sent = adapter(there.wire).request(chat, there)
    wire, match = app.find(sent.url.removeprefix("http://simulator").partition("?")[0])
    assert wire.name == there.wire
    prompt = wire.parse(json.loads(sent.body), match)
    said = answers.answer(prompt)
    decoder = adapter(there.wire).Decoder(there, stream=chat.stream)
    if chat.stream:
        body = b"".join(wire.module.events(prompt, said, spoken, "id1"))
    else:
        body = wire.module.whole(prompt, said, spoken, "id1")
    deltas = decoder.feed(body)
    return SimpleNamespace(
        prompt=prompt,
        said=said,
        deltas=deltas,
        completion=decoder.finish(),
        billed=wire.module.billed(said.counts, spoken),
    )


def ask(text: str, *, stream: bool, **more) -> ChatRequest:
    return ChatRequest("m", (Message("user", (Text(text),)),), stream=stream, include_usage=True, **more)


def classes(usage) -> dict[str, int]:
    return {
        "input": usage.input or 0,
        "cache_read": usage.cache_read or 0,
        "cache_write": (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0),
        "output": usage.output or 0,
        "reasoning": usage.reasoning or 0,
    }


def agrees(done: SimpleNamespace) -> None:
    usage = done.completion.report.usage
    assert not usage.quarantined
    expected = {name: getattr(done.billed, name) for name in classes(usage)}
    assert classes(usage) == expected


@pytest.mark.parametrize("place", PLACES, ids="-".join)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_adapter_reads_the_text_the_end_and_every_token_class(place, stream):
    for number in range(12):  # the digest varies cached, written and reasoning tokens
        done = exchange(
            ask(f"{number}번 보고서 초안을 작성해 주세요. ⟦PERSON_1⟧ 님께 보냅니다.", stream=stream), place
        )
        assert "".join(delta.text for delta in done.deltas) == (done.said.text if stream else "")
        parts = done.completion.choices[0].parts
        assert "".join(part.text for part in parts if isinstance(part, Text)) == done.said.text
        assert done.completion.choices[0].finish_reason == "stop"
        assert done.completion.complete
        agrees(done)


@pytest.mark.parametrize("place", [p for p in PLACES if p[2] != "perplexity"], ids="-".join)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_calls_survive_the_way_there_and_back(place, stream):
    done = exchange(ask("총무과를 조회해 주세요", stream=stream, tools=(LOOKUP,)), place)
    (call,) = (part for part in done.completion.choices[0].parts if isinstance(part, ToolCall))
    assert (call.name, json.loads(call.arguments)) == ("조회", {"부서": "총무과를 조회해 주세요"})
    assert done.completion.choices[0].finish_reason == "tool_calls"
    agrees(done)


@pytest.mark.parametrize("place", [p for p in PLACES if p[2] != "perplexity"], ids="-".join)
def test_a_tool_result_reaches_the_answer(place):
    turns = (
        Message("system", (Text("공문서 문체로 답합니다."),)),
        Message("user", (Text("집행률은?"),)),
        Message("assistant", (ToolCall("call_1", "조회", '{"부서": "총무과"}'),)),
        Message("tool", (ToolResult("call_1", (Text("집행률 41%"),)),)),
    )
    done = exchange(ChatRequest("m", turns, tools=(LOOKUP,)), place)
    assert "집행률 41%" in done.said.text
    assert "공문서 문체" in done.prompt.everything
    agrees(done)


@pytest.mark.parametrize("place", [p for p in PLACES if p[2] != "perplexity"], ids="-".join)
def test_a_demanded_tool_call_is_understood(place):
    done = exchange(ask("조회", stream=False, tools=(LOOKUP,), tool_choice=ToolChoice("required")), place)
    assert done.said.finish == "tool"


@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_a_cut_answer_says_so(place):
    done = exchange(ask("안내문을 작성해 주세요", stream=True, max_output_tokens=20), place)
    assert done.completion.choices[0].finish_reason == "length"
    agrees(done)


@pytest.mark.parametrize("wire", ["openai", "responses", "anthropic", "gemini", "bedrock"])
def test_images_count_as_input(wire):
    place = next(p for p in PLACES if p[0] == wire)
    url = "data:image/png;base64,iVBORw0KGgo="
    seen = Message("user", (Text("사진을 설명해 주세요"), Image(url)))
    assert exchange(ChatRequest("m", (seen,)), place).prompt.images == 1


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=300), st.sampled_from(PLACES), st.booleans())
def test_no_text_breaks_a_wire_or_the_books(text, place, stream):
    agrees(exchange(ask(text, stream=stream), place))


def test_xai_and_perplexity_state_their_cost():
    for place in (p for p in PLACES if DIALECTS.get(p[2]) and DIALECTS[p[2]].cost == "xai"):
        done = exchange(ask("조사 계획", stream=True), place)
        assert done.completion.report.stated_cost_usd > 0


def test_a_frame_of_the_event_stream_carries_its_checksums():
    frame = bedrock.frame("metadata", {"usage": {}})
    total, headers, prelude_crc = struct.unpack(">III", frame[:12])
    assert total == len(frame)
    assert headers < total
    assert prelude_crc == zlib.crc32(frame[:8])
    assert struct.unpack(">I", frame[-4:])[0] == zlib.crc32(frame[:-4])
