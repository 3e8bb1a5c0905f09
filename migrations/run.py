"""Brings a database to a revision: what `haechi migrate`, `haechi init` and the checks call.

All pending migrations run in one transaction, on SQLite too: a failure leaves the database as it was.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import billing.store.bill_tables  # so do these
import billing.store.pricebook_tables  # its tables join the metadata of billing.tables
import billing.store.report_queries  # its indexes do
import billing.tables
import gateway.store.account_tables  # their tables join the metadata of gateway.store.tables
import gateway.store.incident_export_tables
import gateway.store.incident_tables
import gateway.store.oversight_tables
import gateway.store.tables
from billing.store.engine import writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

TARGET_METADATA = [billing.tables.metadata, gateway.store.tables.metadata]


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate forward. Safe to run twice, and from several processes at once."""
    with writing(engine).begin() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate back, `base` meaning an empty database. Drops what the revisions had made."""
    with writing(engine).begin() as connection:
        command.downgrade(_config(connection), revision)


def check(engine: Engine) -> None:
    """Compare a migrated database with the tables that the code declares.

    Raises alembic.util.CommandError, naming the differences.
    """
    with writing(engine).begin() as connection:
        command.check(_config(connection))


def current(engine: Engine) -> str | None:
    """Revision of a database; None before the first migration."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """Revision that this code needs."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
