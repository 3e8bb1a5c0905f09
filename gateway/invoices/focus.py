"""A month as FOCUS 1.2 CSV (FinOps Open Cost and Usage Specification). Pure.

A row for each day, department, SKU, price and FX rate, whose cost is quantity × unit price exactly
(`check_row` proves it for every row that is written). The ledger rounds each charge to a nano-won, and an
invoice is cut to won: one row `Adjustment` for each department and month says by how much, so that the
rows of an invoice sum to its total. Overheads are adjustments as well, VAT is `Tax`. Times are UTC: a
Korean day begins at 15:00 the day before.

Departments buy from the institution: it is provider and issuer, and who runs the model is the publisher.
Names that FOCUS knows are ASCII, as its validator wants; what people read stands in `x_` columns.
Specification: https://focus.finops.org/focus-specification/v1-2/
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import orjson

from billing.ledger import Kind
from billing.money import EXACT, NANO
from billing.periods import KST, month_bounds
from billing.statements import METERED, LineKind
from billing.usage import TOKEN_CLASSES
from gateway.spreadsheets import inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from billing.statements import Invoice, InvoiceLine
    from billing.store.focus_rows import DayLine

COLUMNS: Final = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription"),
    *("ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountStatus"),
    *("ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost"),
    *("InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingCurrency"),
    *("PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice"),
    *("PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
    *("ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId", "SubAccountId", "SubAccountName"),
    *("SubAccountType", "Tags", "x_FxDate", "x_FxRate", "x_PriceVersion", "x_SubAccountName", "x_UnitPath"),
)
_FIGURES: Final = frozenset(
    name for name in COLUMNS if name.endswith(("Cost", "Price", "Quantity")) or name == "x_FxRate"
)
"""Decimals of our own making: a negative one begins with `-` and is no formula."""
_CORRECTIONS: Final = (Kind.CORRECTION, Kind.RECONCILIATION)
_CHUNK: Final = 64 * 1024


_IN_ORDER: Final = itemgetter(*COLUMNS)


class NotExact(AssertionError):
    """A row whose cost is not quantity × unit price."""


def focus_csv(month: str, days: Iterable[DayLine], invoices: Sequence[Invoice]) -> Iterator[str]:
    """Yield the file. `invoices` are the month's, `days` what their lines sum.

    Raises NotExact, which nothing but a defect causes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in focus_rows(month, days, invoices):
        check_row(row)
        writer.writerow(_IN_ORDER(row))
        if text.tell() >= _CHUNK:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def focus_rows(month: str, days: Iterable[DayLine], invoices: Sequence[Invoice]) -> Iterator[dict[str, str]]:
    """Yield the rows as texts by column: usage day by day, then what each invoice adds and cuts off."""
    by_path = {one.unit_path: one for one in invoices if one.kind == "department"}
    shared = _Shared(month)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for day in days:
        invoice = by_path[shared.path(day)]
        row, cost = shared.usage(day, invoice)
        sums[invoice.unit_path] = EXACT.add(sums[invoice.unit_path], cost)
        yield row
    for path, invoice in by_path.items():
        yield from shared.around(invoice, sums[path])


def check_row(row: Mapping[str, str]) -> None:
    """Raise NotExact unless the row's costs are its quantities × unit prices, digit for digit."""
    if row["ChargeCategory"] != "Usage":
        return
    quantity = Decimal(row["PricingQuantity"])
    won = EXACT.multiply(quantity, Decimal(row["ListUnitPrice"]))
    priced = EXACT.multiply(quantity, Decimal(row["PricingCurrencyListUnitPrice"]))
    same = row["BilledCost"] == row["EffectiveCost"] == row["ListCost"] == row["ContractedCost"]
    if not same or Decimal(row["ListCost"]) != won:
        raise NotExact(row["SkuPriceId"])
    if Decimal(row["PricingCurrencyEffectiveCost"]) != priced:
        raise NotExact(row["SkuPriceId"])


