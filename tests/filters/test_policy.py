"""Policies: read from tables with every mistake named, resolved per department, zone and moment."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from filters.errors import PolicyError
from filters.policy import (
    EXTERNAL,
    IN_HOUSE,
    Policy,
    PolicyBook,
    PolicyException,
    default_book,
    default_policy,
    digits_of,
)
from filters.verdict import Action, Grade
from filters.walker import Limits

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def test_the_shipped_policy_says_what_the_documents_promise():
    external = default_book().for_("행정국", EXTERNAL, NOW)
    by_action = {action: set() for action in Action}
    for type_, rule in external.rules.items():
        by_action[rule.action].add(type_)
    assert by_action[Action.BLOCK] >= {
        "KR_RRN",
        "KR_FRN",
        "KR_PASSPORT",
        "KR_DRIVER_LICENSE",
        "CREDIT_CARD",
        "SECRET",
    }
    assert by_action[Action.MASK] >= {
        "PERSON",
        "PHONE_NUMBER",
        "EMAIL_ADDRESS",
        "KR_ADDRESS",
        "KR_BANK_ACCOUNT",
        "KR_HEALTH_INSURANCE",
        "KR_CUSTOMS_CODE",
        "KR_VEHICLE",
        "DATE_OF_BIRTH",
        "KR_BRN",
        "KR_CORP_NO",
    }
    assert external.labels["SECURITY_MARKING", "대외비"] is Action.BLOCK
    assert external.labels["SECURITY_MARKING", "급비밀"] is Action.BLOCK
    assert external.labels["SECURITY_MARKING", "비공개"] is Action.ROUTE
    assert external.labels["KR_BRN", "company"] is Action.ALLOW
    assert external.grade("SECURITY_MARKING", "대외비") is Grade.C
    assert external.grade("PERSON", "") is Grade.S
    assert external.grade("KR_BRN", "government") is Grade.O
    assert "KR_RRN" in external.never_restored
    assert not external.open_parts


def test_a_table_says_only_what_differs():
    policy = Policy.from_mapping(
        {"version": "city-1", EXTERNAL: {"types": {"PERSON": "allow"}, "open_parts": ["image"]}}
    )
    external = policy.zones[EXTERNAL]
    assert external.rule("PERSON").action is Action.ALLOW
    assert external.rule("KR_RRN").action is Action.BLOCK
    assert external.open_parts == {"image"}
    assert external.version == "city-1"
    assert policy.zones[IN_HOUSE].rules == default_policy().zones[IN_HOUSE].rules


def test_a_department_may_differ_and_the_most_specific_unit_decides():
    policy = Policy.from_mapping(
        {
            "version": "v",
            "departments": {
                "국": {EXTERNAL: {"types": {"PERSON": "block"}}},
                "과": {EXTERNAL: {"types": {"PERSON": {"action": "route", "threshold": 0.9}}}},
            },
        }
    )
    book = PolicyBook([policy])
    assert book.for_(["시", "국"], EXTERNAL, NOW).rule("PERSON").action is Action.BLOCK
    assert book.for_(["시", "국", "과"], EXTERNAL, NOW).rule("PERSON") == (Action.ROUTE, 0.9)
    assert book.for_("다른 과", EXTERNAL, NOW).rule("PERSON").action is Action.MASK
    assert book.for_(["시", "국", "과"], IN_HOUSE, NOW).rule("PERSON").action is Action.ALLOW


def test_the_version_in_force_is_the_latest_that_has_begun():
    old = Policy.from_mapping({"version": "old", "effective_from": "2026-01-01"})
    new = Policy.from_mapping({"version": "new", "effective_from": "2026-11-22T12:00:00+09:00"})
    book = PolicyBook([new, old])
    at = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    assert book.for_("과", EXTERNAL, at).version == "new"
    assert book.for_("과", EXTERNAL, at - timedelta(seconds=1)).version == "old"


def test_a_bare_date_begins_at_midnight_in_seoul():
    policy = Policy.from_mapping({"version": "v", "effective_from": "2026-11-22"})
    assert policy.effective_from == datetime(2026, 11, 21, 15, 0, tzinfo=UTC)


def test_an_exception_ends_by_itself_and_stays_in_its_department():
    until = NOW + timedelta(days=1)
    book = default_book().with_exceptions([PolicyException(until, type="KR_VEHICLE", department="교통과")])
    assert book.for_("교통과", EXTERNAL, NOW).exceptions
    assert not book.for_("교통과", EXTERNAL, until).exceptions
    assert not book.for_("행정국", EXTERNAL, NOW).exceptions


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "version is missing"),
        ({"version": "v", "extrenal": {}}, "did you mean 'external'"),
        ({"version": "v", EXTERNAL: {"typs": {}}}, "did you mean 'types'"),
        ({"version": "v", EXTERNAL: {"types": {"PERSON": "maks"}}}, "use one of allow, mask, route, block"),
        ({"version": "v", EXTERNAL: {"types": {"PERSON": {"threshold": 7}}}}, "a number from 0 to 1"),
        ({"version": "v", EXTERNAL: {"open_parts": ["pictures"]}}, "possible here: image"),
        ({"version": "v", EXTERNAL: []}, "expected a table"),
        ({"version": "v", "grades": {"PERSON": "X"}}, "use C, S or O"),
        ({"version": "v", "effective_from": "tomorrow"}, "is no date or time"),
        ({"version": "v", "exceptions": [{"type": "PERSON"}]}, "must expire"),
        ({"version": "v", "exceptions": [{"until": "2026-12-01"}]}, "an exception for everything is none"),
        ({"version": "v", "allow": {"phones": []}}, "unknown key 'phones'"),
        ({"version": "v", "allow": {"phone_numbers": [120]}}, "a text in quotes"),
        ({"version": "v", "allow": {"phone_numbers": "120"}}, "a list of texts"),
        ({"version": "v", EXTERNAL: {"types": {"KR_RNN": "mask"}}}, "did you mean 'KR_RRN'"),
        ({"version": "v", EXTERNAL: {"labels": {"KR_BNR": {"company": "mask"}}}}, "did you mean 'KR_BRN'"),
        ({"version": "v", EXTERNAL: {"types": []}}, "expected a table"),
        ({"version": "v", EXTERNAL: {"dense": {"people": "five"}}}, "a whole number"),
        ({"version": "v", EXTERNAL: {"dense": {"persons": 5}}}, "unknown key 'persons'"),
        ({"version": "v", "simulate": "no"}, "true or false"),
        ({"version": "v", "never_restored": "KR_RRN"}, "a list of texts"),
        ({"version": "v", "departments": {"과": {"outside": {}}}}, "unknown key 'outside'"),
    ],
)
def test_a_mistake_is_named_with_its_key_and_a_way_out(table, says):
    with pytest.raises(PolicyError, match=says):
        Policy.from_mapping(table)


def test_an_agency_may_name_types_of_its_own():
    policy = Policy.from_mapping({"version": "v", EXTERNAL: {"types": {"EMPLOYEE_NO": "block"}}})
    assert policy.zones[EXTERNAL].rule("EMPLOYEE_NO").action is Action.BLOCK
    assert policy.zones[EXTERNAL].rule("PROJECT_NAME").action is Action.MASK


def test_density_can_be_tightened_and_turned_off():
    tight = Policy.from_mapping(
        {"version": "v", EXTERNAL: {"dense": {"people": 2, "action": "block"}}}
    ).zones[EXTERNAL]
    assert (tight.density.people, tight.density.identifiers, tight.density.action) == (2, 5, Action.BLOCK)
    off = Policy.from_mapping({"version": "v", EXTERNAL: {"dense": False}}).zones[EXTERNAL]
    assert off.density is None


def test_two_versions_of_one_name_are_refused():
    with pytest.raises(PolicyError, match="two policies are called"):
        PolicyBook([default_policy(), default_policy()])


def test_an_empty_book_and_an_unknown_zone_are_refused():
    with pytest.raises(PolicyError, match="at least one version"):
        PolicyBook([])
    with pytest.raises(PolicyError, match="knows no zone"):
        default_book().for_("과", "moon", NOW)


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("02-120", "02120"),
        ("０２ 120", "02120"),
        ("+82 2-120", "02120"),
        ("+82-02-120", "02120"),
        ("1588", "1588"),
    ],
)
def test_numbers_are_compared_by_their_digits(written, digits):
    assert digits_of(written) == digits


def test_the_example_of_the_manual_is_a_policy():
    manual = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
    example = manual.split("```toml\n")[1].split("```")[0]
    (table,) = tomllib.loads(example)["filter"]["policies"]
    external = Policy.from_mapping(table).zones[EXTERNAL]
    assert external.rule("PHONE_NUMBER").action is Action.BLOCK
    assert external.rule("PERSON") == (Action.MASK, 0.7)
    assert external.labels["KR_BRN", "individual"] is Action.BLOCK
    assert external.grade("SECURITY_MARKING", "내부검토용") is Grade.C
    assert "0221331234" in external.allow.phone_numbers


def test_the_bounds_of_the_manual_are_those_of_the_code():
    manual = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
    limits = Limits()
    assert f"nested deeper than {limits.depth} " in manual
    for bound in (
        f"{limits.characters:,} characters",
        f"{limits.parts:,}\nstrings",
        f"{limits.findings:,} findings",
    ):
        assert bound in manual
