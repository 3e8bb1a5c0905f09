"""Recall and precision on generated numbers, in sentences that the rules were never tuned on."""

from __future__ import annotations

from math import sqrt
from random import Random

import pytest

from filters import spans
from tests.filters.generate import HELD_OUT, NUMBERS, harmless, samples

STRONG = (spans.KR_RRN, spans.KR_FRN, spans.CREDIT_CARD, spans.KR_PASSPORT, spans.KR_DRIVER_LICENSE)


def lower_bound(hits: int, total: int) -> float:
    """95 % lower bound of a proportion (Wilson)."""
    z = 1.645
    rate = hits / total
    centre = rate + z * z / (2 * total)
    return (centre - z * sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))) / (1 + z * z / total)


def measure(engine, kind, count, seed):
    """(found, missed, false) of one type over as many labelled as harmless lines."""
    found = false = 0
    for sample in samples(Random(seed), kind, HELD_OUT, count):
        hits = [span for span in engine.detect(sample.text) if span.type == kind]
        touching = [span for span in hits if span.start < sample.end and sample.start < span.end]
        found += bool(touching)
        false += len(hits) - len(touching)
    for sample in harmless(Random(seed + 1), count):
        false += sum(span.type == kind for span in engine.detect(sample.text))
    return found, count - found, false


@pytest.mark.parametrize("kind", NUMBERS)
def test_labelled_numbers_are_found_in_unseen_sentences(engine, kind):
    found, missed, false = measure(engine, kind, 150, seed=11)
    assert missed <= 1
    assert false <= 1
    assert found >= 149


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", NUMBERS)
def test_recall_and_precision_over_three_thousand_samples(engine, kind):
    found, missed, false = measure(engine, kind, 3000, seed=5)
    recall, precision = lower_bound(found, found + missed), lower_bound(found, found + false)
    print(f"{kind}: recall >= {recall:.4f} precision >= {precision:.4f} (95 % lower bounds, n=3000)")
    assert recall >= (0.998 if kind in STRONG else 0.98)
    assert precision >= 0.99


@pytest.mark.parametrize("kind", [spans.KR_BRN, spans.KR_CORP_NO])
def test_a_wrong_check_digit_does_not_hide_a_labelled_number(engine, kind):
    from filters import checksums

    valid = checksums.brn_valid if kind == spans.KR_BRN else checksums.corp_valid
    wrong = [
        sample
        for sample in samples(Random(2), kind, HELD_OUT, 900)
        if not valid("".join(filter(str.isdigit, sample.text[sample.start : sample.end])))
    ]
    found = sum(any(span.type == kind for span in engine.detect(sample.text)) for sample in wrong)
    assert len(wrong) > 200
    assert found / len(wrong) >= 0.98
