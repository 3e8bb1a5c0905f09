"""Ways of writing one number so that a person reads it and a pattern does not. Each has a name.

A rendering maps the groups of a number (`["901010", "1234567"]`, joined by `-`) to text. The list stands
in docs/filter.md; tests/filters/test_renderings.py measures it on six identifiers.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Rendering = "Callable[[list[str], str], str]"

_HANGUL = dict(zip("0123456789", "공일이삼사오육칠팔구", strict=True))
_HANGUL_YEONG = {**_HANGUL, "0": "영"}
_NATIVE = dict(zip("0123456789", "공 하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉".split(), strict=True))
_HANJA = dict(zip("0123456789", "〇一二三四五六七八九", strict=True))
_FORMAL = dict(zip("0123456789", "零壹貳參肆伍陸柒捌玖", strict=True))
_ENGLISH = dict(zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True))
_CIRCLED = dict(zip("0123456789", "⓪①②③④⑤⑥⑦⑧⑨", strict=True))
_NEGATIVE = dict(zip("0123456789", "⓿❶❷❸❹❺❻❼❽❾", strict=True))
_PARENTHESISED = dict(zip("123456789", "⑴⑵⑶⑷⑸⑹⑺⑻⑼", strict=True))
_SUPERSCRIPT = dict(zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True))
_SUBSCRIPT = dict(zip("0123456789", "₀₁₂₃₄₅₆₇₈₉", strict=True))


def _mapped(table: dict[str, str], between: str = "") -> Callable[[list[str], str], str]:
    return lambda groups, tie: tie.join(between.join(table.get(c, c) for c in group) for group in groups)


def _from(zero: int) -> Callable[[list[str], str], str]:
    return _mapped({digit: chr(zero + int(digit)) for digit in "0123456789"})


def _tied(between: str) -> Callable[[list[str], str], str]:
    return lambda groups, _: between.join(groups)


def _each(between: str) -> Callable[[list[str], str], str]:
    return lambda groups, tie: between.join(tie.join(groups))


def _wrapped(before: str, after: str) -> Callable[[list[str], str], str]:
    return lambda groups, tie: tie.join(before + group + after for group in groups)


def _each_wrapped(before: str, after: str) -> Callable[[list[str], str], str]:
    return lambda groups, tie: tie.join("".join(before + c + after for c in group) for group in groups)


def _whole(encode: Callable[[str], str]) -> Callable[[list[str], str], str]:
    return lambda groups, tie: encode(tie.join(groups))


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _commas(groups: list[str], _: str) -> str:
    digits = "".join(groups)
    head = len(digits) % 3
    return ",".join(filter(None, [digits[:head], *(digits[i : i + 3] for i in range(head, len(digits), 3))]))


def _halves(groups: list[str], _: str) -> str:
    return f"앞자리는 {''.join(groups[: len(groups) // 2 or 1])}이고 뒷자리는 {''.join(groups[len(groups) // 2 or 1 :])}"


RENDERINGS: dict[str, Callable[[list[str], str], str]] = {
    "plain": lambda groups, tie: tie.join(groups),
    "no separator": _tied(""),
    "blanks between groups": _tied(" "),
    "dots between groups": _tied("."),
    "slashes between groups": _tied("/"),
    "underscores between groups": _tied("_"),
    "colons between groups": _tied(":"),
    "middle dots between groups": _tied("·"),
    "en dashes": _tied("–"),
    "em dashes": _tied("—"),
    "minus signs": _tied("−"),
    "full-width hyphens": _tied("－"),
    "Hangul vowel ㅡ as dash": _tied("ㅡ"),
    "long vowel mark ー as dash": _tied("ー"),
    "double hyphens": _tied("--"),
    "hyphen between blanks": _tied(" - "),
    "pipes between groups": _tied(" | "),
    "tabs between groups": _tied("\t"),
    "new lines between groups": _tied("\n"),
    "no-break blanks": _tied("\u00a0"),
    "ideographic blanks": _tied("\u3000"),
    "spoken hyphen 다시": _tied(" 다시 "),
    "asterisks between groups": _tied("**"),
    "blank after every character": _each(" "),
    "dot after every character": _each("."),
    "comma after every character": _each(","),
    "hyphen after every character": _each("-"),
    "middle dot after every character": _each("·"),
    "underscore after every character": _each("_"),
    "new line after every character": _each("\n"),
    "emoji after every character": _each("🔹"),
    "thousands commas": _commas,
    "full-width": _whole(_wide),
    "full-width, half of it": lambda groups, tie: tie.join([_wide(groups[0]), *groups[1:]]),
    "zero-width space": _each("\u200b"),
    "zero-width joiner": _each("\u200d"),
    "zero-width non-joiner": _each("\u200c"),
    "word joiner": _each("\u2060"),
    "byte order mark": _each("\ufeff"),
    "soft hyphen": _each("\u00ad"),
    "left-to-right mark": _each("\u200e"),
    "bidirectional embedding": lambda groups, tie: "\u202a" + tie.join(groups) + "\u202c",
    "right-to-left override": lambda groups, tie: "\u202e" + tie.join(groups)[::-1] + "\u202c",
    "Hangul filler": _each("\u3164"),
    "variation selectors": _each("\ufe0f"),
    "supplementary variation selectors": _each("\U000e0101"),
    "tag characters": _whole(lambda text: "".join(chr(0xE0000 + ord(c)) for c in text)),
    "tag characters as noise": _each("\U000e0061"),
    "combining strike-through": _each("\u0336"),
    "combining underline": _each("\u0332"),
    "keycaps": _each("\ufe0f\u20e3"),
    "circled": _mapped(_CIRCLED),
    "negative circled": _mapped(_NEGATIVE),
    "parenthesised": _mapped(_PARENTHESISED),
    "superscript": _mapped(_SUPERSCRIPT),
    "subscript": _mapped(_SUBSCRIPT),
    "mathematical bold": _from(0x1D7CE),
    "mathematical double-struck": _from(0x1D7D8),
    "mathematical sans-serif": _from(0x1D7E2),
    "mathematical monospace": _from(0x1D7F6),
    "Braille": _mapped({**dict(zip("1234567890", "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚", strict=True))}),
    "segmented": _from(0x1FBF0),
    "Arabic-Indic": _from(0x0660),
    "extended Arabic-Indic": _from(0x06F0),
    "Devanagari": _from(0x0966),
    "Bengali": _from(0x09E6),
    "Thai": _from(0x0E50),
    "Khmer": _from(0x17E0),
    "Hangul numerals 공": _mapped(_HANGUL),
    "Hangul numerals 영": _mapped(_HANGUL_YEONG),
    "Hangul numerals with blanks": _mapped(_HANGUL, " "),
    "Hangul numerals and 다시": lambda groups, _: " 다시 ".join(
        "".join(_HANGUL.get(c, c) for c in g) for g in groups
    ),
    "native Korean numerals": _mapped(_NATIVE, " "),
    "Hangul numerals, half of it": lambda groups, tie: tie.join(
        ["".join(_HANGUL.get(c, c) for c in groups[0]), *groups[1:]]
    ),
    "Hanja numerals": _mapped(_HANJA),
    "formal Hanja numerals": _mapped(_FORMAL),
    "English words": lambda groups, _: " dash ".join(" ".join(_ENGLISH.get(c, c) for c in g) for g in groups),
    "letter O for 0": _mapped({"0": "O"}),
    "letter o for 0": _mapped({"0": "o"}),
    "letter l for 1": _mapped({"1": "l"}),
    "letter I for 1": _mapped({"1": "I"}),
    "bar for 1": _mapped({"1": "|"}),
    "B for 8 and S for 5": _mapped({"8": "B", "5": "S"}),
    "several look-alikes": _mapped({"0": "O", "1": "l", "5": "S"}),
    "Cyrillic О for 0": _mapped({"0": "О"}),
    "Greek Ο for 0": _mapped({"0": "Ο"}),
    "markdown bold per group": _wrapped("**", "**"),
    "markdown italic per group": _wrapped("_", "_"),
    "markdown code per group": _wrapped("`", "`"),
    "markdown strike-through per group": _wrapped("~~", "~~"),
    "markdown bold inside": lambda groups, tie: tie.join(f"{g[:2]}**{g[2:]}**" for g in groups),
    "HTML bold per group": _wrapped("<b>", "</b>"),
    "HTML span per character": _each_wrapped("<span>", "</span>"),
    "HTML comment inside": lambda groups, tie: tie.join(f"{g[:1]}<!-- x -->{g[1:]}" for g in groups),
    "HTML table cells": lambda groups, _: "<td>" + "</td><td>".join(groups) + "</td>",
    "decimal entities": _whole(lambda text: "".join(f"&#{ord(c)};" for c in text)),
    "hexadecimal entities": _whole(lambda text: "".join(f"&#x{ord(c):x};" for c in text)),
    "percent-encoded": _whole(lambda text: "".join(f"%{ord(c):02X}" for c in text)),
    "quoted-printable": _whole(lambda text: "".join(f"={ord(c):02X}" for c in text)),
    "\\u escapes": _whole(lambda text: "".join(f"\\u{ord(c):04x}" for c in text)),
    "\\x escapes": _whole(lambda text: "".join(f"\\x{ord(c):02x}" for c in text)),
    "\\u{…} escapes": _whole(lambda text: "".join(f"\\u{{{ord(c):x}}}" for c in text)),
    "octal escapes": _whole(lambda text: "".join(f"\\{ord(c):03o}" for c in text)),
    "JSON inside JSON": _whole(
        lambda text: json.dumps(json.dumps({"번호": text}, ensure_ascii=False), ensure_ascii=False)
    ),
    "JSON list of digits": lambda groups, _: json.dumps(list("".join(groups))),
    "base64": _whole(lambda text: base64.b64encode(text.encode()).decode()),
    "base64 for URLs, unpadded": _whole(
        lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    ),
    "base64 of a sentence": _whole(lambda text: base64.b64encode(f"번호는 {text}입니다".encode()).decode()),
    "base32": _whole(lambda text: base64.b32encode(text.encode()).decode()),
    "hexadecimal": _whole(lambda text: text.encode().hex()),
    "hexadecimal with blanks": _whole(lambda text: text.encode().hex(" ")),
    "hexadecimal with 0x": _whole(lambda text: " ".join(f"0x{ord(c):02x}" for c in text)),
    "decimal character codes": _whole(lambda text: " ".join(str(ord(c)) for c in text)),
    "reversed": _whole(lambda text: text[::-1]),
    "reversed and announced": _whole(lambda text: f"거꾸로 쓰면 {text[::-1]}"),
    "front and back told apart": _halves,
    "groups in brackets": _wrapped("[", "]"),
    "groups in parentheses": _wrapped("(", ")"),
    "groups in quotes": lambda groups, _: " + ".join(f'"{g}"' for g in groups),
    "cells of a markdown table": lambda groups, _: "| " + " | ".join(groups) + " |",
    "decomposed Hangul around": lambda groups, tie: (
        __import__("unicodedata").normalize("NFD", "번호는 ") + tie.join(groups)
    ),
}

_TABLES = "<tr><td>{}</td><td>{}</td></tr>"
DISGUISES = {
    "spoken with 에": "제 번호는 팔팔공사일이에 일공오육칠팔이 입니다",
    "spoken with pauses": "팔팔 공사 일이 일공오 육칠 팔이",
    "first and last digits": "첫 6자리 880412 마지막 7자리 1056782",
    "front and back in English": "front 880412, back 1056782",
    "a circle said for 0": "팔팔동그라미사일이 다시 일동그라미오육칠팔이",
    "simplified Chinese numerals": "捌捌零肆壹贰-壹零伍陆柒捌贰",
    "Japanese の between halves": "八八〇四一二の一〇五六七八二",
    "an x between halves": "880412x1056782",
    "그리고 between halves": "880412 그리고 1056782",
    "base64 of base64": "이걸 두 번 풀어 봐: "
    + base64.b64encode(base64.b64encode(b"880412-1056782")).decode(),
    "a letter after every digit": "8a8a0a4a1a2a1a0a5a6a7a8a2",
    "a syllable after every digit": "8가8가0가4가1가2가1가0가5가6가7가8가2",
    "번 after every digit": "8번 8번 0번 4번 1번 2번 1번 0번 5번 6번 7번 8번 2번",
    "with the century": "19880412-1056782",
    "with the century and dots": "1988.04.12-1056782",
    "a date with dots": "88.04.12-1056782",
    "a date with slashes": "88/04/12-1056782",
    "variables of a program": 'a = "880412"\nb = "1056782"\nrrn = a + "-" + b',
    "variables on one line": 'front="880412"; back="1056782"; print(f"{front}-{back}")',
    "strings added": 'rrn = "880412" + "-1056782"',
    "fields of YAML": "front: 880412\nback: 1056782",
    "elements of XML": "<jumin1>880412</jumin1><jumin2>1056782</jumin2>",
    "values of SQL": "INSERT INTO t VALUES ('홍', '880412', '1056782');",
    "columns of CSV": "이름,앞,뒤\n홍길동,880412,1056782",
    "cells of HTML": _TABLES.format("880412", "1056782"),
    "a spreadsheet's float": "8804121056782.0",
    "local part of an e-mail address": "880412-1056782@example.com",
    "name of a file": "홍길동_880412-1056782.pdf",
    "a query string": "https://example.kr/?no=880412%2D1056782&x=1",
    "a comment": "x = 1  # 880412-1056782",
    "digits on lines of their own": "\n".join("8804121056782"),
    "digits as a list": "\n".join(f"- {digit}" for digit in "8804121056782"),
    "the back beside a birth date": "생년월일 1988년 4월 12일, 주민번호 뒷자리 1056782",
    "the back beside six digits": "홍길동(880412), 주민번호 뒤 7자리는 1056782",
    "a birthday told, then the back": "88년 4월 12일생이고 뒤에 1056782 붙이면 주민번호",
    "the back right behind a birthday": "1988년 4월 12일생 1056782",
    "spoken with commas": "팔, 팔, 공, 사, 일, 이, 일, 공, 오, 육, 칠, 팔, 이",
    "spoken with ellipses": "팔...팔...공...사...일...이...일...공...오...육...칠...팔...이",
    "spoken with the back in parentheses": "팔팔공사일이(일공오육칠팔이)",
    "spoken with 그리고": "팔팔에 공사에 일이 그리고 일공오육칠팔이 입니다",
    "zero-width spaces as entities": "8&#8203;8&#8203;0412-1&#8203;056782",
    "read from the end": "뒤에서부터 읽으세요 2876501214088",
    "masked but for two": "880412-10567**",
    "masked but for one": "880412-105678*",
    "base32 in small letters": base64.b32encode(b"880412-1056782").decode().lower(),
    "base32 of a sentence in small letters": base64.b32encode("제 번호 880412-1056782".encode())
    .decode()
    .lower(),
    "base64 in lines of eight": "ODgwNDEy\nLTEwNTY3\nODI=",
    "base64 with a blank in it": "ODgwNDEyLT EwNTY3ODI=",
    "base64 of UTF-16, big end first": base64.b64encode("880412-1056782".encode("utf-16-be")).decode(),
    "bytes of a program": ", ".join(f"0x{byte:02x}" for byte in b"880412-1056782"),
    "chr of every character": "+".join(f"chr({byte})" for byte in b"880412-1056782"),
    "character codes with hyphens": "-".join(str(byte) for byte in b"880412-1056782"),
    "quoted-printable in small letters": "".join(f"={byte:02x}" for byte in b"880412-1056782"),
    "named entities that nobody sees": "&ZeroWidthSpace;".join("880412-1056782"),
    "a bar between blanks after every character": " | ".join("880412-1056782"),
    "a list of characters": str(list("880412-1056782")),
    "a letter after every character": "x".join("880412-1056782"),
}
"""A resident number without any label, in a text that a person might write to get it past a filter."""
