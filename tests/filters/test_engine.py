"""The engine fails closed, maps back, joins split numbers and survives hostile texts."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import spans
from filters.detector import DetectorError
from filters.detectors.custom import CustomDetector, CustomRule, CustomRuleError
from filters.engine import Engine
from filters.gate import Gate
from filters.resolve import resolve
from filters.spans import Span


class Faulty:
    name = "faulty"
    gates = ()

    def find(self, text):
        raise RuntimeError(f"quotes {text}")


def test_a_failing_detector_refuses_the_text_and_quotes_nothing():
    broken = Engine(extra=[Faulty()])
    with pytest.raises(DetectorError) as error:
        broken.detect("비밀 내용")
    assert str(error.value) == "faulty: RuntimeError"
    assert error.value.__cause__ is None


def test_half_a_surrogate_pair_is_read_and_not_a_crash(engine):
    assert [span.type for span in engine.detect("\ud83d 901010-1234567")] == [spans.KR_RRN]


_PIECES = st.sampled_from(
    [
        "901010-1234567",
        "M12345678",
        "010-1234-5678",
        "hong@korea.kr",
        "홍길동 과장",
        "12가 3456",
        " ",
        "\n",
        "가나다",
        "９０１０",
        "\u200b",
        "&#57;",
        "OTAxMDEwLTEyMzQ1Njc=",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_PIECES, st.text(max_size=4)), max_size=12).map("".join))
def test_findings_are_sorted_disjoint_and_inside_the_text(engine, text):
    found = engine.detect(text)
    position = 0
    for span in found:
        assert position <= span.start < span.end <= len(text)
        assert 0.5 <= span.score <= 1
        position = span.end


@given(
    st.lists(
        st.builds(
            Span,
            st.integers(0, 50),
            st.integers(51, 60),
            st.sampled_from(["A", "B"]),
            st.floats(0, 1),
            st.just("r"),
        ),
        max_size=20,
    )
)
def test_of_overlapping_findings_the_best_stays(found):
    kept = resolve(found)
    assert all(a.end <= b.start for a, b in pairwise(kept))
    if found:
        assert max(span.score for span in kept) == max(span.score for span in found)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "민원인 홍길동(901010-1234567)은",
                "회의는 본관 3층에서 열린다.",
                "[대외비]",
                "연락처 010-1234-5678",
                "９０１０１０－１２３４５６７",
                "OTAxMDEwLTEyMzQ1Njc=",
                "",
            ]
        ),
        min_size=150,
        max_size=400,
    ).map("\n".join)
)
def test_a_long_text_holds_what_its_lines_hold(engine, text):
    """Long texts are read in overlapping pieces; a cut loses nothing and finds nothing twice."""
    kinds = {spans.KR_RRN, spans.PHONE_NUMBER, spans.SECURITY_MARKING}
    whole = [(span.start, span.end, span.type) for span in engine.detect(text) if span.type in kinds]
    offset, lines = 0, []
    for line in text.split("\n"):
        lines += [(s.start + offset, s.end + offset, s.type) for s in engine.detect(line) if s.type in kinds]
        offset += len(line) + 1
    assert whole == lines


# --- split over strings ------------------------------------------------------------------------------

_RRN = "901010-1234567"


@pytest.mark.parametrize("cut", range(1, len(_RRN)))
def test_a_resident_number_cut_anywhere_is_found_in_both_strings(engine, cut):
    texts = ["주민번호는 " + _RRN[:cut], _RRN[cut:] + "이야"]
    pieces = engine.detect_joined(texts)
    assert {index for index, _ in pieces} == {0, 1}
    covered = "".join(texts[index][span.start : span.end] for index, span in pieces)
    assert [c for c in covered if c.isdigit()] == [c for c in _RRN if c.isdigit()]
    assert {span.type for _, span in pieces} == {spans.KR_RRN}


@pytest.mark.parametrize(
    "texts",
    [
        ["앞자리는 901010", "뒷자리는 1234567"],
        ["제 번호 901010 이고", "주민번호 이어서 1234567 입니다"],
        ["9", "0", "1", "0", "1", "0", "1234567"],
        ["x" * 500 + " 901010", "-1234567" + "y" * 300],
        ["구공일공일공", "일이삼사오육칠"],
        ["４５１２-８８０２-", "1193-0047 카드"],
    ],
)
def test_numbers_split_over_strings_are_found(engine, texts):
    assert len({index for index, _ in engine.detect_joined(texts)}) >= 2


@pytest.mark.parametrize(
    "texts",
    [
        ["901010-1234567", "901010-1234567"],
        ["회의는 2025-11-10", "02-123-4567로 전화"],
        ["예산 1,234,567원", "2025년 12월"],
        ["가나다", "라마바"],
        ["1. 접수 2025", "2. 처리 2026"],
        [],
        ["901010"],
    ],
)
def test_what_stands_in_one_string_or_means_nothing_is_not_joined(engine, texts):
    assert engine.detect_joined(texts) == []


# --- agency rules ------------------------------------------------------------------------------------

EMPLOYEE = CustomRule(
    "employee",
    "EMPLOYEE_NUMBER",
    [r"(?<![0-9])SE-\d{6}(?![0-9])"],
    examples=["사번 SE-123456입니다"],
    counterexamples=["SE-1234567"],
)
PROJECT = CustomRule(
    "project",
    "PROJECT_NAME",
    words=["한강프로젝트", "Haechi-X"],
    examples=["한강프로젝트는", "haechi-x로"],
    counterexamples=["Haechi-XL"],
)


@pytest.mark.parametrize("rule", [EMPLOYEE, PROJECT])
def test_an_agency_rule_finds_its_examples_in_any_disguise(rule):
    engine = Engine([rule])
    for example in rule.examples:
        assert rule.type in {span.type for span in engine.detect(example)}
        wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in example)
        assert rule.type in {span.type for span in engine.detect(wide)}
    for example in rule.counterexamples:
        assert rule.type not in {span.type for span in engine.detect(example)}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (CustomRule("a", "T", ["x"], examples=["y"]), "misses its example"),
        (CustomRule("a", "T", ["x"], counterexamples=["x"]), "hits its counterexample"),
        (CustomRule("a", "T", ["("]), "bad pattern"),
        (CustomRule("a", "T"), "no patterns, words or recognizer"),
        (CustomRule("a", "T", ["x"], examples=["x"], gates=["y"]), "misses its example"),
        (CustomRule("a", "T", ["x"], gates=["(?=y)"]), "RE2"),
        (CustomRule("a", "T", ["x"], score=0.4), "at least 0.5"),
        (CustomRule("a", "T", recognizer="nowhere:Nothing"), "nowhere"),
    ],
)
def test_a_rule_that_breaks_its_own_examples_is_refused_at_the_start(rule, message):
    with pytest.raises(CustomRuleError, match=message):
        Engine([rule])


def test_a_rule_may_name_a_presidio_recogniser():
    path = "presidio_analyzer.predefined_recognizers:CryptoRecognizer"
    rule = CustomRule(
        "wallet", "WALLET", recognizer=path, examples=["지갑 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ로"]
    )
    assert [span.type for span in Engine([rule]).detect(rule.examples[0])] == ["WALLET"]


def test_an_unknown_key_of_a_rule_is_named():
    with pytest.raises(CustomRuleError, match="pattern"):
        CustomRule.from_mapping({"name": "a", "type": "T", "pattern": ["x"]})


def test_a_pattern_that_runs_out_of_time_refuses_the_text():
    slow = CustomDetector(CustomRule("slow", "T", [r"(a|aa)+$"]))
    with pytest.raises(DetectorError, match="TimeoutError"):
        slow.find("a" * 5000 + "b")


def test_the_version_says_which_rules_are_loaded(engine):
    assert Engine([EMPLOYEE]).rules_version.startswith(engine.rules_version + "+")
    assert Engine([EMPLOYEE]).rules_version != Engine([PROJECT]).rules_version


# --- the gate ----------------------------------------------------------------------------------------


def test_the_gate_names_the_owners_whose_patterns_occur():
    gate = Gate([["[0-9]{3}", "주민"], [], ["token"]])
    assert gate.owners("가나다") == {1}
    assert gate.owners("a 123") == {0, 1}
    assert gate.owners("주민 token") == {0, 1, 2}


# --- hostile texts -----------------------------------------------------------------------------------

_SIZE = 200_000
HOSTILE = [
    "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 123 ", "12 123 ", "1234 123 ",     "1", "1 ", "1-", "901010-", "901010-1234567 ", "9010101234567 ", "1,234,567,890 ", "a", "가", "이", "일이삼사 ", "@", "a@", "a.", "a@b.c",
    "eyJ", "sk-", "-----BEGIN PRIVATE KEY-----", "OTAxMDEw", "OTAxMDEwLTEyMzQ1 ", "3930", "39 30 ", "<", "9<b>", "9**", "&#57;", "%39",
    "\\u0039", "password: ", "비밀번호는 ", "대외비 ", "[대외비\n", "본 문서는 ", "생년월일 ", "2024.1.1생 ", "여권 M1", "9\u200b", "９", "O1", "0x39 ",
    "a:b:", "1.1.", "jdbc:a:", "://a:b@", "key=", "앞 123 뒤 ", "\u1112\u1161", "\U000e0039", "\x00", "nine ", "DE89 3704 ", "\n", "(02) 123-4567 ",
    "거꾸로 1234567 ", "테헤란로 1", "김",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_is_read_or_refused_in_linear_time(engine, unit):
    text = unit * (_SIZE // len(unit.encode()))
    began = time.thread_time()
    refused = None
    try:
        engine.detect(text)
    except DetectorError as error:
        refused = error.reason
    assert refused in {None, "TooMany", "TimeoutError"}
    assert time.thread_time() - began < 2.5  # 200 KB; measured 0.02-0.3 s, the margin is for a busy machine


def test_a_failure_outside_any_detector_refuses_the_text_too(engine, monkeypatch):
    def broken(_view, _folded):
        raise ValueError("quotes 901010-1234567")

    monkeypatch.setattr("filters.engine.read", broken)
    with pytest.raises(DetectorError, match=r"^engine: ValueError$"):
        engine.detect("구공일공일공")
    with pytest.raises(DetectorError, match=r"^joined: ValueError$"):
        engine.detect_joined(["구공일공일공", "1234567"])
