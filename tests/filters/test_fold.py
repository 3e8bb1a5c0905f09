"""Folding changes what is hidden and keeps every offset traceable."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.detector import DetectorError
from filters.fold import fold

_TRICKY = st.sampled_from(
    [
        "９",
        "①",
        "\u200b",
        "\ufe0f",
        "\u0336",
        "ᄀ",
        "ᅡ",
        "ﾡ",
        "\U000e0039",
        "&#57;",
        "%39",
        "%EA%B9%80",
        "\\u0039",
        "\\n",
        "**",
        "<b>",
        "—",
        "А",
        "٣",
        "\ud800",
    ]
)
_TEXT = st.lists(
    st.one_of(_TRICKY, st.characters(), st.sampled_from(list("0123456789-가나 "))), max_size=40
).map("".join)


@given(_TEXT)
def test_every_folded_character_comes_from_a_place_of_the_original_in_order(text):
    folded = fold(text)
    position = 0
    for index in range(len(folded.text)):
        start, end = folded.origin(index, index + 1)
        assert position <= start < end <= len(text)
        position = start


@given(st.text(alphabet="가나다라마바사 abcXYZ.,()\n", max_size=200))
def test_plain_text_is_given_back_as_it_is(text):
    folded = fold(text)
    assert folded.text is text
    assert folded.starts is None


@given(st.text(alphabet="0123456789ABCXYZabcxyz-./:", max_size=30))
def test_full_width_text_folds_to_ascii(text):
    wide = "".join(chr(ord(c) + 0xFEE0) for c in text)
    assert fold(wide).text == text


@given(st.text(alphabet="가각힣홍길동뷁 ", max_size=30))
def test_decomposed_hangul_is_composed_again_and_maps_back(text):
    decomposed = unicodedata.normalize("NFD", text)
    folded = fold(decomposed)
    assert folded.text == text
    for index, character in enumerate(text):
        start, end = folded.origin(index, index + 1)
        assert unicodedata.normalize("NFC", decomposed[start:end]) == character


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("９０１０", "9010"), ("𝟗𝟎", "90"), ("⁹⁰", "90"), ("٩٠", "90"), ("९०", "90"), ("9️⃣0️⃣", "90"), ("⑨⓪", "90"), ("1⑩", "110"),
        ("9\u200b0", "90"), ("9\u00ad0", "90"), ("9\u03360", "90"), ("9\ufe0f0", "90"), ("9\U000e01010", "90"), ("9\u31640", "90"),
        ("9—0", "9-0"), ("9−0", "9-0"), ("9．0", "9.0"), ("9\u30000", "9 0"), ("ﾡￂﾤ", "간"), ("Ａb", "Ab"), ("ОК", "OK"), ("Μ", "M"),
        ("&#57;&#x30;", "90"), ("%39%30", "90"), ("%EA%B9%80", "김"), ("\\u0039\\u0030", "90"), ("\\u{39}", "9"), ("\\x39\\x30", "90"),
        ("\\071", "9"), ("=39=30=31=30", "9010"), ("a\\n9", "a\n9"), ('\\"9\\/0', '"9/0'), ("\\ud83d\\ude00", "😀"), ("&amp;", "&"),
        ("90**10**-1", "9010-1"), ("90<b>10</b>-1", "9010-1"), ("9<!-- x -->0", "90"), ("`90`-`10`", "`90-10`"), ("90</td><td>10", "90 10"),
        ("".join(chr(0xE0000 + ord(c)) for c in "901"), "901"), ("9\U000e00610", "90"), ("a\ud8009", "a\ufffd9"),
    ],
)  # fmt: skip
def test_a_disguise_folds_to_what_a_reader_sees(written, read):
    assert fold(written).text == read


@pytest.mark.parametrize(
    "text",
    [
        "① 2025년",
        "㈜해치",
        "10㎡",
        "○○과",
        "3.5%",
        "%01",
        "&bogus;",
        "C:\\data",
        "a*b*c",
        "1 < 2",
        "「지방자치법」",
    ],
)
def test_what_hides_nothing_stays(text):
    assert fold(text).text == text


def test_a_finding_in_escapes_maps_to_the_whole_escapes():
    text = "값 &#57;&#48; 끝"
    folded = fold(text)
    start = folded.text.index("90")
    assert text[slice(*folded.origin(start, start + 2))] == "&#57;&#48;"


def test_a_text_of_nothing_but_escapes_is_refused():
    with pytest.raises(DetectorError, match="TooMany"):
        fold("&#57;" * 150_000)


def residents(engine, text):
    return [text[span.start : span.end] for span in engine.detect(text) if span.type == "KR_RRN"]


@pytest.mark.parametrize(
    "written",
    [
        "7409=\n22-2321988",
        "740922-=\r\n2321988",
        "=37=34=30=39=32=32=\n=2D=32=33=32=31=39=38=38",
        "740922-\x1b[01;31m\x1b[K2321988",
        r"740922-\x1b[31m2321988",
        r"740922-\u001b[0m2321988",
        "&#0000000055;40922-2321988",
        "&#x000000037;40922-2321988",
        "%u0037%u0034%u0030922-2321988",
    ],
)
def test_line_breaks_colours_and_zeros_of_escapes_hide_no_number(engine, written):
    (found,) = residents(engine, f"주민번호: {written} 입니다")
    assert found.endswith(written[-4:])


@pytest.mark.parametrize(
    ("label", "sign"),
    [
        ("", "\\"),
        ("", "%"),
        ("", "&#"),
        ("주민등록번호: ", "\\"),
        ("주민등록번호: ", "%"),
        ("주민등록번호: ", "\\u"),
    ],
)
@pytest.mark.parametrize("back", ["3014940", "3414940"])
def test_a_sign_between_two_halves_begins_no_escape(engine, label, sign, back):
    written = f"220123{sign}{back}"
    assert residents(engine, label + written) == [written]


def test_an_escape_that_is_no_half_is_decoded_beside_digits():
    assert fold("90010%31-1234567").text == "900101-1234567"
    assert fold(r"900101\0551234567").text == "900101-1234567"


@pytest.mark.parametrize("text", ["합계 =\n3층", "x =\n 900101", "\x1b 가나", "a=b\nc=\nd"])
def test_equals_signs_at_the_end_of_lines_stay(text):
    assert fold(text).text == text
