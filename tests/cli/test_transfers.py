"""`haechi budgets transfer` and `history`: won moved between departments, and what there is to read of it."""

from decimal import Decimal

import pytest

from tests.cli import test_reports

used = test_reports.used  # a ledger with charges of 0.156 won in CM and 200.003 won in IS


@pytest.fixture
def budgets(haechi, used):
    for unit, won in (("CM", 1000), ("IS", 1000)):
        haechi("budgets", "set", "unit", unit, won, "--reason", "배정").ok()


def limits(haechi):
    rows = haechi("budgets", "list", "--json").ok().json
    return {row["scope_id"]: Decimal(row["limit_krw"]) for row in rows}


def test_a_department_gives_another_what_it_does_not_need(haechi, budgets):
    moved = haechi("budgets", "transfer", "unit:CM", "unit:IS", "400", "--reason", "연말 수요", "--json").ok()
    assert [Decimal(side["after_krw"]) for side in moved.json["budgets"]] == [600, 1400]
    assert limits(haechi) == {"CM": 600, "IS": 1400}
    haechi("budgets", "check").ok()


def test_what_is_spent_cannot_be_given(haechi, budgets):
    ran = haechi("budgets", "transfer", "unit:IS", "unit:CM", "900", "--reason", "x")
    assert ran.code == 4
    assert "799.99" in ran.err
    assert limits(haechi) == {"CM": 1000, "IS": 1000}


def test_history_tells_who_when_why_before_and_after(haechi, budgets):
    haechi("budgets", "transfer", "unit:CM", "unit:IS", "400", "--reason", "연말 수요").ok()
    rows = haechi("budgets", "history", "unit:IS", "--json").ok().json
    assert [row["action"] for row in rows] == ["set", "take"]
    assert rows[0]["before"] is None
    assert [Decimal(rows[1][side]) for side in ("before", "after")] == [1000, 1400]
    assert rows[1]["reason"] == "연말 수요"
    assert rows[1]["by"].startswith("cli")
    assert "연말 수요" in haechi("budgets", "history").ok().out


@pytest.mark.parametrize(
    ("giver", "taker", "code"),
    [("CM", "unit:IS", 2), ("room:1", "unit:IS", 2), ("unit:HJ", "unit:IS", 4), ("unit:CM", "unit:CM", 4)],
)
def test_what_names_no_budget_is_refused(haechi, budgets, giver, taker, code):
    assert haechi("budgets", "transfer", giver, taker, "1", "--reason", "x").code == code


def test_every_change_stands_in_the_trail(haechi, budgets, used):
    haechi("budgets", "transfer", "unit:CM", "unit:IS", "400", "--reason", "연말 수요").ok()
    (row,) = [row for row in haechi("budgets", "list", "--json").ok().json if row["scope_id"] == "CM"]
    haechi("budgets", "end", row["id"], "--reason", "끝").ok()
    assert trail(used) == ["budget.set", "budget.set", "budget.transfer", "budget.end"]


def trail(_folder):
    from sqlalchemy import create_engine, text

    engine = create_engine("sqlite:///haechi.db")
    try:
        with engine.connect() as connection:
            statement = "SELECT action FROM access_audit WHERE action LIKE 'budget.%' ORDER BY seq"
            return list(connection.execute(text(statement)).scalars())
    finally:
        engine.dispose()
