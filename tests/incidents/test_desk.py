"""The queue and its work: who takes what, what a verdict leaves, who is kept out, who was faster."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest

from gateway.audit import Actor
from gateway.errors import Forbidden, InvalidRequest, NotFound
from gateway.incidents.records import NOBODY, IncidentFilter, Seen
from gateway.incidents.states import Resolution, ReviewRules, Severity, State
from gateway.pseudonyms import pseudonym
from gateway.store.audit import AuditFilter, read_audit, verify_audit
from tests.incidents.databases import both, engine, migrated
from tests.incidents.office import BLOCKED, CHOI, KEPT, KEYS, NOW, PARK, desk, happen, prompt
from tests.interleaving import meanwhile

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.incidents.desk import ReviewDesk
    from gateway.incidents.states import Reviewer

__all__ = ["engine", "migrated"]
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def queue(engine: Engine) -> ReviewDesk:
    return desk(engine)


def seen(queue: ReviewDesk, *ids: str) -> list[Seen]:
    return [Seen(one, queue.incident(one).version) for one in ids]


def test_a_blocked_request_is_an_incident_that_says_what_and_whose_without_the_value(
    queue: ReviewDesk,
) -> None:
    one = queue.incident(happen(queue.database, prompt(BLOCKED)))

    assert (one.action, one.origin, one.state, one.version) == ("block", "filter", State.NEW, 1)
    assert (one.department_id, one.person_id, one.surface) == ("CM", "S1", "chat")
    assert one.counts == {"KR_RRN": 1}
    assert one.severity is Severity.HIGH
    assert one.due_at == datetime(2026, 11, 24, 9, tzinfo=UTC)  # two working days on: Tuesday, 18:00 in Seoul
    (found,) = queue.findings(one.id)
    assert (found.type, found.rule, found.times, found.path) == (
        "KR_RRN",
        found.rule,
        1,
        "messages[0].content",
    )
    assert len(found.value_hash) == 32


@pytest.mark.parametrize("login", ["nobody", "CHOI", ""])
def test_an_incident_goes_to_no_one_who_would_not_look_at_it(queue: ReviewDesk, login: str) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    with pytest.raises(InvalidRequest, match="not the login"):
        queue.assign(seen(queue, one), login, PARK, NOW)
    assert queue.incident(one).assignee is None


def test_work_goes_from_new_over_review_to_a_verdict_and_its_history_says_who(queue: ReviewDesk) -> None:
    one = happen(queue.database, prompt(BLOCKED))

    assert queue.start(seen(queue, one), PARK, NOW).done[0].assignee == "park"
    assert queue.assign(seen(queue, one), "choi", PARK, NOW, "휴가").done[0].assignee == "choi"
    done = queue.resolve(seen(queue, one), Resolution.FALSE_POSITIVE, CHOI, LATER, "예시 번호").done[0]

    assert (done.state, done.resolution, done.resolved_by, done.resolved_at) == (
        State.RESOLVED,
        Resolution.FALSE_POSITIVE,
        "choi",
        LATER,
    )
    assert queue.incident(one) == done
    assert [(line.actor, line.action) for line in queue.history(one, PARK, NOW)] == [
        ("park", "start"),
        ("park", "assign"),
        ("choi", "resolve"),
    ]
    events = read_audit(queue.database, AuditFilter(subject=one), oldest_first=True)
    assert [event.action for event in events] == ["incident.start", "incident.assign", "incident.resolve"]
    assert verify_audit(queue.database, KEYS).problems == ()


def test_a_second_reviewer_learns_that_somebody_was_faster(queue: ReviewDesk) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    both_saw = seen(queue, one)
    queue.resolve(both_saw, Resolution.TRUE_POSITIVE, PARK, NOW)

    late = queue.resolve(both_saw, Resolution.FALSE_POSITIVE, CHOI, LATER)

    assert late.done == ()
    (stands,) = late.conflicts
    assert (stands.resolution, stands.resolved_by) == (Resolution.TRUE_POSITIVE, "park")


@both
def test_a_bulk_step_changes_what_it_can_and_names_the_rest(queue: ReviewDesk) -> None:
    good, own, gone = (
        happen(queue.database, prompt(BLOCKED)),
        happen(queue.database, prompt(BLOCKED), person="S3"),
        Seen("00000000-none", 1),
    )
    done = happen(queue.database, prompt(BLOCKED))
    queue.resolve(seen(queue, done), Resolution.TRUE_POSITIVE, CHOI, NOW)

    result = queue.resolve([*seen(queue, good, own, done), gone], Resolution.ESCALATED, PARK, NOW)

    assert [one.id for one in result.done] == [good]
    assert dict(result.refused) == {own: "own_incident", done: "wrong_state"}
    assert result.missing == ("00000000-none",)


def test_a_verdict_can_be_taken_back_for_a_reason(queue: ReviewDesk) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    queue.resolve(seen(queue, one), Resolution.TRUE_POSITIVE, PARK, NOW)

    with pytest.raises(InvalidRequest):
        queue.reopen(seen(queue, one), CHOI, LATER, " ")
    again = queue.reopen(seen(queue, one), CHOI, LATER, "다시 봄").done[0]

    assert (again.state, again.resolution, again.resolved_at) == (State.IN_REVIEW, None, None)


def test_nobody_opens_an_incident_of_their_own_and_the_trail_says_who_tried(queue: ReviewDesk) -> None:
    one = happen(queue.database, prompt(BLOCKED), person="S3")

    with pytest.raises(Forbidden):
        queue.detail(one, PARK, NOW)

    (event,) = read_audit(queue.database, AuditFilter(subject=one))
    assert (event.actor, event.outcome, event.details["near"]) == ("park", "refused", "own_incident")


def test_a_look_at_the_own_department_is_flagged_or_refused_as_policy_says(engine: Engine) -> None:
    flagging, refusing = desk(engine), desk(engine, replace(KEPT, own_department="refuse"))
    one = happen(engine, prompt(BLOCKED), department="IS")

    assert flagging.detail(one, PARK, NOW).near == "own_department"
    (event,) = read_audit(engine, AuditFilter(subject=one))
    assert event.details == {"near": "own_department"}
    with pytest.raises(Forbidden):
        refusing.detail(one, PARK, NOW)
    assert refusing.detail(one, CHOI, NOW).near is None


def test_a_unit_above_or_below_the_own_department_is_as_near_as_it(engine: Engine) -> None:
    """A reviewer in IS answers to HJ: they judge neither the bureau's incidents nor let its values pass."""
    refusing = desk(engine, replace(KEPT, own_department="refuse"))
    under = replace(PARK, line=frozenset({"HJ", "IS", "IS1"}))
    for department in ("HJ", "IS1"):
        one = happen(engine, prompt(BLOCKED), department=department)
        assert desk(engine).detail(one, under, NOW).near == "own_department"
        with pytest.raises(Forbidden):
            refusing.detail(one, under, NOW)
    assert refusing.detail(happen(engine, prompt(BLOCKED), department="SEOUL"), under, NOW).near is None


