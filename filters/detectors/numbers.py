"""Numbers made of digits alone: resident, foreigner, corporate, business, card, licence, insurance, account.

Each rule looks at one candidate (filters/detectors/candidates.py) and gives a score or nothing. Form
decides; a check digit or a label raises the score; a label of something harmless (`문서번호`, `상품`)
takes forms away that have no check digit. Telephone numbers stand in filters/detectors/phones.py.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from filters import checksums
from filters.detector import limited
from filters.detectors.candidates import Candidate, candidates
from filters.detectors.labels import HARMLESS, label_of
from filters.detectors.phones import is_phone_form, phone
from filters.spans import (
    CREDIT_CARD,
    KR_BANK_ACCOUNT,
    KR_BRN,
    KR_CORP_NO,
    KR_DRIVER_LICENSE,
    KR_FRN,
    KR_HEALTH_INSURANCE,
    KR_PASSPORT,
    KR_RRN,
    Span,
)

_LATEST_BIRTH: Final = dt.datetime.now(dt.UTC).year + 1
"""Nobody is born later. Read once at import: only bare rows of digits without a label depend on it."""

_EARLIEST_BIRTH: Final = 1920


class Numbers:
    """All identity numbers made of digits, whatever stands between their groups."""

    name = "numbers"
    gates = (r"[0-9](?:[^0-9A-Za-z가-힣]{0,5}[0-9]){7}",)

    def find(self, text: str) -> list[Span]:
        spans: list[Span] = []
        for candidate in limited(candidates(text), self.name):
            spans += judged(candidate)
        return spans


def judged(candidate: Candidate) -> list[Span]:
    """What the rules make of one candidate."""
    digits = candidate.digits
    spans: list[Span] = []
    if digits.count(digits[0]) == len(digits):
        return spans  # 000-000-000000 shows a form
    for rule in _BY_FORM[len(digits)]:
        span = rule(candidate)
        if span is not None:
            spans.append(span)
    by_label = _BY_LABEL.get(candidate.called)
    if by_label is not None and (span := by_label(candidate)) is not None:
        spans.append(span)
    return spans


def _span(candidate: Candidate, kind: str, score: float, rule: str, label: str = "") -> Span:
    return Span(candidate.start, candidate.end, kind, min(score, 1.0), rule, label)


# --- resident, foreigner's and corporate numbers: 13 digits ------------------------------------------


def resident(candidate: Candidate) -> Span | None:
    """RRN or FRN, forwards or, in an unmistakable form, backwards."""
    return _resident(candidate, candidate.digits) or _resident_backwards(candidate)


def _resident(candidate: Candidate, digits: str) -> Span | None:
    if not checksums.is_birth_date(digits) or candidate.called == "corp":
        return None
    if candidate.lengths != (6, 7) and candidate.called in {"account", "licence", "health", "card"}:
        return None
    foreign = digits[6] in "5678"
    valid = checksums.frn_valid(digits) if foreign else checksums.rrn_valid(digits)
    score = _resident_score(candidate, digits, valid=valid)
    if score < 0.5:
        return None
    kind, rule = (KR_FRN, "kr_frn") if foreign else (KR_RRN, "kr_rrn")
    return _span(candidate, kind, score + (0.05 if valid else 0.0), rule)


def _resident_score(candidate: Candidate, digits: str, *, valid: bool) -> float:
    if candidate.called in {"rrn", "frn"}:
        return 0.95
    plausible = _EARLIEST_BIRTH <= checksums.birth_year(digits) <= _LATEST_BIRTH
    if (not plausible and candidate.lengths != (6, 7)) or _is_fraction(candidate):
        return 0.0
    harmless = candidate.called == HARMLESS or candidate.money
    if candidate.lengths == (6, 7) and candidate.tight:
        return _written_form_score(candidate, plausible=plausible, trusted=valid or not harmless)
    if not candidate.isolated or candidate.counted or (candidate.thousands and not valid):
        return 0.0
    if candidate.bare and checksums.ean13_valid(digits) and digits.startswith(("880", "978", "979")):
        return 0.0
    if valid:
        return 0.6 if harmless or _crosses_columns(candidate) else 0.85
    return 0.6 if not harmless and _looks_written(candidate) else 0.0


def _is_fraction(candidate: Candidate) -> bool:
    """0.003173828125: one in 350 has a birthday and a check digit."""
    return candidate.lengths == (1, 12) and candidate.separators == ["."] and candidate.digits[0] == "0"


def _looks_written(candidate: Candidate) -> bool:
    """Whether a person wrote 13 digits as one number: at once, digit by digit, 901010 or 90.10.10 first."""
    if candidate.spread:
        return True
    if candidate.lengths == (2, 2, 2, 7) and _DATE_MARKS.issuperset(candidate.separators):
        return True
    return not candidate.columns and (candidate.bare or candidate.tight or candidate.lengths == (6, 7))


def _crosses_columns(candidate: Candidate) -> bool:
    """Whether a comma parts what hyphens hold: 12,010-4859-6365 is a phone behind another column."""
    return "," in candidate.separators and "-" in candidate.separators


_DATE_MARKS: Final = frozenset({".", "-", "/", ". ", " "})
_WITH_CENTURY: Final = frozenset({(8, 7), (4, 2, 2, 7)})
_CENTURY_OF_SEX: Final = {"19": "1256", "20": "3478"}


def resident_with_century(candidate: Candidate) -> Span | None:
    """19901010-1234567, 1990.10.10-1234567: nobody's rule and everybody's habit.

    Not the serial numbers of this century's documents (20240312-3000123), unless a label or the check
    digit speaks for them; all at once only behind a label.
    """
    called = candidate.called in {"rrn", "frn"}
    if candidate.lengths not in _WITH_CENTURY and not (called and candidate.bare):
        return None
    if not candidate.isolated or candidate.columns:
        return None
    century, digits = candidate.digits[:2], candidate.digits[2:]
    if digits[6] not in _CENTURY_OF_SEX.get(century, "") or not checksums.is_birth_date(digits):
        return None
    foreign = digits[6] in "5678"
    valid = checksums.frn_valid(digits) if foreign else checksums.rrn_valid(digits)
    sure = called or (valid and not (century == "20" and _crosses_columns(candidate)))
    if not sure and (century == "20" or candidate.called == HARMLESS):
        return None
    return _span(candidate, KR_FRN if foreign else KR_RRN, 0.85 if sure else 0.6, "kr_rrn_century")


def _written_form_score(candidate: Candidate, *, plausible: bool, trusted: bool) -> float:
    """YYMMDD-SXXXXXX with its hyphen: nothing else is written like this but corporate numbers."""
    if candidate.digits[6] in "09":
        return 0.0  # born before 1900; a corporate number, or nothing
    if not trusted:
        return 0.0 if not plausible else 0.55
    return 0.9 if plausible and candidate.isolated else 0.6


def _resident_backwards(candidate: Candidate) -> Span | None:
    """The digits in reverse, or the halves swapped: 7654321-010109, 1234567-901010."""
    swapped = candidate.digits[7:] + candidate.digits[:7] if candidate.lengths == (7, 6) else ""
    return _turned(candidate, candidate.digits[::-1]) or (_turned(candidate, swapped) if swapped else None)


def _turned(candidate: Candidate, digits: str) -> Span | None:
    if (
        not checksums.is_birth_date(digits)
        or not _EARLIEST_BIRTH <= checksums.birth_year(digits) <= _LATEST_BIRTH
    ):
        return None
    mirrored = candidate.lengths == (7, 6) and candidate.tight and candidate.isolated
    if not mirrored and candidate.called not in {"rrn", "frn"}:
        return None
    kind, rule = (KR_FRN, "kr_frn_reversed") if digits[6] in "5678" else (KR_RRN, "kr_rrn_reversed")
    return _span(candidate, kind, 0.7, rule)


def corporate(candidate: Candidate) -> Span | None:
    """법인등록번호: by its label whatever its check digit, or by form and check digit.

    Labelled `company` where registry office and kind of corporation exist (법인등기규칙의 분류번호).
    """
    if candidate.called != "corp" and candidate.lengths != (6, 7):
        return None
    valid = checksums.corp_valid(candidate.digits)
    registry = candidate.digits[:2] in _REGISTRIES and candidate.digits[4:6] in _CORPORATE_KINDS
    label = "company" if registry else ""
    if candidate.called == "corp":
        return _span(candidate, KR_CORP_NO, 0.96 if valid else 0.88, "kr_corp_no", label)
    if not (candidate.tight and candidate.isolated) or candidate.called in {HARMLESS, "rrn", "frn"}:
        return None
    if registry and (valid or candidate.digits[6] == "0"):
        return _span(candidate, KR_CORP_NO, 0.62, "kr_corp_no", label)
    if valid and not checksums.is_birth_date(candidate.digits):
        return _span(candidate, KR_CORP_NO, 0.55, "kr_corp_no")
    return None


_REGISTRIES: Final = frozenset({"11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23"})
_CORPORATE_KINDS: Final = frozenset({"11", "12", "13", "14", "15", "21", "22", "31", "32", "33", "71", "81"})


# --- cards -------------------------------------------------------------------------------------------

_CARD_FORMS: Final = frozenset(
    {(4, 4, 4, 4), (16,), (15,), (4, 6, 5), (14,), (4, 6, 4), (8, 8), (4, 4, 4, 4, 3), (19,)}
)


_NO_CARD: Final = frozenset({"phone", "customs", "licence", "brn", "rrn", "frn", "corp"})


def card(candidate: Candidate) -> Span | None:
    """Payment cards: Luhn by form, or the label `카드` with any check digit."""
    digits = candidate.digits
    called = candidate.called == "card"
    old_visa = len(digits) == 13 and digits[0] == "4"
    if candidate.called in _NO_CARD or candidate.counted or not (called or old_visa or len(digits) > 13):
        return None
    if candidate.thousands and not (called and checksums.luhn_valid(digits)):
        return None
    if candidate.lengths != (4, 4, 4, 4) and candidate.called == "account":
        return None
    if checksums.luhn_valid(digits) and _issuer_fits(digits):
        return _valid_card(candidate, called=called)
    if (
        called
        and len(digits) >= 14
        and (candidate.lengths in _CARD_FORMS or candidate.spread or candidate.tight)
    ):
        return _span(candidate, CREDIT_CARD, 0.85, "card")
    if called and checksums.luhn_valid(digits[::-1]):
        return _span(candidate, CREDIT_CARD, 0.7, "card_reversed")
    grouped = candidate.lengths == (4, 4, 4, 4) and candidate.tight and candidate.isolated
    if grouped and digits[0] in "3456" and candidate.called != HARMLESS:
        return _span(candidate, CREDIT_CARD, 0.6, "card")
    return None


def _valid_card(candidate: Candidate, *, called: bool) -> Span | None:
    if called:
        return _span(candidate, CREDIT_CARD, 0.98, "card")
    if not candidate.isolated or _years(candidate):
        return None
    if candidate.lengths in {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4)}:
        return _span(candidate, CREDIT_CARD, 0.7 if candidate.called == HARMLESS else 0.9, "card")
    if candidate.called == HARMLESS or len(candidate.digits) not in {14, 15, 16}:
        return None
    if candidate.columns and not (candidate.bare and _EXPIRY.match(candidate.text, candidate.end)):
        return None
    return _span(candidate, CREDIT_CARD, 0.85 if candidate.bare or candidate.spread else 0.6, "card")


_EXPIRY: Final = re.compile(r"[,;|\s]{1,3}(?:0[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-4][0-9](?![0-9])")
"""12/27 in the next column: what stands before it is a card, not the number of a file."""


def _issuer_fits(digits: str) -> bool:
    """Ranges of ISO/IEC 7812 in use: 15 digits are American Express, 14 Diners, 13 an old Visa."""
    match len(digits):
        case 15:
            return digits.startswith(("34", "37"))
        case 14:
            return digits.startswith(("30", "36", "38", "39"))
        case 13:
            return digits.startswith("4")
        case _:
            return digits[0] in "234569"


def _years(candidate: Candidate) -> bool:
    return all(
        candidate.digits[index : index + 2] in {"19", "20"} for index in range(0, len(candidate.digits), 4)
    )


# --- business registration: 10 digits ----------------------------------------------------------------


def business(candidate: Candidate) -> Span | None:
    """사업자등록번호; its middle pair says whose it is (`individual`, `company`, `government`)."""
    for digits, lengths, rule in (
        (candidate.digits, (3, 2, 5), "kr_brn"),
        (candidate.digits[::-1], (5, 2, 3), "kr_brn_reversed"),
    ):
        valid = checksums.brn_valid(digits)
        score = _business_score(candidate, lengths, valid=valid, backwards=rule == "kr_brn_reversed")
        if score >= 0.5:
            return _span(candidate, KR_BRN, score, rule, _holder(digits))
    return None


def _business_score(candidate: Candidate, lengths: tuple[int, ...], *, valid: bool, backwards: bool) -> float:
    if candidate.called == "brn":
        if backwards:
            return 0.7 if valid or candidate.lengths == lengths else 0.0
        return 0.95 if valid else 0.9
    if backwards or candidate.called in {"account", "phone", "health", "licence"} or candidate.money:
        return 0.0
    if candidate.lengths == lengths and candidate.tight and candidate.isolated:
        if valid:
            return 0.9
        return 0.0 if candidate.called == HARMLESS else 0.75
    if candidate.lengths == lengths and candidate.blank:
        return 0.6 if valid else 0.0
    return 0.55 if valid and candidate.spread else 0.0


def _holder(digits: str) -> str:
    middle = int(digits[3:5])
    if middle == 83:
        return "government"
    return "company" if middle in {81, 82, 84, 85, 86, 87, 88} else "individual"


# --- driver's licence, health insurance, bank account ------------------------------------------------


def licence(candidate: Candidate) -> Span | None:
    """운전면허번호: RR-YY-NNNNNN-CC. The check rule is secret: hyphens or the label must speak for it."""
    for digits, lengths in ((candidate.digits, (2, 2, 6, 2)), (candidate.digits[::-1], (2, 6, 2, 2))):
        if len(digits) != 12 or not _region(digits):
            continue
        if candidate.called == "licence":
            return _span(candidate, KR_DRIVER_LICENSE, 0.95, "kr_driver_license")
        written = candidate.lengths == lengths and candidate.tight and candidate.isolated
        if written and candidate.called not in {HARMLESS, "account"}:
            return _span(candidate, KR_DRIVER_LICENSE, 0.8, "kr_driver_license")
    return _labelled_licence(candidate)


_OLD_REGION: Final = re.compile(
    r"(?:서울|부산|대구|인천|광주|대전|울산|경기|강원|충북|충남|전북|전남|경북|경남|제주)\s?$"
)


def old_licence(candidate: Candidate) -> Span | None:
    """서울 12-345678-90, as issued before regions had numbers; the span takes the region in."""
    if candidate.lengths != (2, 6, 2) or not candidate.tight:
        return None
    region = _OLD_REGION.search(candidate.text, max(0, candidate.start - 3), candidate.start)
    if region is None:
        return None
    return Span(region.start(), candidate.end, KR_DRIVER_LICENSE, 0.85, "kr_driver_license_old")


def _region(digits: str) -> bool:
    return 11 <= int(digits[:2]) <= 28 and digits[:2] != "27"


def _labelled_licence(candidate: Candidate) -> Span | None:
    """Mistyped or regrouped licence numbers right behind their label."""
    if candidate.called != "licence" or is_phone_form(candidate) or _is_date(candidate):
        return None
    regrouped = candidate.tight and len(candidate.lengths) >= 3
    if regrouped or (len(candidate.digits) == 12 and (candidate.bare or candidate.spread)):
        return _span(candidate, KR_DRIVER_LICENSE, 0.75, "kr_driver_license_label")
    return None


def health_insurance(candidate: Candidate) -> Span | None:
    """건강보험증 번호: 8 to 15 digits in any grouping, only behind its label."""
    if candidate.called != "health" or candidate.money or is_phone_form(candidate) or _is_date(candidate):
        return None
    if candidate.lengths == (6, 7) and checksums.is_birth_date(candidate.digits):
        return None
    if len(candidate.digits) > 15 or (candidate.blank and not candidate.spread):
        return None
    return _span(candidate, KR_HEALTH_INSURANCE, 0.9, "kr_health_insurance")


def account(candidate: Candidate) -> Span | None:
    """계좌번호: no check digit and a grouping per bank, so a bank or 계좌 must stand beside it."""
    if candidate.called != "account" or candidate.money or is_phone_form(candidate) or _is_date(candidate):
        return None
    if not 9 <= len(candidate.digits) <= 16 or (
        candidate.blank and not candidate.spread and len(candidate.lengths) > 4
    ):
        return None
    if candidate.lengths == (4, 4, 4, 4) or (
        candidate.lengths == (6, 7) and checksums.is_birth_date(candidate.digits)
    ):
        return None
    return _span(candidate, KR_BANK_ACCOUNT, 0.85, "kr_bank_account")


def _is_date(candidate: Candidate) -> bool:
    return (
        candidate.lengths[:1] == (4,)
        and candidate.digits[:2] in {"19", "20"}
        and max(candidate.lengths[1:], default=9) <= 2
    )


# --- halves that are told apart: "앞자리 901010 뒷자리 1234567" --------------------------------------------

_HALVES: Final = re.compile(
    r"(?<![0-9])(?P<front>[A-Z]?[0-9](?:[- ]?[0-9]){2,9})(?![0-9])"
    r"[^0-9]{1,40}?(?:뒤|뒷|나머지|끝|마지막|(?i:last|second|rest|back))[^0-9]{0,14}"
    r"(?:[0-9]{1,2}\s?(?:자리|글자|개|digits)[^0-9]{0,12})?"
    r"(?P<back>[0-9](?:[- ]?[0-9]){2,9})(?![0-9])"
)
_SWAPPED: Final = re.compile(
    r"(?:뒤|뒷|(?i:last))[^0-9]{0,14}(?:[0-9]{1,2}\s?(?:자리|글자|개)[^0-9]{0,12})?"
    r"(?P<back>[0-9](?:[- ]?[0-9]){2,9})(?![0-9])"
    r"[^0-9]{1,40}?(?:앞|(?i:first))[^0-9]{0,14}(?:[0-9]{1,2}\s?(?:자리|글자|개)[^0-9]{0,12})?"
    r"(?P<front>[0-9](?:[- ]?[0-9]){2,9})(?![0-9])"
)
_NOT_DIGIT: Final = re.compile(r"[^0-9]+")


_NEIGHBOURS: Final = re.compile(
    r"(?<![0-9])(?P<front>[0-9]{6})(?:[^0-9]|(?<=[A-Za-z_])[0-9](?![0-9])|(?<=[\n ])[0-9](?=[.)] )){1,40}"
    r"(?P<back>[1-8][0-9]{6})(?![0-9])"
)
"""`901010 그리고 1234567`, `jumin1=901010&jumin2=1234567`, in a numbered list: six and seven digits, with a
label or, close together, a check digit."""
_CLOSE: Final = 14
_FRONT_TOLD: Final = re.compile(r"앞\s?(?:자리|부분|번호|쪽)\s?[은는이가:]?\s?$")


class Halves:
    """Numbers whose front and back are given apart, in either order. One span covers both."""

    name = "halves"
    gates = (
        r"뒷|뒤|나머지|끝\s?자리|마지막|(?i:last|second|rest|back)",
        r"주민\s?(?:등록\s?)?번|민번|외국인\s?등록|앞\s?(?:자리|부분|번호|쪽)|(?i:rrn|jumin|ssn)",
        r"[0-9]{6}\n ?[0-9][.)] [1-8][0-9]{6}",
        r"[0-9]{6}[^0-9\-][^0-9]{0,13}[1-8][0-9]{6}",
        r"[0-9]{6}-{6,20}[1-8][0-9]{6}",
    )

    def find(self, text: str) -> list[Span]:
        spans = []
        for pattern in (_HALVES, _SWAPPED):
            for match in limited(pattern.finditer(text), self.name):
                span = _joined_halves(text, match)
                if span is not None:
                    spans.append(span)
        for match in limited(_NEIGHBOURS.finditer(text), self.name):
            span = _joined_halves(text, match)
            if span is not None and span.type in {KR_RRN, KR_FRN} and _is_sure(text, match, span):
                spans.append(span)
        return spans


_JOINT: Final = re.compile(
    r"""-{6,20}|\s?[(\[]\s?[남여][자성]?\s?[)\]]\s?|\s{0,3}(?:[xX×*]|그리고|하고|이랑|다음(?:에|은)?|and|then|[에의와과])\s{0,3}"""
    r"""|["'`][;,)]?\s{0,4}(?:[A-Za-z_가-힣]\w{0,11}\s?[=:]{1,2}\s?)["'`]"""
    r"""|[;,)]?\s{1,4}(?i:\w{0,8}(?:back|second|last|rear|tail|rrn|jumin|[a-z_]2|(?<!\w)b)|뒤|뒷\w{0,3})\s?[=:]\s?"""
)
"""Between halves that somebody put apart: `901010 그리고 1234567`, `a = "901010"; b = "1234567"`."""


