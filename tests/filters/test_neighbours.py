"""What stands side by side: fragments in small objects do, the numbers of a table do not."""

from __future__ import annotations

import json
import random

import pytest

from filters.decision import decide
from filters.engine import Engine
from filters.inspector import Inspector
from filters.neighbours import newest_said, pieces_of
from filters.policy import EXTERNAL, default_policy
from filters.verdict import Action
from filters.walker import walk

OUT = default_policy().zones[EXTERNAL]


def pieces(body):
    return [piece.text for piece in pieces_of(walk(body).parts)]


def test_values_stand_side_by_side_and_keys_and_ids_do_not():
    body = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "하나"}, {"type": "text", "text": "둘"}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c1", "function": {"arguments": '{"a": "셋", "b": [4444]}'}}],
            },
        ],
        "metadata": {"k": "다섯"},
    }
    assert pieces(body) == ["하나", "둘", "셋", "4444", "다섯"]


def test_escapes_are_gone_and_places_are_kept():
    source = json.dumps({"a": "홍길동 12"})
    (piece,) = pieces_of(walk({"input": source}).parts)
    assert piece.text == "홍길동 12"
    start, end = piece.origin(4, 6)
    assert source[start:end] == "12"


def test_the_newest_message_is_the_users_last_one_and_nothing_else():
    body = {
        "messages": [
            {"role": "user", "content": "처음"},
            {"role": "user", "content": [{"type": "text", "text": "가"}, {"type": "text", "text": "나"}]},
            {"role": "assistant", "content": "답"},
        ],
        "tools": [{"function": {"description": "설명"}}],
    }
    assert [piece.text for piece in newest_said(walk(body).parts)] == ["가", "나"]
    assert [piece.text for piece in newest_said(walk({"input": "글"}).parts)] == ["글"]


@pytest.fixture(scope="module")
def inspector():
    return Inspector(Engine())


def table(rows):
    numbers = random.Random(7)
    return [
        {
            "구": "종로구",
            "세대": numbers.randrange(10**5),
            "인구": numbers.randrange(10**6),
            "예산": numbers.randrange(10**7),
        }
        for _ in range(rows)
    ]


@pytest.mark.parametrize("rows", [20, 300])
def test_a_table_of_figures_is_not_taken_for_split_numbers(inspector, rows):
    result = {
        "messages": [
            {"role": "tool", "tool_call_id": "c", "content": json.dumps(table(rows), ensure_ascii=False)}
        ]
    }
    assert decide(inspector.detect(result), OUT).action is Action.ALLOW
    structured = {"messages": [], "metadata": {"rows": table(rows)}}
    assert decide(inspector.detect(structured), OUT).action is Action.ALLOW
    bare = {
        "messages": [
            {
                "role": "tool",
                "content": json.dumps([v for row in table(rows) for v in (row["인구"], row["예산"])]),
            }
        ]
    }
    assert decide(inspector.detect(bare), OUT).action is Action.ALLOW


def said(content):
    return {"messages": [{"role": "user", "content": json.dumps(content, ensure_ascii=False)}]}


def called(arguments):
    return {
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": arguments}]}
        ]
    }


@pytest.mark.parametrize("digits", [list("9001011234568"), list(map(int, "9001011234568"))])
@pytest.mark.parametrize("place", [said, called])
def test_a_number_as_a_list_of_its_digits_is_found(inspector, place, digits):
    for value in (
        {"주민등록번호": digits},
        {"앞": digits[:6], "뒤": digits[6:]},
        {"n": digits, "m": [10] * 12},
    ):
        assert decide(inspector.detect(place(value)), OUT).action is Action.BLOCK
    assert decide(inspector.detect(said(digits)), OUT).action is Action.BLOCK


def test_a_list_of_digits_among_many_counts_if_it_is_certain(inspector):
    marks = [[3, 4, 1, 2, 5, 5, 3, 1, 2, 4, 3, 2, 1]] * 5
    assert decide(inspector.detect(said(marks)), OUT).action is Action.ALLOW
    labelled = {"점수": marks, "주민등록번호": list(map(int, "9001011234567"))}
    assert decide(inspector.detect(said(labelled)), OUT).action is Action.BLOCK


def test_figures_of_one_digit_are_none(inspector):
    answers = {f"q{number}": number % 5 + 1 for number in range(13)}
    assert decide(inspector.detect(said(answers)), OUT).action is Action.ALLOW
    assert decide(inspector.detect(called(answers)), OUT).action is Action.ALLOW
    assert decide(inspector.detect(called({"hours": [[0, 1] * 12] * 7})), OUT).action is Action.ALLOW


def test_a_whole_number_in_a_table_is_found_all_the_same(inspector):
    rows = [*table(100), {"구": "중구", "비고": "901010-1234567"}]
    body = {"messages": [{"role": "tool", "content": json.dumps(rows, ensure_ascii=False)}]}
    assert decide(inspector.detect(body), OUT).action is Action.BLOCK


def test_labelled_halves_in_a_table_are_found_all_the_same(inspector):
    rows = [*table(100), {"주민번호 앞자리": "901010", "주민번호 뒷자리": "1234567"}]
    body = {"messages": [{"role": "tool", "content": json.dumps(rows, ensure_ascii=False)}]}
    assert decide(inspector.detect(body), OUT).action is Action.BLOCK
