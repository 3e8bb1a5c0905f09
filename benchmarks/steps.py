"""What each step of a request costs the event loop, alone and side by side: `python -m benchmarks.steps`.

A gateway whose steps are timed, which costs some 10 µs a request, answers wrk over 1, 8 and 32 connections. A
step's figure leaves out the steps inside it. What no step claims is the server's, asyncio's, uvloop's and the
kernel's. The same step takes longer the more other code ran since it ran last (docs/decisions/0127).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from benchmarks import load
from billing.early import Early
from billing.journal import Journal
from filters.inspector import Inspector
from gateway import app
from gateway.answer import Channels
from gateway.attempt import Attempt
from gateway.cli.serving import _uvicorn_options
from gateway.connections import Connection
from gateway.dispatch import Dispatcher
from gateway.http import chat as endpoint
from gateway.http.server import _Sending
from gateway.metered import Reply
from gateway.pipeline import Pipeline
from gateway.providers.decoding import AnswerDecoder
from gateway.surfaces import chat
from gateway.ways import Ways

if TYPE_CHECKING:
    from fastapi import FastAPI

STEPS: tuple[tuple[Any, str, str], ...] = (
    (HttpToolsProtocol, "data_received", "HTTP parsed, a task made"),
    (Pipeline, "identify", "identity"),
    (endpoint, "parse_json", "the body parsed"),
    (chat, "parse", "the chat read"),
    (Inspector, "detect", "the filter"),
    (Ways, "first", "verdict and route"),
    (Dispatcher, "prepare", "price, hold, the provider's request"),
    (Journal, "append", "rows into the log, dispatch and charge"),
    (Early, "_land", "whoever waited for the disk woken"),
    (Connection, "data_received", "the provider's answer received"),
    (AnswerDecoder, "feed", "the answer decoded"),
    (AnswerDecoder, "finish", "the answer decoded"),
    (Attempt, "_charge", "the charge"),
    (Channels, "completion", "the guard"),
    (chat, "encode", "the answer encoded"),
    (Reply, "over", "metrics of the request"),
    (_Sending, "_at_once", "written to the client"),
)
LAST = "written to the client"
REST = "what lies between: the server, asyncio, uvloop, sockets"
SKIPPED, COUNTED = 1_000, 6_000
CONNECTIONS = (1, 8, 32)


class Costs:
    """Seconds of each step without those inside it, until so many requests are answered."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._answered = 0
        self._spent: Counter[str] = Counter()
        self._inside = [0.0]
        self._began = 0.0

    def within(self, owner: Any, name: str, what: str) -> None:
        original = getattr(owner, name)

        def timed(*args: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            before = time.perf_counter()
            try:
                return original(*args, **named)
            finally:
                elapsed = time.perf_counter() - before
                self._spent[what] += elapsed - self._inside.pop()
                self._inside[-1] += elapsed
                if what == LAST:
                    self._answer()

        setattr(owner, name, timed)

    def _answer(self) -> None:
        self._answered += 1
        if self._answered == SKIPPED:
            self._spent.clear()
            self._began = time.thread_time()
        elif self._answered == SKIPPED + COUNTED:
            whole = time.thread_time() - self._began
            found = dict(self._spent) | {REST: whole - sum(self._spent.values())}
            self._out.write_text(json.dumps({what: spent / COUNTED * 1e6 for what, spent in found.items()}))


def serve(port: int, out: Path) -> None:
    def create() -> FastAPI:
        costs = Costs(out)
        for step in STEPS:
            costs.within(*step)
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
    found = {connections: load.told_by("benchmarks.steps", connections) for connections in CONNECTIONS}
    print(f"load average {os.getloadavg()[0]:.1f}; µs of the loop's thread, by connections")
    print("".join(f"{connections:7}" for connections in CONNECTIONS))
    for what in dict.fromkeys([*(what for _, _, what in STEPS), REST]):
        print("".join(f"{found[connections].get(what, 0.0):7.0f}" for connections in CONNECTIONS), "", what)
    print("".join(f"{sum(found[connections].values()):7.0f}" for connections in CONNECTIONS), " all of it")


if __name__ == "__main__":
    main()
