"""How providers' bills and usage exports look: which column says what. Pure.

Facts of each are from its documentation and from real files; docs/billing.md lists where they come from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from billing.bill_rows import COST, MOST_COST, MOST_QUANTITY, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Cells: TypeAlias = "Mapping[str, str]"
"""One row: columns by their compared name, texts stripped; nothing stands where a cell is empty."""


TOKENS: Final = frozenset({"input", "cache_read", "cache_write", "output"})
HEARD: Final = frozenset({"audio_input", "audio_output"})


class Part(NamedTuple):
    """What a layout finds in a row: texts as they stand."""

    model: str
    bucket: str
    quantity: str | Decimal | None = None
    cost: str | Decimal | None = None
    currency: str = ""
    key: str = ""
    per: Decimal = Decimal(1)
    fx_rate: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one export looks: it has one column of each of `needs`, and its day in the first of `days`."""

    name: str
    timezone: str
    exact: bool
    days: tuple[str, ...]
    needs: tuple[tuple[str, ...], ...]
    parts: Callable[[Cells, str], Iterable[Part]]
    states: frozenset[str] = TOKENS
    """Buckets that the export tells apart: one that is not there was not used."""
    day_format: str = ""

    def fits(self, names: Iterable[str]) -> bool:
        there = set(names)
        return all(there.intersection(one) for one in (*self.needs, self.days))


def first_of(cells: Cells, names: Iterable[str]) -> str:
    """Return the first cell that is there."""
    return next((cells[name] for name in names if name in cells), "")


# --- what providers write ------------------------------------------------------------------------

_PER: Final = {"k": Decimal(1000), "m": Decimal(1_000_000)}
_WORDS: Final = re.compile(r"[a-z]+|\d+")
_MODALITIES: Final = ("audio", "image")
_CACHE_READ: Final = frozenset({"cached", "cchd", "cachedinput", "cd"})


def bucket_in(text: str) -> str:
    """Return the bucket that a description of a SKU, meter or line item speaks of; COST for none.

    `gpt 4o 1120 cached Inp glbl Tokens`, `USE1-Claude4.5Sonnet-cache-write-input-token-count`,
    `Generate content output token count gemini 2.5 flash`.
    """
    words = _WORDS.findall(re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())
    there = set(words)
    if "cache" in there or there & _CACHE_READ or "caching" in there:
        writes = {"write", "creation", "wr", "storage"} & there
        return "cache_write" if writes else "cache_read"
    if {"search", "grounding", "searches"} & there:
        return "searches"
    way = _way(there)
    for kind in _MODALITIES:
        if kind in there and way:
            return f"{kind}_{way}"
    if "image" in there or "images" in there:
        return "images"
    if {"character", "characters"} & there:
        return "characters"
    return way


def _way(words: set[str]) -> str:
    if {"output", "outp", "out", "opt", "response", "completion", "reasoning", "thinking"} & words:
        return "output"
    return "input" if {"input", "inp", "prompt"} & words else COST


def _per(unit: str) -> Decimal:
    """Return how many a unit counts: `1K`, `1M Tokens`, `1K tokens`, `1,000`; one for anything else."""
    found = re.match(r"\s*([\d,]+)\s*([KkMm]?)\b", unit)
    if not found:
        return Decimal(1)
    return Decimal(found[1].replace(",", "")) * _PER.get(found[2].lower(), Decimal(1))


def _int(cells: Cells, name: str) -> Decimal:
    return number_of(cells[name], name, MOST_QUANTITY) if name in cells else Decimal(0)


def _openai_usage(cells: Cells, _: str) -> Iterator[Part]:
    """input_tokens counts cached and audio tokens too; output_tokens counts reasoning and audio."""
    model, key = first_of(cells, ("model",)), first_of(cells, ("apikeyid", "projectid"))
    cached, written = _int(cells, "inputcachedtokens"), _int(cells, "inputcachewritetokens")
    heard, spoken = _int(cells, "inputaudiotokens"), _int(cells, "outputaudiotokens")
    plain = _int(cells, "inputtokens") - cached - written - heard
    for bucket, quantity in (
        ("input", plain),
        ("cache_read", cached),
        ("cache_write", written),
        ("audio_input", heard),
        ("output", _int(cells, "outputtokens") - spoken),
        ("audio_output", spoken),
    ):
        yield Part(model, bucket, quantity, key=key)


def _openai_costs(cells: Cells, _: str) -> Iterator[Part]:
    """A line item is `gpt-4o-2024-08-06, cached input`."""
    model, _comma, what = first_of(cells, ("lineitem",)).partition(",")
    key = first_of(cells, ("projectid",))
    money = first_of(cells, ("amountcurrency",))
    yield Part(model.strip(), bucket_in(what), None, cells.get("amountvalue"), money, key)


_ANTHROPIC: Final = (
    ("input", ("usageinputtokensnocache", "uncachedinputtokens")),
    ("cache_read", ("usageinputtokenscacheread", "cachereadinputtokens")),
    ("cache_write", ("usageinputtokenscachewrite5m", "cachecreationephemeral5minputtokens")),
    ("cache_write", ("usageinputtokenscachewrite1h", "cachecreationephemeral1hinputtokens")),
    ("output", ("usageoutputtokens", "outputtokens")),
    ("searches", ("websearchcount", "servertoolusewebsearchrequests")),
)


def _anthropic_usage(cells: Cells, _: str) -> Iterator[Part]:
    model, key = first_of(cells, ("modelversion", "model")), first_of(cells, ("apikey", "apikeyid"))
    for bucket, names in _ANTHROPIC:
        yield Part(model, bucket, first_of(cells, names), key=key)


