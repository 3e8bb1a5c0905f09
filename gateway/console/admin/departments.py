"""Departments: the tree of a day, one unit with its history, and what may be done to it from a day on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, cast

from fastapi import APIRouter, Depends, Request

from billing.periods import billing_day
from gateway.console import areas, lists
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
from gateway.organisation import UNIT_KINDS, Unit, UnitKind, places, valid_on, version_of
from gateway.permissions import Permission
from gateway.store import register

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from starlette.responses import Response

Reader = Annotated[Visitor, Depends(Needs(Permission.ORGANISATION_VIEW))]
Changer = Annotated[Visitor, Depends(Needs(Permission.ORGANISATION_CHANGE))]

PATH: Final = "/console/admin/departments"
NEW: Final = "/console/admin/new-department"
KINDS: Final[Mapping[str, str]] = {
    "institution": N_("기관"),
    "bureau": N_("실·국"),
    "division": N_("과"),
    "team": N_("팀"),
}


@dataclass(frozen=True, slots=True)
class UnitLine:
    """A unit of the tree. `order` is its place when the tree is read from top to bottom."""

    unit: Unit
    depth: int
    order: int
    people: int
    people_below: int
    """With those of the units below it."""


SPEC: Final[ListSpec[UnitLine]] = ListSpec(
    name="departments",
    columns=(
        Column("tree", N_("부서"), lambda row: row.unit.name, sorts=True),
        Column("code", N_("코드"), lambda row: row.unit.code, sorts=True),
        Column("kind", N_("구분"), lambda row: row.unit.kind, sorts=True),
        Column("parent", N_("상위 부서"), lambda row: row.unit.parent_code),
        Column("since", N_("시작일"), lambda row: row.unit.valid_from, sorts=True),
        Column("people", N_("직원"), lambda row: row.people, sorts=True, number=True),
        Column("below", N_("아래까지"), lambda row: row.people_below, sorts=True, number=True),
    ),
    sort="tree",
    filters={"q": "", "day": "", "state": "active"},
    size=100,
)
KEYS: Final = {
    "tree": lambda row: row.order,
    "code": lambda row: row.unit.code,
    "kind": lambda row: (UNIT_KINDS.index(row.unit.kind), row.unit.name),
    "since": lambda row: (row.unit.valid_from, row.unit.code),
    "people": lambda row: row.people,
    "below": lambda row: row.people_below,
}


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PATH)
    def departments(request: Request, visitor: Reader, parts: Parts) -> Response:
        return _list_page(request, visitor, parts)

    @routes.get(NEW)
    def new_department(request: Request, visitor: Changer, parts: Parts, parent: str = "") -> Response:
        values = {"parent": line(parent, ID_MOST), "valid_from": billing_day(parts.now()).isoformat()}
        return _form_page(request, visitor, parts, Outcome(values))

    @routes.post(NEW)
    def make_department(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _put(request, visitor, parts, _values(posted), version_of([]), is_new=True)

    @routes.post(f"{PATH}/change")
    def change_department(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        seen = posted.get("seen", "")
        return _put(request, visitor, parts, _values(posted), seen, is_new=False)

    @routes.post(f"{PATH}/close")
    def close_department(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        return _close(request, visitor, parts, posted)

    @routes.get(PATH + "/{code:path}")
    def department(request: Request, code: str, visitor: Reader, parts: Parts) -> Response:
        return _unit_page(request, visitor, parts, code)

    return routes


# --- the tree --------------------------------------------------------------------------------------------


def _list_page(request: Request, visitor: Visitor, parts: ConsoleParts) -> Response:
    query = SPEC.read(request.query_params)
    today = billing_day(parts.now())
    day = day_of(query.filters["day"]) or today
    units = register.all_units(parts.database)
    heads = register.heads(parts.database, day)

    def source(asked: ListQuery) -> tuple[Sequence[UnitLine], int]:
        wanted = list(_matching(tree_lines(_standing(units, asked.filters["state"], day), heads), asked))
        return lists.cut(wanted, asked, KEYS)

    if lists.wants_csv(request.query_params):
        seen_by(parts, visitor, "department.export", **query.filters)
        return lists.export(SPEC, query, source, language_for(request, visitor), today)
    shown = lists.view(SPEC, query, PATH, source)
    return render(
        request,
        visitor,
        "admin/departments.html",
        list=shown,
        day=day,
        today=today,
        kinds=KINDS,
        indented=query.sort == "tree" and not query.filters["q"],
        people=sum(heads.values()),
    )


def tree_lines(units: Sequence[Unit], heads: Mapping[str, int]) -> list[UnitLine]:
    """Lay units of one day out from the top down, each under its parent, in the order of codes (직제순)."""
    below: dict[str | None, list[Unit]] = defaultdict(list)
    codes = {unit.code for unit in units}
    for unit in sorted(units, key=lambda unit: unit.code):
        below[unit.parent_code if unit.parent_code in codes else None].append(unit)
    laid = list(_laid(below, None, 0))
    totals = _totals(laid, heads)
    return [
        UnitLine(unit, depth, order, heads.get(unit.code, 0), totals[unit.code])
        for order, (unit, depth) in enumerate(laid)
    ]


def _laid(
    below: Mapping[str | None, Sequence[Unit]], parent: str | None, depth: int
) -> Iterator[tuple[Unit, int]]:
    for unit in below.get(parent, ()):
        yield unit, depth
        yield from _laid(below, unit.code, depth + 1)


def _totals(laid: Sequence[tuple[Unit, int]], heads: Mapping[str, int]) -> dict[str, int]:
    totals = {unit.code: heads.get(unit.code, 0) for unit, _ in laid}
    for unit, _ in reversed(laid):  # children stand behind their parents
        if unit.parent_code in totals:
            totals[unit.parent_code] += totals[unit.code]
    return totals


def _standing(units: Sequence[Unit], state: str, day: date) -> list[Unit]:
    """Return the units in force on a day, or the last version of those that are not (any more, or yet)."""
    in_force = list(valid_on(units, day))
    if state == "active":
        return in_force
    codes = {unit.code for unit in in_force}
    last = {unit.code: unit for unit in sorted(units, key=lambda unit: unit.valid_from)}
    others = [unit for unit in last.values() if unit.code not in codes]
    return [unit for unit in others if (unit.valid_from > day) == (state == "coming")]


def _matching(rows: Sequence[UnitLine], query: ListQuery) -> Iterator[UnitLine]:
    text = query.filters["q"].casefold()
    for row in rows:
        if text in row.unit.name.casefold() or row.unit.code.casefold().startswith(text):
            yield row


# --- one unit --------------------------------------------------------------------------------------------


def _unit_page(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    code: str,
    *,
    change: Outcome | None = None,
    close: Outcome | None = None,
) -> Response:
    units = register.all_units(parts.database)
    history = sorted((unit for unit in units if unit.code == code), key=lambda unit: unit.valid_from)
    if not history:
        raise gone("부서", "unit")
    today = billing_day(parts.now())
    current = next(iter(valid_on(history, today)), history[-1])
    names = {unit.code: unit.name for unit in valid_on(units, today)}
    place = places(units, today).get(code)
    came_back = change or close
    return render(
        request,
        visitor,
        "admin/department.html",
        status=came_back.status if came_back else 200,
        unit=current,
        history=history[::-1],
        in_force=bool(list(valid_on(history, today))),
        path=[
            (names.get(above, above), page_of(PATH, above)) for above in (place.path[:-1] if place else ())
        ],
        children=[unit for unit in valid_on(units, today) if unit.parent_code == code],
        people=register.heads(parts.database, today).get(code, 0),
        names=names,
        seen=version_of(history),
        kinds=KINDS,
        parents=_parent_choices(units, today, code),
        change=change or Outcome(_values_of(current, today)),
        close=close or Outcome({"day": today.isoformat(), "reason": ""}),
        today=today,
    )


def _parent_choices(units: Sequence[Unit], day: date, own: str) -> list[tuple[str, str]]:
    """Return (code, indented name) pairs of what may stand above a unit: no team, not itself."""
    laid = tree_lines(list(valid_on(units, day)), {})
    return [
        (row.unit.code, "\u2003" * row.depth + row.unit.name)
        for row in laid
        if row.unit.kind != "team" and row.unit.code != own
    ]


def _form_page(request: Request, visitor: Visitor, parts: ConsoleParts, form: Outcome) -> Response:
    units = register.all_units(parts.database)
    blank = {"code": "", "name": "", "kind": "division", "parent": "", "valid_from": "", "reason": ""}
    return render(
        request,
        visitor,
        "admin/new_department.html",
        status=form.status,
        form=Outcome({**blank, **form.values}, form.mistakes, form.colleague),
        kinds=KINDS,
        parents=_parent_choices(units, billing_day(parts.now()), ""),
    )


# --- changes ---------------------------------------------------------------------------------------------


def _values(posted: Mapping[str, str]) -> dict[str, str]:
    kind = posted.get("kind", "")
    return {
        "code": line(posted.get("code", ""), ID_MOST),
        "name": line(posted.get("name", "")),
        "kind": kind if kind in UNIT_KINDS else "",
        "parent": line(posted.get("parent", ""), ID_MOST),
        "valid_from": posted.get("valid_from", "")[:10],
        "reason": reason_of(posted.get("reason", "")),
    }


def _values_of(unit: Unit, today: date) -> dict[str, str]:
    return {
        "code": unit.code,
        "name": unit.name,
        "kind": unit.kind,
        "parent": unit.parent_code or "",
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
    """Make or change a unit; what is wrong comes back with the form as it was filled in."""

    def again(form: Outcome) -> Response:
        if is_new:
            return _form_page(request, visitor, parts, form)
        return _unit_page(request, visitor, parts, values["code"], change=form)

    mistakes = list(_mistakes(values))
    day = day_of(values["valid_from"])
    if mistakes or day is None:
        return again(Outcome(values, mistakes))
    kind, parent = cast("UnitKind", values["kind"]), values["parent"] or None
    unit = Unit(values["code"], values["name"], kind, parent, day)
    try:
        register.put_unit(parts.database, unit, seen, deed(parts, visitor, values["reason"]))
    except register.Stale as stale:
        if is_done(stale.now, unit):
            return done(page_of(PATH, unit.code), "already-so")
        if is_new:
            return again(Outcome(values, [_taken(unit.code)]))
        return again(Outcome(values, (), stale.now))
    except ImportFailed as failed:
        return again(Outcome(values, failed.mistakes))
    return done(page_of(PATH, unit.code), "department-saved")


def _mistakes(values: Mapping[str, str]) -> Iterator[Mistake]:
    if not values["code"] or " " in values["code"] or "," in values["code"]:
        yield Mistake(0, "코드를 공백과 쉼표 없이 적어 주세요.", "Give a code without spaces and commas.")
    if not values["name"]:
        yield Mistake(0, "부서 이름을 적어 주세요.", "Give the department a name.")
    if not values["kind"]:
        yield Mistake(0, "구분을 골라 주세요.", "Choose a kind.")
    if day_of(values["valid_from"]) is None:
        yield NOT_A_DAY
    if not values["reason"]:
        yield NO_REASON


def _taken(code: str) -> Mistake:
    return Mistake(0, f"코드 '{code}'은(는) 이미 쓰이고 있습니다.", f"The code '{code}' is taken.")


def _close(request: Request, visitor: Visitor, parts: ConsoleParts, posted: Mapping[str, str]) -> Response:
    code = line(posted.get("code", ""), ID_MOST)
    values = {"day": posted.get("day", "")[:10], "reason": reason_of(posted.get("reason", ""))}

    def again(form: Outcome) -> Response:
        return _unit_page(request, visitor, parts, code, close=form)

    day = day_of(values["day"])
    mistakes = ending_mistakes(values)
    if mistakes or day is None:
        return again(Outcome(values, mistakes))
    seen = posted.get("seen", "")
    try:
        register.close_unit(parts.database, code, day, seen, deed(parts, visitor, values["reason"]))
    except register.Stale as stale:
        if stale.now and stale.now[-1].valid_to == day:
            return done(page_of(PATH, code), "already-so")
        return again(Outcome(values, (), stale.now))
    except ImportFailed as failed:
        return again(Outcome(values, failed.mistakes))
    return done(page_of(PATH, code), "department-closed")
