"""Rate limits as each dialect writes them."""

from __future__ import annotations

import pytest

from gateway.limits.limiter import LimitReached, Standing
from gateway.limits.rules import Bucket, Per, Rule, Unit, buckets
from gateway.limits.words import duration, headers, refusal
from tests.limits.conftest import CALLER

BOTH = Rule("r", (Per.PERSON, Per.MODEL), 10, 1_000)


def standing(unit: Unit, left: int, rule: Rule = BOTH) -> Standing:
    bucket = Bucket.of(rule, unit, rule.subject(CALLER, "m"))
    return Standing(bucket, left, 86_000_000, 1_763_776_800_000_000)


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0ms"), (450_000, "450ms"), (1_000_001, "2s"), (86_000_000, "1m26s")]
)
def test_durations_are_written_as_openai_writes_them(us: int, text: str) -> None:
    assert duration(us) == text


def test_the_limit_that_is_nearest_to_its_end_is_shown() -> None:
    wide = Rule("wide", (), 1_000)
    shown = headers([standing(Unit.REQUESTS, 5, wide), standing(Unit.REQUESTS, 9)], "chat")
    assert shown["x-ratelimit-remaining-requests"] == "5"
    assert shown["x-ratelimit-limit-requests"] == "1000"


def test_anthropics_clients_get_instants() -> None:
    shown = headers([standing(Unit.TOKENS, 7)], "messages")
    assert shown == {
        "anthropic-ratelimit-tokens-limit": "1000",
        "anthropic-ratelimit-tokens-remaining": "7",
        "anthropic-ratelimit-tokens-reset": "2025-11-22T02:01:26Z",
    }


def test_a_wait_is_whole_seconds_rounded_up() -> None:
    error = refusal(LimitReached(standing(Unit.TOKENS, 7), 8, 1_200_000), "chat")
    assert error.retry_after_s == 2
    assert "사용자 p1·모델 m" in error.korean
    assert "person p1, model m" in error.english


def test_a_slash_in_a_name_makes_no_other_subject() -> None:
    rule = Rule("r", (Per.PERSON, Per.MODEL), 1)
    (one,) = buckets([rule], CALLER, "a/model=b")
    (other,) = buckets([rule], CALLER, "a")
    assert one.id != other.id
    assert one.id.count("/") == other.id.count("/")
