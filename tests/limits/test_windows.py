"""The arithmetic of the sliding minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.windows import MINUTE_US, Ask, Moment, Share, room, share, wait_us

counts = st.integers(0, 2_000)
moments = st.integers(0, 10 * MINUTE_US).map(Moment.of)


def fits(limit: int, used: int, previous: int, need: int, at: Moment) -> bool:
    return room(limit, previous, at) - used >= need


@given(st.integers(1, 1_000), counts, counts, st.integers(0, 1_500), moments)
def test_a_wait_is_exact_to_the_microsecond(
    limit: int, used: int, previous: int, need: int, at: Moment
) -> None:
    wait = wait_us(limit, used, previous, need, at)
    if wait is None:
        assert need > limit
        return

    def fits_after(us: int) -> bool:
        later = Moment.of(at.minute * MINUTE_US + at.into_us + us)
        match later.minute - at.minute:
            case 0:
                return fits(limit, used, previous, need, later)
            case 1:
                return fits(limit, 0, used, need, later)
            case _:
                return fits(limit, 0, 0, need, later)

    assert fits_after(wait)
    assert wait == 0 or not fits_after(wait - 1)


@given(st.integers(1, 10_000), counts, counts, st.integers(0, 1_500), counts, moments)
def test_a_share_is_what_is_needed_or_more_and_never_more_than_is_left(
    limit: int, used: int, previous: int, need: int, want: int, at: Moment
) -> None:
    left = room(limit, previous, at) - used
    taken = share(Ask("c", limit, need, want), used, previous, at)
    assert taken == 0 if left < need or not need else need <= taken <= left


def test_the_last_minute_fades_as_this_one_passes() -> None:
    assert [room(60, 60, Moment(1, seconds * 1_000_000)) for seconds in (0, 1, 30, 59)] == [0, 1, 30, 59]


def test_a_fresh_share_shows_the_whole_limit() -> None:
    made = Share(10, 1)
    assert (made.left(Moment(1, 0)), made.fresh_us(Moment(1, 0))) == (10, 0)
