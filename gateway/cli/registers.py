"""`haechi departments` and `haechi people`: import registers from CSV, and list what is in force."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    ConfigOption,
    DryRunOption,
    Exit,
    JsonOption,
    actor,
    database,
    fail,
    now,
    print_json,
    say,
    settings_for,
    show_table,
)

if TYPE_CHECKING:
    from gateway.imports import Change, Plan
    from gateway.organisation import Person, Unit

departments = typer.Typer(no_args_is_help=True, help="부서 명부 / the register of departments")
people = typer.Typer(no_args_is_help=True, help="직원 명부 / the register of people")

CsvFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV (UTF-8, CP949)")
]
FromOption = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=["%Y-%m-%d"],
        help="valid_from이 빈 행의 시작일(기본: 오늘) / day for rows without one",
    ),
]
AbsentOption = Annotated[
    datetime | None,
    typer.Option(
        "--end-absent",
        formats=["%Y-%m-%d"],
        help="파일에 없는 항목을 이 날 끝냄 / end what the file lacks on this day",
    ),
]
SHOWN_CHANGES = 40


@departments.command("import")
def import_departments(
    file: CsvFile,
    dry_run: DryRunOption = False,
    start: FromOption = None,
    end_absent: AbsentOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """부서를 CSV에서 읽습니다 / Import departments (code,name,kind,parent_code,valid_from)."""
    from gateway.imports import plan_units, read_units
    from gateway.store.organisation import import_units, load_organisation

    rows = read_units(file.read_bytes(), _day(start) or _today())
    with database(settings_for(config)) as engine:
        if dry_run:
            plan = plan_units(load_organisation(engine).units, rows, absent_end=_day(end_absent))
        else:
            plan = import_units(engine, rows, at=now(), actor=actor(), absent_end=_day(end_absent))
    _report(plan, "부서", "departments", json=json, dry_run=dry_run)


@people.command("import")
def import_people(
    file: CsvFile,
    dry_run: DryRunOption = False,
    start: FromOption = None,
    end_absent: AbsentOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """직원을 CSV에서 읽습니다 / Import people (employee_id,name,email,department_code,valid_from)."""
    from gateway.imports import plan_people, read_people
    from gateway.store import organisation as store

    rows = read_people(file.read_bytes(), _day(start) or _today())
    with database(settings_for(config)) as engine:
        if dry_run:
            known = store.load_organisation(engine)
            plan = plan_people(known.people, rows, known.units, absent_end=_day(end_absent))
        else:
            plan = store.import_people(engine, rows, at=now(), actor=actor(), absent_end=_day(end_absent))
    _report(plan, "직원", "people", json=json, dry_run=dry_run)


@departments.command("list")
def list_departments(
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="기준일 / as of this day")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """그날의 조직입니다 / The organisation on a day."""
    from gateway.organisation import places, valid_on
    from gateway.store.organisation import load_organisation

    day = _day(on) or _today()
    with database(settings_for(config)) as engine:
        organisation = load_organisation(engine)
    seats = [person.unit_code for person in valid_on(organisation.people, day)]
    where = places(organisation.units, day)
    units = sorted(
        (unit for unit in valid_on(organisation.units, day) if unit.code in where),
        key=lambda unit: where[unit.code].path,
    )
    if json:
        print_json([_plain(unit) | {"people": seats.count(unit.code)} for unit in units])
        return
    show_table(
        ("코드", "부서", "구분", "인원", "시작일"),
        [
            (
                unit.code,
                "  " * (len(where[unit.code].path) - 1) + unit.name,
                unit.kind,
                seats.count(unit.code),
                unit.valid_from,
            )
            for unit in units
        ],
        title=f"{day} 기준",
    )


@people.command("list")
def list_people(
    department: Annotated[
        str | None, typer.Option(help="이 부서와 그 아래 / this unit and those below")
    ] = None,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="기준일 / as of this day")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """그날의 직원입니다 / The people on a day."""
    from gateway.organisation import places, valid_on
    from gateway.store.organisation import load_organisation

    day = _day(on) or _today()
    with database(settings_for(config)) as engine:
        organisation = load_organisation(engine)
    where = places(organisation.units, day)
    if department is not None and department not in where:
        fail(f"부서 '{department}'이(가) 없습니다.", f"There is no department '{department}'.", Exit.USAGE)
    found = [
        person
        for person in valid_on(organisation.people, day)
        if department is None or (person.unit_code in where and department in where[person.unit_code].path)
    ]
    if json:
        print_json([_plain(person) for person in found])
        return
    rows = [(p.employee_id, p.name, p.email, p.unit_code, p.role, p.valid_from) for p in found]
    show_table(("사번", "성명", "전자우편", "부서", "직급", "시작일"), rows, title=f"{day} 기준")


def _report(plan: Plan[Any], korean: str, english: str, *, json: bool, dry_run: bool) -> None:
    if json:
        print_json(
            {
                "dry_run": dry_run,
                "unchanged": plan.unchanged,
                "changes": [
                    {
                        "id": change.id,
                        "kind": change.kind,
                        "before": [_plain(version) for version in change.before],
                        "after": [_plain(version) for version in change.after],
                    }
                    for change in plan.changes
                ],
            }
        )
        return
    for change in plan.changes[:SHOWN_CHANGES]:
        typer.echo(_line(change))
    if len(plan.changes) > SHOWN_CHANGES:
        rest = len(plan.changes) - SHOWN_CHANGES
        say(f"… 그 밖에 {rest}건 (모두 보려면 --json)", f"… and {rest} more (--json shows all)")
    added, changed, ended = (plan.count(kind) for kind in ("added", "changed", "ended"))
    title = "바뀔 내용 (바꾸지 않았습니다)" if dry_run else "반영했습니다"
    say(
        f"{korean} {title}: 새로 {added}, 변경 {changed}, 종료 {ended}, 그대로 {plan.unchanged}",
        f"{english}: {added} added, {changed} changed, {ended} ended, {plan.unchanged} unchanged"
        + (" (dry run: nothing was written)" if dry_run else ""),
    )


def _line(change: Change[Any]) -> str:
    """One change as a diff: what goes with `-`, what comes with `+`."""
    gone = [f"- {_words(version)}" for version in change.before if version not in change.after]
    come = [f"+ {_words(version)}" for version in change.after if version not in change.before]
    return "\n".join([*gone, *come])


def _words(version: Unit | Person) -> str:
    values = _plain(version)
    end = values.pop("valid_to") or ""
    start = values.pop("valid_from")
    return f"{'  '.join(str(value) for value in values.values() if value)}  [{start} ~ {end}]"


def _plain(version: Unit | Person) -> dict[str, Any]:
    from dataclasses import asdict

    return {k: v.isoformat() if isinstance(v, date) else v for k, v in asdict(version).items()}


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment is not None else None


def _today() -> date:
    from billing.periods import billing_day

    return billing_day(now())
