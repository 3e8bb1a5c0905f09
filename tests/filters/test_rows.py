"""Numbers in rows of a table: CSV, Markdown and what is pasted from a spreadsheet."""

from __future__ import annotations

import datetime as dt
import time
from random import Random

import pytest

from filters import checksums, spans
from filters.detectors.columns import Columns


def _number(order: Random, sexes: str, years: tuple[int, int], *, valid: bool, check: object) -> str:
    first = dt.date(years[0], 1, 1)
    born = first + dt.timedelta(days=order.randrange((dt.date(years[1], 12, 31) - first).days))
    while True:
        digits = f"{born:%y%m%d}{order.choice(sexes)}{order.randrange(10**6):06}"
        if check(digits) is valid:  # type: ignore[operator]
            return digits


def checked(order: Random) -> str:
    """Issued before October 2020, with its check digit."""
    return _number(order, "12", (1940, 1999), valid=True, check=checksums.rrn_valid)


def newborn(order: Random) -> str:
    """Issued at birth since October 2020, without a check digit."""
    return _number(order, "34", (2021, 2025), valid=False, check=checksums.rrn_valid)


def reissued(order: Random) -> str:
    """Of an adult, changed since October 2020."""
    return _number(order, "12", (1940, 1999), valid=False, check=checksums.rrn_valid)


def foreigner(order: Random) -> str:
    return _number(order, "56", (1950, 1999), valid=False, check=checksums.frn_valid)


RESIDENTS = (checked, newborn, reissued, foreigner)
KINDS = {spans.KR_RRN, spans.KR_FRN}


def written(digits: str) -> str:
    return f"{digits[:6]}-{digits[6:]}"


def mobile(order: Random) -> str:
    return f"010-{order.randrange(2000, 9999)}-{order.randrange(10000):04}"


def neighbours(order: Random) -> list[str]:
    """What may stand in the column beside: a phone, a date, one to five digits, a room."""
    digits = [str(order.randrange(10 ** (count - 1), 10**count)) for count in range(1, 6)]
    return [mobile(order), f"031-{order.randrange(200, 999)}-5678", "2026-03-12", "서울", *digits]


def within(found: list[spans.Span], text: str, number: str, kinds: set[str]) -> bool:
    at = text.index(number)
    return any(span.type in kinds and span.start <= at and at + len(number) <= span.end for span in found)


def covers(engine, text: str, number: str, kinds: set[str]) -> bool:
    return within(engine.detect(text), text, number, kinds)


@pytest.mark.parametrize("kind", RESIDENTS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", " | ", "/"])
def test_a_written_number_is_found_whatever_stands_in_the_next_column(engine, kind, separator):
    order = Random(kind.__name__ + separator)
    missed = []
    for _ in range(6):
        for neighbour in neighbours(order):
            number = written(kind(order))
            for row in (
                [number, neighbour],
                [neighbour, number],
                ["김철수", neighbour, number, neighbour, "4"],
            ):
                text = separator.join(row)
                if not covers(engine, text, number, KINDS):
                    missed.append(text)
    assert missed == []


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", " | ", "/"])
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("4111-1111-1111-1111", spans.CREDIT_CARD),
        ("11-20-394857-12", spans.KR_DRIVER_LICENSE),
        ("214-86-11902", spans.KR_BRN),
        ("010-2938-4756", spans.PHONE_NUMBER),
        ("02-2133-5678", spans.PHONE_NUMBER),
        ("700313-1098400", spans.KR_RRN),
    ],
)
def test_a_phone_behind_a_number_leaves_both(engine, number, kind, separator):
    order = Random(number + separator)
    for _ in range(20):
        phone = mobile(order)
        for text in (f"{number}{separator}{phone}", f"{phone}{separator}{number}"):
            assert covers(engine, text, number, {kind}), text
            assert covers(engine, text, phone, {spans.PHONE_NUMBER}), text


@pytest.mark.parametrize("before", ["35000", "123", "3,12", "1", "2026-03-12", "김철수,35,000"])
@pytest.mark.parametrize("behind", ["35000", "123", "4,101,1203", "12/27,123", "서울"])
def test_a_phone_between_columns_is_found(engine, before, behind):
    order = Random(before + behind)
    for _ in range(10):
        phone = mobile(order)
        text = f"김철수,{before},{phone},{behind}"
        assert covers(engine, text, phone, {spans.PHONE_NUMBER}), text


