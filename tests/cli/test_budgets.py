"""`haechi budgets`: set, looked at, ended, compared with the ledger."""

from decimal import Decimal

import pytest

from tests.cli import test_reports

used = test_reports.used  # a ledger with charges of 0.156 won in CM and 200.003 won in IS


def test_a_budget_counts_what_the_ledger_holds_already(haechi, used):
    haechi("budgets", "set", "unit", "IS", "1,000", "--reason", "2026년 11월 배정").ok()
    (row,) = haechi("budgets", "list", "--json").ok().json
    assert (row["scope"], row["scope_id"], row["every"], row["hard"]) == ("unit", "IS", "month", True)
    haechi("budgets", "check").ok()


def test_a_new_budget_replaces_the_one_before(haechi, used):
    for won in (1000, 2000):
        haechi("budgets", "set", "unit", "SEOUL", won, "--every", "year", "--reason", "추경").ok()
    (row,) = haechi("budgets", "list", "--json").ok().json
    assert Decimal(row["limit_krw"]) == 2000
    assert "unit:SEOUL" in haechi("budgets", "list").ok().out


def test_an_ended_budget_is_gone(haechi, used):
    haechi("budgets", "set", "person", "S1", "5", "--soft", "--reason", "시험").ok()
    (row,) = haechi("budgets", "list", "--json").ok().json
    haechi("budgets", "end", row["id"], "--reason", "끝").ok()
    assert haechi("budgets", "list", "--json").ok().json == []
    assert haechi("budgets", "end", row["id"], "--reason", "끝").code == 4


@pytest.mark.parametrize("won", ["-1", "많이", "NaN", "1e30"])
def test_a_limit_that_is_no_amount_is_refused(haechi, used, won):
    assert haechi("budgets", "set", "--reason", "x", "--", "unit", "IS", won).code == 2


def test_tokens_and_requests_are_budgets_beside_won(haechi, used):
    haechi("budgets", "set", "unit", "IS", "1000", "--tokens", "5,000,000", "--reason", "배정").ok()
    haechi("budgets", "set", "unit", "IS", "--requests", "300", "--reason", "배정").ok()
    rows = {row["measure"]: row for row in haechi("budgets", "list", "--json").ok().json}
    assert rows.keys() == {"won", "tokens", "requests"}
    assert rows["tokens"]["limit_tokens"] == 5_000_000
    assert rows["requests"]["limit_requests"] == 300
    assert rows["requests"]["spent_requests"] > 0
    haechi("budgets", "check").ok()


@pytest.mark.parametrize("limits", [(), ("--tokens", "1.5"), ("--requests", "-3")])
def test_a_budget_without_a_whole_limit_is_refused(haechi, used, limits):
    assert haechi("budgets", "set", "unit", "IS", *limits, "--reason", "x").code == 2


def test_no_budget_changes_without_a_reason(staffed, haechi):
    for reason in ("", "  "):
        refused = haechi("budgets", "set", "unit", "CM", "1000", "--reason", reason)
        assert refused.code == 2
        assert "사유" in refused.err
    assert haechi("budgets", "list", "--json").json == []
