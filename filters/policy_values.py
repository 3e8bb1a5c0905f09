"""Single values of a policy table, checked: actions, grades, thresholds, moments, names of types.

Each function returns the value or raises PolicyError naming the key and what is possible there.
"""

from __future__ import annotations

import difflib
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from filters.errors import PolicyError
from filters.kinds import KINDS
from filters.verdict import Action, Grade

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from filters.verdict import JSON

_ACTIONS: Final = {action.word: action for action in Action}
_SEOUL: Final = ZoneInfo("Asia/Seoul")
_LIKE_A_KNOWN_TYPE: Final = 0.8


def table_of(value: JSON, at: str, keys: Sequence[str] | None = None) -> Mapping[str, JSON]:
    """A table; with `keys`, one that has no others."""
    if not isinstance(value, dict):
        raise PolicyError(f"policy.{at}: expected a table, found {type(value).__name__}")
    for key in value if keys is not None else ():
        one_of(key, keys or (), f"{at}: unknown key")
    return value


def one_of(word: JSON, words: Sequence[str], at: str) -> str:
    if word in words:
        return str(word)
    near = difflib.get_close_matches(str(word), words, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"possible here: {', '.join(words)}"
    prefix = f"policy.{at}" if not at.startswith(":") else f"policy{at}"
    raise PolicyError(f"{prefix} {word!r}; {hint}")


def action(word: JSON, at: str) -> Action:
    if not isinstance(word, str) or word not in _ACTIONS:
        raise PolicyError(f"policy.{at}: {word!r} is no action; use one of {', '.join(_ACTIONS)}")
    return _ACTIONS[word]


def grade(letter: JSON, at: str) -> Grade:
    if not isinstance(letter, str) or letter not in Grade.__members__:
        raise PolicyError(f"policy.{at}: {letter!r} is no N2SF grade; use C, S or O")
    return Grade[letter]


def type_name(name: str, at: str) -> str:
    """A shipped entity type or one that the institution defined, but no slip of the pen."""
    if name not in KINDS and (near := difflib.get_close_matches(name, KINDS, n=1, cutoff=_LIKE_A_KNOWN_TYPE)):
        raise PolicyError(f"policy.{at}: unknown type {name!r}; did you mean {near[0]!r}?")
    return name


def share(value: JSON, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise PolicyError(f"policy.{at}: a threshold is a number from 0 to 1, not {value!r}")
    return float(value)


def count(value: JSON, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PolicyError(f"policy.{at}: expected a whole number from 1, not {value!r}")
    return value


def truth(value: JSON, at: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"policy.{at}: expected true or false, not {value!r}")
    return value


def word(value: JSON, at: str) -> str:
    if not isinstance(value, str) or not value:
        raise PolicyError(f"policy.{at}: expected a text in quotes, not {value!r}")
    return value


def words(value: JSON, at: str) -> list[str]:
    if not isinstance(value, list):
        raise PolicyError(f"policy.{at}: expected a list of texts, found {type(value).__name__}")
    return [word(one, at) for one in value]


def moment(value: JSON, at: str) -> datetime:
    """An aware moment in UTC; a bare date or local time is meant in Seoul."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PolicyError(
                f"policy.{at}: {value!r} is no date or time (2026-11-01, 2026-11-01T09:00:00+09:00)"
            ) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=_SEOUL)
    if not isinstance(value, datetime):
        raise PolicyError(f"policy.{at}: expected a date or a time, found {type(value).__name__}")
    return (value if value.tzinfo else value.replace(tzinfo=_SEOUL)).astimezone(UTC)
