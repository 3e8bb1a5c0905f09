"""Visits every string, number and object key of a request body of any surface, and says where it stands.

Structure-independent: what is not known to be protocol is content. Parts that cannot be read are
listed, not skipped. Nothing is detected, decided or changed here except in `rewritten`, which
builds a copy with given places replaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeGuard

from filters.errors import Unscannable
from filters.jsontext import is_json_container
from filters.protocol import (
    FREE_KEYS,
    HISTORY_FIRST,
    ID_KEYS,
    KNOWN_WORDS,
    OPAQUE_DATA,
    PART_LISTS,
    PROTOCOL_KEYS,
    READABLE_PARTS,
    TOKEN_LISTS,
    UNREADABLE_PARTS,
)
from filters.verdict import Unread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from filters.verdict import JSON

Where: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the root. A KEY part stands at the place of its member."""

Number: TypeAlias = "int | float"
"""Not `float` alone: compiled, that would read 9010101234567 as 9010101234567.0."""

_ADDRESS: Final = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*://|(?:https?|ftp|gs|s3|file):)", re.IGNORECASE)
_DATA_URL: Final = re.compile(r"\s*data:(image|audio|video|[\w.+-]+)[^,\s]{0,200};base64,", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=\r\n-]{200,}")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z_-]{0,39}")
_SMALLEST_FRAGMENT: Final = 100
"""A shorter number carries nothing, alone or joined."""

MOST_DIGITS: Final = 20
"""Values of one digit that may be one number, digit by digit; more of them are a table."""

_FEWEST_DIGITS: Final = 4

_SMALLEST_IDENTIFIER: Final = 10_000_000
"""A shorter number among parameters of the wire format (`max_tokens`) is one of them."""


class Kind(IntEnum):
    TEXT = 0
    JSON_TEXT = 1
    """A string that is a JSON object or array: its literals are the content."""
    NUMBER = 2
    KEY = 3
    PROTOCOL = 4
    """An id or enumeration of the wire format."""


