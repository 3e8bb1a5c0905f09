"""/api/incidents: what a reviewer's program can do with the session of the console, and what it cannot."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.incidents.states import ReviewRules
from gateway.permissions import Role
from tests.incidents.office import happen, prompt

RRN = "900101-1234568"
BLOCKED = f"주민등록번호 {RRN} 로 안내문을 써 주세요."


class Program:
    """A reviewer's script: the cookie of the console, and its token with every change."""

    def __init__(self, browser):
        self.client = browser.client
        self.token = self.client.get("/api/incidents/session").json()["csrf"]

    def get(self, path="", **query):
        return self.client.get(f"/api/incidents{path}", params=query)

    def post(self, path, body):
        return self.client.post(f"/api/incidents{path}", json=body, headers={"x-csrf-token": self.token})

    def seen(self, incident_id):
        return {"id": incident_id, "version": self.get(f"/{incident_id}").json()["version"]}


@pytest.fixture
def reviewer(site):
    return Program(site.visit("reviewer"))


@pytest.fixture
def second(site):
    site.make("second", Role.REVIEWER)
    return Program(site.visit("second"))


def stopped(site, text=BLOCKED, person="S1", department="CM"):
    rules = ReviewRules(store_text=True)
    now = datetime.now(UTC)
    return happen(
        *(site.database, prompt(text)),
        rules=rules,
        keys=site.parts.keyring,
        at=now,
        person=person,
        department=department,
    )


def test_the_queue_is_listed_by_its_filters_with_pseudonyms(site, reviewer):
    one, other = stopped(site), stopped(site, person="S2", department="IS")

    listed = reviewer.get(state="new", severity="high", department="CM", order="due").json()

    assert [found["id"] for found in listed["data"]] == [one]
    assert (listed["total"], listed["next_offset"]) == (1, None)
    assert listed["data"][0]["person"].startswith("p-")
    assert "S1" not in str(listed)
    first = reviewer.get(limit=1, order="-at").json()
    assert (first["data"][0]["id"], first["next_offset"]) == (other, 1)
    assert reviewer.get("/counts").json()["new"] == 2
    assert reviewer.get(order="-secret").status_code == 400
    assert reviewer.get(nonsense="1").status_code == 400
    assert "no-store" in reviewer.get().headers["cache-control"]


def test_a_verdict_goes_to_whoever_was_first(site, reviewer, second):
    one = stopped(site)
    seen = reviewer.seen(one)

    done = second.post("/resolve", {"incidents": [seen], "resolution": "true_positive"}).json()
    late = reviewer.post("/resolve", {"incidents": [seen], "resolution": "false_positive"}).json()

    assert done["done"][0]["resolved_by"] == "second"
    assert late["done"] == []
    assert late["conflicts"][0]["resolution"] == "true_positive"
    again = reviewer.post("/reopen", {"incidents": [reviewer.seen(one)], "reason": "다시 봄"}).json()
    assert again["done"][0]["state"] == "in_review"
    actions = [line["action"] for line in reviewer.get(f"/{one}/history").json()]
    assert actions == ["resolve", "reopen"]


def test_a_change_without_the_sessions_token_is_refused(site, reviewer):
    seen = reviewer.seen(stopped(site))
    answer = reviewer.client.post("/api/incidents/start", json={"incidents": [seen]})
    assert answer.status_code == 403


def test_a_value_is_shown_after_a_reason_and_who_it_is_after_another(site, reviewer):
    one = stopped(site)
    masked = reviewer.get(f"/{one}")
    assert RRN not in masked.text
    assert masked.json()["person_name"] is None
    assert reviewer.post(f"/{one}/reveal", {"what": "span", "span": 0, "reason": ""}).status_code == 400

    made = reviewer.post(f"/{one}/reveal", {"what": "span", "span": 0, "reason": "예시 번호인지"}).json()
    reviewer.post(f"/{one}/reveal", {"what": "person", "reason": "본인에게 확인"})

    assert made["state"] == "open"
    shown = reviewer.get(f"/{one}").json()
    assert RRN in str(shown["text"])
    assert shown["person_name"] == "김직원 (S1)"
    audit = site.visit("auditor").get("/console/audit").text
    assert "incident.reveal" in audit
    assert RRN not in audit


