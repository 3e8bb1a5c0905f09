"""What a member of staff sees of their own incidents and may report; and filters that a reviewer saves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gateway.accounts import shown_text
from gateway.audit import AuditEvent
from gateway.errors import InvalidRequest
from gateway.incidents import states
from gateway.incidents.desk_base import Desk, gone
from gateway.incidents.intake import content_row, finding_rows, opening
from gateway.store import incident_exceptions, incident_reports, incidents

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.audit import Actor
    from gateway.incidents.records import FoundValue, Incident, SavedView

NOTE_MOST: Final = 2_000
"""Characters of what a member of staff writes with a report."""
VIEW_NAME_MOST: Final = 60
VIEW_QUERY_MOST: Final = 2_000


@dataclass(frozen=True, slots=True)
class StaffDesk(Desk):
    def own(self, person_id: str, *, limit: int = 50, offset: int = 0) -> list[Incident]:
        """Return a member of staff's incidents, the newest first."""
        wanted = incident_reports.of_person(person_id)
        return incidents.list_incidents(self.database, wanted, limit=limit, offset=offset)

    def count_own(self, person_id: str) -> int:
        return incidents.count_incidents(self.database, incident_reports.of_person(person_id))

    def own_detail(self, incident_id: str, person_id: str) -> tuple[Incident, tuple[FoundValue, ...]]:
        """Raises NotFound, also for somebody else's."""
        one = incidents.find_incident(self.database, incident_id)
        if one is None or one.person_id != person_id:
            gone("사건", "incident")
        return one, self.findings(incident_id)

    def report(
        self, request_id: str, person_id: str, actor: Actor, now: datetime, note: str = ""
    ) -> Incident:
        """Take a report of a false alarm (오탐 신고) on a request of one's own into the queue.

        A request that was no incident becomes one. The note is sealed like a text. Raises NotFound for
        what is somebody else's or unknown, InvalidRequest for a note that is too long.
        """
        if len(note) > NOTE_MOST:
            raise InvalidRequest(
                f"설명은 {NOTE_MOST:,}자까지 쓸 수 있습니다.",
                f"A note has at most {NOTE_MOST:,} characters.",
                param="note",
            )
        seen = incident_reports.find_receipt(self.database, request_id, person_id)
        if seen is None:
            gone("요청", "request")
        severity = incident_reports.severity_of_receipt(seen)
        asked_at = incident_reports.moment_of(seen)
        due = states.due_at(now, severity, self.rules.sla_days)
        values = incident_reports.facts_of(seen) | opening(asked_at, severity, due)
        found = finding_rows(request_id, asked_at, seen["findings"], seen["finding_key_id"])
        kept = None
        if note.strip():
            until = now + timedelta(days=self.rules.text_days)
            kept = content_row(self.vault, request_id, "note", note.strip().encode(), (now, until))
        event = AuditEvent(now, actor, "incident.report", request_id, details={"noted": kept is not None})
        return incident_reports.write_report(self.database, values, found, kept, event)

    # --- saved filters ---

    def views(self, owner: str) -> list[SavedView]:
        return incident_exceptions.views_of(self.database, owner)

    def save_view(self, owner: str, name: str, query: str, now: datetime) -> SavedView:
        """Save a filter under a name, in place of the one that has it. Raises InvalidRequest."""
        name = shown_text(name, VIEW_NAME_MOST)
        if not name or len(query) > VIEW_QUERY_MOST:
            raise InvalidRequest("필터의 이름을 쓰세요.", "Give the filter a name.", param="name")
        return incident_exceptions.save_view(self.database, owner, name, query, now)

    def drop_view(self, owner: str, view_id: str) -> None:
        """Raises NotFound, also for somebody else's."""
        if not incident_exceptions.drop_view(self.database, owner, view_id):
            gone("필터", "filter")
