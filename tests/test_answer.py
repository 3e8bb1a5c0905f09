"""Answers on their way back: what a reader gets does not depend on which deltas arrived together."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.decision import decide
from filters.engine import Engine
from filters.inspector import Inspector
from filters.policy import EXTERNAL, default_policy
from gateway.answer import Channels
from gateway.domain import Choice, Completion, Delta, Reasoning, Text, ToolCall, ToolCallDelta

PIECES = st.sampled_from(
    [
        "도로 점용 ",
        "허가는 ",
        "담당 ⟦PER",
        "SON_1⟧ 주무관",
        "010-",
        "900101",
        "-1234",
        "568",
        "비밀번호는 ",
        "hunter2x ",
        "안내합니다.",
    ]
)
DELTAS = st.lists(
    st.one_of(
        st.builds(lambda text, choice: Delta(choice, text), PIECES, st.integers(0, 1)),
        st.builds(lambda text: Delta(0, "", text), PIECES),
        st.builds(lambda text: Delta(1, text, finish_reason="stop"), PIECES),
    ),
    max_size=14,
)


@lru_cache
def inspected():
    inspector = Inspector(Engine())
    body = {"messages": [{"role": "user", "content": "담당자 홍길동 주무관에게 회신해 주세요."}]}
    verdict = decide(inspector.detect(body), default_policy().zones[EXTERNAL])
    assert "홍길동" in verdict.masks.values()
    return verdict, inspector.engine


def read(batches):
    """Text and reasoning by choice, as a reader puts them together."""
    verdict, engine = inspected()
    channels = Channels(verdict, engine)
    said: dict[tuple[int, str], str] = {}
    out = [delta for batch in batches for delta in channels.deltas(batch)] + channels.flush()
    for delta in out:
        for kind in ("text", "reasoning"):
            said[delta.choice, kind] = said.get((delta.choice, kind), "") + getattr(delta, kind)
    return {channel: text for channel, text in said.items() if text}, [f.span.type for f in channels.findings]


@given(DELTAS)
def test_deltas_that_arrive_together_read_like_those_that_arrive_alone(deltas):
    assert read([deltas]) == read([[delta] for delta in deltas])


@pytest.mark.parametrize("together", [True, False])
def test_a_number_that_is_split_over_fragments_is_masked(together):
    deltas = [
        Delta(0, "번호는 "),
        Delta(0, "900101"),
        Delta(0, "-1234"),
        Delta(0, "568"),
        Delta(0, "입니다."),
    ]
    said, found = read([deltas] if together else [[delta] for delta in deltas])
    assert said == {(0, "text"): "번호는 [주민등록번호 가림]입니다."}
    assert found == ["KR_RRN"]


def test_quiet_fragments_of_a_text_leave_as_they_came():
    deltas = [
        Delta(0, "도로 점용 "),
        Delta(0, "허가는 "),
        Delta(0, "관리청에 "),
        Delta(0, "", finish_reason="stop"),
    ]
    verdict, engine = inspected()
    assert Channels(verdict, engine).deltas(deltas) == deltas


@pytest.mark.parametrize(
    ("before", "last", "said"),
    [
        ("번호 900101-1", "234568", "번호 [주민등록번호 가림]"),
        ("담당 ⟦PER", "SON_1⟧", "담당 홍길동"),
    ],
)
def test_a_last_word_that_comes_with_the_finish_reason_is_read_with_what_came_before(before, last, said):
    verdict, engine = inspected()
    out = Channels(verdict, engine).deltas([Delta(0, before), Delta(0, last, finish_reason="stop")])
    assert "".join(delta.text for delta in out) == said
    assert all(delta.finish_reason is None for delta in out[:-1])
    assert out[-1] == Delta(0, finish_reason="stop")


def kinds(deltas):
    """Each delta that says something, as what it says."""
    return [
        next(
            (kind, getattr(delta, kind))
            for kind in ("text", "reasoning", "tool_calls", "extra", "finish_reason")
            if getattr(delta, kind)
        )
        for delta in deltas
        if delta != Delta(delta.choice)
    ]


def test_what_is_held_of_a_channel_leaves_before_the_next_one_begins():
    verdict, engine = inspected()
    begin = ToolCallDelta(0, "call_1", "find")
    deltas = [
        Delta(0, reasoning="So the answer is "),
        Delta(0, reasoning="42."),
        Delta(0, extra={"signature": "SIG"}),
        Delta(0, "I look up order "),
        Delta(0, "12345."),
        Delta(0, tool_calls=(begin,)),
        Delta(0, finish_reason="tool_calls"),
    ]
    channels = Channels(verdict, engine)
    assert kinds([out for delta in deltas for out in channels.deltas([delta])]) == [
        ("reasoning", "So the answer is "),
        ("reasoning", "42."),
        ("extra", {"signature": "SIG"}),
        ("text", "I look up order "),
        ("text", "12345."),
        ("tool_calls", (begin,)),
        ("finish_reason", "tool_calls"),
    ]


def arguments(*fragments):
    """What is left of the arguments of calls, by index, in order."""
    verdict, engine = inspected()
    channels = Channels(verdict, engine)
    out = [delta for call in fragments for delta in channels.deltas([Delta(0, tool_calls=(call,))])]
    out += channels.deltas([Delta(0, finish_reason="tool_calls")])
    return [(call.index, call.arguments) for delta in out for call in delta.tool_calls if call.arguments]


def test_a_call_is_whole_before_the_next_one_begins():
    left = arguments(
        ToolCallDelta(0, "a", "set", '{"secret": '),
        ToolCallDelta(0, arguments="false}"),
        ToolCallDelta(1, "b", "get", "{}"),
    )
    assert [index for index, _ in left] == sorted(index for index, _ in left)
    assert "".join(text for index, text in left if index == 0) == '{"secret": false}'


def test_calls_whose_fragments_alternate_are_restored_all_the_same():
    left = arguments(
        ToolCallDelta(0, "a", "f", ""),
        ToolCallDelta(1, "b", "f", ""),
        ToolCallDelta(0, arguments='{"n":"⟦PER'),
        ToolCallDelta(1, arguments='{"n":"⟦PER'),
        ToolCallDelta(0, arguments='SON_1⟧"}'),
        ToolCallDelta(1, arguments='SON_1⟧"}'),
    )
    for index in (0, 1):
        assert "".join(text for at, text in left if at == index) == '{"n":"홍길동"}'


def test_logprobs_say_nothing_that_the_text_does_not():
    verdict, engine = inspected()
    said = {"content": [{"token": "900101-1234568"}]}
    harmless = {"content": [{"token": "안녕"}]}
    streamed = [
        Delta(0, "안녕", logprobs=harmless),
        Delta(0, " 900101-1234568", logprobs=said),
        Delta(0, "", finish_reason="stop"),
    ]
    assert [d.logprobs for d in Channels(verdict, engine).deltas(streamed) if d.logprobs] == [harmless]
    whole = Completion("", "m", (Choice(0, (Text("번호 900101-1234568"),), "stop", logprobs=said),), None)
    (choice,) = Channels(verdict, engine).completion(whole).choices
    assert (choice.parts, choice.logprobs) == ((Text("번호 [주민등록번호 가림]"),), None)


THOUGHT = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}


def details(*pieces):
    return [Delta(0, extra={"reasoning_details": [piece]}) for piece in pieces]


def said_beside(deltas, together):
    """What a reader puts together of thoughts and of sound, and the proofs that came with them."""
    verdict, engine = inspected()
    channels = Channels(verdict, engine)
    out = [d for batch in ([deltas] if together else [[d] for d in deltas]) for d in channels.deltas(batch)]
    extras = [delta.extra for delta in out + channels.flush() if delta.extra]
    thoughts = [piece for extra in extras for piece in extra.get("reasoning_details", ())]
    text = "".join(piece.get("text") or "" for piece in thoughts)
    sound = "".join(extra.get("audio", {}).get("transcript") or "" for extra in extras)
    return text, sound, [piece["signature"] for piece in thoughts if piece.get("signature")]


@pytest.mark.parametrize("together", [True, False])
def test_a_number_that_is_split_over_pieces_of_a_thought_is_masked_and_the_thought_loses_its_proof(together):
    pieces = ("담당 ⟦PER", "SON_1⟧의 번호는 900101", "-1234", "568")
    streamed = details(*({**THOUGHT, "text": text} for text in pieces), {**THOUGHT, "signature": "SIG"})
    masked = "담당 홍길동의 번호는 [주민등록번호 가림]"
    assert said_beside([*streamed, Delta(0, finish_reason="stop")], together) == (masked, "", [])


@pytest.mark.parametrize("together", [True, False])
def test_a_thought_that_is_only_restored_keeps_its_proof(together):
    streamed = details({**THOUGHT, "text": "담당 ⟦PERSON"}, {**THOUGHT, "text": "_1⟧ 12", "signature": "SIG"})
    assert said_beside(streamed, together) == ("담당 홍길동 12", "", ["SIG"])


def test_what_is_held_of_a_thought_leaves_before_the_text_begins():
    verdict, engine = inspected()
    deltas = [*details({**THOUGHT, "text": "답은 42"}), Delta(0, "네.")]
    out = Channels(verdict, engine).deltas(deltas)
    assert [d.extra["reasoning_details"][0]["text"] if d.extra else d.text for d in out] == [
        "답은 ",
        "42",
        "네.",
    ]


@pytest.mark.parametrize("together", [True, False])
def test_what_sound_says_is_guarded_as_text_is(together):
    sounds = [
        {"id": "a", "data": "UklGRg=="},
        *({"transcript": t} for t in ("담당 ⟦PERSON_", "1⟧ 900101-1", "234568")),
    ]
    streamed = [Delta(0, extra={"audio": sound}) for sound in sounds]
    masked = "담당 홍길동 [주민등록번호 가림]"
    assert said_beside([*streamed, Delta(0, finish_reason="stop")], together) == ("", masked, [])


LEAKING = {
    "audio": {"id": "a", "data": "UklGRg==", "transcript": "⟦PERSON_1⟧ 900101-1234568"},
    "annotations": [
        {"type": "url_citation", "url_citation": {"title": "900101-1234568", "url": "https://a.kr"}}
    ],
    "reasoning_details": [
        {**THOUGHT, "text": "900101-1234568", "signature": "SIG"},
        {**THOUGHT, "text": "⟦PERSON_1⟧", "signature": "SIG"},
        {"type": "reasoning.summary", "summary": "900101-1234568"},
        {"type": "reasoning.encrypted", "data": "900101-1234568"},
    ],
    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,900101-1234568"}}],
}
GUARDED = {
    "audio": {"id": "a", "data": "UklGRg==", "transcript": "홍길동 [주민등록번호 가림]"},
    "annotations": [
        {"type": "url_citation", "url_citation": {"title": "[주민등록번호 가림]", "url": "https://a.kr"}}
    ],
    "reasoning_details": [
        {**THOUGHT, "text": "[주민등록번호 가림]"},
        {**THOUGHT, "text": "홍길동", "signature": "SIG"},
        {"type": "reasoning.summary", "summary": "[주민등록번호 가림]"},
        {"type": "reasoning.encrypted", "data": "900101-1234568"},
    ],
    "images": LEAKING["images"],
}


def test_what_an_answer_carries_beside_its_text_is_guarded_and_data_is_not_read():
    verdict, engine = inspected()
    channels = Channels(verdict, engine)
    whole = Completion("", "m", (Choice(0, (Text("네"),), "stop", extra=LEAKING),), None)
    assert channels.completion(whole).choices[0].extra == GUARDED
    assert [finding.span.type for finding in channels.findings] == ["KR_RRN"] * 4
    ended = Channels(verdict, engine).deltas([Delta(0, finish_reason="stop", extra=LEAKING)])
    assert ended[0].extra["annotations"] == GUARDED["annotations"]
    assert ended[-1] == Delta(0, finish_reason="stop")


def test_a_thought_that_was_changed_loses_its_proof():
    verdict, engine = inspected()
    leaking = [Delta(0, reasoning="900101-1234568"), Delta(0, extra={"signature": "SIG"})]
    assert not any(d.extra for d in Channels(verdict, engine).deltas(leaking))
    openai = [leaking[0], Delta(0, extra={"signature": "SIG", "reasoning_id": "rs_1"})]
    assert Channels(verdict, engine).deltas(openai)[-1].extra == openai[1].extra
    parts = (
        Reasoning("900101-1234568", "SIG"),
        Reasoning("⟦PERSON_1⟧", "SIG"),
        Reasoning("900101-1234568", "SIG", extra={"id": "rs_1"}),
    )
    whole = Completion("", "m", (Choice(0, parts, "stop"),), None)
    (choice,) = Channels(verdict, engine).completion(whole).choices
    assert [part.signature for part in choice.parts] == [None, "SIG", "SIG"]


@pytest.mark.parametrize("kind", ["reasoning", "refusal"])
def test_logprobs_do_not_spell_out_a_masked_thought_or_refusal(kind):
    verdict, engine = inspected()
    said = {"content": [{"token": "900101-1234568"}]}
    out = Channels(verdict, engine).deltas([Delta(0, logprobs=said)._replace(**{kind: "900101-1234568"})])
    assert [delta.logprobs for delta in out if delta.logprobs] == []


def test_logprobs_without_a_text_spell_no_identifier_however_it_is_split():
    verdict, engine = inspected()
    tokens = ("안녕", "900101", "-1234568", "<|im_end|>")
    deltas = [Delta(0, logprobs={"content": [{"token": token}]}) for token in tokens]
    deltas[-1] = deltas[-1]._replace(finish_reason="stop")
    channels = Channels(verdict, engine)
    out = [d for delta in deltas for d in channels.deltas([delta])]
    said = [step["token"] for d in out if d.logprobs for step in d.logprobs["content"]]
    assert "안녕" in said
    assert not {"900101", "-1234568"} & set(said)
    assert out[-1].finish_reason == "stop"


def test_the_name_of_a_call_is_guarded_too():
    verdict, engine = inspected()
    streamed = Channels(verdict, engine).deltas(
        [Delta(0, tool_calls=(ToolCallDelta(0, "a", "900101-1234568", "{}"),))]
    )
    assert [call.name for d in streamed for call in d.tool_calls if call.name] == ["[주민등록번호 가림]"]
    calls = (ToolCall("a", "900101-1234568", "{}"), ToolCall("b", "find_road", "{}"))
    whole = Completion("", "m", (Choice(0, calls, "tool_calls"),), None)
    (choice,) = Channels(verdict, engine).completion(whole).choices
    assert [part.name for part in choice.parts] == ["[주민등록번호 가림]", "find_road"]