class Part(NamedTuple):
    """One visited string. `name` is the key that gives a structured value its meaning (`성명`), or ``."""

    where: Where
    text: str
    kind: Kind
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is inspected at all; beyond them a request is refused, not sampled."""

    depth: int = 64
    nodes: int = 300_000
    """Values of any kind that are looked at."""
    parts: int = 20_000
    """Strings, keys and numbers that are inspected."""
    characters: int = 2_000_000
    findings: int = 10_000


class Walk(NamedTuple):
    """`seen` counts every visited string, also the protocol constants that are looked up, not inspected."""

    parts: list[Part]
    unread: list[Unread]
    characters: int
    seen: int


class _Scope(IntEnum):
    PROTOCOL = 0
    FREE = 1
    UNREADABLE = 2


def walk(body: object, limits: Limits | None = None) -> Walk:
    """Every part of `body` (parsed JSON; `bytes` stand for an uploaded file), history first.

    Raises Unscannable for a body that is too deep or holds too much.
    """
    walker = _Walker(limits or Limits())
    if isinstance(body, dict):
        walker.top(body)
    else:
        walker.value(body, (), "", _Scope.PROTOCOL, "")
    return Walk(walker.parts, walker.unread, walker.characters, len(walker.parts) + walker.constants)


def written_path(where: Where) -> str:
    """`messages[0].content[2].text`; a key that is not plain ASCII is named by its kind, not by its text."""
    if not where:
        return "text"
    steps: list[str] = []
    for step in where:
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif step in PROTOCOL_KEYS or _PLAIN_KEY.fullmatch(step):
            steps.append(f".{step}" if steps else step)
        else:
            steps.append(".*" if steps else "*")
    return "".join(steps)


def rewritten(body: JSON, texts: Mapping[Where, str], keys: Mapping[Where, str]) -> JSON:
    """A copy of `body` with the values and keys at these places replaced; untouched branches are shared."""
    if not texts and not keys:
        return body
    changed = {where[:depth] for where in (*texts, *keys) for depth in range(len(where) + 1)}
    return _rewritten(body, (), texts, keys, changed)


def _rewritten(
    value: JSON, where: Where, texts: Mapping[Where, str], keys: Mapping[Where, str], changed: set[Where]
) -> JSON:
    if where in texts:
        return texts[where]
    if where not in changed:
        return value
    if isinstance(value, dict):
        return {
            keys.get((*where, key), key): _rewritten(child, (*where, key), texts, keys, changed)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [_rewritten(child, (*where, i), texts, keys, changed) for i, child in enumerate(value)]
    return value


class _Walker:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.parts: list[Part] = []
        self.unread: list[Unread] = []
        self.characters = 0
        self.constants = 0
        self.nodes = 0

    def top(self, body: dict[str, JSON]) -> None:
        for key in HISTORY_FIRST:
            if key in body:
                self.member(key, body[key], (), _Scope.PROTOCOL, "")
        for key, child in body.items():
            if key not in HISTORY_FIRST:
                self.member(key, child, (), _Scope.PROTOCOL, "")

    def value(self, value: JSON, where: Where, name: str, scope: _Scope, role: str) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise Unscannable("too_large")
        if isinstance(value, str):
            self.string(value, where, name, scope, role)
        elif isinstance(value, dict):
            self.object(value, where, scope, role)
        elif isinstance(value, list):
            self.array(value, where, name, scope, role)
        elif isinstance(value, (bytes, bytearray)):
            self.unread.append(Unread(written_path(where), "file"))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self.number(value, where, name, scope, role)

    def object(self, value: dict[str, JSON], where: Where, scope: _Scope, role: str) -> None:
        if len(where) > self.limits.depth:
            raise Unscannable("too_deep")
        if scope is _Scope.PROTOCOL:
            role_here = value.get("role")
            if isinstance(role_here, str):
                role = role_here
        for key, child in value.items():
            if key == "data" and scope is _Scope.PROTOCOL and _type_of(value) not in OPAQUE_DATA:
                self.value(child, (*where, key), "", _Scope.FREE, role)
            else:
                self.member(key, child, where, scope, role)

    def member(self, key: str, child: JSON, where: Where, scope: _Scope, role: str) -> None:
        if key not in PROTOCOL_KEYS:
            self.add(Part((*where, key), key, Kind.KEY, "", role))
            inner = _Scope.FREE if scope is _Scope.PROTOCOL else scope
            self.value(child, (*where, key), key, inner, role)
        elif scope is _Scope.PROTOCOL and _is_free(key, child, where):
            self.value(child, (*where, key), "", _Scope.FREE, role)
        elif scope is _Scope.PROTOCOL and _is_lone_part(child, key):
            self.part(child, (*where, key), role)
        else:
            named = scope is _Scope.FREE or (key == "name" and role)  # a participant's name, not a function's
            self.value(child, (*where, key), key if named else "", scope, role)

    def array(self, value: list[JSON], where: Where, name: str, scope: _Scope, role: str) -> None:
        if len(where) > self.limits.depth:
            raise Unscannable("too_deep")
        key = _own_key(where)
        if scope is _Scope.PROTOCOL and key in TOKEN_LISTS and _are_tokens(value):
            self.unread.append(Unread(written_path(where), "tokens"))
            return
        typed = scope is _Scope.PROTOCOL and key in PART_LISTS
        spelled = _are_digits(value)
        for index, child in enumerate(value):
            here = (*where, index)
            if typed and isinstance(child, dict):
                self.part(child, here, role)
            elif spelled and isinstance(child, int):
                self.add(Part(here, repr(child), Kind.NUMBER, name, role))
            else:
                self.value(child, here, name, scope, role)

    def part(self, value: dict[str, JSON], where: Where, role: str) -> None:
        """One typed part of a content list: readable, known to be unreadable, or unknown."""
        kind = _type_of(value)
        bare = "type" not in value and ("role" in value or "text" in value)
        if bare or kind in READABLE_PARTS or _is_plain_document(value):
            self.object(value, where, _Scope.PROTOCOL, role)
        else:
            self.unread.append(Unread(written_path(where), UNREADABLE_PARTS.get(kind, "unknown")))
            self.object(value, where, _Scope.UNREADABLE, role)

    def string(self, text: str, where: Where, name: str, scope: _Scope, role: str) -> None:
        payload = _DATA_URL.match(text)
        if scope is _Scope.UNREADABLE and (kind_elsewhere := _elsewhere(where, text)):
            self.unread.append(Unread(written_path(where), kind_elsewhere))
        if scope is _Scope.UNREADABLE and (payload or _BASE64.fullmatch(text)):
            return  # listed as unread already; a payload is not decoded as text
        if payload:
            kind_of_data = payload.group(1).lower()
            known = kind_of_data if kind_of_data in ("image", "audio", "video") else "file"
            self.unread.append(Unread(written_path(where), known))
            return
        if text in KNOWN_WORDS:
            self.constants += 1
            return
        if scope is _Scope.PROTOCOL and _own_key(where) in ID_KEYS:
            kind = Kind.PROTOCOL
        else:
            kind = Kind.JSON_TEXT if is_json_container(text) else Kind.TEXT
        self.add(Part(where, text, kind, name, role))

    def number(self, value: Number, where: Where, name: str, scope: _Scope, role: str) -> None:
        smallest = _SMALLEST_IDENTIFIER if scope is _Scope.PROTOCOL else _SMALLEST_FRAGMENT
        if abs(value) >= smallest:
            self.add(Part(where, repr(value), Kind.NUMBER, name, role))

    def add(self, part: Part) -> None:
        self.parts.append(part)
        self.characters += len(part.text)
        if self.characters > self.limits.characters or len(self.parts) > self.limits.parts:
            raise Unscannable("too_large")


def _own_key(where: Where) -> str:
    """The nearest key above a place: that of the list for a list's element."""
    for step in reversed(where):
        if isinstance(step, str):
            return step
    return ""


