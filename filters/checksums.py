"""Check digits and real dates of Korean and international numbers. Pure arithmetic on digit strings.

A check digit raises a score and never gates: real documents hold typos, and resident numbers issued
since 5 October 2020 have none. Rules: 주민등록법 시행규칙, 국세청 사업자등록번호, 법인등기규칙, ISO/IEC 7812.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_extensions import i64

_RRN_WEIGHTS: Final = bytes((2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
_BRN_WEIGHTS: Final = bytes((1, 3, 7, 1, 3, 7, 1, 3, 5))
_CORP_WEIGHTS: Final = bytes((1, 2) * 6)
_EAN_WEIGHTS: Final = bytes((1, 3) * 6)
_ZERO: Final = 48
"""The code of the digit 0."""

_DOUBLED: Final = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9))
"""Luhn: every second digit from the right is doubled and its own digits are added."""

_CENTURY: Final = {"9": 1800, "0": 1800, "1": 1900, "2": 1900, "5": 1900, "6": 1900}
"""The seventh digit of an RRN or FRN says the century; 3, 4, 7 and 8 stand for 2000."""

_MONTH_DAYS: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _weighted(digits: str, weights: bytes) -> i64:
    total: i64 = 0
    for at, weight in enumerate(weights):
        total += weight * _digit(digits, at)
    return total


def _digit(digits: str, at: i64) -> i64:
    return ord(digits[at]) - _ZERO


def _pair(digits: str, at: i64) -> i64:
    return 10 * _digit(digits, at) + _digit(digits, at + 1)


def rrn_valid(digits: str) -> bool:
    """Whether 13 digits carry the check digit of a resident number issued before October 2020."""
    return (11 - _weighted(digits, _RRN_WEIGHTS) % 11) % 10 == _digit(digits, 12)


def frn_valid(digits: str) -> bool:
    """Whether 13 digits carry the check digit of a foreigner's registration number."""
    return (13 - _weighted(digits, _RRN_WEIGHTS) % 11) % 10 == _digit(digits, 12)


def brn_valid(digits: str) -> bool:
    """Whether 10 digits carry the check digit of a business registration number."""
    total = _weighted(digits, _BRN_WEIGHTS) + _digit(digits, 8) * 5 // 10
    return (10 - total % 10) % 10 == _digit(digits, 9)


def corp_valid(digits: str) -> bool:
    """Whether 13 digits carry the check digit of a corporate registration number."""
    return (10 - _weighted(digits, _CORP_WEIGHTS) % 10) % 10 == _digit(digits, 12)


def luhn_valid(digits: str) -> bool:
    """Whether a payment card number of any length carries its check digit."""
    total: i64 = 0
    doubled = False
    at: i64 = len(digits) - 1
    while at >= 0:
        digit = _digit(digits, at)
        total += _DOUBLED[digit] if doubled else digit
        doubled = not doubled
        at -= 1
    return total % 10 == 0


def ean13_valid(digits: str) -> bool:
    """Whether 13 digits are a well-formed article number (barcode, ISBN-13)."""
    return (10 - _weighted(digits, _EAN_WEIGHTS) % 10) % 10 == _digit(digits, 12)


def birth_year(digits: str) -> int:
    """The year of birth that an RRN or FRN states: two digits and the century digit."""
    return _CENTURY.get(digits[6], 2000) + _pair(digits, 0)


def is_birth_date(digits: str) -> bool:
    """Whether an RRN or FRN begins with a real date: 30 February is none, 29 February needs a leap year."""
    return is_date(birth_year(digits), _pair(digits, 2), _pair(digits, 4))


def is_date(year: int, month: int, day: int) -> bool:
    """Whether a calendar date exists."""
    if not 1 <= month <= 12 or not 1 <= day <= _MONTH_DAYS[month]:
        return False
    if (month, day) != (2, 29):
        return True
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True
