"""Why a request cannot be decided on, and is therefore refused.

    FilterRefusal              nothing was sent, and nothing may be
    ├── Unscannable            a part nobody could read: by kind, by depth or by size
    └── DetectorFailed         a detector raised, or the time for the request ran out
    PolicyError                a policy table that says something we do not understand

No exception here holds text of a prompt: a path, a reason and a count are all it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from filters.verdict import Unread

Reason = Literal["unknown_part", "unreadable_part", "too_deep", "too_large"]


class FilterRefusal(Exception):
    """The request was not fully inspected, so it must not leave."""


class Unscannable(FilterRefusal):
    """A part of the request could not be read, and the policy of the zone does not let it pass unread.

    `parts` lists what was not read, by path and kind. It is empty for `too_deep` and `too_large`,
    where the walk stopped.
    """

    def __init__(self, reason: Reason, parts: Sequence[Unread] = ()) -> None:
        places = ", ".join(part.path for part in parts)
        super().__init__(f"{reason}: {places}" if places else reason)
        self.reason: Reason = reason
        self.parts = tuple(parts)


class DetectorFailed(FilterRefusal):
    """Detection did not finish. `path` is the string at work, `cause` the kind of failure."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"detection of {path} failed: {cause}")
        self.path = path
        self.cause = cause


class PolicyError(ValueError):
    """A policy table is wrong. The message names the key and says what is possible there."""
