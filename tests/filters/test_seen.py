"""The memory of inspected texts: offsets under keyed hashes, bounded, never a text."""

from __future__ import annotations

import gc

from filters.seen import SeenTexts
from filters.spans import Span

SPAN = Span(0, 3, "PERSON", 0.9, "rule")


def test_a_text_is_known_by_its_whole_content():
    seen = SeenTexts(10)
    seen.put("홍길동", [SPAN])
    assert seen.get("홍길동") == (SPAN,)
    assert seen.get("홍길동 ") is None


def test_the_oldest_goes_first():
    seen = SeenTexts(2)
    for text in "abc":
        seen.put(text, [])
        seen.get("a")
    assert seen.get("a") == ()
    assert seen.get("b") is None


def test_it_can_be_turned_off_and_does_not_keep_crowded_texts():
    seen = SeenTexts(0)
    seen.put("a", [])
    assert seen.get("a") is None
    seen = SeenTexts(10)
    seen.put("a", [SPAN] * 100)
    assert seen.get("a") is None


def test_it_holds_no_text():
    seen = SeenTexts(10)
    text = "".join(["비밀", "문장", "입니다"])
    seen.put(text, [SPAN])
    assert not [
        holder
        for holder in gc.get_referrers(text)
        if holder is not globals() and isinstance(holder, (dict, tuple))
    ]
    assert text.encode() not in repr(vars(seen)).encode()
