"""The real journal, sink, log and segments, driven by hand: a test decides what happens when, and what fails.

`Writer` is one gateway process as far as the ledger goes. Its journal has no thread, and its event loop and
disk do at once what they are asked: `submit` acknowledges from the log here and now, or runs one group commit. `Weather` makes its database fail at a chosen statement, or at the commit
before or after it took hold, or stay away; `Died` ends the process in the middle of its work.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from billing.journal import Journal
from billing.ledger import record_of
from billing.segments import Segments
from billing.store import Checkpointer, LedgerSink, open_engine
from billing.store.slots import STOPPED, Process, Watch
from billing.submissions import Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from billing.ledger import Entry

KEY = b"k" * 32


class Died(BaseException):
    """The process ended here."""


class Weather:
    """What goes wrong with one process's database: `after` statements from now, once."""

    def __init__(self) -> None:
        self.away = False
        self._plan: tuple[str, int] | None = None

    def plan(self, what: str, after: int) -> None:
        """`what`: `statement`, `before_commit`, `after_commit`, `sync`, each with `_dies` behind it or not."""
        self._plan = (what, after)

    def clear(self) -> None:
        self.away, self._plan = False, None

    def install(self, engine: Any) -> None:
        event.listen(engine, "do_connect", self._connect)
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self._fail_at("before_commit")
            commit(connection)
            self._fail_at("after_commit")

        engine.dialect.do_commit = do_commit

    def _connect(self, _dialect: Any, _record: Any, arguments: Any, options: Any) -> sqlite3.Connection:
        """Connect below SQLAlchemy: the journal hands its own statements to the driver."""
        weather = self

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                weather._statement(statement)
                return super().execute(statement, *values)

        class Connection(sqlite3.Connection):
            def cursor(self, *_: Any) -> sqlite3.Cursor:
                return super().cursor(Cursor)

            def execute(self, *statement: Any) -> sqlite3.Cursor:
                return self.cursor().execute(*statement)

            def close(self) -> None:
                """A cursor of ours lives on in the traceback of `Died`, and would keep SQLite's lock."""
                self.rollback()
                super().close()

        return sqlite3.connect(*arguments, factory=Connection, **options)

    def _statement(self, statement: str) -> None:
        if self.away:
            raise _gone()
        if self._plan is not None:
            what, after = self._plan
            if what.startswith("statement") and after == 0:
                self._fail_at("statement")
            elif after > 0:
                self._plan = (what, after - 1)

    def _fail_at(self, where: str) -> None:
        if self._plan is None or not self._plan[0].startswith(where) or self._plan[1] > 0:
            return
        what, self._plan = self._plan[0], None
        if what.endswith("_dies"):
            raise Died(where)
        raise _gone()


def _gone() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("disk I/O error")


class Morgue(Watch):
    """Judges death by a list instead of the process table; who is on it may go on writing, as a zombie."""

    dead: set[int]

    def is_dead(self, row: Any) -> bool:
        return bool(row.state == STOPPED or row.pid in self.dead)


class HandDriven(Journal):
    def _refusing(self) -> bool:
        return False


class Loop:
    """An event loop that does at once what it is asked to do soon."""

    def call_soon(self, work: Callable[..., None], *arguments: Any) -> None:
        work(*arguments)

    call_soon_threadsafe = call_soon

    def is_closed(self) -> bool:
        return False

    def is_running(self) -> bool:
        return False


class Disk:
    """Syncs at once, or fails as the weather has it: what was written may be there or not."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather

    def sync(self, _descriptor: int, done: Callable[[bool], None]) -> None:
        try:
            self._weather._fail_at("sync")
        except sqlite3.OperationalError:
            done(False)
        else:
            done(True)

    def close(self) -> None:
        pass


class Writer:
    """One process. `submit` returns None for each submission that was acknowledged, else why not."""

    _pids = itertools.count(2**22 + 1)
    early = 0

    def __init__(self, directory: Path, clock: Callable[[], datetime], dead: set[int]) -> None:
        self.pid = next(self._pids)
        self.weather = Weather()
        self.engine = open_engine(f"sqlite:///{directory}/haechi.db")
        self.weather.install(self.engine)
        process = Process("here", self.pid, "1")
        self.sink = LedgerSink(self.engine, KEY, clock=clock, process=process)
        self.sink._watch = Morgue(process, 15.0, {})
        self.sink._checkpointer = Checkpointer(self.engine, every_s=3600)  # `tick` does it, in its turn
        Morgue.dead = dead
        self.journal = HandDriven(self.sink, Segments(directory / "segments", 1 << 18), clock=clock)
        self.journal._open()
        self.loop: Any = Loop()
        early = self.journal._early
        assert early is not None
        early._loop, early._disk = self.loop, Disk(self.weather)  # type: ignore[assignment]

    def submit(self, *submissions: Sequence[Entry]) -> list[BaseException | None]:
        """Acknowledge from the log what may be; one group commit for the rest. Raises Died."""
        group = [Submission.of(tuple(entries), Future(), self.loop) for entries in submissions]
        self.journal._retry_at = 0.0
        for submission in group:
            self.journal._submit(submission)
        rest = []
        while not self.journal._queue.empty():
            item = self.journal._queue.get()
            if isinstance(item, Submission):
                rest.append(item)
        if rest:
            self.journal._commit(rest)
        self.early += len(group) - len(rest)
        return [submission.waiter.exception() for submission in group]

    def wait_for_the_database(self) -> None:
        """Acknowledge nothing early for a while."""
        assert self.journal._early is not None
        self.journal._early.rest()

    def ship_again(self, entries: Sequence[Entry]) -> None:
        """Write what is written already, as a segment does that was shipped by two processes."""
        self.sink.ship([[record_of(entry) for entry in entries]])

    def tick(self) -> None:
        """What the journal's thread does every other second. Raises Died."""
        self.journal._retry_at = 0.0
        late = self.journal._late
        assert late is not None
        if self.journal._away_since is not None:
            self.journal._ship()
        else:
            self.journal._unless_away(late.ship)
            late.recall()
        self.journal._ticked_at = -1e9
        self.journal._tick()
        with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
            self.sink._checkpointer._checkpoint()

    def stop(self) -> None:
        """End in order."""
        self.journal._last_words()
        self.engine.dispose()

    def crash(self) -> None:
        """End now: connections and locks go, segments stay."""
        self.sink._checkpointer.stop()
        self.sink._disconnect()
        self.engine.dispose()
        segments = self.journal._segments
        for files in (segments._log, segments._own) if segments is not None else ():
            if files is not None:
                files.release()
