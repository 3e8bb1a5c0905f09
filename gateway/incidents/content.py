"""The text of an incident as it is sealed: parts of the request with the spans that were found. Pure.

Not the body as it came: payloads of images and files are not in it, and what policy stores is bounded.
"""

from __future__ import annotations

import json
import zlib
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from filters.decision import finding_hash, value_of
from filters.walker import Kind, written_path
from gateway.incidents.records import Piece, ShownPart, StoredPart, StoredSpan, StoredText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from filters.inspector import Detection
    from filters.verdict import Finding
    from filters.walker import Part

MASK: Final = "█████"
"""Stands for a found value, whatever its length: that would tell something, too."""


# --- from a request ---------------------------------------------------------------------------------------


def stored_text(
    detection: Detection, findings: Sequence[Finding], hash_key: bytes, most_characters: int
) -> StoredText:
    """Return what is kept of a request: parts with findings first, then the newest, up to the bound."""
    spans = _by_part(detection.parts, findings, hash_key)
    parts = [_stored(part, spans.get(index, ())) for index, part in enumerate(detection.parts) if part.text]
    kept, room = set[int](), most_characters
    for index in sorted(range(len(parts)), key=lambda i: (not parts[i].spans, -i)):
        size = len(parts[index].text)
        if size <= room:
            kept.add(index)
            room -= size
    return StoredText(tuple(parts[index] for index in sorted(kept)), omitted=len(parts) - len(kept))


def _by_part(
    parts: Sequence[Part], findings: Sequence[Finding], hash_key: bytes
) -> dict[int, tuple[StoredSpan, ...]]:
    """Find the part of each finding: findings stand in the order of parts, and two parts may share a path."""
    placed: dict[int, list[StoredSpan]] = {}
    paths = [written_path(part.where) for part in parts]
    index = 0
    for finding in findings:
        at = index
        while at < len(parts) and not _stands_in(parts[at], paths[at], finding, hash_key):
            at += 1
        if at < len(parts):
            index = at
            placed.setdefault(at, []).append(_stored_span(finding))
    return {index: tuple(spans) for index, spans in placed.items()}


def _stands_in(part: Part, path: str, finding: Finding, hash_key: bytes) -> bool:
    if path != finding.path or finding.span.end > len(part.text):
        return False
    return finding.value_hash in ("", finding_hash(hash_key, finding.span.type, value_of(part, finding.span)))


def _stored_span(finding: Finding) -> StoredSpan:
    span = finding.span
    return StoredSpan(
        span.start,
        span.end,
        span.type,
        span.label,
        span.score,
        span.rule,
        finding.action.word,
        finding.value_hash,
    )


def _stored(part: Part, spans: Sequence[StoredSpan]) -> StoredPart:
    path = written_path(part.where)
    return StoredPart(part.where, path, part.role, int(part.kind), part.name, part.text, tuple(spans))


# --- as bytes -----------------------------------------------------------------------------------------------


def pack(text: StoredText) -> bytes:
    """Return compressed JSON; ASCII only, so that a lone surrogate of hostile text survives."""
    parts = [
        {
            "where": part.where,
            "role": part.role,
            "kind": part.kind,
            "name": part.name,
            "text": part.text,
            "spans": [list(_fields(span)) for span in part.spans],
        }
        for part in text.parts
    ]
    return zlib.compress(json.dumps({"v": 1, "parts": parts, "omitted": text.omitted}).encode(), 3)


def unpack(data: bytes) -> StoredText:
    """Read what `pack` made. Raises ValueError for anything else."""
    try:
        document: dict[str, Any] = json.loads(zlib.decompress(data))
        parts = tuple(_read_part(one) for one in document["parts"])
        return StoredText(parts, document["omitted"])
    except (zlib.error, KeyError, TypeError) as error:
        raise ValueError(f"no stored text: {type(error).__name__}") from None


def _fields(span: StoredSpan) -> tuple[int, int, str, str, float, str, str, str]:
    return (
        span.start,
        span.end,
        span.type,
        span.label,
        span.score,
        span.rule,
        span.action,
        span.value_hash,
    )


def _read_part(one: dict[str, Any]) -> StoredPart:
    where = tuple(one["where"])
    spans = tuple(StoredSpan(*span) for span in one["spans"])
    return StoredPart(where, written_path(where), one["role"], one["kind"], one["name"], one["text"], spans)


def body_of(text: StoredText) -> Any:  # noqa: ANN401 - JSON
    """Return the request as far as it is stored, for a rule to be tried on: same places, same values."""
    root: dict[str | int, Any] = {}
    for part in text.parts:
        if part.kind == Kind.KEY:
            _put(root, part.where, "")
            continue
        _put(root, part.where, json.loads(part.text) if part.kind == Kind.NUMBER else part.text)
        if part.role and len(part.where) > 1 and isinstance(part.where[1], int):
            _put(root, (*part.where[:2], "role"), part.role)
    return _as_json(root) if all(part.where for part in text.parts) else text.parts[0].text


def _put(root: dict[str | int, Any], where: tuple[str | int, ...], value: Any) -> None:  # noqa: ANN401
    here = root
    for step in where[:-1]:
        below = here.setdefault(step, {})
        if not isinstance(below, dict):
            below = here[step] = {}
        here = below
    if where and (value != "" or where[-1] not in here):
        here[where[-1]] = value


def _as_json(node: Any) -> Any:  # noqa: ANN401
    """Turn dicts with whole numbers for keys into lists."""
    if not isinstance(node, dict):
        return node
    if node and all(isinstance(key, int) for key in node):
        return [_as_json(node[key]) for key in sorted(node)]
    return {str(key): _as_json(value) for key, value in node.items()}


# --- as a reviewer sees it -----------------------------------------------------------------------------


def shown(text: StoredText, revealed: Callable[[int], bool]) -> tuple[ShownPart, ...]:
    """Return the parts with every finding masked but those whose number `revealed` lets through."""
    numbered = _numbered(text)
    parts = []
    for part, group in groupby(numbered, key=lambda one: one[0]):
        pieces = tuple(_pieces(text.parts[part], [(n, s) for _, n, s in group if s is not None], revealed))
        parts.append(ShownPart(text.parts[part].path, text.parts[part].role, pieces))
    return tuple(parts)


def span_count(text: StoredText) -> int:
    return sum(len(part.spans) for part in text.parts)


def _numbered(text: StoredText) -> Iterator[tuple[int, int, StoredSpan | None]]:
    """Yield (part, number of the span, span), and a part without spans once."""
    number = 0
    for index, part in enumerate(text.parts):
        if not part.spans:
            yield index, number, None
        for span in part.spans:
            yield index, number, span
            number += 1


def _pieces(
    part: StoredPart, spans: Sequence[tuple[int, StoredSpan]], revealed: Callable[[int], bool]
) -> Iterator[Piece]:
    """Cut a part at its spans. Where spans overlap, what any of them masks stays masked."""
    at = 0
    for number, span in sorted(spans, key=lambda one: (one[1].start, -one[1].end)):
        if span.start > at:
            yield Piece(part.text[at : span.start])
        start, end = max(span.start, at), max(span.end, at)
        clear = revealed(number) and not any(
            other.start < end and start < other.end and not revealed(n) for n, other in spans if n != number
        )
        yield Piece(
            part.text[start:end] if clear else MASK,
            number,
            span.type,
            span.label,
            span.rule,
            span.action,
            span.score,
            span.value_hash,
            clear,
        )
        at = end
    if at < len(part.text):
        yield Piece(part.text[at:])
