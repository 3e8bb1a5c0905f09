"""Small shipped word lists for names and addresses, and their loader.

Written by filters/scripts/build_lexicon.py and train_names.py; sources and licences stand in NOTICE.
Plain text, one class per line, so a reviewer can read what the filter knows. No prompt text, no
machine-learning format, nothing that executes on loading.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filters.native import prefer_compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEXICON_DIR: Final = Path(__file__).parent

prefer_compiled(__name__, __path__)

SURNAMES: Final = frozenset(
    "김이박최정강조윤장임한오서신권황안송류유홍전고문손양배백허남심노하곽성차주우구나민진지엄채원천방공현함변염여추도"
    "소석선설마길연위표명기반라왕금옥육인맹제모탁국어은편용예봉사경피감음빈동온호범좌팽승간상갈단견당화창형계시로리두"
)
"""One-syllable Korean surnames (2015 census, all with about 200 bearers or more), with 로 and 리 (North)."""

COMPOUND_SURNAMES: Final = frozenset("남궁 독고 선우 황보 제갈 사공 서문 동방 어금 망절 황목".split())


def words(*, foreign_only: bool = False) -> Iterator[tuple[str, int]]:
    """Word -> class `cfpk` as a number: thousands common, hundreds foreign, tens thing, ones known person.

    One after the other: 127,000 words kept as strings take 17 MB (filters/lexicon/table.py takes two).
    """
    return _lines("words.txt", lambda code: code % 1000 >= FOREIGN or not foreign_only)


FOREIGN: Final = 100
"""The last three digits of a class, from here on: part of foreign names."""


def given() -> Iterator[tuple[str, int]]:
    """Two-syllable given name -> class `bc`: tens how usual it is, ones how many words end so."""
    return _lines("given.txt", lambda _: True)


@cache
def syllables(position: int) -> dict[str, int]:
    """Syllable -> log odds in [-4, 4]: 0 and 1 in a given name of two, 2 of one, 3 in a foreign name."""
    prefix = f"{position}:"
    lines = (LEXICON_DIR / "syllables.txt").read_text("utf-8").splitlines()
    classes = (line.split(" ") for line in lines if line.startswith(prefix))
    return {syllable: int(code[2:]) for code, *members in classes for syllable in members}


def _lines(name: str, wanted: Callable[[int], bool]) -> Iterator[tuple[str, int]]:
    with (LEXICON_DIR / name).open(encoding="utf-8") as lines:
        for line in lines:
            code = int(line[: line.index(" ")])
            if wanted(code):
                for some in _SOME_WORDS.finditer(line):
                    yield from ((word, code) for word in some.group().split())


_SOME_WORDS: Final = re.compile("(?:[가-힣]+ ?){1,500}")
"""Few enough that their strings come and go in the same memory."""
