from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from billing.estimates import DEFAULT_OUTPUT_TOKENS, Ratios, Sample, estimate, within
from billing.quotes import total
from billing.usage import Usage

if TYPE_CHECKING:
    from tests.billing.conftest import Maker

SAMPLES = st.lists(
    st.builds(
        Sample, st.integers(1, 10**5), st.integers(0, 10**5), st.integers(0, 10**4), st.integers(0, 10**5)
    )
)


@given(SAMPLES, st.integers(0, 10**6), st.none() | st.integers(0, 10**5), st.integers(0, 10**5))
def test_an_estimate_stays_within_what_was_asked_for(
    samples: list[Sample], input_bytes: int, output_bytes: int | None, most: int
) -> None:
    usage = estimate(samples, input_bytes, output_bytes, most)
    assert 0 <= (usage.input or 0) <= input_bytes
    assert 0 <= (usage.output or 0) <= most


def test_without_experience_korean_text_is_assumed() -> None:
    assert estimate((), 1_000, None, None) == Usage(input=300, output=DEFAULT_OUTPUT_TOKENS, requests=1)


def test_experience_is_learned_per_model_and_its_median_counts() -> None:
    ratios = Ratios()
    for input_tokens in (100, 200, 90_000):
        ratios.learn("gpt", Sample(1_000, input_tokens, 50, 500))
    assert ratios.estimate("gpt", 1_000, 1_000, None) == Usage(input=200, output=100, requests=1)
    assert ratios.estimate("other", 1_000, None, 10) == Usage(input=300, output=10, requests=1)


def test_what_nobody_reported_teaches_nothing() -> None:
    ratios = Ratios()
    ratios.learn("gpt", Sample(0, 0, 0))
    assert ratios.estimate("gpt", 1_000, None, None).input == 300


def test_an_estimate_above_the_hold_shrinks_to_it(make: Maker) -> None:
    quote = make.dispatch().quote
    usage = Usage(input=1_000_000, output=1_000_000, requests=1)
    for hold in (0, 1, 1_000_000, total(quote.rate(usage)) - 1, total(quote.rate(usage))):
        assert total(quote.rate(within(quote, usage, hold))) <= hold
    assert within(quote, usage, total(quote.rate(usage))) is usage
