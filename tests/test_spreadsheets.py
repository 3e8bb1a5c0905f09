"""CSV for spreadsheets: nothing runs, nothing is lost, and it comes piece by piece."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.spreadsheets import csv_chunks, inert


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "＝1", "|cmd", "\t=1", "\0=1"])
def test_what_a_spreadsheet_would_run_is_led_by_an_apostrophe(text: str) -> None:
    assert str(inert(text)).startswith("'")


@pytest.mark.parametrize("value", [-5, 0, 1.5, None, "총무과", "a=b", ""])
def test_everything_else_is_left_alone(value: object) -> None:
    assert inert(value) == value


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=20))
def test_what_is_written_is_read_back_as_far_as_it_is_harmless(rows: list[list[str]]) -> None:
    text = "".join(csv_chunks(["a", "b"], rows))
    assert text.startswith("\ufeff")
    read = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert read[1:] == [[inert(cell) for cell in row] for row in rows]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for row in read[1:] for cell in row)


def test_a_long_table_comes_in_pieces_as_its_rows_do() -> None:
    drawn = 0

    def rows():
        nonlocal drawn
        for number in range(50_000):
            drawn = number
            yield [number, "가" * 20]

    chunks = csv_chunks(["n", "t"], rows())
    next(chunks)
    assert drawn < 5_000
    assert sum(chunk.count("\r\n") for chunk in chunks) > 45_000
