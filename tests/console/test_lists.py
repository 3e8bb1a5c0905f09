"""The list machinery by itself: addresses in, pages and CSV out."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console import lists
from gateway.console.lists import Column, ListSpec, cut, export, view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.console.lists import ListQuery

SPEC: ListSpec[int] = ListSpec(
    name="numbers",
    columns=(
        Column("number", "수", lambda n: n, sorts=True, number=True),
        Column("text", "글", lambda n: f"={n}", sorts=True),
        Column("note", "비고", lambda _: None),
    ),
    sort="number",
    filters={"q": "", "state": "active"},
)
KEYS = {"number": lambda n: n, "text": str}


def source(count: int):
    def answer(query: ListQuery) -> tuple[Sequence[int], int]:
        return cut(range(count), query, KEYS)

    return answer


def page(address: str, count: int = 240):
    query = SPEC.read(dict(parse_qsl(urlsplit(address).query, keep_blank_values=True)))
    return view(SPEC, query, "/console/numbers", source(count))


def test_an_address_without_a_query_shows_the_usual_page() -> None:
    shown = page("/console/numbers")
    assert (shown.rows[0], len(shown.rows), shown.total) == (0, 50, 240)
    assert (shown.first, shown.last, shown.page_count) == (1, 50, 5)
    assert (shown.previous, shown.following) == ("", "/console/numbers?page=2")


@pytest.mark.parametrize(
    "query", ["page=-1", "page=x", "page=٣", "size=7", "sort=drop", "order=sideways", "page=0", "page=1e9"]
)
def test_what_an_address_cannot_mean_is_the_usual(query: str) -> None:
    assert page(f"/?{query}").rows == page("/").rows


def test_a_page_beyond_the_end_shows_the_last_one() -> None:
    shown = page("/?page=999")
    assert (shown.query.page, shown.rows[0], shown.following) == (5, 200, "")


def test_heads_sort_and_turn_and_forget_the_page() -> None:
    by_number, by_text, _ = SPEC.columns
    shown = page("/?page=3&q=a")
    assert shown.head(by_number) == ("/console/numbers?q=a&sort=number&order=desc", "ascending")
    assert shown.head(by_text) == ("/console/numbers?q=a&sort=text&order=asc", "")
    turned = page("/?sort=number&order=desc")
    assert turned.rows[0] == 239
    assert turned.head(by_number)[1] == "descending"


def test_a_filter_emptied_on_purpose_stays_empty() -> None:
    shown = page("/?state=")
    assert shown.query.filter("state") is None
    assert shown.page_path(2) == "/console/numbers?state=&page=2"


def test_page_numbers_have_gaps() -> None:
    shown = page("/?page=10&size=25", count=1_000)
    assert [number for number, _, _ in shown.pages] == [1, 0, 8, 9, 10, 11, 12, 0, 40]
    assert [number for number, _, current in shown.pages if current] == [10]


@given(
    st.dictionaries(
        st.sampled_from(["page", "size", "sort", "order", "q", "state", "x"]), st.text(max_size=300)
    ),
    st.integers(0, 500),
)
def test_no_address_is_an_error_and_links_lead_to_pages(address: dict[str, str], count: int) -> None:
    shown = view(SPEC, SPEC.read(address), "/console/numbers", source(count))
    assert len(shown.rows) == min(shown.query.size, max(0, count - shown.query.offset))
    for _, path, _ in shown.pages:
        assert path == "" or path.startswith("/console/numbers")


@given(st.integers(0, 300), st.sampled_from(lists.SIZES))
def test_the_pages_together_are_the_list(count: int, size: int) -> None:
    rows: list[int] = []
    address = f"/?size={size}"
    while address:
        shown = page(address, count)
        rows += shown.rows
        address = shown.following
    assert rows == list(range(count))


def test_an_export_holds_the_whole_list_in_the_order_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "EXPORT_BATCH", 7)
    query = SPEC.read({"order": "desc", "page": "4"})
    response = export(SPEC, query, source(30), "en", date(2026, 11, 22))

    async def whole() -> str:
        return "".join([str(chunk) async for chunk in response.body_iterator])

    text = anyio.run(whole)
    assert text.startswith("\ufeff")
    header, *rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    assert header == ["수", "글", "비고"]  # not in the catalogue, so as it is
    assert [row[0] for row in rows] == [str(n) for n in range(29, -1, -1)]
    assert rows[0][1:] == ["'=29", ""]
    assert "numbers-20261122.csv" in response.headers["content-disposition"]


def test_times_are_exported_in_korea() -> None:
    assert lists._plain(datetime(2026, 11, 22, 15, 0, tzinfo=UTC)) == "2026-11-23 00:00:00"
