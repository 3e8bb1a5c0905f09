r"""Folding: the same text in plain characters, with every offset traceable to the original.

`fold` undoes what hides a number from a pattern without changing what a reader sees: full-width and
mathematical letters, other scripts' digits, invisible characters, decomposed Hangul, look-alike
dashes, escapes (`&#57;`, `%39`, `\u0039`), HTML and markdown inside a number. Rewritings that would
ruin ordinary text (Hangul numerals, look-alike letters, base64, reversal) are *views* and live in
filters/views.py. No detection happens here.

Plain text costs one scan and no copy.
"""

from __future__ import annotations

import html
import re
import unicodedata
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from filters.detector import limited
from filters.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

Edit = tuple[int, int, str]
"""Replace `text[start:end]` by a string; a list of them is sorted and does not overlap."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text and the way back.

    `starts[i]` and `ends[i]` bound the original code points that folded character i stands for;
    None means that folding kept every character in its place.
    """

    text: str
    source: str
    starts: array[int] | None = field(default=None, repr=False)
    ends: array[int] | None = field(default=None, repr=False)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range of the original that `text[start:end]` stands for; `start < end`."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]

    def traced(self, span: Span) -> Span:
        """A span of the folded text as one of the original."""
        if self.starts is None or self.ends is None:
            return span
        start, end = self.origin(span.start, span.end)
        return Span(start, end, span.type, span.score, span.rule, span.label)

    def part(self, start: int, end: int) -> Folded:
        """A stretch of the folded text that still knows its way back."""
        starts = self.starts[start:end] if self.starts is not None else _identity(start, end)
        ends = self.ends[start:end] if self.ends is not None else _identity(start + 1, end + 1)
        return Folded(self.text[start:end], self.source, starts, ends)

    def pieces(self) -> Iterator[Folded]:
        """Long texts in overlapping stretches of whole lines, so that few detectors read each of them.

        A text that is short, huge or without lines comes as it is.
        """
        text = self.text
        if not _LONG <= len(text) <= _HUGE:
            yield self
            return
        start = 0
        cut = text.find("\n", _PIECE)
        while 0 <= cut < len(text) - _PIECE:
            overlap = text.rfind("\n", start + 1, cut - _OVERLAP) + 1
            if overlap:
                yield self.part(start, cut)
                start = overlap
                cut = start + _PIECE
            cut = text.find("\n", cut + 1)
        yield self.part(start, len(text))

    def rewritten(self, edits: list[Edit]) -> Folded:
        """This text with `edits` made. An edit of equal length maps character by character."""
        if not edits:
            return self
        if all(len(new) == end - start for start, end, new in edits):
            return Folded(_spliced(self.text, edits), self.source, self.starts, self.ends)
        starts, ends = self._remapped(edits)
        return Folded(_spliced(self.text, edits), self.source, starts, ends)

    def _remapped(self, edits: list[Edit]) -> tuple[array[int], array[int]]:
        old_starts = self.starts if self.starts is not None else _identity(0, len(self.text))
        old_ends = self.ends if self.ends is not None else _identity(1, len(self.text) + 1)
        starts, ends = array("I"), array("I")
        position = 0
        for start, end, new in edits:
            starts.extend(old_starts[position:start])
            ends.extend(old_ends[position:start])
            if len(new) == end - start:
                starts.extend(old_starts[start:end])
                ends.extend(old_ends[start:end])
            elif new:
                starts.extend(array("I", [old_starts[start]]) * len(new))
                ends.extend(array("I", [old_ends[end - 1]]) * len(new))
            position = end
        starts.extend(old_starts[position:])
        ends.extend(old_ends[position:])
        return starts, ends


_COUNTING: Final = array("I", range(1 << 16))


def _identity(start: int, end: int) -> array[int]:
    """start, start + 1, … end - 1; copied from memory for ordinary texts, which beats counting 20 times."""
    return _COUNTING[start:end] if end <= len(_COUNTING) else array("I", range(start, end))


_LONG: Final = 4_000
_HUGE: Final = 250_000
_PIECE: Final = 1_500
_OVERLAP: Final = 200
"""Characters that two neighbouring pieces share: the longest identifier in its longest rendering."""

_ROUNDS: Final = 2
"""JSON within JSON, or a percent-encoded entity, and no deeper."""

