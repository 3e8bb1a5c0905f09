"""Invented numbers in invented sentences, for recall and precision of the engine.

`BUILDING` and `CHECKING` sentences were at hand while the rules were written; `HELD_OUT` was written
when they were done, and nothing was changed after its first run. Every third number has a wrong check digit and every fifth stands in an
unusual grouping, as in real documents. `harmless` makes lines with numbers that only look dangerous.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from filters import checksums, spans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random


class Sample(NamedTuple):
    """A sentence and the range of the number in it; `type` is empty for a harmless line."""

    text: str
    start: int
    end: int
    type: str


def _digits(random: Random, count: int) -> str:
    return "".join(random.choice("0123456789") for _ in range(count))


def _checked(body: str, valid: object) -> str:
    """`body` with the one check digit that `valid` accepts, or any digit where none fits."""
    return next((body + digit for digit in "0123456789" if valid(body + digit)), body + "0")  # type: ignore[operator]


def _wrong(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 3) % 10)


def _birth(random: Random, centuries: tuple[str, str]) -> str:
    born = dt.date(1935, 1, 1) + dt.timedelta(days=random.randrange(88 * 365))
    century = centuries[0] if born.year < 2000 else centuries[1]
    return born.strftime("%y%m%d") + random.choice(century)


def resident(random: Random) -> str:
    number = _checked(_birth(random, ("12", "34")) + _digits(random, 5), checksums.rrn_valid)
    number = _wrong(number) if random.random() < 1 / 3 else number
    return number[:6] + random.choice(["-"] * 8 + ["", " ", " - ", "–"]) + number[6:]


def foreigner(random: Random) -> str:
    number = _checked(_birth(random, ("56", "78")) + _digits(random, 5), checksums.frn_valid)
    number = _wrong(number) if random.random() < 1 / 3 else number
    return number[:6] + random.choice(["-"] * 8 + ["", " ", " - "]) + number[6:]


def card(random: Random) -> str:
    number = _checked(
        random.choice(["4", "51", "52", "53", "54", "55", "9", "35"]).ljust(15, "x"), lambda _: True
    )
    body = number[:15].replace("x", "") + _digits(random, 15 - number[:15].replace("x", "").__len__())
    number = _checked(body[:15], checksums.luhn_valid)
    number = _wrong(number) if random.random() < 1 / 3 else number
    return random.choice(["-"] * 6 + [" ", "", "."]).join(number[i : i + 4] for i in range(0, 16, 4))


def passport(random: Random) -> str:
    letter = random.choice("MMMMSRGDO")
    if random.random() < 0.5:
        return letter + _digits(random, 8)
    return letter + _digits(random, 3) + random.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") + _digits(random, 4)


def licence(random: Random) -> str:
    region = random.choice([str(r) for r in range(11, 29) if r != 27])
    groups = [region, _digits(random, 2), _digits(random, 6), _digits(random, 2)]
    return random.choice(["-"] * 8 + [" ", ""]).join(groups)


def business(random: Random) -> str:
    number = _checked(
        random.choice("123456")
        + _digits(random, 2)
        + random.choice(["81", "86", "87", "83", "12", "45", "90"])
        + _digits(random, 4),
        checksums.brn_valid,
    )
    number = _wrong(number) if random.random() < 1 / 3 else number
    return random.choice(["-"] * 8 + ["", " "]).join([number[:3], number[3:5], number[5:]])


def corporate(random: Random) -> str:
    number = _checked(
        "1"
        + random.choice("123456789")
        + _digits(random, 2)
        + random.choice(["11", "14", "21", "22"])
        + "0"
        + _digits(random, 5),
        checksums.corp_valid,
    )
    number = _wrong(number) if random.random() < 1 / 3 else number
    return number[:6] + random.choice(["-"] * 8 + [""]) + number[6:]


def mobile(random: Random) -> str:
    tie = random.choice(["-"] * 6 + [".", " ", ""])
    return tie.join(["010", str(random.randrange(2000, 10000)), _digits(random, 4)])


def account(random: Random) -> str:
    form = random.choice([(3, 3, 6), (3, 2, 6), (4, 3, 6), (6, 2, 6), (3, 4, 4, 2), (3, 6, 5), (14,), (12,)])
    groups = [str(random.randrange(1, 10)) + _digits(random, n - 1) for n in form]
    return "-".join(groups)


def health(random: Random) -> str:
    return random.choice(["1", "2", "5", "7"]) + random.choice(["", "-"]) + _digits(random, 10)


def customs(random: Random) -> str:
    return "P" + random.choice("12") + _digits(random, 11)


NUMBERS = {
    spans.KR_RRN: resident,
    spans.KR_FRN: foreigner,
    spans.CREDIT_CARD: card,
    spans.KR_PASSPORT: passport,
    spans.KR_DRIVER_LICENSE: licence,
    spans.KR_BRN: business,
    spans.KR_CORP_NO: corporate,
    spans.PHONE_NUMBER: mobile,
    spans.KR_BANK_ACCOUNT: account,
    spans.KR_HEALTH_INSURANCE: health,
    spans.KR_CUSTOMS_CODE: customs,
}

_LABELS = {
    spans.KR_RRN: ("주민등록번호", "주민번호", "주민 번호"),
    spans.KR_FRN: ("외국인등록번호", "외국인 등록번호", "국내거소신고번호"),
    spans.CREDIT_CARD: ("카드번호", "신용카드 번호", "법인카드"),
    spans.KR_PASSPORT: ("여권번호", "여권 번호"),
    spans.KR_DRIVER_LICENSE: ("운전면허번호", "운전면허증 번호", "면허번호"),
    spans.KR_BRN: ("사업자등록번호", "사업자번호", "사업자 등록번호"),
    spans.KR_CORP_NO: ("법인등록번호", "법인번호"),
    spans.PHONE_NUMBER: ("연락처", "휴대폰", "전화번호"),
    spans.KR_BANK_ACCOUNT: ("계좌번호", "입금계좌", "국민은행 계좌"),
    spans.KR_HEALTH_INSURANCE: ("건강보험증 번호", "건강보험번호"),
    spans.KR_CUSTOMS_CODE: ("개인통관고유부호", "통관부호"),
}

BUILDING = (
    "신청인의 {label}는 {number}입니다.",
    "{label}: {number}",
    "○ {label} : {number}\n○ 주소 : 서울특별시 중구",
    "민원인({label} {number})께서 방문하셨습니다.",
    "아래 {label} {number}로 조회 부탁드립니다.",
    "| 성명 | {label} |\n| 김민준 | {number} |",
    "1. 대상자: 홍길동\n2. {label}: {number}\n3. 비고: 없음",
    "{number} ({label})",
)

CHECKING = (
    "어제 접수된 민원에 적힌 {label}가 {number}인데 오타인지 봐 주세요",
    "{label} {number} 이 사람 체납 내역 요약해줘",
    "[붙임] 명단\n이서연 / {label} {number} / 2025. 3. 4. 접수",
    '{{"name": "박지훈", "{label}": "{number}"}}',
    "{label}={number}&page=1",
    "안녕하세요. 총무과입니다. {label}({number}) 확인 후 회신 바랍니다.",
    "질의: 아래 내용을 공손한 문장으로 바꿔줘.\n\n{label}은 {number}이고 처리기한은 2025년 12월 31일까지임",
    "<td>{label}</td><td>{number}</td>",
    "{label} - {number}번으로 등록된 건을 삭제하려고 합니다",
    "성명,{label},비고\n최유진,{number},해당없음",
    "본인은 {label} {number}의 소유자로서 위임합니다.",
    "※ {label} → {number} (변경 전)",
)


HELD_OUT = (
    "다음 사람의 {label}이 맞는지 확인해 주시겠어요? {number}",
    "과태료 부과 대상자 {label}({number})에 대한 사전통지서 초안을 작성해줘",
    "{label}\t{number}\t서울시 은평구\n",
    "- 성 명: 정하윤\n- {label}: {number}\n- 연락 방법: 우편",
    "사용자 입력값 중 {label} 항목이 '{number}' 로 되어 있습니다.",
    "제출자의 {label}가 {number}로 변경되었으니 대장을 정정하여 주시기 바랍니다.",
    "{label}는{number}이며 2024년 5월에 발급되었습니다",
    "민원 내용) 제 {label} {number} 가 다른 사람과 중복된다고 나옵니다. 어떻게 해야 하나요?",
    "[{label}] {number}",
    "UPDATE member SET memo='{label} {number}' WHERE id=17;",
    "회의 중 언급된 {label} {number}, 다음 회의 전까지 파기할 것",
)


def samples(random: Random, kind: str, sentences: tuple[str, ...], count: int) -> Iterator[Sample]:
    """Sentences with one number of a type and its label."""
    for _ in range(count):
        number = NUMBERS[kind](random)
        sentence = random.choice(sentences)
        label = random.choice(_LABELS[kind])
        text = sentence.format(label=label, number=number)
        start = text.index(number)
        yield Sample(text, start, start + len(number), kind)


_HARMLESS = (
    "문서번호 총무과-{d5}(2025. {m}. {day}.)호와 관련됩니다.",
    "상품코드 880{d10} 재고 {d3}개",
    "계약번호 2025{mm}{dd}-{d5}-01, 계약금액 {money}원",
    "예산액 {money}천원 (전년 {money}천원)",
    "회계연도별 집행액: 2023 {money} 2024 {money} 2025 {money}",
    "접수번호 1AA-25{mm}-0{d6} 건 처리결과",
    "입찰공고번호 2025{mm}{d5}-00",
    "좌표 37.{d6}, 126.{d6}",
    "주문번호 2025{mm}{dd}{d8}",
    "사업기간 2025.{mm}.{dd}.~2026.{mm}.{dd}.",
    "법 제{d2}조제{d1}항제{d1}호, 같은 법 시행령 제{d2}조의{d1}",
    "ISBN 979-11-{d4}-{d3}-{d1}",
    "송장번호 {d4}-{d4}-{d4}",
    "우편번호 {d5}, 2025년 {m}월 {day}일",
    "{money}명 / {money}명 / {money}명",
    "전자납부번호 {d5}-1-25-{mm}-0-{d7}-{d1}",
    "공고 제2025-{d4}호({mm}.{dd}.), 고시 제2025-{d3}호",
    "표 {d1}.{d1}.{d1} 세목 {d3}-{d2}, 통계목 {d3}-{d2}",
    "특허 제10-{d7}호, 출원번호 10-2025-{d7}",
    "로그 2025-{mm}-{dd} 14:{dd}:{dd}.{d3} level=INFO id={d8}",
    "자산번호 2025{d6}, 모델명 SM-{d4}",
    "학번 2021{d6}, 사번 {d6}",
    "관리번호 {d3}-{d5}, 수량 {d3}",
    "총사업비 {money}백만원, 국비 {money}, 시비 {money}",
)


def harmless(random: Random, count: int) -> Iterator[Sample]:
    """Lines of administrative work whose numbers identify nobody."""
    for _ in range(count):
        line = random.choice(_HARMLESS)
        for width in range(1, 11):
            while f"{{d{width}}}" in line:
                line = line.replace(
                    f"{{d{width}}}", str(random.randrange(1, 10)) + _digits(random, width - 1), 1
                )
        while "{money}" in line:
            line = line.replace("{money}", f"{random.randrange(1, 10 ** random.randrange(3, 12)):,}", 1)
        month, day = random.randrange(1, 13), random.randrange(1, 29)
        line = (
            line.replace("{mm}", f"{month:02}")
            .replace("{dd}", f"{day:02}")
            .replace("{m}", str(month))
            .replace("{day}", str(day))
        )
        yield Sample(line, 0, 0, "")
