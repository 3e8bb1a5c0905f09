from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import NANO
from billing.quotes import PER, FxRate, Price, Quote, Tier, document_id, negated, total, variant
from billing.usage import CLASSES, TOKEN_CLASSES, Usage

AT = datetime(2026, 11, 1, tzinfo=UTC)
USD = FxRate("USD", date(2026, 11, 1), Decimal("1391.20"), AT, "test")


def price(currency: str = "USD", **prices: str) -> Price:
    return Price("m", "v1", AT, currency, {name: Decimal(text) for name, text in prices.items()})


def quote(currency: str = "USD", **prices: str) -> Quote:
    return Quote(price(currency, **prices), None if currency == "KRW" else USD)


DECIMALS = st.decimals(min_value=0, max_value=1000, places=6)
QUANTITIES = st.integers(0, 10**7)
QUOTES = st.builds(
    lambda prices, rate, tier, factor: Quote(
        Price(
            "m",
            "v1",
            AT,
            "USD",
            prices,
            tiers=() if tier is None else (Tier(tier[0], tier[1]),),
            service_tiers={} if factor is None else {"priority": factor},
        ),
        FxRate("USD", date(2026, 11, 1), rate, AT, ""),
    ),
    st.dictionaries(st.sampled_from(CLASSES), DECIMALS, min_size=1),
    st.decimals(min_value=1, max_value=3000, places=2),
    st.none() | st.tuples(st.integers(1, 10**6), st.dictionaries(st.sampled_from(CLASSES), DECIMALS)),
    st.none() | st.decimals(min_value=0, max_value=3, places=2),
)
USAGES = st.builds(
    lambda quantities, quarantined: Usage(**quantities, quarantined=quarantined),
    st.dictionaries(st.sampled_from(CLASSES), QUANTITIES),
    st.booleans(),
)


def test_a_line_is_quantity_times_price_times_rate() -> None:
    (line,) = quote(input="1.25").rate(Usage(input=700))
    assert line.amount_nano_krw == 1_217_300_000  # 700 × 1.25 $ ÷ 10⁶ × 1391.20 ₩/$ = 1.2173 ₩
    assert (line.unit_price, line.currency, line.per) == (Decimal("1.25"), "USD", 1_000_000)
    assert (line.fx_rate, line.fx_date, line.price_version) == (Decimal("1391.20"), date(2026, 11, 1), "v1")


def test_a_price_in_won_needs_no_rate() -> None:
    (line,) = quote("KRW", input="0.5").rate(Usage(input=2_000_000))
    assert line.amount_nano_krw == NANO
    assert line.fx_rate is None


def test_units_other_than_tokens_have_their_own_measure() -> None:
    lines = quote("KRW", images="55", audio_ms="8", characters="20000", searches="14").rate(
        Usage(images=2, audio_ms=1_500, characters=1_000, searches=1)
    )
    assert {line.token_class: line.amount_nano_krw // NANO for line in lines} == {
        "images": 110,
        "audio_ms": 12,
        "characters": 20,
        "searches": 14,
    }


@given(QUOTES, USAGES, st.sampled_from([None, "priority", "unknown"]))
def test_every_line_is_the_exact_product_rounded_once(
    quote: Quote, usage: Usage, service_tier: str | None
) -> None:
    assert quote.fx is not None
    for line in quote.rate(usage, service_tier):
        exact = (
            Fraction(line.unit_price) * line.quantity * Fraction(quote.fx.rate) * NANO / PER[line.token_class]
        )
        assert line.amount_nano_krw == round(exact)
        assert line.per == PER[line.token_class]


@given(QUOTES, USAGES)
def test_a_quote_rates_alike_after_it_was_stored_and_read(quote: Quote, usage: Usage) -> None:
    again = Quote.from_document(quote.document)
    assert again.id == quote.id == document_id(quote.document)
    assert again.rate(usage) == quote.rate(usage)


@given(QUOTES, USAGES)
def test_what_is_taken_back_leaves_nothing(quote: Quote, usage: Usage) -> None:
    lines = quote.rate(usage)
    assert total(lines + negated(lines)) == 0


@given(
    QUOTES,
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.integers(1, 5),
    st.data(),
)
def test_no_split_of_bounded_tokens_costs_more_than_the_bound(
    quote: Quote, input_bytes: int, most_output: int, choices: int, data: st.DataObject
) -> None:
    def split(whole: int, names: list[str]) -> dict[str, int]:
        cuts = sorted(
            data.draw(st.lists(st.integers(0, whole), min_size=len(names) - 1, max_size=len(names) - 1))
        )
        return {name: b - a for name, a, b in zip(names, [0, *cuts], [*cuts, whole], strict=True)}

    used = split(input_bytes, ["input", "cache_read", "cache_write_5m", "cache_write_1h"])
    used |= split(choices * most_output, ["output", "reasoning"])
    extra = {"image_input": data.draw(st.integers(0, 5_000)), "searches": data.draw(st.integers(0, 3))}
    usage = Usage(**used, **extra, requests=1, quarantined=data.draw(st.booleans()))
    bound = quote.upper_bound(input_bytes, most_output, choices, Usage(**extra, requests=1))
    service_tier = data.draw(st.sampled_from([None, "priority"]))
    assert total(quote.rate(usage, service_tier)) <= bound