_MAX_EDITS: Final = 100_000
"""Escapes or tags of one text: a text with more is refused."""


def fold(text: str) -> Folded:
    """`text` with escapes decoded, characters made plain and markup inside numbers removed.

    Raises `DetectorError` for a text made of nothing but escapes or tags.
    """
    folded = Folded(text, text)
    for _ in range(_ROUNDS):
        if not _holds_any(folded.text, _ESCAPE_SIGNS) or not _ESCAPE.search(folded.text):
            break
        folded = folded.rewritten(list(limited(_decoded_escapes(folded.text), "fold", _MAX_EDITS)))
    if not folded.text.isascii():
        folded = _plain_characters(folded)
    if _holds_any(folded.text, _MARKUP_SIGNS) and _MARKUP_TRIGGER.search(folded.text):
        folded = folded.rewritten(list(limited(_markup_in_numbers(folded.text), "fold", _MAX_EDITS)))
    return folded


def _holds_any(text: str, signs: str) -> bool:
    """Whether one of a few characters occurs; ten times as fast as a character class."""
    return any(sign in text for sign in signs)


def _spliced(text: str, edits: list[Edit]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, new in edits:
        pieces.append(text[position:start])
        pieces.append(new)
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


# --- escapes -----------------------------------------------------------------------------------------

_ESCAPE_SIGNS: Final = "&%\\=\x1b"
_ESCAPE: Final = re.compile(
    r"[&%\\=\x1b](?:"
    r"(?P<entity>(?<=&)(?:#[xX]0{0,20}[0-9a-fA-F]{1,6}|#0{0,20}[0-9]{1,7}|[a-zA-Z]{2,31});?)"
    r"|(?P<colour>(?:(?<=\x1b)|(?<=\\)(?:x1[bB]|u001[bB]|033|e))\[[0-9;:?]{0,20}[A-Za-z])"
    r"|(?P<soft>(?<=[-0-9A-F]=)\r?\n(?=[-0-9=]))"
    r"|(?P<bytes>(?<=%)[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*+"
    r"|(?<==)[0-9A-Fa-f]{2}(?:=[0-9A-Fa-f]{2}){3,}+|(?<=\\)x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2})*+)"
    r"|(?P<utf16>(?<=\\)u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*+"
    r"|(?<=%)u[0-9a-fA-F]{4}(?:%u[0-9a-fA-F]{4})*+)"
    r"|(?P<scalar>(?<=\\)(?:u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}))"
    r"|(?P<octal>(?<=\\)[0-3][0-7]{2})"
    r"""|(?P<control>(?<=\\)[ntr"'/\\]))"""
)
"""The first character stands outside the alternatives so that the scan skips to it."""

_CONTROL: Final = {"n": "\n", "t": "\t", "r": "\r"}


_FRONT_HALF: Final = re.compile(r"(?<![0-9])[0-9]{6}\Z")
_BACK_HALF: Final = re.compile(r"(?:\\u?|[%=]|&#)[0-9]{7}(?![0-9])")
"""220123%3414940, 220123\\3014940: the sign parts two halves, and what it begins is no escape."""


def _decoded_escapes(text: str) -> Iterator[Edit]:
    for match in _ESCAPE.finditer(text):
        start, end = match.span()
        source = match.group()
        if _BACK_HALF.match(text, start) and _FRONT_HALF.search(text, max(0, start - 7), start):
            continue
        match match.lastgroup:
            case "colour" | "soft":
                yield start, end, ""
            case "entity":
                yield from _whole(start, end, html.unescape(source))
            case "bytes":
                yield from _decoded_bytes(start, source)
            case "utf16":
                yield from _decoded_utf16(start, source)
            case "scalar":
                yield from _whole(start, end, _character(int(source[2:].strip("{}"), 16)))
            case "octal":
                yield from _whole(start, end, chr(int(source[1:], 8)))
            case _:
                yield start, end, _CONTROL.get(source[1], source[1])


def _whole(start: int, end: int, new: str) -> Iterator[Edit]:
    """One edit, unless the escape stands for a control character: then it stays as it is written.

    A format character (`&#8203;`) is invisible and goes with its like.
    """
    shown = new.isprintable() or new.isspace()
    if new and len(new) <= 2 and (shown or unicodedata.category(new[0]) == "Cf"):
        yield start, end, new


def _character(code_point: int) -> str:
    return chr(code_point) if code_point <= 0x10FFFF and not 0xD800 <= code_point <= 0xDFFF else ""


def _decoded_bytes(start: int, source: str) -> Iterator[Edit]:
    r"""%39, =39 and \x39 runs, read as UTF-8; each character maps to the escapes of its own bytes."""
    width = 4 if source[0] == "\\" else 3
    hexadecimal = source.replace("\\x", "%").replace("=", "%")
    try:
        decoded = unquote_to_bytes(hexadecimal).decode()
    except UnicodeDecodeError:
        return
    position = start
    for character in decoded:
        length = len(character.encode()) * width
        yield from _whole(position, position + length, character)
        position += length


def _decoded_utf16(start: int, source: str) -> Iterator[Edit]:
    raw = bytes.fromhex(source.replace("\\u", "").replace("%u", ""))
    position = start
    for character in raw.decode("utf-16-be", errors="replace"):
        length = 12 if ord(character) > 0xFFFF else 6
        yield from _whole(position, position + length, character)
        position += length


# --- characters --------------------------------------------------------------------------------------

_UNUSUAL: Final = re.compile(
    "[^\x00-\x7f가-힣ㄱ-ㅎㅏ-ㅢ一-鿿 ·○●□■△▲▷▶◆◇☆★※「」『』【】〔〕《》〈〉“”‘’"
    "…→←↑↓↔☎℃㎡㎞㎏㎝㎜㎥㏊￦¥£§°±×÷≤≥∼]"
)
"""Whatever is not in everyday Korean administrative text; only these characters are looked up."""

_TAGS: Final = re.compile("[\U000e0000-\U000e007f]++")
_LISTED: Final = "①-⑳⑴-⒇⒈-⒛⓪❶-❿➀-➉➊-➓⓵-⓾⓿⓫-⓴"
_LIST_MARK: Final = re.compile(
    rf"[{_LISTED}](?<![^\s(][{_LISTED}])(?![-. ]?[{_LISTED}]|[-.]?[0-9][{_LISTED}])"
)
"""A circled number that stands alone numbers a list: it is no digit of what follows."""

_DASHES: Final = "‐‑‒–—―−﹘﹣－⁃─━〜～ㅡーｰ⸺⸻֊᠆⁓╌╍➖"
_DOTS: Final = "．。｡․‧•∙⋅・･"
_LOOKALIKES: Final = dict(
    zip(
        "АВСЕНІЈКМОРЅТХУаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧοΟ０",
        "ABCEHIJKMOPSTXYaeopcyxijsABEZHIKMNOPTYXoO0",
        strict=True,
    )
)
_BRAILLE: Final = dict(zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠤⠼", [*"1234567890-", ""], strict=True))
_TABLE: Final[dict[str, str]] = {
    **_LOOKALIKES,
    **_BRAILLE,
    **dict.fromkeys(_DASHES, "-"),
    **dict.fromkeys(_DOTS, "."),
    **dict.fromkeys("\u034f\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5", ""),
}
_BY_CATEGORY: Final = {
    **dict.fromkeys(("Cf", "Mn", "Me", "Cc"), ""),
    **dict.fromkeys(("Zl", "Zp"), "\n"),
    "Zs": " ",
    "Cs": "\ufffd",  # half a surrogate pair: no UTF-8, and RE2 reads UTF-8
}


class _PlainForms(dict[str, str]):
    """Character → plain form, computed once per character. Bounded by the size of Unicode."""

    def __missing__(self, character: str) -> str:
        plain = self[character] = _plain_form(character)
        return plain


def _plain_form(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    if character in _TABLE:
        return _TABLE[character]
    category = unicodedata.category(character)
    if category in _BY_CATEGORY:
        return _BY_CATEGORY[category]
    # Ⅲ is a grade in Ⅲ급 비밀, and a digit only in a row of its like (filters/views.py).
    return character if category == "Nl" else _compatibility_form(character)


def _compatibility_form(character: str) -> str:
    """NFKC where it yields one ASCII character or several digits (⑩); ㎢ and ㈜ stay as they are."""
    plain = unicodedata.normalize("NFKC", character)
    if plain.isascii() and (len(plain) == 1 or plain.isdecimal()):
        return plain
    return character


_PLAIN: Final = _PlainForms()
_PIECES: Final = re.compile("[\u1100-\u11ff\uffa1-\uffdc\U000e0000-\U000e007f]")


def _plain_characters(folded: Folded) -> Folded:
    if not _UNUSUAL.search(folded.text):
        return folded
    if _OVERRIDE in folded.text:
        folded = folded.rewritten(list(_turned_around(folded.text)))
    if _PIECES.search(folded.text):
        folded = folded.rewritten(list(_composed_hangul(folded.text)))
        folded = folded.rewritten(list(_untagged(folded.text)))
    return folded.rewritten(list(_plain_edits(folded.text)))


def _composed_hangul(text: str) -> Iterator[Edit]:
    """Decomposed (NFD) and half-width Hangul, syllable by syllable."""
    for match in _SYLLABLE.finditer(text):
        composed = _compose(match.group())
        if len(composed) == 1:
            yield match.start(), match.end(), composed


_LEADS, _VOWELS, _TAILS = "ᄀ-ᅟﾡ-ﾾ", "ᅠ-ᆧￂ-ￜ", "ᆨ-ᇿ"
_SYLLABLE: Final = re.compile(f"[{_LEADS}][{_VOWELS}](?:[{_TAILS}]|[ﾡ-ﾾ](?![{_VOWELS}]))?")


def _compose(pieces: str) -> str:
    """One syllable from two or three jamo, conjoining or half-width."""
    plain = [unicodedata.normalize("NFKC", piece) for piece in pieces]
    if len(plain) == 3 and "ᄀ" <= plain[2] <= "ᄒ":
        plain[2] = unicodedata.lookup(unicodedata.name(plain[2]).replace("CHOSEONG", "JONGSEONG"))
    return unicodedata.normalize("NFC", "".join(plain))


_OVERRIDE: Final = "\u202e"
_OVERRIDDEN: Final = re.compile("\u202e([^\u202c\u2069\n]{1,200}+)[\u202c\u2069]?")


def _turned_around(text: str) -> Iterator[Edit]:
    """What a right-to-left override shows a reader: the characters in reverse."""
    for match in _OVERRIDDEN.finditer(text):
        yield match.start(), match.end(), match[1][::-1]


def _untagged(text: str) -> Iterator[Edit]:
    """Tag characters mirror ASCII invisibly. A long run says something; one or two are noise."""
    for match in _TAGS.finditer(text):
        said = "".join(chr(ord(tag) - 0xE0000) for tag in match.group())
        readable = len(said) > 2 and said.isprintable()
        yield match.start(), match.end(), said if readable else ""


def _plain_edits(text: str) -> Iterator[Edit]:
    marks = {match.start() for match in _LIST_MARK.finditer(text)}
    for match in _UNUSUAL.finditer(text):
        character = match.group()
        plain = _PLAIN[character]
        if plain != character and match.start() not in marks:
            yield match.start(), match.end(), plain


# --- markup ------------------------------------------------------------------------------------------

_MARKUP_SIGNS: Final = "*_`~<"
_MARKUP_TRIGGER: Final = re.compile(rf"[-0-9A-Z)][ \n]?[{_MARKUP_SIGNS}]")
_TAG: Final = r"</?[a-zA-Z][^<>\n]{0,80}+>|<!--[^>]{0,80}?-->"
_MARKUP: Final = re.compile(
    rf"(?=[*_~`<])(?<=[-0-9A-Z])(?:\*{{1,3}}|_{{2,3}}|~~|`{{1,3}}|{_TAG})"
    rf"(?:\s{{0,2}}(?:\*{{1,3}}|__|~~|`{{1,3}}|{_TAG}))*+(?=[-0-9])"
)
_CELL: Final = re.compile(r"<(?:/?(?:td|th|tr|li|p|div|dd|dt)|br)\b", re.IGNORECASE)


def _markup_in_numbers(text: str) -> Iterator[Edit]:
    """Tags and emphasis between two digits vanish; where cells or lines meet, a blank stays."""
    for match in _MARKUP.finditer(text):
        yield match.start(), match.end(), " " if _CELL.search(match.group()) else ""
