"""KR_ADDRESS: Korean addresses down to a building, a lot or a flat. A place name alone is none.

Three anchors, each extended to both sides by one pattern:
- 도로명: [시도] [시군구] [읍면] [동] …로/길 number [detail] [(법정동)]
- 지번: 시군구 읍면동리 lot number [번지] [detail]; without a region only with 번지
- 동·호: [name of a complex] 102동 405호
and the romanised form that staff write for foreigners. A number that counts or dates something (`앞으로
3년`, `3동 2개`) is not a building number. Rules: 도로명주소법 시행령 제6조, 행정안전부 도로명주소 표기. Every
repetition is bounded, so that time is linear in the text. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from filters.detector import limited
from filters.spans import KR_ADDRESS, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIDO = (
    r"(?:서울|부산|대구|인천|광주|대전|울산|세종)(?:특별자치시|특별시|광역시|시)?"
    r"|(?:경기|강원|충청?북|충청?남|전라?북|전라?남|경상?북|경상?남|제주)(?:특별자치도|도)?"
)
_S = r"[ \u00a0]{0,3}"
_REGION = (
    rf"(?:(?:{_SIDO}){_S},?{_S})?(?:[가-힣]{{1,4}}(?:시|군|구){_S}){{0,2}}(?:[가-힣]{{1,5}}(?:읍|면){_S})?"
)
_ROAD = (
    r"[가-힣0-9][가-힣0-9·]{0,12}?(?:대로|로|길)"
    rf"(?>(?:{_S}(?:\d{{1,4}}(?:-\d{{1,3}})?번?[가-하]?|[가-힣]{{1,3}})길)?)"
)
_NUMBER = rf"(?>(?:지하{_S})?\d{{1,5}}(?:-\d{{1,4}}){{0,2}}(?:번지|호(?![0-9]|선|차))?)"
_NOT_COUNTED = (
    r"(?![\d:%~]|[.,]\d|-\d|[ ]?(?:년|월|일(?![대원])|시간|시(?![가-힣])"
    r"|분(?![가-힣])|명|개|건|회(?!의)|원(?!룸)|만|억|천|퍼센트|호선)"
    r"|(?:초|인(?![근접데])|차|번(?!지)|배|위(?!치)|점|세|살|등급|단계"
    r"|종(?!로)|가지|[kKmM㎞㎡]|주(?![변소민차택])|면|쪽|조|항|급|부"
    r"|권|대|척|석|여))"
)
_BUILDING = (
    r"(?!소재|인근|일대|부근|근처|등[ 으]|및|또는|에서|으로|우편|연락"
    r"|전화|본사|거주|방문|이메일)[가-힣A-Za-z][가-힣A-Za-z0-9·&-]{1,14}"
)
_UNIT = (
    r"(?:(?:지하|B)?[ ]?\d{1,3}층(?:[ ]?(?:회의실|사무실|대회의실|강당))?"
    r"|(?:제?\d{1,4}|[A-Z가-하])동(?![가-힣])"
    r"|(?:제?\d{1,4}|[A-Z가-하])동(?=[은는이가을를의에로임과]|입|이)"
    r"|(?:B|지하)?[ ]?\d{1,4}(?:-\d{1,4})?호실?|\d{1,4}동[ ]?\d{1,4}호)"
)
_UNITS = rf"{_UNIT}(?:,?{_S}{_UNIT}){{0,3}}"
_NAMED_END = r"(?:빌딩|타워|아파트|청사|빌라|오피스텔|프라자|플라자|상가|맨션|캐슬|주공|빌리지|하우스)"
_DETAIL = (
    rf"(?:(?:,{_S}|[ ]{{1,3}}){_UNITS}"
    rf"|(?:,{_S}|[ ]{{1,3}})(?:{_BUILDING}[ ]){{0,1}}{_BUILDING}[ ]?{_UNITS}"
    rf"|,{_S}(?:{_BUILDING}[ ])?{_BUILDING}(?:(?<=빌딩)|(?<=타워)|(?<=청사)"
    rf"|(?<=빌라)|(?<=상가)|(?<=맨션)|(?<=캐슬)|(?<=플라자)|(?<=프라자)"
    rf"|(?<=아파트)|(?<=오피스텔))(?![가-힣]{{2}})|[ ][가-힣]{{1,8}}청사"
    rf"(?![가-힣]{{2}})"
    rf"|,{_S}\d{{3,4}}-\d{{3,4}}(?!\d))?"
)
_LEGAL = (
    rf"(?:{_S}\((?:[가-힣0-9]{{1,7}}(?:동|가|리|읍|면|로)(?:,[^()\n]{{1,20}})?"
    rf"|{_BUILDING}[ ]?{_UNITS}|[가-힣]{{1,10}}{_NAMED_END})\))?"
)
_LOT = (
    rf"(?:[가-힣]{{1,5}}\d{{0,2}}(?:동|리|가)(?:\d가)?){_S}(?>(?:산{_S})?\d{{1,4}}"
    rf"(?:-\d{{1,4}})?(?:번지|호(?![0-9]|선|차))?)"
)

ROAD: Final = re.compile(
    rf"(?P<region>{_REGION})(?:[가-힣]{{1,5}}\d?동{_S})?(?P<road>{_ROAD}){_S}"
    rf"(?P<number>{_NUMBER}){_NOT_COUNTED}"
    rf"(?:,{_S}(?P<lot>{_LOT}))?(?P<detail>{_DETAIL})(?P<legal>{_LEGAL}){_DETAIL}"
)
ROAD_WITHOUT_NUMBER: Final = re.compile(
    rf"(?:{_SIDO}){_S}(?:[가-힣]{{1,4}}(?:시|군|구){_S}){{1,2}}(?:[가-힣]{{1,5}}(?:읍|면){_S})?"
    rf"[가-힣][가-힣0-9·]{{0,9}}로{_S}\d{{1,4}}번?길(?!{_S}\d)"
)
LOT: Final = re.compile(
    rf"(?P<region>{_REGION})(?P<lot>{_LOT}){_NOT_COUNTED}(?P<detail>{_DETAIL})(?P<legal>{_LEGAL}){_DETAIL}"
)
FLAT: Final = re.compile(rf"동,?{_S}(?:\d{{1,3}}층,?{_S})?제?\d{{1,4}}호(?![가-힣]*선)")
"""`동 405호` of `102동 405호`; the building's number stands before it."""
BUILDING_NUMBER: Final = re.compile(r"(?<![\d가-힣A-Za-z-])(?:제?\d{1,4}|[A-Z가나다라])$")
_COMPLEX = r"(?:아파트|빌라|오피스텔|맨션|연립|주공|자이|푸르지오|래미안|힐스테이트|캐슬|마을|단지|빌)"
COMPLEX_UNIT: Final = re.compile(rf"{_COMPLEX}[ ]?(?:\d{{1,2}}단지[ ]?)?{_UNITS}")
COMPLEX_END: Final = re.compile(rf"[가-힣A-Za-z0-9]{{0,12}}{_COMPLEX}")
TOKEN: Final = re.compile(r"[가-힣A-Za-z0-9·]+")
OWNER: Final = "addresses"
ANCHOR: Final = re.compile(r"(?:로|길|동|리|가)[ \u00a0]{0,3}(?:지하|산)?[ ]?[0-9]")
REGION_TOKEN: Final = re.compile(
    rf"(?:{_SIDO})|(?:{_SIDO})?[가-힣]{{1,4}}(?:시|군|구)|(?:[가-힣]{{1,4}}"
    rf"(?:시|군))?[가-힣]{{1,5}}(?:구|읍|면)|[가-힣]{{1,5}}\d?동"
)
WINDOW: Final = 48
"""How far to the left of a road or lot an address may begin, in characters."""
ROMANISED: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:#|No\. ?|Room |Unit |Apt\.? ?)?\d{1,4}"
    r"(?:-\d{1,4})?(?:F|ho)?,? ){0,3}\d{1,4}(?:-\d{1,4})?,? "
    r"[A-Z][a-z]{1,15}(?:[ ]?\d{1,3})?(?:-?(?:daero|ro|gil|dong))(?: ?\d{1,4}(?:beon)?-?gil)?"
    r"(?:,? [A-Z][a-z]{1,15}(?:-(?:gu|si|gun|do|dong|eup|myeon))?(?=[,. \n)]"
    r"|$)){1,4}(?:,? (?:Republic of Korea|South Korea|Korea))?"
)

