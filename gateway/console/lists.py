"""The one way to show a list: sorted, filtered and cut into pages by its address, and exported as CSV.

A page declares a `ListSpec` once; `ListSpec.read` turns an address into a `ListQuery` (a sort that is not
offered, a page that is no number: the usual one), the page's source answers it with rows and how many
there are in all, and `ListView` draws what stands around the rows: heads that sort, pages, the way to the
CSV. What follows `?` is the whole state, so that a list can be sent to somebody and reached by "back".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

from starlette.responses import StreamingResponse

from billing.periods import KST
from gateway.console.i18n import translations
from gateway.spreadsheets import csv_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gateway.console.i18n import Language

R = TypeVar("R")

if TYPE_CHECKING:
    Source = Callable[["ListQuery"], tuple[Sequence[R], int]]
    """Answers a query with the rows of its page and the number of all rows."""

SIZES: Final = (25, 50, 100, 200)
MOST_PAGE: Final = 1_000_000
MOST_FILTER_CHARS: Final = 200
EXPORT_BATCH: Final = 2_000
AROUND: Final = 2
"""Page numbers shown on either side of the current one."""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """`label` is Korean, marked for the catalogue. `value` is what the CSV holds: plain, not for eyes.

    `sorts`: the source can sort by this name. `number` stands to the right, and sorts downwards first.
    """

    name: str
    label: str
    value: Callable[[R], object]
    sorts: bool = False
    number: bool = False


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What an address asks for. `filters` has every filter of the list, empty where none is set."""

    sort: str
    descending: bool
    page: int
    size: int
    filters: Mapping[str, str]

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.size

    def filter(self, name: str) -> str | None:
        """Return a filter's text, None where it is not set."""
        return self.filters[name] or None


@dataclass(frozen=True, slots=True)
class ListSpec(Generic[R]):
    """What a list offers. `sort` and `descending` are its usual order; `filters` maps names to defaults."""

    name: str
    """Of the exported file."""
    columns: tuple[Column[R], ...]
    sort: str
    descending: bool = False
    filters: Mapping[str, str] = field(default_factory=dict)
    size: int = 50

    def read(self, address: Mapping[str, str]) -> ListQuery:
        """Return what an address asks for; nothing in it is an error."""
        offered = [column.name for column in self.columns if column.sorts]
        sort = address.get("sort", "")
        order = address.get("order", "")
        chosen = sort if sort in offered else self.sort
        usual = self.descending if chosen == self.sort else False
        return ListQuery(
            sort=chosen,
            descending=order == "desc" if order in {"asc", "desc"} else usual,
            page=_number(address.get("page", ""), 1, MOST_PAGE),
            size=_size(address.get("size", ""), self.size),
            filters={name: _text(address.get(name, usual)) for name, usual in self.filters.items()},
        )

    def everything(self, query: ListQuery) -> ListQuery:
        """Return the query for a whole export, in the order and with the filters of the page."""
        return replace(query, page=1, size=EXPORT_BATCH)


