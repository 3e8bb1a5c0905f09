"""Scoring a detector: what counts as exact, as overlapping, and what labelled files mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.evaluate import Document, Gold, evaluate, f1, is_held_out, ratio, read
from filters.spans import KR_ADDRESS, PERSON, PHONE_NUMBER, Span

if TYPE_CHECKING:
    from pathlib import Path


def klue(sentence: str, *characters: str) -> str:
    return f"## klue-ner-v1_dev_{sentence}\n" + "".join(f"{c[0]}\t{c[1:]}\n" for c in characters)


KLUE = "## comment\n" + "\n".join(
    [
        klue("00004-wikitree\t<유시진:PS> 대위", "유B-PS", "시I-PS", "진I-PS", " O", "대O", "위O"),
        klue("00006-nsmc\t<톰 행크스:PS>", "톰B-PS", " I-PS", "행I-PS", "크I-PS", "스I-PS", "박B-PS"),
    ]
)


def detecting(*spans: tuple[int, int, str]):
    return lambda _text: [Span(start, end, kind, 0.9, "test") for start, end, kind in spans]


def documents(tmp_path: Path, *entries: dict) -> list[Document]:
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), "utf-8")
    return list(read(path))


def test_every_occurrence_of_a_labelled_text_is_gold(tmp_path: Path):
    [document] = documents(
        tmp_path, {"text": "김민준 과장, 김민준 010", "pii": [{"type": "PERSON", "text": "김민준"}]}
    )
    assert document.spans == (Gold(0, 3, PERSON), Gold(8, 11, PERSON))


def test_a_label_inside_a_longer_one_of_its_type_is_not_counted_twice(tmp_path: Path):
    labels = [{"type": "ADDRESS", "text": "강남구 12"}, {"type": "ADDRESS", "text": "서울 강남구 12"}]
    [document] = documents(tmp_path, {"text": "서울 강남구 12", "pii": labels})
    assert document.spans == (Gold(0, 9, KR_ADDRESS),)


def test_labels_that_no_detector_looks_for_are_left_out(tmp_path: Path):
    [document] = documents(tmp_path, {"text": "팀장", "pii": [{"type": "POSITION", "text": "팀장"}]})
    assert document.spans == ()


def test_klue_sentences_keep_their_spaces_and_their_source(tmp_path: Path):
    path = tmp_path / "ner.tsv"
    path.write_text(KLUE, "utf-8")
    news, review = read(path)
    assert (news.text, news.spans, news.source) == ("유시진 대위", (Gold(0, 3, PERSON),), "klue-news")
    assert review.text == "톰 행크스박"
    assert review.spans == (Gold(0, 5, PERSON), Gold(5, 6, PERSON))


def test_an_unknown_format_says_which_ones_there_are(tmp_path: Path):
    with pytest.raises(ValueError, match="jsonl"):
        read(tmp_path / "data.csv")


def test_exact_and_overlapping_hits_are_counted_apart():
    text = Document("김민준 010", (Gold(0, 3, PERSON), Gold(4, 7, PHONE_NUMBER)), "test")
    report = evaluate(detecting((0, 2, PERSON), (4, 7, PHONE_NUMBER)), [text])
    total = report.rows()[-1]
    assert (total.type, total.gold, total.found) == ("ALL", 2, 2)
    assert (total.exact_f1, total.overlap_f1) == (0.5, 1.0)


def test_types_that_a_document_does_not_label_are_not_held_against_the_detector():
    text = Document("김민준 010", (Gold(0, 3, PERSON),), "klue-news", (PERSON,))
    report = evaluate(detecting((0, 3, PERSON), (4, 7, PHONE_NUMBER)), [text])
    assert [row.type for row in report.rows()] == [PERSON, "ALL"]
    assert report.total().exact_f1() == 1.0


def test_nothing_expected_and_nothing_found_is_a_full_score():
    assert evaluate(detecting(), [Document("x", (), "test")]).total().exact_f1() == 1.0


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_f1_lies_between_precision_and_recall(hits: int, extra: int, missed: int):
    precision, recall = ratio(hits, hits + extra), ratio(hits, hits + missed)
    value = f1(precision, recall)
    assert 0 <= value <= 1
    assert min(precision, recall) - 1e-9 <= value <= max(precision, recall) + 1e-9


def test_about_a_quarter_of_all_texts_is_held_out_and_always_the_same():
    texts = [f"문서 {number}" for number in range(2000)]
    held = [is_held_out(text) for text in texts]
    assert 400 < sum(held) < 600
    assert held == [is_held_out(text) for text in texts]