_UNIT: Final = re.compile(
    r"\s?(?:[kKMGT]?[Ww]h?|[kMGT]J|[kKMGT]B|kg|km|cal|kcal|ppm|t(?:on)?|[㎡㎥㎏㎞℃%]|m[23²³]"
    r"|[천백]?만?원|천?명|건|개|대|톤|매|부|권|회|점|주|평|㎾)(?![A-Za-z])"
)
"""Units that make a quantity of what stands before them."""


def _is_sure(text: str, match: re.Match[str], span: Span) -> bool:
    digits = match["front"] + match["back"]
    valid = checksums.frn_valid(digits) if span.type == KR_FRN else checksums.rrn_valid(digits)
    if label_of(text, span.start, span.end).kind in {"rrn", "frn"}:
        return True
    if _UNIT.match(text, match.end("front")) or _UNIT.match(text, match.end("back")):
        return False  # 860224 kWh, 가스 2345671 MJ: quantities, whatever their check digit says
    if valid and match.start("back") - match.end("front") <= _CLOSE:
        return True
    if not _EARLIEST_BIRTH <= checksums.birth_year(digits) <= _LATEST_BIRTH:
        return False
    told = _FRONT_TOLD.search(text, max(0, match.start() - _CLOSE), match.start())
    return told is not None or _JOINT.fullmatch(text, match.end("front"), match.start("back")) is not None


