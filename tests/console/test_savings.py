"""Seats beside metered use, seat advice and forecasts: on the finance pages and in /api/billing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks.seed import furnish
from billing.plans import Plan
from billing.store import open_engine, rollups
from gateway.demo.seed import Scale, seed
from gateway.permissions import Permission, Role
from gateway.settings import Settings
from gateway.store.accounts import NewAccount, create_account
from gateway.store.audit import audited
from tests.console.conftest import PASSWORD, Site, deed

PAGES = ("/console/finance/savings", "/console/finance/plans", "/console/finance/forecast")
API = ("plans", "savings", "savings/departments", "savings/people", "seats", "forecast", "anomalies")
PEOPLE = {Role.FINANCE: "P000001", Role.MANAGER: "P000010", Role.STAFF: "P000020", Role.AUDITOR: "P000030"}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """An institution of 150 with three months of use, and a console on it."""
    from starlette.testclient import TestClient

    from gateway import passwords
    from gateway.app import create_app

    folder = tmp_path_factory.mktemp("savings")
    settings = furnish(folder)
    engine = open_engine(settings.load_config().database_url)
    seed(engine, settings.load_config(), settings.keyring(), Scale(150, 3, 4_000), datetime.now(UTC))
    rollups.bring_up_to_date(engine)
    trail, digest = audited(engine, settings.keyring), passwords.hashed(PASSWORD)
    for role, person in PEOPLE.items():
        new = NewAccount(role.value, role.value, frozenset({role}), person, digest, must_change=False)
        create_account(trail, new, deed=deed())
    engine.dispose()
    app = create_app(Settings(config=folder / "haechi.toml"))
    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        yield Site(app, client, folder)


@pytest.fixture
def finance(seeded):
    return seeded.visit("finance")


def test_the_pages_show_the_same_as_the_api(finance):
    assert len(finance.get("/api/billing/savings?months=2").json()["months"]) == 2
    assert finance.get("/api/billing/savings?months=13").status_code == 400
    found = finance.get("/api/billing/savings").json()
    whole = int(float(found["metered_krw"]))
    page = finance.get(PAGES[0])
    assert page.status_code == 200
    assert f"{whole:,}원" in page.text
    for plan in found["plans"]:
        assert plan["name"] in page.text
    advice = finance.get("/api/billing/seats").json()
    assert f"{advice['total']:,}건" in finance.get(PAGES[1]).text
    assert "월말 예상" in finance.get(PAGES[2]).text


def test_departments_and_people_sum_to_the_institution(finance):
    whole = finance.get("/api/billing/savings").json()
    for name in ("departments", "people"):
        first = finance.get(f"/api/billing/savings/{name}?limit=3").json()
        rest = finance.get(f"/api/billing/savings/{name}?limit=500&offset=3").json()
        assert first["next_offset"] == 3
        assert rest["next_offset"] is None
        rows = first["data"] + rest["data"]
        assert len(rows) == first["total"]
        assert sum(_nano(row["metered_krw"]) for row in rows) == _nano(whole["metered_krw"])


def _nano(text):
    whole, _, rest = text.partition(".")
    return int(whole) * 10**9 + int(rest.ljust(9, "0") or 0)


def test_a_verdict_an_order_and_a_term_stand_in_the_address(finance):
    advice = finance.get("/api/billing/seats?verdict=metered").json()
    assert {row["verdict"] for row in advice["data"]} <= {"metered"}
    page = finance.get(f"{PAGES[1]}?verdict=metered&sort=mean&order=asc&term=yearly&months=3").text
    assert f"{advice['total']:,}건" in page
    assert finance.get(f"{PAGES[0]}?months=nonsense&term=never").status_code == 200
    assert finance.get("/api/billing/seats?verdict=never").status_code in {400, 422}
    seat = finance.get("/api/billing/plans?term=yearly").json()
    assert [one["term"] for one in seat] == ["monthly", "yearly", "yearly"]


@pytest.mark.parametrize("path", PAGES)
def test_each_list_comes_as_csv(finance, path):
    answer = finance.get(f"{path}?format=csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.content.count(b"\r\n") > 3


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_speak_english(seeded, path):
    finance = seeded.visit("finance")
    finance.client.cookies.set("haechi-language", "en")
    try:
        text = finance.get(path).text
    finally:
        finance.client.cookies.delete("haechi-language")
    assert "Finance" in text
    for words in ("Beside subscriptions", "Seat advice", "Forecast and anomalies"):
        assert words in text


def test_a_manager_sees_the_own_department_only(seeded):
    manager, finance = seeded.visit("manager"), seeded.visit("finance")
    everything = finance.get("/api/billing/savings/departments?limit=500").json()
    mine = manager.get("/api/billing/savings/departments").json()
    assert mine["total"] == 1
    assert mine["data"][0] in everything["data"]
    assert everything["total"] > 1
    people = manager.get("/api/billing/savings/people?limit=500").json()["data"]
    assert {row["department"] for row in people} == {mine["data"][0]["id"]}
    assert [row["id"] for row in manager.get("/api/billing/forecast").json()["data"]] == [
        mine["data"][0]["id"]
    ]
    for path in PAGES:
        assert manager.get(path).status_code == 200


def test_others_see_none_of_it(seeded):
    for login in ("staff", "auditor"):
        for path in (*PAGES, *(f"/api/billing/{name}" for name in API)):
            assert seeded.visit(login).get(path).status_code == 403, (login, path)


def test_who_may_not_see_names_sees_pseudonyms_and_who_saw_names_is_written_down(seeded, monkeypatch):
    from gateway import permissions

    finance = seeded.visit("finance")
    named = finance.get("/api/billing/seats").json()["data"]
    assert "(P0" in named[0]["person"]
    assert "seats.people" in seeded.visit("auditor").get("/console/audit?action=seats.people").text
    table = {**permissions.TABLE, Permission.DEPARTMENT_PEOPLE: {}}
    monkeypatch.setattr(permissions, "TABLE", table)
    hidden = finance.get("/api/billing/seats").json()["data"]
    assert all(row["person"].startswith("p-") for row in hidden)
    assert [row["mean_krw"] for row in hidden] == [row["mean_krw"] for row in named]
    page = finance.get(PAGES[1]).text
    assert "(P0" not in page
    assert "가명" in page


def test_a_forecast_has_its_intervals_and_a_day_out_of_line(finance):
    found = finance.get("/api/billing/forecast").json()
    assert found["interval_percent"] == 80
    whole = found["whole"]["month_end"]
    assert float(whole["low_krw"]) <= float(whole["expected_krw"]) <= float(whole["high_krw"])
    assert isinstance(finance.get("/api/billing/anomalies").json()["data"], list)


def test_reports_are_kept_until_the_ledger_or_the_plans_change(seeded):
    from gateway.seats import MOST_KEPT, SeatReports

    reports, now = SeatReports(), datetime.now(UTC)
    plans = seeded.parts.config.plans
    first = reports.report(seeded.database, plans, now)
    assert reports.report(seeded.database, plans, now) is first
    assert reports.report(seeded.database, (replace(plans[0], monthly_krw=1),), now) is not first
    for months in range(1, MOST_KEPT + 1):
        reports.report(seeded.database, plans, now, months=months)
    assert reports.report(seeded.database, plans, now) is not first, "the oldest is let go"
    assert isinstance(first.offers[0].plan, Plan)


def test_an_empty_ledger_breaks_no_page(site):
    finance = site.visit("finance")
    assert "아직 권고할 것이 없습니다" in finance.get(PAGES[1]).text
    assert "아직 사용한 내역이 없습니다" in finance.get(PAGES[2]).text
    assert "총무과" in finance.get(PAGES[0]).text, "who would have had a seat is known all the same"
    for name in API:
        assert finance.get(f"/api/billing/{name}").status_code == 200, name