def test_a_class_without_a_price_takes_its_kins() -> None:
    lines = quote(input="1", output="4").rate(
        Usage(input=1, cache_read=1, cache_write_5m=1, output=1, reasoning=1)
    )
    assert [(line.token_class, str(line.unit_price), line.basis) for line in lines] == [
        ("input", "1", "own"),
        ("cache_read", "1", "as:input"),
        ("cache_write_5m", "1", "as:input"),
        ("output", "4", "own"),
        ("reasoning", "4", "as:output"),
    ]


def test_a_cache_write_without_a_price_is_never_cheaper_than_another_cache_write() -> None:
    (line,) = quote(input="3", cache_write_1h="6", output="15").rate(Usage(cache_write_5m=1))
    assert (str(line.unit_price), line.basis) == ("6", "as:cache_write_1h")


def test_tokens_of_a_model_priced_per_image_are_shown_and_cost_nothing() -> None:
    lines = quote("KRW", images="55").rate(Usage(input=10, images=1))
    assert [(line.token_class, line.amount_nano_krw // NANO, line.basis) for line in lines] == [
        ("input", 0, "unpriced"),
        ("images", 55, "own"),
    ]


@pytest.mark.parametrize("name", TOKEN_CLASSES)
def test_no_token_is_free_where_text_has_a_price(name: str) -> None:
    for prices in ({"input": "1"}, {"output": "1"}):
        (line,) = quote("KRW", **prices).rate(Usage(**{name: 1_000_000}))
        assert line.amount_nano_krw == NANO


def test_a_report_that_does_not_add_up_is_charged_on_the_dear_side() -> None:
    own = quote(input="1", cache_read="0.1", output="4")
    cheap = total(own.rate(Usage(cache_read=1000)))
    safe = own.rate(Usage(cache_read=1000, quarantined=True))
    assert total(safe) == 10 * cheap
    assert safe[0].basis == "dearest"


def test_a_long_context_raises_the_price_of_all_tokens() -> None:
    tiered = Quote(
        Price(
            "m",
            "v1",
            AT,
            "KRW",
            {"input": Decimal(1), "output": Decimal(2)},
            tiers=(Tier(200_000, {"input": Decimal(3)}),),
        ),
        None,
    )
    assert tiered.rate(Usage(input=200_000))[0].unit_price == 1
    long = tiered.rate(Usage(input=150_000, cache_read=50_001, output=5))
    assert [line.unit_price for line in long] == [3, 3, 2]


def test_a_service_tier_multiplies_and_an_unknown_one_changes_nothing() -> None:
    flexible = Quote(
        Price("m", "v1", AT, "KRW", {"input": Decimal(2)}, service_tiers={"flex": Decimal("0.5")}), None
    )
    assert flexible.rate(Usage(input=1_000_000), "flex")[0].amount_nano_krw == NANO
    assert flexible.rate(Usage(input=1_000_000), "default")[0].amount_nano_krw == 2 * NANO


def test_a_stated_cost_is_charged_as_stated() -> None:
    (line,) = quote(input="1").rate_stated(Decimal("0.0021"), "USD")
    assert line.amount_nano_krw == 2_921_520_000
    assert line.basis == "stated"


@pytest.mark.parametrize("cost", ["-1", "NaN", "Infinity"])
def test_a_stated_cost_that_is_no_amount_is_refused(cost: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        quote(input="1").rate_stated(Decimal(cost), "USD")


def test_a_stated_cost_in_a_currency_without_a_frozen_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="EUR"):
        quote(input="1").rate_stated(Decimal(1), "EUR")


# --- size and quality ----------------------------------------------------------------------------

PICTURES = Quote(
    Price(
        "m",
        "v1",
        AT,
        "KRW",
        {"images": Decimal(60)},
        variants={
            "1024x1024/high": {"images": Decimal(230)},
            "1024x1536/*": {"images": Decimal(90)},
            "*/low": {"images": Decimal(15)},
        },
    ),
    None,
)


@pytest.mark.parametrize(
    ("size", "quality", "won"),
    [
        ("1024x1024", "high", 230),
        ("1024x1536", "high", 90),  # its size is named, its quality is not
        ("512x512", "low", 15),
        ("1024x1536", "low", 90),  # size before quality
        ("512x512", "high", 60),
        (None, None, 60),
        (None, "low", 15),
    ],
)
def test_a_picture_costs_what_its_size_and_quality_cost(
    size: str | None, quality: str | None, won: int
) -> None:
    (line,) = PICTURES.rate(Usage(images=3), variant(size, quality))
    assert (line.quantity, line.unit_price, line.amount_nano_krw) == (3, Decimal(won), 3 * won * NANO)


def test_no_size_and_quality_costs_more_than_the_bound() -> None:
    bound = PICTURES.upper_bound(0, 0, maxima=Usage(images=2))
    dearest = total(PICTURES.rate(Usage(images=2), "1024x1024/high"))
    assert dearest <= bound < dearest + 100


def test_prices_by_size_and_quality_outlive_the_price_book() -> None:
    rebuilt = Quote.from_document(PICTURES.document)
    assert rebuilt.id == PICTURES.id
    assert rebuilt.rate(Usage(images=1), "*/low") == PICTURES.rate(Usage(images=1), "*/low")


def test_a_price_without_variants_keeps_the_document_it_had_before_there_were_any() -> None:
    assert "variants" not in quote(input="1").document
