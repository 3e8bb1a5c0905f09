"""Tables of fingerprints: they answer as a dictionary would, and as what is built from the same lexicon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import lexicon
from filters.detectors.person_words import code_at, given_at, suffix_at
from filters.lexicon import korean
from filters.lexicon.table import Table, fingerprint

HANGUL = st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), max_size=9)


@given(st.dictionaries(HANGUL, st.integers(1, 255)), st.lists(HANGUL))
def test_fingerprints_answer_as_a_dictionary_does(said: dict[str, int], asked: list[str]):
    table = Table(said.items(), len(said), fingerprints=True)
    dictionary = Table(said.items(), len(said), fingerprints=False)
    for word in [*said, *asked]:
        assert table.at(word, 0, len(word)) == dictionary.at(word, 0, len(word)) == said.get(word, 0)


@given(HANGUL, HANGUL, HANGUL)
def test_a_piece_of_a_word_is_asked_about_where_it_stands(before: str, piece: str, behind: str):
    table = Table([(piece, 7)], 1, fingerprints=True)
    assert table.at(before + piece + behind, len(before), len(before) + len(piece)) == 7


@given(HANGUL.filter(lambda word: len(word) <= 3), HANGUL.filter(lambda word: len(word) <= 3))
def test_fingerprints_of_three_syllables_are_one_to_one(one: str, other: str):
    assert (fingerprint(one, 0, len(one)) == fingerprint(other, 0, len(other))) == (one == other)


def test_what_is_said_first_of_a_word_holds():
    for fingerprints in (True, False):
        table = Table([("가", 1), ("나", 2), ("가", 3)], 3, fingerprints=fingerprints)
        assert table.at("가", 0, 1) == 1


def test_a_table_for_few_words_refuses_many():
    many = [(f"{number:x}", 1) for number in range(100)]
    with pytest.raises(ValueError, match="free"):
        Table(many, 10, fingerprints=True)


def test_no_word_of_the_lexicon_is_taken_for_another():
    words = dict(lexicon.words())
    assert len({fingerprint(word, 0, len(word)) for word in words}) == len(words) > 100_000
    assert all(code_at(word, 0, len(word)) == code for word, code in words.items())
    assert all(given_at(name, 0, 2) == code for name, code in lexicon.given())


def test_the_first_class_of_what_follows_a_name_holds():
    said: dict[str, tuple[int, str]] = {}
    for form, suffix in korean.suffixes():
        said.setdefault(form, suffix)
    assert all(suffix_at("김" + form, 1) == suffix for form, suffix in said.items())
    assert suffix_at("김쀍", 1) is None
