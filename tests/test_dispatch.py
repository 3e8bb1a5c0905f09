"""What one attempt cannot exceed: the bound of its hold, in won and in tokens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.prices import PriceBook
from billing.usage import Usage
from gateway.dispatch import (
    MOST_PICTURE_TOKENS,
    MOST_SEARCHES,
    TOOLS_PREAMBLE_TOKENS,
    bound_of,
    most_tokens,
)
from gateway.domain import ChatRequest, Image, Message, Text, Tool, ToolResult
from gateway.media.work import MediaRequest

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


def test_every_choice_may_have_all_of_its_output() -> None:
    one, three = bound_of(chat(), 1_000, 500), bound_of(chat(n=3), 1_000, 500)
    assert (one.tokens, three.tokens) == (1_500, 2_500)
    assert three.cost(QUOTE) - one.cost(QUOTE) == 2 * 500 * 8_000 * 1_000


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


def test_searches_are_held_where_they_are_priced() -> None:
    bound = bound_of(chat(), 100, 10)
    assert bound.cost(SEARCHING) >= MOST_SEARCHES * 14 * 10**9
    used = Usage(input=100, output=10, requests=1, searches=MOST_SEARCHES)
    assert sum(line.amount_nano_krw for line in SEARCHING.rate(used)) <= bound.cost(SEARCHING)


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
    assert sum(line.amount_nano_krw for line in QUOTE.rate(usage)) <= bound.cost(QUOTE)


@pytest.mark.parametrize("most_output", [1, 4_096])
def test_a_bound_in_tokens_is_what_the_dispatch_records(most_output: int) -> None:
    """billing.budgets.held_by adds up these two columns."""
    bound = bound_of(chat(TINY, n=2, tools=(Tool("f"),)), 700, most_output)
    input_bytes = bound.text_bytes + bound.beside.input_tokens
    max_output_tokens = bound.output_tokens + bound.beside.output_tokens
    assert input_bytes + max_output_tokens == bound.tokens