@both
def test_the_queue_is_narrowed_and_ordered(queue: ReviewDesk) -> None:
    database = queue.database
    first = happen(database, prompt(BLOCKED), at=NOW - timedelta(days=20))
    second = happen(database, prompt(BLOCKED, "대외비\n\n행사 계획입니다."), department="IS", person="S5")
    third = happen(database, prompt("AWS 키 AKIAIOSFODNN7EXAMPLQ 를 봐 주세요"), person="S2")
    queue.start(seen(queue, third), PARK, NOW)

    def ids(order: str = "-at", **wanted: object) -> list[str]:
        return [one.id for one in queue.listed(IncidentFilter(**wanted), order=order)]  # type: ignore[arg-type]

    assert ids() == [third, second, first]
    assert ids("at")[0] == first
    assert ids("-severity")[0] == second
    assert ids(states=frozenset({State.NEW})) == [second, first]
    assert ids(type="SECRET") == [third]
    assert ids(department="HJ") == []
    assert ids(department="IS") == [second]
    assert ids(assignee="park") == [third]
    assert ids(assignee=NOBODY) == [second, first]
    assert ids(overdue_at=NOW) == [first]
    assert ids(since=NOW - timedelta(days=1), person="S5") == [second]
    assert ids(id=first[:20]) == [first]
    with pytest.raises(InvalidRequest):
        ids("-secret")
    counts = queue.counts("park", NOW)
    assert (counts.new, counts.in_review, counts.resolved, counts.open) == (2, 1, 0, 3)
    assert (counts.overdue, counts.mine, counts.unassigned, counts.reported) == (1, 1, 2, 0)
    assert sum(counts.by_severity.values()) == 3
    assert [one.id for one in queue.each(IncidentFilter())] == [first, second, third]


@both
def test_similar_incidents_share_the_value_the_person_or_the_rule(queue: ReviewDesk) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    same_value = happen(queue.database, prompt(BLOCKED + " 다시."), person="S2")
    same_person = happen(queue.database, prompt("비밀번호는 hunter2!Xq 입니다. AKIAIOSFODNN7EXAMPLQ"))
    other_value = happen(queue.database, prompt("주민등록번호 850505-2345679"), person="S4")

    found = queue.similar(one, PARK, NOW)

    assert [other.id for other in found.by_value] == [same_value]
    assert [other.id for other in found.by_person] == [same_person]
    assert {other.id for other in found.by_rule} >= {same_value}
    assert (found.values, found.people) == (1, 1)
    assert other_value not in {other.id for other in found.by_value}


