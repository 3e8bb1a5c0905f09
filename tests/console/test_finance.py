"""Months and invoices on the finance pages and in /api/billing, on a ledger of October."""

import io
import zipfile
from datetime import UTC, datetime

import pytest

from billing.ledger import Attribution, Charge, Dispatch, IdSource, record_of
from billing.periods import billing_month
from billing.prices import PriceBook
from billing.store import LedgerSink
from billing.usage import Usage, UsageSource
from gateway import permissions
from gateway.console.session import csrf_token
from gateway.keyring import Purpose

OCTOBER = datetime(2025, 10, 15, 3, tzinfo=UTC)
MONTH = "2025-10"
PRICES = [{"key": "m", "from": "2025-01-01", "currency": "USD", "input": "1.25", "output": "10"}]
FX = [{"base": "USD", "quote": "KRW", "date": "2025-01-01", "rate": "1391.20", "source": "시험"}]
PLACES = {"S1": ("CM", ("SEOUL", "HJ", "CM", "CM1")), "S3": ("IS", ("SEOUL", "HJ", "IS"))}


@pytest.fixture
def billed(site):
    """Two departments with 40 charges each; the model's name would run as a formula and as markup."""
    key = site.parts.keyring.current(Purpose.LEDGER_CHAIN)
    sink = LedgerSink(site.database, key.key, key_version=len(site.parts.keyring.masters))
    sink.open()
    ids, book = IdSource(), PriceBook.from_tables(PRICES, FX)
    for person, (department, path) in PLACES.items():
        for _ in range(40):
            who = Attribution(
                person, "k1", department, path, "=<b>model", "d1", "openai", "gpt", "external", "chat"
            )
            dispatch = Dispatch(
                ids.next(OCTOBER),
                ids.next(OCTOBER),
                OCTOBER,
                billing_month(OCTOBER),
                who,
                book.quote("m", OCTOBER),
                10**12,
            )
            charge = Charge.settle(
                dispatch,
                charge_id=ids.next(OCTOBER),
                settled_at=OCTOBER,
                outcome="success",
                source=UsageSource.REPORTED,
                usage=Usage(input=40_000, output=9_000),
            )
            assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    sink.close()
    return site


def step(site, name, **more):
    browser = site.visit("finance")
    data = {"csrf": csrf_token(site.parts, browser.token()), "step": name, "reason": "월 마감", **more}
    return browser.client.post(f"/console/finance/months/{MONTH}/step", data=data)


def numbers(site, kind="department"):
    answer = site.visit("finance").get(f"/api/billing/invoices?month={MONTH}&kind={kind}")
    return [row["number"] for row in answer.json()["data"]]


def test_a_month_is_closed_on_the_page_and_its_invoices_are_final(billed):
    finance = billed.visit("finance")
    assert "2025" in finance.get("/console/finance/months").text
    for name in ("preview", "approved", "locked"):
        answer = step(billed, name)
        assert answer.status_code == 303, answer.text
        assert f"month-{name}" in answer.headers["location"]
    page = finance.get(f"/console/finance/months/{MONTH}").text
    assert "마감" in page
    assert 'name="step"' not in page
    (locked,) = finance.get("/api/billing/months").json()["data"]
    assert (locked["state"], locked["rows"], len(locked["root"])) == ("locked", 80, 64)
    assert locked["total_krw"] > 0
    assert numbers(billed)[0].startswith(f"HAECHI-{MONTH}-")
    trail = billed.visit("auditor").get("/console/audit?action=month.locked").text
    assert "finance" in trail


def test_who_comes_second_is_told_what_the_first_did(billed):
    step(billed, "preview", seen="0")
    answer = step(billed, "preview", seen="0")
    assert answer.status_code == 409
    assert "finance" in answer.text
    assert "검토" in answer.text
    assert step(billed, "locked").status_code == 409
    assert step(billed, "nonsense").status_code == 404


def test_an_invoice_shows_its_lines_and_comes_as_every_file(billed):
    finance = billed.visit("finance")
    number = numbers(billed)[0]
    page = finance.get(f"/console/finance/invoices/{number}").text
    assert "=&lt;b&gt;model" in page
    assert "끝수" in page
    for form, magic in (("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf"), ("json", b"[{")):
        answer = finance.get(f"/console/finance/invoices/{number}/file?format={form}")
        assert answer.content.startswith(magic)
        assert number in answer.headers["content-disposition"]
        assert finance.get(f"/api/billing/invoices/{number}/file?format={form}").content.startswith(magic)
    assert finance.get(f"/console/finance/invoices/{number}/file?format=doc").status_code == 400
    focus = finance.get(f"/console/finance/months/{MONTH}/file?format=focus").text
    assert focus.startswith("BilledCost,")
    (summary, *_) = numbers(billed, "summary")
    assert "부서별 청구" in finance.get(f"/console/finance/invoices/{summary}").text


