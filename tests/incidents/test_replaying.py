"""Candidates are read, and stored texts inspected again find what their requests found."""

from datetime import UTC, datetime

import pytest

from filters.decision import decide
from filters.detectors.custom import CustomRule
from filters.engine import Engine
from filters.errors import PolicyError
from filters.inspector import Inspector
from filters.policy import EXTERNAL, default_policy
from gateway.incidents.content import pack, stored_text, unpack
from gateway.incidents.replaying import Retrial, read_candidate

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
BODIES = [
    {"model": "m", "messages": [{"role": "user", "content": "성명: 홍길동, 전화 010-1234-5678"}]},
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "공문을 다듬어라."},
            {"role": "user", "content": [{"type": "text", "text": "주민번호 900101-1234568"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "find", "arguments": '{"성명": "홍길동", "생년월일": "900101"}'},
                    }
                ],
            },
        ],
    },
    {
        "model": "m",
        "messages": [{"role": "user", "content": "900101-"}, {"role": "user", "content": "1234568"}],
    },
    {"model": "m", "metadata": {"성명": "홍길동", "번호": 9001011234568}, "messages": []},
]


@pytest.fixture(scope="module")
def engine():
    return Engine()


@pytest.mark.parametrize("body", BODIES)
def test_a_stored_text_is_found_out_as_its_request_was(engine, body):
    detection = Inspector(engine).detect(body)
    verdict = decide(detection, default_policy().zones[EXTERNAL], b"k" * 32)
    kept = unpack(pack(stored_text(detection, verdict.findings, b"k" * 32, 1_000_000)))
    again = Retrial(engine).of(kept)
    assert [(one.span.type, one.span.start, one.span.end) for one in again.found] == [
        (one.span.type, one.span.start, one.span.end) for one in detection.found
    ]
    assert decide(again, default_policy().zones[EXTERNAL], b"k" * 32).action is verdict.action


def test_a_rule_that_is_tried_finds_what_it_names(engine):
    body = {"messages": [{"role": "user", "content": "직원 HC-2026-77 을 찾아라"}]}
    detection = Inspector(engine).detect(body)
    verdict = decide(detection, default_policy().zones[EXTERNAL], b"k" * 32)
    kept = stored_text(detection, verdict.findings, b"k" * 32, 1_000_000)
    rule = CustomRule("staff", "STAFF_NO", patterns=[r"HC-\d{4}-\d+"], examples=["HC-2026-77"])
    assert "STAFF_NO" not in {one.span.type for one in Retrial(engine).of(kept).found}
    assert "STAFF_NO" in {one.span.type for one in Retrial(Engine((rule,))).of(kept).found}


CANDIDATE = """
[[filter.policies]]
version = "2026-12"
effective_from = 2026-12-01
[filter.policies.external.types]
PHONE_NUMBER = "block"

[[filter.policies]]
version = "2027-01"
effective_from = 2027-01-01

[[filter.rules]]
name = "staff"
type = "STAFF_NO"
patterns = ["HC-\\\\d{4}"]
"""


def test_a_candidate_is_the_policy_that_begins_last_unless_it_is_named():
    candidate = read_candidate(CANDIDATE)
    assert candidate.policy().version == "2027-01"
    assert candidate.policy("2026-12").zones[EXTERNAL].rule("PHONE_NUMBER").action.word == "block"
    assert candidate.policy("2025-01") is None
    assert [rule.name for rule in candidate.rules] == ["staff"]


def test_a_file_with_one_policy_is_a_candidate_too():
    candidate = read_candidate('version = "x"\n[external.types]\nPERSON = "block"\n')
    assert (candidate.policy().version, candidate.rules) == ("x", None)


def test_a_candidate_with_a_wrong_key_is_refused():
    with pytest.raises(PolicyError):
        read_candidate('version = "x"\n[outside]\n')
