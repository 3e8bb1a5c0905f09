"""Precision, recall and F1 of a detector on labelled documents: exact and overlapping spans, per type.

Reads two formats: JSON lines `{"text": …, "pii": [{"type", "text"}, …]}` (every occurrence of a labelled
text is gold) and KLUE-NER's character-tagged TSV (PS is PERSON; no other tag is scored). Pure apart from
reading the file it is given; knows no detector: the caller hands one in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from filters import spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from filters.spans import Span

LABELS: Final = {
    "PERSON": spans.PERSON,
    "PHONE": spans.PHONE_NUMBER,
    "EMAIL": spans.EMAIL_ADDRESS,
    "RRN": spans.KR_RRN,
    "FRN": spans.KR_FRN,
    "ADDRESS": spans.KR_ADDRESS,
    "ACCOUNT": spans.KR_BANK_ACCOUNT,
    "BUSINESS_REG": spans.KR_BRN,
    "CORP_REG": spans.KR_CORP_NO,
    "CARD": spans.CREDIT_CARD,
    "VEHICLE": spans.KR_VEHICLE,
    "DT_BIRTH": spans.DATE_OF_BIRTH,
    "MEDICAL_INSURANCE": spans.KR_HEALTH_INSURANCE,
    "IP": spans.IP_ADDRESS,
    "DRIVER_LICENSE": spans.KR_DRIVER_LICENSE,
    "PASSPORT": spans.KR_PASSPORT,
}
"""Labels of administrative.jsonl -> our types; any other label is not what this filter looks for."""

CORE_TYPES: Final = tuple(dict.fromkeys(LABELS.values()))


class Gold(NamedTuple):
    """A labelled span, `[start, end)` in code points."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class Document:
    """One labelled text. `scored` are the types that its labels cover."""

    text: str
    spans: tuple[Gold, ...]
    source: str
    scored: tuple[str, ...] = CORE_TYPES


@dataclass(slots=True)
class Score:
    """Counts of one type; an overlapping pair is matched one to one."""

    gold: int = 0
    found: int = 0
    exact: int = 0
    gold_touched: int = 0
    found_touching: int = 0

    def exact_f1(self) -> float:
        return f1(ratio(self.exact, self.found), ratio(self.exact, self.gold))

    def overlap_f1(self) -> float:
        return f1(ratio(self.found_touching, self.found), ratio(self.gold_touched, self.gold))


class Row(NamedTuple):
    """One line of the report; figures are in [0, 1]."""

    type: str
    gold: int
    found: int
    exact_precision: float
    exact_recall: float
    exact_f1: float
    overlap_precision: float
    overlap_recall: float
    overlap_f1: float


@dataclass(slots=True)
class Report:
    """Scores per type of one set of documents, and their sum over all scored types."""

    documents: int = 0
    scores: dict[str, Score] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """A row per type, the most frequent first, then `ALL` (micro average)."""
        by_size = sorted(self.scores.items(), key=lambda item: (-item[1].gold, item[0]))
        return [_row(name, score) for name, score in by_size] + [_row("ALL", self.total())]

    def total(self) -> Score:
        parts = self.scores.values()
        return Score(
            sum(s.gold for s in parts),
            sum(s.found for s in parts),
            sum(s.exact for s in parts),
            sum(s.gold_touched for s in parts),
            sum(s.found_touching for s in parts),
        )


def evaluate(detect: Callable[[str], Iterable[Span]], documents: Iterable[Document]) -> Report:
    """Run `detect` over `documents` and count; types that a document does not label are not scored."""
    report = Report()
    for document in documents:
        report.documents += 1
        found = [Gold(s.start, s.end, s.type) for s in detect(document.text)]
        for kind in document.scored:
            gold_spans = [s for s in document.spans if s.type == kind]
            found_spans = [s for s in found if s.type == kind]
            if gold_spans or found_spans:
                _count(report.scores.setdefault(kind, Score()), gold_spans, found_spans)
    return report


def _count(score: Score, gold: list[Gold], found: list[Gold]) -> None:
    score.gold += len(gold)
    score.found += len(found)
    score.exact += len(set(gold) & set(found))
    score.gold_touched += sum(any(_touch(g, f) for f in found) for g in gold)
    score.found_touching += sum(any(_touch(g, f) for g in gold) for f in found)


def _touch(a: Gold, b: Gold) -> bool:
    return a.start < b.end and b.start < a.end


def _row(name: str, s: Score) -> Row:
    return Row(
        name, s.gold, s.found,
        ratio(s.exact, s.found), ratio(s.exact, s.gold), s.exact_f1(),
        ratio(s.found_touching, s.found), ratio(s.gold_touched, s.gold), s.overlap_f1(),
    )  # fmt: skip


def ratio(part: int, whole: int) -> float:
    """`part / whole`; nothing expected and nothing done is a full score."""
    return part / whole if whole else 1.0


def f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


# Reading ---------------------------------------------------------------------------------------


def read(path: Path) -> Iterator[Document]:
    """Documents of a `.jsonl` or a KLUE `.tsv` file.

    Raises:
        ValueError: another suffix, or a line that is not of its format.
    """
    match path.suffix:
        case ".jsonl":
            return map(_json_document, filter(None, path.read_text("utf-8").splitlines()))
        case ".tsv":
            return _klue_documents(path.read_text("utf-8"))
    raise ValueError(f"'{path.name}' 형식을 모릅니다. .jsonl 또는 KLUE .tsv 파일을 주세요. (unknown format)")


def is_held_out(text: str) -> bool:
    """A quarter of all texts, by hash: never used for tuning, so that the figures on them mean something."""
    return hashlib.sha256(text.encode("utf-8")).digest()[0] >= 192


def _json_document(line: str) -> Document:
    entry = json.loads(line)
    text = entry["text"]
    gold: set[Gold] = set()
    for label in sorted(entry["pii"], key=lambda item: -len(item["text"])):
        kind = LABELS.get(label["type"])
        if kind is not None:
            gold.update(_free_occurrences(text, label["text"], kind, gold))
    return Document(text, tuple(sorted(gold)), "administrative")


def _free_occurrences(text: str, part: str, kind: str, taken: set[Gold]) -> list[Gold]:
    """Every occurrence of a labelled text that is not inside a longer labelled one of its type."""
    places: list[Gold] = []
    at = text.find(part)
    while at >= 0 and part:
        gold = Gold(at, at + len(part), kind)
        if not any(_touch(gold, other) and other.type == kind for other in taken):
            places.append(gold)
        at = text.find(part, at + len(part))
    return places


def _klue_documents(content: str) -> Iterator[Document]:
    for block in content.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith("##")]
        if lines:
            source = "klue-news" if "-wikitree" in block.partition("\t")[0] else "klue-reviews"
            yield _klue_document(lines, source)


def _klue_document(lines: list[str], source: str) -> Document:
    characters, tags = zip(*(line.rsplit("\t", 1) for line in lines), strict=True)
    starts = [i for i, tag in enumerate(tags) if tag == "B-PS"]
    gold = tuple(Gold(i, _end_of(tags, i), spans.PERSON) for i in starts)
    return Document("".join(characters), gold, source, (spans.PERSON,))


def _end_of(tags: tuple[str, ...], start: int) -> int:
    end = start + 1
    while end < len(tags) and tags[end] == "I-PS":
        end += 1
    return end
