"""Exceptions that reviewers make: proposed with a reason, approved by a second person, ended by their day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from filters.kinds import UNREAD, UNREAD_KINDS
from gateway.audit import AuditEvent
from gateway.errors import InvalidRequest
from gateway.incidents import states
from gateway.incidents.desk_base import Desk, changed_meanwhile, gone, reason_of, second_person
from gateway.incidents.records import IncidentFilter, ReviewException
from gateway.keyring import Purpose
from gateway.store import incident_exceptions, incidents
from gateway.store.organisation import unit_names

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.incidents.records import ExceptionScope, ExceptionState
    from gateway.incidents.states import Refusal, Reviewer


@dataclass(frozen=True, slots=True)
class ExceptionDesk(Desk):
    def propose(
        self,
        scope: ExceptionScope,
        until: datetime,
        reviewer: Reviewer,
        now: datetime,
        reason: str,
        *,
        incident_id: str | None = None,
    ) -> ReviewException:
        """Propose that findings may pass until a moment; a second person approves.

        Raises InvalidRequest for a scope that is too wide or unknown, or a time that is past or too far;
        Forbidden for what is too near.
        """
        self._check_scope(scope, until, now)
        if scope.value_hash and not scope.finding_key_id:  # else a rotation would end it unseen
            current = self.keyring.current(Purpose.FINDING_HASH)
            scope = replace(scope, finding_key_id=current.key_id)
        one = ReviewException(
            id=uuid4().hex,
            incident_id=incident_id,
            scope=scope,
            reason=reason_of(reason),
            until=until,
            state="proposed",
            proposed_by=reviewer.login,
            proposed_at=now,
            decided_by=None,
            decided_at=None,
            decided_reason="",
            ended_by=None,
            ended_at=None,
            version=1,
        )
        near = self._near_exception(one, reviewer, now, "exception.propose")
        event = self._exception_event(one, "propose", reviewer, now, one.reason, near)
        incident_exceptions.add_exception(self.database, one, event)
        return one

    def approve(
        self, exception_id: str, version: int, reviewer: Reviewer, now: datetime, reason: str = ""
    ) -> ReviewException:
        """Put a proposal in force, as the second person. Raises Forbidden for the one who proposed it."""
        one = self.exception(exception_id)
        if one.proposed_by == reviewer.login:
            raise second_person()
        if one.until <= now:
            raise no_time(self.rules.exception_days_most)
        return self._decided(one, version, "approved", reviewer, now, reason)

    def refuse(
        self, exception_id: str, version: int, reviewer: Reviewer, now: datetime, reason: str = ""
    ) -> ReviewException:
        return self._decided(self.exception(exception_id), version, "refused", reviewer, now, reason)

    def revoke(
        self, exception_id: str, version: int, reviewer: Reviewer, now: datetime, reason: str = ""
    ) -> ReviewException:
        """End an exception before its day; running workers take it back within a second."""
        return self._decided(self.exception(exception_id), version, "revoked", reviewer, now, reason)

    def exceptions(self, *, state: str = "", limit: int = 50, offset: int = 0) -> list[ReviewException]:
        return incident_exceptions.list_exceptions(self.database, state=state, limit=limit, offset=offset)

    def count_exceptions(self, *, state: str = "") -> int:
        return incident_exceptions.count_exceptions(self.database, state=state)

    def exception(self, exception_id: str) -> ReviewException:
        """Raises NotFound."""
        found = incident_exceptions.find_exception(self.database, exception_id)
        return found or gone("예외", "exception")

    def _decided(
        self,
        one: ReviewException,
        version: int,
        state: ExceptionState,
        reviewer: Reviewer,
        now: datetime,
        reason: str,
    ) -> ReviewException:
        expected: ExceptionState = "approved" if state == "revoked" else "proposed"
        if one.state != expected or one.version != version:
            raise changed_meanwhile()
        action = {"approved": "approve", "refused": "refuse", "revoked": "revoke"}[state]
        near = self._near_exception(one, reviewer, now, f"exception.{action}")
        event = self._exception_event(one, action, reviewer, now, reason, near)
        after = incident_exceptions.decide_exception(self.database, one, state, event)
        if after is None:
            raise changed_meanwhile()
        return after

    def _near_exception(
        self, one: ReviewException, reviewer: Reviewer, now: datetime, action: str
    ) -> Refusal | None:
        """Return how near an exception is, by its incident and by what it lets pass.

        Raises Forbidden, written down, where the rules keep them out.
        """
        near = None
        if one.incident_id is not None:
            near = self.near(self.incident(one.incident_id), reviewer, now, action)
        scoped = self._near_scope(one.scope, reviewer)
        self.keep_out(scoped, one.id, reviewer, now, action)
        return near or scoped

    def _near_scope(self, scope: ExceptionScope, reviewer: Reviewer) -> Refusal | None:
        if reviewer.person_id is not None and scope.value_hash:
            own = IncidentFilter(person=reviewer.person_id, value_hash=scope.value_hash)
            if incidents.list_incidents(self.database, own, limit=1):
                return "own_incident"
        return states.nearness(reviewer, "", scope.department_id)

    def _exception_event(
        self,
        one: ReviewException,
        action: str,
        reviewer: Reviewer,
        now: datetime,
        reason: str,
        near: Refusal | None,
    ) -> AuditEvent:
        scope = {name: value for name, value in _scope_of(one.scope).items() if value}
        details = {"incident": one.incident_id, "until": one.until.isoformat(), **scope}
        details |= {"near": near} if near else {}
        return AuditEvent(now, reviewer.actor, f"exception.{action}", one.id, reason, details=details)

    def _check_scope(self, scope: ExceptionScope, until: datetime, now: datetime) -> None:
        if not scope.type or not (scope.rule or scope.department_id or scope.value_hash):
            raise InvalidRequest(
                "예외에는 종류와 함께 부서, 규칙, 값 해시 중 하나 이상이 필요합니다.",
                "An exception needs a type, and a department, a rule or a value's hash.",
                code="invalid_scope",
                param="scope",
            )
        if scope.type in UNREAD_KINDS or scope.rule == UNREAD:
            raise InvalidRequest(
                "읽을 수 없는 부분에는 예외를 둘 수 없습니다. 받을지는 정책(open_parts)이 정합니다.",
                "What nobody can read has no exceptions; the policy says what may pass (open_parts).",
                code="invalid_scope",
                param="scope",
            )
        if scope.department_id and scope.department_id not in unit_names(self.database):
            raise InvalidRequest(
                f"부서 '{scope.department_id[:64]}'이(가) 없습니다.",
                f"There is no department '{scope.department_id[:64]}'.",
                code="invalid_scope",
                param="department",
            )
        if not now < until <= now + timedelta(days=self.rules.exception_days_most):
            raise no_time(self.rules.exception_days_most)


def _scope_of(scope: ExceptionScope) -> dict[str, str]:
    return {
        "type": scope.type,
        "rule": scope.rule,
        "department": scope.department_id,
        "value_hash": scope.value_hash,
    }


def no_time(most: int) -> InvalidRequest:
    return InvalidRequest(
        f"만료일은 앞으로 {most}일 안이어야 합니다.",
        f"It must end within {most} days from now.",
        code="invalid_until",
        param="until",
    )
