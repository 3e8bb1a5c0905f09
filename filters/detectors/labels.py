"""Words that say what a number is: the nearest label before it, or the one right behind it.

A label raises a score or permits a form that would be nothing without it (a bare row of digits); it
never forbids a form that stands on its own, except the labels of harmless numbers (`HARMLESS`),
which take the benefit of the doubt away from forms without a check digit.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

HARMLESS: Final = "harmless"
IDENTITY: Final = "identity"
"""`신분증 번호`: some identity number, without saying which."""

_LABELS: Final = re.compile(
    r"(?P<frn>외국인\s?등록|외국인\s?번호|국내\s?거소|거소\s?신고|거소\s?번호|[Aa]lien [Rr]egistration|\bFRN\b|\bARC\b)"
    r"|(?P<corp>법인\s?등록|법인\s?번호|등기\s?번호|법인등기|[Cc]orporat\w+ [Rr]egistration)"
    r"|(?P<rrn>주민\s?등록|주민\s?번호|주민\s?번|주민증|주민|민번|\bRRN\b|(?i:resident\s(?:registration|number|id))|(?:jumin|rrn)_?\w{0,8})"
    r"|(?P<brn>사업자\s?등록|사업자\s?번호|사업자|고유\s?번호|사업장\s?번호|[Bb]usiness [Rr]egistration|\bBRN\b|biz_?(?:no|num)\w*)"
    r"|(?P<licence>운전\s?면허|면허\s?번호|면허증|면허|[Dd]riv\w+.{0,2}[Ll]icen[sc]e)"
    r"|(?P<passport>여권|[Pp]assport)"
    r"|(?P<health>건강\s?보험|의료\s?보험|건보|보험증|요양기관|[Hh]ealth [Ii]nsurance)"
    r"|(?P<customs>통관|[Cc]ustoms)"
    r"|(?P<account>계좌|통장|입금|송금|이체|은행|뱅크|농협|수협|신협|새마을금고|예금주|저축|증권|[Aa]ccount|acct"
    r"|(?:국민|신한|우리|하나|기업|카카오|카뱅|토스|케뱅|제일|씨티|우체국|우정)(?=\s?[(:]?\s?$))"
    r"|(?P<card>카드|[Cc]ard|\bVISA\b|비자|마스터|아멕스|카번호)"
    r"|(?P<phone>전화|연락처|연락|휴대폰|핸드폰|휴대|폰\s?번호|폰|유선|직통|내선|교환|콜센터|문의|팩스|문자|(?i:fax|tel|mobile|phone|\bhp\b|h\.p|cell|call)|☎|☏|📞|📱|✆)"
    r"|(?P<identity>신분증|신분\s?확인|본인\s?확인|인적\s?사항|개인\s?정보|생년월일|주소|성명|이름|고객|신청인|환자|보호자|세대주|대표자|가족)"
    r"|(?P<harmless>상품|제품|품목|바코드|물품|품번|자산|모델|일련|시리얼|규격|도서|주문|송장|운송장|배송|문서|계약|공고|관리|접수|승인"
    r"|민원|고지서|납부|허가|특허|출원|사건|판결|처방|거래|예산|금액|사업비|총액|합계|매출|비용|수량|좌표|위도|경도|버전|학번|사번|군번|코드"
    r"|입찰|발주|견적|세금계산서|시행|호수|지번|필지|고시|훈령|예규|조례|법률|식별|회원|로그|타임스탬프|결재|대장|기록물|등기우편|우편물|공문|증서|시험|수험|응시|티켓|예약|행사"
    r"|(?i:ISBN|ISSN|EAN|GTIN|SKU|DOI|order|invoice|tracking|serial|timestamp|epoch|version|product|item|model|budget|ref(?:erence)?\b|build|commit|uuid|hash))"
)
_BEFORE: Final = 34
_BEHIND: Final = 16
_LONG_NUMBER: Final = re.compile(r"[0-9]{4}|[0-9]{3}[-, ][0-9]{3}")
_NEAR_END: Final = re.compile(r"[^0-9\n]{0,7}")


class Label(NamedTuple):
    """What the nearest label says. `kind` is empty without one.

    `direct`: no other number stands between label and number, so the label speaks of this one.
    """

    kind: str
    direct: bool


NONE: Final = Label("", direct=False)


def label_of(text: str, start: int, end: int) -> Label:
    """The label of the number at `text[start:end]`: the nearest before it, else one right behind it."""
    before = text[max(0, start - _BEFORE) : start]
    nearest = None
    for nearest in _LABELS.finditer(before):
        pass
    if nearest is not None and not _LONG_NUMBER.search(before, nearest.end()):
        return Label(nearest.lastgroup or "", direct=True)
    behind = _LABELS.search(text, end, end + _BEHIND)
    if behind is not None and _NEAR_END.fullmatch(text, end, behind.start()):
        return Label(behind.lastgroup or "", direct=True)
    return Label(nearest.lastgroup or "", direct=False) if nearest is not None else NONE


def labels_before(text: str, start: int) -> frozenset[str]:
    """All kinds of labels shortly before a number."""
    return frozenset(
        match.lastgroup or "" for match in _LABELS.finditer(text, max(0, start - _BEFORE), start)
    )
