"""Verdicts and receipts: values that show no text and can be stored."""

from __future__ import annotations

import json

from filters.decision import decide
from filters.inspector import Inspector
from filters.policy import EXTERNAL, default_policy
from filters.verdict import Action, Grade
from tests.filters.wordfinder import WordFinder

OUT = default_policy().zones[EXTERNAL]


def test_the_highest_action_and_grade_win():
    assert max(Action.MASK, Action.BLOCK, Action.ROUTE) is Action.BLOCK
    assert max(Action.MASK, Action.ROUTE) is Action.ROUTE
    assert max(Grade.O, Grade.C, Grade.S) is Grade.C
    assert [action.word for action in Action] == ["allow", "mask", "route", "block"]


def test_no_text_shows_in_what_a_log_would_print():
    found = decide(Inspector(WordFinder({"홍길동": "PERSON"})).detect("홍길동 씨의 사정"), OUT)
    for printed in (repr(found), str(found), repr(found.receipt)):
        assert "홍길동" not in printed
        assert "사정" not in printed


def test_a_detection_does_not_print_its_text_either():
    detection = Inspector(WordFinder({"홍길동": "PERSON"})).detect("홍길동 씨의 사정")
    assert "홍길동" not in repr(detection)


def test_a_receipt_of_a_flood_counts_all_and_writes_out_a_thousand():
    words = " ".join(["홍길동"] * 1_500)
    record = decide(Inspector(WordFinder({"홍길동": "PERSON"})).detect(words), OUT).receipt.as_record()
    assert record["counts"] == {"PERSON": 1_500}
    assert len(record["findings"]) == 1_000
    json.dumps(record)
