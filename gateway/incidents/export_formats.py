"""An incident as other systems take it: CSV, JSON, CEF and OCSF. Pure.

Nothing here holds a text, a value or a name: types, rules, counts, codes of units, and the person under a
pseudonym. Sources: ArcSight Common Event Format, revision 25; OCSF 1.8.0, class Data Security Finding
(https://schema.ocsf.io/1.8.0/classes/data_security_finding).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from filters import spans
from filters.kinds import UNREAD, UNREAD_KINDS
from gateway.incidents.states import Resolution, Severity, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gateway.incidents.records import FoundValue, Incident

FORMATS: Final = ("csv", "json", "cef", "ocsf")
OCSF_VERSION: Final = "1.8.0"
_DATA_SECURITY_FINDING: Final = 2006
_FINDINGS: Final = 2


@dataclass(frozen=True, slots=True)
class Exported:
    """An incident with its distinct findings and the pseudonym of the person who sent the request."""

    incident: Incident
    findings: Sequence[FoundValue]
    person: str

    @property
    def rules(self) -> list[str]:
        return sorted({found.rule for found in self.findings})

    @property
    def activity(self) -> str:
        """`create`, `update` or `close`: how the incident stands, for those who only hear of changes."""
        if self.incident.state is State.RESOLVED:
            return "close"
        return "create" if self.incident.version == 1 else "update"


# --- JSON and CSV ----------------------------------------------------------------------------------


def as_record(one: Exported) -> dict[str, Any]:
    """Return it as plain JSON values; instants are ISO 8601 in UTC."""
    incident = one.incident
    return {
        "id": incident.id,
        "at": incident.at.isoformat(),
        "state": incident.state.value,
        "resolution": None if incident.resolution is None else incident.resolution.value,
        "severity": incident.severity.word,
        "action": incident.action,
        "origin": incident.origin,
        "department_id": incident.department_id,
        "unit_path": list(incident.unit_path),
        "person": one.person,
        "model_id": incident.model_id,
        "surface": incident.surface,
        "zone": incident.zone,
        "grade": incident.grade,
        "counts": dict(incident.counts),
        "findings": incident.findings,
        "rules": one.rules,
        "reasons": list(incident.reasons),
        "rules_version": incident.rules_version,
        "policy_version": incident.policy_version,
        "version": incident.version,
        "due_at": incident.due_at.isoformat(),
        "changed_at": incident.changed_at.isoformat(),
        "resolved_at": _iso(incident.resolved_at),
        "reported_at": _iso(incident.reported_at),
    }


def csv_header() -> tuple[str, ...]:
    return _COLUMNS


def csv_row(one: Exported) -> tuple[object, ...]:
    """Return the cells below `csv_header`; lists are joined by blanks, counts written `TYPE=2`."""
    record = as_record(one)
    record["counts"] = " ".join(f"{name}={number}" for name, number in sorted(record["counts"].items()))
    for name in ("unit_path", "rules", "reasons"):
        record[name] = " ".join(record[name])
    return tuple("" if record[name] is None else record[name] for name in _COLUMNS)


_COLUMNS: Final = (
    "id",
    "at",
    "state",
    "resolution",
    "severity",
    "action",
    "origin",
    "department_id",
    "unit_path",
    "person",
    "model_id",
    "surface",
    "zone",
    "grade",
    "counts",
    "findings",
    "rules",
    "reasons",
    "rules_version",
    "policy_version",
    "version",
    "due_at",
    "changed_at",
    "resolved_at",
    "reported_at",
)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


# --- CEF -------------------------------------------------------------------------------------------

_CEF_SEVERITY: Final[Mapping[Severity, int]] = {
    Severity.LOW: 3,
    Severity.MEDIUM: 5,
    Severity.HIGH: 7,
    Severity.CRITICAL: 10,
}
_CEF_NAMES: Final = {
    "allow": "Sensitive data reported",
    "mask": "Sensitive data masked",
    "route": "Sensitive data kept in house",
    "block": "Sensitive data blocked",
}
_UNREAD: Final = "Uninspectable content blocked"


def _name(incident: Incident) -> str:
    return _UNREAD if UNREAD in incident.reasons else _CEF_NAMES[incident.action]


def as_cef(one: Exported, product_version: str) -> str:
    """Return one line of CEF, ASCII only: what else an id holds is written as question marks."""
    incident = one.incident
    header = (
        "CEF:0",
        "Haechi",
        "Haechi",
        product_version,
        f"incident.{one.activity}",
        _name(incident),
        _CEF_SEVERITY[incident.severity],
    )
    values: list[tuple[str, object]] = [
        ("rt", _milliseconds(incident.changed_at)),
        ("start", _milliseconds(incident.at)),
        ("externalId", incident.id),
        ("cat", "data-security"),
        ("act", incident.action),
        ("outcome", incident.resolution.value if incident.resolution is not None else incident.state.value),
        ("app", incident.surface),
        ("suser", one.person),
        ("cn1", incident.findings),
        ("cn1Label", "findings"),
        ("cn2", incident.version),
        ("cn2Label", "incidentVersion"),
    ]
    texts = (
        ("types", " ".join(sorted(incident.counts))),
        ("department", incident.department_id),
        ("model", incident.model_id),
        ("policyVersion", incident.policy_version),
        ("rulesVersion", incident.rules_version),
        ("rules", " ".join(one.rules)),
    )
    for place, (label, text) in enumerate(texts, start=1):
        values += [(f"cs{place}", text), (f"cs{place}Label", label)]
    extension = " ".join(f"{key}={_cef_value(value)}" for key, value in values if value != "")
    return "|".join([str(header[0]), *map(_cef_header, header[1:])]) + "|" + extension


def _cef_header(value: object) -> str:
    return _plain(value).replace("\\", "\\\\").replace("|", "\\|")


def _cef_value(value: object) -> str:
    return _plain(value).replace("\\", "\\\\").replace("=", "\\=")


def _plain(value: object) -> str:
    """Return one line of printable ASCII: receivers split at line ends, and guess at character sets."""
    one_line = re.sub(r"\s+", " ", str(value))
    return "".join(c if " " <= c <= "~" else "?" for c in one_line)


# --- OCSF ------------------------------------------------------------------------------------------

_ACTIVITIES: Final = {"create": (1, "Create"), "update": (2, "Update"), "close": (3, "Close")}
_OCSF_SEVERITY: Final[Mapping[Severity, int]] = {
    Severity.LOW: 2,
    Severity.MEDIUM: 3,
    Severity.HIGH: 4,
    Severity.CRITICAL: 5,
}
_STATUS: Final = {State.NEW: (1, "New"), State.IN_REVIEW: (2, "In Progress"), State.RESOLVED: (4, "Resolved")}
_SUPPRESSED: Final = (3, "Suppressed")
_VERDICTS: Final = {
    Resolution.FALSE_POSITIVE: (1, "False Positive"),
    Resolution.TRUE_POSITIVE: (2, "True Positive"),
    Resolution.EXCEPTION: (5, "Benign"),
    Resolution.ESCALATED: (8, "Security Risk"),
}
_CONTROL: Final = {
    "allow": (1, "Allowed", 1, "Allowed"),
    "mask": (1, "Allowed", 99, "Masked"),
    "route": (1, "Allowed", 99, "Kept in house"),
    "block": (2, "Denied", 2, "Blocked"),
}
_GOVERNMENTAL: Final = frozenset(
    {
        spans.KR_RRN,
        spans.KR_FRN,
        spans.KR_PASSPORT,
        spans.KR_DRIVER_LICENSE,
        spans.KR_BRN,
        spans.KR_CORP_NO,
        spans.KR_HEALTH_INSURANCE,
        spans.US_SSN,
        spans.UK_NINO,
        spans.SECURITY_MARKING,
    }
)
_FINANCIAL: Final = frozenset({spans.CREDIT_CARD, spans.KR_BANK_ACCOUNT, spans.IBAN_CODE})
_SECURITY: Final = frozenset({spans.SECRET, spans.IP_ADDRESS})


def as_ocsf(one: Exported, product_version: str) -> dict[str, Any]:
    """Return an event of class Data Security Finding with the profiles incident and security_control."""
    incident = one.incident
    activity_id, activity = _ACTIVITIES[one.activity]
    status_id, status = _STATUS[incident.state]
    if incident.resolution is Resolution.FALSE_POSITIVE:
        status_id, status = _SUPPRESSED
    action_id, action, disposition_id, disposition = _CONTROL[incident.action]
    event: dict[str, Any] = {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": _FINDINGS,
        "category_name": "Findings",
        "class_uid": _DATA_SECURITY_FINDING,
        "class_name": "Data Security Finding",
        "type_uid": _DATA_SECURITY_FINDING * 100 + activity_id,
        "type_name": f"Data Security Finding: {activity}",
        "time": _milliseconds(incident.changed_at),
        "start_time": _milliseconds(incident.at),
        "severity_id": _OCSF_SEVERITY[incident.severity],
        "severity": incident.severity.word.capitalize(),
        "status_id": status_id,
        "status": status,
        "action_id": action_id,
        "action": action,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "is_alert": activity_id == 1,
        "metadata": _metadata(one, product_version),
        "finding_info": _finding_info(one),
        "data_security": _data_security(one),
        "actor": {"user": {"uid": one.person, "groups": [{"uid": incident.department_id}]}},
        "resources": [{"uid": incident.model_id, "type": "AI model"}],
        "unmapped": {
            "zone": incident.zone,
            "grade": incident.grade,
            "surface": incident.surface,
            "origin": incident.origin,
            "reasons": list(incident.reasons),
            "counts": dict(incident.counts),
            "rules_version": incident.rules_version,
            "unit_path": list(incident.unit_path),
            "due_at": incident.due_at.isoformat(),
        },
    }
    if incident.resolution is not None:
        event["verdict_id"], event["verdict"] = _VERDICTS[incident.resolution]
    return event


def _metadata(one: Exported, product_version: str) -> dict[str, Any]:
    return {
        "version": OCSF_VERSION,
        "profiles": ["incident", "security_control"],
        "uid": f"{one.incident.id}.{one.incident.version}",
        "product": {"name": "Haechi", "vendor_name": "Haechi", "version": product_version},
        "log_name": "haechi.incidents",
    }


def _finding_info(one: Exported) -> dict[str, Any]:
    incident = one.incident
    return {
        "uid": incident.id,
        "title": _name(incident),
        "types": sorted(incident.counts),
        "created_time": _milliseconds(incident.at),
        "modified_time": _milliseconds(incident.changed_at),
        "analytic": {"type_id": 1, "type": "Rule", "name": " ".join(one.rules) or "report"},
    }


def _data_security(one: Exported) -> dict[str, Any]:
    incident = one.incident
    category_id, category = category_of(incident.counts)
    return {
        "category_id": category_id,
        "category": category,
        "data_lifecycle_state_id": 2,
        "data_lifecycle_state": "Data in-Transit",
        "detection_system_id": 2,
        "detection_system": "DLP Gateway",
        "detection_pattern": " ".join(one.rules),
        "policy": {"name": "haechi", "uid": incident.policy_version, "version": incident.policy_version},
    }


def category_of(counts: Mapping[str, int]) -> tuple[int, str]:
    """Return OCSF's category of what was found; several kinds are `Other`, as the schema has it."""
    kinds = {_kind_of(type_) for type_ in counts}
    if not kinds:
        return 0, "Unknown"
    return kinds.pop() if len(kinds) == 1 else (99, "Other")


def _kind_of(type_: str) -> tuple[int, str]:
    if type_ in UNREAD_KINDS:
        return 0, "Unknown"
    if type_ in _GOVERNMENTAL:
        return 2, "Governmental"
    if type_ in _FINANCIAL:
        return 3, "Financial"
    return (6, "Security") if type_ in _SECURITY else (1, "Personal")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def as_line(one: Exported, form: str, product_version: str) -> bytes:
    """Return one line in `json`, `cef` or `ocsf`, without its end; ASCII only for receivers of syslog."""
    if form == "cef":
        return as_cef(one, product_version).encode("ascii")
    record = as_record(one) if form == "json" else as_ocsf(one, product_version)
    return _ascii_json(record)


def _ascii_json(record: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(record).decode()
    return re.sub(r"[^\x20-\x7e]", _escaped, text).encode("ascii")


def _escaped(character: re.Match[str]) -> str:
    units = character[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
