"""A request costs no more calls and bytecodes than were recorded; a tenth more would be seen.

The figures do not depend on the machine or its load, but on Python's version: they were recorded with the
one that CI runs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import load, ratchet
from gateway.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != ratchet.PYTHON, reason=f"the figures were recorded with Python {ratchet.PYTHON}"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("ratchet")
    with ratchet.provider() as port:
        yield folder, load.install(folder, port=port)


def test_a_request_costs_no_more_than_was_recorded(installed: tuple[Path, str]) -> None:
    assert ratchet.slower(ratchet.measure(*installed)) == []


def nothing() -> None:
    """Be called."""


def more_calls() -> None:
    for _ in range(int(ratchet.RECORDED["request calls"] * 0.1)):
        nothing()


def more_bytecodes() -> None:
    for _ in range(int(ratchet.RECORDED["request bytecodes"] * 0.1) // 3):  # three a turn, and no call
        pass


@pytest.mark.parametrize(
    ("planted", "seen"), [(more_calls, "request calls"), (more_bytecodes, "request bytecodes")]
)
def test_a_tenth_more_is_seen(
    installed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, planted: Any, seen: str
) -> None:
    answer = Pipeline.answer

    async def slower(self: Pipeline, *rest: Any) -> Any:
        planted()
        return await answer(self, *rest)

    monkeypatch.setattr(Pipeline, "answer", slower)
    assert [found for found in ratchet.slower(ratchet.measure(*installed)) if found.startswith(seen)]
