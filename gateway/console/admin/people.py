"""People: a searched list of everybody, one person with their history and keys, and the register's import."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from billing.periods import billing_day
from gateway.console import areas, lists
from gateway.console.admin.departments import PATH as DEPARTMENTS
from gateway.console.admin.departments import tree_lines
from gateway.console.admin.forms import (
    ID_MOST,
    NO_REASON,
    NOT_A_DAY,
    Outcome,
    Posted,
    day_of,
    deed,
    ending_mistakes,
    is_done,
    line,
    page_of,
    reason_of,
    seen_by,
)
from gateway.console.i18n import N_
from gateway.console.lists import Column, ListQuery, ListSpec
from gateway.console.notices import done
from gateway.console.pages import language_for, render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor, gone
from gateway.imports import ImportFailed, Mistake
from gateway.organisation import Person, places, valid_on, version_of
from gateway.permissions import Permission
from gateway.store import register
from gateway.store.organisation import keys_of
from gateway.store.register import PeopleQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from starlette.responses import Response

    from gateway.organisation import Unit

Reader = Annotated[Visitor, Depends(Needs(Permission.ORGANISATION_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.ORGANISATION_CHANGE))]

PATH: Final = "/console/admin/people"
NEW: Final = "/console/admin/new-person"
EMAIL_MOST: Final = 200
STATES: Final[Mapping[str, str]] = {
    "active": N_("재직"),
    "coming": N_("올 사람"),
    "left": N_("떠난 사람"),
}

SPEC: Final[ListSpec[Person]] = ListSpec(
    name="people",
    columns=(
        Column("name", N_("성명"), lambda row: row.name, sorts=True),
        Column("id", N_("사번"), lambda row: row.employee_id, sorts=True),
        Column("email", N_("이메일"), lambda row: row.email, sorts=True),
        Column("unit", N_("부서"), lambda row: row.unit_code, sorts=True),
        Column("role", N_("직급"), lambda row: row.role),
        Column("since", N_("이 소속으로"), lambda row: row.valid_from, sorts=True),
    ),
    sort="name",
    filters={"q": "", "unit": "", "state": "active"},
)


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PATH)
    def people(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _list_page(request, visitor, parts)

    @routes.get(NEW)
    def new_person(request: Request, visitor: Changer, parts: Parts, unit: str = "") -> Response:
        today = billing_day(parts.now()).isoformat()
        return _form_page(
            request, visitor, parts, Outcome({"unit": line(unit, ID_MOST), "valid_from": today})
        )

    @routes.post(NEW)
    def make_person(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _put(request, visitor, parts, _values(posted), version_of([]), is_new=True)

    @routes.post(f"{PATH}/change")
    def change_person(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        seen = posted.get("seen", "")
        return _put(request, visitor, parts, _values(posted), seen, is_new=False)

    @routes.post(f"{PATH}/leave")
    def end_person(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _leave(request, visitor, parts, posted)

    @routes.get(PATH + "/{employee_id:path}")
    def person(request: Request, employee_id: str, visitor: Reader, parts: Parts) -> Response:
        seen_by(parts, visitor, "person.view", employee_id)
        return _person_page(request, visitor, parts, employee_id)

    return routes


# --- everybody -------------------------------------------------------------------------------------------


def _list_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = SPEC.read(request.query_params)
    if query.filters["state"] not in STATES:
        query = replace(query, filters={**query.filters, "state": "active"})
    today = billing_day(parts.now())
    units = register.all_units(parts.database)
    within = _codes_below(units, query.filters["unit"], today)

    def source(asked: ListQuery) -> tuple[Sequence[Person], int]:
        wanted = PeopleQuery(
            day=today,
            text=asked.filters["q"],
            units=within,
            state=asked.filters["state"],
            sort=asked.sort,
            descending=asked.descending,
            offset=asked.offset,
            limit=asked.size,
        )
        return register.find_people(parts.database, wanted)

    if lists.wants_csv(request.query_params):
        seen_by(parts, visitor, "people.export", query.filters["unit"], **query.filters)
        return lists.export(SPEC, query, source, language_for(request, visitor), today)
    seen_by(parts, visitor, "people.list", query.filters["unit"], **query.filters)
    return render(
        request,
        visitor,
        "admin/people.html",
        list=lists.view(SPEC, query, PATH, source),
        names={unit.code: unit.name for unit in units},
        units=_unit_choices(units, today),
        states=STATES,
        departments=DEPARTMENTS,
    )


def _codes_below(units: Sequence[Unit], code: str, day: date) -> tuple[str, ...] | None:
    """Return a unit and all below it on a day; None where no unit is asked for."""
    if not code:
        return None
    return tuple(below for below, place in places(units, day).items() if code in place.path)


def _unit_choices(units: Sequence[Unit], day: date) -> list[tuple[str, str]]:
    laid = tree_lines(list(valid_on(units, day)), {})
    return [(row.unit.code, "\u2003" * row.depth + row.unit.name) for row in laid]


# --- one person ------------------------------------------------------------------------------------------


def _person_page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    employee_id: str,
    *,
    change: Outcome | None = None,
    leave: Outcome | None = None,
) -> Response:
    history = register.person_history(parts.database, employee_id)
    if not history:
        raise gone("직원", "person")
    now = parts.now()
    today = billing_day(now)
    units = register.all_units(parts.database)
    current = next(iter(valid_on(history, today)), history[-1])
    came_back = change or leave
    return render(
        request,
        visitor,
        "admin/person.html",
        status=came_back.status if came_back else 200,
        person=current,
        history=history[::-1],
        active=bool(list(valid_on(history, today))),
        keys=keys_of(parts.database, employee_id),
        names={unit.code: unit.name for unit in units},
        units=_unit_choices(units, today),
        seen=version_of(history),
        change=change or Outcome(_values_of(current, today)),
        leave=leave or Outcome({"day": today.isoformat(), "reason": ""}),
        today=today,
        now=now,
    )


def _form_page(request: Request, visitor: Visitor, parts: ConsoleParts, form: Outcome) -> Response:
    units = register.all_units(parts.database)
    blank = dict.fromkeys(("employee_id", "name", "email", "unit", "role", "valid_from", "reason"), "")
    return render(
        request,
        visitor,
        "admin/new_person.html",
        status=form.status,
        form=Outcome({**blank, **form.values}, form.mistakes, form.colleague),
        units=_unit_choices(units, billing_day(parts.now())),
    )


# --- changes ---------------------------------------------------------------------------------------------


def _values(posted: Mapping[str, str]) -> dict[str, str]:
    return {
        "employee_id": line(posted.get("employee_id", ""), ID_MOST),
        "name": line(posted.get("name", "")),
        "email": line(posted.get("email", ""), EMAIL_MOST),
        "unit": line(posted.get("unit", ""), ID_MOST),
        "role": line(posted.get("role", "")),
        "valid_from": posted.get("valid_from", "")[:10],
        "reason": reason_of(posted.get("reason", "")),
    }


def _values_of(person: Person, today: date) -> dict[str, str]:
    return {
        "employee_id": person.employee_id,
        "name": person.name,
        "email": person.email,
        "unit": person.unit_code,
        "role": person.role,
        "valid_from": today.isoformat(),
        "reason": "",
    }


def _put(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    values: Mapping[str, str],
    seen: str,
    *,
    is_new: bool,
) -> Response:
    """Enter or change a person; what is wrong comes back with the form as it was filled in."""

    def again(form: Outcome) -> Response:
        if is_new:
            return _form_page(request, visitor, parts, form)
        return _person_page(request, visitor, parts, values["employee_id"], change=form)

    mistakes = list(_mistakes(values))
    day = day_of(values["valid_from"])
    if mistakes or day is None:
        return again(Outcome(values, mistakes))
    person = Person(
        values["employee_id"], values["name"], values["email"], values["unit"], day, None, values["role"]
    )
    try:
        register.put_person(parts.database, person, seen, deed(parts, visitor, values["reason"]))
    except register.Stale as stale:
        if is_done(stale.now, person):
            return done(page_of(PATH, person.employee_id), "already-so")
        if is_new:
            return again(Outcome(values, [_taken(person.employee_id)]))
        return again(Outcome(values, (), stale.now))
    except ImportFailed as failed:
        return again(Outcome(values, failed.mistakes))
    return done(page_of(PATH, person.employee_id), "person-saved")


def _mistakes(values: Mapping[str, str]) -> Iterator[Mistake]:
    if not values["employee_id"] or " " in values["employee_id"] or "," in values["employee_id"]:
        yield Mistake(
            0, "사번을 공백과 쉼표 없이 적어 주세요.", "Give an employee number without spaces and commas."
        )
    if not values["name"]:
        yield Mistake(0, "성명을 적어 주세요.", "Give a name.")
    local, at, domain = values["email"].partition("@")
    if not (local and at and "." in domain.strip(".")) or " " in values["email"]:
        yield Mistake(0, "이메일 주소를 확인해 주세요.", "Check the e-mail address.")
    if not values["unit"]:
        yield Mistake(0, "부서를 골라 주세요.", "Choose a unit.")
    if day_of(values["valid_from"]) is None:
        yield NOT_A_DAY
    if not values["reason"]:
        yield NO_REASON


def _taken(employee_id: str) -> Mistake:
    return Mistake(
        0,
        f"사번 '{employee_id}'의 직원이 이미 있습니다.",
        f"There is somebody with the number '{employee_id}' already.",
    )


def _leave(request: Request, visitor: Visitor, parts: ConsoleParts, posted: Mapping[str, str]) -> Response:
    employee_id = line(posted.get("employee_id", ""), ID_MOST)
    values = {"day": posted.get("day", "")[:10], "reason": reason_of(posted.get("reason", ""))}

    def again(form: Outcome) -> Response:
        return _person_page(request, visitor, parts, employee_id, leave=form)

    day = day_of(values["day"])
    mistakes = ending_mistakes(values)
    if mistakes or day is None:
        return again(Outcome(values, mistakes))
    seen = posted.get("seen", "")
    try:
        register.end_person(parts.database, employee_id, day, seen, deed(parts, visitor, values["reason"]))
    except register.Stale as stale:
        if stale.now and stale.now[-1].valid_to == day:
            return done(page_of(PATH, employee_id), "already-so")
        return again(Outcome(values, (), stale.now))
    except ImportFailed as failed:
        return again(Outcome(values, failed.mistakes))
    return done(page_of(PATH, employee_id), "person-left")
