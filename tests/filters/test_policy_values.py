"""Single values of a policy table: read or refused with the key in front of the reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import policy_values as read
from filters.errors import PolicyError

ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({})
)


@given(ANYTHING)
def test_every_value_is_read_or_refused_by_name(value):
    for reader in (
        read.action,
        read.grade,
        read.share,
        read.count,
        read.truth,
        read.word,
        read.words,
        read.moment,
    ):
        try:
            reader(value, "external.x")
        except PolicyError as refused:
            assert str(refused).startswith("policy.external.x: ")  # noqa: PT017 - success is allowed as well


@given(st.floats(0, 1))
def test_a_threshold_is_a_share(value):
    assert read.share(value, "x") == value


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T09:00:00+09:00",
        "2026-11-22T00:00:00Z",
        "2026-11-22T09:00:00",
        datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=9))),
        datetime(2026, 11, 22, 9),
    ],
)
def test_a_moment_is_the_same_however_it_is_written(written):
    assert read.moment(written, "x") == datetime(2026, 11, 22, tzinfo=UTC)


def test_a_date_is_its_midnight_in_seoul():
    assert read.moment(date(2026, 11, 22), "x") == datetime(2026, 11, 21, 15, tzinfo=UTC)


def test_a_slip_in_a_type_is_caught_and_a_new_type_is_not():
    with pytest.raises(PolicyError, match="did you mean 'PHONE_NUMBER'"):
        read.type_name("PHONE_NUMBERS", "x")
    assert read.type_name("PROJECT_CODE", "x") == "PROJECT_CODE"
