import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from billing.journal import Journal
from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome
from billing.periods import billing_month
from billing.segments import Segments
from billing.store import LedgerSink
from billing.usage import Usage, UsageSource
from gateway.cli.common import write_csv
from gateway.keyring import Purpose
from gateway.settings import Settings
from gateway.store.database import opened

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
IDS = IdSource()


def attempt(book, *, person, department, input_tokens):
    """One settled attempt, as the pipeline hands it to the journal."""
    dispatch = Dispatch(
        attempt_id=IDS.next(AT),
        request_id=IDS.next(AT),
        started_at=AT,
        billing_period=billing_month(AT),
        attribution=Attribution(
            person_id=person,
            key_id="key_1",
            department_id=department,
            unit_path=("SEOUL", "HJ", department),
            model_id="city-llm",
            deployment_id="city-llm@city",
            provider="city",
            upstream_model="city-llm",
            zone="in_house",
            surface="chat",
        ),
        quote=book.quote("city", AT),
        hold_nano_krw=10**12,
    )
    charge = Charge.settle(
        dispatch,
        charge_id=IDS.next(AT),
        settled_at=AT,
        outcome=Outcome.SUCCESS,
        source=UsageSource.REPORTED,
        usage=Usage(input=input_tokens, output=10),
    )
    return [dispatch, charge]


@pytest.fixture
def used(staffed):
    """A ledger with three settled attempts, written through the real journal."""
    settings = Settings()
    config = settings.load_config()
    key = settings.keyring().current(Purpose.LEDGER_CHAIN).key
    with opened(config.database_url) as engine:
        journal = Journal(LedgerSink(engine, key), Segments(config.journal_dir))
        journal.start()
        book = config.price_book
        for person, department, tokens in (("S1", "CM", 1000), ("S1", "CM", 500), ("S2", "IS", 2_000_000)):
            journal.write(attempt(book, person=person, department=department, input_tokens=tokens))
        journal.stop()
    return staffed


def test_usage_by_department_carries_names_tokens_and_exact_cost(used, haechi):
    report = haechi("report", "usage", "--by", "department", "--month", "2026-11", "--json").ok().json
    rows = {row["id"]: row for row in report["rows"]}
    assert rows["CM"]["name"] == "총무과"
    assert (rows["CM"]["requests"], rows["CM"]["input_tokens"], rows["CM"]["output_tokens"]) == (2, 1500, 20)
    # 1,500 input tokens at 100 won and 20 output tokens at 300 won a million
    assert Decimal(rows["CM"]["cost_krw"]) == Decimal("0.156")
    assert Decimal(rows["IS"]["cost_krw"]) == Decimal("200.003")
    assert Decimal(report["total"]["cost_krw"]) == Decimal("200.159")
    assert [row["id"] for row in report["rows"]] == ["IS", "CM"]


@pytest.mark.parametrize(("by", "ids"), [("person", {"S1", "S2"}), ("model", {"city-llm"})])
def test_usage_by_person_and_by_model_add_up_to_the_same(used, haechi, by, ids):
    report = haechi("report", "usage", "--by", by, "--month", "2026-11", "--json").ok().json
    assert {row["id"] for row in report["rows"]} == ids
    assert Decimal(report["total"]["cost_krw"]) == Decimal("200.159")


def test_the_table_for_people_shows_names_and_a_total(used, haechi):
    out = haechi("report", "usage", "--month", "2026-11").ok().out
    for shown in ("총무과", "인사과", "합계", "2,001,500", "200.16"):
        assert shown in out


def test_the_csv_opens_in_a_spreadsheet_and_sums_to_the_same(used, haechi):
    out = haechi("report", "usage", "--month", "2026-11", "--csv").ok().out
    assert out.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(out.removeprefix("\ufeff"))))
    assert [row["department"] for row in rows] == ["인사과", "총무과"]
    assert sum(Decimal(row["cost_krw"]) for row in rows) == Decimal("200.159")
    assert rows[0]["input"] == "2000000"


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless():
    stream = io.StringIO()
    write_csv(
        stream,
        ("name", "cost"),
        [("=1+1", -5), ("@SUM(A1)", Decimal("-1.5")), (" +82", 3), ("－전각", 0), ("보통", 1)],
    )
    rows = list(csv.reader(io.StringIO(stream.getvalue().removeprefix("\ufeff"))))
    assert rows[1:] == [
        ["'=1+1", "-5"],
        ["'@SUM(A1)", "-1.5"],
        ["' +82", "3"],
        ["'－전각", "0"],
        ["보통", "1"],
    ]
    assert stream.getvalue().endswith("\r\n")


def test_a_month_that_is_none_and_an_empty_one_are_said(used, haechi):
    assert haechi("report", "usage", "--month", "2026-13").code == 2
    assert haechi("report", "usage", "--month", "11").code == 2
    assert "없습니다" in haechi("report", "usage", "--month", "2026-10").ok().out
    assert haechi("report", "usage", "--month", "2026-10", "--json").ok().json["rows"] == []


def test_a_verified_ledger_ends_with_0_and_a_changed_row_with_1_and_its_name(used, haechi):
    assert haechi("ledger", "verify", "--json").ok().json["ok"] is True
    with opened(Settings().load_config().database_url) as engine, engine.begin() as connection:
        for name in (
            connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        ):
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("UPDATE ledger_charge SET amount_nano_krw = 1 WHERE person_id = 'S2'"))
    ran = haechi("ledger", "verify", "--json")
    assert ran.code == 1
    assert {problem["table"] for problem in ran.json["problems"]} >= {"ledger_charge"}
    told = haechi("ledger", "verify")
    assert told.code == 1
    assert "ledger_charge" in told.err


def test_a_rotated_secret_still_verifies_what_the_old_one_signed(used, haechi):
    from gateway.keyring import rotate_secret_file

    rotate_secret_file(Path("haechi.secret"))
    haechi("ledger", "verify").ok()