def _joined_halves(text: str, match: re.Match[str]) -> Span | None:
    digits = _NOT_DIGIT.sub("", match["front"]) + _NOT_DIGIT.sub("", match["back"])
    start = min(match.start("front"), match.start("back"))
    end = max(match.end("front"), match.end("back"))
    label = label_of(text, start, end).kind
    kind = _kind_of_halves(digits, label)
    return Span(start, end, kind, 0.85, "halves") if kind else None


def _kind_of_halves(digits: str, label: str) -> str:
    length = len(digits)
    if length == 8 and label == "passport":
        return KR_PASSPORT
    if length == 13 and checksums.is_birth_date(digits) and label != "corp":
        return KR_FRN if digits[6] in "5678" else KR_RRN
    if length == 13 and label == "corp":
        return KR_CORP_NO
    if 14 <= length <= 16 and (label == "card" or checksums.luhn_valid(digits)):
        return CREDIT_CARD
    if length == 10 and label == "brn":
        return KR_BRN
    if length == 12 and label == "licence":
        return KR_DRIVER_LICENSE
    return KR_BANK_ACCOUNT if label == "account" and 9 <= length <= 16 else ""


# --- the back half alone: "생년월일 1990년 10월 10일, 주민번호 뒷자리 1234567" -----------------------------

