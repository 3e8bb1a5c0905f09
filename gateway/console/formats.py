"""How numbers, amounts and times look on a page. Pure; words around them belong to the templates.

Amounts are nano-won and shown in whole won, cut towards zero as on an invoice; a decrease carries △, as in
Korean public accounts. Times are shown in KST.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from babel.dates import format_date

from billing.money import NANO, whole_won
from billing.periods import KST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from gateway.console.i18n import Language

NOTHING: Final = "–"
"""Stands where there is no value; zero is a value."""


def won(nano_krw: int | None, language: Language) -> str:
    """`1,234원` or `₩1,234`; `1원 미만` for what is more than nothing and less than a won."""
    if nano_krw is None:
        return NOTHING
    if 0 < nano_krw < NANO:
        return "1원 미만" if language == "ko" else "under ₩1"
    amount = f"{abs(whole_won(nano_krw)):,}"
    sign = "△" if nano_krw < 0 else ""
    return f"{sign}{amount}원" if language == "ko" else f"{sign}₩{amount}"


def short_won(nano_krw: int, language: Language) -> str:
    """`12만원` or `₩120k`, for axes."""
    if 0 < abs(nano_krw) < NANO:
        return won(nano_krw, language)
    digits = short_count(whole_won(nano_krw), language)
    return f"{digits}원" if language == "ko" else f"₩{digits}"


def price(amount: Decimal, language: Language) -> str:
    """`1,739원`, `0.38원`: a unit price, which may be less than a won."""
    whole = amount == amount.to_integral_value()
    digits = f"{amount:,.0f}" if whole else f"{amount:,.2f}"
    return f"{digits}원" if language == "ko" else f"₩{digits}"


def exact_won(nano_krw: int) -> str:
    """Every stored digit, for titles and copies: `1,234.000000567`."""
    whole, rest = divmod(abs(nano_krw), NANO)
    fraction = f"{rest:09d}".rstrip("0")
    return f"{'-' if nano_krw < 0 else ''}{whole:,}{'.' if fraction else ''}{fraction}"


def count(number: int | None) -> str:
    """`1,234`; a negative number carries △."""
    if number is None:
        return NOTHING
    return f"△{-number:,}" if number < 0 else f"{number:,}"


def short_count(number: int | None, language: Language) -> str:
    """`1,234만` or `12.3M`, for axes and tiles where the exact number stands beside it."""
    if number is None:
        return NOTHING
    steps = _KOREAN_STEPS if language == "ko" else _ENGLISH_STEPS
    for size, unit in steps:
        if abs(number) >= size:
            tenths = abs(number) * 10 // size
            digits = f"{tenths // 10:,}" if tenths >= 1000 or not tenths % 10 else f"{tenths / 10:.1f}"
            return f"{'△' if number < 0 else ''}{digits}{unit}"
    return count(number)


_KOREAN_STEPS: Final = ((10**8, "억"), (10**4, "만"))
_ENGLISH_STEPS: Final = ((10**9, "B"), (10**6, "M"), (10**3, "k"))


def percent(part: int, whole: int) -> str:
    """`92.7%`, cut and not rounded up, so that 100% means all of it; – without a whole."""
    if whole <= 0:
        return NOTHING
    tenths = abs(part) * 1000 // whole
    return f"{'△' if part < 0 else ''}{tenths // 10:,}.{tenths % 10}%"


def change(now: int, before: int) -> str:
    """`12.3%` more, or `△12.3%` less, than before; – where there was nothing before."""
    return percent(now - before, before)


def moment(at: datetime | None) -> str:
    """`2026-11-22 14:05` in KST."""
    return NOTHING if at is None else at.astimezone(KST).strftime("%Y-%m-%d %H:%M")


def long_day(day: date, language: Language) -> str:
    """`11월 22일 (일)` or `Sun 22 Nov`."""
    pattern = "M월 d일 (E)" if language == "ko" else "EEE d MMM"
    return str(format_date(day, pattern, locale=language))


def long_month(month: str, language: Language) -> str:
    """`2026년 11월` or `November 2026` of `2026-11`."""
    first = date.fromisoformat(f"{month}-01")
    return str(format_date(first, "y년 M월" if language == "ko" else "MMMM y", locale=language))


def filters(language: Language) -> Mapping[str, Callable[..., str]]:
    """Return the filters that the templates of `language` know."""
    return {
        "won": lambda nano_krw: won(nano_krw, language),
        "exact_won": exact_won,
        "price": lambda amount: price(amount, language),
        "count": count,
        "short_count": lambda number: short_count(number, language),
        "share_of": percent,
        "change_from": change,
        "moment": moment,
        "long_day": lambda day: long_day(day, language),
        "long_month": lambda month: long_month(month, language),
    }
