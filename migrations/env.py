"""Alembic's environment. `migrations.run` hands in the connection; nothing here opens one."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from migrations.run import TARGET_METADATA

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # Give up rather than queue behind a long transaction and block everybody after us.
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('haechi.migrations'))"))
context.configure(
    connection=connection,
    target_metadata=TARGET_METADATA,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
