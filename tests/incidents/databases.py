"""Databases for the review's tests: an SQLite file copied from one that was migrated once, or PostgreSQL."""

from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import insert

from billing.store import open_engine
from gateway.store.account_tables import account, account_role
from gateway.store.database import migrate
from gateway.store.tables import org_unit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "haechi.db"
    migrate(f"sqlite:///{file}")
    staff(f"sqlite:///{file}")
    return file


def staff(url: str) -> None:
    """Put in a department and a reviewer, whom exceptions and assignments name."""
    unit = {"code": "CM", "name": "총무과", "kind": "division", "valid_from": date(2026, 1, 1)}
    opened = open_engine(url)
    with opened.begin() as connection:
        connection.execute(insert(org_unit).values(**unit))
        connection.execute(insert(account).values(**CHOI))
        connection.execute(insert(account_role).values(account_id=CHOI["id"], role="reviewer"))
    opened.dispose()


CHOI: Final = {
    "id": "acct_choi",
    "login": "choi",
    "name": "최심사",
    "version": 1,
    "password_hash": "",
    "must_change": False,
    "password_at_us": 0,
    "created_at_us": 0,
}


@pytest.fixture
def engine(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> Iterator[Engine]:
    """SQLite, or PostgreSQL for a test that is marked `parametrize("engine", ["postgresql"], indirect=True)`."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server = request.getfixturevalue("postgres")
        name = f"haechi_{tmp_path.name.lower().replace('-', '_')}"[:60]
        server.psql(f'CREATE DATABASE "{name}"')
        url = server.get_uri(name)
        migrate(url)
        staff(url)
    else:
        shutil.copy(migrated, tmp_path / "haechi.db")
        url = f"sqlite:///{tmp_path}/haechi.db"
    opened = open_engine(url)
    yield opened
    opened.dispose()


both = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
