"""Answers on their way back: masks restored and leaked identifiers masked, however the stream is split.

`AnswerFilter` is what the gateway uses, one per channel of an answer (the text of a choice, its
reasoning, the arguments of one tool call): it guards what the model wrote, then restores. Both hold
back only what may still become an identifier or a token. No policy is decided here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from filters.guard import AnswerGuard
from filters.masking import Restorer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from filters.inspector import Detector
    from filters.verdict import Finding, Verdict

_LONGEST_TOKEN: Final = 96
_OPENERS: Final = re.compile(r"[⟦〚【\[\\]")
_PREFIX: Final = re.compile(r"[⟦〚【\[](?:[\w \u00a0]|\\{1,2}_)*\\{0,2}\Z")
_PREFIX_IN_JSON: Final = re.compile(
    r"(?:(?:[⟦〚【\[]|\\u27[eE]6)(?:[\w \u00a0]|\\{1,2}_)*)?(?:\\{1,2}|\\u(?:2(?:7[eE]?)?)?)?\Z"
)
_PARTIAL_ESCAPE: Final = re.compile(r"\\(?:u(?:2(?:7[eE]?)?)?)?\Z")
_OPENER: Final = re.compile(r"\\u27[eE]6|.")


class StreamRestorer:
    """Restores masks in one channel of a stream; `in_json` for the source of tool-call arguments."""

    def __init__(self, masks: Mapping[str, str], *, in_json: bool = False) -> None:
        restorer = Restorer(masks)
        self._restore = restorer.restore_json if in_json else restorer.restore
        self._in_json = in_json
        self._names = [token[1:-1] for token in masks]
        self._held = ""

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def feed(self, text: str) -> str:
        """What may be sent on now; a possible beginning of a token stays here."""
        if not self._names:
            return text
        text = self._held + text
        if _OPENERS.search(text) is None:
            self._held = ""
            return text
        cut = self._cut(text)
        self._held = text[cut:]
        return self._restore(text[:cut])

    def flush(self) -> str:
        """The rest, when the stream has ended."""
        rest, self._held = self._held, ""
        return self._restore(rest) if rest else ""

    def _cut(self, text: str) -> int:
        """Where the longest suffix begins that may still become one of our tokens."""
        at = max(0, len(text) - _LONGEST_TOKEN)
        while at < len(text):
            match = (_PREFIX_IN_JSON if self._in_json else _PREFIX).search(text, at)
            if match is None or match.start() == len(text):
                break
            at = match.start()
            if not (self._in_json and _is_escaped(text, at)) and self._may_be_token(match.group()):
                return at
            at += 1
        return len(text)

    def _may_be_token(self, tail: str) -> bool:
        if self._in_json:
            tail = _PARTIAL_ESCAPE.sub("", tail)
            if not tail:
                return True
        opener = _OPENER.match(tail)
        name = tail[opener.end() :].replace("\\", "") if opener else ""
        if tail[0] in "⟦\\":
            name = name.replace("\u00a0", " ").strip(" ").replace(" ", "_").upper()
        return any(known.startswith(name) for known in self._names)


def _is_escaped(text: str, at: int) -> bool:
    """Whether an odd number of backslashes stands right before: then this one is their second half."""
    before = at - len(text[:at].rstrip("\\"))
    return before % 2 == 1


class AnswerFilter:
    """Guard and restorer of one channel of an answer."""

    def __init__(
        self,
        verdict: Verdict,
        engine: Detector,
        *,
        path: str = "answer",
        in_json: bool = False,
        hash_key: bytes = b"",
    ) -> None:
        self.guard = AnswerGuard(
            engine, verdict.known, verdict.body, path=path, in_json=in_json, hash_key=hash_key
        )
        self._restorer = StreamRestorer(verdict.masks, in_json=in_json)

    @property
    def findings(self) -> list[Finding]:
        """What the guard masked so far."""
        return self.guard.findings

    def passes(self, text: str) -> bool:
        """Whether fragments that are `text` together may be sent on as they are; then they are read already.

        What the guard lets pass so holds no character that opens a token.
        """
        return not self._restorer.holds and self.guard.passes(text)

    def feed(self, text: str) -> str:
        """What of a fragment and of what was held may be sent on now. Raises DetectorFailed."""
        return self._restorer.feed(self.guard.feed(text))

    def flush(self) -> str:
        """What is still held, at the end of the channel."""
        return self._restorer.feed(self.guard.flush()) + self._restorer.flush()

    def whole(self, text: str) -> str:
        """A channel that arrived in one piece."""
        return self.feed(text) + self.flush()