ROMANISED_HINT: Final = re.compile(r"-(?:daero|ro|gil|dong|gu|si|gun)(?![a-z])")
LABEL: Final = re.compile(
    r"(?:주소|주소지|소재지|거주지|배송지|도로명|본적|등록기준지|사업장"
    r"|위치|자택|수령지|사는 곳)[^\n가-힣]{0,4}(?:은|는|가|이)?[ :：)\]]{1,4}$"
)
ADVERBS: Final = frozenset(
    """
    앞으로 뒤로 바로 새로 서로 별로 따로 도로 대로 경로 제로 진로 통로 가로 세로 절대로 이대로
    그대로 마음대로 뜻대로 차례대로 예정대로 계획대로 규정대로 순서대로 기준으로 기본으로 최대로
    최소로 추가로 실제로 별도로 주로 함부로 스스로 홀로 저절로 억지로 하루로 총으로 각각으로 합계로
    번호로 숫자로 순으로 위로 아래로 옆으로 밖으로 안으로 왼쪽으로 오른쪽으로 기한으로 대상으로
    목적으로 결과로 토대로 사례로 경우로 원래대로 지시대로 선로 철로 항로 수로 활주로 산책로 등산로
    진입로 이동통로 고속도로 자전거도로 지하도로 에스컬레이터로 길 그길 갈길 하굣길 등굣길 산길
    골목길 출근길 퇴근길 둘레길 올레길 찻길 오솔길 지름길 손길 발길 눈길
    """.split()
)
PARTICLE_ROAD: Final = re.compile(r"(?:[시군구도읍면동리]|[가-힣]{2}(?:으|기|지|자|서|호|료|사))로$")