def test_a_line_leads_to_requests_and_people_and_the_trail_knows(billed):
    finance = billed.visit("finance")
    number = numbers(billed)[0]
    record = finance.get(f"/api/billing/invoices/{number}").json()
    line = record["lines"][0]
    page = finance.get(f"/console/finance/invoices/{number}/lines/{line['no']}").text
    assert "김직원" in page or "박심사" in page
    first = finance.get(f"/api/billing/invoices/{number}/lines/{line['no']}/charges?limit=30").json()
    rest = finance.get(f"/api/billing/invoices/{number}/lines/{line['no']}/charges?limit=30&offset=30").json()
    assert (first["total"], first["next_offset"], rest["next_offset"]) == (40, 30, None)
    assert len({row["charge_id"] for row in first["data"] + rest["data"]}) == 40
    assert "invoice.people" in billed.visit("auditor").get("/console/audit?action=invoice.people").text
    assert finance.get(f"/console/finance/invoices/{number}/lines/99").status_code == 404


def test_who_may_not_see_names_sees_pseudonyms_behind_a_line(billed, monkeypatch):
    finance = billed.visit("finance")
    number = numbers(billed)[0]
    line = finance.get(f"/api/billing/invoices/{number}").json()["lines"][0]["no"]
    named = finance.get(f"/console/finance/invoices/{number}/lines/{line}?format=csv").text
    assert named.count("\n") == 41
    assert "(S" in named
    monkeypatch.setattr(
        permissions, "TABLE", {**permissions.TABLE, permissions.Permission.DEPARTMENT_PEOPLE: {}}
    )
    hidden = finance.get(f"/api/billing/invoices/{number}/lines/{line}/charges").json()["data"]
    assert len({row["person"] for row in hidden}) == 1
    assert hidden[0]["person"].startswith("p-")
    for query in ("", "?format=csv"):
        shown = finance.get(f"/console/finance/invoices/{number}/lines/{line}{query}").text
        assert hidden[0]["person"] in shown
        assert "(S" not in shown
    assert finance.get(f"/api/billing/months/{MONTH}/file?format=raw").status_code == 404


def test_a_month_comes_as_its_ledger_rows_and_the_trail_knows(billed):
    finance = billed.visit("finance")
    raw = finance.get(f"/console/finance/months/{MONTH}/file?format=raw")
    assert raw.text.count("\n") == 81
    assert "'=<b>model" in raw.text
    lines = finance.get(f"/api/billing/months/{MONTH}/file?format=raw-jsonl").text.splitlines()
    assert len(lines) == 80
    bundle = finance.get(f"/api/billing/months/{MONTH}/file?format=xlsx")
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        listed = finance.get(f"/api/billing/invoices?month={MONTH}").json()["data"]
        assert archive.namelist() == [f"{row['number']}.xlsx" for row in listed]
        assert archive.testzip() is None
    assert "month.raw" in billed.visit("auditor").get("/console/audit?action=month.raw").text


def test_a_manager_sees_the_invoices_of_the_own_department_only(billed):
    manager = billed.visit("manager")
    seen = manager.get(f"/api/billing/invoices?month={MONTH}").json()["data"]
    assert [row["unit"] for row in seen] == ["CM"]
    others = [number for number in numbers(billed) if number != seen[0]["number"]]
    assert manager.get(f"/console/finance/invoices/{seen[0]['number']}").status_code == 200
    assert manager.get(f"/console/finance/invoices/{others[0]}").status_code == 404
    assert manager.get(f"/api/billing/invoices/{others[0]}").status_code == 404
    assert manager.get("/console/finance/months").status_code == 403


def test_a_page_offers_no_step_that_would_be_refused(billed):
    finance = billed.visit("finance")
    step(billed, "preview")
    assert 'value="approved"' in finance.get(f"/console/finance/months/{MONTH}").text
    assert 'name="step"' not in finance.get("/console/finance/months/2199-01").text


def test_the_pages_speak_english(billed):
    finance = billed.visit("finance")
    number = numbers(billed)[0]
    finance.client.cookies.set("haechi-language", "en")
    assert "Month close" in finance.get("/console/finance/months").text
    assert "Next step" in finance.get(f"/console/finance/months/{MONTH}").text
    assert "Rounding" in finance.get(f"/console/finance/invoices/{number}").text


def test_what_is_no_month_and_no_invoice_is_not_found(billed):
    finance = billed.visit("finance")
    assert finance.get("/console/finance/months/2025-13").status_code == 404
    assert finance.get("/console/finance/invoices/HAECHI-2025-10-0099").status_code == 404
    assert finance.get("/api/billing/invoices?month=x").status_code == 400
    assert finance.get(f"/api/billing/invoices?month={MONTH}&kind=letter").status_code == 400
    below = finance.get(f"/api/billing/invoices?month={MONTH}&unit=CM").json()["data"]
    assert {row["unit"] for row in below} == {"CM"}
