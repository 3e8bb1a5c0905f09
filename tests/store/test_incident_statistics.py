from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from billing.periods import to_us
from billing.store import open_engine
from filters.verdict import Action
from gateway.incidents.oversight import Period, Totals
from gateway.incidents.precision import RulePrecision
from gateway.incidents.states import Resolution
from gateway.store import filter_sums, incident_sums
from gateway.store.database import migrate
from gateway.store.incident_statistics import overview, past_requests, precision_by_rule
from gateway.store.incident_tables import incident, incident_finding
from tests.store.oversight_load import fill
from tests.store.test_filter_sums import RRN, receipt_of, store

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
WEEK = Period.last_days(7, date(2026, 11, 22))


def incident_of(number, *, at=NOW, resolution=None, hours=1, person="S1", department="CM", **changes):
    done = {} if resolution is None else {"resolved_at_us": to_us(at + timedelta(hours=hours)), "version": 2}
    return {
        "id": f"req-{number}",
        "at_us": to_us(at),
        "origin": "filter",
        "action": "block",
        "severity": 3,
        "department_id": department,
        "unit_path": ["SEOUL", department],
        "person_id": person,
        "key_id": "k",
        "model_id": "gpt",
        "surface": "chat",
        "zone": "external",
        "grade": "S",
        "rules_version": "r1",
        "policy_version": "p1",
        "reasons": [],
        "counts": {"KR_RRN": 1},
        "findings": 1,
        "state": "new" if resolution is None else "resolved",
        "resolution": resolution,
        "version": 1,
        "due_at_us": to_us(at + timedelta(hours=5)),
        "changed_at_us": to_us(at),
        "resolved_at_us": None,
        **done,
        **changes,
    }


def finding_of(number, *, at=NOW, rule="kr_rrn", of="KR_RRN", place=0, value="v"):
    return {
        "incident_id": f"req-{number}",
        "place": place,
        "at_us": to_us(at),
        "type": of,
        "label": "",
        "rule": rule,
        "action": "block",
        "value_hash": value,
        "finding_key_id": "f1",
        "path": "messages[0].content",
        "score": 900,
        "times": 1,
    }


def write(engine, incidents, findings=()):
    with engine.begin() as connection:
        connection.execute(insert(incident), list(incidents))
        if findings:
            connection.execute(insert(incident_finding), list(findings))


def seen(engine, departments=None):
    filter_sums.bring_up_to_date(engine, NOW)
    incident_sums.bring_up_to_date(engine)
    return overview(engine, WEEK, NOW, departments)


def test_the_oversight_of_nothing_is_all_zeros(engine):
    shown = seen(engine)
    assert shown.totals == Totals()
    assert shown.coverage.ok
    assert (shown.resolving.opened, shown.resolving.median_hours) == (0, None)
    assert [day.day for day in shown.days] == list(WEEK.days)


def test_requests_are_shown_by_day_department_type_and_rule(engine):
    yesterday = NOW - timedelta(days=1)
    store(
        engine,
        receipt_of(1, action="block", findings=(RRN, RRN)),
        receipt_of(2, yesterday),
        receipt_of(3, yesterday, department_id="IS"),
        receipt_of(4, action="route", zone="in_house", findings=()),
        receipt_of(5, NOW - timedelta(days=40)),
    )
    shown = seen(engine)
    assert shown.totals == Totals(requests=4, refused=1, masked=2, kept_inside=1, findings=4)
    assert [day.totals.requests for day in shown.days] == [0, 0, 0, 0, 0, 2, 2]
    assert [(c.department_id, c.type, c.findings) for c in shown.heat] == [
        ("CM", "KR_RRN", 2),
        ("CM", "PERSON", 1),
        ("IS", "PERSON", 1),
    ]
    assert [(r.rule, r.findings, r.requests) for r in shown.rules] == [("kr_rrn", 2, 1), ("person", 2, 2)]
    assert seen(engine, ["IS"]).totals == Totals(requests=1, masked=1, findings=1)


def test_what_left_the_institution_unread_fails_the_coverage(engine):
    store(
        engine,
        receipt_of(1, unscanned=["messages[0].content[0]"], zone="in_house"),
        receipt_of(2, unscanned=["messages[0].content[0]"]),
    )
    coverage = seen(engine).coverage
    assert (coverage.requests, coverage.unscanned_external, coverage.unscanned_in_house) == (2, 1, 1)
    assert not coverage.ok


