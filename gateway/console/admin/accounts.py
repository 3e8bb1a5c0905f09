"""관리 → 계정과 역할: who may sign in, in which roles. A first password is shown once.

Nobody changes their own roles or shuts themselves out: another administrator does, or the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request
from starlette.responses import Response

from gateway import account_admin
from gateway.accounts import Account, shown_text
from gateway.audit import Deed
from gateway.console import areas, lists
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.errors import CallerError, Conflict, Forbidden
from gateway.permissions import Permission, Role
from gateway.store import accounts as store
from gateway.store.organisation import person_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import FormData

PATH: Final = "/console/admin/accounts"
REASON_MOST: Final = 300
Viewer = Annotated[Visitor, Depends(Needs(Permission.ACCOUNTS_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.ACCOUNTS_CHANGE))]


async def _posted(request: Request) -> FormData:
    return await request.form()


Posted = Annotated[object, Depends(_posted)]

SPEC: Final[ListSpec[Account]] = ListSpec(
    name="accounts",
    columns=(
        Column("login", N_("아이디"), lambda one: one.login, sorts=True),
        Column("name", N_("이름"), lambda one: one.name, sorts=True),
        Column("person_id", N_("사번"), lambda one: one.person_id),
        Column("roles", N_("역할"), lambda one: " ".join(sorted(one.roles))),
        Column("totp", N_("2단계 인증"), lambda one: "Y" if one.totp else "N"),
        Column("state", N_("상태"), lambda one: "disabled" if one.disabled_at else "open"),
        Column("signed_in", N_("마지막 로그인"), lambda one: one.signed_in_at, sorts=True),
    ),
    sort="login",
    filters={"q": "", "role": "", "state": ""},
)

routes = areas.pages()


# --- list -------------------------------------------------------------------------------------------------


@routes.get(PATH)
def accounts(request: Request, visitor: Viewer, parts: Parts) -> Response:
    query = SPEC.read(request.query_params)

    def source(asked: ListQuery) -> tuple[list[Account], int]:
        wanted = _filter(asked)
        order = f"-{asked.sort}" if asked.descending else asked.sort
        rows = store.list_accounts(parts.database, wanted, order=order, limit=asked.size, offset=asked.offset)
        return rows, store.count_accounts(parts.database, wanted)

    if lists.wants_csv(request.query_params):
        deed = Deed(parts.now(), visitor.actor)
        parts.audit.record(deed.event("account.export", filters=dict(query.filters)))
        language = language_for(request, visitor)
        return lists.export(SPEC, query, source, language, parts.now().date())
    view = lists.view(SPEC, query, PATH, source)
    return render(request, visitor, "admin/accounts.html", list=view, roles=tuple(Role))


def _filter(asked: ListQuery) -> store.AccountFilter:
    role, state = asked.filter("role"), asked.filter("state")
    return store.AccountFilter(
        search=asked.filter("q") or "",
        role=Role(role) if role in set(map(str, Role)) else None,
        disabled={"open": False, "disabled": True}.get(state or ""),
    )


# --- a new one --------------------------------------------------------------------------------------------


@routes.get(f"{PATH}/new")
def new_page(request: Request, visitor: Changer, person: str = "") -> Response:
    values = {"login": "", "name": "", "person_id": person[:64], "reason": ""}
    return _new_form(request, visitor, values, set(), None)


@routes.post(f"{PATH}/new")
def create(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
    values, roles = _values(posted, ("login", "name", "person_id", "reason")), _roles(posted)
    person = values["person_id"] or None
    try:
        name = _name(parts, person, values["name"])
        new = store.NewAccount(values["login"], name, frozenset(roles), person)
        deed = Deed(parts.now(), visitor.actor, values["reason"])
        separated = parts.config.console.separated_duties
        made, password = account_admin.open_account(parts.database, new, deed, separated=separated)
    except CallerError as error:
        return _new_form(request, visitor, values, set(map(str, roles)), error)
    return render(
        request,
        visitor,
        "admin/account_password.html",
        status=201,
        account=made,
        password=password,
        fresh=True,
    )


def _name(parts: ConsoleParts, person: str | None, typed: str) -> str:
    """Return the name to show: what was typed, else the person's. Raises Conflict for an unknown person."""
    if person is None:
        return typed
    known = person_names(parts.database).get(person)
    if known is None:
        raise Conflict(
            f"사번 {shown_text(person, 20)}은(는) 직원 명부에 없습니다.",
            f"{shown_text(person, 20)} is not in the staff register.",
            param="person_id",
        )
    return typed or known


def _new_form(
    request: Request, visitor: Visitor, values: Mapping[str, str], held: set[str], error: CallerError | None
) -> Response:
    return render(
        request,
        visitor,
        "admin/account_new.html",
        status=200 if error is None else 409 if isinstance(error, Conflict) else 422,
        values=values,
        held=held,
        roles=tuple(Role),
        error=error,
    )