_BACK_HALF: Final = re.compile(
    r"(?:뒷|뒤에?|끝)\s?(?:번호|부분|자리|쪽|7|일곱|[은는이가에]|\s){0,4}[^0-9\n가-힣]{0,4}"
    r"(?:[은는이가에]\s?)?(?<![0-9-])(?P<back>[1-8][0-9]{6})(?![0-9]|-[0-9])"
)
_RESIDENT_NEAR: Final = re.compile(r"주민|외국인\s?등록|민번|민증|주번|RRN|resident")
_BORN_NEAR: Final = re.compile(
    r"(?:19|20)?[0-9]{2}년 ?[0-9]{1,2}월 ?[0-9]{1,2}일|(?:생년월일|생일|출생|태어난)[^0-9]{0,9}[0-9]"
)
"""86년 2월 24일생이고 뒷자리는 …: nothing else has a birthday in front and a back."""
_BIRTH_NEAR: Final = re.compile(
    r"(?:19|20)?[0-9]{2}\s?[-./년]\s?[0-9]{1,2}\s?[-./월]\s?[0-9]{1,2}|(?<![0-9])[0-9]{6}(?![0-9])"
)
_BACK_REACH: Final = 60


_BEHIND_BIRTHDAY: Final = re.compile(
    r"(?<![0-9])(?P<year>(?:19|20)?[0-9]{2})(?:년 ?|[-./] ?)(?P<month>[0-9]{1,2})(?:월 ?|[-./] ?)"
    r"(?P<day>[0-9]{1,2})(?:일|\.)? ?(?P<born>생|출생)?[ \-,/·:]{1,3}(?P<back>[1-8][0-9]{6})(?![0-9]|-[0-9])"
)
"""1986년 2월 24일생 2345671: nobody writes another number there. Else a label or the check digit counts."""


