import re

from hypothesis import given
from hypothesis import strategies as st

from gateway import apikeys


def test_a_key_holds_256_bits_and_shows_only_its_first_characters():
    key = apikeys.mint()
    assert re.fullmatch(r"hk-[0-9A-Za-z]{49}", key.secret)
    assert 62**43 > 2**256
    assert key.secret.startswith(key.prefix)
    assert len(key.prefix) == 9
    assert key.secret not in repr(key)


def test_no_two_keys_are_alike():
    assert len({apikeys.mint().secret for _ in range(200)}) == 200


@given(place=st.integers(3, 51), letter=st.sampled_from("0aZ9bQ"))
def test_any_single_wrong_character_is_told_from_an_unknown_key(place, letter):
    secret = apikeys.mint().secret
    wrong = secret[:place] + letter + secret[place + 1 :]
    assert apikeys.well_formed(secret)
    assert apikeys.well_formed(wrong) == (wrong == secret)


@given(st.text(max_size=80))
def test_no_other_text_passes_for_a_key(text):
    assert not apikeys.well_formed(text)


def test_the_stored_digest_depends_on_the_hash_key():
    assert apikeys.digest("hk-x", b"1" * 32) != apikeys.digest("hk-x", b"2" * 32)
    assert len(apikeys.digest("hk-x", b"1" * 32)) == 32