class _Shared:
    """What all rows of a month have in common."""

    def __init__(self, month: str) -> None:
        start, end = (at.astimezone(KST) for at in month_bounds(month))
        self._start, self._end = start, end
        self._frames: dict[str, dict[str, str]] = {}
        self._paths: dict[tuple[str, str], str] = {}
        self._priced: dict[tuple[object, ...], tuple[dict[str, str], Decimal, Decimal]] = {}
        self._days: dict[date, tuple[str, str]] = {}

    def path(self, day: DayLine) -> str:
        known = self._paths.get((day.unit_path, day.department_id))
        if known is None:
            known = self._paths[day.unit_path, day.department_id] = department_path(day)
        return known

    def usage(self, day: DayLine, invoice: Invoice) -> tuple[dict[str, str], Decimal]:
        key = (invoice.unit_path, *day[3:14])
        known = self._priced.get(key)
        if known is None:
            fx = Decimal(day.fx_rate) if day.fx_rate else Decimal(1)
            price = Decimal(day.unit_price)
            won_price = EXACT.multiply(price, fx)
            known = self._priced[key] = (self._same(day, invoice, price, won_price), price, won_price)
        same, price, won_price = known
        quantity = EXACT.divide(Decimal(day.quantity), Decimal(day.per))
        cost = EXACT.multiply(quantity, won_price)
        costs = _text(cost)
        start, end = self._day(day.day)
        row = same | {
            "BilledCost": costs,
            "EffectiveCost": costs,
            "ListCost": costs,
            "ContractedCost": costs,
            "PricingCurrencyEffectiveCost": _text(EXACT.multiply(quantity, price)),
            "PricingQuantity": _text(quantity),
            "ConsumedQuantity": f"{day.quantity}.0",
            "ChargePeriodStart": start,
            "ChargePeriodEnd": end,
        }
        return row, cost

    def _same(self, day: DayLine, invoice: Invoice, price: Decimal, won_price: Decimal) -> dict[str, str]:
        """Return what all days of a SKU at one price and rate have in common."""
        unit_price = _text(won_price)
        model = ascii_of(day.model)
        sku = f"{model}/{day.token_class}"
        return self._frame(invoice) | _inert(
            {
                "ListUnitPrice": unit_price,
                "ContractedUnitPrice": unit_price,
                "PricingCurrency": day.currency,
                "PricingCurrencyListUnitPrice": _text(price),
                "PricingCurrencyContractedUnitPrice": _text(price),
                "PricingUnit": pricing_unit(day.token_class, day.per),
                "PricingCategory": "Standard",
                "ConsumedUnit": consumed_unit(day.token_class),
                "ChargeCategory": "Usage",
                "ChargeClass": "Correction" if day.kind in _CORRECTIONS else "",
                "ChargeFrequency": "Usage-Based",
                "ChargeDescription": f"{model} {day.token_class}",
                "PublisherName": ascii_of(day.provider),
                "ServiceName": model,
                "SkuId": sku,
                "SkuMeter": day.token_class,
                "SkuPriceId": f"{sku}@{ascii_of(day.price_version)}:{day.unit_price}",
                "x_FxDate": day.fx_date,
                "x_FxRate": day.fx_rate,
                "x_PriceVersion": day.price_version,
            }
        )

    def _day(self, day: date) -> tuple[str, str]:
        known = self._days.get(day)
        if known is None:
            start = datetime(day.year, day.month, day.day, tzinfo=KST)
            known = self._days[day] = (_moment(start), _moment(start + timedelta(days=1)))
        return known

    def around(self, invoice: Invoice, metered: Decimal) -> Iterator[dict[str, str]]:
        """Yield overheads, VAT and what rounding cut off, in the billing period."""
        left = EXACT.subtract(Decimal(invoice.total_krw), metered)
        for line in invoice.lines:
            if line.kind in METERED or line.kind is LineKind.ROUNDING:
                continue
            amount = EXACT.divide(Decimal(line.nano_krw), Decimal(NANO))
            left = EXACT.subtract(left, amount)
            category = "Tax" if line.kind is LineKind.VAT else "Adjustment"
            yield self._added(invoice, category, _described(line), amount)
        if left:
            yield self._added(invoice, "Adjustment", "Rounding of the invoice", left)

    def _added(self, invoice: Invoice, category: str, description: str, amount: Decimal) -> dict[str, str]:
        cost = _text(amount)
        return self._frame(invoice) | {
            "BilledCost": cost,
            "EffectiveCost": cost,
            "ListCost": cost,
            "ContractedCost": cost,
            "ChargeCategory": category,
            "ChargeClass": "",
            "ChargeFrequency": "Recurring",
            "ChargeDescription": description,
            "ChargePeriodStart": _moment(self._start),
            "ChargePeriodEnd": _moment(self._end),
            "PublisherName": "Haechi",
            "ServiceName": "Haechi",
            "PricingCurrency": "KRW",
            "PricingCurrencyEffectiveCost": cost,
        }

    def _frame(self, invoice: Invoice) -> dict[str, str]:
        known = self._frames.get(invoice.unit_path)
        if known is None:
            unit = invoice.unit
            issuer = ascii_of(invoice.issuer_name or invoice.institution_id)
            known = dict.fromkeys(COLUMNS, "") | _inert(
                {
                    "BillingAccountId": invoice.institution_id,
                    "BillingAccountName": ascii_of(invoice.institution_id),
                    "BillingAccountType": "Institution",
                    "BillingCurrency": "KRW",
                    "BillingPeriodStart": _moment(self._start),
                    "BillingPeriodEnd": _moment(self._end),
                    "InvoiceId": invoice.number,
                    "InvoiceIssuerName": issuer,
                    "ProviderName": issuer,
                    "ServiceCategory": "AI and Machine Learning",
                    "ServiceSubcategory": "Generative AI",
                    "SubAccountId": ascii_of(unit.id),
                    "SubAccountName": ascii_of(unit.name),
                    "SubAccountType": "Department",
                    "Tags": orjson.dumps(
                        {"unit_path": "/".join(ascii_of(one.id) for one in invoice.path)}
                    ).decode(),
                    "x_SubAccountName": unit.name,
                    "x_UnitPath": " / ".join(one.name for one in invoice.path),
                }
            )
            self._frames[invoice.unit_path] = known
        return known