class BackHalves:
    """Seven digits called the back of a resident number; `partial` where no birth date stands near."""

    name = "back_halves"
    gates = (
        r"(?:뒷|뒤|끝)[^0-9\n]{0,16}7?[^0-9\n]{0,10}[1-8][0-9]{6}",
        r"일 ?(?:생|출생)?[ \-,/·:]{1,3}[1-8][0-9]{6}",
        r"[0-9][-./] ?[0-9]{1,2}[-./] ?[0-9]{1,2}\.? ?(?:생|출생)?[ \-,/·:]{1,3}[1-8][0-9]{6}",
    )

    def find(self, text: str) -> list[Span]:
        found = [_back_half(text, match) for match in limited(_BACK_HALF.finditer(text), self.name)]
        found += [
            _behind_birthday(text, match) for match in limited(_BEHIND_BIRTHDAY.finditer(text), self.name)
        ]
        return [span for span in found if span is not None]


def _behind_birthday(text: str, match: re.Match[str]) -> Span | None:
    back = match["back"]
    kind, rule = _resident_kind("000000" + back), "kr_rrn_back"
    if match["born"]:
        return Span(*match.span("back"), kind, 0.75, rule)
    century, year = match["year"][:-2], match["year"][-2:]
    digits = f"{year}{match['month']:>02}{match['day']:>02}{back}"
    if not checksums.is_birth_date(digits) or back[0] not in _CENTURY_OF_SEX.get(century, back[0]):
        return None
    valid = checksums.frn_valid(digits) if kind == KR_FRN else checksums.rrn_valid(digits)
    label = label_of(text, *match.span()).kind
    if label not in {"rrn", "frn"} and (not valid or label == HARMLESS or _UNIT.match(text, match.end())):
        return None
    return Span(*match.span(), kind, 0.75, rule)


