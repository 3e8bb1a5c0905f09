"""Which model a provider's bill means: ids with dates, marketing names, SKU and meter descriptions. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WORDS: Final = re.compile(r"[a-z]+|\d+|[가-힣]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DATES: Final = re.compile(r"[-@ ](20\d{2}-\d{2}-\d{2}|20\d{6})(?!\d)")
_REVISION: Final = re.compile(r"-v\d+(:\d+)?$")
_MONTH_DAY: Final = re.compile(r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_VARIANTS: Final = frozenset(
    "mini nano micro pro lite flash turbo max ultra small medium large air high codex image audio realtime "
    "transcribe tts embedding search deep preview vision instruct live thinking".split()
)
"""A word of these behind a model's name makes it another model: `gpt 4o` is not `gpt 4o mini`."""


def words_of(name: str) -> tuple[str, ...]:
    """Return a name's words without date and revision: `claude-opus-4-5-20251101` -> claude opus 4 5."""
    plain = _REVISION.sub("", _DATES.sub(" ", name.strip()))
    words = _WORDS.findall(_CAMEL.sub(" ", plain).lower())
    return tuple(word for word in words if not _MONTH_DAY.fullmatch(word))


class ModelNames:
    """Finds the ledger's model that a bill's name means; `aliases` (the institution's own) go before."""

    def __init__(self, models: Iterable[str], aliases: Mapping[str, str]) -> None:
        self._models = frozenset(models)
        self._aliases = aliases
        by_words: dict[tuple[str, ...], str] = {}
        for model in sorted(self._models, key=len, reverse=True):  # the plainest name of several wins
            by_words[words_of(model)] = model
            by_words[_without_vendor(words_of(model))] = model
        self._by_words = by_words
        self._longest_first = sorted(by_words, key=lambda words: (-len(words), words))

    def find(self, name: str, *, exact: bool) -> str:
        """Return the ledger's name, or the bill's own where none is meant."""
        if name in self._aliases:
            return self._aliases[name]
        if name in self._models:
            return name
        words = words_of(name)
        if exact:
            return self._by_words.get(words) or self._by_words.get(_without_vendor(words)) or name
        return next((self._by_words[one] for one in self._longest_first if _within(one, words)), name)


def _without_vendor(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of `anthropic.claude-…` and `models/gemini-…` without what stands in front."""
    vendors = {"anthropic", "amazon", "meta", "mistral", "cohere", "models", "openai", "google", "us", "apac"}
    while len(words) > 1 and words[0] in vendors:
        words = words[1:]
    return words


def _within(model: tuple[str, ...], described: tuple[str, ...]) -> bool:
    """Whether a description names a model: its words in a row, and no word behind that makes it another.

    Words may change places, figures may not: `Claude4.5Sonnet` is claude-sonnet-4-5.
    """
    size, wanted = len(model), _unordered(model)
    for start in range(len(described) - size + 1):
        if _unordered(described[start : start + size]) == wanted:
            behind = described[start + size : start + size + 1]
            return not (behind and (behind[0] in _VARIANTS or behind[0].isdigit()))
    return False


def _unordered(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    return [word for word in words if word.isdigit()], sorted(word for word in words if not word.isdigit())
