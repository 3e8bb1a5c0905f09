"""/api/incidents/oversight, precision, export, replay and evidence, by the session of a reviewer."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from gateway.console.session import csrf_token
from gateway.incidents.evidence_pack import check
from gateway.store.audit import AuditFilter, read_audit
from tests.store.test_filter_sums import RRN, receipt_of, store
from tests.store.test_incident_statistics import finding_of, incident_of, write

POLICY = {"policy_version": "haechi-default-2026.11"}


@pytest.fixture
def reviewed(site):
    at = datetime.now(UTC) - timedelta(minutes=5)
    store(
        site.database,
        receipt_of(1, at, action="block", findings=(RRN,), **POLICY),
        receipt_of(2, at, **POLICY),
    )
    write(
        site.database,
        [incident_of(1, at=at, resolution="true_positive"), incident_of(2, at=at)],
        [finding_of(1, at=at), finding_of(2, at=at)],
    )
    return site


def posted(site, path, body=None):
    browser = site.visit("reviewer")
    headers = {"x-csrf-token": csrf_token(site.parts, browser.token())}
    return browser.client.post(path, json=body, headers=headers)


def test_the_oversight_and_precision_are_told_at_once(reviewed):
    reviewer = reviewed.visit("reviewer")
    seen = reviewer.get("/api/incidents/oversight").json()
    assert (seen["totals"]["requests"], seen["totals"]["refused"], seen["coverage"]["ok"]) == (2, 1, True)
    people = [one["id"] for one in seen["repeats"] if one["kind"] == "person"]
    assert [one[:2] for one in people] == ["p-"]
    (rule,) = reviewer.get("/api/incidents/precision").json()["data"]
    assert (rule["true_positive"], rule["open"]) == (1, 1)
    assert reviewer.get("/api/incidents/oversight?from=2030-01-01&to=2020-01-01").status_code == 400


@pytest.mark.parametrize("form", ["csv", "json", "cef", "ocsf"])
def test_an_export_is_a_file_that_names_nobody_and_is_written_down(reviewed, form):
    answer = reviewed.visit("reviewer").get(f"/api/incidents/export?format={form}")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    assert "req-1" in answer.text
    assert ",S1," not in answer.text
    assert '"S1"' not in answer.text
    (event,) = read_audit(reviewed.database, AuditFilter(action="incident.export"))
    assert (event.actor, event.details["format"]) == ("reviewer", form)


def test_a_change_is_tried_on_the_past(reviewed):
    candidate = 'version = "milder"\n[external.types]\nKR_RRN = "mask"\n'
    answer = posted(reviewed, "/api/incidents/replay", {"candidate": candidate, "rules": True})
    report = answer.json()
    assert answer.status_code == 200, answer.text
    assert (report["policy"]["changed"], report["policy"]["true_positives_lost"]) == (1, 1)
    assert report["rules"]["not_replayed_reasons"] == {"no_text": 2}
    wrong = posted(reviewed, "/api/incidents/replay", {"candidate": 'version = "x"\n[outside]\n'})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_candidate")


def test_the_evidence_pack_is_downloaded_signed(reviewed):
    answer = posted(reviewed, "/api/incidents/evidence")
    assert answer.headers["content-type"] == "application/zip"
    assert check(answer.content).ok
    with zipfile.ZipFile(io.BytesIO(answer.content)) as pack:
        assert json.loads(pack.read("counts.json"))["totals"]["requests"] == 2


def test_who_is_no_reviewer_gets_none_of_it(reviewed):
    for login in ("finance", "staff", "administrator"):
        for path in ("oversight", "precision", "export"):
            assert reviewed.visit(login).get(f"/api/incidents/{path}").status_code == 403
