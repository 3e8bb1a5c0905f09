from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import answers, tokens
from simulator.exchange import Prompt, Tool


def prompt(text: str, **more) -> Prompt:
    return Prompt(model="m", question=text, everything=text, **more)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("다음을 요약해 주세요.\n서울시는 29종의 모델을 쓴 만큼 과금한다고 밝혔다.", "핵심 내용"),
        ("⟦PERSON_1⟧님의 주차 민원에 답해 주세요.", "⟦PERSON_1⟧님"),
        ("지방자치법 제28조를 알려 주세요.", "국가법령정보센터"),
        ("행사 추진계획 보고서를 써 주세요.", "추진배경"),
        ("안녕하세요", "답변드립니다"),
    ],
)
def test_each_kind_of_question_gets_its_kind_of_answer_and_says_it_is_an_example(question, expected):
    text = answers.answer(prompt(question)).text
    assert expected in text
    assert text.endswith(answers.NOTICE)


def test_every_mask_of_the_prompt_is_repeated_so_that_its_restoration_can_be_seen():
    said = answers.answer(prompt("⟦PERSON_1⟧ ⟦PHONE_NUMBER_1⟧ ⟦KR_ADDRESS_2⟧ 처리해 주세요.")).text
    assert all(mask in said for mask in ("⟦PERSON_1⟧", "⟦PHONE_NUMBER_1⟧", "⟦KR_ADDRESS_2⟧"))


def test_the_same_prompt_gets_the_same_answer_streamed_or_not():
    assert answers.answer(prompt("보고서", stream=True)) == answers.answer(prompt("보고서"))


@given(st.text(max_size=400), st.integers(0, 80))
def test_an_answer_keeps_its_limit_and_the_classes_add_up(text, limit):
    said = answers.answer(prompt(text, max_tokens=limit))
    counts = said.counts
    assert counts.output + counts.reasoning <= limit
    assert counts.output == tokens.count(said.text)
    asked = counts.input + counts.cache_read + counts.cache_write
    assert asked == tokens.count(text) + answers.TOKENS_PER_MESSAGE
    assert min(counts.input, counts.cache_read, counts.cache_write) >= 0


def test_usage_details_vary_between_prompts():
    counts = [answers.answer(prompt(f"질문 {i} " * 20)).counts for i in range(40)]
    assert len({c.cache_read for c in counts}) > 2
    assert any(c.cache_write for c in counts)
    assert any(c.reasoning for c in counts)
    assert not all(c.reasoning for c in counts)


def test_a_tool_is_called_once_with_arguments_of_its_schema_and_its_result_is_used():
    schema = {
        "type": "object",
        "properties": {
            "부서": {"type": "string", "enum": ["총무과"]},
            "연도": {"type": "integer", "minimum": 2026},
            "비율": {"type": "number"},
            "상세": {"type": "boolean"},
            "목록": {"type": "array", "items": {"type": ["string", "null"]}},
            "선택": {"anyOf": [{"const": 3}, {"type": "null"}]},
        },
    }
    called = answers.answer(prompt("예산 조회", tools=(Tool("budget", schema),)))
    assert called.finish == "tool"
    assert json.loads(called.tool_calls[0].arguments) == {
        "부서": "총무과",
        "연도": 2026,
        "비율": 1.0,
        "상세": True,
        "목록": ["예산 조회"],
        "선택": 3,
    }
    done = answers.answer(prompt("예산 조회", tools=(Tool("budget", schema),), tool_results=("집행률 41%",)))
    assert not done.tool_calls
    assert "집행률 41%" in done.text


def test_a_schema_is_answered_with_json_that_satisfies_it():
    schema = {"type": "object", "properties": {"제목": {"type": "string"}}}
    assert json.loads(answers.answer(prompt("보고서 제목", json_schema=schema)).text) == {
        "제목": "보고서 제목"
    }


def test_a_mask_is_never_cut_in_a_topic():
    text = "가" * 36 + "⟦PERSON_1⟧ 님의 요청"
    assert "⟦PERS" not in answers.answer(prompt(text)).text.replace("⟦PERSON_1⟧", "")
