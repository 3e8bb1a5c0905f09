"""Rules of the review's pages that need no browser: what an address asks for, who may do what, what is said."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from billing.periods import to_us
from gateway.console.review.oversight import MOST_DAYS, STEPS, heat_map, period_asked
from gateway.console.review.shared import seen_of
from gateway.console.review.words import time_left
from gateway.incidents.oversight import Cell
from gateway.incidents.records import Seen
from gateway.permissions import Role
from gateway.store.audit import AuditFilter, read_audit
from tests.console.conftest import opened_site
from tests.store.oversight_load import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.console.conftest import Site

TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def queue(furnished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console with 200 incidents, of which each fifth waits for a verdict."""
    with opened_site(furnished, tmp_path_factory.mktemp("queue")) as site:
        fill(site.database, receipts=200, incidents=200, last_us=to_us(datetime.now(UTC)), days=20)
        site.make("second", Role.REVIEWER)
        yield site


def test_the_queue_shows_what_waits_and_its_address_shows_the_rest(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    assert "전체 40건" in reviewer.get("/console/review").text
    assert "전체 200건" in reviewer.get("/console/review?state=all").text
    assert "전체 10건" in reviewer.get("/console/review?severity=low").text
    assert "전체 40건" in reviewer.get("/console/review?severity=nonsense&sort=nonsense&page=-4").text
    assert "조건에 맞는 것이 없습니다" in reviewer.get("/console/review?q=no-such-rule").text


def test_the_whole_filtered_queue_is_exported(queue: Site) -> None:
    answer = queue.visit("reviewer").get("/console/review?state=all&severity=high&format=csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 51
    assert {row[2] for row in rows[1:]} == {"high"}
    (told,) = read_audit(queue.database, AuditFilter(action="incident.export"))
    assert told.actor == "reviewer"
    assert told.details == {"format": "csv", "filters": {"state": "all", "severity": "high"}}


def test_a_filter_is_kept_under_a_name_and_is_nobody_elses(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    reviewer.get("/console/review?severity=high&page=2")
    answer = reviewer.post("/console/review/views", {"name": "급한 것", "query": "severity=high"})
    assert answer.headers["location"] == "/console/review?severity=high&notice=view-kept"
    assert "급한 것" in reviewer.get("/console/review").text
    assert "급한 것" not in queue.visit("second").get("/console/review").text


def test_a_filter_that_leads_elsewhere_is_not_kept(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    reviewer.get("/console/review?severity=high")
    for query in ("", "a=1\r\nset-cookie: x=1"):
        answer = reviewer.post("/console/review/views", {"name": "나쁜 것", "query": query})
        assert answer.headers["location"].endswith("notice=view-unnamed")
    assert "나쁜 것" not in reviewer.get("/console/review").text


def test_several_are_judged_at_once_and_those_that_moved_are_named(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    reviewer.get("/console/review")
    chosen = {"step": "true_positive", "chosen": ["r8:1", "r9:1"], "back": "/console/review?severity=low"}
    answer = reviewer.post("/console/review/bulk", chosen)
    assert answer.headers["location"] == "/console/review?severity=low&notice=incidents-changed"
    reviewer.get("/console/review")
    answer = reviewer.post("/console/review/bulk", chosen | {"chosen": ["r18:1", "r9:1", "none:1"]})
    assert answer.status_code == 409
    assert "1건을 처리했습니다" in answer.text
    assert "2건은 처리하지 않았습니다" in answer.text
    assert "지금 담당: reviewer" in answer.text


@pytest.mark.parametrize("chosen", [[], ["nonsense"], ["r28:-1"], ["r28:99999999999"], [":1"]])
def test_nothing_is_done_with_what_is_no_incident(queue: Site, chosen: list[str]) -> None:
    reviewer = queue.visit("reviewer")
    reviewer.get("/console/review")
    answer = reviewer.post("/console/review/bulk", {"step": "true_positive", "chosen": chosen})
    assert answer.headers["location"] == "/console/review?notice=nothing-chosen"


def test_a_way_back_to_elsewhere_is_not_taken(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    reviewer.get("/console/review")
    answer = reviewer.post("/console/review/bulk", {"chosen": [], "back": "https://evil.example/console"})
    assert answer.headers["location"].startswith("/console?")


def test_an_incident_is_handed_to_another_reviewer_and_to_nobody_else(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    page = reviewer.get("/console/review?state=new").text
    chosen = re.findall(r'name="chosen" value="([^"]+)"', page)[0]
    assert 'value="to:second"' in page
    assert 'value="to:reviewer"' not in page
    refused = reviewer.post("/console/review/bulk", {"step": "to:staff", "chosen": [chosen]})
    assert refused.status_code == 400
    incident_id, _, version = chosen.partition(":")
    assert 'value="to:second"' in reviewer.get(f"/console/review/incidents/{incident_id}").text
    answer = reviewer.post(
        f"/console/review/incidents/{incident_id}/step", {"step": "to:second", "version": version}
    )
    assert answer.status_code == 303
    assert incident_id in queue.visit("second").get("/console/review?assignee=me").text


def test_a_step_that_there_is_not_changes_nothing(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    reviewer.get("/console/review")
    assert reviewer.post("/console/review/bulk", {"step": "delete", "chosen": ["r28:1"]}).status_code == 400


def test_who_looked_is_in_the_trail_and_a_person_is_a_pseudonym_until_opened(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    page = reviewer.get("/console/review/incidents/r38").text
    assert "S38<" not in page
    answer = reviewer.post("/console/review/incidents/r38/reveal", {"what": "person", "person-reason": ""})
    assert answer.status_code == 400
    reviewer.get("/console/review/incidents/r38")
    reason = {"what": "person", "person-reason": "당사자에게 물어야 함"}
    assert reviewer.post("/console/review/incidents/r38/reveal", reason).status_code == 303
    assert "(S38)" in reviewer.get("/console/review/incidents/r38").text
    queue_second = queue.visit("second")
    assert "(S38)" not in queue_second.get("/console/review/incidents/r38").text
    seen = read_audit(queue.database, AuditFilter(subject="r38"), limit=50)
    assert {(one.actor, one.action) for one in seen} >= {
        ("reviewer", "incident.view"),
        ("reviewer", "incident.reveal"),
        ("second", "incident.view"),
    }


def test_staff_see_their_own_only(queue: Site) -> None:
    staff = queue.visit("staff")
    assert "전체 1건" in staff.get("/console/incidents").text
    assert staff.get("/console/incidents/r1").status_code == 200
    assert staff.get("/console/incidents/r2").status_code == 404
    assert queue.visit("manager").get("/console/incidents/r1").status_code == 404


def test_a_text_is_checked_and_is_on_no_other_page(queue: Site) -> None:
    staff = queue.visit("staff")
    staff.get("/console/check")
    answer = staff.post("/console/check", {"text": "번호는 900101-1234568 입니다."})
    assert answer.status_code == 200
    assert "그대로 보내면 막힙니다" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    masked = answer.text.split('id="masked-text"')[1].split("</pre>")[0]
    assert "900101-1234568" not in masked
    assert staff.post("/console/check", {"text": " "}).status_code == 400
    assert "900101" not in staff.get("/console/check").text


def test_a_candidate_with_a_mistake_comes_back_with_it(queue: Site) -> None:
    reviewer = queue.visit("reviewer")
    for candidate, said in (
        ("= 1", "TOML"),
        ("[[filter.policies]]\nversion = 'x'\nnonsense = 1", "쓸 수 없는"),
        ("[filter]", "정책이 없습니다"),
    ):
        reviewer.get("/console/review/replay")
        answer = reviewer.post("/console/review/replay", {"candidate": candidate, "what": "policy"})
        assert answer.status_code == 400
        assert said in answer.text


# --- pure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "first", "last"),
    [
        ({}, date(2026, 10, 22), TODAY),
        ({"from": "2026-11-01", "to": "2026-11-03"}, date(2026, 11, 1), date(2026, 11, 3)),
        ({"from": "2026-11-09", "to": "2026-11-03"}, date(2026, 11, 3), date(2026, 11, 3)),
        ({"from": "x", "to": "2030-01-01"}, date(2026, 10, 22), TODAY),
        ({"from": "1990-01-01"}, TODAY - timedelta(days=MOST_DAYS - 1), TODAY),
    ],
)
def test_a_period_is_what_was_asked_for_as_far_as_it_makes_sense(
    address: dict[str, str], first: date, last: date
) -> None:
    period = period_asked(address, TODAY)
    assert (period.first, period.last) == (first, last)


def test_the_heat_map_has_the_busiest_first_and_its_darkest_where_most_is() -> None:
    cells = [Cell("a", "PERSON", 5, 4), Cell("b", "PERSON", 90, 80), Cell("b", "KR_RRN", 1, 1)]
    laid = heat_map(cells)
    assert laid.types == ("PERSON", "KR_RRN")
    assert laid.rows == (("b", ((80, STEPS), (1, 1))), ("a", ((4, 1), (0, 0))))
    assert heat_map([]).rows == ()


@pytest.mark.parametrize(
    ("due", "text", "days"),
    [
        (datetime(2026, 11, 20, 9, tzinfo=UTC), "오늘까지", None),
        (datetime(2026, 11, 24, 9, tzinfo=UTC), "근무일 %(days)s일 남음", 2),
        (datetime(2026, 11, 20, 1, tzinfo=UTC), "오늘 기한이 지남", None),
        (datetime(2026, 11, 17, 9, tzinfo=UTC), "근무일 %(days)s일 지남", 3),
    ],
)
def test_time_is_told_in_working_days(due: datetime, text: str, days: int | None) -> None:
    said = time_left(due, datetime(2026, 11, 20, 3, tzinfo=UTC))  # a Friday, noon in Seoul
    assert (said.text, said.facts.get("days")) == (text, days)


def test_a_row_names_an_incident_and_the_version_that_was_seen() -> None:
    assert seen_of("01a2-7:3") == Seen("01a2-7", 3)
    assert seen_of("01a2-7") is None
