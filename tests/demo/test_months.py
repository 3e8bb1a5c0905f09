"""`haechi demo --months`: a whole institution with closed months, in one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from billing.store import open_engine, verify
from gateway.keyring import Purpose
from gateway.settings import Settings

HAECHI = [sys.executable, "-c", "from gateway.cli import main; main()"]
SCALE = ["--months", "3", "--people", "200", "--charges", "4000", "--once"]


def haechi(folder, *arguments):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HAECHI_")}
    done = subprocess.run(
        [*HAECHI, *arguments], cwd=folder, env=plain, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_every_report_has_something_to_show_after_one_command(tmp_path):
    told = haechi(tmp_path, "demo", *SCALE)
    assert told.count("마감") == 2
    assert "finance" in told
    config = tmp_path / ".demo-months" / "haechi.toml"
    reports = {
        name: json.loads(haechi(tmp_path, *command, "--json", "--config", str(config)))
        for name, command in (
            ("months", ("month", "list")),
            ("savings", ("report", "savings")),
            ("seats", ("report", "seats")),
            ("forecast", ("report", "forecast")),
        )
    }
    assert "locked" in json.dumps(reports["months"])
    assert len(reports["savings"]["plans"]) == 3
    assert reports["seats"]["rows"]
    assert reports["forecast"]["total"]["year_end_krw"] > reports["forecast"]["total"]["spent_krw"]
    assert any(row["budgets"] for row in reports["forecast"]["departments"])
    settings = Settings(config=config)
    engine = open_engine(settings.load_config().database_url)
    found = verify(engine, settings.keyring().by_version(Purpose.LEDGER_CHAIN))
    engine.dispose()
    assert found.ok


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / ".demo-months").mkdir()
    (tmp_path / ".demo-months" / "mine.txt").write_text("내 파일")
    done = subprocess.run(
        [*HAECHI, "demo", *SCALE], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 1
    assert (tmp_path / ".demo-months" / "mine.txt").exists()
