"""Explanations: the kind, the place and the next step in both languages, never the value."""

from __future__ import annotations

import pytest

from filters import spans
from filters.decision import decide
from filters.errors import Unscannable
from filters.explain import explanation, refusal, unread
from filters.inspector import Inspector
from filters.kinds import KINDS
from filters.policy import EXTERNAL, default_policy
from filters.verdict import Unread
from tests.filters.wordfinder import WordFinder

OUT = default_policy().zones[EXTERNAL]
FINDER = WordFinder({"홍길동": "PERSON", "901010-1234567": "KR_RRN", "【비공개】": "SECURITY_MARKING"})


def verdict(*texts):
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    return decide(Inspector(FINDER).detect(body), OUT)


def test_every_entity_type_has_a_name_and_a_way_out_in_both_languages():
    types = {value for name, value in vars(spans).items() if name.isupper() and isinstance(value, str)}
    assert types == set(KINDS)
    assert all(all(kind) for kind in KINDS.values())


def test_the_severest_kind_comes_first_with_its_place_and_number():
    first, second = explanation(verdict("홍길동 홍길동", "901010-1234567"))
    assert (first.type, first.path, first.action, first.times) == (
        "KR_RRN",
        "messages[1].content",
        "block",
        1,
    )
    assert (second.type, second.path, second.action, second.times) == (
        "PERSON",
        "messages[0].content",
        "mask",
        2,
    )


def test_a_refusal_names_what_blocked_and_where_and_never_the_value():
    said = refusal(verdict("홍길동", "901010-1234567"))
    for sentence in said:
        assert "messages[1].content" in sentence
        assert "901010" not in sentence
        assert "홍길동" not in sentence
    assert "주민등록번호" in said.ko
    assert "이름" not in said.ko
    assert "resident registration number" in said.en


def test_a_list_of_people_is_explained_as_such():
    people = {f"이름{chr(0xAC00 + i)}": "PERSON" for i in range(30)}
    found = decide(Inspector(WordFinder(people)).detect(" ".join(people)), OUT)
    assert "목록" in refusal(found).ko
    assert "in-house" in refusal(found).en


@pytest.mark.parametrize("reason", ["unreadable_part", "unknown_part", "too_deep", "too_large"])
def test_every_reason_for_not_reading_is_said_with_a_next_step(reason):
    said = unread(Unscannable(reason, [Unread("messages[0].content[1]", "image")]))
    assert said.ko
    assert said.en
    if reason.endswith("part"):
        assert "messages[0].content[1]" in said.ko
