"""Passports, customs codes, plates, birthdays, mail and network addresses."""

from __future__ import annotations

import pytest

from filters import spans


def found(engine, text):
    return [
        (text[span.start : span.end], span.type, span.label)
        for span in engine.detect(text)
        if span.type != spans.PERSON
    ]


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("여권번호는 M12345678입니다", "M12345678", spans.KR_PASSPORT),
        ("M123A4567", "M123A4567", spans.KR_PASSPORT),
        ("여권 S12345678 소지자", "S12345678", spans.KR_PASSPORT),
        ("M12345678", "M12345678", spans.KR_PASSPORT),
        ("passport no. AB1234567", "AB1234567", spans.KR_PASSPORT),
        ("여권 m12345678", "m12345678", spans.KR_PASSPORT),
        ("통관부호 P123456789012로", "P123456789012", spans.KR_CUSTOMS_CODE),
        ("12가 3456 차량", "12가 3456", spans.KR_VEHICLE),
        ("123가4567", "123가4567", spans.KR_VEHICLE),
        ("서울12가3456", "서울12가3456", spans.KR_VEHICLE),
        ("차량번호 12호 3456", "12호 3456", spans.KR_VEHICLE),
        ("차량 12가 3842호", "12가 3842", spans.KR_VEHICLE),
        ("생년월일: 1988년 05월 14일", "1988년 05월 14일", spans.DATE_OF_BIRTH),
        ("생년월일은 900101이고", "900101", spans.DATE_OF_BIRTH),
        ("1985. 3. 2.생", "1985. 3. 2", spans.DATE_OF_BIRTH),
        ("1985년 3월 2일 출생", "1985년 3월 2일", spans.DATE_OF_BIRTH),
        ("성명(생년월일): 홍길동(1990.05.01.)", "1990.05.01", spans.DATE_OF_BIRTH),
        ("| 성명 | 생년월일 |\n| 홍길동 | 1990-05-01 |", "1990-05-01", spans.DATE_OF_BIRTH),
        ("DOB 1990-05-12", "1990-05-12", spans.DATE_OF_BIRTH),
        ("date of birth: 19900512", "19900512", spans.DATE_OF_BIRTH),
        ("hong@korea.kr로 보내", "hong@korea.kr", spans.EMAIL_ADDRESS),
        ("메일hong.gd+1@mail.go.kr입니다", "hong.gd+1@mail.go.kr", spans.EMAIL_ADDRESS),
        ("hong [at] korea [dot] kr", "hong [at] korea [dot] kr", spans.EMAIL_ADDRESS),
        ("hong골뱅이korea.kr", "hong골뱅이korea.kr", spans.EMAIL_ADDRESS),
        ("jh_park@넥스트코어.co.kr", "jh_park@넥스트코어.co.kr", spans.EMAIL_ADDRESS),
        ("IP 192.168.0.1에서", "192.168.0.1", spans.IP_ADDRESS),
        ("2001:db8::ff00:42:8329 주소", "2001:db8::ff00:42:8329", spans.IP_ADDRESS),
    ],
)
def test_an_identifier_is_found_with_its_exact_range(engine, text, value, kind):
    assert (value, kind) in [(text, kind) for text, kind, _ in found(engine, text)]


@pytest.mark.parametrize(
    "text",
    [
        "D20240101", "S12345678", "모델명 M12345678", "M1234567890", "AM12345678", "상품 P123456789012", "10조 2000억", "12월 2024", "101호 1202",
        "12가 345", "출생률 2024년 3월 1일", "생년월일을 적으세요", "1985년 13월 2일생", "1999년 2월 29일생", "2024년 3월 생산",
        "@멘션", "a@b", "v1.2.3.4", "버전 10.2.3.4", "1.2.3.4 서론", "300.1.2.3", "10:20:30", "00:1A:2B:3C:4D:5E",
    ],
)  # fmt: skip
def test_what_only_looks_like_one_is_left_alone(engine, text):
    assert found(engine, text) == []


@pytest.mark.parametrize(
    ("address", "label"), [("10.0.0.7", "private"), ("192.168.1.1", "private"), ("211.234.11.89", "public")]
)
def test_an_ip_address_is_labelled_by_its_reach(engine, address, label):
    assert found(engine, f"접속 IP {address}") == [(address, spans.IP_ADDRESS, label)]


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("My SSN is 536-90-4399.", "536-90-4399", spans.US_SSN),
        ("SSN 536904399입니다", "536904399", spans.US_SSN),
        ("IBAN DE89370400440532013000로 송금", "DE89370400440532013000", spans.IBAN_CODE),
        ("NINO AB123456C입니다", "AB123456C", spans.UK_NINO),
    ],
)
def test_english_identifiers_are_found_even_before_a_particle(engine, text, value, kind):
    assert (value, kind) in [(text, kind) for text, kind, _ in found(engine, text)]


def test_nine_digits_without_context_are_no_social_security_number(engine):
    assert found(engine, "ISBN 979-11-6050-443-4, 536-90-4399") == []
