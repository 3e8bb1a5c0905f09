"""Keys of everybody and of shared services: find, issue (shown once), limit and revoke with a reason."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from re import fullmatch
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.periods import billing_day
from billing.store.usage_queries import last_days
from gateway.console import areas, lists
from gateway.console.admin.forms import (
    ID_MOST,
    NO_REASON,
    Outcome,
    Posted,
    line,
    reason_of,
    seen_by,
)
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.errors import InvalidRequest
from gateway.imports import Mistake
from gateway.keyring import Purpose
from gateway.organisation import Grant, valid_on
from gateway.permissions import Permission
from gateway.store import register
from gateway.store.organisation import (
    KeyExists,
    KeyRevoked,
    create_key,
    limit_key,
    person_names,
    revoke_key,
)
from gateway.store.register import KeyQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime

    from starlette.responses import Response

    from gateway.organisation import Key

Reader = Annotated[Visitor, Depends(Needs(Permission.KEYS_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.KEYS_CHANGE))]

PATH: Final = "/console/admin/keys"
NEW: Final = "/console/admin/new-key"
FORM_ID: Final = r"[0-9a-f]{16}"
LIFETIMES_DAYS: Final = (30, 90, 180, 365)
PER_MINUTE: Final = {"requests_per_min": 10_000_000, "tokens_per_min": 100_000_000}
"""What a key may be limited to by the minute, and how far such a limit goes."""
STATES: Final[Mapping[str, str]] = {
    "active": N_("사용 중"),
    "expired": N_("만료됨"),
    "revoked": N_("폐기됨"),
    "all": N_("모두"),
}


@dataclass(frozen=True, slots=True)
class KeyLine:
    key: Key
    owner: str
    """Name of the person or service."""
    state: str
    last_used: date | None


SPEC: Final[ListSpec[KeyLine]] = ListSpec(
    name="keys",
    columns=(
        Column("label", N_("이름"), lambda row: row.key.grant.label, sorts=True),
        Column("owner", N_("주인"), lambda row: row.owner, sorts=True),
        Column("prefix", N_("키의 앞부분"), lambda row: row.key.prefix),
        Column("created", N_("만든 때"), lambda row: row.key.created_at, sorts=True),
        Column("expires", N_("만료"), lambda row: row.key.grant.expires_at, sorts=True),
        Column("used", N_("마지막 사용일"), lambda row: row.last_used),
        Column("state", N_("상태"), lambda row: row.state),
    ),
    sort="created",
    descending=True,
    filters={"q": "", "state": "active", "kind": ""},
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PATH)
    def keys(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _list_page(request, visitor, parts)

    @routes.get(NEW)
    def new_key(request: Request, visitor: Changer, parts: Parts, person: str = "") -> Response:
        values = {"kind": "person", "person": line(person, ID_MOST), "days": "365"}
        return _form_page(request, visitor, parts, Outcome(values))

    @routes.post(NEW)
    def make_key(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _make(request, visitor, parts, posted)

    @routes.get(PATH + "/{key_id}")
    def key(request: Request, key_id: str, visitor: Reader, parts: Parts) -> Response:
        return _key_page(request, visitor, parts, _found(parts, key_id))

    @routes.post(PATH + "/{key_id}/revoke")
    def end_key(request: Request, key_id: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _revoke(request, visitor, parts, _found(parts, key_id), reason_of(posted.get("reason", "")))

    @routes.post(PATH + "/{key_id}/limits")
    def limits(request: Request, key_id: str, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _limit(request, visitor, parts, _found(parts, key_id), posted)

    return routes


# --- the list --------------------------------------------------------------------------------------------


def _list_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = SPEC.read(request.query_params)
    now = parts.now()

    def source(asked: ListQuery) -> tuple[Sequence[KeyLine], int]:
        return _lines(parts, asked, now)

    if lists.wants_csv(request.query_params):
        seen_by(parts, visitor, "key.export", **query.filters)
        return lists.export(SPEC, query, source, language_for(request, visitor), billing_day(now))
    shown = lists.view(SPEC, query, PATH, source)
    return render(request, visitor, "admin/keys.html", list=shown, states=STATES)


def _lines(parts: ConsoleParts, query: ListQuery, now: datetime) -> tuple[list[KeyLine], int]:
    state, kind = query.filters["state"], query.filters["kind"]
    wanted = KeyQuery(
        now=now,
        text=query.filters["q"],
        state="" if state not in STATES or state == "all" else state,
        kind=kind if kind in {"person", "service"} else "",
        sort=query.sort,
        descending=query.descending,
        offset=query.offset,
        limit=query.size,
    )
    found, total = register.find_keys(parts.database, wanted)
    used = last_days(parts.database, [key.id for key in found])
    names = person_names(parts.database, [key.grant.person_id for key in found if key.grant.person_id])
    return [KeyLine(key, _owner(key, names), state_of(key, now), used.get(key.id)) for key in found], total


def _owner(key: Key, names: Mapping[str, str]) -> str:
    person_id = key.grant.person_id
    return names.get(person_id, person_id) if person_id is not None else key.grant.service or ""


def state_of(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    expires = key.grant.expires_at
    return "expired" if expires is not None and expires <= now else "active"


# --- one key ---------------------------------------------------------------------------------------------


def _found(parts: ConsoleParts, key_id: str) -> Key:
    key = register.find_key(parts.database, key_id)
    if key is None:
        raise gone("키", "key")
    return key


def _key_page(
    request: Request, visitor: Visitor, parts: ConsoleParts, key: Key, form: Outcome | None = None
) -> Response:
    person_id = key.grant.person_id
    names = person_names(parts.database, [person_id] if person_id else [])
    form = form or Outcome({})
    return render(
        request,
        visitor,
        "admin/key.html",
        status=form.status,
        key=key,
        owner=_owner(key, names),
        state=state_of(key, parts.now()),
        last_used=last_days(parts.database, [key.id]).get(key.id),
        form=Outcome({"limit_reason": "", **_limits_as_text(key), **form.values}, form.mistakes),
    )


def _limits_as_text(key: Key) -> dict[str, str]:
    limits = {name: getattr(key.grant, name) for name in PER_MINUTE}
    return {name: f"{limit:,}" if limit else "" for name, limit in limits.items()}


def _limit(
    request: Request, visitor: Visitor, parts: ConsoleParts, key: Key, posted: Mapping[str, str]
) -> Response:
    """Change the limits a minute of a key that is in use; an empty field is no limit."""
    values = {name: line(posted.get(name, "")) for name in PER_MINUTE}
    reason = reason_of(posted.get("reason", ""))
    mistakes = [*_limit_mistakes(values), *([] if reason else [NO_REASON])]
    if mistakes:
        return _key_page(request, visitor, parts, key, Outcome({**values, "limit_reason": reason}, mistakes))
    numbers = {name: _number(text) for name, text in values.items()}
    try:
        before, after = limit_key(
            parts.database, key.id, **numbers, at=parts.now(), actor=visitor.actor, reason=reason
        )
    except KeyRevoked:
        return done(f"{PATH}/{key.id}", "key-already-revoked")
    return done(f"{PATH}/{key.id}", "already-so" if before == after else "key-limited")


def _limit_mistakes(values: Mapping[str, str]) -> Iterator[Mistake]:
    for name, most in PER_MINUTE.items():
        digits = values[name].replace(",", "")
        if digits and not (digits.isascii() and digits.isdecimal() and int(digits[:20]) <= most):
            yield Mistake(
                0,
                f"분당 한도는 0부터 {most:,}까지의 정수로 적으세요: {values[name]}",
                f"A limit a minute is a whole number from 0 to {most:,}, not {values[name]}",
            )


def _number(text: str) -> int:
    return int(text.replace(",", "") or "0")


def _revoke(request: Request, visitor: Visitor, parts: ConsoleParts, key: Key, reason: str) -> Response:
    if key.revoked_at is not None:
        return done(f"{PATH}/{key.id}", "key-already-revoked")
    if not reason:
        return _key_page(request, visitor, parts, key, Outcome({}, [NO_REASON]))
    revoke_key(parts.database, key.id, at=parts.now(), actor=visitor.actor, reason=reason)
    return done(f"{PATH}/{key.id}", "key-revoked")


# --- a new one -------------------------------------------------------------------------------------------


def _form_page(request: Request, visitor: Visitor, parts: ConsoleParts, form: Outcome) -> Response:
    fields = ("label", "kind", "person", "service", "unit", "days", "trusted", "reason", *PER_MINUTE)
    blank = dict.fromkeys(fields, "")
    return render(
        request,
        visitor,
        "admin/new_key.html",
        status=form.status,
        form=Outcome({**blank, **form.values}, form.mistakes),
        form_id=secrets.token_hex(8),
        lifetimes=LIFETIMES_DAYS,
        models=sorted(parts.config.catalogue.models),
        chosen=frozenset(form.values.get("models", "").split()),
    )


def _make(request: Request, visitor: Visitor, parts: ConsoleParts, posted: Mapping[str, str]) -> Response:
    values = _values(parts, posted)
    mistakes = list(_mistakes(parts, values))
    if mistakes:
        return _form_page(request, visitor, parts, Outcome(values, mistakes))
    form_id = posted.get("form_id", "")
    if not fullmatch(FORM_ID, form_id):
        raise InvalidRequest(
            "양식이 온전하지 않습니다. 화면을 새로 고치세요.", "The form is incomplete. Reload the page."
        )
    try:
        key, secret = create_key(
            parts.database,
            parts.keyring.current(Purpose.API_KEY_HASH),
            _grant(values, parts.now()),
            at=parts.now(),
            actor=visitor.actor,
            key_id=f"key_{form_id}",
        )
    except KeyExists:
        return done(PATH, "key-already-made")
    return render(request, visitor, "admin/key_made.html", key=key, secret=secret)


def _values(parts: ConsoleParts, posted: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the form; `models` are the ids that were ticked, one space apart."""
    ticked = (model for model in sorted(parts.config.catalogue.models) if f"model:{model}" in posted)
    return {
        "label": line(posted.get("label", "")),
        "kind": "service" if posted.get("kind") == "service" else "person",
        "person": line(posted.get("person", ""), ID_MOST),
        "service": line(posted.get("service", "")),
        "unit": line(posted.get("unit", ""), ID_MOST),
        "days": posted.get("days", ""),
        "trusted": "on" if posted.get("trusted") else "",
        "models": " ".join(ticked),
        **{name: line(posted.get(name, "")) for name in PER_MINUTE},
        "reason": reason_of(posted.get("reason", "")),
    }


