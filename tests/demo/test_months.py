"""`haechi demo --months`: a whole institution with closed months, in one command."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

from billing.months import MonthState
from billing.store import open_engine, verify
from gateway.books import Books
from gateway.keyring import Purpose
from gateway.outlooks import OutlookReport
from gateway.seats import SeatReport
from gateway.settings import Settings

HAECHI = [sys.executable, "-c", "from gateway.cli import main; main()"]
SCALE = ["--months", "3", "--people", "120", "--charges", "2000", "--once"]


def demo(folder):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HAECHI_")}
    return subprocess.run(
        [*HAECHI, "demo", *SCALE],
        cwd=folder,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_every_report_has_something_to_show_after_one_command(tmp_path):
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "finance" in done.stdout
    settings = Settings(config=tmp_path / ".demo-months" / "haechi.toml")
    config, keyring, now = settings.load_config(), settings.keyring(), datetime.now(UTC)
    engine = open_engine(config.database_url)
    states = [one.state for one in Books(engine, keyring, config.invoices).months()]
    assert states.count(MonthState.LOCKED) == 2
    seats, outlooks = SeatReport(engine, config.plans, now), OutlookReport(engine, now)
    assert len(seats.comparisons) == 3
    assert seats.advice
    assert any(line.budgets for line in outlooks.departments())
    found = verify(engine, keyring.by_version(Purpose.LEDGER_CHAIN))
    engine.dispose()
    assert found.ok


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / ".demo-months").mkdir()
    (tmp_path / ".demo-months" / "mine.txt").write_text("내 파일")
    done = demo(tmp_path)
    assert done.returncode == 1
    assert (tmp_path / ".demo-months" / "mine.txt").exists()
