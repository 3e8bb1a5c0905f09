"""Prompts written by hand as a hostile and as an honest civil servant would, after the rules stood.

On the first run five of the hostile ones were missed and three of the honest ones wrongly touched; the rules
were mended by principle where there was one. What stays missed stands in docs/filter.md under its limits.
"""

from __future__ import annotations

import pytest

from filters.engine import Engine
from filters.spans import (
    CREDIT_CARD,
    EMAIL_ADDRESS,
    KR_ADDRESS,
    KR_BANK_ACCOUNT,
    KR_DRIVER_LICENSE,
    KR_FRN,
    KR_PASSPORT,
    KR_RRN,
    PHONE_NUMBER,
    SECRET,
)

HOSTILE = [
    (KR_RRN, "제 주번은 팔육공이이사에 이삼사오육칠일이에요"),
    (KR_RRN, "주민번호 팔육 공이 이사 다시 이 삼사오 육칠일"),
    (KR_RRN, "8육0이2사-이3사5육7일 이거 확인 좀"),
    (KR_RRN, "민증: 86년 02월 24일생이고 뒷자리는 2345671"),
    (KR_RRN, "앞번호 860224\n뒷번호 2345671"),
    (KR_RRN, "- 860224\n- 2345671\n이 두 개가 주민번호 앞뒤입니다"),
    (KR_RRN, "1) 주민등록번호 앞 : 860224\n2) 주민등록번호 뒤 : 2345671"),
    (KR_RRN, "```\nrrn = '860224' + '2345671'\n```"),
    (KR_RRN, "| 이름 | 주민번호 |\n|---|---|\n| 김모 | 860224‑2345671 |"),
    (KR_RRN, "이름,앞,뒤\n김민수,860224,2345671"),
    (KR_RRN, '{"front": "860224", "back": "2345671"}'),
    (KR_RRN, '{"ssn": 8602242345671}'),
    (KR_RRN, "1765432-422068 을 뒤에서부터 읽으면 됩니다"),
    (KR_RRN, "86O224-2345671 (OCR 결과)"),
    (KR_RRN, "860224-234567l"),
    (KR_RRN, "pal yuk gong i i sa dash i sam sa o yuk chil il 주민번호"),
    (KR_RRN, "8️⃣6️⃣0️⃣2️⃣2️⃣4️⃣-2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣1️⃣"),
    (KR_RRN, "8 6 0 2 2 4 \n 2 3 4 5 6 7 1"),
    (KR_RRN, "주민번호 860224 − 2345671 맞나요"),
    (KR_RRN, "860224*2345671"),
    (KR_RRN, "860224+2345671"),
    (KR_RRN, "860224(2345671)"),
    (KR_RRN, "1986.02.24-2345671"),
    (KR_RRN, "RRN=860224%2D2345671"),
    (KR_RRN, "<b>860224</b>-<i>2345671</i>"),
    (KR_RRN, "86-02-24-2-345671"),
    (KR_RRN, "8.6.0.2.2.4.2.3.4.5.6.7.1"),
    (KR_RRN, "주민(8602242345671)으로 조회해줘"),
    (KR_RRN, "내 주민번호는 팔십육년 이월 이십사일, 뒷자리 이삼사오육칠일"),
    (KR_RRN, "주민등록번호: 860224-2******, 나머지는 345671"),
    (CREDIT_CARD, "카드 4111-1111-1111-1111 유효 12/27"),
    (CREDIT_CARD, "카드번호 4111 1111 1111 1111 cvc 123"),
    (CREDIT_CARD, "사일일일 일일일일 일일일일 일일일일 제 카드 번호예요"),
    (KR_PASSPORT, "여권 M 1 2 3 4 5 6 7 8"),
    (KR_PASSPORT, "여권번호 엠12345678"),
    (KR_PASSPORT, "여권은 M70689098 이고 만료 2030"),
    (KR_DRIVER_LICENSE, "운전면허 11-18-123456-77"),
    (KR_DRIVER_LICENSE, "면허 서울 18-123456-77"),
    (KR_FRN, "외국인등록번호 900101-5123456"),
    (SECRET, "비번은 Haechi!2026 입니다"),
    (SECRET, "password: 'Gov@2026!!' 로 접속"),
    (SECRET, "AKIAIOSFODNN7EXAMPLE 키로 업로드"),
    (KR_BANK_ACCOUNT, "계좌 우리 1002-123-456789 로 넣어주세요"),
    (PHONE_NUMBER, "공일공 일이삼사 오육칠팔 로 전화주세요"),
    (PHONE_NUMBER, "공1공-1이3사-오6칠8"),
    (PHONE_NUMBER, "010 . 1234 . 5678"),
    (EMAIL_ADDRESS, "hong 골뱅이 korea.kr"),
    (KR_RRN, "사번 말고 주민 앞 여섯자리 860224 뒤 일곱자리 2345671"),
    (KR_RRN, "8602242345671님의 체납내역"),
    (KR_RRN, "주민번호 첫 여섯 자리는 860224, 그 다음은 2345671."),
    (KR_RRN, "팔육영둘둘넷 둘셋넷다섯여섯일곱하나"),
    (KR_RRN, "eight six zero two two four two three four five six seven one"),
    (KR_RRN, "주민번호=ODYwMjI0LTIzNDU2NzE="),
    (KR_RRN, "0x38 0x36 0x30 0x32 0x32 0x34 0x2d 0x32 0x33 0x34 0x35 0x36 0x37 0x31"),
    (KR_RRN, "𝟖𝟔𝟎𝟐𝟐𝟒-𝟐𝟑𝟒𝟓𝟔𝟕𝟏"),
    (KR_RRN, "8-6-0-2-2-4 2-3-4-5-6-7-1"),
    (KR_RRN, "[860224][2345671]"),
    (KR_RRN, "860224_2345671_신청서.pdf"),
    (KR_RRN, "860224\u3000２３４５６７１"),
    (KR_RRN, "주민 뒷자리 2345671 생년월일 860224"),
    (KR_RRN, "육팔 반대로 말고 그냥 팔육 영이 이사, 이삼 사오 육칠 일"),
]

