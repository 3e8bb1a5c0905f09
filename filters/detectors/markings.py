"""Security markings: 급 비밀, 대외비, 비공개, 내부검토용, 결재 전, when they mark this very text.

`대외비 문서의 관리 지침` talks about markings; `[대외비]`, `보안등급: 대외비` and `이 문서는 대외비입니다`
are markings. Every word is judged by what stands around it on its own line. The label of a span is the
marking in one spelling. Source of the grades: 보안업무규정 (대통령령) 제4조, 정보공개법 제9조.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from filters.detector import limited
from filters.spans import SECURITY_MARKING, Span

_GRADE: Final = r"(?:[ⅠⅡⅢ]|I{1,3}|[1-3]|일|이|삼)\s?급\s?비\s?밀"
_WORD: Final = re.compile(
    r"(?=[제ⅠⅡⅢI123일이삼군국극비SsTt대對对Cc부내관외무결미검공발엠Ee])(?:"
    rf"(?P<secret>(?:제\s?)?{_GRADE}|군사\s?비밀|국가\s?비밀|극비|(?i:top\s?secret))"
    r"|(?P<bare>(?<![가-힣])비\s?밀(?![가-힣])|(?<![A-Z])SECRET(?![A-Z]))"
    r"|(?P<confidential>대\s?외\s?비(?:\s?\(?[對对]外秘\)?)?|[對对]外秘|(?i:confidential))"
    r"|(?P<closed>(?:부분\s?)?비\s?공\s?개(?:\s?(?:문서|자료|대상\s?정보|대상|정보)(?![가-힣]{2}))?)"
    r"|(?P<internal>내부\s?(?:검토|보고|참고|회람|업무|열람)\s?용|내부\s?(?:검토|참고|보고|업무|회의)\s?자료"
    r"|대내\s?한정|대외\s?주의|관계자\s?외\s?열람\s?금지|(?:외부|대외)\s?(?:유출|공개|반출|배포)\s?금지"
    r"|무단\s?(?:유출|배포)\s?금지|(?i:internal\s(?:use\s)?only))"
    r"|(?P<draft>결재\s?전(?:\s?문서)?|미\s?결재|결재\s?진행\s?중|검토\s?중\s?문서"
    r"|공표\s?전(?:\s?자료)?|발표\s?전\s?자료|엠바고|(?i:embargo(?:ed)?)))"
)
"""The look-ahead names every first character, so that a scan passes over the others at once."""
_NAMES: Final = {
    "secret": "급비밀",
    "bare": "급비밀",
    "confidential": "대외비",
    "closed": "비공개",
    "internal": "내부검토용",
    "draft": "결재전",
}
_REACH: Final = 60

_OPEN: Final = r"[\[(<【〔「『《〈{*#■□▣◆※★○●\"'“‘_|=~\-]"
_CLOSE: Final = r"[\])>】〕」』》〉}*#■□▣◆※★○●\"'”’_|=~\-]"
_LINE_START: Final = re.compile(rf"\s*(?:{_OPEN}\s?){{0,6}}(?:\s?(?:보안|등급|주의|문서|구분)\s?[:：]?\s?)?")
_LINE_END: Final = re.compile(
    rf"(?:\s?\([^()\n]{{0,40}}\)|\s?[:,/·]\s?[^\n]{{0,20}})?(?:\s?{_CLOSE}){{0,6}}\s*"
)
_BRACKET_BEFORE: Final = re.compile(r"[\[<【〔「『《〈{](?:\s?(?:보안|등급|주의|문서|구분)\s?[:：]?)?\s?$")
_BRACKET_BEHIND: Final = re.compile(r"\s?(?:[-,/·|:]\s?[^\[\]()<>\n]{0,30})?\s?[\]>】〕」』》〉}]")
_ROUND_BEFORE: Final = re.compile(r"\(\s?$")
_ROUND_BEHIND: Final = re.compile(r"\s?(?:[-,/·]\s?[^()\n]{0,30})?\)\s*$")
_GRADE_BEFORE: Final = re.compile(
    r"(?:보안\s?등급|비밀\s?등급|문서\s?등급|등급|보안|공개\s?(?:여부|구분|등급|범위)|열람\s?(?:범위|제한)"
    r"|문서\s?구분|취급|구분|분류|(?i:classification|sensitivity))\s?(?:은|는)?\s?[:：=\]|)\-]\s?[\[(|\s]{0,3}(?:[■☑✔√▣●☒]\s?)?$"
)
_NOT_GRADED: Final = re.compile(
    r"\s?(?:아님|여부|기준|대상\s?아님|해당\s?없음|[,/·]\s?(?:공개|비공개|대외비))"
)
_SUBJECT: Final = re.compile(
    r"(?:본|이|해당|위|아래|다음|첨부|붙임|동|상기|금번|이번|요|현|지금)\s?(?:[가-힣]{0,8}\s?){0,2}"
    r"(?:은|는|이|가|도|들은|에는)?\s{0,2}(?:아직|현재|모두|전부|원래|[가-힣]{1,6}의)?\s?$"
)
_STATED: Final = re.compile(
    r"(?:\s?(?:문서|자료|사항|정보|보고서|내용|건|문건|본))?\s?(?:입니다|임(?![가-힣])|이다|이므로|이니|이오니"
    r"|인\s?(?:만큼|점|초안|문서|자료|계획|안)|이에요|예요|이며|이고|로서"
    r"|로\s?(?:지정|분류|취급|관리|설정|처리)(?:됨|된|되어|되었|하|합|해|중|됩))"
)
_WARNED: Final = re.compile(r"(?:이니|이라\s|이라서|이므로|인데|라서|니까|이니까|입니다|이에요|예요|임\))")
_TITLED: Final = re.compile(r"\s?[-–:|/]\s?\S")
_MENTION: Final = re.compile(
    r"\s{0,2}(?:(?:문서|자료|정보)\s?)?(?:(?:의\s?)?(?:규정|지침|기준|절차|제도|관리|여부|차이|취급|보호|세부"
    r"|원칙|해제|정의|의미|뜻)|란|이란|의\s|에\s대한|와\s|과\s|회의|대상\s?정보)"
)


class Markings:
    """SECURITY_MARKING spans, labelled 급비밀, 대외비, 비공개, 내부검토용 or 결재전."""

    name = "markings"
    gates = (
        r"비\s?밀|SECRET|극비|대\s?외\s?비|[對对]外秘|비\s?공\s?개|결재|공표\s?전|발표\s?전|엠바고|검토\s?중\s?문서",
        r"내부\s?(?:검토|보고|참고|회람|업무|열람|회의)|대내\s?한정|대외\s?주의|(?:열람|유출|배포|공개|반출)\s?금지",
        r"(?i:confidential|top\s?secret|internal (?:use )?only|embargo)",
    )

    def find(self, text: str) -> list[Span]:
        spans = []
        for match in limited(_WORD.finditer(text), self.name):
            group = match.lastgroup or ""
            score = _score(_surroundings(text, match), group)
            if score:
                spans.append(Span(*match.span(), SECURITY_MARKING, score, f"marking_{group}", _NAMES[group]))
        return spans


class _Surroundings(NamedTuple):
    """What stands before and behind a word on its line; a longer line is cut at both ends."""

    before: str
    behind: str


def _surroundings(text: str, match: re.Match[str]) -> _Surroundings:
    before = text[max(0, match.start() - _REACH) : match.start()]
    behind = text[match.end() : match.end() + _REACH]
    return _Surroundings(before.rpartition("\n")[2], behind.partition("\n")[0])


def _score(line: _Surroundings, group: str) -> float:
    """How surely a word marks the text; 0 when it is only talked about."""
    if _LINE_START.fullmatch(line.before) and _LINE_END.fullmatch(line.behind):
        return 0.9
    if _BRACKET_BEFORE.search(line.before) and _BRACKET_BEHIND.match(line.behind):
        return 0.9
    if _GRADE_BEFORE.search(line.before) and not _NOT_GRADED.match(line.behind):
        return 0.9
    if group == "bare" or _MENTION.match(line.behind):
        return 0.0
    if _ROUND_BEFORE.search(line.before) and _ROUND_BEHIND.match(line.behind):
        return 0.85
    if _STATED.match(line.behind) and _SUBJECT.search(line.before):
        return 0.9
    if not line.before.strip() and _TITLED.match(line.behind):
        return 0.85
    stated = group in {"secret", "confidential", "internal"} and _WARNED.match(line.behind)
    return 0.75 if stated else 0.0
