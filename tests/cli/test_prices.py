"""`haechi prices`, `haechi fx` and `haechi rerate`: a price is proposed, approved, in force, and months compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from billing.periods import billing_day
from tests.cli import test_reports

used = test_reports.used  # a ledger with charges of this month in CM and IS

TODAY = billing_day(datetime.now(UTC))
SOON = (TODAY + timedelta(days=9)).isoformat()
CSV = f"key,from,currency,input,output\ncity,{SOON},KRW,150,450\n"


@pytest.fixture
def proposed(haechi, installed):
    (installed / "p.csv").write_bytes(CSV.encode())
    return haechi("prices", "import", "p.csv", "--reason", "인상", "--json").ok().json


def test_a_version_is_imported_compared_approved_and_listed(haechi, proposed):
    assert (proposed["version"], proposed["state"], proposed["starts_on"]) == (1, "proposed", SOON)
    found = haechi("prices", "diff", "1", "--json").ok().json
    assert found == haechi("prices", "diff", "--json").ok().json == proposed["changes"]
    assert [(one["name"], one["before"], one["after"], one["percent"]) for one in found] == [
        ("input", "100", "150", "50.0"),
        ("output", "300", "450", "50.0"),
    ]
    assert found == haechi("prices", "diff", "0", "1", "--json").ok().json
    assert {one["kind"] for one in haechi("prices", "diff", "1", "1", "--all", "--json").ok().json} == {
        "same"
    }
    approved = haechi("prices", "approve", "1", "--reason", "확인", "--json").ok().json
    assert (approved["state"], approved["decision"]) == ("approved", "확인")
    (listed, first) = haechi("prices", "list", "--json").ok().json
    assert (listed["version"], first["source"]) == (1, "haechi.toml")
    (price,) = haechi("prices", "list", "--on", SOON, "--json").ok().json
    assert (price["version"], price["prices"]["input"]) == (f"v1-{SOON.replace('-', '')}", "150")
    assert "150" not in haechi("prices", "list", "--in-force").ok().out
    assert "판" in haechi("prices", "list").ok().out
    assert "approved" in haechi("prices", "show", "1").ok().out
    again = haechi("prices", "approve", "1")
    assert (again.code, "approved" in again.err) == (4, True)
    assert haechi("prices", "withdraw", "1", "--reason", "오기").ok()
    trail = haechi("audit", "export").ok().out
    assert all(f"price.{step}" in trail for step in ("proposed", "approved", "withdrawn"))


def test_a_dry_run_and_a_comparison_keep_nothing(haechi, installed):
    (installed / "p.csv").write_text(CSV)
    assert haechi("prices", "import", "p.csv", "--dry-run", "--json").ok().json["dry_run"]
    assert "150" in haechi("prices", "diff", "p.csv").ok().out
    assert len(haechi("prices", "list", "--json").ok().json) == 1


def test_a_price_that_no_model_uses_is_taken_and_told(haechi, installed):
    (installed / "p.csv").write_text(CSV.replace("city,", "citi,"))
    ran = haechi("prices", "import", "p.csv").ok()
    assert "citi" in ran.err
    (installed / "q.csv").write_text(CSV)
    assert not haechi("prices", "import", "q.csv").ok().err


def test_one_price_is_proposed_from_the_command_line(haechi, installed):
    more = ("--currency", "KRW", "--from", SOON, "--price", "input=120", "--price", "output=350")
    assert haechi("prices", "propose", "city", *more, "--json").ok().json["version"] == 1
    assert haechi("prices", "reject", "1", "--reason", "잘못").ok()
    for wrong, word in (
        (("--from", SOON, "--price", "input"), "--price"),
        (("--from", "soon", "--price", "input=1", "--currency", "KRW"), "date"),
        (("--from", SOON, "--price", "input=-1", "--currency", "KRW"), "negative"),
        (("--from", SOON, "--price", "input=1", "--currency", "XYZ"), "unknown currency"),
        (("--from", SOON, "--price", "input=1", "--currency", "JPY"), "JPY/KRW"),
        (("--from", SOON, "--price", "input=5000", "--currency", "KRW"), "--large-changes"),
        (("--from", "2026-01-01", "--price", "input=1", "--currency", "KRW"), "overlap"),
    ):
        ran = haechi("prices", "propose", "city", *wrong)
        assert ran.code in {2, 4}
        assert word in ran.err, word
    assert len(haechi("prices", "list", "--json").ok().json) == 2


def test_what_is_wrong_with_a_file_or_a_version_is_told(haechi, installed):
    (installed / "p.csv").write_text(CSV.replace(SOON, ""))
    ran = haechi("prices", "import", "p.csv")
    assert (ran.code, "2행" in ran.err, "from" in ran.err) == (4, True, True)
    assert haechi("prices", "import", "p.csv", "--from", SOON).ok()
    assert haechi("prices", "import", "nothing.csv").code == 4
    assert haechi("prices", "approve", "7").code == 4
    assert haechi("prices", "import", "genai-prices").code == 4
    assert "genai-prices" in haechi("prices", "import", "genai-prices", "--from", SOON).ok().err


def test_genai_prices_is_a_source(haechi, installed):
    (installed / "fx.csv").write_text(f"base,date,rate,source\nusd,{TODAY},1400,시험\n")
    assert haechi("fx", "import", "fx.csv").ok()
    arguments = ("--from", SOON, "--only", "openai/gpt-5.1", "--json")
    found = haechi("prices", "import", "genai-prices", *arguments).ok()
    assert {one["key"] for one in haechi("prices", "diff", "--json").ok().json} == {"openai/gpt-5.1"}
    assert '"source": "genai-prices ' in found.out
    haechi("prices", "approve", "2").ok()
    mended = f"key,from,currency,input,output\nopenai/gpt-5.1,{TODAY + timedelta(days=30)},USD,1.3,11\n"
    (installed / "later.csv").write_text(mended)
    haechi("prices", "import", "later.csv").ok()
    haechi("prices", "approve", "3").ok()
    taken = (TODAY + timedelta(days=30)).isoformat()
    again = haechi("prices", "import", "genai-prices", "--from", taken, "--only", "openai/gpt-5.1").ok()
    assert "left out" in again.err, "a day that has a price already is noted and stops nothing"


def test_rates_are_imported_once_with_date_and_source(haechi, installed):
    (installed / "fx.csv").write_text(
        f"기준통화,고시일,환율,출처\nUSD,{TODAY},1400,하나은행\n", encoding="cp949"
    )
    assert haechi("fx", "import", "fx.csv", "--json").ok().json["state"] == "approved"
    assert "이미" in haechi("fx", "import", "fx.csv").ok().out
    (rate,) = haechi("fx", "list", "--json").ok().json
    assert (rate["base"], rate["rate"], rate["date"], rate["source"]) == (
        "USD",
        "1400",
        str(TODAY),
        "하나은행",
    )
    (installed / "fx.csv").write_text(f"base,date,rate\nUSD,{TODAY},1401\n")
    assert "manual" in haechi("fx", "import", "fx.csv").err
    (installed / "fx.csv").write_text(f"base,date,rate,kind\nUSD,{TODAY},1401,manual\n")
    assert haechi("fx", "import", "fx.csv").ok()
    assert haechi("fx", "list", "--json").ok().json[0]["rate"] == "1401"
    (installed / "fx.csv").write_text(f"base,date,rate\nUSD,{SOON},14.0\n")
    assert haechi("fx", "import", "fx.csv").code == 4
    (installed / "fx.csv").write_text(CSV)
    assert haechi("fx", "import", "fx.csv").code == 4


def test_with_four_eyes_nobody_approves_alone(haechi, installed, monkeypatch):
    config = installed / "haechi.toml"
    config.write_text(config.read_text() + "\n[pricing]\nfour_eyes = true\n")
    (installed / "fx.csv").write_text(f"base,date,rate\nUSD,{TODAY},1400\n")
    assert haechi("fx", "import", "fx.csv", "--json").ok().json["state"] == "proposed"
    ran = haechi("prices", "approve", "1")
    assert (ran.code, "four_eyes" in ran.err) == (4, True)
    monkeypatch.setattr("gateway.cli.price_parts.actor", lambda: "cli:other")
    assert haechi("prices", "approve", "1").ok()


def test_a_month_rates_again_and_by_the_prices_of_another_version(haechi, used, tmp_path):
    month = haechi("month", "list", "--json").ok().json[0]["month"]
    same = haechi("rerate", "--month", month, "--json").ok().json
    assert (same["ok"], same["charged_krw"]) == (True, same["rerated_krw"])
    assert same == haechi("ledger", "rerate", "--month", month, "--json").ok().json
    config = haechi("prices", "list", "--in-force", "--json").ok().json
    (tmp_path / "double.csv").write_text(
        "key,from,currency,input,output\n"
        + "".join(f"{one['key']},2199-01-01,KRW,200,600\n" for one in config)
    )
    number = haechi("prices", "import", tmp_path / "double.csv", "--json").ok().json["version"]
    found = haechi("rerate", "--month", month, "--prices", number, "--json").ok().json
    assert found["charged_krw"] == same["charged_krw"]
    assert found["prices"] == f"v{number}"
    assert sum(one["rows"] for one in found["by_model"]) == found["rows"]
    own = haechi("rerate", "--month", month, "--prices", "haechi.toml", "--json").ok().json
    assert own["rerated_krw"] == own["charged_krw"]
    assert "Nothing was changed" in haechi("rerate", "--month", month, "--prices", f"v{number}").ok().out
    assert haechi("rerate", "--month", month, "--json").ok().json == same
    assert haechi("rerate", "--month", month, "--prices", "99").code == 4
    assert haechi("rerate", "--month", month, "--prices", "cheap").code == 4
    assert haechi("rerate", "--month", "2026-13").code == 2
