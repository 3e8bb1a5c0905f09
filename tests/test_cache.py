"""The same answer to the same question: whose, for how long, and how much of it is kept."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.verdict import Action
from gateway.cache import AnswerCache, CacheRules, as_deltas
from gateway.domain import Call, Caller, Choice, Completion, Image, Reasoning, Text, ToolCall, Zone
from gateway.surfaces import messages, responses
from tests.providers.exchanges import deployment, sse, streamed

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CALLER = Caller("p1", "k1", "general", ("seoul", "general"))
CALL = Call("r", CALLER, NOW, "chat")
BODY = {"model": "m", "messages": [{"role": "user", "content": "안녕"}]}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def way(**more):
    receipt = SimpleNamespace(policy_version="1", rules_version="r1", action=Action.ALLOW)
    for name in ("policy_version", "rules_version", "action"):
        setattr(receipt, name, more.get(name, getattr(receipt, name)))
    return SimpleNamespace(
        model=SimpleNamespace(id=more.get("model", "m")),
        zones=frozenset(more.get("zones", {Zone.EXTERNAL})),
        judged=more.get("judged", Zone.EXTERNAL),
        verdict=SimpleNamespace(receipt=receipt),
    )


def cache(**rules) -> AnswerCache:
    return AnswerCache(b"k" * 32, CacheRules(**rules), Clock())


def answer(*parts, reason="stop", complete=True) -> Completion:
    return Completion("id", "m", (Choice(0, parts or (Text("네"),), reason),), None, complete=complete)


def test_everything_that_may_make_a_difference_makes_another_key():
    made = cache()
    other_caller = dataclasses.replace(CALLER, department_id="hr", unit_path=("seoul", "hr"))
    keys = [
        made.key(CALL, way(), BODY),
        made.key(dataclasses.replace(CALL, caller=other_caller), way(), BODY),
        made.key(dataclasses.replace(CALL, surface="messages"), way(), BODY),
        made.key(dataclasses.replace(CALL, label="title_generation"), way(), BODY),
        made.key(CALL, way(policy_version="2"), BODY),
        made.key(CALL, way(rules_version="r2"), BODY),
        made.key(CALL, way(action=Action.MASK), BODY),
        made.key(CALL, way(model="n"), BODY),
        made.key(CALL, way(zones={Zone.IN_HOUSE}, judged=Zone.IN_HOUSE), BODY),
        made.key(CALL, way(), {**BODY, "temperature": 0}),
        made.key(CALL, way(), {**BODY, "messages": [{"role": "user", "content": "안녕 "}]}),
        AnswerCache(b"x" * 32, CacheRules(), Clock()).key(CALL, way(), BODY),
    ]
    assert len(set(keys)) == len(keys)


def test_a_colleague_of_the_same_department_and_the_way_of_sending_make_none():
    made = cache()
    colleague = dataclasses.replace(CALLER, person_id="p9", key_id="k9")
    key = made.key(CALL, way(), BODY)
    assert made.key(dataclasses.replace(CALL, caller=colleague, request_id="s"), way(), BODY) == key
    assert made.key(CALL, way(), {"stream": True, "stream_options": {}, **BODY}) == key


def test_an_answer_is_kept_for_its_time():
    made = cache(ttl_s=10.0)
    made.put(b"1", answer(), None, None)
    made._clock.now = 9.9
    assert made.get(b"1").completion == answer()
    made._clock.now = 10.0
    assert made.get(b"1") is None
    assert made._bytes == 0


def test_what_is_not_whole_or_not_text_is_not_kept():
    made = cache()
    for completion in (
        answer(complete=False),
        answer(reason="length"),
        answer(reason=None),
        answer(Image("data:")),
        Completion("id", "m", (), None),
    ):
        made.put(b"1", completion, None, None)
        assert made.get(b"1") is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3_000)), max_size=60))
def test_neither_entries_nor_bytes_grow_beyond_their_bounds(puts):
    made = cache(most_entries=5, most_bytes=60_000)
    for key, length in puts:
        made.put(bytes([key]), answer(Text("가" * length)), None, None)
        assert len(made._entries) <= 5
        assert made._bytes == sum(entry.size for entry in made._entries.values()) <= 60_000


def test_the_least_used_goes_first():
    made = cache(most_entries=2)
    made.put(b"1", answer(), None, None)
    made.put(b"2", answer(), None, None)
    made.get(b"1")
    made.put(b"3", answer(), None, None)
    assert [made.get(key) is not None for key in (b"1", b"2", b"3")] == [True, False, True]


def test_an_answer_becomes_the_deltas_of_a_stream():
    calls = (ToolCall("c1", "f", "{}"), ToolCall("c2", "g", '{"a":1}'))
    deltas = as_deltas(answer(Reasoning("음"), Text("네"), *calls, reason="tool_calls"))
    assert [d.reasoning for d in deltas if d.reasoning] == ["음"]
    assert [d.text for d in deltas if d.text] == ["네"]
    assert [(c.index, c.id, c.name, c.arguments) for d in deltas for c in d.tool_calls] == [
        (0, "c1", "f", "{}"),
        (1, "c2", "g", '{"a":1}'),
    ]
    assert deltas[-1].finish_reason == "tool_calls"


def again(wire, *events):
    """The deltas of a provider's stream, and those of the same answer from the cache."""
    deltas, completion, _ = streamed([sse(*events)], deployment(wire))
    return deltas, as_deltas(completion)


