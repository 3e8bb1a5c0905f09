"""The inspector over whole requests: split numbers are found, failures refuse, nothing is inspected twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.decision import decide
from filters.engine import Engine
from filters.errors import DetectorFailed, FilterRefusal, Unscannable
from filters.inspector import Inspector
from filters.masking import Restorer
from filters.policy import EXTERNAL, default_policy
from filters.verdict import Action
from filters.walker import Limits
from tests.filters.wordfinder import WordFinder

OUT = default_policy().zones[EXTERNAL]
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@cache
def shared_engine():
    return Engine()


@pytest.fixture
def engine():
    return shared_engine()


@pytest.fixture
def inspector(engine):
    return Inspector(engine)


def user(*texts):
    return [{"role": "user", "content": text} for text in texts]


def parts(*texts):
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text} for text in texts]}]}


def documents(*texts):
    sources = [{"type": "text", "media_type": "text/plain", "data": text} for text in texts]
    return [{"role": "user", "content": [{"type": "document", "source": source} for source in sources]}]


def arguments(value, **options):
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps(value, **options)},
    }
    return {"messages": [{"role": "assistant", "tool_calls": [call]}]}


SPLIT = {
    "two parts": parts("주민번호는 901010-", "1234567 입니다"),
    "three parts": parts("901", "010-123", "4567"),
    "two messages": {"messages": user("주민번호 앞자리 901010", "1234567")},
    "turns with an answer between": {
        "messages": [
            *user("주민번호 901010-"),
            {"role": "assistant", "content": "네, 계속하세요."},
            *user("1234567"),
        ]
    },
    "values of arguments": arguments({"front": "901010", "back": "1234567"}),
    "numbers of arguments": arguments({"front": 901010, "back": 1234567}),
    "a tool call and the next message": {
        "messages": [*arguments({"front": "901010-"})["messages"], *user("1234567")],
    },
    "metadata": {"messages": [], "metadata": {"a": "901010-", "b": "1234567"}},
    "embeddings input": {"input": ["901010-", "1234567"]},
    "two documents": {"messages": documents("주민번호 앞부분은 901010 이고", "뒷부분은 1234567 입니다")},
}


@pytest.mark.parametrize("body", SPLIT.values(), ids=SPLIT.keys())
def test_a_number_that_is_split_is_found(inspector, body):
    verdict = decide(inspector.detect(body), OUT)
    assert verdict.action is Action.BLOCK
    assert "1234567" not in json.dumps(verdict.body)


WHOLE = {
    "text": {"messages": user("주민등록번호 901010-1234567")},
    "full width": {"messages": user("９０１０１０－１２３４５６７")},
    "glued to a particle": {"messages": user("901010-1234567입니다")},
    "arguments": arguments({"주민등록번호": "901010-1234567"}),
    "escaped arguments": arguments({"주민등록번호": "９０１０１０－１２３４５６７"}, ensure_ascii=True),
    "arguments as a number": arguments({"주민등록번호": 9010101234567}),
    "duplicate key": {
        "messages": [{"tool_calls": [{"function": {"arguments": '{"a": "901010-1234567", "a": "x"}'}}]}]
    },
    "tool result": {
        "messages": [{"role": "tool", "tool_call_id": "c", "content": '{"rrn": "901010-1234567"}'}]
    },
    "tool definition": {
        "messages": [],
        "tools": [{"type": "function", "function": {"name": "f", "description": "예: 901010-1234567"}}],
    },
    "schema": {
        "tools": [{"function": {"parameters": {"properties": {"n": {"enum": ["901010-1234567"]}}}}}],
    },
    "object key": {"metadata": {"901010-1234567": "x"}},
    "number": {"metadata": {"주민등록번호": 9010101234567}},
    "user": {"messages": [], "user": "901010-1234567"},
    "participant": {"messages": [{"role": "user", "name": "901010-1234567", "content": "안녕"}]},
    "file name": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "text", "filename": "901010-1234567.hwp"},
                ],
            }
        ]
    },
    "an id": {"messages": [{"role": "tool", "tool_call_id": "901010-1234567", "content": "x"}]},
    "anthropic tool input": {
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "input": {"no": "901010-1234567"}}]}
        ]
    },
    "stop sequence": {"messages": [], "stop": ["901010-1234567"]},
    "a field nobody knows": {"messages": [], "x_new": {"y": ["901010-1234567"]}},
}


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE.keys())
def test_a_number_is_found_wherever_a_request_can_hold_text(inspector, body):
    verdict = decide(inspector.detect(body), OUT)
    assert verdict.action is Action.BLOCK
    assert "1234567" not in json.dumps(verdict.body, ensure_ascii=False)


def test_an_escape_is_no_digit_of_a_number_that_goes_on_in_the_next_value(inspector):
    body = arguments({"a": "계좌 신한은행 110-452-987654\u200b", "b": 1234567}, ensure_ascii=True)
    masked = decide(inspector.detect(body), OUT).body["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert "987654" not in masked
    json.loads(masked)


def test_the_key_gives_a_structured_value_its_meaning(engine):
    body = {"metadata": {"계좌번호": "110-452-987654 신한은행", "성명": "김민준"}}
    found = {f.span.type for f in decide(Inspector(engine).detect(body), OUT).findings}
    assert found == {"KR_BANK_ACCOUNT", "PERSON"}


def test_an_id_of_letters_and_digits_is_not_taken_for_a_contact(inspector):
    body = {"messages": [{"role": "tool", "tool_call_id": "call_01012345678", "content": "네"}]}
    assert decide(inspector.detect(body), OUT).body is body


def test_the_text_of_a_document_is_masked_as_any_text_is(inspector):
    verdict = decide(inspector.detect({"messages": documents("Tel:010-1234-5678")}), OUT)
    assert "1234-5678" not in json.dumps(verdict.body)


def test_the_data_of_redacted_thinking_is_an_id(inspector):
    thought = {"type": "redacted_thinking", "data": "Eq01012345678AoC"}
    body = {"messages": [{"role": "assistant", "content": [thought]}]}
    assert decide(inspector.detect(body), OUT).body is body


def test_ordinary_turns_do_not_join_into_a_number(inspector):
    body = {"messages": user("회의는 2026년 11월 22일", "1200000원 예산으로", "3층 회의실, 참석 12명")}
    assert decide(inspector.detect(body), OUT).action is Action.ALLOW


def test_a_number_split_over_two_requests_of_a_conversation_is_found(engine):
    inspector = Inspector(engine)
    first = inspector.detect({"messages": user("주민번호 앞부분은 901010-")}, "chat-1", NOW)
    assert decide(first, OUT).action is Action.ALLOW
    elsewhere = inspector.detect({"messages": user("1234567")}, "chat-2", NOW)
    assert decide(elsewhere, OUT).action is Action.ALLOW
    second = inspector.detect({"messages": user("1234567")}, "chat-1", NOW + timedelta(minutes=1))
    assert decide(second, OUT).action is Action.BLOCK


@pytest.mark.parametrize("earlier", ["35000", "12", "3층 회의실 205", "2026-03-12", "1\n"])
@pytest.mark.parametrize(
    "pieces", [("900101", "1234568"), ("900", "101-12", "34568"), tuple("9001011234568")]
)
def test_a_number_sent_before_does_not_hide_where_one_begins(engine, earlier, pieces):
    inspector = Inspector(engine)
    said = [inspector.detect({"messages": user(text)}, "chat-1", NOW) for text in (earlier, *pieces)]
    assert decide(said[-1], OUT).action is Action.BLOCK


def test_figures_of_a_conversation_do_not_join(engine):
    inspector = Inspector(engine)
    for text in ("35000", "1200000", "2026-03-12", "860", "3층 회의실 205", "2026", "11", "22"):
        detection = inspector.detect({"messages": user(text)}, "chat-1", NOW)
        assert decide(detection, OUT).action is Action.ALLOW


def test_the_newest_message_is_joined_with_the_tail_whatever_stands_beside_it(engine):
    inspector = Inspector(engine)
    tools = [{"type": "function", "function": {"name": "f", "description": "설명"}}]
    inspector.detect({"messages": user("번호는 901010-"), "tools": tools}, "chat-1", NOW)
    parts_of_it = [{"type": "text", "text": "1234567"}, {"type": "text", "text": "이어서 요약해 줘"}]
    body = {"messages": [{"role": "user", "content": parts_of_it}], "tools": tools}
    assert decide(inspector.detect(body, "chat-1", NOW), OUT).action is Action.BLOCK


class Counting:
    """The engine, and how many characters it was asked to read across borders."""

    def __init__(self, engine):
        self.rules_version, self.detect, self._engine = engine.rules_version, engine.detect, engine
        self.read = []

    def detect_joined(self, texts):
        self.read.append(sum(map(len, texts)))
        return self._engine.detect_joined(texts)


def test_a_message_of_many_parts_is_not_read_once_for_each_piece_of_the_tail(engine):
    """8 KB are read on the event loop; forty pieces before them made half a second of it."""
    counting = Counting(engine)
    inspector = Inspector(counting)
    digits = {"role": "user", "content": [{"type": "text", "text": "1"}] * 40}
    inspector.detect({"messages": [digits]}, "a", NOW)
    counting.read.clear()
    parts = [{"type": "text", "text": "9-0-1-0-1-0 aaaaaaaaaa"}] * 150
    inspector.detect({"messages": [{"role": "user", "content": parts}]}, "a", NOW)
    assert len(counting.read) == 41
    assert sum(counting.read) < 4 * 22 * 150


def test_the_tail_of_a_conversation_expires(engine):
    inspector = Inspector(engine)
    inspector.detect({"messages": user("주민번호 앞부분은 901010-")}, "chat-1", NOW)
    late = inspector.detect({"messages": user("1234567")}, "chat-1", NOW + timedelta(hours=1))
    assert decide(late, OUT).action is Action.ALLOW


def test_a_text_is_inspected_once_and_its_spans_stay_right(engine):
    finder = WordFinder({"홍길동": "PERSON"})
    inspector = Inspector(finder)
    first = inspector.detect({"messages": user("홍길동 안녕")})
    calls = finder.calls
    again = inspector.detect({"messages": user("홍길동 안녕", "새 질문")})
    assert finder.calls - calls <= 2  # the new text, and the joined look
    assert again.found[0] == first.found[0]


class Failing(WordFinder):
    def detect(self, text):
        raise ValueError(f"cannot read {text}")


class FailingJoin(WordFinder):
    def detect_joined(self, texts):
        raise ValueError(texts[0])


@pytest.mark.parametrize("broken", [Failing({}), FailingJoin({})])
def test_any_failure_of_a_detector_refuses_and_quotes_nothing(broken):
    with pytest.raises(DetectorFailed) as failure:
        Inspector(broken).detect(parts("홍길동 비밀", "둘째"))
    assert "홍길동" not in str(failure.value)
    assert failure.value.__cause__ is None
    assert isinstance(failure.value, FilterRefusal)


def test_a_request_that_takes_too_long_is_refused():
    with pytest.raises(DetectorFailed, match="timeout"):
        Inspector(WordFinder({}), time_budget_s=0.0).detect("글")


def test_an_oversized_text_is_refused_with_its_own_reason():
    with pytest.raises(Unscannable, match="too_large"):
        Inspector(WordFinder({}), Limits(characters=5)).detect("여섯글자입니다")


def test_the_detection_counts_what_it_saw(inspector):
    detection = inspector.detect({"model": "m", "messages": user("안녕하세요")})
    assert detection.parts_seen == 3
    assert detection.characters == 6
    assert detection.rules_version == inspector.rules_version
    assert not detection.degraded


WIRE_KEYS = [
    "content",
    "type",
    "role",
    "messages",
    "input",
    "text",
    "metadata",
    "arguments",
    "output",
    "source",
    "홍길동",
]
WIRE_VALUES = st.recursive(
    st.none()
    | st.integers()
    | st.sampled_from(["text", "image", "010-1234-5678", "홍길동", '{"a": "홍길동"}', "⟦PERSON_1⟧"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WIRE_KEYS), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(WIRE_KEYS), WIRE_VALUES, max_size=4))
def test_a_body_of_any_shape_gets_a_verdict_or_a_refusal_and_stays_as_it_was(body):
    before = json.dumps(body)
    finder = WordFinder({"홍길동": "PERSON", "010-1234-5678": "PHONE_NUMBER"})
    try:
        verdict = decide(Inspector(finder).detect(body), OUT)
    except Unscannable:
        return
    assert json.dumps(body) == before
    sent = json.dumps(verdict.body, ensure_ascii=False)
    assert "홍길동" not in sent
    assert "010-1234-5678" not in sent


SENTENCES = st.lists(
    st.sampled_from(
        [
            "담당자는 김민준 과장입니다. ",
            "연락처 010-1234-5678, ",
            "메일 hong@example.com로 ",
            "계좌 신한은행 110-452-987654 ",
            "주소: 서울특별시 중구 세종대로 110 3층\n",
            "회의는 2026년 11월 22일 오후 3시, ",
            "예산 1,200,000원을 ",
            "[PERSON_1] ⟦PHONE_NUMBER_1⟧ ",
            "차량 12가3456 ",
            "검토해 주세요.\n",
        ]
    ),
    max_size=8,
).map("".join)


@settings(max_examples=50, deadline=None)
@given(SENTENCES)
def test_with_the_real_detectors_nothing_found_survives_and_everything_returns(text):
    inspector = Inspector(shared_engine())
    verdict = decide(inspector.detect(text), OUT)
    for found in verdict.findings:
        if found.token:
            assert text[found.span.start : found.span.end] not in verdict.body
    assert Restorer(verdict.masks).restore(verdict.body) == text
    assert decide(inspector.detect(verdict.body), OUT).action is Action.ALLOW
