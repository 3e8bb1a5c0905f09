"""PERSON where a form or a custom says so: no score, a plain rule each.

What stands after `성명:` is a name whether the lexicon knows it or not; `홍 길 동` is spread over a
form's boxes; `A씨` and `홍길동(洪吉童)` follow press custom.
Latin names live in latin_names.py. Everything bounded; pure.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from filters.detector import limited
from filters.detectors import latin_names
from filters.detectors.person_words import code_at, given_at
from filters.lexicon import COMPOUND_SURNAMES, SURNAMES, korean
from filters.spans import PERSON, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from filters.detectors.person_features import Runs

OWNER: Final = "names"
MAX_OF_A_KIND: Final = 3_000
_SURNAME = "[" + "".join(sorted(SURNAMES)) + "]"
_COMPOUND = "|".join(sorted(COMPOUND_SURNAMES))
_S = r"[ \t\u00a0]"
LABEL: Final = re.compile(
    r"(?:성\s{0,4}명|성\s{0,4}함|이\s{0,4}름|예\s?금\s?주|환자|고객|회원|학생|직원|사원|아동|세대주|학부모"
    r"|(?:신\s?청|신\s?고|진정|고소|피해|상속|임대|임차|매도|매수|수령|민\s?원|대리|보증|위임|수임)\s?인"
    r"|(?:대\s?표|담\s?당|보\s?호|작\s?성|책임|소유|신청|수급|대상|참석|발표|계약|가입)\s?자"
    r"|(?:관리|배우|지원|제안|기안|검토|결재)\s?자|작성|기안|검토|결재|담당|수신|발신|대표|강사)"
    r"\s?(?:성?명|성함|이름)?(?:\([^()\n]{1,10}\))?[ \t\u00a0]{0,3}$"
)
"""What a form writes before a name; looked for to the left of a separator."""
LABEL_WINDOW: Final = 24
ANNOUNCED: Final = re.compile(
    rf"[:：\]|│]{_S}{{0,4}}(?P<name>(?:{_COMPOUND})[가-힣]{{1,2}}|{_SURNAME}[가-힣]{{1,2}})"
    rf"(?=님?(?:[^가-힣]|$)|씨|입니다|이며|이고)"
)
"""What may be a name behind a separator; whether a label stands before it is asked then."""
CALLED: Final = re.compile(
    rf"(?:이름|성명|성함)[은이]?[ ](?P<name>{_SURNAME}[가-힣]{{1,2}})"
    rf"(?=입니다|이고|이며|이에요|예요|이라고|라고|인데|이야|임[ .\n])"
)
SIGNED: Final = re.compile(
    rf"(?<![가-힣])(?P<name>(?:{_COMPOUND}|{_SURNAME})[가-힣]{{2}})"
    r"(?=[ ](?:드림|배상|올림)[ .]{0,2}(?:\n|$))"
)
"""구본하 드림, at the end of a line."""
HELD_BY: Final = re.compile(rf"[은는][ ](?P<name>{_SURNAME}[가-힣]{{2}})(?=입니다|이며|이고|님)")
"""요양보호사는 진미화입니다; whether a title stands before it is asked then."""
LIST_GAP: Final = r"(?:,[ ]|[ ]?[·ㆍ‧][ ]?|、|,)"
LISTED: Final = re.compile(
    rf"{LIST_GAP}(?P<name>{_SURNAME}[가-힣]{{2}})(?=[^가-힣]|[은는이가을를의과와도]?[^가-힣]|$)"
)
"""What goes on with a list of names."""
_LIST_GAP: Final = re.compile(LIST_GAP)
LONGEST_GAP: Final = 4
LONGEST_TITLE: Final = 5
SPREAD: Final = re.compile(rf"{_SURNAME}(?P<gap>{_S}{{1,4}})[가-힣](?P=gap)[가-힣](?![가-힣])")
INITIAL: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Z](?=\s?(?:\([^()\n]{1,12}\)\s?)?(?:씨|군"
    r"|양)(?:[은는이가을를의와과도만\s,.·)(]|에게|에\s|측|께|라|로|$))"
)
SURNAME_ONLY: Final = re.compile(
    rf"(?<![가-힣]){_SURNAME}(?=모(?:\s?\(\s?만?\s?\d{{1,2}}|\s?(?:씨|군|양)(?![가-힣]{{3}})"
    r"|\s(?:[이일상병]병|병장|하사|중사|상사|[소중대]위|[소중대]령"
    r"|교사|교수|과장|계장|경[장사위감정])(?![가-힣]{3})))"
)
"""김모(33)씨, 윤모 일병: what is left of a name in a press release."""
WITH_SSI: Final = re.compile(
    r"(?<![가-힣])(?P<name>[가-힣]{2,4}?)(?P<gap> ?)씨"
    r"(?=[은는이가을를의와과도께만,.() ]|에게|에\s|측|한테|입니|라고|$)"
)
"""예지 씨는, 재국씨가: whatever stands before 씨 is somebody, unless it is half of 아저씨."""
HANJA: Final = re.compile(r"\(([\u4e00-\u9fff]{2,4})(?=[)\s,·-])")

VIETNAMESE_SURNAMES: Final = frozenset("응우옌 응웬 쩐 팜 호앙 후인 부이 쯔엉 즈엉 딘 응오".split())
VIETNAMESE: Final = re.compile(
    r"(?P<surname>[응쩐팜호후부쯔즈딘](?:우옌|[웬앙인이엉오])?)[ ]"
    r"(?:티|반|꽝|득|응옥|쑤언|티엔|탄|투|홍|민|밍|바오|낌|타인|안)[ ][가-힣]{1,3}?"
    r"(?:[ ](?!씨|님)[가-힣]{1,3}?)?"
    r"(?=(?:은|는|이|가|을|를|의|와|과|도|에게|께서|입니다|님|씨)?(?:[^가-힣]|$))"
)
"""성 + 중간 이름 + 이름, as a Vietnamese name is written in Hangul."""


SPREADS: Final = 1
ANNOUNCES: Final = 2
HOLDS: Final = 4
SIGNS: Final = 8
VIETNAMS: Final = 16
"""What runs hint at: to look at each run once takes a third of the time of searching for every rule."""
_SEPARATORS: Final = frozenset(":：]|│")
_HINTS_OF: Final = dict.fromkeys(VIETNAMESE_SURNAMES, VIETNAMS) | dict.fromkeys(
    ("드림", "배상", "올림"), SIGNS
)
_LONGEST_HOLDER: Final = 4


def hints_of(runs: Runs) -> int:
    """Which rules may find something; what is not hinted at is not there."""
    hints, lone = 0, False
    for gap, word in zip(runs.gaps, runs.words, strict=False):
        if gap != " " and gap.rstrip(" \t\u00a0")[-1:] in _SEPARATORS:
            hints |= ANNOUNCES
        length = len(word)
        if length == 1:
            if lone:
                hints |= SPREADS
            lone = True
        else:
            lone = False
            if length >= _LONGEST_HOLDER and word[3] in "입이님":
                hints |= HOLDS
        if word in _HINTS_OF:
            hints |= _HINTS_OF[word]
    return hints


def find(text: str, runs: Runs, found: Sequence[Span]) -> Iterator[Span]:
    """Names by rule in a text and its runs.

    `found` are those already known in order, which a list or a Hanja reading may follow.
    """
    if runs.words:
        yield from _korean(text, hints_of(runs))
        yield from _listed(text, found)
        if "(" in text:
            for span in found:
                if hanja := HANJA.match(text, span.end):
                    yield Span(*hanja.span(1), PERSON, 0.9, "person_hanja")
                if latin := latin_names.READING.match(text, span.end):
                    yield Span(*latin.span("name"), PERSON, 0.9, "person_latin")
    yield from latin_names.find(text)


def _korean(text: str, hints: int) -> Iterator[Span]:
    if hints & (ANNOUNCES | HOLDS | SIGNS):
        yield from _announced(text, hints)
    if hints & SPREADS:
        for match in limited(SPREAD.finditer(text), OWNER, MAX_OF_A_KIND):
            if _follows_label(text, _end_before_gap(text, match.start())):
                yield Span(*match.span(), PERSON, 0.9, "person_spread")
    if hints & VIETNAMS:
        yield from _vietnamese(text)
    yield from _called(text)


def _called(text: str) -> Iterator[Span]:
    """이름은 홍길동입니다, 예지 씨는, A씨, 김모(33)씨."""
    if "이름" in text or "성명" in text or "성함" in text:
        for match in limited(CALLED.finditer(text), OWNER):
            yield Span(*match.span("name"), PERSON, 0.85, "person_label")
    if "씨" in text:
        for match in limited(WITH_SSI.finditer(text), OWNER):
            if _is_somebody(match["name"], glued=not match["gap"]):
                yield Span(*match.span("name"), PERSON, 0.75, "person_honorific")
    if "씨" in text or "군" in text or "양" in text:
        yield from _half_named(text)


def _listed(text: str, found: Sequence[Span]) -> Iterator[Span]:
    """기현우·나혜림·노상구: two names side by side make a list, and the next of their shape is one, too."""
    for before, span in pairwise(found):
        if span.start - before.end < LONGEST_GAP and _LIST_GAP.fullmatch(text, before.end, span.start):
            match = LISTED.match(text, span.end)
            if match and match["name"] not in korean.NOT_A_NAME and _code(match["name"]) < COMMON:
                yield Span(*match.span("name"), PERSON, 0.7, "person_list")


def _vietnamese(text: str) -> Iterator[Span]:
    for match in limited(VIETNAMESE.finditer(text), OWNER):
        inside_a_word = _is_hangul(text[match.start() - 1 : match.start()])
        if match["surname"] in VIETNAMESE_SURNAMES and not inside_a_word:
            yield Span(*match.span(), PERSON, 0.85, "person_foreign")


def _is_hangul(character: str) -> bool:
    return "가" <= character <= "힣"


def _announced(text: str, hints: int) -> Iterator[Span]:
    """성명: 홍길동, 구본하 드림, 요양보호사는 진미화입니다."""
    if hints & ANNOUNCES:
        for match in limited(ANNOUNCED.finditer(text), OWNER):
            if _is_no_form_word(match["name"]) and _follows_label(text, match.start()):
                yield Span(*match.span("name"), PERSON, 0.9, "person_label")
    if hints & SIGNS:
        for match in limited(SIGNED.finditer(text), OWNER):
            if _is_no_form_word(match["name"]) and match["name"][-1] not in "을를은는":
                yield Span(*match.span("name"), PERSON, 0.85, "person_signed")
    if hints & HOLDS:
        for match in limited(HELD_BY.finditer(text), OWNER):
            title = text[max(0, match.start() - LONGEST_TITLE) : match.start()]
            if (
                given_at(match["name"], 1, 3) >= 0
                and _is_no_form_word(match["name"])
                and _ends_in_title(title)
            ):
                yield Span(*match.span("name"), PERSON, 0.8, "person_title")


def _ends_in_title(word: str) -> bool:
    return any(word[-length:] in TITLES for length in range(2, len(word) + 1))


def _half_named(text: str) -> Iterator[Span]:
    """A씨, 김모(33)씨."""
    for match in limited(SURNAME_ONLY.finditer(text), OWNER):
        yield Span(*match.span(), PERSON, 0.8, "person_surname")
    for match in limited(INITIAL.finditer(text), OWNER):
        yield Span(*match.span(), PERSON, 0.6, "person_initial")


def _end_before_gap(text: str, start: int) -> int:
    before = text[max(0, start - 8) : start]
    return start - len(before) + len(before.rstrip(" \t\u00a0:：|│"))


def _follows_label(text: str, end: int) -> bool:
    return LABEL.search(text[max(0, end - LABEL_WINDOW) : end]) is not None


def _is_somebody(name: str, *, glued: bool) -> bool:
    if name in TITLES or name[-1] == "모":
        return False
    return not glued or (_code(name + "씨") < COMMON and not COMMON <= _code(name) < 4000)


def _code(word: str) -> int:
    return code_at(word, 0, len(word))


COMMON: Final = 1000
"""The class of a word that texts use (`lexicon.words`), from here on."""


def _is_no_form_word(name: str) -> bool:
    """사장님, 고객님, 이사님 are no names, nor is a word that every form uses."""
    code = _code(name)
    title = name in korean.NOT_A_NAME or name in TITLES or name[1:] in TITLES
    return not title and not (COMMON <= code < 3000) and not (code // 10 % 10 and not code % 10)


TITLES: Final = frozenset((*korean.TITLES, *korean.LABELS, *korean.RELATIONS))
