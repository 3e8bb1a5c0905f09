"""Databases for the review's tests: an SQLite file copied from one that was migrated once, or PostgreSQL."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from billing.store import open_engine
from gateway.store.database import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "haechi.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def engine(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> Iterator[Engine]:
    """SQLite, or PostgreSQL for a test that is marked `parametrize("engine", ["postgresql"], indirect=True)`."""
    if getattr(request, "param", "sqlite") == "postgresql":
        server = request.getfixturevalue("postgres")
        name = f"haechi_{tmp_path.name.lower().replace('-', '_')}"[:60]
        server.psql(f'CREATE DATABASE "{name}"')
        url = server.get_uri(name)
        migrate(url)
    else:
        shutil.copy(migrated, tmp_path / "haechi.db")
        url = f"sqlite:///{tmp_path}/haechi.db"
    opened = open_engine(url)
    yield opened
    opened.dispose()


both = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
