"""부서 사용량과 예산: a manager's own department, finance's all, nobody else's any."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from billing.budgets import Budget, Every, Measure, Scope
from billing.money import NANO
from billing.store import set_budget
from gateway.store.audit import AuditFilter, count_audit

PATH = "/console/department"


def test_a_manager_sees_their_department_and_the_teams_below_it_only(shared_site):
    visit = shared_site.visit("manager")
    assert "총무과" in visit.get(PATH).text
    assert visit.get(f"{PATH}?unit=CM").status_code == 200
    assert visit.get(f"{PATH}?unit=CM1").status_code == 200
    for other in ("IS", "HJ", "SEOUL"):
        assert visit.get(f"{PATH}?unit={other}").status_code == 403


def test_finance_sees_every_department(shared_site):
    visit = shared_site.visit("finance")
    assert "기관 전체의 사용량과 예산입니다" in visit.get(PATH).text
    for unit in ("CM", "CM1", "IS", "HJ", "SEOUL"):
        assert visit.get(f"{PATH}?unit={unit}").status_code == 200


@pytest.mark.parametrize("role", ["staff", "reviewer", "administrator", "auditor"])
def test_nobody_else_sees_any(shared_site, role):
    visit = shared_site.visit(role)
    assert visit.get(PATH).status_code == 403
    assert visit.get(f"{PATH}?unit=CM&format=csv").status_code == 403


def test_a_department_that_is_not_there_is_answered_clearly(shared_site):
    answer = shared_site.visit("finance").get(f"{PATH}?unit=NONE")
    assert answer.status_code == 404
    assert "찾을 수 없습니다" in answer.text


def test_looking_at_peoples_use_and_taking_it_away_are_written_down(site):
    visit = site.visit("manager")
    visit.get(f"{PATH}?unit=CM")
    assert count_audit(site.database, AuditFilter(action="department")) == 0
    visit.get(f"{PATH}?unit=CM&by=person")
    visit.get(f"{PATH}?unit=CM&by=person&format=csv")
    assert count_audit(site.database, AuditFilter(action="department.people", subject="CM")) == 1
    assert count_audit(site.database, AuditFilter(action="department.people.export", subject="CM")) == 1


def test_a_budget_is_shown_with_what_is_left_of_it(site):
    now = datetime.now(UTC)
    for number, (measure, limit) in enumerate(((Measure.WON, 1_000_000 * NANO), (Measure.TOKENS, 5_000))):
        budget = Budget(f"b{number}", Scope("unit", "CM"), Every.MONTH, limit, measure=measure)
        set_budget(site.database, budget, now=now, by="test", reason="시험")
    page = site.visit("manager").get(PATH).text
    assert "1,000,000원" in page
    assert "5,000토큰" in page
    assert "여유 있음" in page


def test_a_used_up_budget_stands_on_the_start_page(site):
    budget = Budget("b", Scope("unit", "CM"), Every.MONTH, 0)
    set_budget(site.database, budget, now=datetime.now(UTC), by="test", reason="시험")
    assert "총무과 예산이 바닥났습니다" in site.visit("manager").get("/console").text
    assert "총무과 예산이 바닥났습니다" in site.visit("finance").get("/console").text
    assert "부서 예산이 바닥났습니다" in site.visit("staff").get("/console").text
    assert "예산" not in site.visit("reviewer").get("/console").text
