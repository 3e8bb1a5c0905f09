"""Telephone numbers of Korea in every grouping, with +82. Labelled `office` where an office answers.

An office's published number is not personal data; the policy decides by that label and by its own
allow-list. Number plan: 전기통신번호관리세칙.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from filters.detectors.labels import HARMLESS
from filters.spans import PHONE_NUMBER, Span

if TYPE_CHECKING:
    from filters.detectors.candidates import Candidate

_MOBILE: Final = re.compile(r"01(?:0[2-9][0-9]{7}|[16789][2-9][0-9]{6,7})|0100[0-9]{7}|0101[0-9]{7}")
_AREA: Final = re.compile(r"0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4])[2-9][0-9]{6,7}")
_SERVICE: Final = re.compile(r"070[0-9]{8}|050[2-8][0-9]{7,8}|080[0-9]{7,8}|030[0-9]{8,9}|060[0-9]{7,8}")
_NATIONAL: Final = re.compile(
    r"(?:15(?:22|33|44|66|77|88|99)|16(?:00|11|33|44|55|61|66|68|70|88|99)|18(?:00|11|33|44|51|55|66|77|99))[0-9]{4}"
)
_ABROAD: Final = re.compile(r"(?:00)?82(?=[0-9]{8})")
_GROUPINGS: Final = frozenset(
    {
        (3, 4, 4), (3, 3, 4), (2, 3, 4), (2, 4, 4), (4, 4, 4), (4, 3, 4),
        (3, 8), (2, 8), (2, 7), (3, 7), (7, 4), (6, 4),
        (2, 2, 4, 4), (2, 2, 3, 4), (2, 1, 4, 4), (2, 1, 3, 4), (2, 3, 4, 4), (2, 3, 3, 4), (2, 10), (2, 9),
    }
)  # fmt: skip
_OFFICE: Final = re.compile(
    r"[가-힣](?:과|팀|국|청|처|실|센터|부서|본부|사업소|위원회|공단|공사|관|소|원|단)(?![가-힣])"
    r"|담당|주무관|사무관|서기관|팀장|과장|국장|실장|문의|대표|콜센터|민원|시청|구청|군청|도청|주민센터"
    r"|행정|상담|접수|고객|부서|사무실|☎|팩스|[Ff][Aa][Xx]|홍보"
)


def phone(candidate: Candidate) -> Span | None:
    """PHONE_NUMBER, mobile, landline, internet, national (1588-0000) or foreign-dialled (+82)."""
    digits = _national_form(candidate)
    if candidate.money:
        return None
    if _MOBILE.fullmatch(digits):
        return _phone(candidate, _mobile_score(candidate), "mobile")
    if _AREA.fullmatch(digits) or _SERVICE.fullmatch(digits):
        return _phone(candidate, _landline_score(candidate), "landline")
    if _NATIONAL.fullmatch(digits):
        return _phone(candidate, _national_score(candidate), "national")
    if candidate.called == "phone" and _MOBILE.fullmatch(digits[::-1]):
        return _phone(candidate, 0.65, "mobile")
    if candidate.called == "phone" and candidate.lengths == (4, 4) and candidate.tight and candidate.isolated:
        return _phone(candidate, 0.6, "landline")
    return None


def is_phone_form(candidate: Candidate) -> bool:
    """Whether digits and grouping are those of a mobile or a written landline number."""
    digits = _national_form(candidate)
    if _MOBILE.fullmatch(digits):
        return candidate.bare or candidate.spread or candidate.lengths in _GROUPINGS
    return (
        candidate.lengths in _GROUPINGS
        and (_AREA.fullmatch(digits) or _SERVICE.fullmatch(digits)) is not None
    )


def _national_form(candidate: Candidate) -> str:
    """+82-(0)10-… and 0082-10-… as 010…."""
    digits = candidate.digits
    match _ABROAD.match(digits):
        case None:
            return digits
        case prefix:
            plus = candidate.text[candidate.start - 1 : candidate.start] == "+"
            dialled = plus or candidate.spread or candidate.lengths[0] in {prefix.end(), 11, 12, 14}
            return "0" + digits[prefix.end() :].removeprefix("0") if dialled else digits


def _mobile_score(candidate: Candidate) -> float:
    if candidate.called == "phone":
        return 0.95
    if not candidate.isolated:
        return 0.0
    if candidate.lengths in _GROUPINGS or candidate.spread:
        return 0.7 if candidate.called == HARMLESS else 0.9
    if candidate.bare:
        return 0.0 if candidate.called == HARMLESS else 0.8
    return 0.55 if candidate.tight else 0.0


def _landline_score(candidate: Candidate) -> float:
    if candidate.called == "phone":
        return 0.9 if candidate.lengths in _GROUPINGS or candidate.bare or candidate.spread else 0.0
    if not candidate.isolated or candidate.called in {HARMLESS, "brn", "account", "licence", "health"}:
        written = candidate.lengths in _GROUPINGS and not candidate.blank and candidate.isolated
        return 0.6 if written else 0.0
    if candidate.lengths in _GROUPINGS:
        return 0.55 if candidate.blank and len(candidate.lengths) < 3 else 0.85
    return 0.0


def _national_score(candidate: Candidate) -> float:
    if candidate.called == "phone":
        return 0.9
    years = 1000 <= int(candidate.digits[4:8]) <= 2100
    if candidate.lengths != (4, 4) or not candidate.tight or not candidate.isolated or years:
        return 0.0
    return 0.0 if candidate.called == HARMLESS or candidate.separators[0].strip() != "-" else 0.7


def _phone(candidate: Candidate, score: float, rule: str) -> Span | None:
    if score < 0.5:
        return None
    start = _opened(candidate)
    label = (
        "office"
        if rule == "national"
        or candidate.digits.startswith("080")
        or (rule == "landline" and _answered_by_office(candidate))
        else ""
    )
    return Span(start, candidate.end, PHONE_NUMBER, score, f"phone_{rule}", label)


def _opened(candidate: Candidate) -> int:
    """Takes in the `(` of `(02) 123-4567` and the `+` of `+82`."""
    start = candidate.start
    if start and candidate.text[start - 1] == "+":
        return start - 1
    if start and candidate.text[start - 1] == "(" and candidate.separators and ")" in candidate.separators[0]:
        return start - 1
    return start


def _answered_by_office(candidate: Candidate) -> bool:
    text, start, end = candidate.text, candidate.start, candidate.end
    around = text[max(0, start - 40) : start] + " " + text[end : end + 12]
    return _OFFICE.search(around) is not None
