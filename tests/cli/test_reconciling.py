"""`haechi ledger reconcile`: a bill is compared, applied once, and seen in reports, budgets and the audit."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome, record_of
from billing.prices import PriceBook
from billing.store import LedgerSink, open_engine
from billing.usage import Usage, UsageSource
from gateway.keyring import Keyring, Purpose
from tests.cli import test_reports

used = test_reports.used
AT = datetime(2026, 11, 22, 1, tzinfo=UTC)
BOOK = PriceBook.from_tables(
    [{"key": "city", "from": "2026-01-01", "currency": "KRW", "input": "100", "output": "300"}], []
)


@pytest.fixture
def broken(used):
    """An attempt of the division CM whose stream broke: charged by estimate."""
    payer = Attribution(
        "S1", "k", "CM", ("SEOUL", "HJ", "CM"), "city-llm", "d", "city", "city-llm", "in_house", "chat"
    )
    ids = IdSource()
    dispatch = Dispatch(ids.next(AT), ids.next(AT), AT, "2026-11", payer, BOOK.quote("city", AT), 10**9)
    charge = Charge.settle(
        dispatch,
        charge_id=ids.next(AT),
        settled_at=AT,
        outcome=Outcome.BROKEN,
        source=UsageSource.ESTIMATED,
        usage=Usage(input=1_000_000),
        provider_request_id="chatcmpl-1",
    )
    engine = open_engine("sqlite:///haechi.db")
    sink = LedgerSink(engine, Keyring.read(Path("haechi.secret")).current(Purpose.LEDGER_CHAIN).key)
    sink.open()
    assert sink.write([[record_of(dispatch)], [record_of(charge)]]) == [None, None]
    sink.close()
    engine.dispose()
    return charge


def bill(text):
    Path("bill.csv").write_text(text)
    return "bill.csv"


def cost(haechi):
    report = haechi("report", "usage", "--month", "2026-11", "--json").ok().json
    return Decimal(report["total"]["cost_krw"])


def test_a_bill_is_applied_once(haechi, broken):
    before = cost(haechi)
    file = bill("provider_request_id,cost\nchatcmpl-1,30\n")
    dry = haechi("ledger", "reconcile", file, "--reason", "11월", "--dry-run", "--json").ok().json
    assert [row["result"] for row in dry["lines"]] == ["reconciled"]
    assert cost(haechi) == before
    haechi("ledger", "reconcile", file, "--reason", "2026년 11월 청구서").ok()
    assert cost(haechi) == before - 70
    again = haechi("ledger", "reconcile", file, "--reason", "11월", "--json").ok().json
    assert [row["result"] for row in again["lines"]] == ["same"]
    assert cost(haechi) == before - 70
    haechi("ledger", "verify").ok()
    haechi("budgets", "check").ok()


def test_what_cannot_be_applied_is_listed_and_ends_with_1(haechi, broken):
    file = bill("provider_request_id,cost,currency\nchatcmpl-1,1,EUR\nnobody,5,KRW\n")
    ran = haechi("ledger", "reconcile", file, "--reason", "11월")
    assert ran.code == 1
    assert "환율 없음" in ran.out
    assert "장부에 없음" in ran.out


def test_a_file_that_is_no_bill_names_its_lines(haechi, broken):
    ran = haechi("ledger", "reconcile", bill("attempt_id,input\na,1\nb,x\n"), "--reason", "11월")
    assert ran.code == 4
    assert "2: " in ran.err


def test_the_audit_knows_who_applied_a_bill(haechi, broken):
    from sqlalchemy import create_engine, text

    haechi(
        "ledger", "reconcile", bill("provider_request_id,cost\nchatcmpl-1,30\n"), "--reason", "청구서"
    ).ok()
    engine = create_engine("sqlite:///haechi.db")
    with engine.connect() as connection:
        statement = "SELECT actor, reason, details FROM access_audit WHERE action = 'ledger.reconcile'"
        ((actor, reason, details),) = connection.execute(text(statement)).all()
    engine.dispose()
    assert actor.startswith("cli")
    assert "청구서" in reason
    assert '"rows":1' in details.replace(" ", "")