# --- one account ------------------------------------------------------------------------------------------


@routes.get(PATH + "/{account_id}")
def account(request: Request, account_id: str, visitor: Viewer, parts: Parts) -> Response:
    return _page(request, visitor, _existing(parts, account_id))


@routes.post(PATH + "/{account_id}")
def change(request: Request, account_id: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
    """Save name and roles of the version that was seen; somebody else's change in between is shown."""
    before = _existing(parts, account_id)
    roles, values = frozenset(_roles(posted)), _values(posted, ("name", "reason", "seen"))
    if before.id == visitor.account.id and roles != before.roles:
        raise _not_oneself()
    try:
        account_admin.change_account(
            parts.database,
            account_id,
            values["name"],
            roles,
            seen=int(values["seen"]) if values["seen"].isdigit() else 0,
            deed=Deed(parts.now(), visitor.actor, values["reason"]),
            separated=parts.config.console.separated_duties,
        )
    except store.ChangedMeanwhile as meanwhile:
        return _page(request, visitor, meanwhile.now, wanted=(values["name"], roles), status=409)
    except store.LastAdministrator:
        return _page(request, visitor, before, error=_last_administrator(), status=409)
    except CallerError as error:
        wanted = (values["name"], roles)
        return _page(request, visitor, before, error=error, wanted=wanted, status=422)
    return done(f"{PATH}/{account_id}", "roles-changed")


@routes.post(PATH + "/{account_id}/disable")
def disable(request: Request, account_id: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
    before = _existing(parts, account_id)
    if before.id == visitor.account.id:
        raise _not_oneself()
    deed = Deed(parts.now(), visitor.actor, _values(posted, ("reason",))["reason"])
    try:
        store.disable_account(parts.database, account_id, seen=None, deed=deed)
    except store.LastAdministrator:
        return _page(request, visitor, before, error=_last_administrator(), status=409)
    return done(f"{PATH}/{account_id}", "account-disabled")


@routes.post(PATH + "/{account_id}/enable")
def enable(account_id: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
    _existing(parts, account_id)
    deed = Deed(parts.now(), visitor.actor, _values(posted, ("reason",))["reason"])
    store.enable_account(parts.database, account_id, seen=None, deed=deed)
    return done(f"{PATH}/{account_id}", "account-enabled")


@routes.post(PATH + "/{account_id}/reset")
def reset(request: Request, account_id: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
    before = _existing(parts, account_id)
    if before.id == visitor.account.id:
        raise _not_oneself()
    deed = Deed(parts.now(), visitor.actor, _values(posted, ("reason",))["reason"])
    found, password = account_admin.give_new_password(parts.database, account_id, deed)
    return render(
        request, visitor, "admin/account_password.html", account=found, password=password, fresh=False
    )


# --- small things -----------------------------------------------------------------------------------------


def _page(
    request: Request,
    visitor: Visitor,
    found: Account,
    *,
    error: CallerError | None = None,
    wanted: tuple[str, frozenset[Role]] | None = None,
    status: int = 200,
) -> Response:
    """Show an account; `wanted` is what the visitor tried to save, where that did not work."""
    name, roles = wanted or (found.name, found.roles)
    return render(
        request,
        visitor,
        "admin/account.html",
        status=status,
        account=found,
        own=found.id == visitor.account.id,
        name=name,
        held=set(map(str, roles)),
        roles=tuple(Role),
        error=error,
        overtaken=wanted is not None and error is None,
    )


def _existing(parts: ConsoleParts, account_id: str) -> Account:
    found = store.find_account(parts.database, account_id)
    if found is None:
        raise gone("계정", "account")
    return found


def _values(posted: object, names: tuple[str, ...]) -> dict[str, str]:
    """Return the text fields, each one cut to a line of at most REASON_MOST characters."""
    get = getattr(posted, "get", lambda _name: "")
    texts = {name: get(name) for name in names}
    return {n: shown_text(text, REASON_MOST) if isinstance(text, str) else "" for n, text in texts.items()}


def _roles(posted: object) -> list[Role]:
    chosen = posted.getlist("role") if hasattr(posted, "getlist") else []
    return [role for role in Role if role in chosen]


def _not_oneself() -> Forbidden:
    return Forbidden(
        "자기 계정의 역할이나 상태는 바꿀 수 없습니다. 다른 관리자에게 요청하세요.",
        "You cannot change the roles or the state of your own account. Ask another administrator.",
        code="own_account",
    )


def _last_administrator() -> Conflict:
    return Conflict(
        "마지막 관리자라서 바꿀 수 없습니다. 다른 관리자를 먼저 만드세요.",
        "This is the last administrator. Make another one first.",
    )
