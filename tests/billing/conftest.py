"""Real databases and real ledger entries for the tests of billing."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from billing.budgets import Budget, BudgetExceeded, Every, Scope
from billing.journal import Journal
from billing.ledger import Attribution, Charge, Dispatch, IdSource, Outcome
from billing.periods import billing_month
from billing.prices import PriceBook
from billing.segments import Segments
from billing.store import LedgerSink, open_engine, set_budget
from billing.tables import INSERT_ONLY, metadata
from billing.usage import Usage, UsageSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine


KEY = b"k" * 32
CITY = Scope("unit", "서울특별시")
START = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
PRICES = [
    {
        "key": "openai/gpt",
        "from": "2026-01-01",
        "currency": "USD",
        "input": "1.25",
        "cache_read": "0.125",
        "output": "10",
    }
]
FX = [{"base": "USD", "quote": "KRW", "date": "2026-10-01", "rate": "1391.20", "source": "test"}]


_SCHEMAS = count()


class Maker:
    """Makes entries that differ only where a test says so; its clock moves on by a millisecond each."""

    def __init__(self) -> None:
        self.ids = IdSource()
        self.book = PriceBook.from_tables(PRICES, FX)
        self.now = START
        self._people = count()

    def tick(self, by: timedelta = timedelta(milliseconds=1)) -> datetime:
        self.now += by
        return self.now

    def attribution(self, **changes: Any) -> Attribution:
        fields: dict[str, Any] = {
            "person_id": "p1",
            "key_id": "k1",
            "department_id": "총무과",
            "unit_path": ("서울특별시", "행정국", "총무과"),
            "model_id": "gpt",
            "deployment_id": "gpt@openai",
            "provider": "openai",
            "upstream_model": "gpt-5.1",
            "zone": "external",
            "surface": "chat",
        }
        return Attribution(**(fields | changes))

    def dispatch(self, attribution: Attribution | None = None, **changes: Any) -> Dispatch:
        at = changes.pop("started_at", None) or self.tick()
        quote = self.book.quote("openai/gpt", at)
        fields: dict[str, Any] = {
            "attempt_id": self.ids.next(at),
            "request_id": self.ids.next(at),
            "started_at": at,
            "billing_period": billing_month(at),
            "attribution": attribution or self.attribution(),
            "quote": quote,
            "hold_nano_krw": quote.upper_bound(1_500, 500),
            "input_bytes": 1_500,
            "max_output_tokens": 500,
        }
        return Dispatch(**(fields | changes))

    def charge(self, dispatch: Dispatch, **changes: Any) -> Charge:
        at = self.tick()
        fields: dict[str, Any] = {
            "charge_id": self.ids.next(at),
            "settled_at": at,
            "outcome": Outcome.SUCCESS,
            "source": UsageSource.REPORTED,
            "usage": Usage(input=400, cache_read=50, output=200),
        }
        return Charge.settle(dispatch, **(fields | changes))

    async def spend(self, journal: Journal, least_output: int = 0) -> bool:
        """Dispatch, and charge at most what that holds after a moment; False: the budgets refused it."""
        dispatch = self.dispatch()
        try:
            await journal.append([dispatch])
        except BudgetExceeded:
            return False
        await asyncio.sleep(random.random() * 0.02)
        usage = Usage(input=random.randint(0, 1_500), output=random.randint(least_output, 500), requests=1)
        await journal.append([self.charge(dispatch, usage=usage)])
        return True


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/haechi.db"
    address = str(request.getfixturevalue("postgres").get_uri())
    schema = f"t{next(_SCHEMAS)}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")  # quicker than a database for each test
    return f"{address}&options=-csearch_path%3D{schema}"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database that holds the ledger's empty tables; its log of statements is nobody's business."""
    engine = open_engine(database_url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/haechi.db")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sink(engine: Engine, make: Maker) -> Iterator[LedgerSink]:
    sink = LedgerSink(engine, KEY, clock=lambda: make.now)
    sink.open()
    yield sink
    sink.close()


@pytest.fixture
def open_sink(engine: Engine, make: Maker) -> Iterator[Any]:
    """Open sinks that a test leaves as a dead process would; their connections end with the test."""
    opened = []

    def open_one(**more: Any) -> LedgerSink:
        sink = LedgerSink(engine, KEY, clock=lambda: make.now, **more)
        sink.open()
        opened.append(sink)
        sink.tick()
        return sink

    yield open_one
    for sink in opened:
        sink._checkpointer.stop()
        sink._disconnect()


@pytest.fixture
def key() -> bytes:
    return KEY


class Tampering:
    """What somebody with the database's password can do; the triggers are switched off first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                names = connection.execute(
                    text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                ).scalars()
                for name in list(names):
                    connection.execute(text(f"DROP TRIGGER {name}"))
            else:
                for table in INSERT_ONLY:
                    connection.execute(text(f"ALTER TABLE {table.name} DISABLE TRIGGER USER"))

    def run(self, statement: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)


@pytest.fixture
def tamper(engine: Engine) -> Any:
    """Call it when everything is written."""
    return lambda: Tampering(engine)


@pytest.fixture
def new_journal(sqlite: Engine, key: bytes, tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    opened: list[Journal] = []

    def start(**more: Any) -> Journal:
        journal = Journal(LedgerSink(sqlite, key), Segments(tmp_path / "s", 1 << 20), **more)
        journal.start()
        opened.append(journal)
        return journal

    yield start
    for journal in opened:
        journal.stop()


def rows_in(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def limit(engine: Engine, make: Maker, nano_krw: int) -> None:
    budget = Budget(f"b-{nano_krw}", CITY, Every.MONTH, nano_krw)
    set_budget(engine, budget, now=make.now, by="test", reason="test")


async def exchange(journal: Journal, make: Maker, **charged: Any) -> Dispatch:
    dispatch = make.dispatch()
    await journal.append([dispatch])
    await journal.append([make.charge(dispatch, **charged)])
    return dispatch
