"""Budgets set, looked at and ended by finance in a browser."""

import json
import re

import pytest
from sqlalchemy import select

from billing.store import budget_status
from gateway.console.session import csrf_token
from gateway.store.account_tables import access_audit

PATH = "/console/finance/budget-settings"
NEW = "/console/finance/new-budget"
GOOD = {
    "kind": "unit",
    "id": "CM",
    "every": "month",
    "measure": "won",
    "amount": "3,000,000원",
    "hard": "hard",
    "reason": "11월 배정",
}


def post(browser, **fields):
    browser.get(NEW)
    return browser.post(NEW, {**GOOD, **fields})


def in_force(site):
    return budget_status(site.database, site.parts.now())


def test_a_department_is_given_a_budget_and_loses_it_again(site):
    finance = site.visit("finance")
    made = post(finance)
    assert "notice=budget-set" in made.headers["location"]
    (status,) = in_force(site)
    assert (status.budget.scope, status.limit, status.budget.hard) == (
        ("unit", "CM"),
        3_000_000 * 10**9,
        True,
    )
    assert "총무과" in finance.get(PATH).text
    page = f"{PATH}/{status.budget.id}"
    assert "11월 배정" in finance.get(page).text
    assert finance.post(f"{page}/end", {"reason": ""}).status_code == 400
    finance.get(page)
    assert "budget-ended" in finance.post(f"{page}/end", {"reason": "조직 개편"}).headers["location"]
    assert in_force(site) == []
    assert finance.get(page).status_code == 404
    with site.database.connect() as connection:
        events = connection.execute(
            select(access_audit).where(access_audit.c.action.like("budget.%")).order_by(access_audit.c.seq)
        ).all()
    assert [(event.action, event.actor, event.reason) for event in events] == [
        ("budget.set", "finance", "11월 배정"),
        ("budget.end", "finance", "조직 개편"),
    ]
    assert json.loads(events[0].details)["after"]["limit_krw"].startswith("3000000")


def test_a_key_in_use_is_given_a_budget_in_tokens(site):
    administrator = site.visit("administrator")
    administrator.get("/console/admin/new-key")
    form = {"form_id": administrator.hidden("form_id"), "label": "시험용", "kind": "person", "person": "S1"}
    administrator.post("/console/admin/new-key", {**form, "days": "30"})
    key_id = re.search(r"admin/keys/(key_[0-9a-f]+)", administrator.get("/console/admin/keys").text)[1]
    finance = site.visit("finance")
    made = post(
        finance, kind="key", id=key_id, measure="tokens", amount="5,000,000", every="quarter", hard="soft"
    )
    assert made.status_code == 303
    (status,) = in_force(site)
    assert (status.budget.scope, status.limit, status.budget.hard) == (("key", key_id), 5_000_000, False)
    assert "시험용" in finance.get(f"{PATH}?kind=key").text
    assert "시험용" not in finance.get(f"{PATH}?kind=unit").text
    csv = finance.get(f"{PATH}?format=csv").text
    assert "5000000" in csv.replace(",", "")


def test_setting_it_anew_replaces_it_and_both_stand_in_its_history(site):
    finance = site.visit("finance")
    post(finance)
    post(finance, amount="1000.5", reason="감액")
    (status,) = in_force(site)
    assert status.limit == 1_000_500_000_000
    page = finance.get(f"{PATH}/{status.budget.id}").text
    assert "11월 배정" in page
    assert "감액" in page


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "NONE"},
        {"kind": "person", "id": "S404"},
        {"kind": "key", "id": "key_0"},
        {"kind": "galaxy"},
        {"amount": "-1"},
        {"amount": "많이"},
        {"amount": "9,000,000,000"},
        {"amount": "NaN"},
        {"measure": "tokens", "amount": "1.5"},
        {"every": "day"},
        {"measure": "euro"},
        {"reason": " "},
    ],
)
def test_a_budget_that_would_count_nobody_or_says_nothing_is_not_set(shared_site, fields):
    answer = post(shared_site.visit("finance"), **fields)
    assert answer.status_code == 400
    assert "저장하지 않았습니다" in answer.text
    assert in_force(shared_site) == []


@pytest.mark.parametrize("who", ["staff", "manager", "reviewer", "administrator", "auditor"])
def test_nobody_but_finance_sets_budgets(shared_site, who):
    browser = shared_site.visit(who)
    assert {browser.get(path).status_code for path in (PATH, NEW)} == {403}


def test_the_same_is_done_as_json(site):
    finance = site.visit("finance")
    headers = {"x-csrf-token": csrf_token(site.parts, finance.token())}
    asked = {"scope": "person", "scope_id": "S1", "limit": "50000.5", "reason": "11월 배정"}
    assert finance.client.post("/api/billing/budgets", json=asked).status_code == 403, "without the token"
    made = finance.client.post("/api/billing/budgets", json=asked, headers=headers)
    assert made.status_code == 201, made.text
    row = made.json()
    assert (row["limit"], row["measure"], row["every"], row["hard"]) == ("50000.5", "won", "month", True)
    assert (row["spent"], row["held"], row["left"]) == ("0", "0", "50000.5")
    assert finance.get("/api/billing/budgets?scope=person").json() == {"data": [row], "has_more": False}
    assert finance.get("/api/billing/budgets?scope=unit").json()["data"] == []
    for wrong in ({"scope_id": "S404"}, {"limit": "-1"}, {"reason": " "}):
        refused = finance.client.post("/api/billing/budgets", json=asked | wrong, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_budget")
    path = f"/api/billing/budgets/{row['id']}"
    assert finance.client.delete(f"{path}?reason=", headers=headers).status_code == 400
    assert finance.client.delete(f"{path}?reason=over", headers=headers).status_code == 204
    assert finance.client.delete(f"{path}?reason=over", headers=headers).status_code == 404
    assert in_force(site) == []
    assert site.visit("manager").get("/api/billing/budgets").status_code == 403
