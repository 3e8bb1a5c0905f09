"""Words that say what a number is: the nearest label before it, or the one right behind it.

A label raises a score or permits a form that would be nothing without it (a bare row of digits); it
never forbids a form that stands on its own, except the labels of harmless numbers (`HARMLESS`),
which take the benefit of the doubt away from forms without a check digit.

The search runs backwards from the number, so it ends at the nearest word: labels are kept reversed,
in one pattern shaped like a trie. `~` in a word is an optional blank.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

HARMLESS: Final = "harmless"
IDENTITY: Final = "identity"
"""`신분증 번호`: some identity number, without saying which."""

_WORDS: Final = {
    "frn": "외국인~등록 외국인~번호 국내~거소 거소~신고 거소~번호 alien~registration frn arc",
    "corp": "법인~등록 법인~번호 등기~번호 법인~등기 corporate~registration corp_no corp_reg",
    "rrn": (
        "주민~등록 주민~번호 주민~번 주민~등록증 주민증 주민 민번 rrn resident~registration "
        "resident~number jumin ssn"
    ),
    "brn": (
        "사업자~등록 사업자~번호 사업자~등록증 사업자 고유~번호 사업장~번호 business~registration brn "
        "biz_no bizno"
    ),
    "licence": (
        "운전~면허 면허~번호 운전~면허증 면허증 면허 driver~license driver's~license driving~licence "
        "licence license"
    ),
    "passport": "여권 passport",
    "health": "건강~보험 의료~보험 건보 보험증 health~insurance",
    "customs": "통관 customs",
    "account": (
        "계좌 통장 입금 송금 이체 은행 뱅크 농협 수협 신협 새마을~금고 새마을금고 예금주 저축 증권사 "
        "증권계좌 account acct 카카오뱅크 토스뱅크 케이뱅크 우체국 국민은행 신한은행 우리은행 하나은행 "
        "기업은행 농협은행 부산은행 대구은행 광주은행 전북은행 경남은행 제주은행 수협은행 산업은행 "
        "씨티은행 제일은행"
    ),
    "card": "카드 신용카드 법인카드 체크카드 결제카드 card visa 비자 마스터 아멕스 카번호",
    "phone": (
        "전화 연락처 연락 휴대폰 핸드폰 휴대 폰~번호 폰 유선 직통 내선 교환 콜센터 문의 팩스 문자 fax tel "
        "mobile phone hp h.p cell call ☎ ☏ 📞 📱 ✆"
    ),
    IDENTITY: (
        "신분증 신분~확인 본인~확인 인적~사항 개인~정보 생년월일 주소 성명 이름 고객 신청인 환자 보호자 "
        "세대주 대표자 가족"
    ),
    HARMLESS: (
        "발급~번호 쿠폰 상품권 멤버십 라이선스 "
        "상품 제품 품목 바코드 물품 품번 자산 모델 일련 시리얼 규격 도서 주문 송장 운송장 배송 문서 계약 "
        "공고 관리 접수 승인 민원 고지서 납부 허가 특허 출원 사건 판결 처방 거래 예산 금액 사업비 총액 "
        "합계 매출 비용 수량 좌표 위도 경도 버전 학번 사번 군번 코드 입찰 발주 견적 세금계산서 시행 호수 "
        "지번 필지 고시 훈령 예규 조례 법률 식별 회원 로그 타임스탬프 결재 대장 기록물 등기우편 우편물 "
        "우체국~등기~번호 우편~등기~번호 등기우편~번호 등기~조회 "
        "공문 증서 시험 수험 응시 티켓 예약 행사 우편번호 증권~번호 보험~증권 단가 원가 조달 나라장터 "
        "품의 지출 기안 생산 제작 등록특허 면적 인구 통계 조회수 순번 연번 번지 isbn issn ean gtin sku "
        "doi order invoice tracking serial timestamp epoch version product item model budget build commit "
        "uuid hash reference ref."
    ),
}
_BEFORE: Final = 34
_BEHIND: Final = 16
_SHORT: Final = 4
"""ASCII words up to this length must stand alone: `tel` is not in `hotel`."""

_Trie = dict[str, "_Trie"]
_END: Final = ""


def _trie_pattern(words: list[str]) -> str:
    """One alternation that shares prefixes, so that a position costs one look at its character."""
    root: _Trie = {}
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[_END] = {}
    return _alternatives(root)


def _alternatives(node: _Trie) -> str:
    branches = [
        (" ?" if character == "~" else re.escape(character)) + _alternatives(child)
        for character, child in node.items()
        if character != _END
    ]
    if not branches:
        return ""
    joined = "|".join(branches)
    whole = len(branches) == 1 and _END not in node
    return joined if whole else f"(?:{joined})" + ("?" if _END in node else "")


def _bounded(word: str, edge: str) -> str:
    return word + edge if word.isascii() and len(word) <= _SHORT else word


def _searcher(*, reverse: bool) -> re.Pattern[str]:
    words = [word[::-1] if reverse else word for group in _WORDS.values() for word in group.split()]
    free = [word for word in words if not (word.isascii() and len(word) <= _SHORT)]
    short = [re.escape(word) for word in words if word.isascii() and len(word) <= _SHORT]
    first = "".join(re.escape(character) for character in sorted({word[0] for word in words}))
    return re.compile(rf"(?=[{first}])(?:{_trie_pattern(free)}|(?<![a-z])(?:{'|'.join(short)})(?![a-z]))")


_KIND_OF: Final = {word.replace("~", ""): kind for kind, words in _WORDS.items() for word in words.split()}
_BACKWARDS: Final = _searcher(reverse=True)
_FORWARDS: Final = _searcher(reverse=False)
_LONG_NUMBER: Final = re.compile(r"[0-9]{4}|[0-9]{3}[-, ][0-9]{3}")
_BANK_SHORT: Final = re.compile(
    r"\s?[:(]?\s?(?:민국|한신|리우|나하|업기|오카카|뱅카|스토|뱅케|일제|티씨|정우|산부|구대|남경|북전)(?![가-힣])"
)
"""Reversed names of banks that are ordinary words elsewhere: only right before the number."""
_SENTENCE_END: Final = re.compile(r"\n[.!?]?[다요까줘죠]|\s[.!?][다요까줘죠음함됨임]")
"""Reversed: `공문으로 써 줘. 901010…` asks for something and names no number; a new sentence begins."""
_NEAR: Final = re.compile(r"[^0-9\nA-Za-z가-힣]{0,3}")


class Label(NamedTuple):
    """What the nearest label says. `kind` is empty without one.

    `direct`: no other number stands between label and number, so the label speaks of this one.
    """

    kind: str
    direct: bool


NONE: Final = Label("", direct=False)
_DIRECT: Final = {kind: Label(kind, direct=True) for kind in _WORDS}
_DISTANT: Final = {kind: Label(kind, direct=False) for kind in _WORDS}


def label_of(text: str, start: int, end: int) -> Label:
    """The label of the number at `text[start:end]`: the nearest before it, else one right behind it."""
    before = text[max(0, start - _BEFORE) : start][::-1].lower()
    if _BANK_SHORT.match(before):
        return _DIRECT["account"]
    nearest = _BACKWARDS.search(before)
    if nearest is not None and not _LONG_NUMBER.search(before, 0, nearest.start()):
        kind = _kind(nearest.group()[::-1])
        if kind != HARMLESS or not _SENTENCE_END.search(before, 0, nearest.start()):
            return _DIRECT[kind]
        nearest = None
    behind = _FORWARDS.search(text[end : end + _BEHIND].lower())
    if behind is not None and _NEAR.fullmatch(text, end, end + behind.start()):
        return _DIRECT[_kind(behind.group())]
    return _DISTANT[_kind(nearest.group()[::-1])] if nearest is not None else NONE


def _kind(word: str) -> str:
    return _KIND_OF[word.replace(" ", "")]
