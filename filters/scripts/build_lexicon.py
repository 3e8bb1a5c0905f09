"""Build filters/lexicon/ offline from two Apache-2.0 dictionaries; nothing here runs in the gateway.

Sources, both Apache-2.0 (notices in filters/lexicon/NOTICE):
- kiwipiepy_model: morphemes in order of frequency, and `multi.dict`, whose names of people carry
  Wikidata's class Q5 (human).
- python-mecab-ko-dic 2.1.1: dictionary entries tagged 인명 (person) and 지명 (place).

    pip install kiwipiepy python-mecab-ko-dic
    python -m filters.scripts.build_lexicon   # writes words.txt, given.txt, syllables.txt, persons.crc

What is shipped are words with coarse classes and counts, no entry's definition and no text.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from array import array
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from filters.lexicon import COMPOUND_SURNAMES, LEXICON_DIR, SURNAMES
from filters.lexicon.korean import suffixes
from filters.lexicon.sounds import CELLS, EDGE, TENTHS, cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kiwipiepy import Kiwi

HANGUL: Final = re.compile(r"[가-힣]+")
COMMON_TAGS: Final = frozenset("NNG MAG MAJ NR NP NNB MM XR IC".split())
RANK_EDGES: Final = (3_000, 12_000, 40_000)
"""Kiwi numbers its morphemes by falling frequency; past 40,000 the order says little."""
FREQUENT: Final = 90_000
"""Kiwi's proper nouns up to here are in order of frequency, too."""
TOKEN_EDGES: Final = (2, 4, 16)
OTHER_EDGES: Final = (2, 8)
MAX_NAME: Final = 8
SYLLABLE_EDGES: Final = (20, 60, 150)
SAMPLE_NAMES: Final = frozenset({"홍길동", "성춘향"})
"""Heroes of novels to the dictionaries; on every form of an office they stand for a person."""
GIVEN_EDGES: Final = (1, 2, 4, 10, 25)


class Sources(NamedTuple):
    """What both dictionaries say, as sets of Hangul strings and counts."""

    rank: dict[str, int]
    """common word -> frequency rank in Kiwi (0 is the most frequent)"""
    proper: dict[str, int]
    """proper noun (any kind) -> rank in Kiwi"""
    persons: set[str]
    places: set[str]
    nouns: set[str]
    """mecab-ko-dic's common nouns and inflected forms"""
    tokens: Counter[str]
    """one word of a several-word name of a person (Wikidata Q5) -> number of people"""
    others: Counter[str]
    """one word of a several-word name of anything else -> number of things"""


def main() -> None:
    sources = read_sources()
    given = given_names(sources.persons)
    (LEXICON_DIR / "persons.crc").write_bytes(fingerprints(sources.persons))
    _write("words.txt", word_classes(sources, given))
    _write("given.txt", given_classes(given, sources))
    _write("syllables.txt", syllable_scores(given, sources))
    (LEXICON_DIR / "others.crc").write_bytes(other_fingerprints(sources))
    (LEXICON_DIR / "sounds.bin").write_bytes(sounds(sources))


# Reading the dictionaries ---------------------------------------------------------------------


def read_sources() -> Sources:
    from kiwipiepy import Kiwi

    rank: dict[str, int] = {}
    proper: dict[str, int] = {}
    for number, (form, tag) in enumerate(_kiwi_morphemes(Kiwi())):
        if HANGUL.fullmatch(form):
            if tag in COMMON_TAGS:
                rank.setdefault(form, number)
            elif tag == "NNP":
                proper.setdefault(form, number)
            elif tag.startswith(("VV", "VA", "VX")):
                rank.setdefault(form + "다", number)
    features = list(_mecab_features())
    persons = {f[3] for f in features if f[:2] == ["NNP", "인명"]}
    places = {f[3] for f in features if f[:2] == ["NNP", "지명"]}
    nouns = {f[3] for f in features if f[0].startswith(("NNG", "VV+", "VA+", "MAG", "XR"))}
    tokens, others = _wikidata_tokens()
    return Sources(rank, proper, _hangul(persons), _hangul(places), _hangul(nouns), tokens, others)


def _kiwi_morphemes(kiwi: Kiwi) -> Iterator[tuple[str, str]]:
    number = 0
    while True:
        try:
            token = kiwi.morpheme(number)
        except (IndexError, ValueError):
            return
        yield token.form, token.tag
        number += 1