@pytest.mark.parametrize(
    ("text", "number", "kind"),
    [
        ("700313-1098400.010-8374-2913", "010-8374-2913", spans.PHONE_NUMBER),
        ("700313-1098400.010-8374-2913", "700313-1098400", spans.KR_RRN),
        ("01083742913/01029384756", "01029384756", spans.PHONE_NUMBER),
        ("7003131098400/01083742913", "7003131098400", spans.KR_RRN),
        ("주민등록번호,동,호\n700313-1098400,101,1203", "700313-1098400", spans.KR_RRN),
        ("계좌번호,연락처\n110-234-567890,010-8374-2913", "010-8374-2913", spans.PHONE_NUMBER),
        ("신한은행 110-234-567890,010-8374-2913", "110-234-567890", spans.KR_BANK_ACCOUNT),
        ("4111111111111111,12/27,123", "4111111111111111", spans.CREDIT_CARD),
        ("4111111111111111 12/27 123", "4111111111111111", spans.CREDIT_CARD),
        ("김철수,010.8374.2913,35,010.2938.4756", "010.2938.4756", spans.PHONE_NUMBER),
    ],
)
def test_a_number_in_a_row(engine, text, number, kind):
    assert covers(engine, text, number, {kind})


@pytest.mark.parametrize(
    "text",
    [
        "총 1,234,567원", "예산 12,000,000", "900,101", "900,101,123,456", "35,000,1,234,567,890",
        "1,234.567", "1,234,567.89", "9,010,101,234,567", "버전 1.2.3-4.5", "2024.3.1-2024.12.31",
        "2026/03/12-2026/04/12", "2024가합12345", "img/2024/03/12/20240312-123456.png", "12,000/35,000/47,000",
        "3,900,101,100원", "v2024.01.02-3",
    ],
)  # fmt: skip
def test_amounts_versions_and_dates_stay_clean(engine, text):
    assert engine.detect(text) == []


def table(labels: str, rows: list[str], mark: str) -> str:
    """A table in the way of its mark: CSV, tabs, or Markdown with its rule."""
    if mark != "|":
        return "\n".join(row.replace(",", mark) for row in [labels, *rows])
    lines = ["| " + row.replace(",", " | ") + " |" for row in [labels, *rows]]
    rule = "|" + "---|" * (labels.count(",") + 1)
    return "\n".join([lines[0], rule, *lines[1:]])


@pytest.mark.parametrize("kind", RESIDENTS)
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("labels", "row"),
    [
        ("성명,주민등록번호,연락처", "김철수,{n},{p}"),
        ("번호,연락처,성명,주민번호,금액", "12,{p},김철수,{n},35000"),
        ("연락처,금액,외국인등록번호", "{p},35000,{n}"),
        ("name,phone,rrn", "Kim,{p},{n}"),
        ("이름,주민앞,주민뒤,금액", "김철수,{f},{b},35000"),
        ("이름,생년월일,뒷자리", "김철수,{f},{b}"),
        ("이름,생년월일,주민번호뒤,연락처", "김철수,{f},{b},{p}"),
        ("성명,앞자리,주소,뒷자리", "김철수,{f},서울시 중구 세종대로 110,{b}"),
        ("성명,앞자리,연락처,뒷자리", "김철수,{f},{p},{b}"),
        ("뒤 7자리,성명,앞 6자리", "{b},김철수,{f}"),
        ("번호,rrn1,성명,rrn2", "4,{f},김철수,{b}"),
    ],
)
def test_the_heading_of_a_column_is_the_label_of_its_numbers(engine, kind, mark, labels, row):
    order = Random(kind.__name__ + mark + row)
    digits = [kind(order) for _ in range(12)]
    rows = [row.format(n=n, f=n[:6], b=n[6:], p=mobile(order)) for n in digits]
    text = table(labels, rows, mark)
    found = engine.detect(text)
    for number in digits:
        assert within(found, text, number[:6], {*KINDS, spans.DATE_OF_BIRTH}), (number, text)
        assert within(found, text, number[6:], KINDS), (number, text)


