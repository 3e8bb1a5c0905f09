"""`haechi incidents …`: oversight, precision, replay, exports, weekly report and evidence, as an operator runs them."""

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from billing.store import open_engine
from tests.store.test_filter_sums import RRN, receipt_of, store
from tests.store.test_incident_statistics import finding_of, incident_of, write

PHONE = {
    "path": "messages[0].content",
    "type": "PHONE_NUMBER",
    "label": "",
    "score": 0.9,
    "rule": "phone",
    "action": "mask",
    "value_hash": "c" * 32,
}
CHANGE = """
version = "stricter"
[external.types]
PHONE_NUMBER = "block"
"""


@pytest.fixture
def reviewed(staffed):
    """Two days ago one request was blocked, wrongly as a reviewer said, and one masked."""
    engine = open_engine(f"sqlite:///{staffed}/haechi.db")
    at = datetime.now(UTC) - timedelta(days=2)
    policy = {"policy_version": "haechi-default-2026.11"}
    store(
        engine,
        receipt_of(1, at, action="block", findings=(RRN,), **policy),
        receipt_of(2, at, findings=(PHONE,), **policy),
        receipt_of(3, at, action="allow", findings=(), zone="", **policy),
    )
    write(engine, [incident_of(1, at=at, resolution="false_positive")], [finding_of(1, at=at)])
    engine.dispose()
    return staffed


def test_oversight_shows_figures_and_ends_with_0_while_everything_was_read(haechi, reviewed):
    record = haechi("incidents", "oversight", "--json").ok().json
    assert record["totals"]["requests"] == 3
    assert record["coverage"]["ok"]
    assert record["resolving"]["by_resolution"]["false_positive"] == 1
    assert "KR_RRN" in haechi("incidents", "oversight").ok().out


def test_oversight_ends_with_1_if_anything_left_unread(haechi, reviewed):
    engine = open_engine(f"sqlite:///{reviewed}/haechi.db")
    store(engine, receipt_of(9, datetime.now(UTC), unscanned=["messages[0].content[0]"]))
    engine.dispose()
    ran = haechi("incidents", "oversight", "--json")
    assert (ran.code, ran.json["coverage"]["unscanned_external"]) == (1, 1)


def test_precision_is_told_by_rule(haechi, reviewed):
    (rule,) = haechi("incidents", "precision", "--json").ok().json
    assert (rule["rule"], rule["false_positive"], rule["precision"]) == ("kr_rrn", 1, 0.0)
    assert haechi("incidents", "precision", "--csv").ok().out.startswith("\ufeffrule,type,verdicts")


def test_a_change_is_tried_on_the_past_and_what_cannot_be_is_said(haechi, reviewed):
    change = reviewed / "change.toml"
    change.write_text(CHANGE)
    report = haechi("incidents", "replay", change, "--json").ok().json["policy"]
    assert (report["requests"], report["replayed"], report["changed"]) == (3, 2, 1)
    assert report["not_replayed_reasons"] == {"zone_unknown": 1}
    assert report["transitions"] == [
        {"before": "block", "after": "block", "number": 1},
        {"before": "mask", "after": "block", "number": 1},
    ]
    assert haechi("policy", "replay", change, "--json").ok().json["policy"] == report
    shown = haechi("incidents", "replay", change).ok().out
    assert "3건 중 2건 재현, 1건이 달라집니다" in shown


def test_rules_are_tried_on_stored_texts_and_the_rest_is_counted(haechi, reviewed):
    change = reviewed / "change.toml"
    change.write_text(CHANGE)
    report = haechi("incidents", "replay", change, "--rules", "--json").ok().json["rules"]
    assert (report["replayed"], report["not_replayed_reasons"]) == (0, {"no_text": 1})


def test_a_change_with_a_mistake_is_refused(haechi, reviewed):
    change = reviewed / "change.toml"
    change.write_text('version = "x"\n[outside]\n')
    assert haechi("incidents", "replay", change).code == 4
    change.write_text(CHANGE)
    assert haechi("incidents", "replay", change, "--version", "other").code == 2


def test_incidents_are_exported_in_each_format_without_who_it_was(haechi, reviewed):
    table = haechi("incidents", "export", "--format", "csv").ok().out
    (row,) = csv.DictReader(io.StringIO(table.removeprefix("\ufeff")))
    assert (row["id"], row["resolution"], row["person"][:2]) == ("req-1", "false_positive", "p-")
    assert haechi("incidents", "export", "--format", "ocsf").ok().json["class_uid"] == 2006
    assert haechi("incidents", "export", "--format", "cef").ok().out.startswith("CEF:0|Haechi|")
    haechi("incidents", "export", "--format", "json", "--out", "incidents.jsonl").ok()
    assert '"S1"' not in (reviewed / "incidents.jsonl").read_text()
    events = haechi("audit", "export", "--action", "incident.export").ok().out
    assert events.count("incident.export") == 4


def test_deliveries_are_empty_where_nothing_is_sent(haechi, reviewed):
    assert haechi("incidents", "deliveries", "--json").ok().json == {"deliveries": [], "dead": []}
    assert haechi("incidents", "deliveries", "--since", "2026-11-01", "--target", "siem").code == 2


def test_the_weekly_report_is_printed(haechi, reviewed):
    assert "주간 보안 보고" in haechi("incidents", "weekly").ok().out
    assert haechi("incidents", "weekly", "--day", "2026-11-23", "--json").ok().json["week"] == "2026-W47"
    assert haechi("incidents", "weekly", "--send").code == 3


def test_evidence_is_made_and_verified_without_a_database(haechi, reviewed):
    made = haechi(
        "incidents", "evidence", "--from", "2026-01-01", "--to", "2027-12-31", "--out", "pack.zip"
    ).ok()
    key = haechi("incidents", "evidence-key").ok().out.strip()
    assert key in made.out
    assert haechi("incidents", "verify-evidence", "pack.zip", "--public-key", key).ok()
    found = haechi("incidents", "verify-evidence", "pack.zip", "--json").ok().json
    assert (found["ok"], found["public_key"], found["from"]) == (True, key, "2026-01-01")
    with zipfile.ZipFile("pack.zip") as pack:
        assert "ledger.json" in pack.namelist()
    assert haechi("incidents", "verify-evidence", "pack.zip", "--public-key", "00" * 32).code == 1
    assert haechi("incidents", "compare-evidence", "pack.zip").ok().out.startswith("같음/same")
    assert all(haechi("incidents", "compare-evidence", "pack.zip", "--json").ok().json["same"].values())
    with zipfile.ZipFile("empty.zip", "w"):
        pass
    assert haechi("incidents", "compare-evidence", "empty.zip").code == 1


def test_a_day_that_is_none_is_refused(haechi, reviewed):
    assert haechi("incidents", "oversight", "--from", "yesterday").code == 2
    assert haechi("incidents", "oversight", "--from", "2026-12-01", "--to", "2026-11-01").code == 2
