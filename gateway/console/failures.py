"""Errors as pages: what happened, and what to do next. The words are those of the error itself.

A visitor who has to sign in, or to change a password first, is sent there and back again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from gateway import errors as e
from gateway.console.pages import language_for, render
from gateway.console.parts import parts_of
from gateway.console.session import CHANGE_PASSWORD, sign_in_address, signed_in

if TYPE_CHECKING:
    from starlette.requests import Request

    from gateway.console.session import Visitor

_STATUS: Final[dict[type[e.GatewayError], int]] = {
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    e.NotFound: 404,
    e.Conflict: 409,
    e.BodyTooLarge: 413,
    e.RateLimited: 429,
    e.InvalidRequest: 400,
    e.ServiceUnavailable: 503,
}


def is_page(request: Request) -> bool:
    """Whether a reader of the console asked, where there is one."""
    path = request.url.path
    return hasattr(request.app.state, "console") and (path == "/console" or path.startswith("/console/"))


def page_of(request: Request, error: e.GatewayError) -> Response:
    """Return the page that tells of an error, or the way to sign in."""
    if isinstance(error, e.SignInNeeded) and error.code != "inactive_person":
        if error.code == "password_change_needed":
            return RedirectResponse(CHANGE_PASSWORD, status_code=303)
        return RedirectResponse(sign_in_address(request), status_code=303)
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return _page(request, status, error.korean, error.english, headers)


def page_of_http(request: Request, error: HTTPException) -> Response:
    """Return the page for what Starlette raises by itself: no such address, no such method."""
    korean, english = _WORDS.get(error.status_code, _WORDS[400])
    return _page(request, error.status_code, korean, english, dict(error.headers or {}))


def unforeseen(request: Request, error: Exception) -> Response:
    """Return the page for a failure of ours. It knows nothing of the visitor: finding out might fail too."""
    away = type(error).__name__ == "OperationalError"  # of SQLAlchemy, which pages do not know
    status = 503 if away else 500
    korean, english = _WORDS[status]
    return _page(request, status, korean, english, {}, known=False)


def _page(
    request: Request, status: int, korean: str, english: str, headers: dict[str, str], *, known: bool = True
) -> Response:
    visitor = _visitor(request) if known else None
    text = english if language_for(request, visitor) == "en" else korean
    request_id = str(request.scope.get("request_id", ""))
    return render(
        request,
        visitor,
        "error.html",
        status=status,
        headers=headers,
        status_code=status,
        text=text,
        request_id=request_id,
    )


def _visitor(request: Request) -> Visitor | None:
    try:
        return signed_in(request, parts_of(request))
    except e.GatewayError:
        return None


_WORDS: Final = {
    400: (
        "보낸 내용을 읽을 수 없습니다. 다시 입력해 주세요.",
        "What was sent cannot be read. Enter it again.",
    ),
    404: (
        "그런 화면은 없습니다. 주소를 확인하거나 메뉴에서 찾아보세요.",
        "There is no such page. Check the address, or look for it in the menu.",
    ),
    405: ("이 주소로는 그렇게 할 수 없습니다.", "This address does not take that method."),
    503: (
        "데이터베이스에 닿지 않아 화면을 보여 드릴 수 없습니다. 잠시 뒤에 다시 시도하세요.",
        "The database cannot be reached, so there is nothing to show. Try again shortly.",
    ),
    413: ("보낸 내용이 너무 큽니다. 8 MB 이하로 나누어 보내세요.", "That is too large. Send 8 MB at most."),
    500: (
        "해치 안에서 오류가 났습니다. 다시 시도하고, 계속되면 아래 요청 번호를 관리자에게 알려 주세요.",
        "Something failed inside Haechi. Try again; if it stays, give the administrator the number below.",
    ),
}
