"""`haechi incidents`: the review's queue, verdicts, looks, exceptions and retention at the terminal.

Whoever is at the terminal acts as `cli:user`; every look and every step is in the access audit.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import evidence, incident_reports
from gateway.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    actor,
    config_of,
    database,
    fail,
    now,
    print_json,
    say,
    settings_for,
    show_table,
)
from gateway.incidents.states import SEVERITIES, Resolution, Reviewer, State
from gateway.pseudonyms import pseudonym

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateway.incidents.desk import ReviewDesk
    from gateway.incidents.records import BulkResult, Detail, Incident, Reveal, ReviewException, Seen

app = typer.Typer(no_args_is_help=True, help="차단·보류 사건의 검토 / review of what was stopped")
exceptions_app = typer.Typer(no_args_is_help=True, help="예외 / exceptions")
app.add_typer(exceptions_app, name="exceptions")
incident_reports.register(app)
evidence.register(app)

Ids = Annotated[list[str], typer.Argument(help="사건(요청) 번호 / ids of incidents, which are the requests'")]
Id = Annotated[str, typer.Argument(help="사건(요청) 번호 / the incident's id")]
Reason = Annotated[str, typer.Option("--reason", help="사유, 감사 기록에 남습니다 / why, kept for auditors")]
MaybeReason = Annotated[str, typer.Option("--reason", help="사유 / why")]


@app.command("list")
def list_(
    state: Annotated[list[State] | None, typer.Option(help="상태 / state")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="low, medium, high, critical")] = None,
    resolution: Annotated[Resolution | None, typer.Option(help="판정 / verdict")] = None,
    department: Annotated[str, typer.Option(help="부서 코드, 하위 포함 / unit and all below")] = "",
    person: Annotated[str, typer.Option(help="사번 / employee number")] = "",
    assignee: Annotated[str, typer.Option(help="담당자 아이디, 없음은 - / login; - for nobody's")] = "",
    kind: Annotated[str, typer.Option("--type", help="탐지 종류 / kind of finding")] = "",
    rule: Annotated[str, typer.Option(help="규칙 / rule")] = "",
    overdue: Annotated[
        bool, typer.Option("--overdue", help="기한이 지난 것만 / past their deadline")
    ] = False,
    reported: Annotated[bool, typer.Option("--reported", help="오탐 신고된 것만 / reported ones")] = False,
    order: Annotated[str, typer.Option(help="at, due, severity, … 앞에 -면 거꾸로 / - reverses")] = "-at",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """검토 대기열을 봅니다 / List the queue."""
    from gateway.incidents.records import IncidentFilter

    unknown = set(severity or ()) - set(SEVERITIES)
    if unknown:
        fail(f"없는 심각도: {unknown}", f"No such severity: {unknown}", Exit.USAGE)
    wanted = IncidentFilter(
        states=frozenset(state or ()),
        severities=frozenset(SEVERITIES[word] for word in severity or ()),
        resolution=resolution,
        department=department,
        person=person,
        assignee=assignee,
        type=kind,
        rule=rule,
        overdue_at=now() if overdue else None,
        reported=True if reported else None,
    )
    with _desk(config) as desk:
        found = desk.listed(wanted, order=order, limit=limit, offset=offset)
        total = desk.count(wanted)
    if as_json:
        print_json({"data": [_incident(one, desk) for one in found], "total": total})
        return
    columns = ("번호", "때", "심각도", "상태", "처리", "부서", "찾은 것", "담당", "기한")
    show_table(columns, map(_cells, found), f"{total}건 중 {len(found)}건")


@app.command()
def counts(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """대기열의 건수를 봅니다 / Count the queue."""
    with _desk(config) as desk:
        found = desk.counts(actor(), now())
    names = ("new", "in_review", "resolved", "open", "overdue", "unassigned", "mine", "reported")
    values: dict[str, Any] = {name: getattr(found, name) for name in names}
    if as_json:
        print_json(values | {"by_severity": dict(found.by_severity)})
        return
    show_table(("", "건"), [*values.items(), *found.by_severity.items()])


@app.command()
def show(incident_id: Id, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """한 사건을 가린 채로 봅니다. 감사 기록에 남습니다 / Show one incident, values masked; audited."""
    with _desk(config) as desk:
        found = desk.detail(incident_id, _reviewer(), now())
    if as_json:
        print_json(_detail(found, desk))
        return
    _print_detail(found)


@app.command()
def history(incident_id: Id, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """누가 무엇을 했는지 봅니다 / Say who did what."""
    with _desk(config) as desk:
        lines = desk.history(incident_id, _reviewer(), now())
    if as_json:
        print_json([_plain(line) for line in lines])
        return
    show_table(
        ("때", "누가", "무엇을", "사유"), [(one.at, one.actor, one.action, one.reason) for one in lines]
    )


@app.command()
def similar(incident_id: Id, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """같은 값·사람·규칙의 사건을 봅니다 / List incidents of the same value, person or rule."""
    with _desk(config) as desk:
        found = desk.similar(incident_id, _reviewer(), now())
    groups = {"value": found.by_value, "person": found.by_person, "rule": found.by_rule}
    if as_json:
        print_json({name: [_incident(one, desk) for one in group] for name, group in groups.items()})
        return
    columns = ("같은 것", "번호", "때", "심각도", "상태", "처리", "부서", "찾은 것", "담당", "기한")
    show_table(columns, [(name, *_cells(one)) for name, group in groups.items() for one in group])


# --- work ---------------------------------------------------------------------------------------------------


@app.command()
def assign(
    incident_ids: Ids,
    to: Annotated[str | None, typer.Option("--to", help="담당자 아이디 / the reviewer's login")] = None,
    reason: MaybeReason = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """담당자를 정합니다. --to가 없으면 대기열로 돌립니다 / Assign; without --to back to the queue."""
    _step(config, incident_ids, lambda d, s: d.assign(s, to, _reviewer(), now(), reason), as_json=as_json)


@app.command()
def start(incident_ids: Ids, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """검토를 시작합니다 / Take new incidents into review."""
    _step(config, incident_ids, lambda d, s: d.start(s, _reviewer(), now()), as_json=as_json)


@app.command()
def resolve(
    incident_ids: Ids,
    resolution: Annotated[Resolution, typer.Option("--as", help="판정 / the verdict")],
    reason: MaybeReason = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """판정합니다 / Give a verdict."""
    _step(
        config,
        incident_ids,
        lambda d, s: d.resolve(s, resolution, _reviewer(), now(), reason),
        as_json=as_json,
    )


@app.command()
def reopen(
    incident_ids: Ids, reason: Reason, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """판정을 거둡니다 / Take verdicts back."""
    _step(config, incident_ids, lambda d, s: d.reopen(s, _reviewer(), now(), reason), as_json=as_json)


@app.command()
def report(
    request_id: Id,
    person: Annotated[str, typer.Option("--person", help="요청한 직원의 사번 / employee number")],
    note: Annotated[str, typer.Option("--note", help="설명, 암호화해 보관 / note, kept encrypted")] = "",
    config: ConfigOption = None,
) -> None:
    """직원을 대신해 오탐을 신고합니다 / Report a false alarm on behalf of a member of staff."""
    with _desk(config) as desk:
        one = desk.report(request_id, person, _reviewer().actor, now(), note)
    say(f"신고했습니다: {one.id}", f"Reported: {one.id}")


# --- looks --------------------------------------------------------------------------------------------------


@app.command()
def reveal(
    incident_id: Id,
    reason: Reason,
    span: Annotated[int | None, typer.Option("--span", help="탐지 번호 / number of the finding")] = None,
    all_: Annotated[bool, typer.Option("--all", help="전체 원문 / the whole text")] = False,
    person: Annotated[bool, typer.Option("--person", help="누구인지 / who the person is")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """사유를 남기고 값·원문·사람을 잠시 엽니다 / Open a value, the text or the person for a while."""
    if sum((span is not None, all_, person)) != 1:
        fail(
            "--span, --all, --person 중 하나를 고르세요.", "Give one of --span, --all, --person.", Exit.USAGE
        )
    what: Any = "span" if span is not None else "all" if all_ else "person"
    with _desk(config) as desk:
        made = desk.reveal(incident_id, what, span, _reviewer(), now(), reason)
        found = desk.detail(incident_id, _reviewer(), now()) if made.state == "open" else None
    if as_json:
        print_json(_plain(made) if found is None else _detail(found, desk))
    elif found is None:
        say(f"다른 검토자의 승인을 기다립니다: {made.id}", f"Waits for a second reviewer: {made.id}")
    else:
        _print_detail(found)


@app.command()
def reveals(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """승인을 기다리는 열람 요청을 봅니다 / List the looks that wait for a second person."""
    with _desk(config) as desk:
        waiting = desk.waiting_reveals()
    if as_json:
        print_json([_plain(one) for one in waiting])
        return
    show_table(
        ("요청", "사건", "누가", "때", "사유"),
        [(one.id, one.incident_id, one.asked_by, one.asked_at, one.reason) for one in waiting],
    )


@app.command("decide-reveal")
def decide_reveal(
    reveal_id: Annotated[str, typer.Argument(help="열람 요청 번호 / id of the look")],
    agree: Annotated[bool, typer.Option("--approve/--refuse", help="승인 또는 거절")],
    reason: MaybeReason = "",
    config: ConfigOption = None,
) -> None:
    """다른 사람의 열람 요청을 승인하거나 거절합니다 / Answer somebody else's look."""
    with _desk(config) as desk:
        decided = desk.decide_reveal(reveal_id, agree, _reviewer(), now(), reason)
    say(f"처리했습니다: {decided.state}", f"Done: {decided.state}")