def _is_free(key: str, child: object, where: Where) -> bool:
    """Tool arguments come as `input` objects too; at the top and as a list `input` is of the protocol."""
    return key in FREE_KEYS or (key == "input" and bool(where) and isinstance(child, dict))


def _is_lone_part(child: object, key: str) -> TypeGuard[dict[str, JSON]]:
    """A part that stands where a list of parts is usual."""
    if key not in PART_LISTS or not isinstance(child, dict):
        return False
    return key == "content" or _type_of(child) in UNREADABLE_PARTS


def _elsewhere(where: Where, text: str) -> str:
    """What an attachment names instead of holding it: an address to fetch, a file kept at a provider."""
    if _ADDRESS.match(text):
        return "remote"
    return "stored" if _own_key(where) == "file_id" else ""


def _type_of(part: dict[str, JSON]) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _are_tokens(value: list[JSON]) -> bool:
    if not value:
        return False
    first = value[0]
    return isinstance(first, int) or (isinstance(first, list) and bool(first) and isinstance(first[0], int))


def _are_digits(value: list[JSON]) -> bool:
    """Whether a list may be a number, digit by digit; its small numbers are worth reading then."""
    return _FEWEST_DIGITS <= len(value) <= MOST_DIGITS and all(
        isinstance(child, (int, str)) and len(digit := str(child)) == 1 and digit.isdecimal()
        for child in value
    )


def _is_plain_document(value: dict[str, JSON]) -> bool:
    """Anthropic's document part whose source is text or content, which is as readable as any text."""
    source = value.get("source")
    return (
        _type_of(value) == "document" and isinstance(source, dict) and _type_of(source) in ("text", "content")
    )
