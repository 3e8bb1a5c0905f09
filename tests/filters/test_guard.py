"""The answer's guard: what the prompt did not hold does not reach the reader, however it is split."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.decision import normalised
from filters.engine import Engine
from filters.errors import DetectorFailed
from filters.guard import HELD_AT_MOST, AnswerGuard
from filters.verdict import Action
from tests.filters.wordfinder import WordFinder

ENGINE = Engine()
RRN = "901010-1234567"
CARD = "4111-1111-1111-1111"


def guarded(chunks, **options):
    guard = AnswerGuard(ENGINE, **options)
    return "".join(guard.feed(chunk) for chunk in chunks) + guard.flush(), guard


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("주민등록번호", RRN),
        ("카드번호", CARD),
        ("주민등록번호", "9010101234567"),
        ("여권번호", "M12345678"),
        ("접근 키", "**AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_an_identifier_that_was_not_in_the_prompt_is_masked_at_every_chunk_size(label, value, size):
    text = f"그분의 {label}는 {value}입니다. 감사합니다."
    shown, guard = guarded([text[i : i + size] for i in range(0, len(text), size)])
    assert value.strip("*")[:6] not in shown
    assert "M" not in shown
    assert "가림]" in shown
    assert shown.endswith("입니다. 감사합니다.")
    assert [f.action for f in guard.findings] == [Action.MASK]


def test_what_the_prompt_held_is_not_masked():
    shown, guard = guarded([f"번호 {RRN} 확인"], known=frozenset({normalised(RRN)}))
    assert RRN in shown
    assert not guard.findings


@pytest.mark.parametrize(
    "prompt", [f"주문번호 {CARD} 조회", {"messages": [{"n": 4111111111111111}]}, ["4111 1111 11111111"]]
)
def test_what_the_prompt_held_is_known_also_where_nobody_took_it_for_an_identifier(prompt):
    shown, guard = guarded([f"카드번호 {CARD}입니다"], prompt=prompt)
    assert CARD in shown
    assert not guard.findings


def test_a_leak_is_recorded_once_however_long_it_waits():
    text = f"주민등록번호 {RRN} 다음 카드번호 {CARD}"
    _, guard = guarded(list(text))
    assert [found.span.type for found in guard.findings] == ["KR_RRN", "CREDIT_CARD"]


def test_names_and_contacts_are_not_looked_for():
    text = "홍길동 주무관(010-1234-5678, hong@example.com)에게 문의하세요."
    shown, guard = guarded([text])
    assert shown == text
    assert not guard.findings


@given(st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=60)
def test_no_split_lets_a_number_through(cuts):
    text = f"주민등록번호: {RRN} 카드: {CARD} 끝"
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    shown, _ = guarded([text[a:b] for a, b in pairwise(places)])
    assert shown == "주민등록번호: [주민등록번호 가림] 카드: [카드번호 가림] 끝"


@given(st.text(alphabet="0123456789- 가나.abc\n", max_size=120), st.integers(1, 7))
@settings(max_examples=60)
def test_at_most_forty_characters_wait(text, size):
    guard = AnswerGuard(WordFinder({}))
    fed = shown = 0
    for i in range(0, len(text), size):
        fed += len(text[i : i + size])
        shown += len(guard.feed(text[i : i + size]))
        assert fed - shown <= HELD_AT_MOST
    assert shown + len(guard.flush()) == len(text)


def test_ordinary_korean_does_not_wait():
    guard = AnswerGuard(WordFinder({}))
    for chunk in ("보고서 ", "초안을 ", "작성했습니다. ", "예산은 12억 원", "입니다."):
        assert guard.feed(chunk) == chunk


def test_a_secret_longer_than_the_window_is_swallowed_to_its_end():
    key = "sk-proj-" + "Ab3dEf6hIj9kLm2n" * 8
    finder = WordFinder({key[:40]: "SECRET"})  # only its head is ever recognised
    for size in (1, 7, 40, 500):
        text = f"키는 {key} 입니다"
        guard = AnswerGuard(finder)
        shown = "".join(guard.feed(text[i : i + size]) for i in range(0, len(text), size)) + guard.flush()
        assert "Lm2n" not in shown
        assert shown.endswith(" 입니다")


def test_a_password_is_masked_when_its_label_came_long_before_it():
    text = "관리자 계정의 비밀번호는 Tr0ub4dor&3x 입니다. 다음 안내를 보세요."
    for size in (1, 2, 3, 5, 9, 100):
        shown, _ = guarded([text[i : i + size] for i in range(0, len(text), size)])
        assert "Tr0ub4" not in shown
        assert shown.endswith(" 다음 안내를 보세요.")


def test_a_private_key_is_swallowed_to_its_last_line():
    head = "-----BEGIN PRIVATE KEY-----"
    block = f"{head}\nMIIEvQIBADANBgkq\nhkiG9w0BAQEF\n-----END PRIVATE KEY-----"
    finder = WordFinder({head: "SECRET"})
    for size in (1, 5, 30, 500):
        text = f"여기:\n{block}\n끝"
        guard = AnswerGuard(finder)
        shown = "".join(guard.feed(text[i : i + size]) for i in range(0, len(text), size)) + guard.flush()
        assert "MIIE" not in shown
        assert "hkiG" not in shown
        assert shown.endswith("\n끝")


def test_what_is_masked_in_arguments_leaves_json_behind():
    for source in (f'{{"rrn": "{RRN}", "n": 1}}', '{"card": 4111111111111111, "n": 1}'):
        for size in (1, 4, 100):
            chunks = [source[i : i + size] for i in range(0, len(source), size)]
            shown, _ = guarded(chunks, in_json=True)
            assert json.loads(shown)["n"] == 1
            assert "4111111" not in shown
            assert "901010" not in shown


def test_findings_carry_a_place_and_a_keyed_hash_and_no_value():
    _, guard = guarded([f"주민등록번호 {RRN}"], path="answer.text", hash_key=b"k" * 32)
    found = guard.findings[0]
    assert found.path == "answer.text"
    assert len(found.value_hash) == 32
    assert RRN not in repr(guard.findings)


def test_a_failing_detector_stops_the_answer():
    class Broken(WordFinder):
        def detect(self, text):
            raise RuntimeError(text)

    with pytest.raises(DetectorFailed) as failure:
        AnswerGuard(Broken({})).feed(f"번호 {RRN} 입니다")
    assert RRN not in str(failure.value)
    assert failure.value.__cause__ is None
