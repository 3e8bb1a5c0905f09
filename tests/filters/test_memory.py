"""A huge text leaves no memory behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters import memory
from filters.detector import DetectorError


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def test_what_a_huge_text_needed_is_given_back(engine):
    texts = ["900101-" * 150_000, "１" * 350_000, "총무과 김서연 주무관 010-1234-5678\n" * 20_000]
    for text in texts:
        read(engine, text)
    before = resident_mb()
    for text in texts * 2:
        read(engine, text)
    assert resident_mb() - before < 15  # it grows by 2 MB at most; without giving back by 20 and more


def read(engine, text: str) -> None:
    try:
        engine.detect(text)
    except DetectorError as error:
        assert error.reason == "TooMany"  # noqa: PT017 - a hostile text may be refused


@pytest.mark.parametrize(("length", "trims"), [(memory.HUGE, 0), (memory.HUGE + 1, 1)])
def test_only_a_huge_text_is_worth_it(length, trims, monkeypatch):
    called = []
    monkeypatch.setattr(memory, "_trim", called.append)
    memory.release_after("가" * length)
    assert len(called) == trims
