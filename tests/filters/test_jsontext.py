"""JSON inside a string: unescaped with offsets, cut only within literals."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from filters.jsontext import is_json_container, literals, quote_inside, unescape

VALUES = st.recursive(
    st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def test_only_whole_objects_and_arrays_count_as_json():
    assert is_json_container('{"a": 1}')
    assert is_json_container(' [1, "b"]')
    assert not is_json_container('{"a": ')
    assert not is_json_container("[대외비] 계획")
    assert not is_json_container('"text"')


def test_keys_strings_and_numbers_are_told_apart():
    found = literals('{"a" : "b", "c": -1.5e3, "d": [true, "x:\\""]}')
    assert [(lit.is_string, lit.is_key) for lit in found] == [
        (True, True),
        (True, False),
        (True, True),
        (False, False),
        (True, True),
        (True, False),
    ]


def test_a_surrogate_pair_is_one_character():
    plain = unescape('["\\ud83d\\ude00\\n"]')
    assert plain.text == '["😀\n"]'
    assert plain.origin(2, 3) == (2, 14)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.booleans())
def test_unescaping_a_literal_gives_its_value(value, ascii_only):
    source = json.dumps([value], ensure_ascii=ascii_only)
    only = literals(source)
    assert len(only) == 1
    assert unescape(source[only[0].start : only[0].end]).text == value


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.booleans())
def test_every_unescaped_character_knows_where_it_came_from(value, ascii_only):
    source = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
    plain = unescape(source)
    for i in range(len(plain.text)):
        start, end = plain.origin(i, i + 1)
        assert unescape(source[start:end]).text == plain.text[i]


@given(VALUES)
def test_the_literals_of_a_text_are_all_there(value):
    source = json.dumps([value])
    found = literals(source)
    assert sum(lit.is_string for lit in found) == count(value, str) + keys(value)
    assert sum(not lit.is_string for lit in found) == count(value, (int, float))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_quoted_value_reads_back(value):
    assert json.loads(f'"{quote_inside(value)}"') == value


def count(value, types):
    if isinstance(value, dict):
        return sum(count(child, types) for child in value.values())
    if isinstance(value, list):
        return sum(count(child, types) for child in value)
    return int(isinstance(value, types) and not isinstance(value, bool))


def keys(value):
    if isinstance(value, dict):
        return len(value) + sum(keys(child) for child in value.values())
    if isinstance(value, list):
        return sum(keys(child) for child in value)
    return 0
