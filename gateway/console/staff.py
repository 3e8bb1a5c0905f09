"""내 사용량 and 내 API 키: what one person used, and the keys that speak for them."""

from __future__ import annotations

import secrets
from datetime import timedelta
from re import fullmatch
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Form, Request

from billing.periods import billing_day
from billing.usage_sums import Dimension, Filter
from gateway.accounts import shown_text
from gateway.console import areas, lists
from gateway.console.budget_lines import budget_lines, own_scopes, unit_scopes
from gateway.console.i18n import N_, translations
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.console.spending import (
    as_they_are,
    cost_by_day,
    day_chart,
    month_asked,
    month_use,
    months_offered,
    use_list,
    use_source,
)
from gateway.errors import Forbidden, InvalidRequest
from gateway.keyring import Purpose
from gateway.organisation import Grant, Key
from gateway.permissions import Permission
from gateway.store.organisation import (
    KeyExists,
    create_key,
    keys_of,
    rename_key,
    revoke_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.responses import Response

Owner = Annotated[Visitor, Depends(Needs(Permission.USAGE_OWN))]
Holder = Annotated[Visitor, Depends(Needs(Permission.KEYS_OWN))]

LABEL_MOST: Final = 80
KEYS_MOST: Final = 20
"""Keys of one person that are in force at a time."""

LIFETIMES_DAYS: Final = (30, 90, 180, 365)
SOON: Final = timedelta(days=14)
FORM_ID: Final = r"[0-9a-f]{16}"

BY: Final = {
    "model": (Dimension.MODEL, N_("모델별"), N_("모델")),
    "day": (Dimension.DAY, N_("날짜별"), N_("날짜")),
    "key": (Dimension.KEY, N_("키별"), N_("키")),
}


def router() -> APIRouter:
    routes = areas.pages()
    _usage_page(routes)
    _keys_pages(routes)
    return routes


def _usage_page(routes: APIRouter) -> None:
    @routes.get("/console/usage")
    def usage(request: Request, visitor: Owner, parts: Parts) -> Response:
        return usage_page(request, visitor, parts)


def _keys_pages(routes: APIRouter) -> None:
    @routes.get("/console/keys")
    def keys(request: Request, visitor: Holder, parts: Parts) -> Response:
        return _keys_page(request, visitor, parts)

    @routes.post("/console/keys")
    def make_key(
        request: Request,
        visitor: Holder,
        parts: Parts,
        label: Annotated[str, Form()] = "",
        days: Annotated[str, Form()] = "",
        form_id: Annotated[str, Form()] = "",
    ) -> Response:
        return _make_key(request, visitor, parts, {"label": label, "days": days, "form_id": form_id})

    @routes.get("/console/keys/{key_id}")
    def key(request: Request, key_id: str, visitor: Holder, parts: Parts) -> Response:
        return _key_page(request, visitor, parts, _own(parts, visitor, key_id))

    @routes.post("/console/keys/{key_id}/name")
    def name_key(
        request: Request, key_id: str, visitor: Holder, parts: Parts, label: Annotated[str, Form()] = ""
    ) -> Response:
        found = _own(parts, visitor, key_id)
        text = shown_text(label, LABEL_MOST)
        if not text:
            errors = {"label": N_("키 이름을 적으세요.")}
            return _key_page(request, visitor, parts, found, errors=errors)
        rename_key(parts.database, found.id, text, at=parts.now(), actor=visitor.actor)
        return done("/console/keys", "key-renamed")

    @routes.post("/console/keys/{key_id}/revoke")
    def end_key(key_id: str, visitor: Holder, parts: Parts) -> Response:
        found = _own(parts, visitor, key_id)
        if found.revoked_at is not None:
            return done("/console/keys", "key-already-revoked")
        revoke_key(parts.database, found.id, at=parts.now(), actor=visitor.actor)
        return done("/console/keys", "key-revoked")


# --- use ----------------------------------------------------------------------------------------------------


def usage_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    """Show what the visitor used in a month; as CSV where the address asks for it."""
    now, language = parts.now(), language_for(request, visitor)
    person_id = _person(visitor)
    month = month_asked(request.query_params.get("month"), now)
    by = request.query_params.get("by", "model")
    dimension, _tab, label = BY.get(by, BY["model"])
    mine = Filter(persons=(person_id,))
    held = keys_of(parts.database, person_id)
    spec = use_list(f"usage-{month.name}", label, {"month": "", "by": "model"})
    names = {key.id: key.grant.label for key in held} if dimension is Dimension.KEY else {}
    query = spec.read(request.query_params)
    source = use_source(
        parts.database, dimension, month.within(mine), lambda keys: {**as_they_are(keys), **names}
    )
    if lists.wants_csv(request.query_params):
        return lists.export(spec, query, source, language, billing_day(now))
    use = month_use(parts.database, mine, month)
    series, days = cost_by_day(use, translations(language).gettext(N_("그 밖의 모델")))
    return render(
        request,
        visitor,
        "usage.html",
        use=use,
        months=months_offered(now),
        chart=day_chart(series, days, language),
        series=series,
        days=days,
        budgets=_own_budgets(parts, visitor, person_id, held, now),
        list=lists.view(spec, query, "/console/usage", source),
        by=by if by in BY else "model",
        tabs=BY,
    )


def _own_budgets(
    parts: ConsoleParts, visitor: Visitor, person_id: str, held: list[Key], now: datetime
) -> Mapping[str, object]:
    """Return the person's own budgets, and the worst state of those of their units, without amounts."""
    names = {person_id: visitor.account.name, **{key.id: key.grant.label for key in held}}
    own = budget_lines(parts.database, own_scopes(person_id, (key.id for key in held)), names, now)
    units = budget_lines(parts.database, unit_scopes(visitor.unit_path), {}, now)
    states = {line.state for line in units if line.hard}
    worst = next((state for state in ("full", "near", "calm") if state in states), None)
    return {"own": own, "unit_state": worst}


# --- keys ---------------------------------------------------------------------------------------------------


def _keys_page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    *,
    status: int = 200,
    values: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    now = parts.now()
    held = keys_of(parts.database, _person(visitor))
    shown = [{"key": key, "state": state_of(key, now)} for key in held]
    return render(
        request,
        visitor,
        "keys.html",
        status=status,
        keys=[one for one in shown if one["state"] not in {"revoked", "expired"}],
        ended=[one for one in shown if one["state"] in {"revoked", "expired"}],
        lifetimes=LIFETIMES_DAYS,
        form_id=secrets.token_hex(8),
        values={"label": "", "days": "365", **(values or {})},
        errors=errors or {},
    )


def _make_key(request: Request, visitor: Visitor, parts: ConsoleParts, form: Mapping[str, str]) -> Response:
    person_id, now = _person(visitor), parts.now()
    label = shown_text(form["label"], LABEL_MOST)
    wrong = _mistakes(label, form["days"])
    held = [k for k in keys_of(parts.database, person_id) if state_of(k, now) in {"active", "soon"}]
    if not wrong and len(held) >= KEYS_MOST:
        wrong = {"label": N_("키가 너무 많습니다. 쓰지 않는 키를 먼저 폐기하세요.")}
    if wrong:
        return _keys_page(request, visitor, parts, status=400, values=form, errors=wrong)
    if not fullmatch(FORM_ID, form["form_id"]):
        raise InvalidRequest(
            "양식이 온전하지 않습니다. 화면을 새로 고치세요.", "The form is incomplete. Reload the page."
        )
    try:
        key, secret = create_key(
            parts.database,
            parts.keyring.current(Purpose.API_KEY_HASH),
            Grant(label=label, person_id=person_id, expires_at=now + timedelta(days=int(form["days"]))),
            at=now,
            actor=visitor.actor,
            key_id=f"key_{form['form_id']}",
        )
    except KeyExists:
        return done("/console/keys", "key-already-made")
    return render(request, visitor, "key_made.html", key=key, secret=secret)


def _mistakes(label: str, days: str) -> dict[str, str]:
    wrong = {}
    if not label:
        wrong["label"] = N_("키 이름을 적으세요.")
    if days not in {str(number) for number in LIFETIMES_DAYS}:
        wrong["days"] = N_("목록에 있는 기간을 고르세요.")
    return wrong


def _key_page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    key: Key,
    *,
    errors: Mapping[str, str] | None = None,
) -> Response:
    return render(
        request,
        visitor,
        "key.html",
        status=400 if errors else 200,
        key=key,
        state=state_of(key, parts.now()),
        errors=errors or {},
    )


def _own(parts: ConsoleParts, visitor: Visitor, key_id: str) -> Key:
    """Return the visitor's key of that id. Raises NotFound for another person's too: nobody learns of it."""
    found = next((key for key in keys_of(parts.database, _person(visitor)) if key.id == key_id), None)
    if found is None:
        raise gone("키", "key")
    return found


def state_of(key: Key, now: datetime) -> str:
    """Return active, soon (expires within SOON), expired or revoked."""
    if key.revoked_at is not None:
        return "revoked"
    if key.grant.expires_at is None:
        return "active"
    if key.grant.expires_at <= now:
        return "expired"
    return "soon" if key.grant.expires_at - now <= SOON else "active"


def _person(visitor: Visitor) -> str:
    """Return the employee number of the visitor. Raises Forbidden for an account without a person."""
    if visitor.person_id is None:
        raise Forbidden(
            "이 계정은 직원과 연결되어 있지 않아 사용량과 키가 없습니다.",
            "This account is not a member of staff, so it has no use and no keys.",
            code="no_person",
        )
    return visitor.person_id
