"""Honest work is not stopped: lines that only look dangerous, and real public documents."""

from __future__ import annotations

from random import Random

import pytest

from filters import spans
from tests.filters.generate import harmless
from tests.filters.honest import HONEST_LINES, OFFICE_LINES

BLOCKING = {
    spans.KR_RRN,
    spans.KR_FRN,
    spans.KR_PASSPORT,
    spans.KR_DRIVER_LICENSE,
    spans.CREDIT_CARD,
    spans.SECRET,
    spans.SECURITY_MARKING,
}


@pytest.mark.parametrize("line", HONEST_LINES)
def test_a_line_that_only_looks_dangerous_passes(engine, line):
    assert [span for span in engine.detect(line) if span.type != spans.PERSON] == []


@pytest.mark.parametrize("line", OFFICE_LINES)
def test_an_office_number_is_labelled_as_one(engine, line):
    phones = [span for span in engine.detect(line) if span.type == spans.PHONE_NUMBER]
    assert [span.label for span in phones] == ["office"]


def test_generated_harmless_lines_pass(engine):
    lines = [sample.text for sample in harmless(Random(4), 600)]
    touched = [line for line in lines if any(span.type != spans.PERSON for span in engine.detect(line))]
    assert len(touched) / len(lines) <= 0.005, touched[:5]


@pytest.mark.shared
def test_real_public_documents_hold_nothing_to_block(engine, shared):
    for path in (shared / "documents").glob("*.txt"):
        for line in path.read_text().splitlines():
            found = engine.detect(line)
            assert not {span.type for span in found} & BLOCKING, path.name
