"""PERSON in Latin letters: a title, a label or a greeting before it, or a given name that is one.

Capital letters alone say little in Latin script (New Deal, Machine Learning), so a name needs a reason:
context, a usual given name first, or the shape of a romanised Korean name (Park Ji-hoon, Gil-dong Hong).
Everything bounded; pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from filters.detector import limited
from filters.spans import PERSON, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER: Final = "names"
MAX_OF_A_KIND: Final = 3_000
_WORD = r"(?>[A-Z](?:['’][A-Z])?[a-z]{1,14}(?:[A-Z][a-z]{1,10})?(?:-[A-Za-z][a-z]{0,12})?)"
_NAME = rf"{_WORD}(?:[ ](?:[A-Z]\.|{_WORD})){{0,2}}"
_FULL_NAME = rf"{_WORD}(?:[ ](?:[A-Z]\.|{_WORD})){{1,2}}"
_CAPITALS = r"[A-Z]{2,15}(?:,?[ ][A-Z]{2,15}){1,3}(?![A-Za-z])"
IN_CONTEXT: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![A-Za-z])(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Sir|Madam|Ambassador)\.?[ ](?P<name>{_NAME})",
        rf"(?:Dear|Hi|Hello|Attn:?)[ ](?P<name>{_NAME})(?=[,:!\n])",
        rf"(?:[Mm]y name is|I am|I'm|[Tt]his is)[ ](?P<name>{_FULL_NAME})(?=[,. \n]|$)",
    )
)
BEFORE_CONTEXT: Final = re.compile(
    rf"(?<![A-Za-z])(?P<name>{_FULL_NAME})(?=[ ](?:requested|submitted|complained|called|emailed|wrote"
    r"|applied|signed|lives|was born)|'s[ ](?:passport|address|phone|email|record|application|resident)"
    r"|[ ]?(?:씨|님|교수|박사|대표|대사|선생|매니저|연구원|과장|부장|팀장|감독|의원|장관|총리)(?![가-힣]{3}))"
)
AFTER_SEPARATOR: Final = re.compile(rf"[:：=|\n][ ]{{0,3}}(?P<name>{_FULL_NAME}|{_CAPITALS})")
LABEL: Final = re.compile(
    r"(?:(?i:name|applicant|patient|contact|contact person|customer|employee|student|attendees?|holder|cc"
    r"|from|to|signed by|prepared by|author|guardian)|성명|이름|영문명|영문 ?성명|신청인|담당자|대표자|예금주"
    r"|보호자|고객명?|환자|연락처)(?:\([^()\n]{1,10}\))?[ ]{0,2}$"
)
"""What a form or a letter's head writes before a separator."""
CLOSING: Final = re.compile(r"(?i:sincerely|regards|thanks|respectfully|yours truly|cheers),?[ ]{0,3}\n?$")
"""What a letter ends with, on the line above its writer."""
LABEL_WINDOW: Final = 24
READING: Final = re.compile(rf"[ ]?\((?P<name>{_FULL_NAME}|{_CAPITALS})[,)]")
"""홍길동(Hong Gil-dong)"""
CAPITALISED: Final = re.compile(rf"(?<![A-Za-z.@/_\\-]){_WORD}(?:[ ](?:[A-Z]\.|{_WORD})){{1,5}}(?![@A-Za-z])")
LIKELY: Final = re.compile(r"[A-Z](?:[a-z]|[A-Z]{1,15} [A-Z]{2})")
NO_NAMES: Final = frozenset(
    """
    The This That New North South West East Korea Korean Seoul Busan United States Republic Google
    Microsoft Amazon Dear Team Sir Madam All Everyone Customer Support Service Services University
    Department Ministry Office Center Centre Bank Company Limited Senior Junior Manager Engineer
    Researcher Plan Project System Report Policy Data Open Cloud City Government Public Health National
    Social Security Human Resources Visual Studio Machine Learning Deep Power Point Best Kind Director
    General President Minister River Park Island Street Avenue Road Station Airport Museum Law Act Code
    Year Day Holiday Relations Union Nations World Bureau Division Section Committee Council Institute
    """.split()
)
PLACES_THAT_START_LIKE_NAMES: Final = frozenset({"Park", "Law", "Young", "Day", "Island", "River", "Street"})
GIVEN: Final = frozenset(
    """
    James Robert John Michael David William Richard Joseph Thomas Charles Christopher Daniel Matthew
    Anthony Mark Donald Steven Andrew Paul Joshua Kenneth Kevin Brian George Timothy Ronald Edward Jason
    Jeffrey Ryan Jacob Gary Nicholas Eric Jonathan Stephen Larry Justin Scott Brandon Benjamin Samuel
    Gregory Alexander Patrick Frank Raymond Jack Dennis Jerry Tyler Aaron Jose Adam Nathan Henry Zachary
    Douglas Peter Kyle Noah Ethan Jeremy Walter Christian Keith Roger Terry Austin Sean Gerald Carl Harold
    Dylan Arthur Lawrence Jordan Jesse Bryan Billy Bruce Gabriel Joe Logan Alan Juan Albert Willie Elijah
    Wayne Randy Vincent Mason Roy Ralph Bobby Russell Bradley Philip Eugene Liam Oliver Lucas Simon Martin
    Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Lisa Nancy Betty Sandra
    Margaret Ashley Kimberly Emily Donna Michelle Carol Amanda Melissa Deborah Stephanie Rebecca Sharon
    Laura Cynthia Dorothy Amy Kathleen Angela Shirley Emma Brenda Pamela Nicole Anna Samantha Katherine
    Christine Debra Rachel Carolyn Janet Maria Olivia Heather Helen Catherine Diane Julie Victoria Joyce
    Lauren Kelly Christina Ruth Joan Virginia Judith Evelyn Hannah Andrea Megan Cheryl Jacqueline Madison
    Teresa Abigail Sophia Martha Sara Gloria Janice Kathryn Ann Isabella Judy Charlotte Julia Grace Amber
    Alice Jean Denise Frances Danielle Marilyn Natalie Beverly Diana Brittany Theresa Kayla Alexis Doris
    Mohammed Muhammad Ahmed Ali Omar Hassan Fatima Aisha Ibrahim Yusuf Abdul Khalid Priya Raj Amit Anil
    Ravi Sanjay Sunil Deepak Carlos Luis Miguel Jorge Pedro Antonio Francisco Manuel Sofia Elena Ana Rosa
    Carmen Pablo Diego Fernando Marco Luca Giovanni Giulia Francesca Hans Klaus Jürgen Stefan Wolfgang
    Heidi Ingrid Anke Pierre Michel Philippe François Claire Camille Sophie Nicolas Ivan Dmitri Sergei
    Olga Natalia Tatiana Svetlana Vladimir Boris Igor Hiroshi Takashi Kenji Yuki Haruto Sakura Yuko Akira
    Kazuo Naoko Wei Ming Li Xiao Jing Hui Yan Anh Linh Minh Thanh Huong Nguyen Tran Pham
    """.split()
)
KOREAN_SURNAMES: Final = frozenset(
    """
    Kim Gim Lee Yi Rhee Park Pak Bak Choi Choe Jung Jeong Chung Kang Gang Cho Jo Yoon Yun Jang Chang Lim
    Im Rim Han Oh Seo Suh Shin Sin Kwon Gwon Hwang Ahn An Song Ryu Yoo Yu Hong Jeon Jun Ko Go Koh Moon Mun
    Son Sohn Yang Bae Baek Paik Heo Huh Hur Nam Sim Shim Noh Roh Ha Kwak Gwak Sung Seong Cha Joo Ju Woo Wu
    Koo Gu Ku Na Ra Min Jin Ji Eom Um Won Chae Cheon Bang Gong Hyun Ham Byun Yeom Yeo Do So Seok Sul Ma
    Namgung Hwangbo Sunwoo Jegal Dokgo
    """.split()
)
_SYLLABLE = (
    r"(?:[bcdghjkmnprstwy]|ch|kk|tt|pp|ss|jj|sh)?(?:ae|eo|eu|ee|oo|ya|ye|yo|yu|yeo|you|ou|wa|wo|we|wi|ui|a|e|i|o|u)"
    r"(?:ng|n|m|l|k|p|t|b|g|h)?"
)
KOREAN_GIVEN: Final = re.compile(rf"(?i:{_SYLLABLE}-{_SYLLABLE})|(?i:{_SYLLABLE}){{2}}")


