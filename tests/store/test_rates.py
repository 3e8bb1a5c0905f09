"""Minutes of rate limits in the database: exact, pruned, and no burden on the ledger's disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from billing.store import open_engine
from billing.tables import metadata, rate_windows
from gateway.limits.windows import Ask, Moment, Told, WindowsAway
from gateway.store.rates import KEPT_MINUTES, RateTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = Moment(1_000, 0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path}/haechi.db"
    engine = open_engine(made)
    metadata.create_all(engine)
    engine.dispose()
    return made


@pytest.fixture
def table(url: str) -> Iterator[RateTable]:
    made = RateTable(url)
    yield made
    made.close()


def rows(url: str) -> set[tuple[str, int, int]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = {tuple(row) for row in connection.execute(select(rate_windows))}
    engine.dispose()
    return found


def test_counters_of_one_request_are_taken_together(table: RateTable, url: str) -> None:
    asks = [Ask("b", 10, 1), Ask("a", 100, 60), Ask("b", 10, 9)]
    assert table.take(asks, START) == [Told(1, 1, 0), Told(60, 60, 0), Told(9, 10, 0)]
    assert table.take([Ask("b", 10, 1), Ask("a", 100, 40)], START) == [Told(0, 10, 0), Told(40, 100, 0)]
    assert rows(url) == {("a", START.minute, 100), ("b", START.minute, 10)}


def test_what_is_given_back_can_be_taken_again_in_its_minute(table: RateTable) -> None:
    table.take([Ask("a", 10, 10)], START)
    table.give([("a", START.minute, 4), ("never taken", START.minute, 4)])
    assert table.take([Ask("a", 10, 4)], START) == [Told(4, 10, 0)]
    later = Moment(START.minute + 1, 0)
    assert table.take([Ask("a", 10, 1)], later) == [Told(0, 0, 10)]
    table.give([("a", START.minute, 10)])
    assert table.take([Ask("a", 10, 10)], later) == [Told(10, 10, 0)]


def test_minutes_that_weigh_no_more_are_forgotten(table: RateTable, url: str) -> None:
    table.take([Ask("a", 10, 1)], START)
    last = START.minute + KEPT_MINUTES + 1
    table.take([Ask("b", 10, 1)], Moment(last, 0))
    assert rows(url) == {("b", last, 1)}


def test_its_commits_wait_for_no_disk_and_other_connections_do(table: RateTable, url: str) -> None:
    table.take([Ask("a", 10, 1)], START)
    assert table._connection is not None
    assert table._connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL
    engine = open_engine(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    engine.dispose()


def test_a_database_without_tables_is_away_and_found_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/later.db"
    table = RateTable(url)
    with pytest.raises(WindowsAway):
        table.take([Ask("a", 10, 1)], START)
    with pytest.raises(WindowsAway):
        table.give([("a", START.minute, 1)])
    engine = open_engine(url)
    metadata.create_all(engine)
    engine.dispose()
    assert table.take([Ask("a", 10, 1)], START) == [Told(1, 1, 0)]
    table.close()
