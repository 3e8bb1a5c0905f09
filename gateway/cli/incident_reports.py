"""`haechi incidents oversight|precision|replay|export|deliveries|weekly`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

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
    show_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from gateway.incidents.export_formats import Exported
    from gateway.incidents.oversight import Oversight, Period
    from gateway.incidents.replay import PolicyReplay
    from gateway.incidents.replaying import Candidate, Past
    from gateway.settings import Settings

FromOption = Annotated[
    str | None, typer.Option("--from", help="첫날(서울), 없으면 30일 전부터 / first day, else 30 days ago")
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="마지막 날(서울), 없으면 오늘 / last day, else today")
]
DepartmentOption = Annotated[
    list[str] | None, typer.Option("--department", help="부서 코드만, 여러 개 가능 / only these units")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="파일로 저장, 없으면 표준 출력 / to a file")
]
USUAL_DAYS = 30
policy_app = typer.Typer(no_args_is_help=True, help="정책 / policies of the filter")


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    CEF = "cef"
    OCSF = "ocsf"


def register(app: typer.Typer) -> None:
    for command in (oversight, precision, replay, export, deliveries, weekly):
        app.command()(command)


# --- oversight ------------------------------------------------------------------------------------


def oversight(
    first: FromOption = None,
    last: ToOption = None,
    department: DepartmentOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """추이, 부서·종류별 건수, 처리 시간, 반복, 검사 범위 / Trends, where and what, time to resolve, coverage.

    검사하지 않고 기관 밖으로 나간 요청이 있으면 1로 끝납니다. Ends with 1 if anything left unread.
    """
    from gateway.pseudonyms import pseudonym
    from gateway.store.incident_statistics import count_everything, overview

    period = period_of(first, last)
    settings = settings_for(config)
    with database(settings) as engine:
        count_everything(engine, now())
        seen = overview(engine, period, now(), department or None)
    if json:
        print_json(seen.as_record(partial(pseudonym, settings.keyring())))
    else:
        _show(seen)
    if not seen.coverage.ok:
        raise typer.Exit(Exit.FOUND)


def _show(seen: Oversight) -> None:
    totals, resolving, coverage = seen.totals, seen.resolving, seen.coverage
    show_table(
        ("요청 / requests", "차단 / refused", "마스킹 / masked", "기관 내 / kept inside", "검출 / findings"),
        [(totals.requests, totals.refused, totals.masked, totals.kept_inside, totals.findings)],
        title=f"{seen.period.first} ~ {seen.period.last}",
    )
    hours = "-" if resolving.median_hours is None else f"≤ {resolving.median_hours} h"
    show_table(
        ("사건 / opened", "처리 / resolved", "남음 / open", "기한 지남 / overdue", "중앙값 / median"),
        [(resolving.opened, resolving.resolved, resolving.open_now, resolving.overdue_now, hours)],
    )
    show_table(
        ("부서 / department", "종류 / type", "검출 / findings", "요청 / requests"),
        [(one.department_id, one.type, one.findings, one.requests) for one in seen.heat[:20]],
    )
    if seen.rules:
        show_table(
            ("규칙 / rule", "종류 / type", "검출 / findings", "요청 / requests"),
            [(one.rule, one.type, one.findings, one.requests) for one in seen.rules[:20]],
        )
    say(
        f"검사하지 않고 기관 밖으로 나간 요청: {coverage.unscanned_external:,} / {coverage.requests:,}",
        f"Requests that left unread: {coverage.unscanned_external:,} of {coverage.requests:,}",
    )


def precision(
    first: FromOption = None,
    last: ToOption = None,
    json: JsonOption = False,
    csv: CsvOption = False,
    config: ConfigOption = None,
) -> None:
    """검토자 판정으로 본 규칙별 정확도 / How often each rule is right, by the reviewers' verdicts."""
    from gateway.store.incident_statistics import count_everything, precision_by_rule

    period = None if first is None and last is None else period_of(first, last)
    with database(settings_for(config)) as engine:
        count_everything(engine, now())
        records = [one.as_record() for one in precision_by_rule(engine, period)]
    if json:
        print_json(records)
        return
    header = tuple(records[0]) if records else ("rule", "type", "verdicts")
    cells = [["" if value is None else value for value in record.values()] for record in records]
    if csv:
        print_csv(header, cells)
    else:
        show_table(header, [[str(v) if isinstance(v, float) else v for v in row] for row in cells])


# --- replay ---------------------------------------------------------------------------------------


