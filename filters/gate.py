"""The gate: a pass of three small RE2 automata says which detectors need to look at a text at all.

A gate pattern may fire too often, never too seldom: a detector's own pattern decides. RE2 has neither
look-around nor backtracking, so the pass is linear in the text whatever it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import re2

if TYPE_CHECKING:
    from collections.abc import Sequence


_MAX_BYTES: Final = 16 << 20
"""A ceiling for the automaton, which grows with the kinds of text it meets; it is not allocated at once."""


class Gate:
    """Maps a text to the owners of the patterns that occur in it.

    Owner i gave `patterns_of[i]`; an owner without patterns is always let through.
    """

    def __init__(self, patterns_of: Sequence[Sequence[str]]) -> None:
        self._all = frozenset(range(len(patterns_of)))
        self._always = frozenset(owner for owner, patterns in enumerate(patterns_of) if not patterns)
        owners = [owner for owner, patterns in enumerate(patterns_of) for _ in patterns]
        shelves = _shelved([pattern for patterns in patterns_of for pattern in patterns])
        self._shelves = [(automaton, [owners[place] for place in places]) for automaton, places in shelves]

    def owners(self, text: str) -> set[int]:
        """Indices of the owners that must look at `text`."""
        raw = text.encode()
        owners = set(self._always)
        for automaton, owner_of in self._shelves:
            fired = automaton.Match(raw)
            if not fired:
                return set(self._all)  # the empty pattern always matches: nothing at all means RE2 gave up
            for index in fired:
                if index < len(owner_of):
                    owners.add(owner_of[index])
        return owners


def _shelved(patterns: Sequence[str]) -> list[tuple[re2.Set, list[int]]]:
    """One automaton per kind of pattern, with the places of its patterns in `patterns`.

    Words, rows of digits and rows of letters and digits each make a small automaton; together their
    states multiply and RE2 slows down a hundredfold.
    """
    shelves: dict[str, list[int]] = {}
    for place, pattern in enumerate(patterns):
        shelves.setdefault(_kind(pattern), []).append(place)
    return [(_automaton([patterns[place] for place in places]), places) for places in shelves.values()]


def _kind(pattern: str) -> str:
    if "[0-9]" in pattern:
        return "digits"
    return "tokens" if "{" in pattern and "[A-Za-z0-9" in pattern else "words"


def _automaton(patterns: Sequence[str]) -> re2.Set:
    automaton = re2.Set.SearchSet(_options())
    for pattern in patterns:
        automaton.Add(pattern)
    automaton.Add("")
    automaton.Compile()
    return automaton


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MAX_BYTES
    options.log_errors = False
    return options
