"""What one request costs in units that no machine and no load changes: `python -m benchmarks.ratchet`.

    calls      of Python and C functions, on the event loop; for one exchange also in the journal's thread
    bytecodes  executed by the event loop

The whole line is real (filter, ledger on SQLite, a provider over HTTP); only the server's sockets are
left out, because how bytes arrive in pieces is chance. So is how often asyncio's own loop turns, which uvloop
stands for in production: what it does itself is not counted. How much the journal writes together is a matter
of time too: its thread is counted apart, where each submission is committed alone.
tests/test_ratchet.py holds the figures against RECORDED.
What C code does inside one call is not seen here; `make bench` sees it.
"""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, Final

from benchmarks import ledger, load
from billing.journal import Journal
from billing.ledger import IdSource
from billing.store import LedgerSink, open_engine
from filters import native
from gateway.app import create_app
from gateway.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from types import FrameType

    from fastapi import FastAPI

WARM_UP: Final = 30
REQUESTS: Final = 40
TRACED: Final = 8
"""Requests whose bytecodes are counted: each costs some fifty times its usual time."""

Figures = dict[str, float]
"""By `request calls`, `request bytecodes`, `stream calls` (of 100 chunks), `stream bytecodes`, `journal
calls` (of one exchange)."""

PYTHON: Final = (3, 11)
AS_WRITTEN: Final[Figures] = {
    "request calls": 2650,
    "request bytecodes": 35_950,
    "stream calls": 5340,
    "stream bytecodes": 69_400,
    "journal calls": 814,
}
COMPILED: Final[Figures] = AS_WRITTEN | {
    "request calls": 1480,
    "request bytecodes": 18_900,
    "stream calls": 4170,
    "stream bytecodes": 52_400,
}
"""With the filter's hot modules compiled, whose calls among themselves nobody sees."""

RECORDED: Final = AS_WRITTEN if native.compiled() is None else COMPILED
"""Measured with PYTHON. Write lower ones here when they fall; higher ones need a reason in the commit."""
TOLERANCE: Final = 0.05
"""Two runs differ by half a per cent, on a loaded machine too."""


def slower(figures: Figures) -> list[str]:
    """Say which figures have grown beyond what was recorded."""
    return [
        f"{name}: {figures[name]:.0f}, recorded {recorded:.0f}"
        for name, recorded in RECORDED.items()
        if figures[name] > recorded * (1 + TOLERANCE)
    ]


LOOP: Final = frozenset(
    module.__file__ for module in (asyncio.base_events, asyncio.events, asyncio.selector_events, selectors)
)
"""Where asyncio's loop turns: more often on a loaded machine."""


@dataclass(slots=True)
class Counting:
    """Counts calls of a thread while it is on."""

    on: bool = False
    calls: int = 0
    bytecodes: int = 0

    def call(self, frame: FrameType, event: str, _arg: object) -> None:
        if self.on and event in {"call", "c_call"} and frame.f_code.co_filename not in LOOP:
            self.calls += 1

    def in_journal(self, _frame: FrameType, _event: str, _arg: object) -> None:
        """Stand in every thread that starts, and stay in the journal's."""
        if threading.current_thread().name == "journal":
            sys.setprofile(self.call)
        else:
            sys.setprofile(None)

    def trace(self, frame: FrameType, event: str, _arg: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename in LOOP:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.bytecodes += event == "opcode"
        return self.trace


@contextmanager
def provider() -> Iterator[int]:
    """Run the instant upstream, each stream in one write; yield its port."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.upstream", "--port", str(port), "--joined"]
    with subprocess.Popen(command, cwd=load.ROOT) as running:
        try:
            _wait_for(port)
            yield port
        finally:
            running.terminate()


def _wait_for(port: int, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"port {port}")


def measure(folder: Path, key: str) -> Figures:
    """Count what requests and streams of the gateway in `folder` cost."""
    app = create_app(Settings(config=folder / "haechi.toml", log_level="error"))
    figures = asyncio.run(_measured(app, key, Counting()))
    counting = Counting()
    threading.setprofile(counting.in_journal)
    try:
        return figures | {"journal calls": asyncio.run(_journal_calls(folder, counting))}
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]  # None is how it ends


async def _journal_calls(folder: Path, counting: Counting) -> float:
    """Count what the journal's thread calls for one dispatch and its charge, under the budgets there are."""
    engine = open_engine(f"sqlite:///{folder}/haechi.db")
    journal = Journal(LedgerSink(engine, ledger.KEY), early=False)
    payer = replace(ledger.ATTRIBUTION, person_id="p1", unit_path=("seoul", "d1"))
    ids = IdSource()

    async def exchanges(times: int) -> None:
        for _ in range(times):
            await ledger.exchange(journal, ids, payer)

    journal.start()
    try:
        await exchanges(WARM_UP)
        counting.calls, counting.on = 0, True
        await exchanges(REQUESTS)
        counting.on = False
    finally:
        await asyncio.to_thread(journal.stop)
        engine.dispose()
    return counting.calls / REQUESTS


async def _measured(app: FastAPI, key: str, counting: Counting) -> Figures:
    figures: Figures = {}
    number = 0

    async def asked(times: int, *, stream: bool) -> None:
        nonlocal number
        for _ in range(times):
            number += 1
            body = load.request_body(stream=stream).replace("{n}", str(100_000 + number))
            await ask(app, key, body.encode())

    async with app.router.lifespan_context(app):
        for name, stream in (("request", False), ("stream", True)):
            await asked(WARM_UP, stream=stream)
            counting.calls, counting.on = 0, True
            sys.setprofile(counting.call)
            await asked(REQUESTS, stream=stream)
            sys.setprofile(None)
            counting.on = False
            figures[f"{name} calls"] = counting.calls / REQUESTS
            figures[f"{name} bytecodes"] = await _bytecodes(counting, asked(TRACED, stream=stream))
    return figures


async def _bytecodes(counting: Counting, work: Any) -> float:
    """Count what the loop executes for `work`, everything that it wakes included."""
    counting.bytecodes = 0
    sys.settrace(counting.trace)
    try:
        await asyncio.ensure_future(work)  # in frames of its own: those that run already are not traced
    finally:
        sys.settrace(None)
    return counting.bytecodes / TRACED


async def ask(app: FastAPI, key: str, body: bytes, statuses: Container[int] = (200,)) -> None:
    """One request as a server hands it to the app. Raises AssertionError unless the answer is whole."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": load.CHAT,
        "raw_path": load.CHAT.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"authorization", b"Bearer " + key.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    arriving = [{"type": "http.request", "body": body, "more_body": False}]
    sent: Counter[str] = Counter()

    async def receive() -> dict[str, Any]:
        return arriving.pop() if arriving else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent[message["type"]] += 1
        assert message.get("status", 200) in statuses, message
        sent["ends"] += message["type"] == "http.response.body" and not message.get("more_body")

    await app(scope, receive, send)
    assert sent["ends"] == 1


def main() -> None:
    with tempfile.TemporaryDirectory(dir=load.ROOT, prefix=".bench-") as name, provider() as port:
        figures = measure(Path(name), load.install(Path(name), port=port))
    for figure, value in figures.items():
        print(f"{figure:20}{value:10.0f}{value / RECORDED[figure] - 1:+10.1%} of what was recorded")
    if found := slower(figures):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
