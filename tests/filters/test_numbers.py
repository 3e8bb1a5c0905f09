"""Identity numbers made of digits: what form says alone, what a label adds, what harmless labels take."""

from __future__ import annotations

import re

import pytest

from filters import spans
from filters.detectors import labels
from filters.detectors.candidates import candidates


def found(engine, text):
    return [
        (text[span.start : span.end], span.type) for span in engine.detect(text) if span.type != spans.PERSON
    ]


@pytest.mark.parametrize(
    ("text", "number", "kind"),
    [
        ("901010-1234567입니다", "901010-1234567", spans.KR_RRN),
        ("김민준(901010-1234567)은", "901010-1234567", spans.KR_RRN),
        ("900229-1234567은 없고 920229-1234567은 있다", "920229-1234567", spans.KR_RRN),
        ("9010101234567", "9010101234567", spans.KR_RRN),
        ("주민번호 190302-4702473", "190302-4702473", spans.KR_RRN),
        ("951112-5012345", "951112-5012345", spans.KR_FRN),
        ("7654321-010109", "7654321-010109", spans.KR_RRN),
        ("앞 6자리 901010, 뒤 7자리 1234567", "901010, 뒤 7자리 1234567", spans.KR_RRN),
        ("뒷자리는 1234567이고 앞자리는 901010", "1234567이고 앞자리는 901010", spans.KR_RRN),
        ("생년월일 901010, 뒷자리 1234567", "901010, 뒷자리 1234567", spans.KR_RRN),
        ("주민번호는 901010 하고 1234567이에요", "901010 하고 1234567", spans.KR_RRN),
        ("901010hyphen1234567", "901010hyphen1234567", spans.KR_RRN),
        ("1234567-901010", "1234567-901010", spans.KR_FRN),
        ("홍길동_901010-1234567_신청서.hwp", "901010-1234567", spans.KR_RRN),
        ("> 901010-\n> 1234567", "901010-\n> 1234567", spans.KR_RRN),
        ("Ⅸ0Ⅰ0Ⅰ0-ⅠⅡⅢⅣⅤⅥⅦ", "Ⅸ0Ⅰ0Ⅰ0-ⅠⅡⅢⅣⅤⅥⅦ", spans.KR_RRN),
        ("4111-1111-1111-1111로 결제", "4111-1111-1111-1111", spans.CREDIT_CARD),
        ("4111111111111111", "4111111111111111", spans.CREDIT_CARD),
        ("3782-822463-10005", "3782-822463-10005", spans.CREDIT_CARD),
        ("신한카드 4512-8802-1193-0043", "4512-8802-1193-0043", spans.CREDIT_CARD),
        ("법인등록번호 110111-1234567", "110111-1234567", spans.KR_CORP_NO),
        ("110111-0045678(법인등록번호)", "110111-0045678", spans.KR_CORP_NO),
        ("사업자번호 2148210532", "2148210532", spans.KR_BRN),
        ("214-86-11902로 발행", "214-86-11902", spans.KR_BRN),
        ("11-20-394857-12", "11-20-394857-12", spans.KR_DRIVER_LICENSE),
        ("운전면허 서울 12-345678-90", "서울 12-345678-90", spans.KR_DRIVER_LICENSE),
        ("110111-0123456 (주)한빛", "110111-0123456", spans.KR_CORP_NO),
        ("운전면허 112039485712", "112039485712", spans.KR_DRIVER_LICENSE),
        ("신한은행 110-452-987654", "110-452-987654", spans.KR_BANK_ACCOUNT),
        ("110-452-987654 (국민은행)", "110-452-987654", spans.KR_BANK_ACCOUNT),
        ("건강보험증 번호 1-2345678901", "1-2345678901", spans.KR_HEALTH_INSURANCE),
        ("010-1234-5678로 전화", "010-1234-5678", spans.PHONE_NUMBER),
        ("01012345678", "01012345678", spans.PHONE_NUMBER),
        ("+82-10-1234-5678", "+82-10-1234-5678", spans.PHONE_NUMBER),
        ("+82 10 1234 5678", "+82 10 1234 5678", spans.PHONE_NUMBER),
        ("(02) 731-2114", "(02) 731-2114", spans.PHONE_NUMBER),
        ("031-211-5567", "031-211-5567", spans.PHONE_NUMBER),
        ("070-8765-4321", "070-8765-4321", spans.PHONE_NUMBER),
        ("0505-123-4567", "0505-123-4567", spans.PHONE_NUMBER),
    ],
)
def test_a_number_is_found_with_its_exact_range(engine, text, number, kind):
    assert (number, kind) in found(engine, text)


