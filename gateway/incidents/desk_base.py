"""What every desk of the review has: database, keys, rules, and who is too near to an incident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from gateway.accounts import shown_text
from gateway.audit import REASON_MOST, AuditEvent
from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound
from gateway.incidents import states
from gateway.store import incidents
from gateway.store.audit import Trail
from gateway.vault import vault_of

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.incidents.records import FoundValue, Incident
    from gateway.incidents.states import Refusal, Reviewer, ReviewRules
    from gateway.keyring import Keyring
    from gateway.store.database import Database
    from gateway.vault import Vault


@dataclass(frozen=True, slots=True)
class Desk:
    database: Database
    """Carries the key of the access audit."""
    keyring: Keyring
    rules: ReviewRules

    def incident(self, incident_id: str) -> Incident:
        """Raises NotFound."""
        return incidents.find_incident(self.database, incident_id) or gone("사건", "incident")

    def findings(self, incident_id: str) -> tuple[FoundValue, ...]:
        return incidents.findings_of(self.database, incident_id)

    @property
    def vault(self) -> Vault:
        return vault_of(self.keyring, self.rules.cipher)

    def near(self, one: Incident, reviewer: Reviewer, now: datetime, action: str) -> Refusal | None:
        """Return how near an incident is. Raises Forbidden, written down, where the rules keep them out."""
        near = states.nearness(reviewer, one.person_id, one.department_id)
        self.keep_out(near, one.id, reviewer, now, action)
        return near

    def keep_out(
        self, near: Refusal | None, subject: str, reviewer: Reviewer, now: datetime, action: str
    ) -> None:
        """Raise Forbidden, written down, where the rules keep somebody so near out."""
        if near is None or not states.keeps_out(near, self.rules):
            return
        event = AuditEvent(now, reviewer.actor, action, subject, outcome="refused", details={"near": near})
        Trail(self.database).record(event)
        if near == "own_incident":
            raise Forbidden(
                "본인의 사건은 본인이 검토할 수 없습니다. 다른 검토자에게 맡기세요.",
                "Nobody reviews an incident of their own. Leave it to another reviewer.",
                code="own_incident",
            )
        raise Forbidden(
            "소속 부서의 사건은 검토할 수 없도록 정해져 있습니다. 다른 부서의 검토자에게 맡기세요.",
            "Policy keeps reviewers from their own department's incidents. Leave it to one of another.",
            code="own_department",
        )


def reason_of(reason: str) -> str:
    """Return a reason as it is written down. Raises InvalidRequest for none."""
    text = shown_text(reason, REASON_MOST)
    if len(text) < 2:
        raise InvalidRequest(
            "사유를 쓰세요. 감사 기록에 남습니다.",
            "Give a reason; it is kept in the access audit.",
            code="reason_needed",
            param="reason",
        )
    return text


def gone(korean: str, english: str) -> NoReturn:
    raise NotFound(
        f"그런 {korean}은(는) 없습니다. 번호를 확인하세요.", f"There is no such {english}. Check its id."
    )


def second_person() -> Forbidden:
    return Forbidden(
        "요청한 사람이 스스로 승인할 수 없습니다. 다른 검토자의 승인이 필요합니다.",
        "Whoever asked cannot approve it. Another reviewer has to.",
        code="second_person",
    )


def changed_meanwhile() -> Conflict:
    return Conflict(
        "그사이 다른 사람이 처리했습니다. 새로 고쳐 지금 상태를 확인하세요.",
        "Somebody else changed it in between. Reload to see how it stands.",
        code="changed_meanwhile",
    )
