from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.seals import (
    EVERY_US,
    NOTHING_BEFORE,
    Seal,
    SealedHead,
    holds,
    is_due,
    merkle_root,
    public_key,
    sign,
)

KEY = b"k" * 32
SEAL = sign(Seal(1, 5, "hourly", (SealedHead(1, 10, "ab" * 32),), NOTHING_BEFORE, 1), KEY)


def test_anybody_with_the_public_key_can_check_a_seal() -> None:
    assert holds(SEAL, public_key(KEY))
    assert not holds(SEAL, public_key(b"x" * 32))


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"sealed_at_us": 6},
        {"reason": "month_close"},
        {"heads": [[1, 9, "ab" * 32]]},
        {"heads": []},
        {"previous": "1" * 64},
        {"key_version": 2},
        {"signature": "00"},
        {"signature": "no hex"},
    ],
)
def test_nothing_in_a_seal_can_be_changed(change: dict[str, object]) -> None:
    assert not holds(Seal.from_json(SEAL.as_json() | change), public_key(KEY))


def test_a_seal_survives_its_export() -> None:
    assert Seal.from_json(json.loads(json.dumps(SEAL.as_json()))) == SEAL


def test_a_seal_is_due_once_an_hour_and_never_when_the_clock_went_back() -> None:
    assert is_due(None, 0)
    at = Seal(1, EVERY_US + 5, "hourly", (), NOTHING_BEFORE, 1)
    assert not is_due(at, 2 * EVERY_US - 1)
    assert is_due(at, 2 * EVERY_US)
    assert not is_due(at, 0)


def test_the_root_of_one_leaf_and_of_none_are_those_of_rfc_6962() -> None:
    assert merkle_root([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root([b""]) == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=9), st.data())
def test_the_root_tells_every_change_of_a_leaf(leaves: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:at], leaves[at] + b"x", *leaves[at + 1 :]]
    assert merkle_root(changed) != merkle_root(leaves)
    assert merkle_root([*leaves, b""]) != merkle_root(leaves)
