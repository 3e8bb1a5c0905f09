"""An invoice as one canonical record: lines that sum to its total, for any usage, price and rate. Pure.

Every way an invoice is shown (PDF, XLSX, CSV, JSON, FOCUS) is made from `Invoice.as_json()` and nothing
else. Each line has its exact amount in nano-won and the won it counts with; both columns add up:

    sum of nano_krw   = total_krw × 10⁹       the last line is what rounding cut off (끝수)
    sum of amount_krw = total_krw             won are given out by largest remainder

Amounts under 10 won are dropped in public money (국고금 관리법 제47조, 지방회계법 제55조): the default.
SQL is in billing.store.invoices; how it looks is in gateway/invoices.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billing.money import NANO, half_even, truncate_10_won, whole_won

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT: Final = 1
"""Version of the record."""

MOST_ADJUSTMENTS: Final = 500
"""Rows of late usage and corrections named one by one; the rest are counted."""


class Rounding(StrEnum):
    WON = "won"
    """Whole won."""
    TEN_WON = "ten_won"
    """Whole tens of won."""

    def cut(self, nano_krw: int) -> int:
        """Return won, cut towards zero."""
        return truncate_10_won(nano_krw) if self is Rounding.TEN_WON else whole_won(nano_krw)


class LineKind(StrEnum):
    USAGE = "usage"
    LATE = "late"
    """Used in a month that was locked before it was known."""
    CORRECTION = "correction"
    """What was made right later: a credit where it is negative, a debit where it is not."""
    OVERHEAD_PERCENT = "overhead_percent"
    OVERHEAD_FIXED = "overhead_fixed"
    VAT = "vat"
    ROUNDING = "rounding"
    """끝수: what was cut off."""


METERED: Final = (LineKind.USAGE, LineKind.LATE, LineKind.CORRECTION)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an institution decides about its invoices. Percentages are of 100."""

    institution_id: str = "HAECHI"
    """Leads every number; ASCII letters, digits and `-`."""
    institution_name: str = ""
    issuer_name: str = ""
    rounding: Rounding = Rounding.TEN_WON
    overhead_percent: Decimal = Decimal(0)
    overhead_krw: int = 0
    """Of each department's invoice."""
    vat_percent: Decimal = Decimal(0)
    seat_krw: int = 30_000
    """A subscription's price for a person and month, to compare with."""
    four_eyes: bool = False


class LineSum(NamedTuple):
    """What the ledger says of one price: a quantity, and what it came to."""

    kind: LineKind
    original_month: str
    """The Korean month in which it was used."""
    model: str
    provider: str
    token_class: str
    basis: str
    unit_price: str
    """Decimal text, as the ledger has it."""
    currency: str
    per: int
    price_version: str
    fx_rate: str
    fx_date: str
    charge_lines: int
    quantity: int
    nano_krw: int


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line. Of what is not metered, `basis` says of what it is, and the price fields are empty."""

    no: int
    kind: LineKind
    nano_krw: int
    amount_krw: int
    original_month: str = ""
    model: str = ""
    provider: str = ""
    token_class: str = ""
    basis: str = ""
    unit_price: str = ""
    currency: str = ""
    per: int = 1
    price_version: str = ""
    fx_rate: str = ""
    fx_date: str = ""
    charge_lines: int = 0
    quantity: int = 0


@dataclass(frozen=True, slots=True)
class UnitName:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """예산현액 | 집행액 | 잔액 | 집행률, up to the end of the invoice's month."""

    every: str
    period: str
    budget_nano_krw: int
    spent_nano_krw: int

    @property
    def left_nano_krw(self) -> int:
        return self.budget_nano_krw - self.spent_nano_krw

    @property
    def rate_percent(self) -> Decimal | None:
        """One decimal; None where there is no budget to spend."""
        if self.budget_nano_krw <= 0:
            return None
        return Decimal(half_even(self.spent_nano_krw * 1000, self.budget_nano_krw)).scaleb(-1)


