"""docs/filter.md says what the code does: every rendering, every type, the version of the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.engine import RULES_VERSION, Engine
from tests.filters.renderings import DISGUISES, RENDERINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_rendering_stands_in_the_document():
    text = (DOCS / "filter.md").read_text()
    cells = {cell.strip().replace("\\\\", "\\") for line in text.splitlines() for cell in line.split("|")}
    assert set(RENDERINGS) <= cells
    assert set(DISGUISES) <= cells
    assert f"{len(DISGUISES)} disguises" in text
    assert f"{len(RENDERINGS)} renderings" in text


def test_every_type_stands_in_the_document(engine: Engine):
    text = (DOCS / "filter.md").read_text()
    assert [kind for kind in engine.types if kind not in text] == []


@pytest.mark.parametrize("name", ["filter.md", "filter.ko.md"])
def test_the_documents_speak_of_the_present_rules(name):
    assert RULES_VERSION in (DOCS / name).read_text()