def _mecab_features() -> Iterator[list[str]]:
    """Feature strings of MeCab's compiled dictionary: a header, a double array, tokens, features."""
    import mecab_ko_dic  # type: ignore[import-not-found]  # only here, see the module docstring

    data = (Path(mecab_ko_dic.__file__).parent / "dictionary" / "sys.dic").read_bytes()
    header = struct.unpack("<10I", data[:40])
    start = 72 + header[6] + header[7]
    for feature in data[start : start + header[8]].split(b"\0"):
        fields = feature.decode("utf-8").split(",")
        if len(fields) > 3:
            yield fields


def _wikidata_tokens() -> tuple[Counter[str], Counter[str]]:
    """The words of several-word names: of people (Q5, human), and of everything else."""
    import kiwipiepy_model  # type: ignore[import-untyped]

    people: Counter[str] = Counter()
    others: Counter[str] = Counter()
    lines = (Path(kiwipiepy_model.__file__).parent / "multi.dict").read_text("utf-8").splitlines()
    for line in lines:
        words = line.split("\t")[0].split()
        if "# Q" in line and all(map(HANGUL.fullmatch, words)):
            (people if line.endswith("# Q5") else others).update(words)
    return people, others


def _hangul(words: Iterable[str]) -> set[str]:
    return {word for word in words if HANGUL.fullmatch(word)}


# Classes ---------------------------------------------------------------------------------------


def given_names(persons: set[str]) -> Counter[str]:
    """Given names of one and two syllables, counted over the different full names that bear them."""
    given: Counter[str] = Counter()
    for name in persons:
        if len(name) in (2, 3) and name[0] in SURNAMES:
            given[name[1:]] += 1
        elif len(name) == 4 and name[:2] in COMPOUND_SURNAMES:
            given[name[2:]] += 1
    return given


def word_classes(sources: Sources, given: Counter[str]) -> dict[str, list[str]]:
    """`cfpk` -> words: c common (0–4), f part of foreign names (0–3), p place or thing, k known person."""
    classes: dict[str, list[str]] = defaultdict(list)
    vocabulary = (
        set(sources.rank) | set(sources.proper) | sources.nouns | set(sources.tokens) | sources.persons
    )
    for word in sorted(vocabulary - SAMPLE_NAMES):
        code = _word_class(word, sources, given)
        if code != "0000" and _worth_shipping(word, code, given):
            classes[code].append(word)
    return classes


def _word_class(word: str, sources: Sources, given: Counter[str]) -> str:
    common = _bucket_of_rank(sources.rank.get(word), in_other=word in sources.nouns)
    token = _bucket(sources.tokens[word], TOKEN_EDGES if len(word) > 1 else SYLLABLE_EDGES)
    person = word in sources.persons
    proper = sources.proper.get(word, 1 << 30)
    thing = (word in sources.places and proper < 1 << 30) or (proper < FREQUENT and not person and not token)
    known = person and proper < FREQUENT
    if known and not token and not _is_korean_shape(word, given):
        token = 1
    return f"{common}{token}{int(thing)}{int(known)}"


def _is_korean_shape(word: str, given: Counter[str]) -> bool:
    return len(word) in (2, 3) and word[0] in SURNAMES and given[word[1:]] > 1


def _worth_shipping(word: str, code: str, given: Counter[str]) -> bool:
    """Keep what can collide with a name or be one; leave out what no candidate will ever ask for."""
    common, token, thing, known = (int(c) for c in code)
    if not 2 <= len(word) <= 6:
        return len(word) == 1 and token > 0
    surname_first = word[0] in SURNAMES
    return bool(
        token
        or known
        or common in (1, 2, 3)
        or (common == 4 and surname_first and (len(word) == 2 or (len(word) == 3 and given[word[1:]])))
        or (common == 4 and surname_first and len(word) in (3, 4, 5) and _splits_after_three(word))
        or (thing and (len(word) == 2 or (surname_first and len(word) <= 4)))
    )


def _splits_after_three(word: str) -> bool:
    """조사결과 reads as 조사결 + 과 unless the whole word is known."""
    return any(word[length:] in _SUFFIXES for length in (2, 3) if length < len(word))


_SUFFIXES: Final = frozenset(form for form, _ in suffixes())