def replay(
    candidate: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="바꿀 haechi.toml 또는 정책 하나 / the change as TOML"
        ),
    ],
    version: Annotated[
        str, typer.Option("--version", help="정책 이름, 없으면 마지막 것 / which policy")
    ] = "",
    first: FromOption = None,
    last: ToOption = None,
    department: DepartmentOption = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="저장된 본문에 규칙도 다시 적용 / rules too, over stored texts")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="정탐이 풀리면 1로 끝냄 / end with 1 if a true positive is lost")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """켜기 전에 지난 요청에 적용해 봅니다 / What a change would have done, before it is switched on.

    정책은 모든 검사 기록에, 규칙은 저장된 본문에만 적용합니다. A policy is tried on every receipt, rules
    on stored texts only; how many could not be replayed is said.
    """
    from gateway.incidents.desk import ReviewDesk
    from gateway.incidents.replaying import Past, replay_policy, replay_rules

    settings = settings_for(config)
    period = period_of(first, last)
    change = _candidate(candidate)
    with database(settings) as engine:
        past = Past(engine, settings.keyring(), config_of(settings))
        policy = change.policy(version) or (None if version else past.config.policies.at(now()))
        if policy is None:
            fail(f"정책 '{version}'이(가) 없습니다.", f"There is no policy '{version}'.", Exit.USAGE)
        reports = {"policy": replay_policy(past, policy, period, now(), department or None)}
        if rules or _changes_rules(change, past):
            tried = past.config.custom_rules if change.rules is None else change.rules
            desk = ReviewDesk(engine, past.keyring, past.config.review)
            reports["rules"] = replay_rules(past, desk, tried, policy, period, now())
    _show_replays(reports, period, as_json=json)
    if strict and any(report.lost for report in reports.values()):
        raise typer.Exit(Exit.FOUND)


def _changes_rules(change: Candidate, past: Past) -> bool:
    return change.rules is not None and change.rules != past.config.custom_rules


def _candidate(file: Path) -> Candidate:
    from tomllib import TOMLDecodeError

    from filters.detectors.custom import CustomRuleError
    from filters.errors import PolicyError
    from gateway.incidents.replaying import read_candidate

    try:
        return read_candidate(file.read_text("utf-8-sig"))
    except (TOMLDecodeError, PolicyError, CustomRuleError, UnicodeDecodeError) as error:
        fail(f"읽을 수 없습니다: {error}", f"Cannot be read: {error}", Exit.INPUT)


def _show_replays(reports: dict[str, PolicyReplay], period: Period, *, as_json: bool) -> None:
    if as_json:
        days = {"from": period.first.isoformat(), "to": period.last.isoformat()}
        print_json(days | {name: report.as_record() for name, report in reports.items()})
        return
    titles = {"policy": "정책, 검사 기록 / policy over receipts", "rules": "규칙, 본문 / rules over texts"}
    for name, report in reports.items():
        _show_replay(report, f"{titles[name]}: {report.version}")


def _show_replay(report: PolicyReplay, title: str) -> None:
    left_out = report.not_replayed.total()
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in report.not_replayed.most_common())
    show_table(
        ("그때 / then", "바꾸면 / with the change", "요청 / requests"),
        [(*moved, number) for moved, number in sorted(report.transitions.items())],
        title=title,
    )
    say(
        f"요청 {report.requests:,}건 중 {report.replayed:,}건 재현, {report.changed:,}건이 달라집니다."
        f" 재현하지 못함: {left_out:,}건{f' ({reasons})' if reasons else ''}.",
        f"{report.replayed:,} of {report.requests:,} replayed, {report.changed:,} would end otherwise;"
        f" {left_out:,} could not be replayed.",
    )
    say(
        f"정탐으로 판정된 것 중 풀리는 것: {report.lost:,}건",
        f"True positives that would be treated more mildly: {report.lost:,}",
    )
    if report.examples:
        show_table(
            (
                "요청 / request",
                "부서 / department",
                "그때 / then",
                "바꾸면 / with it",
                "종류 / types",
                "판정 / verdict",
            ),
            [
                (one.request_id, one.department_id, one.before, one.after, " ".join(one.types), one.verdict)
                for one in report.examples[:10]
            ],
        )


policy_app.command("replay")(replay)


# --- exports --------------------------------------------------------------------------------------


def export(
    form: Annotated[Format, typer.Option("--format", "-f", help="csv, json, cef, ocsf")] = Format.CSV,
    first: FromOption = None,
    last: ToOption = None,
    out: OutOption = None,
    config: ConfigOption = None,
) -> None:
    """사건을 내보냅니다. 본문과 값은 없고 사람은 가명입니다 / Export incidents, never texts or values.

    json, cef, ocsf는 한 줄에 하나씩입니다. One object a line but for csv.
    """
    from gateway.audit import Actor, AuditEvent
    from gateway.incidents.exporting import exported_in
    from gateway.store.audit import Trail

    period = period_of(first, last)
    settings = settings_for(config)
    with database(settings) as engine:
        details = {"format": form.value, "from": str(period.first), "to": str(period.last)}
        event = AuditEvent(now(), Actor(actor(), (), "terminal"), "incident.export", details=details)
        Trail(engine).record(event)
        found = exported_in(engine, settings.keyring(), period)
        with _output(out) as stream:
            _write(stream, form, found)
    if out is not None:
        say(f"{out}에 저장했습니다.", f"Written to {out}.")