@pytest.mark.parametrize(
    "text",
    [
        "900230-1234567", "901310-1234567", "901010-12345678", "상품 8801234567893", "바코드 8801012345672", "주문번호 9010101234567",
        "9,010,101,234,567원", "예산 9,010,101,234,567", "2021 2022 2023 2024", "1592-1598년", "2025-10-14~2025-12-31",
        "37.566826, 126.9786567", "1731234567890", "관리번호 214-86-11903", "버전 11-20-394857", "999-99-9999", "계좌번호 형식은 000-000-000000",
    ],
)  # fmt: skip
def test_what_is_no_identity_number_is_left_alone(engine, text):
    assert found(engine, text) == []


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("214-86-11902", "company"),
        ("214-83-11902", "government"),
        ("214-05-11902", "individual"),
        ("214-90-11902", "individual"),
    ],
)
def test_the_middle_of_a_business_number_says_whose_it_is(engine, text, label):
    assert [span.label for span in engine.detect(text)] == [label]


@pytest.mark.parametrize(
    "text", ["880514-2******", "(820514-2xxxxxx)", "920514-1●●●●●●", "주민번호 880514-2 까지만"]
)
def test_a_masked_resident_number_is_labelled_partial(engine, text):
    assert [(span.type, span.label) for span in engine.detect(text)] == [(spans.KR_RRN, "partial")]


def test_a_check_digit_raises_the_score_and_never_gates(engine):
    good, bad = (engine.detect(f"사업자등록번호 {number}")[0] for number in ("120-81-47521", "120-81-47522"))
    assert good.score > bad.score >= 0.5


_BARE = {
    "rrn": "9010109234567", "frn": "9910107234567", "corp": "1101110045678", "brn": "2148210533", "licence": "112039485712",
    "passport": "X12345678", "health": "12345678901", "account": "12345678901", "card": "4512880211930044", "phone": "3471-8829",
}  # fmt: skip
_TYPES = {
    "rrn": spans.KR_RRN, "frn": spans.KR_FRN, "corp": spans.KR_CORP_NO, "brn": spans.KR_BRN, "licence": spans.KR_DRIVER_LICENSE,
    "passport": spans.KR_PASSPORT, "health": spans.KR_HEALTH_INSURANCE, "account": spans.KR_BANK_ACCOUNT, "card": spans.CREDIT_CARD,
    "phone": spans.PHONE_NUMBER,
}  # fmt: skip
_EACH_LABEL = [
    (kind, word.replace("~", ""))
    for kind in _TYPES
    for word in labels._WORDS[kind].split()
    if kind != "passport"
]


@pytest.mark.parametrize(("kind", "word"), _EACH_LABEL)
def test_every_label_word_does_its_work(engine, kind, word):
    """Dropping any context word from filters/detectors/labels.py makes one of these fail."""
    number = _BARE[kind]
    assert (number, _TYPES[kind]) in found(engine, f"{word}: {number}")
    assert (number, _TYPES[kind]) not in found(engine, f"가: {number}")


@pytest.mark.parametrize("word", [word.replace("~", "") for word in labels._WORDS[labels.HARMLESS].split()])
def test_every_harmless_label_takes_the_benefit_of_the_doubt_away(engine, word):
    assert found(engine, f"{word} 9010101234567") == []
    assert found(engine, "값 9010101234567") != []


def test_the_nearest_label_speaks(engine):
    text = "계좌번호 110-452-987654, 카드번호 4512880211930043"
    assert [kind for _, kind in found(engine, text)] == [spans.KR_BANK_ACCOUNT, spans.CREDIT_CARD]


def test_a_list_number_on_the_next_line_is_no_part_of_a_number(engine):
    assert found(engine, "4. 계좌: 신한은행 110-452-981023\n5. 문의")[0][0] == "110-452-981023"


def test_windows_of_a_long_table_stay_few():
    table = " ".join(f"{n * 7919:,}" for n in range(20_000))
    assert sum(1 for _ in candidates(table)) < 2_000


BORN = ("900101", "240229", "551231", "071015")


def labelled(back):
    """A front with each century's digits before `back`, in the ways in which people label it."""
    for front in BORN:
        century = "1256" if front[0] in "59" else "3478"
        for first in century:
            yield f"주민등록번호: {front}-{first}{back}"
            yield f"주민등록번호는 {front}-{first}{back} 입니다"
            yield f"외국인등록번호 {front} - {first}{back}"
            yield f"{front}-{first}{back} (주민번호)"


@pytest.mark.parametrize(
    "back", ["2345", "23456", "2345678", "23456?", "2345_", "23456×", "2345••", "23456@"]
)
def test_a_resident_number_with_a_digit_too_few_or_too_many_is_found_by_its_label(engine, back):
    for text in labelled(back):
        assert {span.type for span in engine.detect(text)} & {spans.KR_RRN, spans.KR_FRN}, text


@pytest.mark.parametrize("sign", list("?_-•×@%~^+*#●"))
def test_any_sign_may_mask_the_rest_of_a_labelled_resident_number(engine, sign):
    for shown in range(7):
        for text in labelled("234567"[:shown] + sign * (6 - shown)):
            found = [s for s in engine.detect(text) if s.type in {spans.KR_RRN, spans.KR_FRN}]
            assert len(found) == 1, text


@pytest.mark.parametrize("digits", ["900101123456", "90010112345678", "900101 123456", "900101.12345"])
def test_its_separator_may_be_anything_or_nothing(engine, digits):
    assert [s.label for s in engine.detect(f"주민등록번호 {digits}")] == ["partial"]


