"""Who is looking at a page, and what they may do: cookie -> Visitor, CSRF, `Needs`.

A page declares its row of the permission table, and gets the visitor in one stroke:

    Viewer = Annotated[Visitor, Depends(Needs(Permission.DEPARTMENT_USAGE, unit="code"))]

    @routes.get("/console/departments/{code}")
    def department(code: str, visitor: Viewer, parts: Parts) -> Response: ...

Roles are read from the database with every request, so a role that is taken away is gone at once.
Every request that changes something carries the session's CSRF token in the form field `csrf` or the
header `x-csrf-token`. Cookies are told apart by how the browser came: `__Host-haechi`, Secure, over https;
`haechi` over plain http, which only a loopback address (or `[console] plain_http = true`) may use.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request

from gateway import permissions
from gateway.audit import Actor, AuditEvent
from gateway.console.parts import ConsoleParts, parts_of
from gateway.errors import Forbidden, NotFound, SignInNeeded
from gateway.keyring import Purpose
from gateway.permissions import Permission, Reach, Role

if TYPE_CHECKING:
    from starlette.responses import Response

    from gateway.accounts import Account

UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
SIGN_IN: Final = "/console/sign-in"
CHANGE_PASSWORD: Final = "/console/account/password"  # noqa: S105 - an address


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person who is signed in, as of this request."""

    account: Account
    session_id: str
    csrf: str
    address: str
    """Where the request came from."""
    department_id: str | None = None
    """The 과 they sit in today; None for an account without a person."""
    unit_path: tuple[str, ...] = ()

    @property
    def roles(self) -> frozenset[Role]:
        return self.account.roles

    @property
    def person_id(self) -> str | None:
        return self.account.person_id

    @property
    def actor(self) -> Actor:
        """Who acts, for the access audit."""
        return Actor(self.account.login, tuple(sorted(self.roles)), self.address)

    def may(self, permission: Permission) -> bool:
        """Whether any part of what the permission is about is open to them."""
        return self.reach(permission) is not Reach.NOWHERE

    def reach(self, permission: Permission) -> Reach:
        return permissions.reach(self.roles, permission)

    def only_department(self, permission: Permission) -> str | None:
        """Return the one department that a list must be kept to; None where they reach everywhere.

        Raises Forbidden if they reach a department only, and sit in none.
        """
        if self.reach(permission) is Reach.EVERYWHERE:
            return None
        if self.department_id is None:
            raise no_department()
        return self.department_id


# --- the dependency ---------------------------------------------------------------------------------------


async def _posted_token(request: Request) -> str:
    """Return the CSRF token that a changing request carries; the form is parsed once and kept."""
    if request.method not in UNSAFE:
        return ""
    header = request.headers.get("x-csrf-token")
    if header is not None:
        return header
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return ""
    value = (await request.form()).get("csrf")
    return value if isinstance(value, str) else ""


class Needs:
    """A page's row of the permission table.

    `unit` names the path or query parameter that holds the code of the unit the page shows; without it the
    page keeps itself to `Visitor.only_department`.
    """

    def __init__(self, permission: Permission, *, unit: str | None = None) -> None:
        self.permission = permission
        self.unit = unit

    def __call__(
        self,
        request: Request,
        token: Annotated[str, Depends(_posted_token)],
        parts: Annotated[ConsoleParts, Depends(parts_of)],
    ) -> Visitor:
        """Return the visitor. Raises SignInNeeded or Forbidden; a refusal is written to the access audit."""
        visitor = signed_in(request, parts)
        if request.method in UNSAFE and not hmac.compare_digest(token.encode(), visitor.csrf.encode()):
            _refused(parts, visitor, request, "csrf")
            raise no_token() if request.url.path.startswith("/api/") else stale_form()
        self._admit(visitor, request, parts)
        return visitor

    def before_body(self, request: Request, parts: ConsoleParts) -> None:
        """Raise as a call does, but for the token, which may stand in the body that nobody has read yet."""
        self._admit(signed_in(request, parts), request, parts)

    def _admit(self, visitor: Visitor, request: Request, parts: ConsoleParts) -> None:
        if visitor.account.must_change and self.permission is not Permission.ACCOUNT_OWN:
            raise SignInNeeded(
                "처음 받은 비밀번호를 먼저 바꾸세요.",
                "Change the password that you were given first.",
                code="password_change_needed",
            )
        self.check(visitor, request, parts)

    def check(self, visitor: Visitor, request: Request, parts: ConsoleParts) -> None:
        """Raise Forbidden, and write it down, if the permission does not reach what is asked for."""
        if not self._reaches(request, visitor, parts):
            _refused(parts, visitor, request, self.permission)
            raise Forbidden(
                "이 화면을 볼 권한이 없습니다. 필요하면 관리자에게 역할을 요청하세요.",
                "You have no right to this page. If you need it, ask an administrator for the role.",
            )

    def _reaches(self, request: Request, visitor: Visitor, parts: ConsoleParts) -> bool:
        reach = visitor.reach(self.permission)
        if self.unit is None or reach is not Reach.DEPARTMENT:
            return reach is not Reach.NOWHERE
        wanted = request.path_params.get(self.unit) or request.query_params.get(self.unit)
        if wanted is None:
            return visitor.department_id is not None
        place = parts.directory.current().place_of(str(wanted), parts.now())
        path = () if place is None else place.path
        return permissions.reaches_unit(visitor.roles, self.permission, path, visitor.department_id)


