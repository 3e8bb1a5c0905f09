"""Sends incidents to SIEM systems: notes what changed, delivers it, gives up after so many tries.

    round     note -> deliver, receiver by receiver; what a receiver does not take comes back later
    dead      what was given up stands in a file, one JSON line each, besides the outbox

A message says how the incident stands when it is sent; versions that it passed in between are said by the
same content. A receiver knows a second copy by incident and version.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from gateway import metrics
from gateway.config_review_export import SyslogTarget
from gateway.incidents import syslog
from gateway.incidents.export_formats import Exported, as_line, as_record
from gateway.incidents.records import IncidentFilter
from gateway.notices import webhooks
from gateway.notices.failures import DeliveryFailed
from gateway.pseudonyms import pseudonym
from gateway.store import incident_exports as outbox
from gateway.store.incidents import each_incident, find_incident, findings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from gateway.config_review_export import ExportSettings, Target, WebhookTarget
    from gateway.incidents.oversight import Period
    from gateway.incidents.records import Incident
    from gateway.keyring import Keyring
    from gateway.store.database import Database
    from gateway.store.incident_exports import Export

log = structlog.get_logger("haechi.incidents")

LONGEST_PAUSE: Final = timedelta(hours=1)
_GONE: Final = "no such incident"
PRODUCT_VERSION: Final = version("haechi")


@dataclass(frozen=True, slots=True)
class Exporter:
    database: Database
    keyring: Keyring
    settings: ExportSettings
    now: Callable[[], datetime]

    def round(self) -> int:
        """Note and deliver once; return how many versions were sent. Raises what SQLAlchemy raises."""
        sent = 0
        for target in self.settings.targets:
            outbox.note(self.database, target.name, target.least, self.now())
            sent += self.deliver(target)
        return sent

    def deliver(self, target: Target) -> int:
        """Send what is due and nobody else sends; return how many were sent."""
        due = outbox.due(self.database, target.name, self.now())
        if not due:
            return 0
        claimed = outbox.claim(self.database, due, self.now() + self._lease(target, len(due)))
        ready = [(export, self._exported(export)) for export in claimed]
        for export, exported in ready:
            if exported is None:
                outbox.mark_failed(self.database, export, _GONE, None)
        there = [(export, exported) for export, exported in ready if exported is not None]
        if isinstance(target, SyslogTarget):
            return self._send_together(target, there)
        return sum(self._post(target, export, exported) for export, exported in there)

    def _exported(self, export: Export) -> Exported | None:
        one = find_incident(self.database, export.incident_id)
        return None if one is None else exported(self.database, self.keyring, one)

    # --- ways ------------------------------------------------------------------------------------

    def _send_together(self, target: SyslogTarget, ready: Sequence[tuple[Export, Exported]]) -> int:
        messages = [
            syslog.Message(
                one.incident.changed_at,
                one.incident.severity,
                f"incident.{one.activity}",
                as_line(one, target.format, PRODUCT_VERSION),
            )
            for _, one in ready
        ]
        try:
            syslog.send(target, messages)
        except DeliveryFailed as failure:
            for export, one in ready:
                self._failed(export, one, failure)
            return 0
        self._sent([export for export, _ in ready])
        return len(ready)

    def _post(self, target: WebhookTarget, export: Export, one: Exported) -> bool:
        body = webhook_body(one, target.format)
        try:
            webhooks.post(target.hook, body, f"{export.incident_id}.{export.version}", self.now())
        except DeliveryFailed as failure:
            self._failed(export, one, failure)
            return False
        self._sent([export])
        return True

    def _lease(self, target: Target, number: int) -> timedelta:
        """Longer than sending can take: one conversation by syslog, one each by webhook."""
        if isinstance(target, SyslogTarget):
            return timedelta(seconds=10 * target.timeout_s)
        return timedelta(seconds=(number + 1) * 2 * target.hook.timeout_s)

    # --- what became of it -----------------------------------------------------------------------

    def _sent(self, exports: Sequence[Export]) -> None:
        outbox.mark_sent(self.database, exports, self.now())
        metrics.count(metrics.incident_exports, "sent", amount=len(exports))

    def _failed(self, export: Export, one: Exported, failure: DeliveryFailed) -> None:
        tries = export.tries + 1
        is_dead = failure.is_final or tries >= self.settings.tries
        if is_dead:
            self._keep(export, one, failure)
        next_try = None if is_dead else self.now() + self.pause(tries)
        outbox.mark_failed(self.database, export, failure.reason, next_try)
        log.warning(
            "incident_export_dead" if is_dead else "incident_not_exported",
            incident=export.incident_id,
            target=export.target,
            tries=tries,
            reason=failure.reason,
        )
        metrics.count(metrics.incident_exports, "dead" if is_dead else "failed")

    def _keep(self, export: Export, one: Exported, failure: DeliveryFailed) -> None:
        """Write what is given up to the dead-letter file, durably, before the outbox forgets it."""
        line = orjson.dumps(
            {
                "at": self.now().isoformat(),
                "target": export.target,
                "incident_id": export.incident_id,
                "version": export.version,
                "tries": export.tries + 1,
                "failure": failure.reason,
                "record": as_record(one),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        path = self.settings.dead_letters
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def pause(self, tries: int) -> timedelta:
        """Return the pause after so many tries: doubling, up to an hour, a quarter of it by chance."""
        plain = timedelta(seconds=self.settings.first_pause_s * 2 ** min(tries - 1, 20))
        return min(plain, LONGEST_PAUSE) * random.uniform(0.75, 1.0)  # noqa: S311 - spreads tries


def exported(database: Database, keyring: Keyring, one: Incident) -> Exported:
    """Return an incident as it may leave: with a pseudonym in the place of the person."""
    return Exported(one, findings_of(database, one.id), pseudonym(keyring, one.person_id))


def exported_in(database: Database, keyring: Keyring, period: Period) -> Iterator[Exported]:
    """Yield every incident of a period as it may leave, the oldest first."""
    for one in each_incident(database, IncidentFilter(since=period.start, until=period.end)):
        yield exported(database, keyring, one)


def webhook_body(one: Exported, form: str) -> bytes:
    """Return JSON in the shape of the Standard Webhooks specification; CEF as the text in `data`."""
    line = as_line(one, form, PRODUCT_VERSION)
    data = line.decode() if form == "cef" else orjson.loads(line)
    return orjson.dumps(
        {
            "type": f"incident.{one.activity}",
            "timestamp": one.incident.changed_at.isoformat(),
            "data": data,
        }
    )
