"""Overhead and VAT as budgets count them: what a metered amount comes to on an invoice, and back. Pure.

A budget is what a department may be billed, so its limit covers the percentages that an invoice adds to what
was metered. The factor is exact; a bound is rounded up, a limit down, so that no hard budget is overspent. A
fixed overhead is one amount of each invoice, however much is used, and is not counted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Final

from billing.money import ceiling

if TYPE_CHECKING:
    from billing.statements import Terms


@dataclass(frozen=True)
class Surcharges:
    """Percentages of 100: VAT is taken of what was metered with its overhead."""

    overhead_percent: Decimal = Decimal(0)
    vat_percent: Decimal = Decimal(0)

    @classmethod
    def of(cls, terms: Terms) -> Surcharges:
        return cls(terms.overhead_percent, terms.vat_percent)

    @cached_property
    def factor(self) -> Fraction:
        return (1 + Fraction(self.overhead_percent) / 100) * (1 + Fraction(self.vat_percent) / 100)

    @property
    def is_none(self) -> bool:
        return self.factor == 1

    def billed(self, nano_krw: int) -> int:
        """Return the most that a metered amount is billed as."""
        return ceiling(nano_krw * self.factor.numerator, self.factor.denominator)

    def metered(self, nano_krw: int) -> int:
        """Return the most that may be metered so that no more than this is billed."""
        return nano_krw * self.factor.denominator // self.factor.numerator


NO_SURCHARGES: Final = Surcharges()