@pytest.mark.parametrize(
    "text",
    [
        "900101-123456",
        "접수번호 900101-123456",
        "주민등록증 접수번호 240101-123456",
        "주민등록번호 901345-123456",
        "주민등록번호 900101-012345",
        "주민등록번호 변경 고시 제240101, 123456호",
        "주민등록 등본 240101-12 (2부)",
    ],
)
def test_without_a_label_or_a_date_it_is_none(engine, text):
    assert not {span.type for span in engine.detect(text)} & {spans.KR_RRN, spans.KR_FRN}


@pytest.mark.parametrize(
    "form",
    [
        "{f}------{b}",
        "{f}--------------------{b}",
        "주민등록번호 {f}      {b}",
        "주민등록번호: {f}\n\n\n\n\n\n{b}",
        "주민번호 {f}............{b}",
        "외국인등록번호 {f}" + " " * 30 + "{b}",
        "{f}(남){b}",
        "{f} (여성) {b}",
        "앞부분은 {f} 이고요, 그 다음에 이어지는 부분은 {b} 입니다",
        "주민번호인데 {f} 까지가 처음이고 그 다음으로 오는 것이 {b} 이래요",
    ],
)
@pytest.mark.parametrize("back", ["1234567", "2345671", "5012345"])
def test_halves_that_stand_far_apart_are_found(engine, form, back):
    found = engine.detect(form.format(f="900101", b=back))
    assert {span.type for span in found} & {spans.KR_RRN, spans.KR_FRN}


@pytest.mark.parametrize(
    "text",
    [
        "총액 900101 과 그 다음 줄에 적힌 여러 부서의 합계 1234567",
        "900101          1234567",
        "앞으로 900101 명이 더 올 것으로 보이며 예산은 1234568 원이다",
        "좌석 앞쪽 12번, 900101 그 다음에 이어지는 부분은 1234568",
    ],
)
def test_amounts_that_stand_far_apart_are_none(engine, text):
    assert not {span.type for span in engine.detect(text)} & {spans.KR_RRN, spans.KR_FRN}


@pytest.mark.parametrize(
    "prompt",
    [
        "공문을 써 줘. {n}",
        "아래 회원 정보를 정리해 주세요.\n{n}",
        "이 민원을 접수해 줘\n{n} 홍길동",
        "계약서를 만들었음. {n}",
    ],
)
@pytest.mark.parametrize("number", ["9104121056784", "910412 1056784"])
def test_a_word_in_the_sentence_before_makes_no_number_harmless(engine, prompt, number):
    """Its check digit is wrong, as those of all numbers since October 2020 may be."""
    assert (number, spans.KR_RRN) in found(engine, prompt.format(n=number))


@pytest.mark.parametrize("lead", ["공문 ", "공문 번호: ", "회원번호는\n", "계약 번호 (신). "])
def test_a_harmless_label_before_its_number_still_does(engine, lead):
    assert found(engine, f"{lead}9104121056784") == []


@pytest.mark.parametrize(
    "text",
    [
        "주민번호 9104, 1210, 56784",
        "주민등록번호는 9104 - 1210 - 56784 입니다",
        "주민번호:\n9104\n1210\n56784",
        "주민번호 199104121056784",
        "jumin1=910412&jumin2=1056784",
        '{"jumin1": "910412", "jumin2": "1056784"}',
        "ssn_1 910412, ssn_2 1056784",
        "주민등록번호\n1. 910412\n2. 1056784",
        "1. 910412\n2. 1056781",
        "1991년 4월 12일 1056781",
        "91년04월12일-1056781",
        "1991.4.12. 1056781",
        "주민번호 1991년 4월 12일 1056784",
        "910412 짝대기 1056784",
        "910412 더하기 1056784",
    ],
)
def test_a_number_in_unusual_groups_is_found(engine, text):
    found = [span for span in engine.detect(text) if span.type == spans.KR_RRN]
    assert [text[span.end - 1] for span in found] == [re.findall("[0-9]", text)[-1]]


@pytest.mark.parametrize(
    "text",
    [
        "생년월일 1991-04-12 뒷자리 1056784",
        "1991년 4월 12일, 뒷자리는 1056784",
        "생일은 910412, 뒷번호 1056784",
    ],
)
def test_a_back_beside_a_birthday_is_found(engine, text):
    assert spans.KR_RRN in {span.type for span in engine.detect(text)}


@pytest.mark.parametrize(
    "text",
    [
        "회의는 1991년 4월 12일 1056784",  # no check digit
        "2024년 4월 12일 1056781",  # a sex of the other century
        "1991.4.12. 1056781원",
        "문서번호 1991.4.12. 1056781",
        "1. 910412\n2. 1056784",
        "199104121056781",
        "면적 9104, 1210, 56784",
        "[0.003173828125, 0.12]",
    ],
)
def test_a_date_or_a_list_beside_other_numbers_is_none(engine, text):
    assert {spans.KR_RRN, spans.KR_FRN}.isdisjoint(span.type for span in engine.detect(text))
