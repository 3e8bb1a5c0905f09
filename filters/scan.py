"""One line of `haechi scan --jsonl`: a document or a conversation in, verdict, spans and masked form out.

Pure: reads no file and prints nothing. Offsets are half-open code points of the original text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from filters.decision import decide
from filters.errors import DetectorFailed, Unscannable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from filters.inspector import Inspector
    from filters.policy import ZonePolicy
    from filters.verdict import JSON, Finding


class ScanInputError(ValueError):
    """A line that is not `{"id", "text"}` or `{"id", "messages"}`; the message holds none of it."""


def scan_line(line: Mapping[str, JSON], inspector: Inspector, policy: ZonePolicy) -> dict[str, JSON]:
    """`{"id", "verdict", "spans", "masked"}` for one input line.

    Spans of `messages` carry their `path` as well. What could not be inspected is `block`, with the
    reason in `refused` and the parts that nobody can read in `unscanned`. Raises ScanInputError.
    """
    body, is_text = _body(line)
    try:
        verdict = decide(inspector.detect(body), policy)
    except Unscannable as refused:
        unscanned = [{"path": part.path, "kind": part.kind} for part in refused.parts]
        return {**_refused(line, refused.reason), "unscanned": unscanned}
    except DetectorFailed:
        return _refused(line, "detector_failed")
    return {
        "id": line.get("id"),
        "verdict": verdict.receipt.action.word,
        "spans": [
            _span(found) if is_text else {**_span(found), "path": found.path} for found in verdict.findings
        ],
        "masked": verdict.body if is_text else verdict.body["messages"],
    }


def _body(line: Mapping[str, JSON]) -> tuple[JSON, bool]:
    text, messages = line.get("text"), line.get("messages")
    if isinstance(text, str) and messages is None:
        return text, True
    if isinstance(messages, list) and text is None:
        return {"messages": messages}, False
    raise ScanInputError('expected {"id", "text": "…"} or {"id", "messages": […]}')


def _refused(line: Mapping[str, JSON], reason: str) -> dict[str, JSON]:
    return {"id": line.get("id"), "verdict": "block", "spans": [], "masked": None, "refused": reason}


def _span(found: Finding) -> dict[str, JSON]:
    span = found.span
    return {
        "start": span.start,
        "end": span.end,
        "type": span.type,
        "score": round(span.score, 4),
        "action": found.action.word,
    }