@dataclass(frozen=True, slots=True)
class Seats:
    """What subscriptions for those who used anything would have cost in this month."""

    people: int
    seat_krw: int
    metered_nano_krw: int

    @property
    def seats_krw(self) -> int:
        return self.people * self.seat_krw

    @property
    def saved_nano_krw(self) -> int:
        return self.seats_krw * NANO - self.metered_nano_krw

    @property
    def saved_percent(self) -> Decimal | None:
        """One decimal; None without seats."""
        if self.seats_krw == 0:
            return None
        return Decimal(half_even(self.saved_nano_krw * 1000, self.seats_krw * NANO)).scaleb(-1)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A row of the ledger that belongs to a month before: a credit or debit note names what it is about."""

    charge_id: str
    corrects: str
    """The row it corrects; empty for usage that was not known before."""
    kind: str
    original_month: str
    started_at_us: int
    nano_krw: int
    reason: str


@dataclass(frozen=True, slots=True)
class FxSource:
    base: str
    rate: str
    date: str
    source: str


@dataclass(frozen=True, slots=True)
class Child:
    number: str
    unit: UnitName
    total_krw: int


@dataclass(frozen=True, slots=True)
class LedgerRoot:
    """What proves the charges behind an invoice; empty while it is a draft."""

    root: str = ""
    seal: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice. A `department` has lines, a `summary` of a unit above has children instead."""

    number: str
    month: str
    kind: str
    final: bool
    issued_on: str
    """Korean day, `2026-12-02`."""
    institution_id: str
    institution_name: str
    issuer_name: str
    rounding: Rounding
    path: tuple[UnitName, ...]
    """From the institution down to the unit it is for, named as on that day."""
    people: int
    requests: int
    lines: tuple[InvoiceLine, ...] = ()
    children: tuple[Child, ...] = ()
    budgets: tuple[BudgetLine, ...] = ()
    seats: Seats = Seats(0, 0, 0)
    adjustments: tuple[Adjustment, ...] = ()
    adjustments_left_out: int = 0
    fx_sources: tuple[FxSource, ...] = ()
    ledger: LedgerRoot = LedgerRoot()
    format: int = field(default=FORMAT)

    @property
    def unit(self) -> UnitName:
        return self.path[-1]

    @property
    def unit_path(self) -> str:
        """As the ledger writes it: codes joined by `/`."""
        return "/".join(unit.id.replace("/", "%2F") for unit in self.path)

    @property
    def total_krw(self) -> int:
        return sum(line.amount_krw for line in self.lines) + sum(child.total_krw for child in self.children)

    @property
    def metered_nano_krw(self) -> int:
        return sum(line.nano_krw for line in self.lines if line.kind in METERED)

    def as_json(self) -> dict[str, Any]:
        """Return the canonical record."""
        return {**asdict(self), "total_krw": self.total_krw}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Invoice:
        """Read a record back. Raises KeyError, TypeError or ValueError for anything else."""
        values = {one.name: document[one.name] for one in fields(cls)}
        values["rounding"] = Rounding(values["rounding"])
        values["path"] = tuple(UnitName(**unit) for unit in values["path"])
        values["lines"] = tuple(
            InvoiceLine(**{**line, "kind": LineKind(line["kind"])}) for line in values["lines"]
        )
        values["children"] = tuple(
            Child(child["number"], UnitName(**child["unit"]), child["total_krw"])
            for child in values["children"]
        )
        values["budgets"] = tuple(BudgetLine(**line) for line in values["budgets"])
        values["seats"] = Seats(**values["seats"])
        values["adjustments"] = tuple(Adjustment(**one) for one in values["adjustments"])
        values["fx_sources"] = tuple(FxSource(**one) for one in values["fx_sources"])
        values["ledger"] = LedgerRoot(**values["ledger"])
        return cls(**values)


def canonical(invoice: Invoice) -> str:
    """Return the record as text that is the same whenever it is written."""
    return json.dumps(invoice.as_json(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def number_of(terms: Terms, month: str, serial: int) -> str:
    """`SEOUL-2026-11-0007`."""
    return f"{terms.institution_id}-{month}-{serial:04d}"


# --- lines ---------------------------------------------------------------------------------------


def lines_of(sums: Iterable[LineSum], terms: Terms) -> tuple[InvoiceLine, ...]:
    """Return the lines of an invoice: what was metered, what comes on top, and what rounding cuts off."""
    metered = [_metered(one) for one in sorted(sums, key=_order)]
    surcharged = [*metered, *_surcharges(sum(line.nano_krw for line in metered), terms)]
    exact = sum(line.nano_krw for line in surcharged)
    shares = given_out([line.nano_krw for line in surcharged])
    total = terms.rounding.cut(exact)
    cut = InvoiceLine(
        no=0,
        kind=LineKind.ROUNDING,
        basis=str(terms.rounding),
        nano_krw=total * NANO - exact,
        amount_krw=total - sum(shares),
    )
    drafts = [_with(line, amount_krw=share) for line, share in zip(surcharged, shares, strict=True)]
    return tuple(_with(line, no=number) for number, line in enumerate([*drafts, cut], start=1))


def given_out(amounts: Sequence[int]) -> list[int]:
    """Return whole won for nano-won, which sum to the whole won of their sum (largest remainder)."""
    floors = [amount // NANO for amount in amounts]
    missing = whole_won(sum(amounts)) - sum(floors)
    by_rest = sorted(range(len(amounts)), key=lambda i: (-(amounts[i] % NANO), i))
    for index in by_rest[:missing]:
        floors[index] += 1
    return floors


def _surcharges(metered: int, terms: Terms) -> Iterable[InvoiceLine]:
    overhead = _percent(metered, terms.overhead_percent)
    fixed = terms.overhead_krw * NANO if metered else 0
    if terms.overhead_percent:
        yield InvoiceLine(0, LineKind.OVERHEAD_PERCENT, overhead, 0, basis=f"{terms.overhead_percent:f}")
    if fixed:
        yield InvoiceLine(0, LineKind.OVERHEAD_FIXED, fixed, 0)
    if terms.vat_percent:
        vat = _percent(metered + overhead + fixed, terms.vat_percent)
        yield InvoiceLine(0, LineKind.VAT, vat, 0, basis=f"{terms.vat_percent:f}")


def _percent(nano_krw: int, percent: Decimal) -> int:
    numerator, denominator = percent.as_integer_ratio()
    return half_even(nano_krw * numerator, denominator * 100)


def _metered(one: LineSum) -> InvoiceLine:
    values = one._asdict()
    return InvoiceLine(no=0, amount_krw=0, **values)


def _order(one: LineSum) -> tuple[Any, ...]:
    return (METERED.index(one.kind), one.original_month, *one[2:12])


def _with(line: InvoiceLine, **changes: int) -> InvoiceLine:
    values = {one.name: getattr(line, one.name) for one in fields(line)}
    return InvoiceLine(**{**values, **changes})
