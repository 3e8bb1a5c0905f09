"""The ledger's rows of a month come out as they stand: every one, its exact amount, inert and flat in memory."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

from billing.money import NANO
from billing.store.raw_rows import RAW_COLUMNS
from gateway.invoices.raw import header, raw_csv, raw_json_lines

ROW = dict.fromkeys(RAW_COLUMNS) | {
    "charge_id": "01J",
    "kind": "reconciliation",
    "corrects": "01A",
    "started_at_us": 1_792_000_000_250_000,
    "department_id": "=cmd|'/c calc'!A0",
    "unit_path": "@서울/총무과",
    "person_id": "+1",
    "model_id": "gpt",
    "input": -12,
    "cache_read": 0,
    "amount_nano_krw": -1_234_567_000_000_001,
}


def rows(count: int = 1) -> list[tuple[object, ...]]:
    return [tuple(ROW[name] for name in RAW_COLUMNS)] * count


def test_amounts_are_exact_times_korean_and_texts_inert() -> None:
    text = "".join(raw_csv(RAW_COLUMNS, rows()))
    assert text.startswith("\ufeff")
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert Decimal(row["amount_krw"]) * NANO == -1_234_567_000_000_001
    assert row["started_at"] == "2026-10-15T02:46:40.250000+09:00"
    assert (row["input"], row["cache_read"], row["output"]) == ("-12", "0", "")
    for name in ("department", "unit_path", "person"):
        assert row[name].startswith("'")


def test_json_lines_tell_nothing_stated_from_nothing_used() -> None:
    (line,) = "".join(raw_json_lines(RAW_COLUMNS, rows())).splitlines()
    row = json.loads(line)
    assert list(row) == header(RAW_COLUMNS)
    assert (row["input"], row["cache_read"], row["output"]) == (-12, 0, None)
    assert row["amount_krw"] == "-1234567.000000001"


def test_a_large_month_is_handed_on_in_pieces() -> None:
    for made in (raw_csv, raw_json_lines):
        pieces = list(made(RAW_COLUMNS, rows(5_000)))
        assert len(pieces) > 10
        assert max(map(len, pieces)) < 300_000
        assert sum(piece.count("\n") for piece in pieces) in {5_000, 5_001}