def _anthropic_costs(cells: Cells, _: str) -> Iterator[Part]:
    """The API states `amount` in cents, the console's CSV `cost_usd` in dollars."""
    what = first_of(cells, ("tokentype", "description", "costtype"))
    bucket = "input" if what in {"input_no_cache", "uncached_input_tokens"} else bucket_in(what)
    cost: str | Decimal | None = cells.get("costusd")
    if cost is None and "amount" in cells:
        cost = number_of(cells["amount"], "amount", MOST_COST).scaleb(-2)
    yield Part(
        first_of(cells, ("model",)),
        bucket,
        None,
        cost,
        first_of(cells, ("currency",)) or "USD",
        first_of(cells, ("apikey",)),
    )


def _google(cells: Cells, currency: str) -> Iterator[Part]:
    """Tax and rounding have no SKU; credits are negative costs of theirs."""
    if not first_of(cells, ("usagestartdate", "date", "usagestarttime")):
        return  # a sum below the table
    what = first_of(cells, ("skudescription",))
    kind = first_of(cells, ("costtype",)).lower()
    is_usage = kind in {"", "usage", "regular"} and bool(what)
    is_credit = bool(first_of(cells, ("credittype",)))
    cost = first_of(cells, ("unroundedcost", "unroundedsubtotal", "cost", "subtotal", *_WITH_CURRENCY))
    yield Part(
        what or kind,
        bucket_in(what) if is_usage else COST,
        None if is_credit or not is_usage else first_of(cells, ("usageamount",)),
        cost,
        first_of(cells, ("currency",)) or currency,
        first_of(cells, ("projectid",)),
        fx_rate=first_of(cells, ("currencyconversionrate",)),
    )


_WITH_CURRENCY: Final = tuple(
    f"{name}{money}"
    for money in ("usd", "krw", "eur", "jpy")
    for name in ("unroundedcost", "unroundedsubtotal", "cost", "subtotal")
)
"""`Cost (USD)`; of `Cost ($)` nothing but `cost` is left."""


def _azure(cells: Cells, _: str) -> Iterator[Part]:
    what = first_of(cells, ("metername",))
    resource = first_of(cells, ("resourceid", "instanceid", "instancename", "resourcename"))
    yield Part(
        what,
        bucket_in(what),
        first_of(cells, ("quantity", "usagequantity", "consumedquantity")),
        first_of(cells, ("costinbillingcurrency", "cost", "pretaxcost", "costinpricingcurrency")),
        first_of(cells, ("billingcurrencycode", "billingcurrency", "currency", "pricingcurrency")),
        resource.rstrip("/").rpartition("/")[2],
        _per(first_of(cells, ("unitofmeasure",))),
        first_of(cells, ("exchangeratepricingtobilling", "exchangerate")),
    )


def _bedrock(cells: Cells, _: str) -> Iterator[Part]:
    """Other services stand in the same report. Tokens are counted in thousands or millions of the unit."""
    service = first_of(cells, ("lineitemproductcode", "productservicecode", "productservicename"))
    what = first_of(cells, ("lineitemusagetype",))
    if "bedrock" not in (service + what + first_of(cells, ("productproductname",))).lower():
        return
    is_usage = first_of(cells, ("lineitemlineitemtype",)) in {"", "Usage", "DiscountedUsage"}
    described = " ".join((first_of(cells, ("productmodel",)), what))
    unit = first_of(cells, ("pricingunit", "productunit"))
    yield Part(
        described.strip(),
        bucket_in(what) if is_usage else COST,
        first_of(cells, ("lineitemusageamount",)) if is_usage else None,
        first_of(cells, ("lineitemunblendedcost", "lineitemnetunblendedcost")),
        first_of(cells, ("lineitemcurrencycode",)),
        first_of(cells, ("lineitemiamprincipal", "lineitemresourceid", "lineitemusageaccountid")).rpartition(
            "/"
        )[2],
        _per(unit),
    )


LAYOUTS: Final[tuple[Layout, ...]] = (
    Layout(
        "openai-usage",
        "UTC",
        exact=True,
        days=("starttime", "starttimeiso"),
        needs=(("inputtokens",), ("outputtokens",), ("nummodelrequests",)),
        parts=_openai_usage,
        states=TOKENS | HEARD,
    ),
    Layout(
        "openai-costs",
        "UTC",
        exact=True,
        days=("starttime", "starttimeiso"),
        needs=(("amountvalue",), ("lineitem",)),
        parts=_openai_costs,
    ),
    Layout(
        "anthropic-usage",
        "UTC",
        exact=True,
        days=("usagedateutc", "startingat"),
        needs=(
            ("usageinputtokensnocache", "uncachedinputtokens"),
            ("usageoutputtokens", "outputtokens"),
            ("model", "modelversion"),
        ),
        parts=_anthropic_usage,
        states=TOKENS | {"searches"},
    ),
    Layout(
        "anthropic-costs",
        "UTC",
        exact=True,
        days=("usagedateutc", "startingat"),
        needs=(("costusd", "amount"), ("tokentype", "description", "costtype")),
        parts=_anthropic_costs,
    ),
    Layout(
        "google",
        "America/Los_Angeles",
        exact=False,
        days=("usagestartdate", "usagestarttime", "date"),
        needs=(("skudescription",), ("usageamount",)),
        parts=_google,
    ),
    Layout(
        "azure",
        "UTC",
        exact=False,
        days=("date", "usagedatetime", "usagedate", "usagestart"),
        needs=(("metername",), ("quantity", "usagequantity", "consumedquantity")),
        parts=_azure,
    ),
    Layout(
        "bedrock",
        "UTC",
        exact=False,
        days=("lineitemusagestartdate",),
        needs=(("lineitemusagetype",), ("lineitemunblendedcost", "lineitemnetunblendedcost")),
        parts=_bedrock,
    ),
)
