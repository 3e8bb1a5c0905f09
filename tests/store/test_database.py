from importlib import import_module
from itertools import pairwise

import pytest
from sqlalchemy import text

from billing.store import open_engine
from gateway.store.database import NotMigrated, check_migrated, current_revision, migrate, opened, revisions


def test_an_empty_database_is_refused_with_the_command_that_mends_it(url):
    engine = open_engine(url)
    with pytest.raises(NotMigrated, match="haechi migrate"):
        check_migrated(engine)
    engine.dispose()


def test_migrating_twice_applies_once(url):
    assert migrate(url) == revisions()
    assert migrate(url) == []
    with opened(url) as engine:
        assert current_revision(engine) == revisions()[-1]


def test_a_database_of_a_newer_version_is_left_alone(url):
    migrate(url)
    with opened(url) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
        for act in (lambda: check_migrated(engine), lambda: migrate(url)):
            with pytest.raises(NotMigrated, match="newer"):
                act()


def test_a_migrations_file_bears_the_name_of_its_revision():
    for before, name in pairwise([None, *revisions()]):
        module = import_module(f"migrations.versions.{name}")
        assert (module.revision, module.down_revision) == (name, before)