@pytest.mark.parametrize(
    ("text", "number", "kind"),
    [
        ('성명,금액,주민등록번호\n김철수,"35,000",2406173957385', "2406173957385", spans.KR_RRN),
        ("성명,금액,주민등록번호\n김철수,1,235,000,2406173957385", "2406173957385", spans.KR_RRN),
        ("성명,주민등록번호,금액\n김철수,240617395738,35000", "240617395738", spans.KR_RRN),
        ("\ufeff주민등록번호,성명\n2406173957385,김철수", "2406173957385", spans.KR_RRN),
        ("성명,주민번호 뒷자리,연락처\n김철수,4491518,010-1234-5678", "4491518", spans.KR_RRN),
        ("성명,생년월일,뒷자리\n김철수,1990-10-10,1234567", "1234567", spans.KR_RRN),
        ("성명,앞자리,주소,뒷자리\n김철수,50617,서울,3957385", "3957385", spans.KR_RRN),
        ("성명,앞자리,뒷자리\n\n비고,,주민센터\n김철수,050617,3957385", "3957385", spans.KR_RRN),
        (
            "성명,계좌번호,연락처\n김철수,11023456789012,010-1234-5678",
            "11023456789012",
            spans.KR_BANK_ACCOUNT,
        ),
        ("성명,카드번호,유효기간\n김철수,4111111111111112,12/27", "4111111111111112", spans.CREDIT_CARD),
        ("성명,사업자등록번호,연락처\n김철수,2148611901,010-1234-5678", "2148611901", spans.KR_BRN),
        (
            "연락처,성명,운전면허번호\n010-1234-5678,김철수,112039485712",
            "112039485712",
            spans.KR_DRIVER_LICENSE,
        ),
    ],
)
def test_a_cell_is_read_by_its_own_heading(engine, text, number, kind):
    assert covers(engine, text, number, {kind})


def test_the_heading_holds_for_the_last_of_many_rows(engine):
    order = Random(7)
    rows = [f"{newborn(order)},{order.randrange(10**5)},{mobile(order)}" for _ in range(3000)]
    text = "\n".join(["주민등록번호,금액,연락처", *rows])
    found = {text[s.start : s.end] for s in engine.detect(text) if s.type in KINDS}
    assert {row[:13] for row in rows} <= found


@pytest.mark.parametrize(
    "text",
    [
        "부서,입금,금액\n총무과,123456789,1135802468",
        "품목,앞면,뒷면\n안내판,240617,3957385",
        "연도,주민 수,전입,전출\n2024,51202,240617,35000",
        "구분,사업자 수,금액\n중구,21486,1234567890",
        "성명,건강보험료(원),금액\n총무과,0,35000\n민원과,1234567890,35000",
        "지점,카드매출,비고\n중구,4111111111111112,-",
        "주민, 공무원, 위원이 참석했다.\n예산 12,000,000, 집행 9,000,000",
    ],
)
def test_a_heading_of_amounts_makes_no_number(engine, text):
    assert engine.detect(text) == []


_BLANK_TABLES = [
    ("이름    앞자리    뒷자리    전화", "홍길동  {f}    {b}   {p}"),
    ("연번 성명 주민등록번호 나이 호봉", "1 홍길동 {f} {b} 35 12"),
    ("연번   주민등록번호(앞)   주민등록번호(뒤)   점수", "  1        {f}          {b}        87"),
    ("번호 주민등록번호 금액\n---- ------ ------", "1 {n} 35000"),
    ("name rrn phone", "Kim {n} {p}"),
    ("번호   성명   생년월일   뒷자리   점수", "1   홍 길동   {f}   {b}   90"),
    ("성명 주소 주민등록번호 점수", "홍길동 서울 은평구 {f} {b} 90"),
]


@pytest.mark.parametrize("kind", RESIDENTS)
@pytest.mark.parametrize(("labels", "row"), _BLANK_TABLES)
def test_a_heading_is_read_where_blanks_part_the_columns(engine, kind, labels, row):
    order = Random(kind.__name__ + row)
    digits = [kind(order) for _ in range(12)]
    text = "\n".join([labels, *(row.format(n=n, f=n[:6], b=n[6:], p="01029384756") for n in digits)])
    found = engine.detect(text)
    for number in digits:
        assert within(found, text, number[:6], {*KINDS, spans.DATE_OF_BIRTH}), (number, text)
        assert within(found, text, number[6:], KINDS), (number, text)


@pytest.mark.parametrize("labels", ["구분  전입  전출  주민 수", "앞면  뒷면  수량", "주민  전입 전출"])
@pytest.mark.parametrize("gap", [" ", "   "])
def test_columns_of_amounts_between_blanks_are_none(engine, labels, gap):
    order = Random(labels + gap)
    rows = [gap.join(["중구", *(str(order.randrange(10**6, 10**7)) for _ in range(3))]) for _ in range(200)]
    assert engine.detect("\n".join([labels, *rows])) == []


@pytest.mark.parametrize("labels", ["앞,뒤,", "주민번호,", "앞 뒤 "])
def test_a_heading_as_long_as_its_table_takes_no_quadratic_time(labels):
    """A heading of half a megabyte took minutes: each row was held against all of its columns."""
    columns = Columns()
    text = labels * 20_000 + "\n" + "1,2 1056784\n" * 20_000
    began = time.process_time()
    columns.find(text)
    assert time.process_time() - began < 4  # 0.2 s alone on a core
