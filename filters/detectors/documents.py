"""Identifiers that mix letters and digits: passports, customs codes, vehicle plates; and dates of birth."""

from __future__ import annotations

import re
from typing import Final

from filters import checksums
from filters.detector import limited
from filters.detectors.labels import HARMLESS, IDENTITY, label_of
from filters.spans import DATE_OF_BIRTH, KR_CUSTOMS_CODE, KR_PASSPORT, KR_VEHICLE, Span

_GAP: Final = r"[^0-9A-Za-z가-힣]{0,3}"
_PASSPORT: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?P<kind>[MSRGDOmsrgdo]){_GAP}"
    rf"(?P<number>[0-9](?:{_GAP}[0-9]){{2}}{_GAP}[0-9A-Za-z](?:{_GAP}[0-9]){{4}})(?![0-9A-Za-z]|-[0-9])"
)
_LABELLED_PASSPORT: Final = re.compile(
    r"(?:여권|[Pp]assport)[^0-9A-Za-z\n]{0,10}?(?:(?:[Nn]o|[Nn]umber|번호)[^0-9A-Za-z\n]{0,6})?"
    rf"(?P<number>[A-Za-z]{{1,2}}{_GAP}[0-9](?:{_GAP}[0-9A-Za-z]){{6,8}}"
    rf"|[0-9](?:{_GAP}[0-9A-Za-z]){{6,7}}[MSRGDO]|(?:엠|에스|알|지|디|오)\s?[0-9]{{8}})(?![0-9A-Za-z])"
)
_YEAR_FIRST: Final = re.compile(r"(?:19|20)[0-9]{6}|[0-9]{3}0{4,5}")


class Passports:
    """KR_PASSPORT: M12345678 and M123A4567 by form, all others behind their label."""

    name = "passports"
    gates = (
        rf"[MSRGDOmsrgdo]{_GAP}[0-9]{_GAP}[0-9]{_GAP}[0-9]{_GAP}[0-9A-Za-z]{_GAP}[0-9]",
        r"여권|[Pp]assport",
    )

    def find(self, text: str) -> list[Span]:
        spans = [
            span
            for match in limited(_PASSPORT.finditer(text), self.name)
            if (span := _passport(text, match)) is not None
        ]
        for match in limited(_LABELLED_PASSPORT.finditer(text), self.name):
            start, end = match.span("number")
            if sum(character.isdigit() for character in match["number"]) >= 6:
                spans.append(Span(start, end, KR_PASSPORT, 0.9, "kr_passport_label"))
        return spans


def _passport(text: str, match: re.Match[str]) -> Span | None:
    label = label_of(text, *match.span())
    if label.direct and label.kind == "passport":
        return Span(*match.span(), KR_PASSPORT, 0.98, "kr_passport")
    joined = re.sub(r"[^0-9A-Za-z]", "", match["number"])
    if match["kind"].islower() or len(match.group()) != 9 or (label.direct and label.kind == HARMLESS):
        return None
    if joined[3].isalpha():
        return Span(*match.span(), KR_PASSPORT, 0.85, "kr_passport")
    if _YEAR_FIRST.fullmatch(joined):
        return None  # D20240101: a document or order number that begins with its date
    identified = label.kind == IDENTITY or match["kind"] == "M"
    return Span(*match.span(), KR_PASSPORT, 0.65, "kr_passport") if identified else None


_CUSTOMS: Final = re.compile(rf"(?<![0-9A-Za-z])[Pp]{_GAP}(?:[0-9]{_GAP}){{11}}[0-9](?![0-9A-Za-z])")


class CustomsCodes:
    """개인통관고유부호: P and twelve digits."""

    name = "customs_codes"
    gates = (rf"[Pp]{_GAP}[0-9]{_GAP}[0-9]{_GAP}[0-9]{_GAP}[0-9]{_GAP}[0-9]",)

    def find(self, text: str) -> list[Span]:
        spans = []
        for match in limited(_CUSTOMS.finditer(text), self.name):
            label = label_of(text, *match.span())
            called = label.direct and label.kind == "customs"
            if called or (len(match.group()) == 13 and match.group()[0] == "P" and label.kind != HARMLESS):
                spans.append(
                    Span(*match.span(), KR_CUSTOMS_CODE, 0.97 if called else 0.85, "kr_customs_code")
                )
        return spans


_REGION: Final = r"(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주)"
_CLEAR: Final = "가나다라마거너더러머버어저모노누두루우바아자허배육공국합"
_UNCLEAR: Final = "서고도로보소오조구무부수주사하호"
"""These also end ordinary words (10조, 12로, 5부): they need the label or the glued form."""

_PLATE: Final = re.compile(
    rf"(?=[0-9서부대인광울세경강충전제])(?<![0-9가-힣A-Za-z])(?:(?P<region>{_REGION})\s?)?"
    rf"(?P<series>[0-9]{{2,3}})(?P<gap>[-\s]?)(?P<use>[{_CLEAR}{_UNCLEAR}])"
    r"(?P<space>[-\s]?)(?P<number>[0-9](?:[-\s.]?[0-9]){3})"
    r"(?P<unit>[0-9]|[-.,][0-9]|\s?(?:년|원|만|억|조|명|건|개|㎡|호|번지|점|%))?"
)
_PLATE_LABEL: Final = re.compile(
    r"차량|차\s?번호|자동차|번호판|주차|승용|승합|화물|택시|버스|운행|견인|과태료|차주|[Vv]ehicle|[Cc]ar"
)


