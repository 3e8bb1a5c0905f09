"""A month's ledger rows as CSV or JSON Lines: for an auditor's or an accountant's own arithmetic. Pure.

Amounts are exact won as decimal text, times Korean with their offset. Both are made row by row, so that a
month of a million charges takes no more memory than a small one.
"""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from billing.money import NANO
from billing.periods import KST, from_us
from gateway.spreadsheets import inert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_CHUNK: Final = 64 * 1024
_NAMES: Final = {
    "started_at_us": "started_at",
    "settled_at_us": "settled_at",
    "amount_nano_krw": "amount_krw",
    "department_id": "department",
    "person_id": "person",
    "model_id": "model",
}
_OURS: Final = frozenset({"charge_id", "corrects", "attempt_id", "request_id", "quote_id", "billing_period"})
"""Texts of our own making; every other one may be what a spreadsheet would run."""


def header(columns: Sequence[str]) -> list[str]:
    return [_NAMES.get(name, name) for name in columns]


def raw_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield CSV (UTF-8 with a BOM) piece by piece; an empty cell is a value that nobody stated."""
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header(columns))
    shown = [_shown(name) for name in columns]
    for row in rows:
        writer.writerow(
            [
                value if show is None or value is None else show(value)
                for show, value in zip(shown, row, strict=True)
            ]
        )
        if text.tell() >= _CHUNK:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def raw_json_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield one JSON object a line."""
    names = header(columns)
    shown = [_figures(name) for name in columns]
    gathered: list[bytes] = []
    for row in rows:
        values = [
            value if show is None or value is None else show(value)
            for show, value in zip(shown, row, strict=True)
        ]
        gathered.append(orjson.dumps(dict(zip(names, values, strict=True)), option=orjson.OPT_APPEND_NEWLINE))
        if len(gathered) >= 200:
            yield b"".join(gathered).decode()
            gathered.clear()
    yield b"".join(gathered).decode()


def _figures(name: str) -> Callable[[Any], Any] | None:
    if name.endswith("_us"):
        return _moment
    return _krw if name == "amount_nano_krw" else None


def _shown(name: str) -> Callable[[Any], Any] | None:
    if name in _OURS:
        return None
    return _figures(name) or _inert


@lru_cache(maxsize=10_000)
def _inert(value: Any) -> object:  # noqa: ANN401 - a column
    return inert(value)


def _krw(nano_krw: int) -> str:
    whole, rest = divmod(abs(nano_krw), NANO)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{'-' if nano_krw < 0 else ''}{whole}{fraction}"


def _moment(microseconds: int) -> str:
    """Return `2026-11-22T14:05:01.250000+09:00`; the second is made once, since many rows share it."""
    second, rest = divmod(microseconds, 1_000_000)
    return f"{_second(second)}.{rest:06d}+09:00"


@lru_cache(maxsize=4_096)
def _second(seconds: int) -> str:
    return (from_us(0) + timedelta(seconds=seconds)).astimezone(KST).strftime("%Y-%m-%dT%H:%M:%S")
