"""Providers' bills on the finance pages and in /api/billing; the table of budgets."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing.budgets import Budget, Every, Scope
from billing.money import NANO
from billing.months import MonthRefused
from billing.store import set_budget
from gateway.console.finance.shared import reconciler_of
from gateway.console.session import csrf_token
from gateway.errors import InvalidRequest
from gateway.reconciliation import Reconciler, Upload
from tests.console import test_finance
from tests.console.conftest import deed

billed = test_finance.billed
MONTH = "2025-10"
PROVIDERS = """
[[providers]]
name = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key_env = "HOME"

[[models]]
id = "gpt"
name = "gpt"
deployments = [{ provider = "openai", price_key = "gpt" }]

[[prices]]
key = "gpt"
from = 2025-01-01
currency = "KRW"
input = "100"
output = "300"
source = "https://example.go.kr/prices"

[reconciliation]
gate = "warn"
"""
HEADER = "start_time,model,api_key_id,num_model_requests,input_tokens,output_tokens,input_cached_tokens\n"
PAGE = f"/console/finance/bills/{MONTH}/openai"


@pytest.fixture(scope="session")
def furnished(furnished, tmp_path_factory):
    """The office with OpenAI in its catalogue."""
    folder = tmp_path_factory.mktemp("with-openai")
    shutil.copytree(furnished, folder, dirs_exist_ok=True)
    config = Path(folder / "haechi.toml")
    config.write_text(config.read_text() + PROVIDERS)
    return folder


def usage(tokens=3_200_000):
    """What 80 charges of 40,000 in and 9,000 out come to."""
    at = int(datetime(2025, 10, 15, tzinfo=UTC).timestamp())
    return f"{HEADER}{at},gpt,key_a,80,{tokens},720000,0\n".encode()


def post(site, login="finance", data=None, path="/console/finance/bills", **more):
    browser = site.visit(login)
    files = {} if data is None else {"file": ("usage.csv", data, "text/csv")}
    fields = {"csrf": csrf_token(site.parts, browser.token()), "provider": "openai", "month": MONTH, **more}
    return browser.client.post(path, data=fields, files=files)


def test_a_bill_is_imported_compared_and_shown(billed):
    finance = billed.visit("finance")
    assert "청구서 없음" in finance.get(f"/console/finance/bills?month={MONTH}").text
    answer = post(billed, data=usage())
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?notice=bill-imported")
    page = finance.get(PAGE).text
    assert "usage.csv" in page
    assert "차이가 없습니다" in page
    assert "맞음" in finance.get(f"/console/finance/bills?month={MONTH}").text
    assert "bill.import" in billed.visit("auditor").get("/console/audit?action=bill.import").text


def test_what_differs_is_listed_exported_and_accepted_with_a_reason(billed):
    finance = billed.visit("finance")
    post(billed, data=usage(4_200_000))
    page = finance.get(PAGE).text
    assert "3,200,000" in page
    assert "4,200,000" in page
    assert "수량" in page
    rows = finance.get(f"{PAGE}?format=csv").text
    assert "quantity" in rows
    assert finance.get(f"{PAGE}?class=price").text.count("4,200,000") == 0
    seen = re.search('name="seen" value="([^"]+)"', page)[1]
    assert post(billed, path=PAGE, step="accept", reason=" ", seen=seen).status_code == 409
    unseen = post(billed, path=PAGE, step="accept", reason="보지 않음")
    assert unseen.status_code == 409
    assert "보신 뒤에" in unseen.text
    assert "보지 않음" not in finance.get(PAGE).text
    assert post(billed, path=PAGE, step="accept", reason="제공사에 문의함", seen=seen).status_code == 303
    assert "제공사에 문의함" in finance.get(PAGE).text
    assert post(billed, path=PAGE, step="withdraw", bill="1", reason="잘못 올림").status_code == 303
    assert "청구서 없음" in finance.get(PAGE).text
    assert post(billed, path=PAGE, step="dance").status_code == 404


def test_a_bill_that_is_not_taken_says_why_and_keeps_the_form(billed):
    answer = post(billed, data=b"a,b\n1,2\n", reason="10월 청구서")
    assert answer.status_code == 400
    assert "모르는 양식" in answer.text
    assert "10월 청구서" in answer.text
    wrong = post(billed, data=usage(), month="2025-09")
    assert "2025-10의 것" in wrong.text
    assert post(billed, data=usage(), provider="<b>nobody").status_code == 400
    post(billed, data=usage())
    assert "이미 들어온 파일" in post(billed, data=usage()).text


def test_a_lock_keeps_how_the_bills_stood(billed):
    post(billed, data=usage(4_200_000))
    for name in ("preview", "approved", "locked"):
        assert test_finance.step(billed, name).status_code == 303
    page = billed.visit("finance").get(f"/console/finance/months/{MONTH}").text
    assert "청구서 대조</dt>" in page
    assert "다름" in page


def test_a_bill_that_is_withdrawn_while_a_month_is_locked_stops_the_lock(billed, monkeypatch):
    post(billed, data=usage())
    for name in ("preview", "approved"):
        assert test_finance.step(billed, name).status_code == 303
    made = Reconciler.evidence

    def then_withdrawn(books, month, who):
        found = made(books, month, who)
        books.withdraw(1, deed("잘못 올림"))
        return found

    monkeypatch.setattr(Reconciler, "evidence", then_withdrawn)
    stopped = test_finance.step(billed, "locked")
    assert stopped.status_code == 409
    assert "철회되었습니다" in stopped.text
    monkeypatch.undo()
    assert test_finance.step(billed, "locked").status_code == 303


def test_a_provider_that_left_the_configuration_is_held_against_its_bill_all_the_same(billed):
    books = reconciler_of(billed.parts)
    left = replace(
        books,
        providers=books.providers - {"openai"},
        terms=replace(books.terms, gate="refuse", external=books.terms.external - {"openai"}),
    )
    assert [(one.provider, one.state) for one in left.standings(MONTH)] == [("openai", "no_bill")]
    with pytest.raises(MonthRefused, match="openai: no bill"):
        left.evidence(MONTH, deed())
    assert left.import_bill(Upload("openai", MONTH, "usage.csv", usage()), deed("10월")).provider == "openai"
    left.evidence(MONTH, deed("마감"))
    with pytest.raises(InvalidRequest, match="nobody"):
        left.compare(MONTH, "nobody")


def test_only_finance_reaches_it(billed):
    assert billed.visit("manager").get("/console/finance/bills").status_code == 403
    assert post(billed, "manager", data=usage()).status_code == 403
    assert billed.visit("manager").get(f"/api/billing/reconciliation?month={MONTH}").status_code == 403


def test_the_api_says_the_same(billed):
    finance = billed.visit("finance")
    token = {"x-csrf-token": csrf_token(billed.parts, finance.token())}
    fields = {"provider": "openai", "month": MONTH}
    made = finance.client.post(
        "/api/billing/bills", data=fields, files={"file": ("u.csv", usage(4_200_000))}, headers=token
    )
    assert made.status_code == 201, made.text
    assert made.json()["state"] == "differs"
    again = finance.client.post(
        "/api/billing/bills", data=fields, files={"file": ("u.csv", usage(4_200_000))}, headers=token
    )
    assert (again.status_code, again.json()["error"]["code"]) == (400, "bill_refused")
    whole = finance.get(f"/api/billing/reconciliation?month={MONTH}").json()
    assert (whole["gate"], whole["data"][0]["classes"]["quantity"]["count"]) == ("warn", 1)
    one = finance.get(f"/api/billing/reconciliation/openai?month={MONTH}").json()
    assert (one["total"], one["next_offset"]) == (1, None)
    assert one["data"][0]["billed_quantity"] == 4_200_000
    assert finance.get(f"/api/billing/reconciliation/nobody?month={MONTH}").status_code == 404
    (bill,) = finance.get(f"/api/billing/bills?month={MONTH}").json()["data"]
    assert (bill["file"], bill["layout"], bill["withdrawn"]) == ("u.csv", "openai-usage", False)


def test_budgets_stand_in_the_columns_of_public_accounts(billed):
    now = billed.parts.now()
    for unit, won in (("CM", 1_000_000), ("IS", 2_000_000)):
        budget = Budget(f"b-{unit}", Scope("unit", unit), Every.YEAR, won * NANO)
        set_budget(billed.database, budget, now=now, by="test", reason="시험")
    finance, manager = billed.visit("finance"), billed.visit("manager")
    page = finance.get("/console/finance/budgets").text
    for column in ("예산현액", "집행액", "잔액", "집행률"):
        assert column in page
    assert "2,000,000원" in page
    assert "총무과" in page
    assert "인사과" in page
    seen = manager.get("/console/finance/budgets").text
    assert "총무과" in seen
    assert "인사과" not in seen
    rows = finance.get("/console/finance/budgets?format=csv&q=총무").text
    assert "1000000,0,1000000,0.0%" in rows
    assert "인사과" not in rows


def test_the_pages_speak_english(billed):
    post(billed, data=usage(4_200_000))
    finance = billed.visit("finance")
    finance.client.cookies.set("haechi-language", "en")
    assert "Import a bill" in finance.get(f"/console/finance/bills?month={MONTH}").text
    assert "Classes of differences" in finance.get(PAGE).text
    assert "Budget" in finance.get("/console/finance/budgets").text