def _joined_just_now(parts: ConsoleParts, values: Mapping[str, str]) -> bool:
    """Whether the register knows an active person whom this worker's directory learns of within a second."""
    history = register.person_history(parts.database, values["person"])
    return any(valid_on(history, billing_day(parts.now())))


def _mistakes(parts: ConsoleParts, values: Mapping[str, str]) -> Iterator[Mistake]:
    directory, now = parts.directory.current(), parts.now()
    if not values["label"]:
        yield Mistake(0, "키 이름을 적어 주세요.", "Give the key a name.")
    if values["kind"] == "person":
        if directory.place_of_person(values["person"], now) is None and not _joined_just_now(parts, values):
            yield Mistake(
                0,
                f"사번 '{values['person']}'의 재직 중인 직원이 없습니다.",
                f"Nobody with the number '{values['person']}' is active today.",
            )
    else:
        if not values["service"]:
            yield Mistake(0, "서비스 이름을 적어 주세요.", "Give the service a name.")
        if values["unit"] and directory.place_of(values["unit"], now) is None:
            yield Mistake(
                0,
                f"부서 '{values['unit']}'이(가) 오늘은 없습니다.",
                f"There is no unit '{values['unit']}' today.",
            )
    if values["days"] not in {"", *map(str, LIFETIMES_DAYS)}:
        yield Mistake(0, "목록에 있는 기간을 고르세요.", "Choose one of the periods.")
    yield from _limit_mistakes(values)


def _grant(values: Mapping[str, str], now: datetime) -> Grant:
    models = frozenset(values["models"].split())
    is_service = values["kind"] == "service"
    return Grant(
        label=values["label"],
        person_id=None if is_service else values["person"],
        service=values["service"] if is_service else None,
        unit_code=(values["unit"] or None) if is_service else None,
        allowed_models=models or None,
        trusted=is_service and bool(values["trusted"]),
        expires_at=now + timedelta(days=int(values["days"])) if values["days"] else None,
        **{name: _number(values[name]) for name in PER_MINUTE},
    )
