import json
import re
from datetime import UTC, datetime, timedelta

import pytest


def test_a_key_is_shown_once_and_listed_by_its_prefix_only(staffed, haechi):
    ran = haechi("keys", "create", "--person", "S1", "--label", "보고서").ok()
    secret = ran.out.strip()
    assert re.fullmatch(r"hk-[0-9A-Za-z]{49}", secret)
    listed = haechi("keys", "list").ok().out
    assert secret not in listed
    assert secret[:9] in listed
    assert "보고서" in listed


def test_a_person_may_be_named_by_address_and_a_typo_gets_a_suggestion(staffed, haechi):
    assert haechi("keys", "create", "--person", "KIM@seoul.example", "--json").ok().json["person_id"] == "S1"
    wrong = haechi("keys", "create", "--person", "S11")
    assert wrong.code == 2
    assert "'S1'?" in wrong.err


def test_expiry_counts_days_or_lasts_to_the_end_of_the_named_day_in_seoul(staffed, haechi):
    named = haechi("keys", "create", "--person", "S1", "--expires", "2099-12-31", "--json").ok().json
    assert datetime.fromisoformat(named["expires_at"]) == datetime(2099, 12, 31, 15, tzinfo=UTC)
    counted = haechi("keys", "create", "--person", "S1", "--expires", "90d", "--json").ok().json
    left = datetime.fromisoformat(counted["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left < timedelta(days=90)
    for wrong in ("tomorrow", "2020-01-01", "0d", "2026-02-30"):
        assert haechi("keys", "create", "--person", "S1", "--expires", wrong).code == 2


def test_a_key_may_have_limits_of_its_own(staffed, haechi):
    limits = ("--requests-per-min", "30", "--tokens-per-min", "60000")
    made = haechi("keys", "create", "--person", "S1", *limits, "--json").ok().json
    assert (made["requests_per_min"], made["tokens_per_min"]) == (30, 60_000)
    assert haechi("keys", "create", "--person", "S1", "--tokens-per-min", "-1").code == 2


def test_models_are_checked_against_the_catalogue(staffed, haechi):
    assert haechi("keys", "create", "--person", "S1", "--models", "city-llm", "--json").ok().json[
        "models"
    ] == ["city-llm"]
    wrong = haechi("keys", "create", "--person", "S1", "--models", "city-lm")
    assert wrong.code == 2
    assert "'city-llm'?" in wrong.err


def test_a_service_key_may_be_trusted_and_have_a_department_that_pays(staffed, haechi):
    made = (
        haechi("keys", "create", "--service", "Open WebUI", "--trusted", "--department", "CM", "--json")
        .ok()
        .json
    )
    assert (made["service"], made["trusted"], made["department"]) == ("Open WebUI", True, "CM")
    assert haechi("keys", "create", "--service", "x", "--department", "CX").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--person", "S1", "--service", "x"],
        ["--person", "S1", "--trusted"],
        ["--person", "S1", "--department", "CM"],
    ],
)
def test_a_key_of_nobody_of_two_or_with_a_services_rights_is_refused(staffed, haechi, arguments):
    assert haechi("keys", "create", *arguments).code == 2
    assert haechi("keys", "list", "--json").json == []


def test_a_revoked_key_is_listed_only_on_request(staffed, haechi):
    made = haechi("keys", "create", "--person", "S1", "--json").ok().json
    haechi("keys", "revoke", made["prefix"]).ok()
    assert haechi("keys", "list", "--json").json == []
    (row,) = haechi("keys", "list", "--all", "--json").json
    assert row["state"] == "revoked"
    assert "이미" in haechi("keys", "revoke", made["id"]).ok().out
    leaked = haechi("keys", "create", "--person", "S1").ok().out.strip()
    haechi("keys", "revoke", leaked).ok()
    assert haechi("keys", "list", "--json").json == []
    unknown = haechi("keys", "revoke", "key_none")
    assert unknown.code == 1
    assert "haechi keys list --all" in unknown.err


def test_a_key_in_use_is_given_limits_and_loses_them_again(staffed, haechi):
    key = haechi("keys", "create", "--person", "S1", "--json").ok().json
    limits = ("--requests-per-min", "20", "--tokens-per-min", "40000")
    told = haechi("keys", "limit", key["prefix"], *limits, "--reason", "시범 운영").ok().out
    assert "분당 요청 한도: 없음 → 20" in told
    haechi("keys", "limit", key["key"], "--tokens-per-min", "0", "--reason", "해제").ok()
    (row,) = haechi("keys", "list", "--json").json
    assert (row["requests_per_min"], row["tokens_per_min"]) == (20, 0)
    again = haechi("keys", "limit", key["id"], "--requests-per-min", "20", "--reason", "또").ok()
    assert "바뀐 것은 없습니다" in again.out
    lines = haechi("audit", "export").ok().out.splitlines()
    changes = [event for event in map(json.loads, lines) if event.get("action") == "key.limit"]
    assert [event["reason"] for event in changes] == ["시범 운영", "해제"]
    assert changes[1]["details"]["before"] == {"requests_per_min": 20, "tokens_per_min": 40_000}
    assert changes[1]["details"]["after"] == {"requests_per_min": 20, "tokens_per_min": 0}


def test_a_key_in_use_is_given_budgets(staffed, haechi):
    key = haechi("keys", "create", "--person", "S1", "--json").ok().json
    amounts = ("--krw", "100,000", "--requests", "500", "--every", "quarter")
    made = haechi("keys", "limit", key["id"], *amounts, "--reason", "시범 운영", "--json").ok().json
    assert {(budget["measure"], budget["hard"]) for budget in made["budgets"]} == {
        ("won", True),
        ("requests", True),
    }
    listed = haechi("budgets", "list", "--json").ok().json
    assert {(row["scope"], row["scope_id"], row["every"]) for row in listed} == {
        ("key", key["id"], "quarter")
    }


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--requests-per-min", "-1"], 2),
        (["--krw", "-1"], 2),
        (["--requests-per-min", "3", "--no-such-thing"], 2),
    ],
)
def test_a_limit_that_says_nothing_changes_nothing(staffed, haechi, arguments, code):
    key = haechi("keys", "create", "--person", "S1", "--json").ok().json
    assert haechi("keys", "limit", key["id"], *arguments, "--reason", "r").code == code


def test_an_unknown_or_revoked_key_is_not_limited(staffed, haechi):
    assert "그런 키가 없거나" in haechi("keys", "limit", "key_0", "--krw", "1", "--reason", "r").err
    key = haechi("keys", "create", "--person", "S1", "--json").ok().json
    haechi("keys", "revoke", key["id"]).ok()
    refused = haechi("keys", "limit", key["id"], "--krw", "1", "--reason", "r")
    assert refused.code == 4
    assert "폐기된 키" in refused.err
    assert haechi("budgets", "list", "--json").json == []


def test_a_budget_of_an_unknown_key_is_refused_and_of_an_unknown_unit_warned_of(staffed, haechi):
    assert haechi("budgets", "set", "key", "key_0", "1000", "--reason", "r").code == 4
    assert "CX" in haechi("budgets", "set", "unit", "CX", "1000", "--reason", "r").ok().err
    assert haechi("budgets", "set", "unit", "CM", "1000", "--reason", "r").ok().err == ""
    assert haechi("budgets", "set", "person", "S1", "1000", "--reason", "r").ok().err == ""