def heard(surface, deltas):
    """A stream as a client of that dialect hears it."""
    encoder = surface.StreamEncoder("m", "1", 0, include_usage=True)
    return encoder.deltas(deltas) + encoder.end(None, {})


CLAUDES = [
    {"type": "message_start", "message": {"id": "1", "model": "m", "usage": {}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "음"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "SIG"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "R"}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "네"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    {"type": "message_stop"},
]
OPENAIS = [
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "음"},
    {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": {"type": "reasoning", "id": "rs_1", "encrypted_content": "E"},
    },
    {"type": "response.output_text.delta", "output_index": 1, "delta": "네"},
    {"type": "response.completed", "response": {"status": "completed"}},
]


@pytest.mark.parametrize("surface", [messages, responses])
@pytest.mark.parametrize(("wire", "events"), [("anthropic", CLAUDES), ("responses", OPENAIS)])
def test_an_answer_that_is_given_again_keeps_the_proofs_of_its_thoughts(surface, wire, events):
    first, second = again(wire, *events)
    assert heard(surface, second) == heard(surface, first)
    proofs = ("SIG", "R") if wire == "anthropic" else ("E",)
    assert all(f'{proof}"'.encode() in heard(surface, second) for proof in proofs)


def test_an_answer_that_is_given_again_carries_what_it_carried():
    def event(**delta):
        return {"choices": [{"index": 0, "delta": delta, "logprobs": delta.pop("logprobs", None)}]}

    cited = {"type": "url_citation", "url_citation": {"url": "https://a.kr", "title": "가"}}
    thought = {"type": "reasoning.text", "text": "음", "signature": "SIG", "index": 0}
    said = {"content": [{"token": "네", "logprob": -0.1}]}
    sound = {"id": "a", "data": "UklGRg==", "transcript": "네"}
    first, second = again(
        "openai",
        event(reasoning_details=[thought]),
        event(content="네", logprobs=said),
        event(audio=sound),
        event(annotations=[cited]),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    )

    def beside(deltas):
        return [d.logprobs for d in deltas if d.logprobs], {
            k: v for d in deltas for k, v in (d.extra or {}).items()
        }

    assert beside(second) == beside(first)
    assert [bool(delta.text) for delta in second[:2]] == [False, True], "thoughts come before the text"


def test_proofs_and_what_is_carried_count_as_bytes():
    made = cache()
    carries = Choice(
        0, (Reasoning("", "S" * 1_000, "R" * 1_000),), "stop", extra={"annotations": ["가" * 1_000]}
    )
    made.put(b"1", Completion("id", "m", (carries,), None), None, None)
    assert made._bytes > 4 * 3_000
