"""Check digits against published examples and against single typing errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import checksums

_BODY12 = st.text(alphabet="0123456789", min_size=12, max_size=12)


@pytest.mark.parametrize(
    ("valid", "number"),
    [
        (checksums.brn_valid, "1208147521"),  # 카카오
        (checksums.brn_valid, "2208162517"),  # 네이버
        (checksums.corp_valid, "1301110006246"),  # 삼성전자
        (checksums.luhn_valid, "4111111111111111"),
        (checksums.luhn_valid, "378282246310005"),
        (checksums.ean13_valid, "9780306406157"),
        (checksums.ean13_valid, "8801234567893"),
    ],
)
def test_published_numbers_pass(valid, number):
    assert valid(number)


@pytest.mark.parametrize(
    "valid", [checksums.rrn_valid, checksums.frn_valid, checksums.corp_valid, checksums.luhn_valid]
)
@given(body=_BODY12)
def test_at_most_one_check_digit_in_ten_fits(valid, body):
    assert sum(valid(body + digit) for digit in "0123456789") == 1


@given(st.text(alphabet="0123456789", min_size=9, max_size=9))
def test_one_check_digit_fits_a_business_number(body):
    assert sum(checksums.brn_valid(body + digit) for digit in "0123456789") == 1


@pytest.mark.parametrize(
    ("digits", "real"),
    [
        ("9010101", True), ("9002301", False), ("0002293", True), ("0002291", False), ("9902292", False), ("0402293", True),
        ("9013011", False), ("9000101", False), ("9004311", False), ("8802295", True),
    ],
)  # fmt: skip
def test_a_birth_date_is_a_date_of_the_stated_century(digits, real):
    assert checksums.is_birth_date(digits + "000000") is real