def find(text: str) -> Iterator[Span]:
    """Latin names in `text`, in any order; they may overlap."""
    if not LIKELY.search(text):
        return
    for match in limited(CAPITALISED.finditer(text), OWNER):
        yield from _in_sequence(match.group(), match.start())
    for pattern in (*IN_CONTEXT, BEFORE_CONTEXT):
        for match in limited(pattern.finditer(text), OWNER, MAX_OF_A_KIND):
            if not _holds_no_name(match["name"]):
                yield Span(*match.span("name"), PERSON, 0.8, "person_latin")
    for match in limited(AFTER_SEPARATOR.finditer(text), OWNER, MAX_OF_A_KIND):
        if _is_announced(text, match.start()) and not _holds_no_name(match["name"]):
            yield Span(*match.span("name"), PERSON, 0.8, "person_latin")


def _holds_no_name(words: str) -> bool:
    return bool(NO_NAMES.intersection(words.split()) - PLACES_THAT_START_LIKE_NAMES)


def _is_announced(text: str, separator: int) -> bool:
    before = text[max(0, separator - LABEL_WINDOW) : separator]
    return (CLOSING if text[separator] == "\n" else LABEL).search(before) is not None


def _in_sequence(capitalised: str, start: int) -> Iterator[Span]:
    """The names within a row of capitalised words, such as `Please Sarah Johnson`."""
    words = capitalised.split(" ")
    index = 0
    while index + 1 < len(words):
        count = _name_at(words, index)
        if count:
            offset = start + sum(len(word) + 1 for word in words[:index])
            length = len(" ".join(words[index : index + count]))
            yield Span(offset, offset + length, PERSON, 0.8, "person_latin")
        index += count or 1


def _name_at(words: list[str], index: int) -> int:
    """How many words from `index` are a name; 0 if none is."""
    first, second = words[index], words[index + 1]
    if first in KOREAN_SURNAMES and second not in NO_NAMES and KOREAN_GIVEN.fullmatch(second):
        return 2
    if second in KOREAN_SURNAMES and "-" in first and KOREAN_GIVEN.fullmatch(first):
        return 2
    if first not in GIVEN or (second in NO_NAMES and second not in KOREAN_SURNAMES):
        return 0
    has_initial = second.endswith(".") and index + 2 < len(words)
    return 3 if has_initial else 0 if second.endswith(".") else 2
