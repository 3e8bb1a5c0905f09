"""What one attempt cannot exceed: the bound of its hold, in won and in tokens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.prices import PriceBook
from billing.usage import Usage
from gateway.catalogue import Deployment
from gateway.dispatch import (
    MOST_PICTURE_TOKENS,
    TOOLS_PREAMBLE_TOKENS,
    bound_of,
    most_tokens,
)
from gateway.domain import ChatRequest, Image, Message, Text, Tool, ToolResult
from gateway.errors import ServiceUnavailable
from gateway.media.work import MediaRequest
from gateway.providers.unbounded import MOST_SEARCHES

BOOK = PriceBook.from_tables(
    [
        {"key": "m", "from": "2026-01-01", "currency": "KRW", "input": "1000", "output": "8000"},
        {"key": "s", "from": "2026-01-01", "currency": "KRW", "input": "1000", "searches": "14"},
    ],
    [],
)
QUOTE, SEARCHING = (BOOK.quote(key, datetime(2026, 11, 22, tzinfo=UTC)) for key in ("m", "s"))
TINY = Image("data:image/png;base64,AAAA")
HUGE = Image(f"data:image/png;base64,{'A' * 4_000_000}")


def chat(*parts: object, **more: object) -> ChatRequest:
    return ChatRequest("m", (Message("user", (Text("안녕"), *parts)),), **more)  # type: ignore[arg-type]


def at(upstream_model: str, **options: int) -> Deployment:
    return Deployment(
        id="d",
        model_id="m",
        provider="p",
        wire="openai",
        profile="generic",
        base_url="http://127.0.0.1:9/v1",
        upstream_model=upstream_model,
        zone="external",
        price_key="s",
        options=options,
    )


def test_every_choice_may_have_all_of_its_output() -> None:
    one, three = bound_of(chat(), 1_000, 500), bound_of(chat(n=3), 1_000, 500)
    assert (one.tokens, three.tokens) == (1_500, 2_500)
    assert three.cost(QUOTE, at("m")) - one.cost(QUOTE, at("m")) == 2 * 500 * 8_000 * 1_000


def test_a_picture_of_few_bytes_may_have_many_tokens() -> None:
    assert bound_of(chat(TINY), 1_000, 10).beside.image_input == MOST_PICTURE_TOKENS
    inside = ToolResult("call", (TINY, TINY))
    assert bound_of(chat(inside), 1_000, 10).beside.image_input == 2 * MOST_PICTURE_TOKENS


def test_the_bytes_of_a_picture_are_no_text() -> None:
    size = len(HUGE.url) + 300
    bound = bound_of(chat(HUGE), size, 10)
    assert bound.text_bytes <= 330
    assert bound.tokens < MOST_PICTURE_TOKENS + 400


def test_tools_bring_text_of_the_provider_with_them() -> None:
    assert bound_of(chat(tools=(Tool("f"),)), 100, 10).tokens == 110 + TOOLS_PREAMBLE_TOKENS


@pytest.mark.parametrize(
    ("model", "options", "searches"),
    [
        ("gpt-6-astra", {}, 0),
        ("sonar-pro", {}, MOST_SEARCHES),
        ("gpt-5-search-api", {}, MOST_SEARCHES),
        ("groq/compound", {}, MOST_SEARCHES),
        ("openai/gpt-6-astra:online", {}, MOST_SEARCHES),
        ("gpt-6-astra", {"most_searches": 3}, 3),
        ("sonar-deep-research", {"most_searches": 60}, 60),
    ],
)
def test_searches_are_held_where_they_are_priced_and_can_happen(
    model: str, options: dict[str, int], searches: int
) -> None:
    bound = bound_of(chat(), 100, 10)
    cost = bound.cost(SEARCHING, at(model, **options))
    rounded = 100  # nano-won: a bound rounds up
    assert 0 <= cost - bound.cost(SEARCHING, at("m")) - searches * 14 * 10**9 < rounded
    used = Usage(input=100, output=10, requests=1, searches=searches)
    assert sum(line.amount_nano_krw for line in SEARCHING.rate(used)) <= cost


def test_a_model_that_researches_without_end_is_not_served() -> None:
    with pytest.raises(ServiceUnavailable, match="most_searches") as refused:
        bound_of(chat(), 100, 10).cost(SEARCHING, at("sonar-deep-research"))
    assert refused.value.code == "no_bound"


def test_a_predicted_answer_may_be_billed_as_output_beside_the_limit() -> None:
    predicted = chat(extra={"prediction": {"type": "content", "content": "가" * 100}})
    assert bound_of(predicted, 1_000, 500).output_tokens - bound_of(chat(), 1_000, 500).output_tokens > 300


def test_an_upload_counts_by_its_texts_until_its_tokens_are_known() -> None:
    request = MediaRequest("whisper", (Message("user", (Text("이름들"),)),), maxima=Usage(audio_input=50))
    assert most_tokens(request, 25_000_000, 4_096) == len("이름들".encode()) + 50
    assert most_tokens(chat(), 1_000, 500) == 1_500


@given(
    st.integers(0, 5_000), st.integers(0, 500), st.integers(1, 4), st.integers(0, 2), st.data(), st.booleans()
)
def test_no_usage_within_its_limits_costs_or_counts_more_than_its_bound(
    size: int, most_output: int, choices: int, pictures: int, data: st.DataObject, tools: bool
) -> None:
    request = chat(*[TINY] * pictures, n=choices, tools=(Tool("f"),) * tools)
    size += pictures * len(TINY.url)
    bound = bound_of(request, size, most_output)
    text = data.draw(st.integers(0, bound.text_bytes))
    cached = data.draw(st.integers(0, text))
    output = data.draw(st.integers(0, choices * most_output))
    usage = Usage(
        input=text - cached + TOOLS_PREAMBLE_TOKENS * tools,
        cache_read=cached,
        output=output // 2,
        reasoning=output - output // 2,
        image_input=data.draw(st.integers(0, MOST_PICTURE_TOKENS * pictures)),
        requests=1,
    )
    assert usage.total_tokens <= bound.tokens
    assert sum(line.amount_nano_krw for line in QUOTE.rate(usage)) <= bound.cost(QUOTE, at("m"))


@pytest.mark.parametrize("most_output", [1, 4_096])
def test_a_bound_in_tokens_is_what_the_dispatch_records(most_output: int) -> None:
    """billing.budgets.held_by adds up these two columns."""
    bound = bound_of(chat(TINY, n=2, tools=(Tool("f"),)), 700, most_output)
    input_bytes = bound.text_bytes + bound.beside.input_tokens
    max_output_tokens = bound.output_tokens + bound.beside.output_tokens
    assert input_bytes + max_output_tokens == bound.tokens
