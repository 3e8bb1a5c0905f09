"""The review as pages, the API and the command line use it: one service over queue, text and exceptions.

No SQL and no HTTP. Every changing function is handed who acts, when and why; what it refuses it says as an
error of gateway.errors. Whoever is too near to an incident (their own, their department's) is kept out or
flagged in the access audit, as `[review]` says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

from gateway.audit import REASON_MOST, Actor, AuditEvent
from gateway.errors import Conflict, InvalidRequest
from gateway.incidents import states
from gateway.incidents.content import shown, span_count, unpack
from gateway.incidents.desk_base import changed_meanwhile, gone, reason_of, second_person
from gateway.incidents.desk_exceptions import ExceptionDesk
from gateway.incidents.desk_staff import StaffDesk
from gateway.incidents.records import (
    ORDERS,
    Detail,
    Reveal,
    ShownText,
)
from gateway.permissions import Role
from gateway.pseudonyms import pseudonym
from gateway.store import accounts, incident_content, incidents
from gateway.store.audit import Trail
from gateway.vault import VaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from gateway.config import Config
    from gateway.incidents.records import (
        BulkResult,
        Happening,
        Incident,
        IncidentFilter,
        QueueCounts,
        RevealWhat,
        Seen,
        Similar,
        StoredText,
    )
    from gateway.incidents.states import Change, Refusal, Resolution, Reviewer
    from gateway.keyring import Keyring
    from gateway.store.database import Database
    from gateway.store.incident_content import Kept

SYSTEM: Final = Actor("system")
MOST_BULK: Final = 500


@dataclass(frozen=True, slots=True)
class ReviewDesk(ExceptionDesk, StaffDesk):
    # --- reading ---

    def listed(
        self, wanted: IncidentFilter, *, order: str = "-at", limit: int = 50, offset: int = 0
    ) -> list[Incident]:
        """Return one page of the queue. Raises InvalidRequest for an order that is none of ORDERS."""
        if order.removeprefix("-") not in ORDERS:
            raise InvalidRequest(
                f"'{order}' 순서는 없습니다. {', '.join(ORDERS)} 중에서 고르세요(앞에 -를 붙이면 거꾸로).",
                f"There is no order '{order}'. Choose one of {', '.join(ORDERS)}; a hyphen reverses.",
                code="invalid_order",
                param="order",
            )
        return incidents.list_incidents(self.database, wanted, order=order, limit=limit, offset=offset)

    def count(self, wanted: IncidentFilter) -> int:
        return incidents.count_incidents(self.database, wanted)

    def each(self, wanted: IncidentFilter) -> Iterator[Incident]:
        """Yield what is wanted, the oldest first, for an export."""
        return incidents.each_incident(self.database, wanted)

    def counts(self, login: str, now: datetime) -> QueueCounts:
        return incidents.queue_counts(self.database, login, now)

    def history(self, incident_id: str, reviewer: Reviewer, now: datetime) -> list[Happening]:
        """Return who did what, the oldest first. Raises NotFound; Forbidden for what is too near."""
        one = self.incident(incident_id)
        self.near(one, reviewer, now, "incident.view")
        reveals = incident_content.reveals_of(self.database, incident_id)
        return list(self._history(one, person_open=_person_open(_open_to(reviewer, reveals, now))))

    def _history(self, one: Incident, *, person_open: bool) -> tuple[Happening, ...]:
        """Return the history, in which whoever reported is a pseudonym, as everywhere, until it is opened.

        The access audit, which reviewers do not see, keeps who it was.
        """
        told = incidents.history_of(self.database, one.id)
        if person_open:
            return told
        whose = pseudonym(self.keyring, one.person_id)
        return tuple(replace(line, actor=whose) if line.action == "report" else line for line in told)

    def similar(self, incident_id: str, reviewer: Reviewer, now: datetime, *, limit: int = 10) -> Similar:
        """Return what is like an incident. Raises NotFound; Forbidden for what is too near."""
        one = self.incident(incident_id)
        self.near(one, reviewer, now, "incident.view")
        return incidents.similar_to(self.database, one, limit=limit)

    def detail(self, incident_id: str, reviewer: Reviewer, now: datetime) -> Detail:
        """Return everything about one incident, found values masked but those that this reviewer opened.

        The look is written to the access audit. Raises NotFound; Forbidden for what is too near.
        """
        one = self.incident(incident_id)
        near = self.near(one, reviewer, now, "incident.view")
        reveals = incident_content.reveals_of(self.database, incident_id)
        mine = _open_to(reviewer, reveals, now)
        person_open = _person_open(mine)
        kept = incident_content.content_of(self.database, incident_id, now)
        details = {"near": near} if near else {}
        Trail(self.database).record(
            AuditEvent(now, reviewer.actor, "incident.view", incident_id, details=details)
        )
        return Detail(
            incident=one,
            findings=self.findings(incident_id),
            history=self._history(one, person_open=person_open),
            text=self._shown(kept.get("text"), mine),
            note=self._note(kept.get("note")),
            reveals=reveals,
            person_open=person_open,
            near=near,
        )

    # --- work ---

    def assign(
        self, seen: Sequence[Seen], to: str | None, reviewer: Reviewer, now: datetime, reason: str = ""
    ) -> BulkResult:
        """Hand incidents to a reviewer by login, or with None back to the queue.

        Raises InvalidRequest for a login that is no reviewer's: with it nobody would look at them.
        """
        if to is not None and to != reviewer.login:
            self._check_reviewer(to)
        return self._change(seen, "assign", reviewer, now, reason, lambda one: states.assigned(one, to))

    def _check_reviewer(self, login: str) -> None:
        account = accounts.find_login(self.database, login)
        if account is None or account.disabled_at is not None or Role.REVIEWER not in account.roles:
            raise InvalidRequest(
                f"'{login[:64]}'은(는) 보안 심사자의 아이디가 아닙니다.",
                f"'{login[:64]}' is not the login of a security reviewer.",
                code="not_a_reviewer",
                param="to",
            )

    def start(self, seen: Sequence[Seen], reviewer: Reviewer, now: datetime) -> BulkResult:
        """Take new incidents into review; those that nobody has become this reviewer's."""
        return self._change(seen, "start", reviewer, now, "", lambda one: states.started(one, reviewer.login))

    def resolve(
        self,
        seen: Sequence[Seen],
        resolution: Resolution,
        reviewer: Reviewer,
        now: datetime,
        reason: str = "",
    ) -> BulkResult:
        """Give a verdict on incidents."""
        return self._change(
            seen,
            "resolve",
            reviewer,
            now,
            reason,
            lambda one: states.resolved(one, resolution, reviewer.login),
        )

    def reopen(self, seen: Sequence[Seen], reviewer: Reviewer, now: datetime, reason: str) -> BulkResult:
        """Take a verdict back. Raises InvalidRequest without a reason."""
        return self._change(
            seen,
            "reopen",
            reviewer,
            now,
            reason_of(reason),
            lambda one: states.reopened(one, reviewer.login),
        )

    def _change(
        self,
        seen: Sequence[Seen],
        action: str,
        reviewer: Reviewer,
        now: datetime,
        reason: str,
        step: Callable[[Incident], Change | Refusal],
    ) -> BulkResult:
        if not 0 < len(seen) <= MOST_BULK:
            raise InvalidRequest(
                f"한 번에 1건에서 {MOST_BULK}건까지 처리할 수 있습니다.",
                f"One step takes 1 to {MOST_BULK} incidents.",
                code="invalid_bulk",
                param="incidents",
            )

        def decide(one: Incident) -> Change | Refusal:
            near = states.nearness(reviewer, one.person_id, one.department_id)
            if near is not None and states.keeps_out(near, self.rules):
                return near
            return step(one)

        event = AuditEvent(now, reviewer.actor, f"incident.{action}", reason=reason[:REASON_MOST])
        return incidents.change_incidents(self.database, seen, event, decide)

    # --- reveals ---

    def reveal(
        self,
        incident_id: str,
        what: RevealWhat,
        span: int | None,
        reviewer: Reviewer,
        now: datetime,
        reason: str,
    ) -> Reveal:
        """Open one found value, the whole text or the person for a while; or ask a second person to.

        It is in the access audit before anything is shown. Raises InvalidRequest without a reason or for a
        span that is not there, Conflict where no text is kept, Forbidden for what is too near.
        """
        reason = reason_of(reason)
        one = self.incident(incident_id)
        near = self.near(one, reviewer, now, "incident.reveal")
        self._check_revealed(incident_id, what, span, now)
        waits = what == "all" and self.rules.two_person_text
        made = Reveal(
            id=uuid4().hex,
            incident_id=incident_id,
            asked_by=reviewer.login,
            asked_at=now,
            reason=reason,
            what=what,
            span=span if what == "span" else None,
            state="asked" if waits else "open",
            decided_by=None,
            decided_at=None,
            until=None if waits else self._open_until(now),
        )
        details = {"reveal": made.id, "what": what, "span": made.span} | ({"near": near} if near else {})
        action = "incident.reveal_ask" if waits else "incident.reveal"
        event = AuditEvent(now, reviewer.actor, action, incident_id, reason, details=details)
        incident_content.add_reveal(self.database, made, event)
        return made

    def decide_reveal(
        self,
        reveal_id: str,
        agree: bool,  # noqa: FBT001 - the second person's answer
        reviewer: Reviewer,
        now: datetime,
        reason: str = "",
    ) -> Reveal:
        """Let a waiting look happen, or not, as the second person.

        Raises Forbidden for the one who asked, Conflict where somebody answered before.
        """
        asked = incident_content.find_reveal(self.database, reveal_id) or gone("열람 요청", "request")
        if asked.asked_by == reviewer.login:
            raise second_person()
        self.near(self.incident(asked.incident_id), reviewer, now, "incident.reveal")
        decided = replace(
            asked,
            state="open" if agree else "refused",
            decided_by=reviewer.login,
            decided_at=now,
            until=self._open_until(now) if agree else None,
        )
        action = "incident.reveal" if agree else "incident.reveal_refuse"
        details = {"reveal": asked.id, "what": asked.what, "span": asked.span, "asked_by": asked.asked_by}
        event = AuditEvent(now, reviewer.actor, action, asked.incident_id, reason, details=details)
        if asked.state != "asked" or not incident_content.decide_reveal(self.database, decided, event):
            raise changed_meanwhile()
        return decided

    def waiting_reveals(self) -> list[Reveal]:
        return incident_content.waiting_reveals(self.database)

    def _open_until(self, now: datetime) -> datetime:
        return now + timedelta(minutes=self.rules.reveal_minutes)

    def _check_revealed(self, incident_id: str, what: RevealWhat, span: int | None, now: datetime) -> None:
        if what == "person":
            return
        text = self._text(incident_content.content_of(self.database, incident_id, now).get("text"))
        if text is None:
            raise Conflict(
                "저장된 원문이 없습니다. 정책이 저장하지 않았거나 보존 기간이 끝나 파기되었습니다.",
                "No text is kept: policy did not store it, or its time is over and its key was destroyed.",
                code="no_text",
            )
        if what == "span" and (span is None or not 0 <= span < span_count(text)):
            raise InvalidRequest(
                "그런 번호의 탐지 구간이 없습니다.", "There is no finding of that number.", param="span"
            )

    def _shown(self, kept: Kept | None, mine: Sequence[Reveal]) -> ShownText:
        if kept is None:
            return ShownText("none")
        text = self._text(kept)
        if text is None:
            return ShownText("destroyed", stored_until=kept.until, destroyed_at=kept.destroyed_at)
        everything = any(reveal.what == "all" for reveal in mine)
        spans = {reveal.span for reveal in mine if reveal.what == "span"}
        parts = shown(text, lambda number: everything or number in spans)
        return ShownText("stored", parts, text.omitted, stored_until=kept.until)

    def _text(self, kept: Kept | None) -> StoredText | None:
        """Open a stored text; None where there is none any more, or nobody can read it."""
        if kept is None or kept.sealed is None:
            return None
        try:
            opened = self.vault.open(kept.sealed, f"{kept.incident_id}/{kept.kind}")
            return unpack(opened)
        except (VaultError, ValueError):
            return None

    def _note(self, kept: Kept | None) -> str | None:
        if kept is None or kept.sealed is None:
            return None
        try:
            return self.vault.open(kept.sealed, f"{kept.incident_id}/{kept.kind}").decode()
        except VaultError:
            return None

    # --- retention and replay ---

    def expire(self, now: datetime, actor: Actor = SYSTEM) -> int:
        """Destroy the keys of content that is past its day; return how many."""
        return incident_content.destroy_content(self.database, now, actor)

    def texts(
        self, now: datetime, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[tuple[str, StoredText]]:
        """Yield (incident, text) of every text that may still be opened; for trying rules on."""
        for kept in incident_content.texts_kept(self.database, since, until, now):
            text = self._text(kept)
            if text is not None:
                yield kept.incident_id, text


def _open_to(reviewer: Reviewer, reveals: Sequence[Reveal], now: datetime) -> list[Reveal]:
    return [one for one in reveals if one.asked_by == reviewer.login and one.is_open(now)]


def _person_open(mine: Sequence[Reveal]) -> bool:
    return any(reveal.what == "person" for reveal in mine)


class Parts(Protocol):
    """What a page or an address has at hand."""

    @property
    def config(self) -> Config: ...
    @property
    def database(self) -> Database: ...
    @property
    def keyring(self) -> Keyring: ...


def desk_of(parts: Parts) -> ReviewDesk:
    return ReviewDesk(parts.database, parts.keyring, parts.config.review)
