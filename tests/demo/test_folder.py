from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.demo.folder import MARK, DemoFolder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_begins_with_an_empty_folder_and_leaves_it_behind(tmp_path):
    wanted = tmp_path / ".demo"
    with DemoFolder.fresh(wanted) as folder:
        assert folder.path == wanted
        (folder.path / "haechi.db").write_text("old books")
        (folder.path / "journal").mkdir()
    assert (wanted / "haechi.db").exists()
    with DemoFolder.fresh(wanted):
        assert [entry.name for entry in wanted.iterdir()] == [MARK]


def test_a_folder_that_is_not_the_demo_s_is_never_emptied(tmp_path):
    treasure = tmp_path / ".demo"
    treasure.mkdir()
    (treasure / "thesis.txt").write_text("years of work")
    with DemoFolder.fresh(treasure) as folder:
        assert folder.path != treasure
    assert (treasure / "thesis.txt").read_text() == "years of work"


def test_a_second_demo_leaves_the_running_one_alone_and_cleans_up_after_itself(tmp_path):
    with DemoFolder.fresh(tmp_path / ".demo") as running:
        (running.path / "haechi.db").write_text("in use")
        with DemoFolder.fresh(tmp_path / ".demo") as second:
            other: Path = second.path
            assert other != running.path
        assert not other.exists()
        assert (running.path / "haechi.db").read_text() == "in use"


def test_the_shell_s_own_settings_do_not_reach_the_demo(tmp_path, monkeypatch):
    monkeypatch.setenv("HAECHI_DATABASE_URL", "postgresql://production/haechi")
    monkeypatch.setenv("HAECHI_SECRET_KEY", "the production secret")
    settings = DemoFolder(tmp_path).settings()
    assert settings.database_url is None
    assert settings.secret_key is None
    assert settings.secret_path == tmp_path / "haechi.secret"