def fingerprints(persons: set[str]) -> bytes:
    """Sorted CRC-32 values, little-endian, of every full name or part of 2–9 syllables.

    300,000 names in a megabyte; a word that is none is taken for one with probability 0.00007.
    """
    values = array("I", sorted({crc32(name.encode("utf-8")) for name in persons if 2 <= len(name) <= 9}))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def given_classes(given: Counter[str], sources: Sources) -> dict[str, list[str]]:
    """`bc` -> given names: b how many people bear it (0–5), c how many common words end with it (0–2)."""
    tails = Counter(
        word[1:] for word in set(sources.rank) | sources.nouns if len(word) == 3 and word[0] in SURNAMES
    )
    classes: dict[str, list[str]] = defaultdict(list)
    for name, count in sorted(given.items()):
        if len(name) == 2 and count > 1:
            classes[f"{_bucket(count, GIVEN_EDGES)}{_bucket(tails[name], (1, 4))}"].append(name)
    return classes


def syllable_scores(given: Counter[str], sources: Sources) -> dict[str, list[str]]:
    """`position:score` -> syllables; score is ln P(syllable | given name) / P(syllable | common word)."""
    scores: dict[str, list[str]] = defaultdict(list)
    words = [w for w in sources.rank if len(w) == 3 and w[0] in SURNAMES]
    people = Counter(g for g in given.elements() if len(g) == 2)
    singles = Counter({g: c for g, c in given.items() if len(g) == 1})
    for position in (0, 1):
        inside = Counter(g[position] for g in people.elements())
        outside = Counter(w[1 + position] for w in words)
        for syllable, score in _log_odds(inside, outside).items():
            scores[f"{position}:{score}"].append(syllable)
    outside = Counter(w[1] for w in sources.rank if len(w) == 2 and w[0] in SURNAMES)
    for syllable, score in _log_odds(singles, outside).items():
        scores[f"2:{score}"].append(syllable)
    for syllable, score in _log_odds(
        _letters(_foreign(sources)), _letters(dict.fromkeys(sources.rank, 1))
    ).items():
        scores[f"3:{score}"].append(syllable)
    return scores


def other_fingerprints(sources: Sources) -> bytes:
    """Sorted values, little-endian: the upper 30 bits of a word's CRC-32, and in the lowest two its class."""
    classes: dict[int, int] = {}
    for word, count in sorted(sources.others.items()):
        if 2 <= len(word) <= MAX_NAME:
            classes[crc32(word.encode("utf-8")) & ~3] = 1 + _bucket(count, OTHER_EDGES)
    values = array("I", sorted(value | number for value, number in classes.items()))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def sounds(sources: Sources) -> bytes:
    """Per cell of two syllables: tenths of the log odds that they follow each other in a person's name.

    People are the words of foreign names; what they are compared with are all words, places and other
    proper nouns of both dictionaries that no person is called.
    """
    words = set(sources.places) | set(sources.proper) | set(sources.others) | set(sources.rank)
    people = _pairs(sources.tokens)
    others = _pairs(words - set(sources.tokens) - sources.persons)
    a, b = sum(people.values()), sum(others.values())
    odds = array("b", bytes(CELLS))
    for number in people.keys() | others.keys():
        ratio = math.log((people[number] + 0.5) / a) - math.log((others[number] + 0.5) / b)
        odds[number] = max(-60, min(60, round(ratio * TENTHS)))
    return odds.tobytes()


def _pairs(words: Iterable[str]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for word in words:
        if len(word) > 1:
            codes = [EDGE, *map(ord, word), EDGE]
            counts.update(cell(first, second) for first, second in pairwise(codes))
    return counts


def _foreign(sources: Sources) -> dict[str, int]:
    return {word: 1 for word, count in sources.tokens.items() if count > 1 and len(word) > 1}


def _letters(words: dict[str, int]) -> Counter[str]:
    return Counter(syllable for word in words for syllable in word)


def _log_odds(inside: Counter[str], outside: Counter[str]) -> dict[str, int]:
    """Natural log odds, rounded and cut to [-4, 4]; add-one smoothing."""
    a, b = sum(inside.values()) + len(inside), sum(outside.values()) + len(outside)
    return {
        s: max(-4, min(4, round(math.log((inside[s] + 1) / a) - math.log((outside[s] + 1) / b))))
        for s in sorted(inside.keys() | outside.keys())
    }


def _bucket_of_rank(rank: int | None, *, in_other: bool) -> int:
    if rank is None:
        return 4 if in_other else 0
    return 1 + _bucket(rank, RANK_EDGES)


def _bucket(value: int, edges: tuple[int, ...]) -> int:
    return sum(value >= edge for edge in edges)


def _write(name: str, classes: dict[str, list[str]]) -> None:
    lines = [f"{code} {' '.join(words)}\n" for code, words in sorted(classes.items())]
    (LEXICON_DIR / name).write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