GATES: Final[tuple[str, ...]] = (
    r"(?:로|길|동|리|가)[ \x{00a0}]{0,3}(?:지하|산)?[ ]?[0-9]",
    r"[0-9A-Z가나다라]동,?[ ]{0,3}제?[0-9]{1,4}(?:호|층)",
    (
        r"(?:아파트|빌라|오피스텔|맨션|연립|주공|자이|푸르지오|래미안|힐스테이트"
        r"|캐슬|마을|단지|빌)[ ]?[0-9]{1,4}(?:동|호|층)"
    ),
    r"(?:ro|gil|dong)[ ,]",
)
"""RE2: no address without one of these."""


class Addresses:
    """KR_ADDRESS as a detector of the engine."""

    name = OWNER
    gates = GATES

    def find(self, text: str) -> list[Span]:
        """See the module's `find`."""
        return find(text)


def find(text: str) -> list[Span]:
    """Addresses in `text`, in order, without overlaps; offsets are code points of `text`."""
    spans: list[Span] = []
    for span in sorted(_candidates(text), key=lambda s: (s.start, -s.end)):
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    return spans


def _candidates(text: str) -> Iterator[Span]:
    yield from _roads_and_lots(text)
    for match in limited(FLAT.finditer(text), OWNER):
        if number := BUILDING_NUMBER.search(text, max(0, match.start() - 6), match.start()):
            yield Span(_start_of_complex(text, number.start()), match.end(), KR_ADDRESS, 0.75, "address_flat")
    for match in limited(COMPLEX_UNIT.finditer(text), OWNER):
        start = _start_of_token(text, match.start())
        if start < match.start() or text[start : match.end()].startswith(("아파트", "빌라", "오피스텔")):
            yield Span(start, match.end(), KR_ADDRESS, 0.7, "address_flat")
    if ROMANISED_HINT.search(text):
        for match in limited(ROMANISED.finditer(text), OWNER):
            yield _span(match, 0.8, "address_romanised")


def _roads_and_lots(text: str) -> Iterator[Span]:
    done = 0
    for anchor in limited(ANCHOR.finditer(text), OWNER):
        if anchor.start() < done:
            continue
        start = _start_of_region(text, anchor.start() + 1, done)
        span = _road_or_lot(text, start, anchor.end() - 1)
        if span is not None:
            yield span
            done = span.end


def _road_or_lot(text: str, start: int, number: int) -> Span | None:
    """The address that begins at `start` and goes on beyond the first character of its `number`."""
    road = ROAD.match(text, start)
    if road and road.end() > number and _is_road_address(road, text):
        return _span(road, 0.9 if road["region"] else 0.7, "address_road")
    bare = ROAD_WITHOUT_NUMBER.match(text, start)
    if bare:
        return _span(bare, 0.7, "address_road")
    lot = LOT.match(text, start)
    if lot and (lot["region"].strip() or "번지" in lot["lot"]):
        return _span(lot, 0.85, "address_lot")
    return None


def _start_of_region(text: str, end: int, floor: int) -> int:
    """Where the address begins whose road or lot name ends at `end`: leftwards over 시도, 시군구, 읍면동."""
    tokens = list(TOKEN.finditer(text, max(floor, end - WINDOW), end))
    start = tokens[-1].start()
    for token in reversed(tokens[:-1]):
        gap = text[token.end() : start]
        if len(gap) > 3 or gap.strip(" ,\u00a0") or not REGION_TOKEN.fullmatch(token.group()):
            break
        start = token.start()
    return start


def _start_of_complex(text: str, start: int) -> int:
    """Takes the name of the complex before `102동 405호` along, if it is one."""
    tokens = list(TOKEN.finditer(text, max(0, start - 20), start))
    if not tokens or text[tokens[-1].end() : start].strip(" ,") or start - tokens[-1].end() > 2:
        return start
    if not COMPLEX_END.fullmatch(tokens[-1].group()):
        return start
    return _start_of_token(text, tokens[-1].start())


def _start_of_token(text: str, start: int) -> int:
    """The start of the word that contains `start`."""
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    return start


def _is_road_address(match: re.Match[str], text: str) -> bool:
    road = match["road"]
    if road in ADVERBS or road[0].isdigit():
        return False
    if match["region"].strip() and not road.endswith(("으로", "에서로")):
        return True
    if match["detail"] or match["legal"] or LABEL.search(text[max(0, match.start() - 16) : match.start()]):
        return not PARTICLE_ROAD.search(road) or bool(match["detail"] or match["legal"])
    return (road.endswith(("대로", "번길")) and len(road) > 3) or bool(re.search(r"\d+번?길$", road))


def _span(match: re.Match[str], score: float, rule: str) -> Span:
    end = match.end()
    while match.string[end - 1] in " ,":
        end -= 1
    return Span(match.start(), end, KR_ADDRESS, score, rule)
