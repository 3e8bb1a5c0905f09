"""One way to make a page: `render(request, visitor, "template.html", **context)`.

Here live the template environments, one per language, and what every page shows around its content. What a
page says and where its facts come from stands in the module of its area. No SQL.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from gateway.console import assets
from gateway.console.formats import filters
from gateway.console.i18n import Language, language_of, translations
from gateway.console.navigation import navigation
from gateway.console.notices import NOTICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from gateway.console.session import Visitor

TEMPLATES: Final = Path(__file__).parent / "templates"
THEME_COOKIE: Final = "haechi-theme"
Theme = Literal["auto", "light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("auto", "light", "dark")


@cache
def environment(language: Language) -> Environment:
    """Return the environment whose templates speak `language`; an unknown name in a template is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(filters(language))
    made.globals.update(language=language, asset=assets.address)
    return made


def render(
    request: Request,
    visitor: Visitor | None,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> HTMLResponse:
    """Make a page for `visitor`; None before sign-in. `context` is what the template asks for."""
    language = language_for(request, visitor)
    frame: dict[str, object] = {
        "visitor": visitor,
        "path": request.url.path,
        "here": _address(request),
        "theme": theme_of(request.cookies),
        "navigation": navigation(visitor.roles, request.url.path) if visitor else (),
        "notice": NOTICES.get(request.query_params.get("notice", "")),
    }
    text = environment(language).get_template(template).render(frame | context)
    named = dict(headers or {}) | {"content-language": language}
    return HTMLResponse(text, status_code=status, headers=named)


def language_for(request: Request, visitor: Visitor | None = None) -> Language:
    """Return the language to answer in: chosen in this browser, set for the account, or the browser's own."""
    setting = visitor.account.language if visitor else None
    return language_of(request.cookies, setting, request.headers.get("accept-language", ""))


def theme_of(cookies: Mapping[str, str]) -> Theme:
    chosen = cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else "auto"


def _address(request: Request) -> str:
    """Return the address of this page without its notice: where preferences lead back to."""
    query = request.url.remove_query_params("notice").query
    return request.url.path + (f"?{query}" if query else "")
