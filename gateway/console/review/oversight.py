"""감독: what the filter and the reviewers did in a period: trends, where, which rules, how fast."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from billing.periods import billing_day
from gateway.console import areas
from gateway.console.admin.forms import day_of
from gateway.console.charts import Series, bars
from gateway.console.finance.shared import pseudonym
from gateway.console.formats import short_count
from gateway.console.i18n import N_, translations
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.review.shared import words_for
from gateway.console.review.words import RESOLUTIONS, SEVERITIES
from gateway.console.session import Needs, Visitor
from gateway.incidents.oversight import Period
from gateway.permissions import Permission
from gateway.spreadsheets import csv_chunks
from gateway.store.incident_statistics import freshen, overview
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from starlette.responses import Response

    from gateway.console.i18n import Language
    from gateway.incidents.oversight import Cell, Day, Oversight

Viewer = Annotated[Visitor, Depends(Needs(Permission.INCIDENTS_VIEW))]

OVERSIGHT: Final = "/console/review/oversight"
USUAL_DAYS: Final = 30
MOST_DAYS: Final = 370
MOST_ROWS: Final = 12
MOST_TYPES: Final = 8
MOST_COLUMNS: Final = 62
"""Of the chart; a longer period is drawn by weeks."""
WEEK: Final = 7
STEPS: Final = 4
"""Shades of the heat map."""

SHOWN: Final = (
    ("refused", N_("막음")),
    ("kept_inside", N_("기관 안으로")),
    ("masked", N_("가림")),
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(OVERSIGHT)
    def oversight(request: Request, visitor: Viewer, parts: Parts) -> Response:
        return _page(request, visitor, parts)

    return routes


def _page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    period = period_asked(request.query_params, billing_day(parts.now()))
    freshen(parts.database, parts.now())
    found = overview(parts.database, period, parts.now())
    if request.query_params.get("format") == "csv":
        return _export(found)
    language = language_for(request, visitor)
    names = unit_names(parts.database)
    series = _series(found, language)
    return render(
        request,
        visitor,
        "review/oversight.html",
        found=found,
        words=words_for(request, visitor, parts),
        names=names,
        chart=_chart(found, series, language),
        series=series,
        heat=heat_map(found.heat),
        severities=[(label, one.word) for one, (label, _) in SEVERITIES.items()],
        resolutions=[(label, one.value) for one, (label, _) in RESOLUTIONS.items()],
        whose=lambda person: pseudonym(parts, person),
        today=billing_day(parts.now()).isoformat(),
        csv_path=f"{OVERSIGHT}?from={period.first}&to={period.last}&format=csv",
    )


def period_asked(address: Mapping[str, str], today: date) -> Period:
    """Return the days that an address asks for; the last thirty where it asks for none, or for nonsense."""
    first, last = day_of(address.get("from", "")), day_of(address.get("to", ""))
    last = min(last or today, today)
    first = first or last - timedelta(days=USUAL_DAYS - 1)
    first = max(min(first, last), last - timedelta(days=MOST_DAYS - 1))
    return Period(first, last)


# --- trend --------------------------------------------------------------------------------------------------


def _bars(days: Sequence[Day]) -> list[Sequence[Day]]:
    """Return the days of each column: one, or a week where the period is long."""
    wide = 1 if len(days) <= MOST_COLUMNS else WEEK
    return [days[at : at + wide] for at in range(0, len(days), wide)]


def _series(found: Oversight, language: Language) -> list[Series]:
    say = translations(language).gettext
    return [
        Series(
            say(label),
            tuple(sum(getattr(one.totals, name) for one in days) for days in _bars(found.days)),
        )
        for name, label in SHOWN
    ]


def _chart(found: Oversight, series: Sequence[Series], language: Language) -> object:
    columns = _bars(found.days)
    title = translations(language).gettext(
        N_("날마다 막고, 안으로 돌리고, 가린 요청")
        if len(columns) == len(found.days)
        else N_("주마다 막고, 안으로 돌리고, 가린 요청")
    )
    labels = [days[0].day.strftime("%m-%d") for days in columns]
    return bars(title, labels, series, lambda number: short_count(number, language))


def _export(found: Oversight) -> Response:
    sums = ("requests", *(name for name, _ in SHOWN), "simulated", "unscanned", "degraded", "findings")
    rows = ((one.day.isoformat(), *(getattr(one.totals, name) for name in sums)) for one in found.days)
    name = f"oversight-{found.period.first:%Y%m%d}-{found.period.last:%Y%m%d}.csv"
    return StreamingResponse(
        csv_chunks(("day", *sums), rows),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


# --- heat map -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Departments down, types across: requests, with a shade from 0 (none) to STEPS (most)."""

    types: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]
    """(department, (requests, shade) of each type)."""
    departments: int
    """How many there are in all; the busiest are shown."""


def heat_map(cells: Sequence[Cell]) -> HeatMap:
    """Lay the cells out, the busiest departments and types first."""
    of = {(cell.department_id, cell.type): cell.requests for cell in cells}
    departments = _busiest((cell.department_id, cell.requests) for cell in cells)
    types = _busiest((cell.type, cell.requests) for cell in cells)[:MOST_TYPES]
    most = max(of.values(), default=0)
    rows = tuple(
        (unit, tuple((of.get((unit, t), 0), _shade(of.get((unit, t), 0), most)) for t in types))
        for unit in departments[:MOST_ROWS]
    )
    return HeatMap(tuple(types), rows, len(departments))


def _busiest(pairs: Iterable[tuple[str, int]]) -> list[str]:
    sums: dict[str, int] = {}
    for name, number in pairs:
        sums[name] = sums.get(name, 0) + number
    return sorted(sums, key=lambda name: (-sums[name], name))


def _shade(number: int, most: int) -> int:
    return -(-number * STEPS // most) if most else 0