HONEST = [
    "민법 제860조 제2항 및 제24조의2에 따라 처리한다.",
    "지방자치법 제28조 제1항, 같은 법 시행령 제15조 제3항 제4호",
    "문서번호: 총무과-20260312-0045671 (2026. 3. 12.)",
    "예산액 8,602,242,345천원 중 집행액 2,345,671천원",
    "ISBN 978-89-364-3426-7 을 구입 요청합니다",
    "ISBN 9788936434267",
    "PNU 1111010100200010001",
    "우체국 등기번호 1234567890123 조회 결과",
    "송장번호 6012-3456-7890 (CJ대한통운)",
    "KS X 1001, KS C IEC 60529, ISO/IEC 27001:2022",
    "처리일시 2026-11-22T09:10:11.123+09:00",
    "타임스탬프 1763801234567 에 로그가 남았습니다",
    "로그 20261122091011123456",
    "세입세출 예산 과목 110-01, 201-01, 202-03",
    "2026년도 본예산 1조 2,345억 6,789만원",
    "공고 제2026-1234호, 고시 제2025-860호",
    "사업기간 2026.01.01 ~ 2026.12.31 (12개월)",
    "좌표 37.566535, 126.977969",
    "MAC 00:1A:2B:3C:4D:5E",
    "버전 3.11.4-20260102",
    "나라장터 입찰공고번호 20260312345-00",
    "물품식별번호 23456789, 세부품명번호 4321150301",
    "조달청 계약번호 R26TA01234567-00",
    "체육관 대관 시간 09:00-12:00, 13:00-18:00",
    "주민등록번호 뒷자리는 수집하지 않습니다.",
    "주민등록번호는 앞 6자리(생년월일)와 뒤 7자리로 구성됩니다.",
    "여권번호 형식은 영문 1자리와 숫자 8자리이다.",
    "카드번호 16자리를 적지 마세요.",
    "비밀번호는 9자 이상, 영문·숫자·특수문자를 섞어야 합니다.",
    "비밀번호를 잊어버린 직원은 정보화담당관실로 문의",
    "이 규정은 비공개 대상 정보의 기준을 정한다.",
    "대외비 문서의 관리 요령을 알려줘",
    "통계표 101 102 103 104 105 106 107 108 109 110",
    "인구 9,386,034명(남 4,540,031, 여 4,846,003)",
    "학교코드 7010057, 표준코드 B100000658",
    "의안번호 2201234, 의결일 2026. 3. 12.",
    "사건번호 2025구합12345, 2024누5678",
    "상품코드 8801234567893 재고 12개",
    "품목번호(HS) 8471.30-0000",
    "차수 1-2-3, 표 2-1, 그림 3-4",
    "전기요금 고객번호는 고지서 오른쪽 위에 있습니다",
    "국고보조금 교부결정액 860,224,000원, 자부담 23,456,710원",
    "UUID 550e8400-e29b-41d4-a716-446655440000",
    "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "커밋 7cb6a7c 에서 수정",
    "행정표준코드 6110000, 기관코드 1741000",
    "법정동코드 1111010100",
    "도로명코드 111104100135",
    "하루 민원 1,234건, 누적 8,602,242건",
    "연번 1 2 3 4 5 6 7 8 9 10 11 12 13",
    "2025 2026 2027 2028 2029 예산 추이",
    "에너지 사용량 860224 kWh, 가스 2345671 MJ",
    "바코드 4901234567894",
    "기온 12.3 13.4 14.5 15.6 16.7 17.8",
    "점수: 86, 02, 24, 23, 45, 67, 10",
    "GS1 01088012345678931726123110ABC",
    "지번 123-4, 567-8, 901-2",
    "회의실 예약번호 860224-01",
]
"""Nothing in them is anybody's."""

PLACE = "서울특별시 종로구 청운동 산 1-1번지 필지고유번호 1111010100100010001"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.mark.parametrize(("kind", "prompt"), HOSTILE)
def test_a_number_that_somebody_disguises_is_found(engine: Engine, kind: str, prompt: str):
    assert kind in {span.type for span in engine.detect(prompt)}


@pytest.mark.parametrize("prompt", HONEST)
def test_an_honest_prompt_is_left_alone(engine: Engine, prompt: str):
    assert engine.detect(prompt) == []


def test_a_parcel_is_an_address_and_its_number_is_none(engine: Engine):
    assert [span.type for span in engine.detect(PLACE)] == [KR_ADDRESS]
