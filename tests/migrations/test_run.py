from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, text

from billing.store import open_engine
from migrations import run

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(f"sqlite:///{tmp_path}/haechi.db")


def test_an_empty_database_comes_to_the_head_and_stays_there(engine: Engine) -> None:
    assert run.current(engine) is None
    run.upgrade(engine)
    run.upgrade(engine)
    assert run.current(engine) == run.head()


def test_every_migration_can_be_taken_back(engine: Engine) -> None:
    run.upgrade(engine)
    run.downgrade(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]


def test_a_migration_that_fails_leaves_the_database_as_it_was(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE receipt (in_the_way TEXT)"))
    with pytest.raises(Exception, match="receipt"):
        run.upgrade(engine)
    assert inspect(engine).get_table_names() == ["receipt"]
