from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator import tokens


@given(st.text())
def test_pieces_joined_are_the_text_and_never_count_more_than_its_bytes(text):
    assert "".join(tokens.pieces(text)) == text
    assert tokens.count(text) <= len(text.encode(errors="surrogatepass"))


@given(st.text(), st.integers(0, 50))
def test_the_beginning_keeps_within_its_limit_and_is_a_beginning(text, limit):
    kept = tokens.first(text, limit)
    assert text.startswith(kept)
    assert tokens.count(kept) <= limit
    assert kept == text or tokens.count(kept) == limit


def test_korean_counts_about_half_a_token_for_each_syllable():
    text = "서울특별시 행정국은 주민등록 업무와 공직선거 관리를 맡는다"
    syllables = sum("가" <= c <= "힣" for c in text)
    assert 0.45 <= tokens.count(text) / syllables <= 0.75
