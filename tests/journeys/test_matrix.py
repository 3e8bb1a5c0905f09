"""Every address of the gateway reaches every provider family that has the thing, counted to the token by all sides."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from tests.journeys.matrix import FAMILIES, LOCAL, Bench, bench, column, shown, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Columns = dict[str, "Mapping[tuple[str, str], str]"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("matrix")) as made:
        yield made


@pytest.fixture(scope="module")
def columns(running: Bench) -> Columns:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The Sora API is scheduled", DeprecationWarning)
        return {family: column(running, family) for family in (*FAMILIES, LOCAL)}


@pytest.mark.parametrize("family", [*FAMILIES, LOCAL])
def test_each_cell_works_or_is_refused_by_name(columns: Columns, family: str) -> None:
    assert {
        place: outcome for place, outcome in columns[family].items() if outcome not in ("✓", "–", "·")
    } == {}


def test_the_documentation_shows_this_run(columns: Columns) -> None:
    """To renew it: `python -m tests.journeys.matrix`."""
    assert shown() == table(columns)
