"""Other readings of a text, made only when its folded form hints at them.

Folding keeps every character that means something. A view goes further and reads Hangul, Hanja or
English numerals as digits, look-alike letters inside a number as digits, base64 and hex as the text
they hold, and rows announced as reversed backwards. Detectors run over a view as over the text, and
only findings that touch what the view changed count. Each is bounded by the text's own length.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.detector import limited
from filters.fold import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from filters.fold import Edit, Folded


class View(NamedTuple):
    """A reading: RE2 patterns of which one must occur, and the edits that make it."""

    name: str
    gates: tuple[str, ...]
    edits: Callable[[str], Iterator[Edit]]


_AROUND: Final = 64
"""Characters on both sides of a change that are read with it: a label and the rest of the number."""


class Reading(NamedTuple):
    """One view of one text. `changed` are the sorted, disjoint ranges of the view that differ."""

    folded: Folded
    changed: list[tuple[int, int]]

    def stretches(self) -> list[tuple[int, int]]:
        """The ranges of the view worth reading: every change with its surroundings, merged."""
        merged: list[tuple[int, int]] = []
        for start, end in self.changed:
            first, last = max(0, start - _AROUND), min(len(self.folded.text), end + _AROUND)
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
        return merged

    def changes_from(self, offset: int) -> Callable[[int, int], bool]:
        """Asks whether the view reads any of `[start, end)` differently, counted from `offset`."""

        def changes(start: int, end: int) -> bool:
            index = bisect_right(self.changed, (end + offset,))
            return index > 0 and self.changed[index - 1][1] > start + offset

        return changes


def read(view: View, folded: Folded) -> Reading | None:
    """The reading of a folded text, or None when the view changes nothing in it."""
    edits = list(limited(view.edits(folded.text), view.name))
    if not edits:
        return None
    changed = []
    shift = 0
    for start, end, new in edits:
        changed.append((start + shift, start + shift + len(new)))
        shift += len(new) - (end - start)
    return Reading(folded.rewritten(edits), changed)


# --- numerals ----------------------------------------------------------------------------------------

_SIGNS: Final = {
    **dict.fromkeys("영공령빵〇零○", "0"),
    **dict(zip("일이삼사오육칠팔구", "123456789", strict=True)),
    **dict(zip("一二三四五六七八九", "123456789", strict=True)),
    **dict(zip("壹貳參肆伍陸柒捌玖", "123456789", strict=True)),
    **dict(zip("贰叁陆", "236", strict=True)),
    **dict(zip("㊀㊁㊂㊃㊄㊅㊆㊇㊈", "123456789", strict=True)),
    **dict(zip("㈠㈡㈢㈣㈤㈥㈦㈧㈨", "123456789", strict=True)),
    **dict(zip("〡〢〣〤〥〦〧〨〩", "123456789", strict=True)),
    **dict(zip("ⅠⅡⅢⅣⅤⅥⅦⅧⅨ", "123456789", strict=True)),
    **dict(zip("ⅰⅱⅲⅳⅴⅵⅶⅷⅸ", "123456789", strict=True)),
    "륙": "6",
    "壱": "1",
    "弐": "2",
    "参": "3",
}
_NATIVE: Final = {
    "하나": "1",
    "둘": "2",
    "셋": "3",
    "넷": "4",
    "다섯": "5",
    "여섯": "6",
    "일곱": "7",
    "여덟": "8",
    "여덜": "8",
    "아홉": "9",
    "제로": "0",
    "동그라미": "0",
}
_ENGLISH: Final = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
_ROMANISED: Final = {
    "gong": "0", "yeong": "0", "young": "0", "il": "1", "ee": "2", "yi": "2", "i": "2", "sam": "3", "sa": "4",
    "o": "5", "yuk": "6", "ryuk": "6", "chil": "7", "pal": "8", "gu": "9", "goo": "9",
}  # fmt: skip
"""팔육공이이사, as somebody types it without a Korean keyboard."""
_SAID: Final = _ENGLISH | _ROMANISED
_SIGN: Final = "[" + "".join(_SIGNS) + "]"
_KOREAN: Final = f"(?:{'|'.join(_NATIVE)}|{_SIGN})"
_DASH_WORDS: Final = "다시|대시|대쉬|하이픈|하이푼|빼기|더하기|짝대기|작대기|막대기|이어서|dash|hyphen|minus"
_JOIN: Final = rf"(?:[\s\-.,·/~_|()…]{{1,3}}|\s?(?:{_DASH_WORDS}|그리고|바|에|의|の|점)\s?)"
_SPOKEN_DASH: Final = re.compile(_DASH_WORDS)
_SPOKEN: Final = re.compile(f"(?:{_KOREAN}|[0-9])(?:{_JOIN}?(?:{_KOREAN}|[0-9]))" + "{6,}+")
_SPOKEN_PART: Final = re.compile(
    f"(?P<numeral>{'|'.join(_NATIVE)}|{_SIGN})|[0-9]|(?P<join>{_DASH_WORDS}|그리고|[^0-9])"
)
_WORD: Final = f"(?:{'|'.join(sorted(_SAID, key=len, reverse=True))})"
_SPELLED: Final = re.compile(
    rf"(?i)\b{_WORD}(?:[\s\-.,/]{{1,3}}(?:(?:dash|hyphen|minus|point)[\s,]{{1,2}})?{_WORD}){{6,}}+\b"
)
_SPELLED_PART: Final = re.compile(
    rf"(?i)(?P<numeral>{_WORD})|(?P<join>[^a-z]*(?:dash|hyphen|minus|point)[^a-z]*)|(?P<gap>[^a-z]+)"
)


def _spoken(text: str) -> Iterator[Edit]:
    for match in _SPOKEN.finditer(text):
        beginning = islice(_SPOKEN_PART.finditer(match.group()), 40)
        numerals = sum(part.lastgroup == "numeral" for part in beginning)
        if numerals >= 3 or _SPOKEN_DASH.search(match.group()):
            yield from _digits_of(match)


_RESIDENT: Final = 13


def _digits_of(match: re.Match[str]) -> Iterator[Edit]:
    """Numerals become digits; words between them become a hyphen, marks and blanks stay.

    Blanks go where there are as many numerals as a resident number has: people pause where they like.
    """
    offset = match.start()
    paused = sum(part.lastgroup != "join" for part in _SPOKEN_PART.finditer(match.group())) == _RESIDENT
    end = match.end() - 1 if _COPULA.match(match.string, match.end() - 1) else match.end()
    for part in _SPOKEN_PART.finditer(match.string, offset, end):
        written = part.group()
        if part.lastgroup == "numeral":
            yield part.start(), part.end(), _NATIVE.get(written) or _SIGNS[written]
        elif part.lastgroup == "join" and written.isalpha():
            yield part.start(), part.end(), "-"
        elif paused and written == " ":
            yield part.start(), part.end(), ""


_COPULA: Final = re.compile("이[에고야며라지었다랍니래인]")
"""…오육칠이에요: the last 이 is no two."""


def _spelled(text: str) -> Iterator[Edit]:
    for match in _SPELLED.finditer(text):
        offset = match.start()
        for part in _SPELLED_PART.finditer(match.group()):
            new = _SAID[part.group().lower()] if part.lastgroup == "numeral" else ""
            new = "-" if part.lastgroup == "join" else new
            yield offset + part.start(), offset + part.end(), new


# --- look-alike letters ------------------------------------------------------------------------------

_LETTERS: Final = {
    **dict.fromkeys("OoQDㅇ○◯◦º°øØㅁ", "0"),
    **dict.fromkeys("Il|i!Lㅣ", "1"),
    **dict.fromkeys("Zz", "2"),
    **dict.fromkeys("Ss", "5"),
    **dict.fromkeys("bG", "6"),
    **dict.fromkeys("T", "7"),
    **dict.fromkeys("B", "8"),
    **dict.fromkeys("gq", "9"),
}
_LETTER: Final = "".join(_LETTERS)
_MIXED: Final = re.compile(
    rf"(?<![a-z])(?<![A-Za-z][A-Z])[0-9{_LETTER}](?:[-.\s/]{{0,2}}[0-9{_LETTER}]){{7,18}}+(?![A-Za-z])"
)


def _lookalikes(text: str) -> Iterator[Edit]:
    """Letters in a row of eight and more that holds enough digits to be a number."""
    for match in _MIXED.finditer(text):
        row = match.group()
        digits = sum(character.isdigit() for character in row)
        letters = sum(character in _LETTERS for character in row)
        if letters and 2 * digits >= letters and digits >= 4:
            offset = match.start()
            yield from (
                (offset + index, offset + index + 1, _LETTERS[character])
                for index, character in enumerate(row)
                if character in _LETTERS and not (character in "|!" and _stands_apart(text, offset + index))
            )


def _stands_apart(text: str, index: int) -> bool:
    """A bar between blanks is the border of a table cell."""
    return text[index - 1 : index].strip() == "" or text[index + 1 : index + 2].strip() == ""


# --- encodings ---------------------------------------------------------------------------------------

_BASE64: Final = re.compile(
    r"(?<![A-Za-z0-9+/_\-])(?:[A-Za-z0-9+/_\-]{12,}+={0,6}"
    r"|(?=[A-Za-z0-9+/_\-][a-z0-9+/_\-]{0,9}[A-Z])[A-Za-z0-9+/_\-]{8,11}+(?=(?: |\r?\n)[A-Za-z0-9+/_\-]))"
)
"""A short row counts only with what follows it, and with a capital that is not its first letter."""

_BASE32: Final = re.compile(r"[A-Za-z2-7]{14,}={0,6}")
_SMALL_BASE32: Final = re.compile(r"(?<![A-Za-z0-9])[a-z2-7]{14,}+={0,6}(?![A-Za-z0-9])")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:(?:0x)?[0-9a-fA-F]{2}[\s:,\-]{0,2}){9,}+(?![0-9A-Za-z])")
_CODE: Final = "(?:3[2-9]|[4-9][0-9]|1[01][0-9])"
_BETWEEN_CODES: Final = r"(?:[\s,;\-]{1,2}|\)\s?[+,.&]\s?[Cc][Hh][Aa]?[Rr]\()"
"""57 48; 57-48; chr(57)+chr(48)."""
_CODES: Final = re.compile(
    rf"(?<![0-9]){_CODE}(?:{_BETWEEN_CODES}{_CODE}){{8,}}+(?![0-9])"
    r"|(?:U\+00[0-9A-Fa-f]{2}[\s,;]{0,2}){8,}+"
)
_MAX_ENCODED: Final = 100_000
"""Longer rows are files, which the walker handles as unread parts, not sentences."""

_IDENTIFIER: Final = re.compile(r"[0-9]{2}|@")
_FOREIGN_DIGITS: Final = re.compile(
    rb"(?P<utf16>(?:[0-9]\0|\0[0-9]|[\x10-\x19]\xff|\xff[\x10-\x19]){3})|(?:[0-9]|\xa3[\xb0-\xb9]){3}"
)
"""Three digits, also full-width ones, in UTF-16 or CP949: only then it is worth reading bytes as such."""

_NARROWEST: Final = 8
"""Characters of a row from which what follows it may belong to it."""

_ALONE: Final = 12
"""Characters of a row that may hold a number by itself."""

_MAY_BE_CUT: Final = 100
"""Bytes from which a row may have been cut within a character."""

_NEXT_LINE: Final = re.compile(r"(?:\r?\n| )([A-Za-z0-9+/_\-]++)={0,6}(?![A-Za-z0-9+/_\-])")


def _base64(text: str) -> Iterator[Edit]:
    done = tried = 0
    for match in _BASE64.finditer(text):
        start, end = match.span()
        row = match.group()
        if start < done or len(row) > _MAX_ENCODED or row == row.lower():
            continue
        if start >= tried:
            rows, tried, last = _wrapped(text, row, end)
            decoded = _from_base64(rows) if last > end else ""
            if decoded:
                yield start, last, decoded
                done = last
                continue
        if len(row) < _ALONE:
            continue
        decoded = _from_base64(row) or (_from_base32(row) if _BASE32.fullmatch(row) else "")
        if decoded:
            yield start, end, decoded


def _wrapped(text: str, first: str, end: int) -> tuple[str, int, int]:
    """A row with the lines or words behind it that are as long, and a shorter one; where either ends."""
    rows = [first]
    at = as_long = end
    while len(rows[-1]) == len(first) >= _NARROWEST and at - end <= _MAX_ENCODED:
        line = _NEXT_LINE.match(text, at)
        if text[at - 1] == "=" or line is None or len(line[1]) > len(first):
            break
        rows.append(line[1])
        at = line.end()
        if len(line[1]) == len(first):
            as_long = at
    return "".join(rows), as_long, at


def _small_base32(text: str) -> Iterator[Edit]:
    return _decoded(text, _SMALL_BASE32, _from_base32)


def _hexadecimal(text: str) -> Iterator[Edit]:
    return _decoded(text, _HEX, _from_hex)


def _character_codes(text: str) -> Iterator[Edit]:
    return _decoded(text, _CODES, _from_codes)


def _decoded(text: str, pattern: re.Pattern[str], decode: Callable[[str], str]) -> Iterator[Edit]:
    for match in pattern.finditer(text):
        if match.end() - match.start() <= _MAX_ENCODED and (decoded := decode(match.group())):
            yield match.start(), match.end(), decoded


def _text(raw: bytes) -> str:
    """The text that bytes hold, if it is one, in plain characters."""
    decoded = _in_encoding(raw, "utf-8")
    if decoded or not (digits := _FOREIGN_DIGITS.search(raw)):
        return decoded
    if not digits.lastgroup:
        return _in_encoding(raw, "cp949")
    little = _in_encoding(raw, "utf-16-le")
    return little if _IDENTIFIER.search(little) else _in_encoding(raw, "utf-16-be")


def _in_encoding(raw: bytes, encoding: str) -> str:
    """Folded: what stands in base64 may be full-width. Bytes that are no such text give ``.

    Of many bytes the first and the last may be parts of characters: long texts are read in pieces.
    """
    for skipped in range(4 if len(raw) >= _MAY_BE_CUT else 1):
        try:
            if len(raw) < _MAY_BE_CUT:
                decoded = raw.decode(encoding)
            else:
                decoded = codecs.getincrementaldecoder(encoding)().decode(raw[skipped:])
        except UnicodeDecodeError:
            continue
        if decoded := _folded(decoded.removeprefix("\ufeff")):
            return decoded
    return ""


def _folded(decoded: str) -> str:
    plain = decoded.replace("\n", " ").replace("\t", " ").replace("\r", " ")
    return fold(decoded).text if plain.isprintable() else ""


def _readable(raw: bytes) -> str:
    """The same, if it may hold an identifier."""
    decoded = _text(raw)
    return decoded if _IDENTIFIER.search(decoded) else ""


def _from_base64(row: str) -> str:
    """The text in a row of base64, also of base64 within base64, if it may hold an identifier."""
    decoded = _text_in_base64(row)
    inner = _BASE64.fullmatch(decoded.strip())
    decoded = (_text_in_base64(inner.group()) if inner else "") or decoded
    return decoded if _IDENTIFIER.search(decoded) else ""


def _text_in_base64(row: str) -> str:
    body = row.rstrip("=").replace("-", "+").replace("_", "/")
    for skipped in (0, body.rfind("/") + 1):
        part = body[skipped:]
        if len(part) % 4 == 1:
            continue
        try:
            decoded = _text(base64.b64decode(part + "=" * (-len(part) % 4)))
        except (binascii.Error, ValueError):
            continue
        if decoded:
            return decoded
    return ""


def _from_base32(row: str) -> str:
    body = row.rstrip("=").upper()
    try:
        return _readable(base64.b32decode(body + "=" * (-len(body) % 8)))
    except (binascii.Error, ValueError):
        return ""


def _from_hex(row: str) -> str:
    digits = re.sub(r"0x|[^0-9a-fA-F]", "", row)
    return _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _from_codes(row: str) -> str:
    """Decimal ASCII codes: 57 48 49; code points: U+0039 U+0030."""
    if row.startswith("U"):
        return _readable(bytes.fromhex("".join(re.findall(r"U\+00(..)", row))))
    return _readable(bytes(int(code) for code in re.findall("[0-9]+", row)))


# --- one thing after every digit ---------------------------------------------------------------------

_THREADED: Final = re.compile(
    r"(?<![0-9A-Za-z])[0-9](?P<thread>[^0-9\n]?[A-Za-z가-힣][^0-9\n]?)(?:[0-9](?P=thread)){7,18}+(?P<last>[0-9])?"
)


_THREADED_HALVES: Final = re.compile(
    r"(?<![0-9])[0-9](?P<thread>[^0-9\n]{1,5})(?:[0-9](?P=thread)){5}-(?P=thread)"
    r"(?:[0-9](?P=thread)){6}[0-9](?![0-9])"
)
"""`9 | 0 | … | - | 1 | …`: the hyphen is threaded as well, and nothing but a resident number looks so."""


def _threaded(text: str) -> Iterator[Edit]:
    """`9번 0번 1번 0번 …`, `9a0a1a0a…`: the same letters after every digit are no part of the number."""
    for match in _THREADED.finditer(text):
        for index in range(match.start(), match.end()):
            if not text[index].isdigit():
                yield index, index + 1, ""


def _threaded_halves(text: str) -> Iterator[Edit]:
    for match in _THREADED_HALVES.finditer(text):
        digits = _NO_DIGIT.sub("", match.group())
        yield match.start(), match.end(), f"{digits[:6]}-{digits[6:]}"


_NO_DIGIT: Final = re.compile("[^0-9]+")


# --- reversal ----------------------------------------------------------------------------------------

_ROW: Final = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]+(?:[-. @][0-9A-Za-z]+){0,8}")


def _reversed(text: str) -> Iterator[Edit]:
    for match in _ROW.finditer(text):
        if sum(character.isdigit() for character in match.group()) >= 7:
            yield match.start(), match.end(), match.group()[::-1]


_GATE_SIGN: Final = f"(?:{'|'.join(_NATIVE)}|{_SIGN.replace('○', '')})"
_GATE_JOIN: Final = r"(?:[^0-9A-Za-z가-힣]{0,3}|에|의|점|바)"
VIEWS: Final = (
    View(
        "spoken",
        (
            _GATE_JOIN.join([_GATE_SIGN] * 4),
            rf"[0-9]{_GATE_JOIN}{_GATE_SIGN}{_GATE_JOIN}[0-9]{_GATE_JOIN}{_GATE_SIGN}",
            rf"[0-9]\s?(?:{_DASH_WORDS})\s?[0-9]",
            rf"{_GATE_SIGN}{_GATE_SIGN}{_GATE_JOIN}[0-9]|[0-9]{_GATE_JOIN}{_GATE_SIGN}{_GATE_SIGN}{_GATE_SIGN}",
        ),
        _spoken,
    ),
    View("spelled", (r"(?i)\b" + r"[\s\-.,/]{1,3}".join([_WORD] * 4) + r"\b",), _spelled),
    View(
        "lookalikes",
        (
            rf"[0-9{_LETTER}][-.\s/]?[0-9][-.\s/]?[{_LETTER}][-.\s/]?[0-9{_LETTER}]",
            rf"[0-9][0-9][0-9][{_LETTER}]|[{_LETTER}][-.\s/]?[0-9][0-9][-.\s/]?[0-9]",
        ),
        _lookalikes,
    ),
    View(
        "base64",
        # Twelve characters in a row, at least one of them a capital: half of them stand on one side of it.
        (r"[A-Z][A-Za-z0-9+/_\-]{6}|[A-Za-z0-9+/_\-]{6}[A-Z]",),
        _base64,
    ),
    View(
        "base32",
        # Two of its blocks of eight, by what the first fifteen bits of two digits or a hyphen can be.
        (r"[f-h][aeimquy4][wyz2-7][a-z2-7]{5}[f-h][aeimquy4][wyz2-7]",),
        _small_base32,
    ),
    View("hexadecimal", (r"(?:[2-3][0-9a-dA-D][\s:,\-]{0,2}(?:0x|\\x)?){6}[0-9]",), _hexadecimal),
    View(
        "character_codes",
        (rf"(?:(?:4[5-9]|5[0-7]){_BETWEEN_CODES}){{6}}[0-9]", r"(?:U\+00[23][0-9A-Fa-f][\s,;]{0,2}){6}"),
        _character_codes,
    ),
    View("threaded", (r"(?:[0-9][^0-9\n]?[A-Za-z가-힣][^0-9\n]?){7}[0-9]",), _threaded),
    View(
        "threaded_halves",
        (r"[0-9][^0-9\n]{1,5}-[^0-9\n]{1,5}[0-9][^0-9\n]{1,5}[0-9][^0-9\n]",),
        _threaded_halves,
    ),
    View("reversed", (r"거꾸로|역순|뒤에서 ?부터|뒤집|반대로|(?i:revers|backward)",), _reversed),
)