def _back_half(text: str, match: re.Match[str]) -> Span | None:
    start, end = match.span("back")
    before = text[max(0, match.start() - _BACK_REACH) : start]
    called = _RESIDENT_NEAR.search(before + text[end : end + _RESIDENT])
    if called is None and not _BORN_NEAR.search(before):
        return None
    kind = KR_FRN if text[start] in "5678" else KR_RRN
    return Span(start, end, kind, 0.75, "kr_rrn_back", "" if _BIRTH_NEAR.search(before) else "partial")


_RESIDENT: Final = 13


# --- masked, cut or mistyped resident numbers ----------------------------------------------------------

_MASKS: Final = "*xX●○•#◯■□"
_PARTIAL: Final = re.compile(
    rf"(?<![0-9A-Za-z\-])[0-9]{{6}}\s?-\s?"
    rf"(?:[0-9][{_MASKS}]{{1,8}}+|[0-9]{{2,6}}[{_MASKS}]{{1,5}}+(?![0-9A-Za-z])"
    r"|[0-9]{1,5}(?P<sign>[^0-9A-Za-z가-힣\s])(?P=sign){1,6}+(?![0-9])"
    r"|[0-9](?![0-9A-Za-z\-])|[0-9]{5,8}(?![0-9]))"
)
"""The second line, any sign twice (900101-12????), and the third, which stops short, need a label."""


