"""Prices from `genai-prices`, a public collection that comes as a package: the pinned release, no network.

What it knows of a model is turned into tables of the price book: classes, context tiers, service tiers where
one factor says it, and changes that are known for a later day. What cannot be said in the book is named, and
the dearer side taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from genai_prices.types import ModelInfo, ModelPrice, Provider

NAME: Final = "genai-prices"


class _Unit(NamedTuple):
    """A field of genai-prices: the price that it is in the book, and how many of the book's units it buys."""

    price: str
    per: int


_UNITS: Final[Mapping[str, _Unit]] = {
    "input_mtok": _Unit("input", 1),
    "output_mtok": _Unit("output", 1),
    "cache_read_mtok": _Unit("cache_read", 1),
    "cache_write_mtok": _Unit("cache_write_5m", 1),
    "cache_write_1h_mtok": _Unit("cache_write_1h", 1),
    "output_reasoning_mtok": _Unit("reasoning", 1),
    "input_audio_mtok": _Unit("audio_input", 1),
    "output_audio_mtok": _Unit("audio_output", 1),
    "input_image_mtok": _Unit("image_input", 1),
    "output_image_mtok": _Unit("image_output", 1),
    "input_mchars": _Unit("characters", 1),
    "requests_kcount": _Unit("requests", 1_000),
    "web_searches_kcount": _Unit("searches", 1_000),
    "input_audio_hours": _Unit("audio_seconds", 3_600),
}
_DIGITS: Final = Decimal("1e-12")
"""Some of its figures carry the noise of a float; none means less than a millionth of a millionth."""
_RATIO: Final = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class Collected:
    """Tables for the book; `unknown` keys have none, `notes` (Korean, English) say what the book cannot."""

    prices: tuple[dict[str, Any], ...]
    unknown: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def label() -> str:
    return f"{NAME} {version(NAME)}"


def collect(keys: Iterable[str], starts_on: date) -> Collected:
    """Return what genai-prices says of price keys (`provider/model`), from a day on."""
    prices: list[dict[str, Any]] = []
    unknown: list[str] = []
    notes: list[tuple[str, str]] = []
    for key in sorted(set(keys)):
        found = _model(key)
        if found is None:
            unknown.append(key)
            continue
        tables = [table for table in _tables(key, *found, starts_on, notes) if _is_priced(table)]
        prices += tables
        if not tables:
            unknown.append(key)
    return Collected(tuple(prices), tuple(unknown), tuple(dict.fromkeys(notes)))


def known_keys() -> list[str]:
    """Return every key that genai-prices knows."""
    return [f"{provider.id}/{model.id}" for provider in _providers().values() for model in provider.models]


@cache
def _providers() -> dict[str, Provider]:
    from genai_prices.data_snapshot import get_snapshot

    return {provider.id: provider for provider in get_snapshot().providers}


def _model(key: str) -> tuple[Provider, ModelInfo] | None:
    name, _, model_name = key.partition("/")
    provider = _providers().get(name)
    if provider is None or not model_name:
        return None
    exact = next((model for model in provider.models if model.id == model_name), None)
    model = exact or next((model for model in provider.models if model.is_match(model_name)), None)
    return None if model is None else (provider, model)


def _tables(
    key: str, provider: Provider, model: ModelInfo, starts_on: date, notes: list[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """Yield the price in force on a day, and those that are known to begin later."""
    urls = provider.pricing_urls or []
    source = f"{label()} {urls[0]}" if urls else label()
    for day, price in _by_day(key, model, starts_on, notes):
        table: dict[str, Any] = {"key": key, "from": day.isoformat(), "currency": "USD", **_base(price)}
        tiers = list(_tiers(price))
        if tiers:
            table["tiers"] = tiers
        factors = _factors(key, model, price, day, notes)
        if factors:
            table["service_tiers"] = factors
        yield table | {"source": source}


def _is_priced(table: Mapping[str, Any]) -> bool:
    return any(unit.price in table for unit in _UNITS.values())


def _by_day(
    key: str, model: ModelInfo, starts_on: date, notes: list[tuple[str, str]]
) -> list[tuple[date, ModelPrice]]:
    if not isinstance(model.prices, list):
        return [(starts_on, model.prices)]
    begun = [one.prices for one in model.prices if one.constraint is None]
    later: dict[date, ModelPrice] = {}
    by_hour = []
    for one in model.prices:
        day = getattr(one.constraint, "start_date", None)
        if day is None:
            by_hour += [one.prices] if one.constraint is not None else []
        elif day <= starts_on:
            begun.append(one.prices)
        else:
            later[day] = one.prices
    if by_hour:
        notes.append(
            (
                f"{key}: 시간대마다 단가가 다릅니다. 가장 비싼 것으로 넣었습니다.",
                f"{key}: prices depend on the time of day; the dearest were taken.",
            )
        )
        begun = [max([begun[-1], *by_hour], key=_dearness)]
    return [(starts_on, begun[-1]), *sorted(later.items())]


def _dearness(price: ModelPrice) -> Decimal:
    return sum(map(Decimal, _base(price).values()), Decimal(0))


def _base(price: ModelPrice) -> dict[str, str]:
    found = ((unit, getattr(price, name, None)) for name, unit in _UNITS.items())
    return {
        unit.price: _text(getattr(value, "base", value), unit) for unit, value in found if value is not None
    }


def _tiers(price: ModelPrice) -> Iterator[dict[str, Any]]:
    """Yield context tiers: each says every class that has one by then, as it costs from there on."""
    steps: dict[_Unit, dict[int, Decimal]] = {}
    for name, unit in _UNITS.items():
        tiers = getattr(getattr(price, name, None), "tiers", ())
        if tiers:
            steps[unit] = {tier.start: tier.price for tier in tiers}
    for start in sorted({start for found in steps.values() for start in found}):
        begun = {unit: [at for at in found if at <= start] for unit, found in steps.items()}
        own = {unit.price: _text(steps[unit][max(at)], unit) for unit, at in begun.items() if at}
        yield {"above_input_tokens": start, **own}


def _factors(
    key: str, model: ModelInfo, price: ModelPrice, day: date, notes: list[tuple[str, str]]
) -> dict[str, str]:
    """Return service tiers that one factor on every price of the model says."""
    base = _base(price)
    factors: dict[str, str] = {}
    left_out: list[str] = []
    for variant in model.price_variants or ():
        name = variant.when.get("service_tier") or variant.when.get("processing")
        begins = getattr(variant.constraint, "start_date", None)
        if name is None or len(variant.when) > 1 or (begins is not None and begins > day):
            continue
        own = _base(variant.prices)
        shared = [one for one in own if Decimal(base.get(one, "0"))]
        ratios = {_rounded(Decimal(own[one]) / Decimal(base[one]), _RATIO) for one in shared}
        if own.keys() == base.keys() and len(ratios) == 1:
            factors[name] = ratios.pop()
        elif own:
            left_out.append(name)
    if left_out:
        names = ", ".join(dict.fromkeys(left_out))
        notes.append(
            (
                f"{key}: 한 배수로 적을 수 없는 등급은 뺐습니다({names}). 기본 단가로 계산됩니다.",
                f"{key}: service tiers that are no single factor are charged at the usual price: {names}.",
            )
        )
    return factors


def _text(price: Decimal, unit: _Unit) -> str:
    return _rounded(price / unit.per, _DIGITS)


def _rounded(number: Decimal, digits: Decimal) -> str:
    return f"{number.quantize(digits, ROUND_HALF_EVEN).normalize():f}"
