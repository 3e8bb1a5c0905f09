"""The memory of inspected texts: offsets under keyed hashes, bounded, never a text."""

from __future__ import annotations

from filters.seen import SeenTexts
from filters.spans import Span

SPAN = Span(0, 3, "PERSON", 0.9, "rule")


def test_a_text_is_known_by_its_whole_content():
    seen = SeenTexts(10)
    seen.put(seen.key_of("홍길동"), [SPAN])
    assert seen.get(seen.key_of("홍길동")) == (SPAN,)
    assert seen.get(seen.key_of("홍길동 ")) is None


def test_the_oldest_goes_first():
    seen = SeenTexts(2)
    for text in "abc":
        seen.put(seen.key_of(text), [])
        seen.get(seen.key_of("a"))
    assert seen.get(seen.key_of("a")) == ()
    assert seen.get(seen.key_of("b")) is None


def test_it_can_be_turned_off():
    seen = SeenTexts(0)
    seen.put(seen.key_of("a"), [])
    assert seen.get(seen.key_of("a")) is None


def test_the_number_of_spans_is_bounded_as_well():
    seen = SeenTexts(10)
    seen.put(seen.key_of("crowded"), [SPAN] * 100)
    assert seen.get(seen.key_of("crowded")) is None
    for text in ("a", "b", "a"):
        seen.put(seen.key_of(text), [SPAN] * 30)
    assert seen.get(seen.key_of("a")) is not None
    assert seen.get(seen.key_of("b")) is None


def test_it_holds_no_text():
    seen = SeenTexts(10)
    seen.put(seen.key_of("비밀 문장입니다"), [SPAN])
    held = repr(vars(seen))
    assert "비밀" not in held
    assert "비밀 문장입니다".encode().hex() not in held