class PartialResidents:
    """YYMMDD-S******, YYMMDD-S2345** : birth date and sex, the rest already masked. Labelled `partial`."""

    name = "partial_residents"
    gates = (
        r"[0-9]{6} ?- ?[0-9](?:[^0-9]|$)",
        rf"[0-9]{{6}} ?- ?[0-9]{{2,6}}[{_MASKS}]",
        r"[0-9]{6} ?- ?[0-9]{2,5}[^0-9A-Za-z가-힣\s][^0-9A-Za-z가-힣\s]",
        r"[0-9]{6}(?: - ?|- )[0-9]{5}",
    )

    def find(self, text: str) -> list[Span]:
        return [
            span
            for match in limited(_PARTIAL.finditer(text), self.name)
            if (span := _partial(text, match)) is not None
        ]


def _partial(text: str, match: re.Match[str]) -> Span | None:
    digits = _NOT_DIGIT.sub("", match.group())
    if len(digits) == _RESIDENT or not checksums.is_birth_date(digits) or digits[6] in "09":
        return None
    masked = match.group()[-1] in _MASKS and match["sign"] is None
    label = label_of(text, *match.span())
    if not masked and not (label.direct and label.kind in {"rrn", "frn"}):
        return None
    return Span(*match.span(), _resident_kind(digits), 0.8, "kr_rrn_partial", "partial")


