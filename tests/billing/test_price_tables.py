from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.price_tables import PriceTableError, read_fx, read_prices

GOOD: dict[str, Any] = {
    "key": "openai/gpt",
    "from": date(2026, 1, 1),
    "currency": "USD",
    "input": "1.25",
    "output": "10",
}
FX: dict[str, Any] = {"base": "USD", "quote": "KRW", "date": date(2026, 11, 21), "rate": "1391.20"}


def mistakes_of(*prices: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(PriceTableError) as refusal:
        read_prices(prices)
    for problem in refusal.value.problems:
        assert problem.korean
        assert problem.english
        assert problem.entry in str(refusal.value)
    return [(problem.entry, problem.field) for problem in refusal.value.problems]


def test_a_whole_entry_is_read() -> None:
    (price,) = read_prices(
        [
            GOOD
            | {
                "audio_seconds": "0.006",
                "source": "https://example.org",
                "checked": date(2026, 11, 22),
                "verified": True,
                "tiers": [{"above_input_tokens": 200_000, "input": "2.5"}],
                "service_tiers": {"flex": "0.5"},
            }
        ]
    )["openai/gpt"]
    assert price.starts_at == datetime(2025, 12, 31, 15, tzinfo=UTC)
    assert price.prices["audio_ms"] == Decimal("0.006")
    assert price.tiers[0].prices == {"input": Decimal("2.5")}
    assert price.service_tiers == {"flex": Decimal("0.5")}
    assert (price.verified, price.checked) == (True, date(2026, 11, 22))


def test_what_nobody_verified_is_not_verified() -> None:
    (price,) = read_prices([GOOD])["openai/gpt"]
    assert price.verified is False


def test_an_edited_price_never_keeps_its_version() -> None:
    (one,) = read_prices([GOOD])["openai/gpt"]
    (other,) = read_prices([GOOD | {"input": "1.26"}])["openai/gpt"]
    assert one.version != other.version
    assert one.version.startswith("20260101-")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from": None}, "from"),
        ({"from": "soon"}, "from"),
        ({"from": datetime(2026, 1, 1)}, "from"),
        ({"input": 1.25}, "input"),
        ({"input": True}, "input"),
        ({"input": "-1"}, "input"),
        ({"input": "NaN"}, "input"),
        ({"input": "Infinity"}, "input"),
        ({"input": "1e30"}, "input"),
        ({"input": "1e-30"}, "input"),
        ({"input": "one"}, "input"),
        ({"currency": "BTC"}, "currency"),
        ({"key": ""}, "key"),
        ({"inptu": "1"}, "inptu"),
        ({"until": date(2025, 1, 1)}, "until"),
        ({"checked": "yesterday"}, "checked"),
        ({"verified": "yes"}, "verified"),
        ({"tiers": "none"}, "tiers"),
        ({"tiers": [{"above_input_tokens": -1, "input": "1"}]}, "above_input_tokens"),
        ({"tiers": [{"above_input_tokens": 5, "input": "1"}] * 2}, "tiers"),
        ({"service_tiers": "flex"}, "service_tiers"),
        ({"service_tiers": {"flex": 0.5}}, "flex"),
        ({"variants": {"size": "x"}}, "variants"),
        ({"variants": [{"images": "1"}]}, "size"),
        ({"images": "1", "variants": [{"quality": "high", "images": "2"}] * 2}, "size"),
        ({"variants": [{"size": "1024x1024", "images": "1"}]}, "images"),
        ({"images": "1", "variants": [{"size": "1024x1024", "image": "1"}]}, "image"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str) -> None:
    assert field in [name for _, name in mistakes_of(GOOD | change)]


def test_an_entry_without_a_price_is_refused() -> None:
    assert mistakes_of({k: v for k, v in GOOD.items() if k not in {"input", "output"}}) == [
        ("prices[0]", "input")
    ]


@pytest.mark.parametrize(
    "second",
    [
        GOOD | {"input": "2"},
        GOOD | {"from": date(2026, 6, 1)},
    ],
    ids=["same start", "begins before the first one's end"],
)
def test_overlapping_versions_are_refused_and_both_are_named(second: dict[str, Any]) -> None:
    with pytest.raises(PriceTableError, match=r"prices\[1\].*prices\[0\]"):
        read_prices([GOOD | {"until": date(2026, 7, 1)}, second])


def test_two_versions_of_one_name_are_refused() -> None:
    first = GOOD | {"version": "a"}
    assert mistakes_of(first, first | {"from": date(2026, 6, 1)}) == [("prices[1]", "version")]


def test_versions_are_sorted_whatever_their_order_in_the_file() -> None:
    versions = read_prices([GOOD | {"from": date(2026, 6, 1)}, GOOD])["openai/gpt"]
    assert [version.starts_at.year for version in versions] == [2025, 2026]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rate": 1391.2}, "rate"),
        ({"rate": "0"}, "rate"),
        ({"rate": "-1"}, "rate"),
        ({"date": None}, "date"),
        ({"base": "KRW"}, "base"),
        ({"quote": "JPY"}, "quote"),
        ({"published_at": datetime(2026, 11, 21)}, "published_at"),
    ],
)
def test_a_wrong_rate_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(PriceTableError) as refusal:
        read_fx([FX | change])
    assert field in [problem.field for problem in refusal.value.problems]


def test_two_rates_for_one_day_are_refused() -> None:
    with pytest.raises(PriceTableError, match=r"fx\[1\].*fx\[0\]"):
        read_fx([FX, FX | {"rate": "1400"}])


def test_prices_by_size_and_quality_are_read() -> None:
    rows = [
        {"size": "1024x1024", "quality": "high", "images": "0.167"},
        {"quality": "low", "images": "0.011"},
    ]
    (price,) = read_prices([GOOD | {"images": "0.042", "variants": rows}])["openai/gpt"]
    assert price.variants == {
        "1024x1024/high": {"images": Decimal("0.167")},
        "*/low": {"images": Decimal("0.011")},
    }
