"""From a verdict to the rows of an incident, which the journal makes durable together with the receipt.

Only a request that was stopped, kept in house or flagged comes here; an honest one pays nothing. Pure: the
rows are values, gateway/store/incident_tables.py are their tables.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from billing.ledger import Row
from billing.periods import to_us
from filters.kinds import UNREAD, unread_type
from filters.verdict import Action
from gateway.incidents.content import pack, stored_text
from gateway.incidents.states import ReviewRules, State, due_at, severity_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from datetime import datetime

    from filters.inspector import Detection
    from filters.verdict import Verdict
    from gateway.domain import Call
    from gateway.incidents.states import Severity
    from gateway.vault import Vault

UNREAD_EVERYDAY: Final = frozenset(map(unread_type, ("image", "audio", "video", "file", "tokens")))
MOST_FINDINGS: Final = 200
"""Distinct findings that are written of one incident, the first ones: a register holds thousands."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What every incident is made with. `finding_key` made the hashes of its findings."""

    rules: ReviewRules
    vault: Vault
    finding_key_id: str
    finding_key: bytes = field(repr=False)

    def rows(self, call: Call, verdict: Verdict, model_id: str, detection: Detection) -> tuple[Row, ...]:
        """Return the rows of the incident that a request is; none for one that nobody needs to look at."""
        if not is_incident(verdict, self.rules):
            return ()
        seen = verdict.receipt
        unread = Counter(unread_type(part.kind) for part in detection.unread if UNREAD in seen.reasons)
        counts = {**unread, **seen.counts}
        action = weight(unread) if unread else verdict.action
        severity = severity_of(action, seen.counts, seen.reasons, seen.grade_before)
        facts = {
            "id": call.request_id,
            "origin": "filter",
            "action": verdict.action.word,
            "department_id": call.caller.department_id,
            "unit_path": list(call.caller.unit_path),
            "person_id": call.caller.person_id,
            "key_id": call.caller.key_id,
            "model_id": model_id,
            "surface": call.surface,
            "zone": seen.zone,
            "grade": seen.grade_before,
            "rules_version": seen.rules_version,
            "policy_version": seen.policy_version,
            "reasons": list(seen.reasons),
            "counts": counts,
            "findings": sum(counts.values()),
        }
        found = [*_unread(detection, unread), *seen.as_record()["findings"]]
        due = due_at(call.received_at, severity, self.rules.sla_days)
        rows = [
            Row("incident", facts | opening(call.received_at, severity, due)),
            *(
                Row("incident_finding", values)
                for values in finding_rows(call.request_id, call.received_at, found, self.finding_key_id)
            ),
        ]
        if self.rules.store_text and detection.parts:
            rows.append(self._text(call, verdict, detection))
        return tuple(rows)

    def _text(self, call: Call, verdict: Verdict, detection: Detection) -> Row:
        most = self.rules.text_most_characters
        kept = stored_text(detection, verdict.findings, self.finding_key, most)
        values = content_row(
            self.vault,
            call.request_id,
            "text",
            pack(kept),
            (call.received_at, call.received_at + timedelta(days=self.rules.text_days)),
        )
        return Row("incident_content", values | {"complete": kept.complete})


def weight(unread: Iterable[str]) -> Action:
    """Return what an unread request counts as: a picture is everyday, what hides from the filter is not."""
    return Action.MASK if UNREAD_EVERYDAY.issuperset(unread) else Action.ROUTE


def _unread(detection: Detection, unread: Container[str]) -> Iterator[dict[str, Any]]:
    """Yield the parts that nobody read, as a receipt records findings; the first place of each type."""
    for part in detection.unread:
        type_ = unread_type(part.kind)
        if type_ in unread:
            yield {
                "path": part.path,
                "type": type_,
                "label": "",
                "score": 1.0,
                "rule": UNREAD,
                "action": Action.BLOCK.word,
                "value_hash": "",
            }


def is_incident(verdict: Verdict, rules: ReviewRules) -> bool:
    """Whether a request is to be looked at: refused, kept in house, or masked and flagged by the rules.

    A verdict under simulation allows, so it makes none.
    """
    if verdict.action >= Action.ROUTE:
        return True
    if verdict.action is not Action.MASK:
        return False
    counts = verdict.receipt.counts
    many = 0 < rules.flag_findings <= sum(counts.values())
    return many or not rules.flag_types.isdisjoint(counts)


def opening(at: datetime, severity: Severity, due: datetime) -> dict[str, Any]:
    """Return the columns of an incident that nobody has worked on."""
    return {
        "at_us": to_us(at),
        "severity": int(severity),
        "state": State.NEW.value,
        "version": 1,
        "due_at_us": to_us(due),
        "changed_at_us": to_us(at),
    }


def finding_rows(
    incident_id: str, at: datetime, found: Iterable[Mapping[str, Any]], finding_key_id: str
) -> list[dict[str, Any]]:
    """Return the rows of distinct findings; `found` are findings as a receipt records them."""
    distinct: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in found:
        key = (one["type"], one["label"], one["rule"], one["action"], one["value_hash"])
        score = round(one["score"] * 1000)
        row = distinct.get(key)
        if row is not None:
            row["times"] += 1
            row["score"] = max(row["score"], score)
        elif len(distinct) < MOST_FINDINGS:
            distinct[key] = {
                "incident_id": incident_id,
                "place": len(distinct),
                "at_us": to_us(at),
                **{name: one[name] for name in ("type", "label", "rule", "action", "value_hash", "path")},
                "finding_key_id": finding_key_id,
                "score": score,
                "times": 1,
            }
    return list(distinct.values())


def content_row(
    vault: Vault, incident_id: str, kind: str, plain: bytes, kept: tuple[datetime, datetime]
) -> dict[str, Any]:
    """Return the row of sealed content; `kept` is from when until when."""
    sealed = vault.seal(plain, f"{incident_id}/{kind}")
    return {
        "incident_id": incident_id,
        "kind": kind,
        "stored_at_us": to_us(kept[0]),
        "until_us": to_us(kept[1]),
        "complete": True,
        "key_id": sealed.key_id,
        "wrapped_key": sealed.wrapped_key,
        "sealed": sealed.content,
    }