@app.command()
def expire(config: ConfigOption = None) -> None:
    """보존 기간이 끝난 원문의 키를 파기합니다 / Destroy the keys of texts that are past their day."""
    with _desk(config) as desk:
        gone = desk.expire(now(), _reviewer().actor)
    say(f"파기한 원문: {gone}건", f"Destroyed: {gone}")


# --- exceptions ---------------------------------------------------------------------------------------------


@exceptions_app.command("list")
def list_exceptions(
    state: Annotated[str, typer.Option(help="proposed, approved, refused, revoked")] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """예외를 봅니다 / List exceptions."""
    with _desk(config) as desk:
        found = desk.exceptions(state=state, limit=500)
    if as_json:
        print_json([_exception(one) for one in found])
        return
    columns = ("번호", "상태", "시행 중", "종류", "규칙", "부서", "값", "까지", "제안", "결정")
    show_table(columns, map(_exception_cells, found))


@exceptions_app.command()
def propose(
    kind: Annotated[str, typer.Option("--type", help="탐지 종류 / kind of finding")],
    days: Annotated[int, typer.Option("--days", min=1, help="며칠 동안 / for how many days")],
    reason: Reason,
    rule: Annotated[str, typer.Option(help="규칙 / rule")] = "",
    department: Annotated[str, typer.Option(help="부서 코드 / unit")] = "",
    value_hash: Annotated[str, typer.Option(help="값의 해시 / keyed hash of one value")] = "",
    incident: Annotated[str | None, typer.Option(help="근거 사건 / the incident it comes from")] = None,
    config: ConfigOption = None,
) -> None:
    """예외를 제안합니다. 다른 사람이 승인해야 시행됩니다 / Propose; a second person approves."""
    from gateway.incidents.records import ExceptionScope
    from gateway.keyring import Purpose

    with _desk(config) as desk:
        key_id = desk.keyring.current(Purpose.FINDING_HASH).key_id if value_hash else ""
        scope = ExceptionScope(kind, rule, department, value_hash, key_id)
        until = now() + timedelta(days=days)
        made = desk.propose(scope, until, _reviewer(), now(), reason, incident_id=incident)
    say(f"제안했습니다: {made.id}", f"Proposed: {made.id}")


ExceptionId = Annotated[str, typer.Argument(help="예외 번호 / the exception's id")]


@exceptions_app.command()
def approve(exception_id: ExceptionId, reason: MaybeReason = "", config: ConfigOption = None) -> None:
    """다른 사람의 제안을 승인합니다. 1초 안에 시행됩니다 / Approve somebody else's proposal."""
    _decide(config, exception_id, "approve", reason)


@exceptions_app.command()
def refuse(exception_id: ExceptionId, reason: MaybeReason = "", config: ConfigOption = None) -> None:
    """제안을 거절합니다 / Refuse a proposal."""
    _decide(config, exception_id, "refuse", reason)


@exceptions_app.command()
def revoke(exception_id: ExceptionId, reason: MaybeReason = "", config: ConfigOption = None) -> None:
    """시행 중인 예외를 끝냅니다 / End an exception before its day."""
    _decide(config, exception_id, "revoke", reason)


def _decide(config: Path | None, exception_id: str, step: str, reason: str) -> None:
    with _desk(config) as desk:
        version = desk.exception(exception_id).version
        after: ReviewException = getattr(desk, step)(exception_id, version, _reviewer(), now(), reason)
    say(f"처리했습니다: {after.state}", f"Done: {after.state}")


# --- shared -------------------------------------------------------------------------------------------------


@contextmanager
def _desk(config: Path | None) -> Iterator[ReviewDesk]:
    from gateway.incidents.desk import ReviewDesk

    settings = settings_for(config)
    with database(settings) as engine:
        yield ReviewDesk(engine, settings.keyring(), config_of(settings).review)


def _reviewer() -> Reviewer:
    from gateway.audit import Actor

    return Reviewer(Actor(actor()))


def _step(
    config: Path | None,
    incident_ids: list[str],
    step: Callable[[ReviewDesk, list[Seen]], BulkResult],
    *,
    as_json: bool,
) -> None:
    """Change incidents as they stand now; exit 1 unless all of them were."""
    from gateway.incidents.records import Seen

    with _desk(config) as desk:
        result = step(desk, [Seen(one, desk.incident(one).version) for one in incident_ids])
    if as_json:
        print_json({"done": [_incident(one, desk) for one in result.done], "refused": dict(result.refused)})
    else:
        say(f"{len(result.done)}건을 처리했습니다.", f"{len(result.done)} done.")
    left = [*(f"{one}: {code}" for one, code in result.refused), *(one.id for one in result.conflicts)]
    if left:
        fail(f"처리하지 못한 사건: {', '.join(left)}", f"Not done: {', '.join(left)}")


def _incident(one: Incident, desk: ReviewDesk) -> dict[str, Any]:
    """Return an incident for JSON; the person is a pseudonym."""
    person = pseudonym(desk.keyring, one.person_id)
    return _plain(one) | {"severity": one.severity.word, "person_id": person}


def _plain(value: Incident | Reveal | ReviewException | Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the fields of a flat value for JSON."""
    return {name: getattr(value, name) for name in value.__slots__}


def _cells(one: Incident) -> tuple[object, ...]:
    found = ", ".join(f"{kind} {times}" for kind, times in one.counts.items())
    state = one.state if one.resolution is None else one.resolution
    unit, whose = one.department_id, one.assignee or ""
    return (one.id, one.at, one.severity.word, state, one.action, unit, found, whose, one.due_at)


def _exception(one: ReviewException) -> dict[str, Any]:
    scope = _plain(one.scope)
    return {**_plain(one), "scope": scope, "in_force": one.in_force(now())}


def _exception_cells(one: ReviewException) -> tuple[object, ...]:
    scope = one.scope
    until: datetime = one.until
    decided = one.ended_by or one.decided_by or ""
    return (
        one.id,
        one.state,
        one.in_force(now()),
        scope.type,
        scope.rule,
        scope.department_id,
        scope.value_hash[:12],
        until,
        one.proposed_by,
        decided,
    )


def _detail(found: Detail, desk: ReviewDesk) -> dict[str, Any]:
    person = {"person_id": found.incident.person_id} if found.person_open else {}
    return {
        **_incident(found.incident, desk),
        **person,
        "near": found.near,
        "found": [_plain(one) for one in found.findings],
        "text": {
            "state": found.text.state,
            "stored_until": found.text.stored_until,
            "omitted": found.text.omitted,
            "parts": [
                {"path": part.path, "role": part.role, "pieces": [_plain(piece) for piece in part.pieces]}
                for part in found.text.parts
            ],
        },
        "note": found.note,
        "reveals": [_plain(one) for one in found.reveals],
        "history": [_plain(one) for one in found.history],
    }


def _print_detail(found: Detail) -> None:
    from gateway.accounts import shown_text

    one = found.incident
    person = one.person_id if found.person_open else "(가림)"
    rows = [
        ("번호", one.id),
        ("때", one.at),
        ("처리", f"{one.action} · {one.severity.word} · {one.state}"),
        ("부서 · 사람", f"{one.department_id} · {person}"),
        ("모델 · 화면", f"{one.model_id} · {one.surface}"),
        ("판", f"규칙 {one.rules_version} · 정책 {one.policy_version}"),
        ("기한", one.due_at),
    ]
    show_table(("", ""), rows)
    show_table(
        ("종류", "규칙", "처리", "횟수", "자리", "값의 해시"),
        [(f.type, f.rule, f.action, f.times, f.path, f.value_hash) for f in found.findings],
    )
    for part in found.text.parts:
        # Stored text may hold controls that would rewrite a terminal: it is shown as one plain line.
        text = "".join(f"[{p.span}:{p.type} {p.text}]" if p.span is not None else p.text for p in part.pieces)
        typer.echo(f"{part.path}: {shown_text(text, 2_000)}")
    if found.note:
        typer.echo(f"오탐 신고: {shown_text(found.note, 2_000)}")
