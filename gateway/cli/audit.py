"""`haechi audit`: export, verify and prune the access audit."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import (
    ConfigOption,
    CsvOption,
    Exit,
    JsonOption,
    actor,
    config_of,
    database,
    fail,
    now,
    print_csv,
    print_json,
    say,
    settings_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gateway.store.audit import AuditRow
    from gateway.store.database import Database

app = typer.Typer(no_args_is_help=True, help="접근 감사 기록 / the access audit: who did and saw what")

COLUMNS = (
    *("seq", "at", "actor", "roles", "address", "action", "subject", "reason", "outcome", "details", "mac"),
)


@app.command()
def export(
    since: Annotated[str | None, typer.Option(help="첫날 2026-11-01 / first day")] = None,
    until: Annotated[str | None, typer.Option(help="마지막 날 / last day, included")] = None,
    who: Annotated[str, typer.Option("--actor", help="아이디 / login")] = "",
    action: Annotated[str, typer.Option(help="행위(key.create) 또는 분야(key) / action or area")] = "",
    subject: Annotated[str, typer.Option(help="사번·부서·키 / employee number, department, key")] = "",
    as_csv: CsvOption = False,
    config: ConfigOption = None,
) -> None:
    """기록을 JSON Lines나 CSV로 내보냅니다 / Write the events as JSON lines or CSV."""
    from gateway.audit import Actor, AuditEvent
    from gateway.store.audit import AuditFilter, Trail, export_audit

    wanted = AuditFilter(
        since=_start(since, 0), until=_start(until, 1), actor=who, action=action, subject=subject
    )
    settings = settings_for(config)
    with database(settings) as engine:
        _absorb(engine)
        details = {"since": since, "until": until, "actor": who, "action": action, "subject": subject}
        event = AuditEvent(now(), Actor(actor(), (), "terminal"), "audit.export", details=details)
        Trail(engine).record(event)
        rows = export_audit(engine, wanted)
        if as_csv:
            print_csv(COLUMNS, map(_cells, rows))
        else:
            _print_lines(rows)


@app.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(help="적어 둔 '번호:MAC' / 'number:mac' noted down earlier, to find what was cut off"),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """사슬을 처음부터 끝까지 확인합니다 / Check the chain from end to end."""
    from gateway.store.audit import verify_audit

    settings = settings_for(config)
    with database(settings) as engine:
        _absorb(engine)
        verdict = verify_audit(engine, settings.keyring(), expect=_noted(expect))
    if json:
        print_json(
            {
                "ok": not verdict.problems,
                "rows": verdict.rows,
                "first": verdict.first,
                "last": verdict.last,
                "head": f"{verdict.last}:{verdict.head_mac}",
                "problems": list(verdict.problems),
            }
        )
        raise typer.Exit(Exit.FOUND if verdict.problems else Exit.OK)
    if verdict.problems:
        lines = "\n".join(f"  {problem}" for problem in verdict.problems)
        fail(f"감사 기록이 바뀌었습니다:\n{lines}", "The access audit was tampered with.", Exit.FOUND)
    span, end = f"{verdict.first}–{verdict.last}", f"{verdict.last}:{verdict.head_mac}"
    say(
        f"이상 없음: {verdict.rows:,}건({span}). 끝: {end}",
        "The chain holds. Note its end down elsewhere: `--expect` then finds what is cut off.",
    )


@app.command()
def prune(config: ConfigOption = None) -> None:
    """보존 기간([console] audit_days)이 지난 기록을 지웁니다 / Delete what is older than audit_days."""
    from gateway.keyring import Purpose
    from gateway.store.audit import prune_audit

    settings = settings_for(config)
    older_than = now() - timedelta(days=config_of(settings).console.audit_days)
    with database(settings) as engine:
        key = settings.keyring().current(Purpose.ACCESS_AUDIT)
        gone = prune_audit(engine, key, older_than=older_than, at=now())
    say(f"{gone:,}건을 지웠습니다. 나머지는 그대로 검증됩니다.", "Deleted; the rest still verifies.")


def _absorb(engine: Database) -> None:
    """Take in what tools without the key have left, so that it is exported and verified as well."""
    from gateway.store.audit import absorb

    absorb(engine)


def _print_lines(rows: Iterator[AuditRow]) -> None:
    import orjson

    for row in rows:
        sys.stdout.write(orjson.dumps(_record(row), option=orjson.OPT_APPEND_NEWLINE).decode())


def _record(row: AuditRow) -> dict[str, object]:
    return {
        "seq": row.seq,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "roles": row.roles,
        "address": row.address,
        "action": row.action,
        "subject": row.subject,
        "reason": row.reason,
        "outcome": row.outcome,
        "details": row.details,
        "mac": row.mac,
    }


def _cells(row: AuditRow) -> tuple[object, ...]:
    from gateway.audit import details_text

    flat = {"roles": " ".join(row.roles), "details": details_text(row.details)}
    return tuple((_record(row) | flat).values())


def _start(day: str | None, later: int) -> datetime | None:
    """Return the first instant of a Korean day, `later` days on."""
    from billing.periods import day_start

    if day is None:
        return None
    try:
        return day_start(date.fromisoformat(day) + timedelta(days=later))
    except ValueError:
        fail(
            f"날짜가 아닙니다: {day}. 2026-11-01처럼 쓰세요.",
            "Not a day; write it like 2026-11-01.",
            Exit.USAGE,
        )


def _noted(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, mac = text.partition(":")
    if not number.isdigit() or len(mac) != 64:
        fail("'번호:MAC' 형식이어야 합니다.", "Write it as 'number:mac', as `verify` printed it.", Exit.USAGE)
    return int(number), mac
