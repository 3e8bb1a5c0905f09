"""Security markings: 대외비, 급 비밀, 비공개, 내부검토용, 결재 전, when they mark this text and are not talked about.

`대외비 문서의 관리 지침` talks about markings; `[대외비]`, `보안등급: 대외비` and `이 문서는 대외비입니다` are
markings. The label of a span is the marking in one spelling. Source of the grades: 보안업무규정 (대통령령)
제4조, 정보공개법 제9조.
"""

from __future__ import annotations

import re
from typing import Final

from filters.detector import limited
from filters.spans import SECURITY_MARKING, Span

_WORDS: Final = (
    r"(?P<secret>(?:제\s?)?(?:[ⅠⅡⅢ]|I{1,3}|[1-3]|일|이|삼)\s?급\s?비\s?밀|(?:군사|국가)\s?(?:[ⅠⅡⅢ]|I{1,3}|[1-3])\s?급\s?비밀|극비|(?i:top\s?secret))"
    r"|(?P<confidential>대\s?외\s?비(?:\s?\(?[对對]外秘\)?)?|對外秘|(?i:confidential))"
    r"|(?P<closed>(?:부분\s?)?비\s?공\s?개(?:\s?문서|\s?자료|\s?대상(?:\s?정보)?|\s?정보)?)"
    r"|(?P<internal>내부\s?(?:검토|보고|참고|회람|업무|열람)\s?용|내부\s?(?:검토|참고|보고|업무|회의)\s?자료|대내\s?한정|관계자\s?외\s?열람\s?금지|외부\s?유출\s?금지|무단\s?(?:유출|배포)\s?금지|(?i:internal\s(?:use\s)?only))"
    r"|(?P<draft>결재\s?전(?:\s?문서)?|미\s?결재|결재\s?진행\s?중|검토\s?중\s?문서|공표\s?전|발표\s?전\s?자료|엠바고|(?i:embargo(?:ed)?))"
)
_NAMES: Final = {
    "secret": "급비밀",
    "confidential": "대외비",
    "closed": "비공개",
    "internal": "내부검토용",
    "draft": "결재전",
}

_OPEN, _CLOSE = r"[\[(<【〔「『《〈{*#■□▣◆※★\"'“‘_|=\-]", r"[\])>】〕」』》〉}*#■□▣◆※★\"'”’_|=\-]"
_ENDING: Final = (
    r"(?:\s?(?:문서|자료|사항|정보|보고서|내용|건|문건|본))?\s?(?:입니다|임(?![가-힣])|이다|이므로|이니|이오니|인\s?(?:만큼|점)|이에요|예요|이며|이고|로서|로\s?(?:지정|분류|취급|관리|설정|처리)(?:됨|된|되어|되었|하|합|해|중|됩))"
)
_GRADE_LABEL: Final = (
    r"(?:보안\s?등급|비밀\s?등급|문서\s?등급|등급|보안|공개\s?(?:여부|구분|등급|범위)|열람\s?(?:범위|제한)|문서\s?구분|취급|구분|분류|(?i:classification|sensitivity))\s?(?:은|는)?\s?[:：=\]|)\-]\s?[\[(|\s]{0,3}(?:[■☑✔√▣●☒]\s?)?"
)
_SUBJECT: Final = r"(?:본|이|해당|위|아래|다음|첨부|붙임|동|상기|금번|이번|요|여기|현)\s?(?:[가-힣]{0,8}\s?){0,2}?(?:문서|자료|보고서|내용|문건|파일|안건|계획|회의록|초안|문안|메모|건|글|표|대책|검토서|정보|서류|공문|기안|보도자료|것)?(?:은|는|이|가|도|들은|에는)?\s{0,2}(?:아직|현재|모두|전부|원래|[가-힣]{1,6}의)?\s?"

_MARKED: Final = (
    re.compile(rf"(?m)(?:^|(?<=\n))[ \t]*(?:{_OPEN}\s?){{0,3}}(?:{_WORDS})(?:\s?\([^()\n]{{0,40}}\)|\s?[:,/·]\s?[^\n]{{0,20}})?(?:\s?{_CLOSE}){{0,3}}[ \t]*$"),
    re.compile(rf"[\[<【〔「『《〈{{(](?:\s?(?:보안|등급|주의|문서|구분)\s?[:：]?)?\s?(?:{_WORDS})(?:\s?[-,/·|:]\s?[^\[\]()<>\n]{{0,30}})?\s?[\]>】〕」』》〉}})]"),
    re.compile(rf"{_GRADE_LABEL}(?:{_WORDS})(?!\s?(?:아님|여부|기준|대상\s?아님|해당\s?없음))"),
    re.compile(rf"{_SUBJECT}(?:{_WORDS}){_ENDING}"),
    re.compile(rf"(?m)^\s{{0,4}}(?:{_WORDS})\s?[-–:|/]\s?\S"),
    re.compile(rf"(?:{_WORDS})(?:이니|이라|이므로|인데|라서|이라서|니까|이니까|입니다|임\)|니\s?외부)"),
)
_MENTION: Final = re.compile(r"\s{0,2}(?:규정|지침|기준|절차|제도|관리|여부|란|이란|의\s|에\s대한|해제|취급자|보호|세부|원칙|심의|대상\s?정보\s?(?:세부|기준)|회의)")
_BRACKETED: Final = 1


class Markings:
    """SECURITY_MARKING spans, labelled 급비밀, 대외비, 비공개, 내부검토용 or 결재전."""

    name = "markings"
    gates = (
        r"급\s?비\s?밀|극비|대\s?외\s?비|對外秘|비\s?공\s?개|결재|공표\s?전|발표\s?전|엠바고|검토\s?중\s?문서",
        r"내부\s?(?:검토|보고|참고|회람|업무|열람|회의)|대내\s?한정|열람\s?금지|유출\s?금지|배포\s?금지",
        r"(?i)confidential|top\s?secret|internal (?:use )?only|embargo",
    )

    def find(self, text: str) -> list[Span]:
        spans = []
        for index, pattern in enumerate(_MARKED):
            for match in limited(pattern.finditer(text), self.name):
                group = match.lastgroup or next(name for name in _NAMES if match[name])
                if index != _BRACKETED and _MENTION.match(text, match.end(group)):
                    continue
                score = 0.9 if index < len(_MARKED) - 1 else 0.75
                spans.append(Span(*match.span(group), SECURITY_MARKING, score, f"marking_{group}", _NAMES[group]))
        return spans
