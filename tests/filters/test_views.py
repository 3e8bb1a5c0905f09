"""Views read numerals, look-alikes and encodings, and leave ordinary text alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import spans
from filters.fold import fold
from filters.views import VIEWS, read

NUMERALS = {
    "0": "영공령빵〇零",
    "1": "일一壹壱㊀㈠〡Ⅰⅰ",
    "2": "이二貳弐㊁㈡〢Ⅱⅱ",
    "3": "삼三參参㊂㈢〣Ⅲⅲ",
    "4": "사四肆㊃㈣〤Ⅳⅳ",
    "5": "오五伍㊄㈤〥Ⅴⅴ",
    "6": "육륙六陸㊅㈥〦Ⅵⅵ",
    "7": "칠七柒㊆㈦〧Ⅶⅶ",
    "8": "팔八捌㊇㈧〨Ⅷⅷ",
    "9": "구九玖㊈㈨〩Ⅸⅸ",
}
WORDS = {
    "1": "하나",
    "2": "둘",
    "3": "셋",
    "4": "넷",
    "5": "다섯",
    "6": "여섯",
    "7": "일곱",
    "8": "여덟",
    "9": "아홉",
    "0": "제로",
}
LOOKALIKES = {
    "0": "OoQDㅇ○◯◦º°øØㅁ",
    "1": "Il|i!Lㅣ",
    "2": "Zz",
    "5": "Ss",
    "6": "bG",
    "7": "T",
    "8": "B",
    "9": "gq",
}


def reading(name, text):
    view = next(view for view in VIEWS if view.name == name)
    found = read(view, fold(text))
    return found.folded.text if found else None


@pytest.mark.parametrize(
    ("digit", "sign"), [(digit, sign) for digit, row in NUMERALS.items() for sign in row]
)
def test_every_numeral_is_read_as_its_digit(digit, sign):
    """Dropping a numeral makes one of these fail."""
    assert reading("spoken", f"공일공{sign}오육칠팔") == f"010{digit}5678"


@pytest.mark.parametrize(("digit", "word"), WORDS.items())
def test_every_native_numeral_is_read_as_its_digit(digit, word):
    assert reading("spoken", f"공일공{word}오육칠팔") == f"010{digit}5678"


@pytest.mark.parametrize(("digit", "letter"), [(digit, c) for digit, row in LOOKALIKES.items() for c in row])
def test_every_look_alike_is_read_as_its_digit(engine, digit, letter):
    assert reading("lookalikes", f"3471{letter}829-55") == f"3471{digit}829-55"
    number = f"010-347{digit}-8829"
    disguised = f"010-347{letter}-8829"
    assert [(s.start, s.end) for s in engine.detect(disguised) if s.type == spans.PHONE_NUMBER] == [
        (0, len(number))
    ]


@pytest.mark.parametrize(
    "word", ["다시", "대시", "대쉬", "하이픈", "하이푼", "빼기", "dash", "hyphen", "minus"]
)
def test_every_spoken_hyphen_joins_two_halves(engine, word):
    text = f"901010 {word} 1234567"
    assert [(s.start, s.end, s.type) for s in engine.detect(text)] == [(0, len(text), spans.KR_RRN)]


@pytest.mark.parametrize("ending", ["이에요", "이고", "이야", "이며", "이라고", "입니다", "", "인데요"])
def test_the_ending_of_a_sentence_is_no_numeral(engine, ending):
    text = f"구공일공일공에 일이삼사오육칠{ending}"
    assert [(s.start, s.end) for s in engine.detect(text) if s.type == spans.KR_RRN] == [(0, 15)]


@pytest.mark.parametrize(
    "text",
    ["이 일이 사실이면 삼사일 뒤에", "구이 삼겹살", "오이 이천 원", "일이삼사 순서", "one or two", "SOLID LIBS", "안녕하세요", "AbCdEfGhIjKlMnOp", "deadbeefcafe"],
)  # fmt: skip
def test_ordinary_words_are_read_as_they_stand(text):
    assert [reading(view.name, text) for view in VIEWS if view.name != "reversed"] == [None] * (
        len(VIEWS) - 1
    )


@given(st.text(alphabet="0123456789가나다 -@.", min_size=12, max_size=40))
def test_base64_of_a_text_with_a_number_is_decoded_or_was_none(text):
    encoded = base64.b64encode(text.encode()).decode()
    decoded = reading("base64", f"값 {encoded} 끝")
    assert decoded in {f"값 {text} 끝", None}
    if any(text[i : i + 2].isdigit() for i in range(len(text) - 1)):
        assert decoded == f"값 {text} 끝"


def _wrapped_at(width, text, encoding="utf-8", end="\n"):
    row = base64.b64encode(text.encode(encoding)).decode()
    return end.join(row[at : at + width] for at in range(0, len(row), width))


_LETTER_OF_A_CITIZEN = (
    "아래는 민원인의 인적사항입니다. 성명과 주민등록번호 740922-2321988 를 확인해 주시기 바랍니다."
)
_FULL_WIDTH = "주민번호 ７４０９２２－２３２１９８８"


@pytest.mark.parametrize("width", [24, 64, 76])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "가", "가나", "x", "xy"])
def test_base64_is_read_over_its_line_breaks(engine, width, end, before):
    text = f"첨부\n{_wrapped_at(width, before + _LETTER_OF_A_CITIZEN, end=end)}\n끝"
    (span,) = (span for span in engine.detect(text) if span.type == spans.KR_RRN)
    assert "\n" not in text[: span.start].strip("첨부\n")


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le", "utf-16"])
@pytest.mark.parametrize("text", [_LETTER_OF_A_CITIZEN, _FULL_WIDTH, "740922-2321988"])
def test_base64_is_read_in_the_encodings_of_korean_documents(engine, encoding, text):
    row = base64.b64encode(text.encode(encoding)).decode()
    assert spans.KR_RRN in {span.type for span in engine.detect(f"첨부: {row} 끝")}


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le"])
@pytest.mark.parametrize("shift", range(4))
def test_a_long_document_in_base64_is_read_wherever_it_is_cut(engine, encoding, shift):
    lines = "\n".join(f"제{number}항: 점검 결과를 정리하여 게시판에 올린다." for number in range(80))
    text = _wrapped_at(76, f"{lines}{'a' * shift}\n{_LETTER_OF_A_CITIZEN}\n{lines}", encoding)
    assert spans.KR_RRN in {span.type for span in engine.detect(text)}


def test_a_row_of_base64_above_another_word_is_read_alone(engine):
    row = base64.b64encode(b"740922-2321988 kim").decode()
    assert spans.KR_RRN in {span.type for span in engine.detect(f"{row}\nRegards\n")}


def test_a_longer_word_above_base64_does_not_hide_its_first_line(engine):
    rows = _wrapped_at(24, "주민 740922-2321988 김")
    text = f"AWordThatIsLongerThanTheLinesBelow\n{rows}\n"
    assert spans.KR_RRN in {span.type for span in engine.detect(text)}


def test_rows_that_are_whole_are_read_one_by_one(engine):
    row = base64.b64encode(b"901010-1234567").decode()
    found = [span for span in engine.detect(f"{row}\n{row}\n901010-1234567") if span.type == spans.KR_RRN]
    assert [span.end - span.start for span in found] == [20, 20, 14]


@pytest.mark.parametrize("between", ["", " ", ", "])
def test_code_points_are_read(engine, between):
    text = between.join(f"U+{ord(character):04X}" for character in "740922-2321988")
    assert [(s.start, s.end) for s in engine.detect(text) if s.type == spans.KR_RRN] == [(0, len(text))]