def miscounted(candidate: Candidate) -> Span | None:
    """Behind its label: 900101-123456, whose last digit can be computed, or one digit too many."""
    lengths, digits = candidate.lengths, candidate.digits
    halves = len(lengths) == 2 and lengths[0] == _FRONT and _SHORTEST_BACK <= lengths[1] <= _LONGEST_BACK
    if not halves and lengths not in {(12,), (14,)}:
        return None
    if len(digits) == _RESIDENT or not checksums.is_birth_date(digits) or digits[6] in "09":
        return None
    if halves and candidate.separators[0].strip() not in _BETWEEN_HALVES:
        return None
    return _span(candidate, _resident_kind(digits), 0.8, "kr_rrn_partial", "partial")


_FRONT, _SHORTEST_BACK, _LONGEST_BACK = 6, 5, 8
_BETWEEN_HALVES: Final = frozenset({"", "-", "--", "_", ".", "/", "·", "~", ":"})


def _resident_kind(digits: str) -> str:
    return KR_FRN if digits[6] in "5678" else KR_RRN


_BY_FORM: Final = {
    8: (phone,),
    9: (phone,),
    10: (business, old_licence, phone),
    11: (phone,),
    12: (licence, phone),
    13: (resident, corporate, card, phone),
    14: (card, phone),
    15: (resident_with_century, card),
    16: (card,),
    17: (card,),
    18: (card,),
    19: (card,),
}
"""Rules by the number of digits; what they need of labels they ask for themselves."""

_BY_LABEL: Final = {
    "licence": licence,
    "health": health_insurance,
    "account": account,
    "rrn": miscounted,
    "frn": miscounted,
}
"""Rules for numbers of any length that are nothing without their label."""
