"""내 계정: password, second factor, the browsers that are signed in. Everything here is one's own.

What makes an account safer or weaker asks for the password again, and gives the browser a fresh token.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import segno
from fastapi import Depends, Form, Request
from starlette.responses import Response

from gateway import one_time_codes, passwords
from gateway.accounts import PASSWORD_MOST, password_problem
from gateway.audit import Deed
from gateway.console import areas
from gateway.console.i18n import N_
from gateway.console.notices import done
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import CHANGE_PASSWORD, Needs, Visitor, set_session_cookie
from gateway.console.sign_in_pages import browser_of
from gateway.errors import RateLimited
from gateway.keyring import Purpose
from gateway.permissions import Permission
from gateway.store import accounts as store
from gateway.store import sessions

if TYPE_CHECKING:
    from starlette.responses import RedirectResponse

HOME: Final = "/console/account"
TOTP: Final = f"{HOME}/totp"
Owner = Annotated[Visitor, Depends(Needs(Permission.ACCOUNT_OWN))]
Field = Annotated[str, Form()]

PROBLEMS: Final = {
    "short": N_("너무 짧습니다. 세 종류(대문자·소문자·숫자·기호)는 9자, 두 종류는 10자 이상이어야 합니다."),
    "long": N_("너무 깁니다. 128자 이하로 정하세요."),
    "login": N_("아이디가 들어 있습니다. 다른 비밀번호를 정하세요."),
    "common": N_("흔히 쓰는 비밀번호입니다. 다른 비밀번호를 정하세요."),
    "repeated": N_("같은 글자가 너무 많습니다. 다른 비밀번호를 정하세요."),
    "same": N_("지금 비밀번호와 같습니다. 다른 비밀번호를 정하세요."),
}
WRONG: Final = N_("지금 비밀번호가 맞지 않습니다.")
HELD_OFF: Final = N_("시도가 너무 많습니다. 잠시 뒤에 다시 시도하세요.")

routes = areas.pages()


@routes.get(HOME)
def account(request: Request, visitor: Owner, parts: Parts) -> Response:
    now = parts.now()
    return render(
        request,
        visitor,
        "account.html",
        sessions=sessions.list_sessions(parts.database, visitor.account, parts.sign_in.rules, now),
        recovery_left=store.count_recovery_codes(parts.database, visitor.account.id),
        rules=parts.sign_in.rules,
        browser_name=browser_name,
    )


_FAMILIES: Final = (
    *(("Edg/", "Edge"), ("Whale/", "Whale"), ("SamsungBrowser/", "Samsung Internet"), ("OPR/", "Opera")),
    *(("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("CriOS/", "Chrome"), ("Safari/", "Safari")),
)
_SYSTEMS: Final = (
    *(("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad")),
    *(("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)
"""What a browser says of itself, the more telling words first: all of them claim to be several."""


def browser_name(user_agent: str) -> str:
    """Return `Edge · Windows` for what a browser said of itself; its first words where none is known."""
    family = next((name for sign, name in _FAMILIES if sign in user_agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), "")
    return " · ".join(filter(None, (family, system))) or user_agent[:40]


# --- password ---------------------------------------------------------------------------------------------


@routes.get(CHANGE_PASSWORD)
def password_page(request: Request, visitor: Owner) -> Response:
    return _password_form(request, visitor, {})


@routes.post(CHANGE_PASSWORD)
def change_password(
    request: Request,
    visitor: Owner,
    parts: Parts,
    current: Field = "",
    password: Field = "",
    again: Field = "",
) -> Response:
    errors = _password_errors(request, visitor, parts, (current, password, again))
    if errors:
        return _password_form(request, visitor, errors, status=422)
    who, now = visitor.account, parts.now()
    deed = Deed(now, visitor.actor)
    store.set_password(parts.database, who.id, passwords.hashed(password), deed=deed)
    return _renewed(request, visitor, parts, done("/console", "password-changed"), via="new_password")


def _password_errors(
    request: Request, visitor: Visitor, parts: ConsoleParts, typed: tuple[str, str, str]
) -> dict[str, str]:
    current, password, again = typed
    wrong = _password_wrong(request, visitor, parts, current)
    if wrong:
        return {"current": wrong}
    problem = password_problem(password, visitor.account.login, password == current)
    if problem is not None:
        return {"password": PROBLEMS[problem]}
    return {"again": N_("두 비밀번호가 다릅니다.")} if password != again else {}


def _password_wrong(request: Request, visitor: Visitor, parts: ConsoleParts, password: str) -> str | None:
    """Say why the password does not prove that it is them; None if it does. Throttled like a sign-in."""
    login, browser = visitor.account.login, browser_of(request)
    try:
        parts.sign_in.try_once(login, browser, parts.now())
    except RateLimited:
        return HELD_OFF
    found = store.credentials(parts.database, login)
    if found is None or not passwords.matches(found.password_hash, password[: PASSWORD_MOST + 1]):
        parts.sign_in.refused(login, browser, parts.now(), "wrong_password")
        return WRONG
    parts.sign_in.forgive(login, browser)
    return None


def _password_form(
    request: Request, visitor: Visitor, errors: dict[str, str], *, status: int = 200
) -> Response:
    return render(request, visitor, "account_password.html", status=status, errors=errors)


# --- second factor ----------------------------------------------------------------------------------------


@routes.get(TOTP)
def totp_page(request: Request, visitor: Owner, parts: Parts) -> Response:
    if visitor.account.totp:
        return render(request, visitor, "account_totp_off.html", errors={})
    return _enrolment(request, visitor, parts, one_time_codes.new_secret(), {})


@routes.post(TOTP)
def totp_on(
    request: Request, visitor: Owner, parts: Parts, box: Field = "", code: Field = "", password: Field = ""
) -> Response:
    if visitor.account.totp:
        return done(HOME, "totp-already-on")
    key = parts.keyring.current(Purpose.ACCOUNT_SECRET)
    secret = _opened(box, key.key, visitor.account.id)
    if secret is None:
        return _enrolment(request, visitor, parts, one_time_codes.new_secret(), {"code": _STALE})
    wrong = _password_wrong(request, visitor, parts, password)
    if wrong:
        return _enrolment(request, visitor, parts, secret, {"password": wrong})
    step = one_time_codes.opened_step(secret, code, None, parts.now())
    if step is None:
        return _enrolment(request, visitor, parts, secret, {"code": _WRONG_CODE})
    codes = one_time_codes.new_recovery_codes()
    digests = [one_time_codes.recovery_digest(one, key.key) for one in codes]
    sealed = one_time_codes.sealed(secret, key.key, visitor.account.id)
    deed = Deed(parts.now(), visitor.actor)
    store.set_totp(parts.database, visitor.account.id, sealed, key.key_id, digests, step=step, deed=deed)
    page = render(request, visitor, "account_recovery.html", codes=codes)
    return _renewed(request, visitor, parts, page, via="totp_on")


_STALE: Final = N_("화면이 오래되었습니다. 새 QR 코드를 다시 읽으세요.")
_WRONG_CODE: Final = N_("인증 번호가 맞지 않습니다. 휴대전화의 시각이 맞는지 확인하세요.")


@routes.post(f"{TOTP}/off")
def totp_off(request: Request, visitor: Owner, parts: Parts, password: Field = "") -> Response:
    if not visitor.account.totp:
        return done(HOME, "totp-off")
    wrong = _password_wrong(request, visitor, parts, password)
    if wrong:
        return render(request, visitor, "account_totp_off.html", status=422, errors={"password": wrong})
    store.clear_totp(parts.database, visitor.account.id, deed=Deed(parts.now(), visitor.actor))
    return _renewed(request, visitor, parts, done(HOME, "totp-off"), via="totp_off")


def _enrolment(
    request: Request, visitor: Visitor, parts: ConsoleParts, secret: str, errors: dict[str, str]
) -> Response:
    """Show the QR code. The secret travels sealed for this account; it is kept only once it is proved."""
    key = parts.keyring.current(Purpose.ACCOUNT_SECRET)
    box = one_time_codes.sealed(secret, key.key, visitor.account.id)
    code = segno.make(one_time_codes.enrolment_uri(secret, visitor.account.login), error="m")
    return render(
        request,
        visitor,
        "account_totp.html",
        status=422 if errors else 200,
        box=urlsafe_b64encode(box).decode(),
        qr=code.svg_data_uri(scale=5, border=4, light="#fff", dark="#000"),
        secret=" ".join(secret[place : place + 4] for place in range(0, len(secret), 4)),
        errors=errors,
    )


def _opened(box: str, key: bytes, account_id: str) -> str | None:
    try:
        return one_time_codes.unsealed(urlsafe_b64decode(box[:400].encode()), key, account_id)
    except ValueError:
        return None


# --- browsers ---------------------------------------------------------------------------------------------


@routes.post(f"{HOME}/sessions/{{session_id}}/end")
def end_one(session_id: str, visitor: Owner, parts: Parts) -> Response:
    who, now = visitor.account, parts.now()
    sessions.end_sessions(parts.database, who, at=now, actor=visitor.actor, only=session_id)
    return done(HOME, "signed-out-there")


@routes.post(f"{HOME}/sign-out-everywhere")
def end_all(request: Request, visitor: Owner, parts: Parts) -> Response:
    """Sign every other browser out; this one goes on with a fresh token."""
    sessions.end_sessions(parts.database, visitor.account, at=parts.now(), actor=visitor.actor)
    response = done(HOME, "signed-out-elsewhere")
    return _renewed(request, visitor, parts, response, via=_UNCHANGED)


_UNCHANGED: Final = "sign_out_everywhere"
"""The only reason for a fresh token that leaves the account's version as it was."""


def _renewed(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    response: Response | RedirectResponse,
    *,
    via: str,
) -> Response:
    """Give the browser a fresh token and end the one it came with.

    The account is the visitor's after their one change, never what stands now: that may be a password that
    an administrator has just given anew.
    """
    raised = visitor.account.version + (0 if via == _UNCHANGED else 1)
    who = replace(visitor.account, version=raised)
    opened = parts.sign_in.renew(who, browser_of(request), parts.now(), via=via)
    set_session_cookie(response, request, opened.token)
    return response