@dataclass(frozen=True, slots=True)
class ListView(Generic[R]):
    """One page of a list, ready for `lists.html`. `path` is the page's address without a query."""

    spec: ListSpec[R]
    query: ListQuery
    path: str
    rows: Sequence[R]
    total: int
    fixed: Mapping[str, str] = field(default_factory=dict)
    """What else must stay in the address (the tab that is open, …)."""

    @property
    def first(self) -> int:
        return min(self.query.offset + 1, self.total)

    @property
    def last(self) -> int:
        return min(self.query.offset + len(self.rows), self.total)

    @property
    def page_count(self) -> int:
        return max(1, -(-self.total // self.query.size))

    @property
    def filtered(self) -> bool:
        """Whether any filter is set to something else than usual."""
        return any(value != self.spec.filters[name] for name, value in self.query.filters.items())

    def head(self, column: Column[R]) -> tuple[str, str]:
        """Return the address that sorts by a column, and how it is sorted now (aria-sort)."""
        if self.query.sort != column.name:
            order = "desc" if column.number else "asc"
            return self.address(sort=column.name, order=order, page=""), ""
        turned = "asc" if self.query.descending else "desc"
        state = "descending" if self.query.descending else "ascending"
        return self.address(sort=column.name, order=turned, page=""), state

    def page_path(self, number: int) -> str:
        return self.address(page="" if number == 1 else str(number))

    @property
    def previous(self) -> str:
        return self.page_path(self.query.page - 1) if self.query.page > 1 else ""

    @property
    def following(self) -> str:
        return self.page_path(self.query.page + 1) if self.query.page < self.page_count else ""

    @property
    def pages(self) -> tuple[tuple[int, str, bool], ...]:
        """Return (number, path, current) triples; number 0 is a gap."""
        here = self.query.page
        near = range(here - AROUND, here + AROUND + 1)
        shown = sorted({1, self.page_count, *(n for n in near if 1 <= n <= self.page_count)})
        triples: list[tuple[int, str, bool]] = []
        for number in shown:
            if triples and number - triples[-1][0] > 1:
                triples.append((0, "", False))
            triples.append((number, self.page_path(number), number == here))
        return tuple(triples)

    @property
    def csv_path(self) -> str:
        return self.address(page="", format="csv")

    def address(self, **changes: str) -> str:
        """Return this list's address with some of it changed; what is usual is left out."""
        query = self.query
        usual_order = query.sort == self.spec.sort and query.descending == self.spec.descending
        state: dict[str, str] = {**self.fixed}
        state |= {n: v for n, v in query.filters.items() if v != self.spec.filters[n]}
        if not usual_order:
            state |= {"sort": query.sort, "order": "desc" if query.descending else "asc"}
        if query.size != self.spec.size:
            state["size"] = str(query.size)
        if query.page > 1:
            state["page"] = str(query.page)
        state = {
            name: value for name, value in (state | changes).items() if value or name in self.spec.filters
        }
        return f"{self.path}?{urlencode(state)}" if state else self.path


def view(
    spec: ListSpec[R],
    query: ListQuery,
    path: str,
    source: Source[R],
    fixed: Mapping[str, str] | None = None,
) -> ListView[R]:
    """Ask the source for the page; one beyond the end (a list that shrank) shows the last page instead."""
    rows, total = source(query)
    last_page = max(1, -(-total // query.size))
    if query.page > last_page:
        query = replace(query, page=last_page)
        rows, total = source(query)
    return ListView(spec, query, path, rows, total, fixed or {})


def wants_csv(address: Mapping[str, str]) -> bool:
    return address.get("format") == "csv"


def export(
    spec: ListSpec[R],
    query: ListQuery,
    source: Source[R],
    language: Language,
    day: date,
) -> StreamingResponse:
    """Stream the whole list as CSV, batch by batch, named for `day`."""
    translate = translations(language).gettext
    header = [translate(column.label) for column in spec.columns]
    cells = ([_plain(column.value(row)) for column in spec.columns] for row in _all_rows(spec, query, source))
    file = f"{spec.name}-{day:%Y%m%d}.csv"
    return StreamingResponse(
        csv_chunks(header, cells),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file)}",
            "cache-control": "no-store",
        },
    )


def _all_rows(spec: ListSpec[R], query: ListQuery, source: Source[R]) -> Iterator[R]:
    query = spec.everything(query)
    while True:
        rows, total = source(query)
        yield from rows
        if query.offset + len(rows) >= total or not rows:
            return
        query = replace(query, page=query.page + 1)


def cut(rows: Iterable[R], query: ListQuery, keys: Mapping[str, Callable[[R], Any]]) -> tuple[list[R], int]:
    """Sort and cut rows that are in memory anyway (models, policies): a source for short lists."""
    ordered = sorted(rows, key=keys[query.sort], reverse=query.descending)
    return ordered[query.offset : query.offset + query.size], len(ordered)


def _plain(value: object) -> object:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(KST).strftime("%Y-%m-%d %H:%M:%S")
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case _:
            return value


def _number(text: str, usual: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return usual
    return min(max(int(text), 1), most)


def _size(text: str, usual: int) -> int:
    number = _number(text, usual, max(SIZES))
    return number if number in SIZES else usual


def _text(value: str) -> str:
    return value.replace("\0", "").strip()[:MOST_FILTER_CHARS]


def next_offset(total: int, offset: int, limit: int) -> int | None:
    """Where the next page of an API's list begins; None after the last one."""
    return offset + limit if offset + limit < total else None
