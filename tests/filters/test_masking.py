"""Masks: what goes out holds no value, what comes back is what was there."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.decision import decide
from filters.inspector import Inspector
from filters.masking import Restorer, TokenBook
from filters.policy import EXTERNAL, default_policy
from tests.filters.wordfinder import WordFinder

POLICY = default_policy().zones[EXTERNAL]
VALUES = {
    "홍길동": "PERSON",
    "김영희": "PERSON",
    "010-1234-5678": "PHONE_NUMBER",
    "hong@example.com": "EMAIL_ADDRESS",
    'a"b\\c': "KR_ADDRESS",
    "서울시 중구\n세종대로 110": "KR_ADDRESS",
}
INSPECTOR = Inspector(WordFinder(VALUES), remembered=0)

SCRAPS = st.one_of(
    st.sampled_from(list(VALUES)),
    st.sampled_from(
        [
            "⟦PERSON_1⟧",
            "⟦person 1⟧",
            "[PERSON_1]",
            "【PERSON_2】",
            "⟦LITERAL_1⟧",
            "⟦",
            "⟧",
            "[",
            "]",
            "[[",
            "_1⟧",
        ]
    ),
    st.sampled_from(["PERSON_1", "\\u27e6PERSON_1\\u27e7", "\\", '"', "은 ", "\n"]),
    st.text(alphabet=string.ascii_letters + "가나다 ⟦⟧[]_\\1", max_size=6),
)
TEXTS = st.lists(SCRAPS, max_size=12).map("".join)


def verdict_of(body):
    return decide(INSPECTOR.detect(body), POLICY)


def test_tokens_are_numbered_per_type_by_first_appearance_and_shared_by_equal_values():
    verdict = verdict_of("김영희와 홍길동, 다시 김영희: 010-1234-5678")
    assert verdict.body == "⟦PERSON_1⟧와 ⟦PERSON_2⟧, 다시 ⟦PERSON_1⟧: ⟦PHONE_NUMBER_1⟧"
    assert verdict.masks == {
        "⟦PERSON_1⟧": "김영희",
        "⟦PERSON_2⟧": "홍길동",
        "⟦PHONE_NUMBER_1⟧": "010-1234-5678",
    }


def test_tokens_stay_the_same_when_the_history_is_sent_again():
    first = [{"role": "user", "content": "홍길동에게 답장해 줘"}]
    later = [
        *first,
        {"role": "assistant", "content": "홍길동님께"},
        {"role": "user", "content": "김영희도 참조"},
    ]
    assert (
        verdict_of({"messages": later}).body["messages"][0]
        == verdict_of({"messages": first}).body["messages"][0]
    )


def test_what_the_user_typed_like_a_token_comes_back_as_typed():
    typed = "⟦PERSON_1⟧ [PERSON_1] ⟦LITERAL_1⟧ 홍길동 [참고_1]"
    verdict = verdict_of(typed)
    assert verdict.body.count("⟦PERSON_1⟧") == 1
    assert "[참고_1]" in verdict.body
    assert Restorer(verdict.masks).restore(verdict.body) == typed


@pytest.mark.parametrize(
    "altered",
    [
        "⟦PERSON_1⟧",
        "⟦ PERSON_1 ⟧",
        "⟦PERSON 1⟧",
        "⟦person_1⟧",
        "⟦PERSON\\_1⟧",
        "[PERSON_1]",
        "【PERSON_1】",
        "〚PERSON_1〛",
    ],
)
def test_a_token_that_a_model_altered_a_little_is_restored(altered):
    assert Restorer({"⟦PERSON_1⟧": "홍길동"}).restore(f"{altered}님께") == "홍길동님께"


@pytest.mark.parametrize(
    "other", ["⟦PERSON_2⟧", "PERSON_1", "[Person 1]", "[person_1]", "⟦PERSON_1", "⟦PERSON_1]"]
)
def test_what_is_not_certainly_a_token_is_left_alone(other):
    assert Restorer({"⟦PERSON_1⟧": "홍길동"}).restore(other) == other


def test_values_are_escaped_for_the_json_that_they_return_into():
    restorer = Restorer({"⟦KR_ADDRESS_1⟧": 'a"b\\c\n'})
    for token in ("⟦KR_ADDRESS_1⟧", "\\u27e6KR_ADDRESS_1\\u27e7"):
        assert json.loads(restorer.restore_json(f'{{"to": "{token}"}}')) == {"to": 'a"b\\c\n'}


def test_an_escaped_backslash_before_u27e6_begins_no_token():
    source = '{"to": "\\\\u27e6PERSON_1\\\\u27e7"}'
    assert Restorer({"⟦PERSON_1⟧": "홍길동"}).restore_json(source) == source


def test_identity_numbers_by_law_get_a_token_and_no_way_back():
    book = TokenBook(never_restored=["KR_RRN"])
    assert book.token("KR_RRN", "901010-1234567") == "⟦KR_RRN_1⟧"
    assert book.restorable == {}


@given(TEXTS)
def test_restoring_a_masked_text_gives_the_text(text):
    verdict = verdict_of(text)
    assert Restorer(verdict.masks).restore(verdict.body) == text


@given(TEXTS)
def test_no_detected_value_survives_masking(text):
    verdict = verdict_of(text)
    for found in verdict.findings:
        assert text[found.span.start : found.span.end] not in verdict.body


@given(st.lists(TEXTS, max_size=4), st.booleans())
def test_masked_arguments_are_json_and_come_back_equal(values, ascii_only):
    arguments = {f"k{i}": value for i, value in enumerate(values)}
    source = json.dumps(arguments, ensure_ascii=ascii_only)
    verdict = verdict_of({"messages": [{"tool_calls": [{"function": {"arguments": source}}]}]})
    masked = verdict.body["messages"][0]["tool_calls"][0]["function"]["arguments"]
    json.loads(masked)
    for value in VALUES:
        assert json.dumps(value)[1:-1] not in masked
    assert json.loads(Restorer(verdict.masks).restore_json(masked)) == arguments


@settings(max_examples=60)
@given(st.dictionaries(TEXTS, TEXTS, max_size=4), TEXTS)
def test_a_whole_request_comes_back_from_its_masks(metadata, text):
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}], "metadata": metadata}
    verdict = verdict_of(body)
    restore = Restorer(verdict.masks).restore

    def restored(value):
        if isinstance(value, str):
            return restore(value)
        if isinstance(value, dict):
            return {restore(key): restored(child) for key, child in value.items()}
        return [restored(child) for child in value] if isinstance(value, list) else value

    assert restored(verdict.body) == body


def test_a_number_inside_arguments_becomes_a_quoted_token():
    finder = Inspector(WordFinder({"1012345678": "PHONE_NUMBER"}), remembered=0)
    body = {"messages": [{"tool_calls": [{"function": {"arguments": '{"phone": 1012345678, "n": 1}'}}]}]}
    masked = decide(finder.detect(body), POLICY).body["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert masked == '{"phone": "⟦PHONE_NUMBER_1⟧", "n": 1}'
