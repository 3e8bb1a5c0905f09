r"""E-mail addresses and IP addresses. Telephone numbers are digits and live in filters/detectors/numbers.py.

Hangul is a letter to `\b`, so `hong@korea.kr로` has no word boundary after `kr`: edges here look at
ASCII only.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from filters.detector import limited
from filters.spans import EMAIL_ADDRESS, IP_ADDRESS, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._%+\-]{0,62}[A-Za-z0-9_+\-])?"
_LABEL: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?|[가-힣A-Za-z0-9]{1,20})"
_AT: Final = re.compile(
    r"(?=[@\s\[({<골앳])(?:\s?@\s?|\s?[\[({<]\s?(?:at|AT|골뱅이|앳|@)\s?[\])}>]\s?|\s?(?:골뱅이|앳)\s?|\s(?:at|AT)\s)"
)
_SIGN: Final = re.compile("@")
_SPACED_SIGN: Final = re.compile(r"@(?:(?=[\s\])}>])|(?<=[\s\[({<]@))")
_WORDS_FOR_AT: Final = ("골뱅이", "앳", "at", "AT")
_LOCAL_BEFORE: Final = re.compile(rf"(?<![A-Za-z0-9._%+\-]){_LOCAL}$")
_DOMAIN_BEHIND: Final = re.compile(
    rf"(?:{_LABEL}(?:\s?[\[({{<]\s?(?:dot|DOT|점|닷|\.)\s?[\])}}>]\s?|\s(?:dot|DOT|점|닷)\s|(?<=[a-z])(?:점|닷)|\.))"
    rf"{{1,5}}[A-Za-z]{{2,18}}(?![A-Za-z0-9\-])"
)
_MAX_LOCAL: Final = 66
_RESIDENT_NUMBER: Final = re.compile("[0-9]{6}-?[1-8][0-9]{6}")


class Emails:
    """EMAIL_ADDRESS, plain and written out (`hong [at] korea [dot] kr`, `hong골뱅이korea.kr`)."""

    name = "emails"
    gates = (r"[@＠]|골뱅이|앳|[\[({<] ?(?:at|AT) ?[\])}>]| (?:at|AT) ",)

    def find(self, text: str) -> list[Span]:
        spans = []
        for at in limited(_at_signs(text), self.name):
            local = _LOCAL_BEFORE.search(text, max(0, at.start() - _MAX_LOCAL), at.start())
            domain = _DOMAIN_BEHIND.match(text, at.end()) if local is not None else None
            if local is not None and domain is not None:
                score = 0.95 if at.group().strip() == "@" else 0.75
                if _RESIDENT_NUMBER.fullmatch(local.group()):
                    score = 0.6  # what stands before the sign matters more than the address
                spans.append(Span(local.start(), domain.end(), EMAIL_ADDRESS, score, "email"))
        return spans


def _at_signs(text: str) -> Iterator[re.Match[str]]:
    """Where an @ stands in any spelling; a search for the bare sign alone is ten times as fast."""
    spelled = any(word in text for word in _WORDS_FOR_AT) or _SPACED_SIGN.search(text) is not None
    return (_AT if spelled else _SIGN).finditer(text)


_IPV4: Final = re.compile(
    r"(?<![0-9A-Za-z.\-])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9]|\.[0-9]|-[0-9])"
)
_IPV6: Final = re.compile(
    r"(?=[0-9A-Fa-f:])(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z:.])"
)
_COLONS: Final = re.compile(r":[0-9A-Fa-f]{0,4}:")
_IP_LABEL: Final = re.compile(
    r"(?i)(?<![a-z])ip(?![a-z])|아이피|서버|접속|주소|대역|호스트|게이트웨이|방화벽|host|server|gateway|dns"
)
_VERSION_LABEL: Final = re.compile(
    r"(?i)(?:ver(?:sion)?|버전|판|릴리스|release|펌웨어|v)[\s.:]*$|조항|항목|절\s*$"
)


class IpAddresses:
    """IP_ADDRESS, labelled `private` or `public`. A version number and an outline number are none."""

    name = "ip_addresses"
    gates = (r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", r"[0-9A-Fa-f]::?[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]")

    def find(self, text: str) -> list[Span]:
        spans = [
            span
            for match in limited(_IPV4.finditer(text), self.name)
            if (span := _ipv4(text, match)) is not None
        ]
        if _COLONS.search(text):
            spans += [
                span
                for match in limited(_IPV6.finditer(text), self.name)
                if (span := _ipv6(match)) is not None
            ]
        return spans


def _ipv4(text: str, match: re.Match[str]) -> Span | None:
    before = text[max(0, match.start() - 20) : match.start()]
    labelled = _IP_LABEL.search(before)
    outline = all(len(octet) == 1 for octet in match.group().split("."))
    if _VERSION_LABEL.search(before) or (outline and not labelled):
        return None
    return _ip_span(match, 0.95 if labelled else 0.8)


def _ipv6(match: re.Match[str]) -> Span | None:
    groups = [group for group in match.group().split(":") if group]
    if len(groups) < 3 or not any(len(group) > 2 for group in groups):
        return None  # a clock time or a ratio: 10:20:30
    return _ip_span(match, 0.85)


def _ip_span(match: re.Match[str], score: float) -> Span | None:
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return None
    label = "private" if address.is_private else "public"
    return Span(*match.span(), IP_ADDRESS, score, f"ipv{address.version}", label)