@contextmanager
def _output(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with out.open("wb") as file:
        yield file


def _write(stream: BinaryIO, form: Format, found: Iterator[Exported]) -> None:
    from gateway.incidents.export_formats import as_line, csv_header, csv_row
    from gateway.incidents.exporting import PRODUCT_VERSION
    from gateway.spreadsheets import csv_chunks

    if form is Format.CSV:
        stream.writelines(chunk.encode() for chunk in csv_chunks(csv_header(), map(csv_row, found)))
        return
    stream.writelines(as_line(one, form.value, PRODUCT_VERSION) + b"\n" for one in found)


def deliveries(
    retry: Annotated[
        bool, typer.Option("--retry", help="포기한 것을 다시 보냄 / try dead ones again")
    ] = False,
    target: Annotated[str, typer.Option("--target", help="받는 곳의 이름 / name of a receiver")] = "",
    since: Annotated[
        str | None,
        typer.Option("--since", help="이 날부터 다시 알림(--target과 함께) / tell it from this day on"),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """SIEM으로 보내는 사건의 상태. 포기한 것이 있으면 1로 끝납니다 / How deliveries to a SIEM stand."""
    from gateway.store import incident_exports as outbox

    settings = settings_for(config)
    with database(settings) as engine:
        if since is not None:
            outbox.send_from(engine, _known_target(settings, target), period_of(since, since).start)
        if retry:
            tried = outbox.retry(engine, now())
            say(f"{tried:,}건을 다시 보냅니다.", f"{tried:,} will be tried again.")
        counted, dead = outbox.counts(engine), outbox.dead(engine)
    rows = [(name, state, number) for (name, state), number in sorted(counted.items())]
    if json:
        listed = [{"target": name, "state": state, "deliveries": number} for name, state, number in rows]
        gone = [
            {"target": d.target, "incident_id": d.incident_id, "version": d.version, "failure": d.failure}
            for d in dead
        ]
        print_json({"deliveries": listed, "dead": gone})
    else:
        show_table(("받는 곳 / receiver", "상태 / state", "건 / deliveries"), rows)
        show_table(
            ("받는 곳 / receiver", "사건 / incident", "이유 / why"),
            [(one.target, one.incident_id, one.failure or "") for one in dead[:20]],
        )
    if dead:
        raise typer.Exit(Exit.FOUND)


def _known_target(settings: Settings, name: str) -> str:
    names = [one.name for one in config_of(settings).review_export.targets]
    if name not in names:
        listed = ", ".join(names) or "-"
        fail(f"'{name}'이(가) 없습니다: {listed}", f"There is no '{name}'; there are: {listed}", Exit.USAGE)
    return name


def weekly(
    day: Annotated[
        str | None, typer.Option("--day", help="이 날 이전 주, 없으면 지난주 / the week before this day")
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="메일로 보냄 / by mail, to weekly_to")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """주간 보고를 출력하거나 보냅니다 / Print the weekly report, or send it."""
    from gateway.incidents.behind import report_week, weekly_of
    from gateway.incidents.weekly import last_week, subject_of, text_of

    settings = settings_for(config)
    period = last_week(_day(day) if day is not None else _today())
    with database(settings) as engine:
        document = weekly_of(engine, period, now())
        if send:
            exports = config_of(settings).review_export
            if not exports.weekly_to:
                fail(
                    "[review.export] weekly_to가 비어 있습니다.",
                    "[review.export] weekly_to is empty.",
                    Exit.CONFIG,
                )
            noted = report_week(engine, exports, period, now())
            say(*(("곧 보냅니다.", "On its way.") if noted else ("이미 보냈습니다.", "It was sent already.")))
            return
    if json:
        print_json(document)
    else:
        typer.echo(f"{subject_of(document)}\n\n{text_of(document)}")


# --- days -----------------------------------------------------------------------------------------


def period_of(first: str | None, last: str | None) -> Period:
    from gateway.incidents.oversight import Period

    end = _today() if last is None else _day(last)
    begin = end - timedelta(days=USUAL_DAYS - 1) if first is None else _day(first)
    if begin > end:
        _no_day(f"{begin} > {end}")
    return Period(begin, end)


def _today() -> date:
    from billing.periods import billing_day

    return billing_day(now())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        _no_day(text)


def _no_day(text: str) -> NoReturn:
    fail(
        f"날짜가 아닙니다: {text}. 2026-11-01처럼 쓰세요.", "Not a day; write it like 2026-11-01.", Exit.USAGE
    )
