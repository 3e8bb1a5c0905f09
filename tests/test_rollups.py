"""The counting task by itself, on a real ledger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from billing.ledger import record_of
from billing.store import LedgerSink, open_engine
from billing.store.usage_queries import totals
from gateway.rollups import Rollups
from gateway.store.database import migrate
from tests.billing.conftest import KEY, Maker

if TYPE_CHECKING:
    from pathlib import Path


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the state is set by the task itself
            await asyncio.sleep(0.01)


def test_what_is_charged_is_counted_while_the_server_runs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/haechi.db"
    migrate(url)
    engine, make = open_engine(url), Maker()
    sink = LedgerSink(engine, KEY, clock=lambda: make.now)
    sink.open()
    dispatch = make.dispatch()
    sink.write([[record_of(dispatch)], [record_of(make.charge(dispatch))]])
    counting = Rollups(engine, every_s=0.02)

    async def run() -> None:
        task = asyncio.create_task(counting.run())
        await until(lambda: counting.state.counted_at is not None)
        assert totals(engine).attempts == 1
        assert (counting.state.rows_behind, counting.state.failure) == (0, None)
        task.cancel()

    asyncio.run(run())
    sink.close()
    engine.dispose()


def test_a_database_that_is_away_is_tried_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/haechi.db"
    engine = open_engine(url)  # no tables yet
    counting = Rollups(engine, every_s=0.02)

    async def run() -> None:
        task = asyncio.create_task(counting.run())
        await until(lambda: counting.state.failure == "OperationalError")
        await asyncio.to_thread(migrate, url)
        await until(lambda: counting.state.counted_at is not None)
        assert counting.state.failure is None
        task.cancel()

    asyncio.run(run())
    engine.dispose()
