"""`haechi scan --jsonl`: the form of a line, with offsets into the original text."""

from __future__ import annotations

import json

import pytest

from filters.engine import Engine
from filters.inspector import Inspector
from filters.policy import EXTERNAL, default_policy
from filters.scan import ScanInputError, scan_line
from filters.walker import Limits
from tests.filters.wordfinder import WordFinder

OUT = default_policy().zones[EXTERNAL]


@pytest.fixture(scope="module")
def inspector():
    return Inspector(Engine())


def test_a_text_is_answered_with_verdict_spans_and_masked_text(inspector):
    text = "담당자 메일은 hong@example.com 입니다"
    answer = scan_line({"id": 7, "text": text}, inspector, OUT)
    assert set(answer) == {"id", "verdict", "spans", "masked"}
    assert (answer["id"], answer["verdict"]) == (7, "mask")
    assert answer["masked"] == "담당자 메일은 ⟦EMAIL_ADDRESS_1⟧ 입니다"
    (span,) = answer["spans"]
    assert set(span) == {"start", "end", "type", "score", "action"}
    assert text[span["start"] : span["end"]] == "hong@example.com"
    assert (span["type"], span["action"]) == ("EMAIL_ADDRESS", "mask")
    json.dumps(answer)


def test_offsets_count_code_points_of_the_original(inspector):
    text = "😀😀 ９０１０１０－１２３４５６７입니다"
    answer = scan_line({"id": "a", "text": text}, inspector, OUT)
    assert answer["verdict"] == "block"
    assert [text[s["start"] : s["end"]] for s in answer["spans"]] == ["９０１０１０－１２３４５６７"]


def test_spans_of_messages_carry_their_path(inspector):
    messages = [
        {"role": "system", "content": "도와주세요"},
        {"role": "user", "content": [{"type": "text", "text": "hong@example.com 로 보내 줘"}]},
    ]
    answer = scan_line({"id": "m", "messages": messages}, inspector, OUT)
    assert [span["path"] for span in answer["spans"]] == ["messages[1].content[0].text"]
    assert answer["masked"][1]["content"][0]["text"].startswith("⟦EMAIL_ADDRESS_1⟧")
    assert messages[1]["content"][0]["text"].startswith("hong@")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("도로 보수 공사 안내문을 써 주세요", "allow"),
        ("hong@example.com", "mask"),
        ("[비공개] 조직 개편 검토안", "route"),
        ("[대외비] 조직 개편 계획", "block"),
    ],
)
def test_the_verdict_is_one_of_four_words(inspector, text, verdict):
    assert scan_line({"id": 1, "text": text}, inspector, OUT)["verdict"] == verdict


def test_a_part_that_nobody_can_read_is_a_block(inspector):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    answer = scan_line({"id": 1, "messages": [{"role": "user", "content": [image]}]}, inspector, OUT)
    assert answer["verdict"] == "block"
    assert answer["refused"] == "unreadable_part"
    assert answer["unscanned"] == [{"path": "messages[0].content[0]", "kind": "image"}]


@pytest.mark.parametrize(
    "line", [{}, {"id": 1}, {"id": 1, "text": 5}, {"text": "a", "messages": []}, {"messages": "a"}]
)
def test_a_line_of_another_form_is_named_without_quoting_it(inspector, line):
    with pytest.raises(ScanInputError, match="expected"):
        scan_line(line, inspector, OUT)


def test_what_cannot_be_inspected_is_a_block_and_the_next_line_goes_on():
    class Broken(WordFinder):
        def detect(self, text):
            raise RuntimeError(text)

    answer = scan_line({"id": 1, "text": "글"}, Inspector(Broken({})), OUT)
    assert (answer["verdict"], answer["refused"]) == ("block", "detector_failed")
    small = Inspector(WordFinder({}), Limits(characters=3))
    assert scan_line({"id": 1, "text": "네 글자"}, small, OUT)["refused"] == "too_large"
