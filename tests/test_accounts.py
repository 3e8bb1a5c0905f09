from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import (
    PER_ACCOUNT,
    Failures,
    ThrottleRules,
    login_of,
    password_problem,
    shown_text,
)
from gateway.sign_in import network_of

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "login"),
    [
        ("Kim", "kim"),
        (" kim.cs@seoul.go.kr ", "kim.cs@seoul.go.kr"),
        ("ＫＩＭ", "kim"),
        ("S260001", "s260001"),
        ("김", None),
        ("a", None),
        ("-kim", None),
        ("k m", None),
        ("kim\n", "kim"),
        ("kim\u202e", None),
        ("x" * 65, None),
        ("kım", None),
    ],
)
def test_a_login_is_plain_whatever_was_typed(typed, login):
    assert login_of(typed) == login


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("Abcdef12", "short"),
        ("Zxkdlm1!9", None),
        ("zxkdlmqw1", "short"),
        ("zxkdlmqw17", None),
        ("한글로만든비밀번호", "short"),
        ("correcthorsebat", "short"),
        ("correct horse battery", None),
        ("correcthorsebattery", None),
        ("kim-Zq9!vk2", "login"),
        ("Password1!", "common"),
        ("dkssudgktpdy1!", None),
        ("1q2w3e4r!!", "common"),
        ("Ab1!Ab1!Ab1!", "repeated"),
        ("x" * 129, "long"),
    ],
)
def test_passwords_follow_the_rules_of_kisa(password, problem):
    assert password_problem(password, "kim") == problem


@pytest.mark.parametrize("login", ["a@seoul.go.kr", "zx@seoul.go.kr", "x"])
def test_a_login_of_one_or_two_letters_may_stand_in_a_password(login):
    assert password_problem("Zxkdlm1!9a", login) is None


def test_the_same_password_again_is_refused():
    assert password_problem("Zxkdlm1!9", "kim", previous_same=True) == "same"


@given(st.text(max_size=300), st.integers(1, 80))
def test_shown_text_is_one_short_line_without_disguise_and_settles(text, most):
    shown = shown_text(text, most)
    assert len(shown) <= most
    assert shown == shown.strip()
    assert not set(shown) & set("\n\r\t\0\u202e\u202d\u2066\u2028\ufeff")
    assert shown_text(shown, most) == shown


def test_shown_text_keeps_what_people_write():
    for text in ("김철수", "O'Brien & Söhne", "👨‍👩‍👧‍👦🇰🇷", "<b>", "=1+1", "a b"):
        assert shown_text(text, 80) == text


def test_tries_are_free_then_waited_for_then_long():
    failures = Failures()
    for _ in range(PER_ACCOUNT.free):
        assert failures.wait_s(PER_ACCOUNT, NOW) == 0
        failures = failures.after_one_more(PER_ACCOUNT, NOW)
    waits = []
    for _ in range(20):
        waits.append(failures.wait_s(PER_ACCOUNT, NOW))
        failures = failures.after_one_more(PER_ACCOUNT, NOW)
    assert waits[0] == 5
    assert waits == sorted(waits)
    assert waits[-1] == PER_ACCOUNT.longest_wait_s


def test_failures_are_forgotten_after_their_time():
    rules = ThrottleRules(free=1, first_wait_s=10, forget_after_s=60)
    failures = Failures().after_one_more(rules, NOW)
    assert failures.wait_s(rules, NOW + timedelta(seconds=4)) == 6
    assert failures.wait_s(rules, NOW + timedelta(seconds=11)) == 0
    assert failures.after_one_more(rules, NOW + timedelta(seconds=61)).count == 1


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.2", "10.0.0.2"),
        ("testclient", "testclient"),
    ],
)
def test_an_attacker_with_many_addresses_of_one_network_counts_as_one(address, counted):
    assert network_of(address) == counted
