"""What a reviewer sees of a stored text: findings masked in place, nothing that disguises, nothing endless."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from gateway.console.review.text import AROUND, MOST_SPANS, Piece, pieces


class Found(NamedTuple):
    start: int
    end: int


def shown(text: str, found: list[Found], opened: frozenset[int] = frozenset()) -> str:
    return "".join(
        "■" if piece.kind == "masked" else f"[{piece.text}]" if piece.kind in {"odd", "cut"} else piece.text
        for piece in pieces(text, found, opened)
    )


def test_a_finding_is_masked_where_it_stands():
    text = "주민등록번호는 900101-1234568 입니다."
    assert shown(text, [Found(8, 22)]) == "주민등록번호는 ■ 입니다."


def test_a_finding_that_was_opened_shows_its_value_and_the_others_do_not():
    text = "A 010-1234-5678, B 010-8765-4321"
    found = [Found(2, 15), Found(19, 32)]
    assert shown(text, found, frozenset({1})) == "A ■, B 010-8765-4321"


def test_what_turns_or_hides_letters_is_named():
    assert shown("가\u202e나\u200b다\x00라", []) == "가[U+202E]나[U+200B]다[U+0000]라"
    assert shown("한 줄\r\n두 줄\t끝", []) == "한 줄\n두 줄\t끝"


def test_a_megabyte_is_cut_to_what_stands_around_its_findings():
    text = "가" * 500_000 + "900101-1234568" + "나" * 500_000
    whole = shown(text, [Found(500_000, 500_014)])
    assert "■" in whole
    assert len(whole) < 4 * AROUND
    assert f"[{500_000 - AROUND // 2 - AROUND}]" in whole


def test_a_finding_of_a_megabyte_is_cut_when_it_is_opened():
    assert len(shown("가" * 1_000_000, [Found(0, 1_000_000)], frozenset({0}))) < 4 * AROUND


def test_a_thousand_findings_end_in_a_count_of_what_is_left():
    text = "010-1234-5678 " * 1000
    found = [Found(at, at + 13) for at in range(0, len(text), 14)]
    whole = shown(text, found)
    assert whole.count("■") == MOST_SPANS
    assert whole.endswith(f"[{len(text) - 14 * MOST_SPANS + 1}]")


def letters(shown: list[Piece]) -> str:
    """What pieces say, each odd character as itself again."""
    return "".join(chr(int(p.text[2:], 16)) if p.kind == "odd" else p.text for p in shown)


texts = st.text(st.characters(exclude_characters="\r"), max_size=80)
spans = st.lists(st.tuples(st.integers(-5, 90), st.integers(-5, 90)), max_size=6)


@given(texts, spans)
def test_no_character_of_a_finding_that_is_shut_is_ever_shown(text: str, raw: list[tuple[int, int]]):
    found = [Found(start, end) for start, end in raw]
    secret = {at for one in found for at in range(max(one.start, 0), min(one.end, len(text)))}
    plain = "".join(ch for at, ch in enumerate(text) if at not in secret)
    assert letters(pieces(text, found)) == plain


@given(texts)
def test_without_findings_every_character_is_there_in_order(text: str):
    assert letters(pieces(text, [])) == text
