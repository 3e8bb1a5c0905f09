"""`haechi report reconcile`: a monthly bill is read, matched, accepted, and may keep a month from its lock."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing.ledger import Attribution, Charge, Dispatch, IdSource, record_of
from billing.prices import PriceBook
from billing.store import LedgerSink, open_engine
from billing.usage import Usage, UsageSource
from gateway.keyring import Keyring, Purpose

AT = datetime(2026, 10, 20, 5, tzinfo=UTC)
BOOK = PriceBook.from_tables(
    [{"key": "gpt", "from": "2026-01-01", "currency": "USD", "input": "2.5", "output": "10"}],
    [{"base": "USD", "quote": "KRW", "date": "2026-10-01", "rate": "1400", "source": "시험"}],
)
OPENAI = """
[[providers]]
name = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key_env = "NOT_SET"

[[models]]
id = "gpt"
name = "gpt"
deployments = [{ provider = "openai", price_key = "city", upstream_model = "gpt-4o-2024-08-06" }]
"""
HEADER = "start_time,model,api_key_id,num_model_requests,input_tokens,output_tokens,input_cached_tokens\n"


@pytest.fixture
def used(staffed, monkeypatch):
    """A million tokens of input and a thousand of output through OpenAI in October: 3,514 won."""
    monkeypatch.setenv("NOT_SET", "sk-test")
    config = Path("haechi.toml")
    config.write_text(config.read_text() + OPENAI)
    payer = Attribution(
        "S1", "k", "CM", ("SEOUL", "HJ", "CM"), "gpt", "d", "openai", "gpt-4o-2024-08-06", "external", "chat"
    )
    ids = IdSource()
    dispatch = Dispatch(ids.next(AT), ids.next(AT), AT, "2026-10", payer, BOOK.quote("gpt", AT), 10**12)
    charge = Charge.settle(
        dispatch,
        charge_id=ids.next(AT),
        settled_at=AT,
        outcome="success",
        source=UsageSource.REPORTED,
        usage=Usage(input=1_000_000, output=1_000),
    )
    engine = open_engine("sqlite:///haechi.db")
    sink = LedgerSink(engine, Keyring.read(Path("haechi.secret")).current(Purpose.LEDGER_CHAIN).key)
    sink.open()
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    sink.close()
    engine.dispose()


def bill(tokens=1_000_000, name="usage.csv"):
    Path(name).write_text(f"{HEADER}{int(AT.timestamp())},gpt-4o-2024-08-06,key_a,1,{tokens},1000,0\n")
    return name


def reconcile(haechi, *arguments):
    return haechi("report", "reconcile", *arguments, "--month", "2026-10", "--json")


def test_a_bill_that_agrees_ends_with_0_and_says_so(haechi, used):
    found = reconcile(haechi, bill()).ok().json
    assert found["agrees"]
    assert found["books"]["journal_dispatched"] == found["books"]["ledger_charged"] == 1
    (openai,) = found["providers"]
    assert (openai["provider"], openai["state"], openai["differences"]) == ("openai", "agrees", [])
    assert openai["ledger_krw"] == "3514"
    assert openai["bills"][0]["layout"] == "openai-usage"


def test_what_differs_ends_with_1_and_is_listed_with_its_class(haechi, used):
    ran = reconcile(haechi, bill(2_000_000))
    assert ran.code == 1
    (openai,) = ran.json["providers"]
    (one,) = openai["differences"]
    assert (one["class"], one["day"], one["item"]) == ("quantity", "2026-10-20", "input")
    assert (one["ledger_quantity"], one["billed_quantity"], one["difference_krw"]) == (
        1_000_000,
        2_000_000,
        "3500",
    )
    shown = haechi("report", "reconcile", "--month", "2026-10")
    assert shown.code == 1
    assert "1,000,000 → 2,000,000" in shown.out
    rows = haechi("report", "reconcile", "--month", "2026-10", "--csv").out
    assert "openai,quantity,2026-10-20" in rows


def test_a_bill_is_refused_with_what_to_do(haechi, used):
    assert "2026-10의 것" in haechi("report", "reconcile", bill(), "--month", "2026-09").err
    reconcile(haechi, bill()).ok()
    assert "이미 들어온 파일" in reconcile(haechi, bill()).err
    assert "--replace" in reconcile(haechi, bill(5)).err
    assert reconcile(haechi, bill(1_000_000, "again.csv"), "--replace").code == 4
    Path("odd.csv").write_bytes("날짜,모델\n1,2\n".encode("cp949"))
    odd = reconcile(haechi, "odd.csv", "--provider", "openai")
    assert odd.code == 4
    assert "--mapping" in odd.err
    assert reconcile(haechi, bill(7), "--provider", "nobody").code == 4


def test_a_korean_bill_in_cp949_is_read_by_a_mapping(haechi, used):
    Path("mapping.toml").write_text(
        'timezone = "Asia/Seoul"\ncurrency = "KRW"\nday = "사용일"\nmodel = "모델"\ncost = "금액"\n', "utf-8"
    )
    Path("bill.csv").write_bytes("사용일,모델,금액\n2026.10.20,gpt-4o,3514\n".encode("cp949"))
    found = reconcile(haechi, "bill.csv", "--provider", "openai", "--mapping", "mapping.toml").ok().json
    assert found["providers"][0]["billed_krw"] == "3514"


def test_a_dry_run_keeps_nothing_and_a_bill_can_be_withdrawn(haechi, used):
    assert reconcile(haechi, bill(), "--dry-run").ok().json["agrees"]
    tried = reconcile(haechi, bill(2_000_000), "--dry-run")
    assert (tried.code, tried.json["classes"]["quantity"]["count"]) == (1, 1)
    assert (
        "1,000,000 → 2,000,000"
        in haechi("report", "reconcile", "usage.csv", "--month", "2026-10", "--dry-run").out
    )
    (openai, *_) = reconcile(haechi).json["providers"]
    assert (openai["state"], Decimal(openai["ledger_krw"]) > 0) == ("no_bill", True)
    reconcile(haechi, bill()).ok()
    haechi("report", "reconcile", "--withdraw", "1", "--reason", "잘못 올림").ok()
    assert reconcile(haechi).json["providers"][0]["state"] == "no_bill"


def close(haechi):
    haechi("month", "preview", "2026-10").ok()
    haechi("month", "approve", "2026-10").ok()
    return haechi("month", "lock", "2026-10", "--json")


def test_the_gate_keeps_a_month_from_its_lock_until_its_bill_agrees(haechi, used):
    config = Path("haechi.toml")
    config.write_text(config.read_text() + '\n[reconciliation]\ngate = "refuse"\ntolerance_krw = 10\n')
    refused = close(haechi)
    assert refused.code == 1
    assert "haechi report reconcile FILE --provider openai --month 2026-10" in refused.err
    assert reconcile(haechi, bill(2_000_000)).code == 1
    refused = haechi("month", "lock", "2026-10")
    assert "차이 3500원" in refused.err
    assert "--accept" in refused.err
    assert haechi("report", "reconcile", "--accept", "--month", "2026-10").code == 2
    accepted = reconcile(haechi, "--provider", "openai", "--accept", "--reason", "제공사에 문의함")
    assert accepted.ok().json["providers"][0]["state"] == "accepted"
    locked = haechi("month", "lock", "2026-10", "--json").ok().json
    assert locked["reconciliation"] == {
        "gate": "refuse",
        "books_agree": True,
        "providers": {"openai": "accepted"},
    }


def test_a_gate_that_only_warns_lets_it_pass_and_the_lock_knows(haechi, used):
    config = Path("haechi.toml")
    config.write_text(config.read_text() + '\n[reconciliation]\ngate = "warn"\n')
    assert close(haechi).ok().json["reconciliation"]["providers"] == {"openai": "no_bill"}


def test_the_ledgers_rows_of_a_month_come_out_as_they_stand(haechi, used):
    haechi("report", "raw", "--month", "2026-10", "-o", "raw.csv").ok()
    haechi("invoice", "export", "2026-10", "--raw", "-o", "same.csv").ok()
    text = Path("raw.csv").read_text("utf-8-sig")
    assert text == Path("same.csv").read_text("utf-8-sig")
    assert len(text.splitlines()) == 2
    assert ",3514," in text
    lines = haechi("report", "raw", "--month", "2026-10", "--format", "jsonl", "-o", "-").ok().out
    assert '"amount_krw":"3514"' in lines
    assert haechi("report", "raw", "--month", "2026-13").code == 4