def test_staff_see_their_own_incidents_and_nobody_elses(queue: ReviewDesk) -> None:
    mine, others = (
        happen(queue.database, prompt(BLOCKED)),
        happen(queue.database, prompt(BLOCKED), person="S2"),
    )

    assert [one.id for one in queue.own("S1")] == [mine]
    assert queue.count_own("S1") == 1
    assert queue.own_detail(mine, "S1")[1][0].type == "KR_RRN"
    with pytest.raises(NotFound):
        queue.own_detail(others, "S1")
    with pytest.raises(NotFound):
        queue.report(others, "S1", Actor("S1"), NOW)


@both
def test_a_report_lands_in_the_queue_with_a_sealed_note(queue: ReviewDesk) -> None:
    blocked = happen(queue.database, prompt(BLOCKED))
    passed = happen(queue.database, prompt("연락처는 010-1234-5678 입니다."))  # masked, and no incident
    with pytest.raises(NotFound):
        queue.incident(passed)

    reported = queue.report(blocked, "S1", Actor("S1"), LATER, "연습용 번호 900101-1234568 입니다")
    made = queue.report(passed, "S1", Actor("S1"), LATER)

    assert (reported.origin, reported.reported_at, reported.version) == ("filter", LATER, 2)
    assert (made.origin, made.action, made.state) == ("report", "mask", State.NEW)
    assert queue.counts("park", LATER).reported == 2
    assert queue.detail(blocked, PARK, LATER).note == "연습용 번호 900101-1234568 입니다"
    assert queue.detail(made.id, PARK, LATER).findings[0].type == "PHONE_NUMBER"
    again = queue.report(blocked, "S1", Actor("S1"), LATER, "다시 씁니다")
    assert (again.version, queue.detail(blocked, PARK, LATER).note) == (3, "다시 씁니다")


@both
def test_two_reports_of_one_request_at_once_are_both_taken(queue: ReviewDesk) -> None:
    def report(request_id: str, note: str) -> None:
        queue.report(request_id, "S1", Actor("S1"), LATER, note)

    for statement in count():
        passed = happen(queue.database, prompt("연락처는 010-1234-5678 입니다."))
        with meanwhile(queue.database, statement, report, passed, "하나") as other:
            report(passed, "둘")
        if not other:
            break
        other[0].result()
        assert queue.incident(passed).version == 2
        assert [line.action for line in queue.history(passed, PARK, LATER)] == ["report", "report"]
        assert len(queue.findings(passed)) == 1
    assert statement > 3


def test_who_reported_is_a_pseudonym_until_a_reviewer_opens_the_person(queue: ReviewDesk) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    queue.report(one, "S1", Actor("kim.staff"), NOW)

    def told(reviewer: Reviewer) -> set[str]:
        lines = [*queue.history(one, reviewer, LATER), *queue.detail(one, reviewer, LATER).history]
        return {line.actor for line in lines if line.action == "report"}

    assert told(PARK) == told(CHOI) == {pseudonym(KEYS, "S1")}
    queue.reveal(one, "person", None, PARK, LATER, "본인에게 확인")
    assert told(PARK) == {"kim.staff"}
    assert told(CHOI) == {pseudonym(KEYS, "S1")}
    (event,) = read_audit(queue.database, AuditFilter(action="incident.report"))
    assert event.actor == "kim.staff", "the trail says who it was"


@both
def test_saved_filters_are_their_owners(queue: ReviewDesk) -> None:
    one = queue.save_view("park", " 급한 것 ", "severity=critical&order=due", NOW)
    queue.save_view("park", "급한 것", "severity=high", LATER)
    queue.save_view("choi", "급한 것", "q=1", NOW)

    (mine,) = queue.views("park")
    assert (mine.name, mine.query) == ("급한 것", "severity=high")
    with pytest.raises(NotFound):
        queue.drop_view("choi", one.id)
    queue.drop_view("park", one.id)
    assert queue.views("park") == []


def test_a_bulk_step_has_a_bound(queue: ReviewDesk) -> None:
    with pytest.raises(InvalidRequest):
        queue.start([], PARK, NOW)
    with pytest.raises(InvalidRequest):
        queue.start([Seen(str(n), 1) for n in range(501)], PARK, NOW)


@pytest.mark.parametrize(
    ("texts", "zone", "made"),
    [
        (["도로 점용 허가 절차를 알려 주세요."], "external", False),
        (["연락처는 010-1234-5678 입니다."], "external", False),  # masked, as many letters are
        ([BLOCKED], "external", True),
        ([BLOCKED], "in_house", True),  # masked there, and flagged for its type
        (["비공개\n\n행사 계획입니다."], "external", True),
    ],
)
def test_what_was_stopped_kept_inside_or_flagged_is_an_incident(
    engine: Engine, texts: list[str], zone: str, *, made: bool
) -> None:
    happen(engine, prompt(*texts), zone=zone)
    assert desk(engine).count(IncidentFilter()) == int(made)


def test_without_policy_no_text_is_kept(engine: Engine) -> None:
    one = happen(engine, prompt(BLOCKED), rules=ReviewRules())
    assert desk(engine).detail(one, PARK, NOW).text.state == "none"
