"""The stored figures: a rule release that finds less, or more that is none, fails here.

`figures.json` holds exact and overlap F1 per data set and type. tests/filters/data/labelled.jsonl was
written by hand for this and is in no training set. To store better figures:
`python -m tests.filters.test_figures`; figures are never lowered by hand without a word in the changelog.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from filters.engine import Engine
from filters.evaluate import Document, evaluate, is_held_out, read
from filters.spans import PERSON

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
FIGURES = HERE / "data" / "figures.json"
SHARED = HERE.parents[2] / "shared" / "pii"
TOLERANCE = 0.0005


def measured(name: str) -> dict[str, list[float]]:
    """Type -> [exact F1, overlap F1]; on shared data only what was not tuned on."""
    report = evaluate(Engine().detect, documents(name))
    return {row.type: [round(row.exact_f1, 4), round(row.overlap_f1, 4)] for row in report.rows()}


def documents(name: str) -> Iterable[Document]:
    match name:
        case "labelled":
            return read(HERE / "data" / "labelled.jsonl")
        case "administrative, held out":
            return [d for d in read(SHARED / "administrative.jsonl") if is_held_out(d.text)]
    source = name.partition(",")[0]
    return [d for d in read(SHARED / "klue-ner-half.tsv") if d.source == source and is_held_out(d.text)]


def assert_no_figure_fell(name: str) -> None:
    stored, now = json.loads(FIGURES.read_text("utf-8"))[name], measured(name)
    fallen = {
        f"{kind} {which}": (old, new)
        for kind, figures in stored.items()
        for which, old, new in zip(("exact", "overlap"), figures, now.get(kind, [0.0, 0.0]), strict=True)
        if new < old - TOLERANCE
    }
    assert not fallen, f"{name}: stored and measured F1 {fallen}"


def test_no_figure_fell_on_the_documents_written_by_hand():
    assert_no_figure_fell("labelled")


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["administrative, held out", "klue-news, held out", "klue-reviews, held out"]
)
def test_no_figure_fell_on_documents_that_nobody_tuned_on(name: str):
    assert_no_figure_fell(name)


@pytest.mark.shared
def test_the_figures_promised_to_the_security_officer_hold():
    administrative = measured("administrative, held out")
    assert administrative["ALL"][0] >= 0.85
    assert administrative["ALL"][1] >= 0.93
    assert administrative[PERSON][0] >= 0.93


def store() -> None:
    names = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    for name in ("labelled", "administrative, held out", "klue-news, held out", "klue-reviews, held out"):
        if name == "labelled" or SHARED.is_dir():
            names[name] = measured(name)
    FIGURES.write_text(json.dumps(names, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    store()
