"""Real databases for the store: an SQLite file, and a PostgreSQL from its wheel."""

import pytest

from billing.store import open_engine
from gateway.store.database import migrate


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/haechi.db"
    server = request.getfixturevalue("postgres")
    name = f"haechi_{tmp_path.name.lower().replace('-', '_')}"[:60]
    server.psql(f'CREATE DATABASE "{name}"')
    return server.get_uri(name)


@pytest.fixture
def engine(url):
    migrate(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()
