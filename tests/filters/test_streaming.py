"""Streams: restored the same wherever they are split, holding back only what may still be a token."""

from __future__ import annotations

import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.decision import decide
from filters.engine import Engine
from filters.inspector import Inspector
from filters.masking import Restorer
from filters.policy import EXTERNAL, default_policy
from filters.streaming import AnswerFilter, StreamRestorer

MASKS = {"⟦PERSON_1⟧": "홍길동", "⟦PERSON_12⟧": "김영희", "⟦KR_ADDRESS_1⟧": 'a"b\\c\n'}

SCRAPS = st.one_of(
    st.sampled_from(
        [*MASKS, "⟦PERSON\\_1⟧", "⟦ person 12 ⟧", "[PERSON_1]", "【PERSON_1】", "⟦PERSON_3⟧", "⟦PER"]
    ),
    st.sampled_from(
        ["\\u27e6PERSON_1\\u27e7", "\\\\u27e6PERSON_1\\u27e7", "\\u27E6KR_ADDRESS_1⟧", "\\\\", "\\", "\\u27"]
    ),
    st.text(alphabet=string.ascii_uppercase + "가 ⟦⟧[]_\\1u27e6\n", max_size=8),
)
TEXTS = st.lists(SCRAPS, max_size=10).map("".join)


def streamed(chunks, *, in_json):
    restorer = StreamRestorer(MASKS, in_json=in_json)
    return "".join(restorer.feed(chunk) for chunk in chunks) + restorer.flush()


def split_at(text, cuts):
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize("token", [*MASKS, "⟦ PERSON_1 ⟧", "[PERSON_1]", "⟦PERSON\\_12⟧"])
def test_every_split_point_of_every_mask_restores_the_text(token):
    text = f"앞 {token}님, {token}{token} 뒤"
    whole = Restorer(MASKS).restore(text)
    assert token not in whole
    for a in range(len(text) + 1):
        for b in range(a, len(text) + 1):
            assert streamed([text[:a], text[a:b], text[b:]], in_json=False) == whole


@given(TEXTS, st.lists(st.integers(0, 80), max_size=6))
def test_a_stream_split_anywhere_restores_like_the_whole(text, cuts):
    assert streamed(split_at(text, cuts), in_json=False) == Restorer(MASKS).restore(text)


@given(TEXTS, st.lists(st.integers(0, 80), max_size=6))
def test_streamed_arguments_restore_like_the_whole(text, cuts):
    assert streamed(split_at(text, cuts), in_json=True) == Restorer(MASKS).restore_json(text)


@given(TEXTS)
def test_one_character_at_a_time_is_no_special_case(text):
    assert streamed(list(text), in_json=False) == Restorer(MASKS).restore(text)
    assert streamed(list(text), in_json=True) == Restorer(MASKS).restore_json(text)


@pytest.mark.parametrize(
    "text", ["보고서를 작성합니다", "arr[0] = 1", "[안내](https://a.kr)", "⟦수식⟧", "[PERSONAL"]
)
def test_text_that_cannot_be_a_token_does_not_wait(text):
    assert StreamRestorer(MASKS).feed(text) == text


@pytest.mark.parametrize("text", ["⟦", "⟦PER", "⟦PERSON_1", "[PERSON_", "【", "⟦ "])
def test_a_possible_beginning_waits(text):
    restorer = StreamRestorer(MASKS)
    assert restorer.feed("앞" + text) == "앞"
    assert restorer.flush() == text


def test_without_masks_nothing_waits():
    assert StreamRestorer({}).feed("⟦PERSON_1") == "⟦PERSON_1"


def test_an_answer_is_guarded_first_and_restored_then():
    engine = Engine()
    verdict = decide(
        Inspector(engine).detect("김민준 과장, hong@example.com"), default_policy().zones[EXTERNAL]
    )
    answer = "⟦PERSON_1⟧님의 주민등록번호는 901010-1234567이고 메일은 ⟦EMAIL_ADDRESS_1⟧입니다."
    whole = "김민준님의 주민등록번호는 [주민등록번호 가림]이고 메일은 hong@example.com입니다."
    for size in range(1, len(answer)):
        channel = AnswerFilter(verdict, engine)
        shown = (
            "".join(channel.feed(answer[i : i + size]) for i in range(0, len(answer), size)) + channel.flush()
        )
        assert shown == whole
        assert len(channel.findings) == 1
    assert AnswerFilter(verdict, engine).whole(answer) == whole
