"""Any chat-like client reaches any chat-like provider; the documentation shows exactly what works."""

from __future__ import annotations

import re

import pytest

from tests.providers.matrix import CHECKS, DOCUMENT, SURFACES, cell, table
from tests.simulator.test_wires import PLACES


@pytest.mark.parametrize("feature", CHECKS)
@pytest.mark.parametrize("surface", SURFACES)
def test_what_is_not_refused_works_whole_and_streamed_and_costs_the_same(surface: str, feature: str) -> None:
    outcomes = {place: cell(surface, place, feature) for place in PLACES}
    assert [place for place, outcome in outcomes.items() if outcome == "wrong"] == []


def test_the_documentation_shows_each_cell_as_it_is() -> None:
    """To renew it: `python -m tests.providers.matrix`."""
    shown = re.search(
        r"<!-- matrix -->\n(.*?)\n<!-- /matrix -->", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    assert shown is not None
    assert shown[1] == table()
