"""POST /console/preferences: language and brightness, kept in cookies of this browser.

Open to anybody, before sign-in too: it changes nothing but how pages look. The language of somebody who is
signed in goes with their account to other browsers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse

from gateway.console import areas
from gateway.console.i18n import COOKIE, LANGUAGES
from gateway.console.pages import THEME_COOKIE, THEMES
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import SIGN_IN, local_path, signed_in
from gateway.errors import SignInNeeded
from gateway.store.accounts import set_language

if TYPE_CHECKING:
    from starlette.responses import Response

A_YEAR_S: Final = 365 * 86_400


def router() -> APIRouter:
    routes = areas.pages()

    @routes.post("/console/preferences")
    def keep_preferences(
        request: Request,
        parts: Parts,
        language: Annotated[str, Form()] = "",
        theme: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "",  # noqa: A002 - the name in the form
    ) -> Response:
        back = next if next.startswith(f"{SIGN_IN}?") or next == SIGN_IN else local_path(next)
        response = RedirectResponse(back, status_code=303)
        if language in LANGUAGES:
            _keep(response, request, COOKIE, language)
            _remember(request, parts, language)
        if theme in THEMES:
            _keep(response, request, THEME_COOKIE, theme)
        return response

    return routes


def _remember(request: Request, parts: ConsoleParts, language: str) -> None:
    try:
        visitor = signed_in(request, parts)
    except SignInNeeded:
        return
    set_language(parts.database, visitor.account.id, language)


def _keep(response: Response, request: Request, name: str, value: str) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=A_YEAR_S, path="/", secure=secure, httponly=True, samesite="lax")