def signed_in(request: Request, parts: ConsoleParts) -> Visitor:
    """Return who is signed in, whatever they may do. Raises SignInNeeded."""
    token = request.cookies.get(cookie_name(request))
    session = parts.sign_in.session(token, parts.now()) if token else None
    if token is None or session is None:
        raise SignInNeeded("로그인이 필요합니다.", "Sign in first.")
    account = session.account
    place = parts.directory.current().place_of_person(account.person_id, parts.now())
    if account.person_id is not None and place is None:
        raise SignInNeeded(
            "이 계정의 직원은 현재 재직 중이 아닙니다. 인사 정보를 확인해 달라고 요청하세요.",
            "The person of this account is not active today. Ask for the staff record to be checked.",
            code="inactive_person",
        )
    return Visitor(
        account=account,
        session_id=session.id,
        csrf=csrf_token(parts, token),
        address=address_of(request),
        department_id=None if place is None else place.department_id,
        unit_path=() if place is None else place.path,
    )


def _refused(parts: ConsoleParts, visitor: Visitor, request: Request, rule: str) -> None:
    details = {"method": request.method, "path": request.url.path[:200]}
    parts.audit.record(
        AuditEvent(
            parts.now(), visitor.actor, "access.refused", subject=rule, outcome="refused", details=details
        )
    )


# --- tokens and cookies -----------------------------------------------------------------------------------


def csrf_token(parts: ConsoleParts, token: str) -> str:
    """Return the CSRF token that belongs to a session's (or an anonymous form's) token."""
    key = parts.keyring.current(Purpose.SESSION).key
    return hmac.new(key, b"csrf:" + token.encode(), sha256).hexdigest()


def cookie_name(request: Request) -> str:
    return "__Host-haechi" if request.url.scheme == "https" else "haechi"


def set_session_cookie(response: Response, request: Request, token: str) -> None:
    """Hand the browser a session's token. It ends with the browser; the database knows the time-outs."""
    secure = request.url.scheme == "https"
    response.set_cookie(cookie_name(request), token, path="/", secure=secure, httponly=True, samesite="lax")


def drop_session_cookie(response: Response, request: Request) -> None:
    secure = request.url.scheme == "https"
    response.delete_cookie(cookie_name(request), path="/", secure=secure, httponly=True, samesite="lax")


def refuse_plain_http(request: Request, parts: ConsoleParts) -> None:
    """Let nobody send a password over a line that others can read. Raises Forbidden."""
    if request.url.scheme == "https" or parts.config.console.plain_http:
        return
    if request.url.hostname in LOOPBACK and address_of(request) in LOOPBACK:
        return
    raise Forbidden(
        "콘솔은 HTTPS로만 쓸 수 있습니다. 앞단의 TLS 주소로 접속하거나, 프록시 주소를"
        " haechi.toml의 trusted_proxies에 넣어 달라고 관리자에게 요청하세요."
        " 시험 환경이라면 [console] plain_http = true로 풀 수 있습니다.",
        "The console works over HTTPS only. Use the TLS address in front, or have the administrator put the"
        " proxy into trusted_proxies of haechi.toml. For trials, [console] plain_http = true lifts this.",
        code="https_needed",
    )


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def local_path(target: str | None) -> str:
    """Return `target` if it is an address within the console, else the start page: no open redirect."""
    if not target or any(c in target for c in "\\\r\n\t\0") or len(target) > 2000:
        return "/console"
    parts = urlsplit(target)
    within = parts.path == "/console" or parts.path.startswith("/console/")
    if parts.scheme or parts.netloc or not within or "/../" in f"{parts.path}/":
        return "/console"
    return target if not parts.path.startswith((SIGN_IN, "/console/sign-out")) else "/console"


def sign_in_address(request: Request) -> str:
    """Return the sign-in page with the way back to what was asked for."""
    if request.method != "GET" or request.url.path == "/console":
        return SIGN_IN
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{SIGN_IN}?next={quote(request.url.path + query, safe='')}"


# --- what goes wrong in several pages -----------------------------------------------------------------------


def stale_form() -> Forbidden:
    return Forbidden(
        "양식이 오래되었거나 다른 곳에서 보낸 요청입니다. 화면을 새로 고친 뒤 다시 시도하세요.",
        "The form is out of date, or the request came from elsewhere. Reload the page and try again.",
        code="csrf",
    )


def no_token() -> Forbidden:
    return Forbidden(
        "로그인의 토큰을 x-csrf-token 헤더로 보내세요. GET /api/incidents/session이 알려 줍니다.",
        "Send the session's token in the header x-csrf-token; GET /api/incidents/session tells it.",
        code="csrf",
    )


def no_department() -> Forbidden:
    return Forbidden(
        "이 계정에는 소속 부서가 없어 보여 드릴 것이 없습니다.",
        "This account sits in no department, so there is nothing to show.",
        code="no_department",
    )


def gone(korean: str, english: str) -> NotFound:
    """Return the answer for a thing that was deleted or never was."""
    return NotFound(
        f"없는 {korean}입니다. 지워졌거나 주소가 잘못되었습니다.",
        f"There is no such {english}. It was deleted, or the address is wrong.",
    )
