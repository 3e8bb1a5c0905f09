"""What a reviewer sees of a stored text: findings masked in place, nothing that disguises, nothing endless."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.console.review.text import AROUND, MOST_SPANS, Run, runs
from gateway.incidents.records import Piece

MASK = Piece("█████", span=0, type="KR_RRN")


def shown(*pieces: Piece | str) -> str:
    whole = runs([Piece(one) if isinstance(one, str) else one for one in pieces])
    return "".join(
        "■" if run.kind == "masked" else f"[{run.text}]" if run.kind in {"odd", "cut"} else run.text
        for run in whole
    )


def opened(text: str) -> Piece:
    return Piece(text, span=1, type="PHONE_NUMBER", revealed=True)


def test_a_finding_is_masked_where_it_stands():
    assert shown("주민등록번호는 ", MASK, " 입니다.") == "주민등록번호는 ■ 입니다."


def test_a_finding_that_was_opened_shows_its_value_and_the_others_do_not():
    assert shown("A ", MASK, ", B ", opened("010-8765-4321")) == "A ■, B 010-8765-4321"


def test_a_run_knows_which_finding_it_is():
    assert runs([MASK])[0] == Run("masked", "", 0, "KR_RRN")
    assert runs([opened("010")])[0] == Run("open", "010", 1, "PHONE_NUMBER")


def test_what_turns_or_hides_letters_is_named_in_values_too():
    assert shown("가\u202e나\u200b다\x00라") == "가[U+202E]나[U+200B]다[U+0000]라"
    assert shown(opened("9001\u200b01")) == "9001[U+200B]01"
    assert shown("한 줄\r\n두 줄\t끝") == "한 줄\n두 줄\t끝"


def test_a_megabyte_is_cut_to_what_stands_around_its_findings():
    whole = shown("가" * 500_000, MASK, "나" * 500_000)
    assert len(whole) < 5 * AROUND
    assert f"[{500_000 - 2 * AROUND}]" in whole
    assert whole.endswith(f"[{500_000 - AROUND}]")
    assert shown("가" * 500_000).endswith("가" * AROUND)


def test_a_finding_of_a_megabyte_is_cut_when_it_is_opened():
    assert len(shown(opened("가" * 1_000_000))) < 3 * AROUND


def test_a_thousand_findings_end_in_a_count_of_what_is_left():
    pieces = [piece for _ in range(1000) for piece in (MASK, Piece(" "))]
    whole = shown(*pieces)
    assert whole.count("■") == MOST_SPANS
    assert whole.endswith(f"[{1000 - MOST_SPANS + 1 + 5 * (1000 - MOST_SPANS)}]")


def letters(whole: list[Run]) -> str:
    """What runs say, each odd character as itself again."""
    return "".join(
        chr(int(run.text.removeprefix("U+"), 16)) if run.kind == "odd" else run.text for run in whole
    )


@given(st.lists(st.text(st.characters(exclude_characters="\r"), max_size=40), max_size=6))
def test_every_character_is_there_in_order(texts: list[str]):
    assert letters(runs([Piece(text) for text in texts])) == "".join(texts)


@given(st.text(st.characters(exclude_characters="\r")))
def test_no_character_that_is_not_seen_is_sent_to_a_page(text: str):
    said = "".join(run.text for run in runs([Piece(text), opened(text)]) if run.kind in {"plain", "open"})
    assert not any(ch in said for ch in "\u202e\u202d\u2066\u2067\u200f\u200b\ufeff\x00\x1b")
