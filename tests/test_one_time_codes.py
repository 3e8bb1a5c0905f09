from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import one_time_codes as codes

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""The secret of RFC 6238, appendix B, as base32."""
KEY = b"k" * 32


@pytest.mark.parametrize(("second", "code"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")])
def test_codes_are_those_of_rfc_6238(second, code):
    now = datetime.fromtimestamp(second, UTC)
    assert codes.opened_step(SECRET, code, None, now) == second // 30


def test_a_code_of_the_step_before_or_after_counts_and_no_other():
    now = datetime(2026, 11, 22, 3, tzinfo=UTC)
    for steps, opens in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        code = pyotp.TOTP(SECRET).at(now + timedelta(seconds=30 * steps))
        assert (codes.opened_step(SECRET, code, None, now) is not None) == opens


def test_no_step_opens_twice_nor_an_earlier_one_after_a_later():
    now = datetime(2026, 11, 22, 3, tzinfo=UTC)
    code = pyotp.TOTP(SECRET).at(now)
    step = codes.opened_step(SECRET, code, None, now)
    assert codes.opened_step(SECRET, code, step, now) is None
    assert codes.opened_step(SECRET, code, step + 1, now) is None


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "12345\u00b2", "-12345"])
def test_what_is_no_code_opens_nothing(typed):
    assert codes.opened_step(SECRET, typed, None, datetime(2026, 11, 22, tzinfo=UTC)) is None


def test_a_recovery_code_is_known_however_it_is_typed():
    code = codes.new_recovery_codes()[0]
    digest = codes.recovery_digest(code, KEY)
    assert codes.recovery_digest(f" {code.upper().replace('-', ' ')} ", KEY) == digest
    assert codes.recovery_digest(code, b"x" * 32) != digest
    assert len(set(codes.new_recovery_codes())) == codes.RECOVERY_CODES


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=1, max_size=64))
def test_a_sealed_secret_opens_for_its_account_only(secret):
    box = codes.sealed(secret, KEY, "acct_1")
    assert codes.unsealed(box, KEY, "acct_1") == secret
    assert codes.unsealed(box, KEY, "acct_2") is None
    assert codes.unsealed(box, b"x" * 32, "acct_1") is None
    assert codes.unsealed(box[:-1] + bytes([box[-1] ^ 1]), KEY, "acct_1") is None
