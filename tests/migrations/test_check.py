from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from billing.store import open_engine
from migrations import run
from migrations.check import check_database, postgres

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def empty(tmp_path: Path) -> tuple[Engine, Engine]:
    return open_engine(f"sqlite:///{tmp_path}/a.db"), open_engine(f"sqlite:///{tmp_path}/b.db")


def test_migrations_make_what_the_code_declares_on_sqlite(empty: tuple[Engine, Engine]) -> None:
    assert check_database(*empty) == []


def test_migrations_make_what_the_code_declares_on_postgresql(tmp_path: Path) -> None:
    with postgres(tmp_path) as urls:
        engines = open_engine(urls[0]), open_engine(urls[1])
        try:
            assert check_database(*engines) == []
        finally:
            for engine in engines:
                engine.dispose()


def test_a_forgotten_column_is_found(empty: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = run.upgrade

    def forgetful(engine: Engine, revision: str = "head") -> None:
        upgrade(engine, revision)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE ledger_charge DROP COLUMN first_token_us"))

    monkeypatch.setattr(run, "upgrade", forgetful)
    assert "first_token_us" in check_database(*empty)[0]


def test_a_forgotten_trigger_is_found(empty: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = run.upgrade

    def forgetful(engine: Engine, revision: str = "head") -> None:
        upgrade(engine, revision)
        with engine.begin() as connection:
            connection.execute(text("DROP TRIGGER ledger_charge_no_update"))

    monkeypatch.setattr(run, "upgrade", forgetful)
    assert "ledger_charge_no_update" in check_database(*empty)[0]
