"""Where the time of one request goes, over one connection: `python -m benchmarks.timeline`.

A gateway whose steps note when they begin, which costs some 10 µs a request, answers wrk as in
`benchmarks.gateway`; printed is each stretch between two notes. There is no setting that notes, and none is
wanted; this stands in for one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from benchmarks import load
from billing.early import Early
from billing.journal import Journal
from filters.inspector import Inspector
from gateway import app
from gateway.cli.serving import _uvicorn_options
from gateway.connections import Connection
from gateway.http.server import _Sending
from gateway.pipeline import Pipeline

if TYPE_CHECKING:
    from fastapi import FastAPI

STRETCHES = (
    ("received", ""),
    ("pipeline", "HTTP parsed, a task, identity, the body read"),
    ("detect", "the chat parsed"),
    ("detected", "the filter"),
    ("append", "verdict, route, price and hold, the provider's request written"),
    ("appended", "dispatch and receipt into the log"),
    ("durable", "the disk"),
    ("ask", "woken, a connection taken"),
    ("answer", "the upstream asked directly: sent, waited for, received"),
    ("append", "the answer decoded, its charge"),
    ("appended", "the charge into the log"),
    ("durable", "the disk; meanwhile the answer is put together"),
    ("send", "woken"),
    ("sent", "written"),
)
"""Notes in their order, and what lies before each."""
ORDER = [name for name, _ in STRETCHES]
SKIPPED, COUNTED = 500, 2_000


class Notes:
    """Notes of the request that is served now, and the figures of those that were."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._names: list[str] = []
        self._times: list[float] = []
        self._found: list[list[float]] = []

    def note(self, name: str) -> None:
        if name == "received":
            self._names, self._times = [], []
        self._names.append(name)
        self._times.append(time.perf_counter())
        if name == "sent" and self._names == ORDER:
            self._found.append([later - earlier for earlier, later in pairwise(self._times)])
            if len(self._found) == SKIPPED + COUNTED:
                self._out.write_text(json.dumps(self._found[SKIPPED:]))

    def within(self, owner: Any, method: str, begins: str, ends: str | None = None) -> None:
        """Note when a method of a class begins, and when it returns."""
        original = getattr(owner, method)

        def noting(*args: Any, **named: Any) -> Any:
            self.note(begins)
            result = original(*args, **named)
            if ends is not None:
                self.note(ends)
            return result

        setattr(owner, method, noting)


def serve(port: int, out: Path) -> None:
    def create() -> FastAPI:
        notes = Notes(out)
        notes.within(HttpToolsProtocol, "data_received", "received")
        notes.within(Pipeline, "answer", "pipeline")
        notes.within(Inspector, "detect", "detect", "detected")
        notes.within(Journal, "append", "append", "appended")
        notes.within(Early, "_land", "durable")
        notes.within(Connection, "ask", "ask")
        notes.within(Connection, "data_received", "answer")
        notes.within(_Sending, "_at_once", "send", "sent")
        return app.create()

    uvicorn.run(create, factory=True, port=port, **_uvicorn_options([], 5))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    serving = parser.parse_args().serve
    if serving:
        serve(int(serving[0]), Path(serving[1]))
        return
    show(load.told_by("benchmarks.timeline", connections=1))


def show(found: list[list[float]]) -> None:
    print(f"{COUNTED} requests, load average {os.getloadavg()[0]:.1f}; µs\n{'p50':>7}{'p90':>7}{'p99':>7}")
    columns = [list(column) for column in zip(*found, strict=True)]
    for (_, what), column in zip(STRETCHES[1:], columns, strict=True):
        print(_line(column), what)
    print(_line([sum(one) for one in found]), "all of it")


def _line(times: list[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return "".join(f"{cuts[share - 1] * 1e6:7.0f}" for share in (50, 90, 99)) + " "


if __name__ == "__main__":
    main()
