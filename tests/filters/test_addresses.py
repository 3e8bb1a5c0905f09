"""Korean addresses: the usual ways to write one, their exact extent, and what is none."""

from __future__ import annotations

import timeit
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.detectors import addresses
from filters.detectors.addresses import Addresses
from filters.gate import Gate
from filters.spans import KR_ADDRESS


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in addresses.find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "주소: [서울특별시 강남구 테헤란로 42길 15-3, 102동 405호] (우편번호 06234)",
        "[경기도 수원시 팔달구 효원로 123번길 45-2 (천천동)]에 거주",
        "[세종특별자치시 도움6로 11]의 3층 인사혁신과",
        "현재 거주지는 [서울특별시 관악구 대학동 128-4번지 그린빌라 302호](우편번호 08826)로",
        "배송지를 [서울특별시 강남구 테헤란로 427, 12층(역삼동)]으로 변경",
        "[서울시 송파구 올림픽로 300-12-402호]에서 이사",
        "[부산광역시 해운대구 우동 1408번지 센텀푸르지오 101동 1203호]",
        "[경기도 화성시 동탄대로시범길 20, 203동 1502호(반송동)]",
        "[강원특별자치도 원주시 지정면 가곡리 산 12-3]",
        "[제주특별자치도 제주시 연동 273-1 노형타워 5층]",
        "[서울 은평구 연서로34길 11, 3층]입니다",
        "이번에 [성북구 보문로 12길 45]에 있는 피부과",
        "해당 구역인 [정자동 45-12번지] 일대를 확인",
        "[파주시 문산읍 문산리 123번지] 일원",
        "저는 [102동 405호]에 살아요",
        "[행복마을 3단지 302동 1104호] 누수 민원",
        "[대전광역시 서구 둔산로 100, 대전시청 10층]",
        "03181 [서울 종로구 새문안로 92 광화문오피시아빌딩 1207호]",
        "가해 차량은 [서울특별시 강남구 테헤란로 427] 인근에서",
        "[경기도 성남시 분당구 판교역로 231] 소재의 본사 7층",
        "Please send it to [123 Teheran-ro, Gangnam-gu, Seoul].",
    ],
)
def test_an_address_is_found_with_its_exact_extent(text: str):
    plain = text.replace("[", "").replace("]", "")
    expected = text[text.index("[") + 1 : text.index("]")]
    assert found(plain) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "서울시 은평구에 사는 사람",
        "은평구 응암동 주민센터",
        "세종대로 일대 교통 통제",
        "앞으로 3년간 지원하고 새로 5명을 뽑는다",
        "예산 집행률로 90% 달성, 별도로 2건 처리",
        "국도 3호선과 지방도로 12호 공사",
        "4호선 7번 출구로 3분",
        "제1동 2층 대회의실에서 14:00",
        "3동 2개 동을 증축",
        "주차장 3층 305호 회의실",
        "도로 2차선을 바로 1시간 통제",
        "지하철 2호선 강남역 3번 출구",
        "문서번호 총무과-3391(2026. 3. 2.)호",
    ],
)
def test_a_place_or_a_count_is_no_address(text: str):
    assert found(text) == []


@pytest.mark.parametrize(
    "text", ["서울특별시 강남구 테헤란로 42길 15", "정자동 45-12번지", "래미안 103동 402호", "102동 405호"]
)
def test_the_gate_opens_for_an_address(text: str):
    assert Gate([Addresses().gates]).owners(text) == {0}


@given(
    st.lists(
        st.sampled_from(
            [
                "서울 ",
                "강남구 ",
                "테헤란로 ",
                "12",
                "-3",
                "길 ",
                "동 ",
                "호",
                ", ",
                "(역삼동)",
                "102동 ",
                "번지",
                "\n",
                "가",
            ]
        )
    )
)
def test_spans_are_sorted_disjoint_and_inside_the_text(pieces: list[str]):
    text = "".join(pieces)
    spans = addresses.find(text)
    assert all(span.type == KR_ADDRESS and 0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize(
    "unit", ["로 1", "동 1", "서울특별시 강남구 ", "테헤란로 1길 ", "1-1-1-", "가" * 30, "A동 1호, "]
)
def test_time_grows_no_faster_than_the_text(unit: str):
    def seconds(times: int) -> float:
        return min(timeit.repeat(lambda: addresses.find(unit * times), number=1, repeat=3))

    assert seconds(8_000) < 40 * max(seconds(800), 1e-3)
