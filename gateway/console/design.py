"""/console/design: every part of the design system on one page, to look at and to test.

Figures on it are examples and say so; nothing of an institution is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from gateway.console import areas, charts
from gateway.console.formats import won
from gateway.console.i18n import N_, translations
from gateway.console.pages import language_for, render
from gateway.console.session import Needs, Visitor
from gateway.permissions import Permission

if TYPE_CHECKING:
    from starlette.responses import Response

Viewer = Annotated[Visitor, Depends(Needs(Permission.DESIGN_VIEW))]

TOKENS: Final = (
    *("paper", "surface", "sunken", "line", "line-strong", "ink", "ink-2", "ink-3"),
    *("primary", "primary-strong", "primary-soft", "good", "good-soft", "warn", "warn-soft"),
    *("bad", "bad-soft", "chart-1", "chart-2", "chart-3", "chart-4", "chart-5", "chart-6"),
)
"""The colours of static/css/tokens.css that are shown."""

_DAYS: Final = tuple(f"11-{day:02}" for day in range(1, 15))
_FIRST: Final = (12, 30, 18, 44, 38, 3, 2, 41, 52, 47, 60, 58, 9, 4)
_SECOND: Final = (5, 8, 13, 21, 9, 0, 1, 18, 14, 22, 19, 25, 2, 0)
_KILO: Final = 1_000 * 10**9


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get("/console/design")
    def design(request: Request, visitor: Viewer) -> Response:
        language = language_for(request, visitor)
        translate = translations(language).gettext
        series = [
            charts.Series("claude-opus", tuple(value * _KILO for value in _FIRST)),
            charts.Series("gemini-flash", tuple(value * _KILO for value in _SECOND)),
        ]
        columns = charts.bars(translate(N_("막대")), _DAYS, series, lambda nano: won(nano, language))
        curves = charts.lines(translate(N_("꺾은선")), _DAYS, series, lambda nano: won(nano, language))
        return render(request, visitor, "design.html", tokens=TOKENS, columns=columns, curves=curves)

    return routes