def test_nobody_reviews_an_incident_of_their_own(site, reviewer):
    own = stopped(site, person="S3", department="IS")
    for path in ("", "/history", "/similar"):
        answer = reviewer.get(f"/{own}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "own_incident")
    body = {"incidents": [{"id": own, "version": 1}], "resolution": "false_positive"}
    assert reviewer.post("/resolve", body).json()["refused"] == [{"id": own, "code": "own_incident"}]


def test_an_incident_of_the_bureau_above_is_told_as_near(site, reviewer):
    """The reviewer sits in IS, which answers to HJ; everybody belongs to SEOUL."""
    near = [reviewer.get(f"/{stopped(site, department=unit)}").json()["near"] for unit in ("HJ", "SEOUL")]
    assert near == ["own_department", None]


def test_an_exception_is_proposed_by_one_and_approved_by_another(site, reviewer, second):
    one = stopped(site)
    found = reviewer.get(f"/{one}").json()["found"][0]
    proposal = {
        "type": found["type"],
        "value_hash": found["value_hash"],
        "finding_key_id": found["finding_key_id"],
        "until": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
        "reason": "교육용 예시",
        "incident_id": one,
    }
    made = reviewer.post("/exceptions", proposal)
    assert made.status_code == 201
    at = f"/exceptions/{made.json()['id']}"
    body = {"version": 1, "reason": "확인"}

    alone = reviewer.post(f"{at}/approve", body)
    assert (alone.status_code, alone.json()["error"]["code"]) == (403, "second_person")
    assert second.post(f"{at}/approve", body).json()["in_force"]
    assert second.post(f"{at}/approve", body).status_code == 409
    assert reviewer.get(at).json()["decided_by"] == "second"
    assert reviewer.get("/exceptions", state="approved").json()["total"] == 1
    assert reviewer.post(f"{at}/revoke", {"version": 2}).json()["state"] == "revoked"


def test_staff_report_and_see_their_own_by_session(site):
    one, others = stopped(site), stopped(site, person="S2")
    staff = site.visit("staff")
    staff.get("/console/account")
    token = {"x-csrf-token": staff.hidden("csrf")}
    client = staff.client

    assert [found["id"] for found in client.get("/api/incidents/own").json()["data"]] == [one]
    assert client.get(f"/api/incidents/own/{one}").json()["findings"][0]["type"] == "KR_RRN"
    assert client.get(f"/api/incidents/own/{others}").status_code == 404
    body = {"request_id": one, "note": "예시 번호입니다"}
    assert client.post("/api/incidents/report", json=body).status_code == 403, "without the token"
    reported = client.post("/api/incidents/report", json=body, headers=token).json()
    assert reported["reported_at"] is not None
    wrong = client.post("/api/incidents/report", json={"request_id": "x"}, headers=token)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "request_id")
    assert client.get("/api/incidents").status_code == 403


def test_filters_are_saved_for_their_owner(site, reviewer, second):
    made = reviewer.post("/views", {"name": "급한 것", "query": "severity=critical"}).json()
    assert [view["name"] for view in reviewer.get("/views").json()] == ["급한 것"]
    assert second.get("/views").json() == []
    drop = reviewer.client.delete(
        f"/api/incidents/views/{made['id']}", headers={"x-csrf-token": reviewer.token}
    )
    assert drop.status_code == 204


def test_the_api_is_described(site):
    paths = site.client.get("/openapi.json").json()["paths"]
    for path in ("", "/counts", "/resolve", "/exceptions", "/report", "/own", "/{incident_id}/reveal"):
        described = paths[f"/api/incidents{path}"]
        assert all(operation["responses"] for operation in described.values())
