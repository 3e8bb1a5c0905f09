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
