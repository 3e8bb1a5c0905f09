"""Sign-in, one-time code, sign-out. Nobody is signed in yet, so the forms carry a token of their own.

The anonymous token stands in a cookie of the form and, keyed, in the form itself: who can set neither
cannot make somebody sign in as somebody else (login CSRF).
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from gateway.console import areas
from gateway.console.identity_provider import LocalAccounts
from gateway.console.notices import done
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import (
    SIGN_IN,
    Needs,
    Visitor,
    address_of,
    cookie_name,
    csrf_token,
    drop_session_cookie,
    local_path,
    refuse_plain_http,
    set_session_cookie,
    signed_in,
    stale_form,
)
from gateway.errors import CallerError, RateLimited, SignInNeeded, Unauthenticated
from gateway.permissions import Permission
from gateway.sign_in import Browser

if TYPE_CHECKING:
    from gateway.accounts import Session

CODE: Final = f"{SIGN_IN}/code"
Anyone = Annotated[Visitor, Depends(Needs(Permission.ACCOUNT_OWN))]
Field = Annotated[str, Form()]

routes = areas.pages()


# --- the password -----------------------------------------------------------------------------------------


@routes.get(SIGN_IN)
def sign_in_page(
    request: Request, parts: Parts, target: Annotated[str, Query(alias="next")] = "/console"
) -> Response:
    refuse_plain_http(request, parts)
    if _is_signed_in(request, parts):
        return RedirectResponse(local_path(target), status_code=303)
    return _form(request, parts, target)


@routes.post(SIGN_IN)
def sign_in(
    request: Request,
    parts: Parts,
    login: Field = "",
    password: Field = "",
    csrf: Field = "",
    target: Annotated[str, Form(alias="next")] = "/console",
) -> Response:
    refuse_plain_http(request, parts)
    if not _form_is_ours(request, parts, csrf):
        raise stale_form()
    browser, now = browser_of(request), parts.now()
    provider = LocalAccounts(parts.sign_in)
    try:
        who = provider.prove({"login": login, "password": password}, browser, now)
        opened = parts.sign_in.admit(who, browser, now, via=provider.name)
    except (Unauthenticated, RateLimited) as refused:
        return _form(request, parts, target, login=login[:64], refused=refused)
    way = f"{CODE}?next={_quoted(target)}" if opened.needs_code else local_path(target)
    response = RedirectResponse(way, status_code=303)
    set_session_cookie(response, request, opened.token)
    return response


def _form(
    request: Request,
    parts: ConsoleParts,
    target: str,
    *,
    login: str = "",
    refused: CallerError | None = None,
) -> Response:
    token = request.cookies.get(_form_cookie(request)) or secrets.token_urlsafe(32)
    response = render(
        request,
        None,
        "sign_in.html",
        status=200 if refused is None else 429 if isinstance(refused, RateLimited) else 401,
        headers=_retry(refused),
        form_token=csrf_token(parts, token),
        login=login,
        next=local_path(target),
        refused=refused,
    )
    secure = request.url.scheme == "https"
    response.set_cookie(
        _form_cookie(request), token, path="/", secure=secure, httponly=True, samesite="strict", max_age=3600
    )
    return response


# --- the one-time code ------------------------------------------------------------------------------------


@routes.get(CODE)
def code_page(
    request: Request, parts: Parts, target: Annotated[str, Query(alias="next")] = "/console"
) -> Response:
    _waiting(request, parts)
    return _code_form(request, parts, target)


@routes.post(CODE)
def code(
    request: Request,
    parts: Parts,
    code: Field = "",
    csrf: Field = "",
    target: Annotated[str, Form(alias="next")] = "/console",
) -> Response:
    waiting = _waiting(request, parts)
    token = request.cookies[cookie_name(request)]
    if not hmac.compare_digest(csrf.encode(), csrf_token(parts, token).encode()):
        raise stale_form()
    try:
        opened = parts.sign_in.confirm(waiting, code[:64], browser_of(request), parts.now())
    except (Unauthenticated, RateLimited) as refused:
        return _code_form(request, parts, target, refused)
    response = RedirectResponse(local_path(target), status_code=303)
    set_session_cookie(response, request, opened.token)
    return response


def _waiting(request: Request, parts: ConsoleParts) -> Session:
    token = request.cookies.get(cookie_name(request))
    waiting = parts.sign_in.waiting_for_code(token, parts.now()) if token else None
    if waiting is None:
        raise SignInNeeded("로그인이 필요합니다.", "Sign in first.")
    return waiting


def _code_form(
    request: Request, parts: ConsoleParts, target: str, refused: CallerError | None = None
) -> Response:
    return render(
        request,
        None,
        "sign_in_code.html",
        status=200 if refused is None else 429 if isinstance(refused, RateLimited) else 401,
        headers=_retry(refused),
        form_token=csrf_token(parts, request.cookies[cookie_name(request)]),
        next=local_path(target),
        refused=refused,
    )


# --- the way out ------------------------------------------------------------------------------------------


@routes.post("/console/sign-out")
def sign_out(request: Request, visitor: Anyone, parts: Parts) -> Response:
    session = parts.sign_in.session(request.cookies[cookie_name(request)], parts.now())
    if session is not None:
        parts.sign_in.sign_out(session, visitor.actor, parts.now())
    response = done(SIGN_IN, "signed-out")
    drop_session_cookie(response, request)
    response.headers["clear-site-data"] = '"cache"'
    return response


# --- small things -----------------------------------------------------------------------------------------


def browser_of(request: Request) -> Browser:
    return Browser(
        address_of(request), request.headers.get("user-agent", ""), request.cookies.get(cookie_name(request))
    )


def _is_signed_in(request: Request, parts: ConsoleParts) -> bool:
    try:
        signed_in(request, parts)
    except SignInNeeded:
        return False
    return True


def _form_cookie(request: Request) -> str:
    return f"{cookie_name(request)}-form"


def _form_is_ours(request: Request, parts: ConsoleParts, csrf: str) -> bool:
    token = request.cookies.get(_form_cookie(request), "")
    return bool(token) and hmac.compare_digest(csrf.encode(), csrf_token(parts, token).encode())


def _retry(refused: CallerError | None) -> dict[str, str]:
    wait = None if refused is None else refused.retry_after_s
    return {} if wait is None else {"retry-after": str(wait)}


def _quoted(target: str) -> str:
    from urllib.parse import quote

    return quote(local_path(target), safe="")
