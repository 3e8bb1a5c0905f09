"""Money as integers: nano-won inside, won at the edges, each rounding named.

A nano-won is 10⁻⁹ won; one output token of the cheapest model costs thousands of them, so a charge
is rounded once, half-even, where the error cannot reach a won. No float comes in or goes out.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Final

NANO: Final = 10**9
"""Nano-won in a won."""

TEN_WON: Final = 10 * NANO

EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Wide enough that no product of a price, a rate and a quantity is rounded on the way."""


def half_even(numerator: int, denominator: int) -> int:
    """Divide integers, a tie going to the even neighbour; `denominator` is positive."""
    quotient, remainder = divmod(numerator, denominator)
    double = 2 * remainder
    if double > denominator or (double == denominator and quotient & 1):
        quotient += 1
    return quotient


def ceiling(numerator: int, denominator: int) -> int:
    """Divide integers, rounding up: for bounds, never for charges."""
    return -(-numerator // denominator)


def nano(won_amount: Decimal | int) -> int:
    """Nano-won of an amount in won, half-even."""
    with localcontext(EXACT):
        numerator, denominator = (Decimal(won_amount) * NANO).as_integer_ratio()
    return half_even(numerator, denominator)


def won(nano_krw: int) -> Decimal:
    """Exact won of an amount in nano-won."""
    with localcontext(EXACT):
        return Decimal(nano_krw) / NANO


def whole_won(nano_krw: int) -> int:
    """Cut to whole won, towards zero: for display, never for sums."""
    return _cut(nano_krw, NANO)


def truncate_10_won(nano_krw: int) -> int:
    """Cut to 10 won, towards zero, and return won.

    Amounts under 10 won are dropped in public money: 국고금 관리법 제47조, 지방회계법 제55조.
    """
    return _cut(nano_krw, TEN_WON) * 10


def remainder_under_10_won(nano_krw: int) -> int:
    """What `truncate_10_won` cut off, in nano-won: the invoice's 끝수 line."""
    return nano_krw - truncate_10_won(nano_krw) * NANO


def format_won(nano_krw: int) -> str:
    """`1,234원`: whole won, cut towards zero."""
    return f"{whole_won(nano_krw):,}원"


def format_won_exact(nano_krw: int) -> str:
    """`1,234.5원`: every stored digit, without trailing zeros."""
    sign = "-" if nano_krw < 0 else ""
    whole, rest = divmod(abs(nano_krw), NANO)
    fraction = f"{rest:09d}".rstrip("0")
    return f"{sign}{whole:,}{'.' if fraction else ''}{fraction}원"


def _cut(amount: int, step: int) -> int:
    return amount // step if amount >= 0 else -(-amount // step)