def _inert(texts: Mapping[str, str]) -> dict[str, str]:
    """Return texts of which none runs as a formula; figures stay as they are."""
    return {name: text if name in _FIGURES else str(inert(text)) for name, text in texts.items()}


def ascii_of(text: str) -> str:
    """Return text without anything but ASCII: a name in Hangul is named by its hash, always the same."""
    if text.isascii():
        return text
    return f"id-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def pricing_unit(token_class: str, per: int) -> str:
    """Return `1000000 Tokens`, `Requests`, `1000 Milliseconds`."""
    unit = consumed_unit(token_class)
    return unit if per == 1 else f"{per} {unit}"


def consumed_unit(token_class: str) -> str:
    if token_class in TOKEN_CLASSES:
        return "Tokens"
    return _UNITS.get(token_class, "Units")


_UNITS: Final[Mapping[str, str]] = {
    "requests": "Requests",
    "searches": "Searches",
    "images": "Images",
    "characters": "Characters",
    "audio_ms": "Milliseconds",
    "video_ms": "Milliseconds",
}


def _described(line: InvoiceLine) -> str:
    names = {
        LineKind.OVERHEAD_PERCENT: f"Overhead {line.basis} %",
        LineKind.OVERHEAD_FIXED: "Fixed overhead",
        LineKind.VAT: f"VAT {line.basis} %",
    }
    return names[line.kind]


def department_path(day: DayLine) -> str:
    """Return the path down to the department, as the ledger writes it."""
    department = day.department_id.replace("/", "%2F")
    units = [unit for unit in day.unit_path.split("/") if unit]
    if department not in units:
        return "/".join([*units, department])
    return "/".join(units[: units.index(department) + 1])


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _text(value: Decimal) -> str:
    """Return `840000.0`: plain digits with a point, as FOCUS readers take decimals."""
    text = f"{value:f}"
    if "." not in text:
        return f"{text}.0"
    text = text.rstrip("0")
    return f"{text}0" if text.endswith(".") else text
