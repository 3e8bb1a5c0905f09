"""The database as a whole: open it, bring its tables up to date, refuse one that is behind.

Migrations are the files `migrations/versions/NNNN_name.py`; a file's name is its revision.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, event, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from billing.store import open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

Database = Engine
"""The name under which modules without SQL hand it on."""


def unsynced(engine: Engine) -> None:
    """Let a SQLite file be filled without waiting for the disk: one that can be made anew after a power cut.

    Holds for the connections of this engine and nobody else's.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF").close())
        engine.dispose()


class NotMigrated(Exception):
    """The tables are not those of this version of Haechi."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


def revisions() -> list[str]:
    """Return every migration this version of Haechi knows, the first first."""
    folder = resources.files("migrations") / "versions"
    return sorted(file.name[:-3] for file in folder.iterdir() if file.name[:4].isdigit())


def current_revision(engine: Engine) -> str | None:
    """Return the revision of the tables; None for an empty database. Raises what SQLAlchemy raises."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check_migrated(engine: Engine) -> None:
    """Refuse tables that are behind or ahead of this version. Raises NotMigrated."""
    found, known = current_revision(engine), revisions()
    if found == known[-1]:
        return
    if found is None or found in known:
        raise NotMigrated(
            f"데이터베이스의 테이블이 오래되었습니다({found or '비어 있음'} → {known[-1]})."
            " `haechi migrate`를 실행하세요.",
            f"The database's tables are behind ({found or 'empty'} → {known[-1]}). Run `haechi migrate`.",
        )
    raise NotMigrated(
        f"데이터베이스가 이 버전보다 새것입니다({found}). 더 새로운 Haechi를 설치하세요.",
        f"The database is newer than this version of Haechi ({found}). Install a newer Haechi.",
    )


class Unusable(Exception):
    """The database cannot be reached or written; `kind` is the driver's word for why."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def check_usable(url: str) -> None:
    """Connect, look at the tables and touch a row without keeping it: what is read-only shows only then.

    Raises Unusable, NotMigrated, or DatabaseUnavailable for a missing folder.
    """
    try:
        with opened(url) as engine, engine.connect() as connection:
            connection.execute(text("UPDATE revision SET number = number WHERE name = 'doctor'"))
            connection.rollback()
    except (SQLAlchemyError, ValueError) as error:
        raise Unusable(type(getattr(error, "orig", None) or error).__name__) from error


def shown(url: str) -> str:
    """Return the address without its password."""
    return make_url(url).render_as_string(hide_password=True)


def file_of(url: str) -> Path | None:
    """Return the file of an SQLite database; None for a server."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def migrate(url: str) -> list[str]:
    """Bring the tables up to date; return the revisions that were applied. Raises NotMigrated if ahead."""
    from migrations import run

    known = revisions()
    with _engine(url) as engine:
        found = current_revision(engine)
        if found is not None and found not in known:
            check_migrated(engine)
        run.upgrade(engine)
    return known if found is None else known[known.index(found) + 1 :]


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Open a database whose tables are up to date, and close it after use. Raises NotMigrated."""
    with _engine(url) as engine:
        check_migrated(engine)
        yield engine


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
