"""`haechi month` and `haechi invoice`: a month is closed and its invoices leave the house."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.cli import common
from tests.cli import test_reports

used = test_reports.used  # a ledger with charges of November in CM and IS


@pytest.fixture
def december(monkeypatch, used):
    """The terminal's clock stands in the month after; the ledger is of the month before."""
    from gateway.cli import months

    monkeypatch.setattr(months, "now", lambda: datetime(2099, 1, 2, tzinfo=UTC))
    assert common.now is not months.now
    return used


@pytest.fixture
def month(haechi, december):
    (row,) = haechi("month", "list", "--json").ok().json
    assert row["state"] == "open"
    return row["month"]


def test_a_month_is_previewed_approved_and_locked_and_its_invoices_are_numbered(haechi, month):
    assert "open" in haechi("month", "list").ok().out
    assert haechi("month", "lock", month).code == 1
    before = haechi("invoice", "list", month, "--json").ok().json
    assert all(one["number"].startswith("DRAFT-") for one in before["invoices"])
    haechi("month", "preview", month).ok()
    haechi("month", "approve", month, "--reason", "금액 확인").ok()
    locked = haechi("month", "lock", month, "--json").ok().json
    assert len(locked["root"]) == 64
    after = haechi("invoice", "list", month, "--json").ok().json
    assert after["total_krw"] == before["total_krw"] == locked["total_krw"] > 0
    assert after["invoices"][0]["number"] == f"HAECHI-{month}-0001"
    assert haechi("month", "reopen", month, "--reason", "다시").code == 1
    steps = haechi("month", "show", month, "--json").ok().json["steps"]
    assert [step["state"] for step in steps] == ["preview", "approved", "locked"]
    assert "마감" in haechi("month", "lock", month).err


def test_an_invoice_is_exported_in_every_format(haechi, month, tmp_path):
    listed = haechi("invoice", "list", month, "--json").ok().json
    (number, total) = next(
        (o["number"], o["total_krw"]) for o in listed["invoices"] if o["kind"] == "department"
    )
    assert haechi("invoice", "show", number, "--json").ok().json["total_krw"] == total
    assert f"{total:,}원" in haechi("invoice", "show", number).ok().out
    for form, magic in (("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf"), ("json", b"[{")):
        path = tmp_path / f"one.{form}"
        haechi("invoice", "export", number, "--format", form, "-o", path).ok()
        assert path.read_bytes().startswith(magic)
    path = tmp_path / "one.focus.csv"
    haechi("invoice", "export", number, "--format", "focus", "-o", path).ok()
    assert focus_total(path) == total


def focus_total(path):
    return sum(Decimal(row["BilledCost"]) for row in csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_a_summary_in_focus_is_the_rows_of_the_departments_it_sums(haechi, month, tmp_path):
    listed = haechi("invoice", "list", "--month", month, "--json").ok().json["invoices"]
    summary = next(one for one in listed if one["kind"] == "summary")
    path = tmp_path / "summary.csv"
    haechi("invoice", "export", summary["number"], "--format", "focus", "-o", path).ok()
    assert focus_total(path) == summary["total_krw"] > 0


def test_a_month_without_a_format_is_a_folder_of_everything(haechi, month, tmp_path):
    listed = haechi("invoice", "list", "--json").ok().json  # the latest month
    assert listed["month"] == month
    numbers = {one["number"] for one in listed["invoices"]}
    haechi("invoice", "export", month, "-o", tmp_path / "all").ok()
    kept = {path.name for path in (tmp_path / "all").iterdir()}
    whole = {f"invoices-{month}.csv", f"invoices-{month}.json", f"focus-{month}.csv"}
    assert kept == whole | {f"{number}.{form}" for number in numbers for form in ("pdf", "xlsx")}
    haechi("invoice", "export", "--month", month, "--format", "xlsx", "-o", tmp_path / "sheets").ok()
    assert {path.stem for path in (tmp_path / "sheets").iterdir()} == numbers
    assert haechi("invoice", "export", month, "--format", "pdf", "-o", "-").code == 2
    assert haechi("invoice", "export", "2026-01", "-o", tmp_path / "none" / "x", "--format", "pdf").code == 4
    assert not (tmp_path / "none").exists()


def test_a_month_is_an_argument_or_an_option_and_never_two_months(haechi, month):
    assert haechi("month", "show", "--month", month, "--json").ok().json["month"] == month
    assert haechi("month", "show").code == 2
    assert haechi("month", "preview", month, "--month", "2026-01").code == 2


def test_a_month_of_invoices_adds_up_in_focus_and_csv(haechi, month, tmp_path):
    total = haechi("invoice", "list", month, "--json").ok().json["total_krw"]
    haechi("invoice", "export", month, "--format", "focus", "-o", tmp_path / "focus.csv").ok()
    haechi("invoice", "export", month, "--format", "csv", "-o", tmp_path / "all.csv").ok()
    focus = list(csv.DictReader(io.StringIO((tmp_path / "focus.csv").read_text(encoding="utf-8"))))
    assert sum(Decimal(row["BilledCost"]) for row in focus) == total
    rows = list(csv.reader(io.StringIO((tmp_path / "all.csv").read_text(encoding="utf-8-sig"))))
    assert sum(int(row[-1]) for row in rows[1:]) == total


def test_a_template_makes_an_upload(haechi, month, tmp_path):
    template = tmp_path / "upload.toml"
    template.write_text('[[columns]]\nheader = "금액"\nvalue = "{total_krw}"\n', encoding="utf-8")
    haechi("invoice", "export", month, "--template", template, "-o", tmp_path / "up.csv").ok()
    rows = (tmp_path / "up.csv").read_text(encoding="utf-8-sig").split()
    total = haechi("invoice", "list", month, "--json").ok().json["total_krw"]
    assert sum(map(int, rows[1:])) == total
    template.write_text('[[columns]]\nheader = "a"\nvalue = "{prompt}"\n', encoding="utf-8")
    assert haechi("invoice", "export", month, "--template", template).code == 4


def test_what_is_no_month_and_no_invoice_says_so(haechi, december):
    assert haechi("month", "preview", "2026-13").code == 4
    assert "invoice list" in haechi("invoice", "show", "HAECHI-2026-11-0099").err
