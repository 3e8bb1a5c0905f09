"""The price book on the finance pages and in /api/billing: proposed by one, approved by another, in force."""

from datetime import UTC, datetime, timedelta

from billing.periods import billing_day
from gateway.console.session import csrf_token
from gateway.permissions import Role

PATH = "/console/finance/prices"
SOON = billing_day(datetime.now(UTC)) + timedelta(days=30)
CSV = f"""\
단가키,적용일,통화,입력,출력,입력 토큰 초과,서비스 등급,배수
<b>city</b>,{SOON},KRW,"1,200",3000,,,
<b>city</b>,{SOON},KRW,2400,,200000,,
<b>city</b>,{SOON},,,,,flex,0.5
"""
RATES = "base,date,rate,source\nUSD,2026-11-20,1391.20,시험\nUSD,2026-11-21,1392.5,시험\n"


def post(site, login, path, data, **more):
    browser = site.visit(login)
    return browser.client.post(path, data={"csrf": csrf_token(site.parts, browser.token()), **data}, **more)


def propose(site, text=CSV, login="finance", **data):
    files = {"file": ("단가.csv", text.encode("cp949"), "text/csv")}
    return post(site, login, f"{PATH}/new", {"reason": "인상", **data}, files=files)


def decide(site, step, number=1, login="finance", reason="확인"):
    return post(site, login, f"{PATH}/versions/{number}", {"step": step, "reason": reason})


def test_prices_are_proposed_from_a_file_looked_at_and_approved(site):
    finance = site.visit("finance")
    answer = propose(site)
    assert answer.headers["location"].startswith(f"{PATH}/versions/1?notice=price-proposed")
    page = finance.get(f"{PATH}/versions/1").text
    for text in (
        "&lt;b&gt;city&lt;/b&gt;",
        "1200",
        "&gt; 200,000",
        "서비스 등급 배수",
        "새로 생김",
        "승인 대기",
        "인상",
    ):
        assert text in page, text
    assert "<b>city</b>" not in page
    assert "1판" in finance.get(PATH).text
    answer = decide(site, "approved")
    assert "price-approved" in answer.headers["location"]
    assert "3000" in finance.get(f"{PATH}?on={SOON}").text
    assert finance.get("/api/billing/prices").json()["total"] == len(site.parts.config.price_book.prices)
    (found,) = finance.get(f"/api/billing/prices?on={SOON}&key=city").json()["data"]
    assert (found["version"], found["prices"]["input > 200000"], found["prices"]["× flex"]) == (
        f"v1-{SOON:%Y%m%d}",
        "2400",
        "0.5",
    )
    for step in ("approved", "rejected"):
        answer = decide(site, step)
        assert answer.status_code == 409
        assert "finance" in answer.text
    assert "price-withdrawn" in decide(site, "withdrawn").headers["location"]
    trail = site.visit("auditor").get("/console/audit?q=v1").text
    assert all(f"price.{step}" in trail for step in ("proposed", "approved", "withdrawn"))


def test_a_version_is_turned_down_with_a_reason(site):
    propose(site)
    assert decide(site, "rejected", reason="").status_code == 409
    assert "price-rejected" in decide(site, "rejected").headers["location"]
    (row,) = site.visit("finance").get("/api/billing/prices/versions?state=rejected").json()["data"]
    assert (row["decided_by"], row["decision"], row["prices"]) == ("finance", "확인", 1)
    assert decide(site, "nonsense").status_code == 404
    assert decide(site, "approved", number=9).status_code in {404, 409}
    assert site.visit("finance").get(f"{PATH}/versions/9").status_code == 404
    assert site.visit("finance").get("/api/billing/prices/versions/9").status_code == 404


def test_with_four_eyes_another_one_approves(site, monkeypatch):
    from dataclasses import replace

    from gateway.console.finance import prices

    rules = replace(site.parts.config.pricing, four_eyes=True)
    config = replace(site.parts.config, pricing=rules)
    monkeypatch.setattr(prices, "desk_of", lambda parts: prices.PriceDesk(parts.database, config))
    site.make("finance2", Role.FINANCE)
    propose(site)
    own = site.visit("finance").get(f"{PATH}/versions/1").text
    assert 'value="approved"' not in own
    answer = decide(site, "approved")
    assert (answer.status_code, "four_eyes" in answer.text) == (409, True)
    assert 'value="approved"' in site.visit("finance2").get(f"{PATH}/versions/1").text
    assert decide(site, "approved", login="finance2").status_code == 303


def test_what_cannot_be_right_is_told_and_nothing_is_kept(site):
    wrong = {
        "": "파일을 골라",
        CSV.replace(str(SOON), "", 1): "from",
        CSV.replace('"1,200"', "-1"): "음수",
        CSV.replace("KRW", "XYZ"): "모르는 통화",
        CSV.replace("KRW", "JPY"): "환율이 없습니다",
        CSV + CSV.split("\n", 1)[1]: "겹칩니다",
        CSV.replace('"1,200"', "90000000"): "터무니없이",
    }
    for text, word in wrong.items():
        answer = propose(site, text)
        assert (answer.status_code, word in answer.text) == (400, True), word
    assert site.visit("finance").get("/api/billing/prices/versions").json()["total"] == 0


def test_rates_are_shown_with_their_source_and_leave_as_csv(site):
    propose(site, RATES)
    decide(site, "approved")
    finance = site.visit("finance")
    page = finance.get(f"{PATH}/rates").text
    assert "1392.5" in page
    assert "시험" in finance.get(f"{PATH}/versions/1").text
    assert "1391.20" in finance.get(f"{PATH}/rates?format=csv").text
    body = finance.get("/api/billing/fx?base=USD&limit=1").json()
    assert (body["data"][0]["rate"], body["next_offset"]) == ("1392.5", 1)


def test_a_public_collection_offers_what_differs(site):
    answer = post(site, "finance", f"{PATH}/new", {"source": "genai-prices", "from": str(SOON)})
    assert answer.status_code in {303, 400}
    assert post(site, "finance", f"{PATH}/new", {"source": "genai-prices"}).status_code == 400


def test_lists_leave_as_csv_and_every_page_speaks_english(site):
    propose(site)
    finance = site.visit("finance")
    assert "승인" not in finance.get(f"{PATH}/versions?format=csv").text.split("\n")[1]
    assert finance.get(f"{PATH}?format=csv&on={SOON}").text.startswith("\ufeff")
    finance.client.cookies.set("haechi-language", "en")
    words = {
        PATH: "Prices in force",
        f"{PATH}/rates": "The last rate published",
        f"{PATH}/versions": "Versions of the price book",
        f"{PATH}/versions/1": "What changes",
        f"{PATH}/new": "Propose prices",
    }
    for path, word in words.items():
        assert word in finance.get(path).text, path


def test_only_finance_sees_the_price_book(shared_site):
    pages = (
        PATH,
        f"{PATH}/versions",
        f"{PATH}/rates",
        f"{PATH}/new",
        "/api/billing/prices",
        "/api/billing/fx",
    )
    for login in ("staff", "manager", "administrator", "auditor", "reviewer"):
        for path in pages:
            assert shared_site.visit(login).get(path).status_code == 403, path
