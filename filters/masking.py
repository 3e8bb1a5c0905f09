"""Mask tokens: `⟦PERSON_1⟧` stands for a value on its way out and becomes the value again on its way back.

Tokens are numbered per type by first appearance, the same value has the same token, and the map
lives in memory for one request. What the user wrote that looks like one of our tokens is itself
masked (type LITERAL), so it comes back as it was typed. No detection and no policy here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.jsontext import literals_within, quote_inside, unescape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from filters.jsontext import Literal

OPEN, CLOSE = "⟦", "⟧"
LITERAL: Final = "LITERAL"

_NAME: Final = r"((?:[\w \u00a0]|\\{1,2}_){3,64})"
_PLAIN: Final = re.compile(rf"⟦{_NAME}⟧|〚{_NAME}〛|【{_NAME}】|\[{_NAME}\]")
_IN_JSON: Final = re.compile(
    rf"(?:⟦|\\u27[eE]6){_NAME}(?:⟧|\\u27[eE]7)|〚{_NAME}〛|【{_NAME}】|\[{_NAME}\]|\\."
)
r"""Tokens as models alter them: blanks inside, other brackets, Markdown's `\_`, JSON's `\u27e6`. In JSON
an escaped pair is consumed whole, so that an escaped backslash before `u27e6` begins no token."""
_FIRST: Final = re.compile(r"[⟦〚【\[]|\\u27")
_TOKEN_SHAPE: Final = re.compile(r"⟦\w+_\d{1,6}⟧")


class Cut(NamedTuple):
    """A half-open range of a string and the token that takes its place; `quoted` wraps it in quotes."""

    start: int
    end: int
    token: str
    quoted: bool = False


class TokenBook:
    """Hands out the tokens of one request and remembers what each stands for."""

    def __init__(self, never_restored: Iterable[str] = ()) -> None:
        self._never = frozenset(never_restored)
        self._tokens: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self.restorable: dict[str, str] = {}

    def token(self, type_: str, value: str) -> str:
        """The token for this value of this type: a new one at its first appearance."""
        known = self._tokens.get((type_, value))
        if known is not None:
            return known
        number = self._counts.get(type_, 0) + 1
        self._counts[type_] = number
        token = self._tokens[type_, value] = f"{OPEN}{type_}_{number}{CLOSE}"
        if type_ not in self._never:
            self.restorable[token] = value
        return token

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def values(self) -> Iterable[tuple[str, str]]:
        """(type, value) of everything that has a token."""
        return self._tokens.keys()


def masked(text: str, cuts: list[Cut], escape: Callable[[str], str]) -> str:
    """`text` with every cut replaced and look-alikes in between escaped. Cuts are sorted and disjoint."""
    pieces: list[str] = []
    at = 0
    for start, end, token, quoted in cuts:
        pieces.append(escape(text[at:start]))
        pieces.append(f'"{token}"' if quoted else token)
        at = end
    pieces.append(escape(text[at:]))
    return "".join(pieces)


def may_hold_look_alike(text: str) -> bool:
    """The cheap question before the dear one."""
    return _FIRST.search(text) is not None


def escape_look_alikes(text: str, book: TokenBook) -> str:
    """Mask what the user typed in the form of a token, so that no answer can confuse the two.

    Call it when every value of the request has its token: `[PERSON_1]` matters only if we would
    restore it, and it is everybody's notation otherwise.
    """
    if not may_hold_look_alike(text):
        return text
    return _PLAIN.sub(lambda match: _literal(match, str, book), text)


def escape_look_alikes_in_json(text: str, book: TokenBook) -> str:
    """The same inside JSON source, where the brackets may be written as escapes."""
    if not may_hold_look_alike(text):
        return text
    return _IN_JSON.sub(lambda match: _literal(match, _unescaped, book), text)


def _unescaped(source: str) -> str:
    return unescape(source).text


def _literal(match: re.Match[str], read: Callable[[str], str], book: TokenBook) -> str:
    token = canonical(match)
    ours = _TOKEN_SHAPE.fullmatch(token) and (
        match.group()[0] in "⟦\\" or token in book.restorable or token.startswith(f"{OPEN}{LITERAL}_")
    )
    return book.token(LITERAL, read(match.group())) if ours else match.group()


def literal_cuts(start: int, end: int, literals: list[Literal], after: int) -> list[tuple[int, int, bool]]:
    """The pieces of a range that lie in literals of a JSON text and past `after`: (start, end, is a number).

    A number is taken whole, because half a number and half a token are no JSON; what lies between
    literals stays as it is.
    """
    return [
        (max(start, literal.start, after), min(end, literal.end), False)
        if literal.is_string
        else (literal.start, literal.end, True)
        for literal in literals_within(literals, start, end)
        if (literal.end if literal.is_string else literal.start + 1) > after
    ]


class Restorer:
    """Puts the values back into an answer. `masks` is `Verdict.masks`: token to original."""

    def __init__(self, masks: Mapping[str, str]) -> None:
        self._masks = masks

    def restore(self, text: str) -> str:
        """The text with every known token, also slightly altered ones, replaced by its value."""
        if not self._masks or _FIRST.search(text) is None:
            return text
        return _PLAIN.sub(self._plain, text)

    def restore_json(self, text: str) -> str:
        """The same inside JSON source (tool-call arguments): values are escaped for their string."""
        if not self._masks or _FIRST.search(text) is None:
            return text
        return _IN_JSON.sub(self._in_json, text)

    def _plain(self, match: re.Match[str]) -> str:
        return self._masks.get(canonical(match), match.group())

    def _in_json(self, match: re.Match[str]) -> str:
        value = self._masks.get(canonical(match)) if match.lastindex else None
        return match.group() if value is None else quote_inside(value)


def canonical(match: re.Match[str]) -> str:
    r"""The token that an altered one means: `⟦ person 1 ⟧` and `[PERSON\_1]` are both `⟦PERSON_1⟧`.

    Foreign brackets must hold the exact name: `[Person 1]` may be the model's own placeholder.
    """
    if match.lastindex is None:
        return ""
    name = match.group(match.lastindex).replace("\\", "")
    if match.lastindex == 1:
        name = name.replace("\u00a0", " ").strip(" ").replace(" ", "_").upper()
    return f"{OPEN}{name}{CLOSE}"