def test_incidents_are_counted_by_verdict_and_by_how_long_they_took(engine):
    write(
        engine,
        [
            incident_of(1, at=NOW - timedelta(days=2), resolution="true_positive", hours=1),
            incident_of(2, at=NOW - timedelta(days=2), resolution="false_positive", hours=3),
            incident_of(3, at=NOW - timedelta(days=2), resolution="escalated", hours=30, severity=4),
            incident_of(4, at=NOW - timedelta(days=2)),
            incident_of(5, at=NOW, department="IS"),
        ],
    )
    shown = seen(engine).resolving
    assert (shown.opened, shown.resolved, shown.open_now, shown.overdue_now) == (5, 3, 2, 1)
    assert shown.resolved_late == 1
    assert shown.by_severity == {"critical": 1, "high": 4, "medium": 0, "low": 0}
    assert shown.by_resolution == {
        "true_positive": 1,
        "false_positive": 1,
        "exception": 0,
        "escalated": 1,
    }
    assert (shown.median_hours, shown.p90_hours) == (3, 30)
    narrowed = seen(engine, ["CM"]).resolving
    assert (narrowed.opened, narrowed.resolved_late, narrowed.median_hours) == (4, 1, 3)


def test_a_verdict_that_changes_later_is_counted_anew(engine):
    write(engine, [incident_of(1)], [finding_of(1)])
    assert seen(engine).precision == (RulePrecision("kr_rrn", "KR_RRN", open=1),)
    with engine.begin() as connection:
        done = {"state": "resolved", "resolution": "false_positive", "version": 2}
        connection.execute(update(incident).values(resolved_at_us=to_us(NOW), **done))
    assert incident_sums.bring_up_to_date(engine, since=NOW - timedelta(hours=1)) == 1
    assert precision_by_rule(engine) == (RulePrecision("kr_rrn", "KR_RRN", false_positive=1),)
    assert incident_sums.bring_up_to_date(engine) == 0


def test_a_rule_is_judged_once_by_each_incident(engine):
    write(
        engine,
        [
            incident_of(1, resolution="true_positive"),
            incident_of(2, resolution="true_positive"),
            incident_of(3, resolution="false_positive"),
        ],
        [
            finding_of(1, value="a"),
            finding_of(1, place=1, value="b"),
            finding_of(2),
            finding_of(3),
            finding_of(3, place=1, rule="person", of="PERSON"),
        ],
    )
    incident_sums.bring_up_to_date(engine)
    rules = {one.rule: one for one in precision_by_rule(engine)}
    assert (rules["kr_rrn"].true_positive, rules["kr_rrn"].false_positive) == (2, 1)
    assert rules["kr_rrn"].precision == pytest.approx(2 / 3)
    assert rules["kr_rrn"].at_least == pytest.approx(0.2077, abs=1e-4)  # Wilson, 2 of 3
    assert rules["person"].precision == 0


def test_people_and_values_in_several_incidents_are_repeats(engine):
    write(
        engine,
        [
            incident_of(1, at=NOW - timedelta(days=90)),
            incident_of(2),
            incident_of(3, person="S2"),
        ],
        [finding_of(1, at=NOW - timedelta(days=90)), finding_of(2), finding_of(3, value="w")],
    )
    repeats = seen(engine).repeats
    assert [(one.kind, one.id, one.incidents) for one in repeats] == [("person", "S1", 2), ("value", "v", 2)]
    assert repeats[0].department_id == "CM"
    assert (repeats[0].first, repeats[0].last) == (NOW - timedelta(days=90), NOW)
    assert [one.kind for one in seen(engine, ["CM"]).repeats] == ["person"]


def test_receipts_come_to_a_replay_once_with_what_reviewers_said(engine):
    store(
        engine,
        receipt_of(1, action="block", findings=(RRN,), counts={"KR_RRN": 3}),
        receipt_of("1#answer"),
        receipt_of(2, NOW - timedelta(days=1), zone="", findings=()),
        receipt_of(3, NOW - timedelta(days=9)),
    )
    write(engine, [incident_of(1, resolution="true_positive")])
    since, until = NOW - timedelta(days=2), NOW + timedelta(seconds=1)
    found = list(past_requests(engine, since, until, zone_of={"gpt": "external"}))
    assert [one.request_id for one in found] == ["req-2", "req-1"]
    assert found[0].zone == "external"
    assert (found[1].verdict, found[1].action, found[1].cut_off) == (
        Resolution.TRUE_POSITIVE,
        Action.BLOCK,
        True,
    )
    assert found[1].findings[0].value_hash == "b"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_receipts_and_a_hundred_thousand_incidents_are_overseen_in_300_ms(tmp_path, capsys):
    import time

    url = f"sqlite:///{tmp_path}/large.db"
    migrate(url)
    engine = open_engine(url)
    fill(engine, receipts=1_000_000, incidents=100_000, last_us=to_us(NOW), days=365)
    filter_sums.bring_up_to_date(engine, NOW)
    incident_sums.bring_up_to_date(engine)
    took = {}
    for days in (30, 365):
        period = Period.last_days(days, date(2026, 11, 22))
        runs = []
        for _ in range(5):
            began = time.perf_counter()
            shown = overview(engine, period, NOW)
            runs.append(time.perf_counter() - began)
        took[days] = min(runs)
    engine.dispose()
    with capsys.disabled():
        print({days: f"{seconds * 1000:.0f} ms" for days, seconds in took.items()})
    assert shown.totals.requests > 900_000
    assert max(took.values()) < 0.3