class Vehicles:
    """KR_VEHICLE: 12가 3456, 123가4567, 서울12가3456."""

    name = "vehicles"
    gates = (rf"[0-9][-\s]?[{_CLEAR}{_UNCLEAR}][-\s]?[0-9]",)

    def find(self, text: str) -> list[Span]:
        return [
            span
            for match in limited(_PLATE.finditer(text), self.name)
            if (span := _plate(text, match)) is not None
        ]


def _plate(text: str, match: re.Match[str]) -> Span | None:
    around = text[max(0, match.start() - 25) : match.start()] + " " + text[match.end() : match.end() + 10]
    labelled = match["region"] is not None or _PLATE_LABEL.search(around) is not None
    if match["unit"] and (match["unit"][0] in "0123456789-.," or not labelled):
        return None
    loose = match["gap"] != "" or len(match["number"]) != 4
    if not labelled and (loose or (match["use"] in _UNCLEAR and match["space"])):
        return None
    return Span(match.start(), match.end("number"), KR_VEHICLE, 0.95 if labelled else 0.7, "kr_vehicle")


_DATE: Final = (
    r"(?P<year>(?:19|20)[0-9]{2}|['’‘]?[0-9]{2})\s?[-./년]\s?(?P<month>0?[1-9]|1[0-2])"
    r"\s?[-./월]\s?(?P<day>3[01]|[12][0-9]|0?[1-9])(?P<ending>\s?일)?"
    r"|(?P<plain>(?:19|20)?[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]))"
)
_BIRTH_LABEL: Final = (
    r"(?:생\s?년\s?월\s?일|출생\s?(?:일|연월일|년월일)|생일|출생|탄생일"
    r"|(?i:date\s?of\s?birth|birth\s?(?:date|day)|d\.?o\.?b\.?|born(?:\son)?))"
)
_BORN_ON: Final = re.compile(
    rf"(?=[생출탄dDbB]){_BIRTH_LABEL}"
    r"[^0-9\n가-힣]{0,6}(?:(?:은|는|이|가|이며|및|정보|양력|음력)[^0-9\n가-힣]{0,4}){0,2}\n?"
    rf"(?<![0-9])(?:{_DATE})(?![0-9]|-[0-9])"
)
_BORN_LATER: Final = re.compile(
    r"(?=[생dDbB])(?:생\s?년\s?월\s?일|(?i:date\s?of\s?birth|d\.?o\.?b\.?))[^0-9.생]{0,50}?"
    rf"(?<![0-9])(?:{_DATE})(?![0-9]|-[0-9])"
)
"""The heading of a column, or `성명(생년월일): 홍길동(1990.05.01.)`; for years of adults only."""
_BORN: Final = re.compile(
    r"(?<=[0-9일.)\s])(?:생(?![가-힣])|생(?:으로|인|이|입|임|의)|출생(?!률|아|신고|연도|율))"
)
_DATE_BEFORE: Final = re.compile(rf"(?<![0-9])(?:{_DATE})\s?\.?\)?\s?$")
_DATE_LENGTH: Final = 24


class BirthDates:
    """DATE_OF_BIRTH: a date that its label, or 생 behind it, says somebody was born on."""

    name = "birth_dates"
    gates = (r"생\s?년\s?월\s?일|생일|출생|탄생일|(?i:birth|d\.?o\.?b|born)", r"[0-9]\s?[일.]?\.?\)?\s?생")

    def find(self, text: str) -> list[Span]:
        spans = [_birthday(match, "birth_label") for match in limited(_BORN_ON.finditer(text), self.name)]
        spans += [
            _birthday(match, "birth_heading")
            for match in limited(_BORN_LATER.finditer(text), self.name)
            if _years_ago(match)
        ]
        for born in limited(_BORN.finditer(text), self.name):
            match = _DATE_BEFORE.search(text, max(0, born.start() - _DATE_LENGTH), born.start())
            if match is not None:
                spans.append(_birthday(match, "birth_suffix"))
        return [span for span in spans if span is not None]


def _years_ago(match: re.Match[str]) -> bool:
    written = match["plain"] or match["year"]
    return written.startswith("19") or len(written.lstrip("'’‘")) in {2, 6} or written[:4] <= _LATEST_ADULT


_LATEST_ADULT: Final = "2012"


def _birthday(match: re.Match[str], rule: str) -> Span | None:
    """The date of a match without the full stop that may end its sentence."""
    if not _is_birthday(match):
        return None
    if match["plain"]:
        return Span(*match.span("plain"), DATE_OF_BIRTH, 0.85, rule)
    return Span(
        match.start("year"), match.end("ending" if match["ending"] else "day"), DATE_OF_BIRTH, 0.85, rule
    )


def _is_birthday(match: re.Match[str]) -> bool:
    if match["plain"]:
        digits = match["plain"]
        year, month, day = int(digits[:-4]), int(digits[-4:-2]), int(digits[-2:])
    else:
        year, month, day = int(match["year"].lstrip("'’‘")), int(match["month"]), int(match["day"])
    return checksums.is_date(year if year >= 1900 else 2000, month, day) and (
        year < 100 or 1900 <= year <= 2030
    )
