"""The gate: one pass of one RE2 automaton says which detectors need to look at a text at all.

A gate pattern may fire too often, never too seldom: a detector's own pattern decides. RE2 has neither
look-around nor backtracking, so the pass is linear in the text whatever it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import re2

if TYPE_CHECKING:
    from collections.abc import Sequence


class Gate:
    """Maps a text to the owners of the patterns that occur in it.

    Owner i gave `patterns_of[i]`; an owner without patterns is always let through.
    """

    def __init__(self, patterns_of: Sequence[Sequence[str]]) -> None:
        self._always = frozenset(owner for owner, patterns in enumerate(patterns_of) if not patterns)
        self._owners = [owner for owner, patterns in enumerate(patterns_of) for _ in patterns]
        self._set = re2.Set.SearchSet()
        for patterns in patterns_of:
            for pattern in patterns:
                self._set.Add(pattern)
        if self._owners:
            self._set.Compile()

    def owners(self, text: str) -> set[int]:
        """Indices of the owners that must look at `text`."""
        fired = self._set.Match(text) if self._owners else ()
        return {self._owners[index] for index in fired} | self._always
