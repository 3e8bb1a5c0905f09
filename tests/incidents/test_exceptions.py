"""Exceptions: proposed and approved by two, narrow, for a time, and in the decision of the filter."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from filters.decision import decide
from filters.policy import default_book
from filters.verdict import Action
from gateway.audit import Actor, AuditEvent
from gateway.errors import Conflict, Forbidden, InvalidRequest
from gateway.incidents.exceptions import in_policy
from gateway.incidents.records import ExceptionScope
from gateway.incidents.states import Reviewer
from gateway.keyring import Keyring, Purpose, new_secret
from gateway.store.audit import AuditFilter, read_audit, verify_audit
from gateway.store.incident_exceptions import approved, decide_exception, read_revision
from gateway.store.tables import org_unit
from tests.incidents.databases import both, engine, migrated
from tests.incidents.office import BLOCKED, CHOI, KEPT, KEYS, NOW, PARK, desk, happen, inspector, prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from filters.verdict import Verdict
    from gateway.incidents.desk import ReviewDesk
    from gateway.keyring import DerivedKey

__all__ = ["engine", "migrated"]
KEY = KEYS.current(Purpose.FINDING_HASH)
KANG = Reviewer(Actor("kang", ("reviewer",), "10.0.0.4"), "S8", "GJ")
MONTH = NOW + timedelta(days=30)


@pytest.fixture
def queue(engine: Engine) -> ReviewDesk:
    return desk(engine)


def judged(
    queue: ReviewDesk, text: str, department: str = "CM", keys: Sequence[DerivedKey] = (KEY,)
) -> Verdict:
    """Judge a prompt by the policy with what is excepted now; the first of the keys is the current one."""
    book = default_book().with_exceptions(in_policy(approved(queue.database), keys))
    return decide(
        inspector().detect(prompt(text)), book.for_(("SEOUL", department), "external", NOW), keys[0].key
    )


def scope_of(queue: ReviewDesk, incident_id: str, **narrow: str) -> ExceptionScope:
    found = queue.findings(incident_id)[0]
    values = {"rule": found.rule, "value_hash": found.value_hash}
    chosen = {name: values.get(name, value) for name, value in narrow.items()}
    return ExceptionScope(found.type, finding_key_id=KEY.key_id if "value_hash" in chosen else "", **chosen)


@pytest.mark.parametrize(
    ("narrow", "same_value", "other_value", "other_department"),
    [
        ({"value_hash": ""}, Action.ALLOW, Action.BLOCK, Action.ALLOW),
        ({"department_id": "CM"}, Action.ALLOW, Action.ALLOW, Action.BLOCK),
        ({"rule": ""}, Action.ALLOW, Action.ALLOW, Action.ALLOW),
        ({"value_hash": "", "department_id": "CM"}, Action.ALLOW, Action.BLOCK, Action.BLOCK),
    ],
)
def test_an_exception_reaches_as_far_as_its_scope(
    queue: ReviewDesk,
    narrow: dict[str, str],
    same_value: Action,
    other_value: Action,
    other_department: Action,
) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    made = queue.propose(scope_of(queue, one, **narrow), MONTH, PARK, NOW, "예시", incident_id=one)
    assert judged(queue, BLOCKED).action is Action.BLOCK, "proposed only"
    queue.approve(made.id, made.version, CHOI, NOW)

    passed = judged(queue, BLOCKED)
    assert passed.action is same_value
    assert passed.receipt.as_record()["findings"][0]["exception"] == made.id
    assert judged(queue, BLOCKED.replace("900101-1234568", "850505-2345679")).action is other_value
    assert judged(queue, BLOCKED, "IS").action is other_department


def test_an_exception_for_a_department_that_is_not_there_is_refused(queue: ReviewDesk) -> None:
    with pytest.raises(InvalidRequest, match="no department 'MC'"):
        queue.propose(ExceptionScope("KR_RRN", department_id="MC"), MONTH, PARK, NOW, "예시")


def test_whoever_proposes_cannot_approve(queue: ReviewDesk) -> None:
    made = queue.propose(ExceptionScope("KR_RRN", department_id="CM"), MONTH, PARK, NOW, "예시")
    with pytest.raises(Forbidden):
        queue.approve(made.id, made.version, PARK, NOW)
    assert queue.approve(made.id, made.version, CHOI, NOW).in_force(NOW)


@pytest.mark.parametrize("step", ["approve", "refuse", "revoke"])
@pytest.mark.parametrize("near", ["own_incident", "own_department"])
def test_nobody_decides_on_an_exception_that_is_too_near(engine: Engine, near: str, step: str) -> None:
    queue = desk(engine, replace(KEPT, own_department="refuse"))
    person, department = ("S3", "CM") if near == "own_incident" else ("S1", "IS")
    one = happen(engine, prompt(BLOCKED), person=person, department=department)
    scope = scope_of(queue, one, rule="")
    made = queue.propose(scope, MONTH, CHOI, NOW, "예시", incident_id=one)
    if step == "revoke":
        made = queue.approve(made.id, made.version, KANG, NOW)
    with pytest.raises(Forbidden) as refused:
        getattr(queue, step)(made.id, made.version, PARK, NOW, "까닭")
    assert refused.value.code == near
    assert queue.exception(made.id).state == made.state
    last = read_audit(engine, AuditFilter(action=f"exception.{step}"))[0]
    assert (last.actor, last.outcome, last.details["near"]) == ("park", "refused", near)


def test_nobody_proposes_that_a_value_of_theirs_or_their_department_may_pass(engine: Engine) -> None:
    strict, usual = desk(engine, replace(KEPT, own_department="refuse")), desk(engine)
    own = happen(engine, prompt(BLOCKED), person="S3")
    with engine.begin() as connection:
        unit = {"code": "IS", "name": "인사과", "kind": "division", "valid_from": date(2026, 1, 1)}
        connection.execute(insert(org_unit).values(**unit))

    with pytest.raises(Forbidden) as value:
        usual.propose(scope_of(usual, own, value_hash=""), MONTH, PARK, NOW, "내 것")
    assert value.value.code == "own_incident"
    department = ExceptionScope("KR_RRN", department_id="IS")
    with pytest.raises(Forbidden) as unit_refused:
        strict.propose(department, MONTH, PARK, NOW, "우리 것")
    assert unit_refused.value.code == "own_department"

    made = usual.propose(department, MONTH, PARK, NOW, "우리 것")
    (told,) = read_audit(engine, AuditFilter(subject=made.id))
    assert told.details["near"] == "own_department", "flagged where it is not refused"


def test_two_decisions_at_once_are_one(queue: ReviewDesk) -> None:
    made = queue.propose(ExceptionScope("KR_RRN", department_id="CM"), MONTH, PARK, NOW, "예시")
    queue.refuse(made.id, made.version, CHOI, NOW, "너무 넓음")
    with pytest.raises(Conflict):
        queue.approve(made.id, made.version, CHOI, NOW)
    with pytest.raises(Conflict):
        queue.revoke(made.id, made.version + 1, CHOI, NOW)


def test_of_two_that_saw_the_same_version_one_decides(queue: ReviewDesk) -> None:
    made = queue.propose(ExceptionScope("KR_RRN", department_id="CM"), MONTH, PARK, NOW, "예시")
    event = AuditEvent(NOW, CHOI.actor, "exception.approve", made.id)
    assert decide_exception(queue.database, made, "approved", event) is not None
    assert decide_exception(queue.database, made, "refused", event) is None
    assert read_revision(queue.database) == 1
    assert queue.exception(made.id).state == "approved"
    assert [one.action for one in read_audit(queue.database, AuditFilter(subject=made.id))] == [
        "exception.approve",
        "exception.propose",
    ]


@pytest.mark.parametrize(
    "scope",
    [ExceptionScope("KR_RRN"), ExceptionScope("", rule="kr_rrn")],
    ids=["everywhere", "no type"],
)
def test_an_exception_for_everything_is_none(queue: ReviewDesk, scope: ExceptionScope) -> None:
    with pytest.raises(InvalidRequest):
        queue.propose(scope, MONTH, PARK, NOW, "예시")


@pytest.mark.parametrize("days", [0, -1, 181])
def test_an_exception_ends_within_its_bound(queue: ReviewDesk, days: int) -> None:
    with pytest.raises(InvalidRequest):
        queue.propose(ExceptionScope("KR_RRN", rule="kr_rrn"), NOW + timedelta(days=days), PARK, NOW, "예시")


def test_what_is_in_force_changes_the_revision_and_its_end_needs_none(queue: ReviewDesk) -> None:
    before = read_revision(queue.database)
    made = queue.propose(ExceptionScope("KR_RRN", department_id="CM"), MONTH, PARK, NOW, "예시")
    assert read_revision(queue.database) == before
    after = queue.approve(made.id, made.version, CHOI, NOW)
    assert read_revision(queue.database) == before + 1
    assert not after.in_force(MONTH)
    queue.revoke(made.id, after.version, PARK, NOW, "끝")
    assert read_revision(queue.database) == before + 2
    assert approved(queue.database) == []


@both
def test_every_step_is_in_the_trail_and_in_the_incidents_history(queue: ReviewDesk) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    made = queue.propose(
        ExceptionScope("KR_RRN", department_id="CM"), MONTH, PARK, NOW, "예시", incident_id=one
    )
    after = queue.approve(made.id, made.version, CHOI, NOW, "확인")
    queue.revoke(made.id, after.version, CHOI, NOW, "끝")

    events = read_audit(queue.database, AuditFilter(subject=made.id), oldest_first=True)
    assert [event.action for event in events] == [
        "exception.propose",
        "exception.approve",
        "exception.revoke",
    ]
    assert events[0].details["department"] == "CM"
    assert [line.action for line in queue.history(one, PARK, NOW)] == [event.action for event in events]
    assert [found.state for found in queue.exceptions(state="revoked")] == ["revoked"]
    assert (queue.count_exceptions(), queue.count_exceptions(state="approved")) == (1, 0)
    assert verify_audit(queue.database, KEYS).problems == ()


def test_a_hash_of_a_key_that_is_gone_excepts_nothing(queue: ReviewDesk) -> None:
    scope = ExceptionScope("KR_RRN", value_hash="0" * 32, finding_key_id="older")
    made = queue.propose(scope, MONTH, PARK, NOW, "예시")
    queue.approve(made.id, made.version, CHOI, NOW)
    assert in_policy(approved(queue.database), [KEY]) == ()


@pytest.mark.parametrize("narrow", [{"rule": ""}, {"value_hash": ""}])
def test_an_exception_outlives_the_rotation_of_its_key_and_no_more(
    queue: ReviewDesk, narrow: dict[str, str]
) -> None:
    one = happen(queue.database, prompt(BLOCKED))
    scope = replace(scope_of(queue, one, **narrow), finding_key_id="")
    made = queue.propose(scope, MONTH, PARK, NOW, "예시", incident_id=one)
    queue.approve(made.id, made.version, CHOI, NOW)
    rotated = Keyring((Keyring.of([new_secret()]).masters[0], *KEYS.masters)).all(Purpose.FINDING_HASH)

    passed = judged(queue, BLOCKED, keys=rotated)
    assert passed.action is Action.ALLOW
    assert passed.receipt.as_record()["findings"][0]["exception"] == made.id
    if scope.value_hash:
        other = BLOCKED.replace("900101-1234568", "850505-2345679")
        assert judged(queue, other, keys=rotated).action is Action.BLOCK
        assert judged(queue, BLOCKED, keys=rotated[:1]).action is Action.BLOCK
