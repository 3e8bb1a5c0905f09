"""The words of the wire formats: sets that must not contradict each other."""

from __future__ import annotations

from filters.protocol import (
    FREE_KEYS,
    HISTORY_FIRST,
    ID_KEYS,
    KNOWN_WORDS,
    PART_LISTS,
    PROTOCOL_KEYS,
    READABLE_PARTS,
    TOKEN_LISTS,
    UNREADABLE_PARTS,
)


def test_a_part_is_readable_or_not_and_never_both():
    assert not READABLE_PARTS & UNREADABLE_PARTS.keys()


def test_content_is_not_an_id():
    assert not FREE_KEYS & ID_KEYS
    assert not PART_LISTS & ID_KEYS
    assert not PART_LISTS & FREE_KEYS


def test_every_key_with_a_meaning_is_a_key_of_the_protocol():
    assert set(HISTORY_FIRST) | PART_LISTS | TOKEN_LISTS | FREE_KEYS | ID_KEYS <= PROTOCOL_KEYS


def test_constants_that_are_looked_up_hold_nothing_to_find():
    assert all(
        word.isascii() and word.replace("_", "").isalnum() and word.islower()
        for word in KNOWN_WORDS - {"base64"}
    )
    assert not any(character.isdigit() for word in KNOWN_WORDS - {"base64"} for character in word)
