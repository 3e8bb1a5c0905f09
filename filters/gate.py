"""The gate: one pass of one RE2 automaton says which detectors need to look at a text at all.

A gate pattern may fire too often, never too seldom: a detector's own pattern decides. RE2 has neither
look-around nor backtracking, so the pass is linear in the text whatever it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import re2

if TYPE_CHECKING:
    from collections.abc import Sequence


_MAX_BYTES: Final = 64 << 20
"""A ceiling for the automaton, which grows with the kinds of text it meets; it is not allocated at once."""


class Gate:
    """Maps a text to the owners of the patterns that occur in it.

    Owner i gave `patterns_of[i]`; an owner without patterns is always let through.
    """

    def __init__(self, patterns_of: Sequence[Sequence[str]]) -> None:
        self._all = frozenset(range(len(patterns_of)))
        self._always = frozenset(owner for owner, patterns in enumerate(patterns_of) if not patterns)
        self._owners = [owner for owner, patterns in enumerate(patterns_of) for _ in patterns]
        self._set = re2.Set.SearchSet(_options())
        for patterns in patterns_of:
            for pattern in patterns:
                self._set.Add(pattern)
        self._set.Add("")
        self._set.Compile()

    def owners(self, text: str) -> frozenset[int]:
        """Indices of the owners that must look at `text`."""
        fired = self._set.Match(text)
        if not fired:
            return self._all  # the empty pattern always matches: nothing at all means RE2 gave up
        return self._always.union(self._owners[index] for index in fired if index < len(self._owners))


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MAX_BYTES
    options.log_errors = False
    return options
