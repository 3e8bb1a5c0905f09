"""Reads the three sets of books that the proof compares: the gateway's, the simulator's, llama.cpp's.

The gateway's ledger is read from its file by plain SQL and not through the gateway's own code, as an
auditor would read it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.demo.loopback import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

TOKEN_CLASSES = ("input", "cache_read", "cache_write", "output", "reasoning")
"""The ledger's two kinds of cache writes are one here."""
CLASSES = (*TOKEN_CLASSES, "image_input", "image_output", "images", "characters", "video_ms")
"""All in which both sides count."""


class Charge(NamedTuple):
    """One row of kind `charge`, with its quantities by CLASSES."""

    attempt_id: str
    request_id: str
    department_id: str
    model_id: str
    zone: str
    outcome: str
    amount_nano_krw: int
    tokens: Mapping[str, int]

    @property
    def prompt_tokens(self) -> int:
        return sum(self.tokens[name] for name in ("input", "cache_read", "cache_write", "image_input"))

    @property
    def completion_tokens(self) -> int:
        return self.tokens["output"] + self.tokens["reasoning"] + self.tokens["image_output"]


@dataclass(frozen=True, slots=True)
class GatewayBooks:
    """`dispatched` are attempt ids; `verdicts` counts (department, action) of the filter's receipts."""

    dispatched: frozenset[str]
    charges: tuple[Charge, ...]
    verdicts: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class ProviderBooks:
    """The simulator's: attempt id -> tokens as billed, and every text that arrived."""

    answered: Mapping[str, Mapping[str, int]]
    asked: tuple[str | None, ...]
    received: tuple[str, ...]


_CHARGES = """
SELECT attempt_id, request_id, department_id, model_id, zone, outcome, amount_nano_krw,
       coalesce(input, 0), coalesce(cache_read, 0),
       coalesce(cache_write_5m, 0) + coalesce(cache_write_1h, 0),
       coalesce(output, 0), coalesce(reasoning, 0),
       coalesce(image_input, 0), coalesce(image_output, 0), coalesce(images, 0),
       coalesce(characters, 0), coalesce(video_ms, 0)
  FROM ledger_charge WHERE kind = 'charge' ORDER BY started_at_us, attempt_id
"""


def gateway_books(database: Path) -> GatewayBooks:
    """Read the gateway's ledger and receipts from its SQLite file."""
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        charges = tuple(_charge(row) for row in connection.execute(_CHARGES))
        dispatched = connection.execute("SELECT attempt_id FROM ledger_dispatch").fetchall()
        verdicts = connection.execute("SELECT department_id, action, count(*) FROM receipt GROUP BY 1, 2")
        counted = {(department, action): number for department, action, number in verdicts}
    return GatewayBooks(frozenset(attempt for (attempt,) in dispatched), charges, counted)


def _charge(row: tuple[Any, ...]) -> Charge:
    attempt, request, department, model, zone, outcome, amount, *counts = row
    tokens = dict(zip(CLASSES, counts, strict=True))
    return Charge(attempt, request, department, model, zone, outcome, amount, tokens)


def provider_books(simulator_url: str) -> ProviderBooks:
    """Fetch the simulator's ledger."""
    records = [json.loads(line) for line in fetch("/ledger", simulator_url).splitlines()]
    asked = [record for record in records if record["kind"] == "asked"]
    return ProviderBooks(
        answered={r["attempt_id"]: r["tokens"] for r in records if r["kind"] == "answered"},
        asked=tuple(record["attempt_id"] for record in asked),
        received=tuple("\n".join(_strings(json.loads(record["received"]))) for record in asked),
    )


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield every string, keys included: nothing may leave in a key either."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _strings(member)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def tokens_by_department(rows: Iterable[tuple[str, Mapping[str, int]]]) -> dict[str, Counter[str]]:
    """Add up (department, tokens) pairs."""
    sums: dict[str, Counter[str]] = {}
    for department, tokens in rows:
        sums.setdefault(department, Counter(dict.fromkeys(CLASSES, 0))).update(tokens)
    return sums
