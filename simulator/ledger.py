"""The simulator's own books: one line when it is asked, one when it has answered, joined by attempt id.

Kept in memory for `GET /ledger` and appended to a JSON-lines file. The text that arrived is kept on
purpose: whoever audits the gateway searches it for prompts that should never have left.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.exchange import JSON, Answer, Counts, Prompt
    from simulator.surfaces import Served

    Exchange = tuple[Prompt, Answer]


class Ledger:
    """Append-only. `path` None keeps it in memory alone."""

    def __init__(self, path: Path | None = None) -> None:
        self._lines: list[str] = []
        self._file = path.open("a", encoding="utf-8") if path else None

    def asked(self, attempt_id: str | None, wire: str, provider: str, received: bytes) -> None:
        """Record a request as it came, before anything is done with it."""
        self._append(
            {
                "kind": "asked",
                "attempt_id": attempt_id,
                "wire": wire,
                "provider": provider,
                "received_sha256": hashlib.sha256(received).hexdigest(),
                "received": received.decode(errors="replace"),
            }
        )

    def answered(
        self, attempt_id: str | None, exchange: Exchange, statement: tuple[Counts, JSON], *, complete: bool
    ) -> None:
        """Record what was answered; `complete` False if the client hung up before the end.

        `statement` holds the tokens in the classes that the provider's convention can tell apart,
        and the usage as it was stated.
        """
        prompt, answer = exchange
        billed, reported = statement
        self._append(
            {
                "kind": "answered",
                "attempt_id": attempt_id,
                "model": prompt.model,
                "stream": prompt.stream,
                "complete": complete,
                "finish": answer.finish,
                "answered_sha256": hashlib.sha256(answer.text.encode()).hexdigest(),
                "tokens": asdict(billed),
                "reported": reported,
            }
        )

    def served(self, attempt_id: str | None, served: Served) -> None:
        """Record what another surface than chat answered, in the units by which it is metered."""
        self._append(
            {
                "kind": "answered",
                "attempt_id": attempt_id,
                "model": served.model,
                "stream": False,
                "complete": True,
                "answered_sha256": hashlib.sha256(served.body).hexdigest(),
                "tokens": dict(served.billed),
                "reported": served.reported,
            }
        )

    def refused(self, attempt_id: str | None, reason: str) -> None:
        self._append({"kind": "refused", "attempt_id": attempt_id, "reason": reason})

    def lines(self) -> Iterator[str]:
        """Yield every record as a JSON line, oldest first."""
        yield from (line + "\n" for line in tuple(self._lines))

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _append(self, record: dict[str, JSON]) -> None:
        line = json.dumps(record, ensure_ascii=False)
        self._lines.append(line)
        if self._file:
            self._file.write(line + "\n")
            self._file.flush()
