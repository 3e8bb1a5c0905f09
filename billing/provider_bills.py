"""Provider bills and usage exports: what a provider says, later, that each attempt used or cost. Pure.

CSV with a header (UTF-8, with or without BOM, or CP949), a JSON array, or JSON Lines; one attempt each:

    attempt_id | provider_request_id   which attempt; the id that the provider gave its answer will do
    input, output, cache_read, …       usage by the classes of billing.usage, disjoint
    cost, currency                     what it cost, in a currency that its quote froze, or KRW

An empty cell says nothing: of usage, what was charged stays. A bill with a mistake is refused whole.
"""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billing.usage import CLASSES, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IDS: Final = ("attempt_id", "provider_request_id")
COLUMNS: Final = (*IDS, *CLASSES, "cost", "currency")
MOST_QUANTITY: Final = 2**53
MOST_PROBLEMS: Final = 20


class BillLine(NamedTuple):
    """One attempt of a bill; `number` counts from 1. Usage or cost may be None, not both."""

    number: int
    attempt_id: str | None
    provider_request_id: str | None
    usage: Usage | None
    cost: Decimal | None
    currency: str

    @property
    def name(self) -> str:
        return self.attempt_id or self.provider_request_id or ""


class BillMistake(NamedTuple):
    number: int
    korean: str
    english: str


class BillError(ValueError):
    """The bill cannot be read; nothing of it is applied."""

    def __init__(self, mistakes: list[BillMistake]) -> None:
        super().__init__(mistakes[0].english if mistakes else "empty")
        self.mistakes = mistakes


class _Wrong(Exception):
    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


def read_bill(data: bytes) -> list[BillLine]:
    """Read a bill. Raises BillError with every mistake, up to a score."""
    lines: list[BillLine] = []
    mistakes: list[BillMistake] = []
    number = 0
    try:
        for number, row in enumerate(_rows(data), start=1):
            try:
                lines.append(_line(number, row))
            except _Wrong as wrong:
                mistakes.append(BillMistake(number, wrong.korean, wrong.english))
            if len(mistakes) == MOST_PROBLEMS:
                break
    except (ValueError, csv.Error) as error:
        reason = type(error).__name__
        mistakes.append(
            BillMistake(number + 1, f"읽을 수 없습니다({reason}).", f"it cannot be read ({reason})")
        )
    if not lines and not mistakes:
        mistakes.append(BillMistake(0, "내용이 없습니다.", "it holds nothing"))
    if mistakes:
        raise BillError(mistakes)
    return lines


def _rows(data: bytes) -> Iterator[Mapping[str, Any]]:
    text = _decoded(data)
    start = text.lstrip()[:1]
    if start == "[":
        yield from map(_object, json.loads(text, parse_float=Decimal))
    elif start == "{":
        for line in text.splitlines():
            if line.strip():
                yield _object(json.loads(line, parse_float=Decimal))
    else:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            if None in row:
                raise ValueError("more cells than columns")
            yield row


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp949")


def _object(row: Any) -> Mapping[str, Any]:  # noqa: ANN401 - straight from JSON
    if not isinstance(row, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a mistake of the file, not of the caller
    return row


def _line(number: int, row: Mapping[str, Any]) -> BillLine:
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        shown = ", ".join(sorted(unknown))[:100]
        raise _Wrong(f"모르는 열입니다: {shown}", f"unknown columns: {shown}")
    given = {name: value for name, value in row.items() if value is not None and str(value).strip() != ""}
    ids = [str(given[name]).strip() if name in given else None for name in IDS]
    if not any(ids):
        raise _Wrong("attempt_id나 provider_request_id가 필요합니다.", "it needs an id")
    quantities: dict[str, Any] = {name: _quantity(name, given[name]) for name in CLASSES if name in given}
    cost = _cost(given["cost"]) if "cost" in given else None
    if not quantities and cost is None:
        raise _Wrong("사용량도 금액도 없습니다.", "it states neither usage nor cost")
    currency = str(given.get("currency", "KRW")).strip().upper()
    return BillLine(number, ids[0], ids[1], Usage(**quantities) if quantities else None, cost, currency)


def _quantity(name: str, value: Any) -> int:  # noqa: ANN401 - text or a number of JSON
    try:
        quantity = int(str(value).strip().replace(",", ""))
    except ValueError:
        quantity = -1
    if isinstance(value, bool) or not 0 <= quantity <= MOST_QUANTITY:
        raise _Wrong(f"{name}은(는) 0 이상의 정수여야 합니다.", f"{name} must be a whole number from 0 on")
    return quantity


def _cost(value: Any) -> Decimal:  # noqa: ANN401 - text or a number of JSON
    try:
        cost = Decimal(str(value).strip().replace(",", ""))
    except InvalidOperation:
        cost = Decimal(-1)
    if isinstance(value, bool) or not cost.is_finite() or not 0 <= cost < 10**9:
        raise _Wrong("cost는 0 이상 10억 미만의 금액이어야 합니다.", "cost must be from 0 to below 10**9")
    return cost
