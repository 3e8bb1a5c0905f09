"""Presidio's recognisers in our engine, and our engine in Presidio's analyser."""

from __future__ import annotations

import logging
import threading

import pytest
from presidio_analyzer import Pattern, PatternRecognizer

from filters import spans
from filters.detector import DetectorError
from filters.engine import Engine
from filters.presidio import PresidioDetector, analyzer, recognizer_named, span_of

BADGE = PatternRecognizer("BADGE", name="badge", patterns=[Pattern("badge", r"\bBG-\d{4}\b", 0.9)])


def test_our_engine_answers_through_a_presidio_analyser(engine):
    text = "주민번호 901010-1234567, 메일 hong@korea.kr로, 보안등급: 대외비"
    results = analyzer(engine).analyze(text, language="ko")
    assert sorted(span_of(result) for result in results) == engine.detect(text)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_third_party_recogniser_stands_beside_ours_in_the_analyser(engine, language):
    badge = PatternRecognizer("BADGE", patterns=BADGE.patterns, supported_language=language)
    results = analyzer(engine, [badge]).analyze("BG-1234 901010-1234567", language=language)
    assert {result.entity_type for result in results} == {"BADGE", spans.KR_RRN}


def test_a_third_party_recogniser_works_inside_the_engine_even_before_a_particle():
    engine = Engine(extra=[PresidioDetector(BADGE)])
    assert [span.type for span in engine.detect("출입증 BG-1234입니다")] == ["BADGE"]


def test_a_recogniser_is_made_from_the_name_in_the_configuration():
    made = recognizer_named("presidio_analyzer.predefined_recognizers:CryptoRecognizer")
    assert made.supported_entities == ["CRYPTO"]


@pytest.mark.parametrize(
    ("path", "error"),
    [("nowhere:Nothing", ValueError), ("json:loads", TypeError), ("json:Nothing", ValueError)],
)
def test_a_wrong_name_in_the_configuration_is_refused(path, error):
    with pytest.raises(error, match=path):
        recognizer_named(path)


def test_a_pattern_that_times_out_refuses_the_text_where_presidio_drops_its_matches(caplog):
    slow = PatternRecognizer("SLOW", name="slow", patterns=[Pattern("slow", r"(a|aa)+$", 0.9)])
    text = "a" * 5000 + "b"
    with caplog.at_level(logging.DEBUG), pytest.raises(DetectorError, match="TimeoutError"):
        PresidioDetector(slow).find(text)
    assert text not in caplog.text


def test_a_timeout_refuses_the_text_whatever_is_logged():
    """Found when the gateway's log levels kept Presidio's warning, and with it the refusal, from coming."""
    slow = PatternRecognizer("SLOW", name="slow", patterns=[Pattern("slow", r"(a|aa)+$", 0.9)])
    logger = logging.getLogger("presidio-analyzer")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    stop = threading.Event()
    busy = threading.Thread(target=lambda: [sum(range(10_000)) for _ in iter(stop.is_set, True)], daemon=True)
    busy.start()  # spends CPU time, by which `regex` measures
    try:
        with pytest.raises(DetectorError, match="TimeoutError"):
            PresidioDetector(slow).find("a" * 5000 + "b")
    finally:
        stop.set()
        busy.join()
        logger.setLevel(before)


def test_presidio_writes_no_text_to_the_log(engine, caplog):
    with caplog.at_level(logging.DEBUG):
        engine.detect("IBAN DE00 3704 0044 0532 0130 00, GB33BUKB20201555555555")
    assert caplog.text == ""
