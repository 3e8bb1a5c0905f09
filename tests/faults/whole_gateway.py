"""A whole gateway under load, in a process of its own, and its books against the simulator's own.

`haechi serve` is one process here and the simulator another, which lives on; each keeps its own ledger,
joined by the attempt id that the gateway sends along.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from billing.budgets import Budget, Every, Scope
from billing.quotes import total
from billing.store import (
    budget_status,
    check_accounts,
    open_dispatches,
    open_engine,
    rerate,
    set_budget,
    verify,
)
from billing.store.rows import line_of, read_lines, read_quote
from billing.usage import CLASSES, Usage
from gateway.demo.books import provider_books
from gateway.keyring import Purpose
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install
from tests.journeys.test_operation import HAECHI, free_port, wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECTIONS = 32
NANO_KRW = {"input": 1_739_000, "cache_read": 173_900, "output": 13_912_000, "reasoning": 13_912_000}
"""Of one token: 1.25, 0.125 and 10 dollars a million at 1,391.20 won, as CONFIG says; worked out by hand."""


class Load:
    """Connections that ask until the server is gone; what they were told of whole answers."""

    def __init__(self, made: Gateway) -> None:
        self._made = made
        self._over = threading.Event()
        self.answered: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.slowest_s = 0.0
        self.broken = 0
        """Connections that ended without an answer."""
        self._threads = [threading.Thread(target=self._connection) for _ in range(CONNECTIONS)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answers: int) -> None:
        """A moment that lies in the work, however busy the machine is."""
        deadline = time.monotonic() + 60
        while len(self.answered) < answers:
            assert time.monotonic() < deadline, "the gateway answers nobody"
            time.sleep(0.002)

    def _connection(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._over.is_set():
                try:
                    self._ask(client)
                except httpx.HTTPError:  # it was killed
                    self.broken += 1
                    return

    def _ask(self, client: httpx.Client) -> None:
        body = {
            "model": "sim-large",
            "stream": random.random() < 0.5,
            "messages": [{"role": "user", "content": "안녕하세요 " * random.randint(1, 30)}],
        }
        headers = {"authorization": f"Bearer {self._made.keys['p1']}"}
        began = time.monotonic()
        answer = client.post(f"{self._made.url}/v1/chat/completions", json=body, headers=headers)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200 and (not body["stream"] or "data: [DONE]" in answer.text):
            self.answered.append(answer.headers["x-request-id"])


@contextmanager
def simulating() -> Iterator[Simulator]:
    """One whose books are of one ledger alone."""
    with subprocess.Popen([sys.executable, "-m", "simulator"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Simulator(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()


def serve(made: Gateway) -> subprocess.Popen[bytes]:
    port = free_port()
    with (made.folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, HAECHI, "serve", "--port", str(port)],
            cwd=made.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HAECHI_LOG_FORMAT": "json"},
        )
    made.url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(made.url, server)
    except BaseException:
        server.kill()
        server.wait()
        raise
    return server


def installed(folder: Path, simulator: Simulator, url: str = "", *, hard: bool = True) -> Gateway:
    """A gateway on one ledger, SQLite in `folder` or the database of `url`, under a budget that is never reached."""
    text = CONFIG.format(simulator=simulator.url, filter="", faulty="http://127.0.0.1:9")
    text += f'\n[database]\nurl = "{url}"\n' if url else ""
    made = Gateway("", folder, install(folder, text), simulator)
    made.issue("p1", person_id="p1")
    engine = open_engine(made.settings.load_config().database_url)
    budget = Budget("b", Scope("unit", "seoul"), Every.ONCE, 10**17, hard)
    set_budget(engine, budget, now=datetime.now(UTC), by="test", reason="test")
    engine.dispose()
    return made


def compare(made: Gateway, answered: list[str]) -> dict[str, int]:
    """Attempt by attempt: none lost, none doubled, reported ones as the provider booked them."""
    rows = made.rows("SELECT * FROM ledger_charge WHERE kind = 'charge'")
    dispatched = {row["attempt_id"] for row in made.rows("SELECT attempt_id FROM ledger_dispatch")}
    theirs = provider_books(made.simulator.url)
    asked = {str(attempt) for attempt in theirs.asked}
    assert len(asked) == len(theirs.asked), "an attempt was sent twice"
    charges = {row["attempt_id"]: row for row in rows}
    assert len(charges) == len(rows), "an attempt was charged twice"
    assert set(charges) == dispatched
    assert asked <= set(charges), "the provider was asked something that nobody was charged for"
    unseen = {charges[attempt]["outcome"] for attempt in set(charges) - asked}
    assert unseen <= {"adopted", "not_sent"}, unseen
    reported = {attempt for attempt, row in charges.items() if row["source"] == "reported"}
    told = {charges[attempt]["request_id"] for attempt in reported}
    assert set(answered) <= told, "a client had its whole answer, and no charge of it is there"
    unknown = {attempt for attempt, row in charges.items() if row["source"] == "estimated"}
    adopted = {attempt for attempt, row in charges.items() if row["outcome"] == "adopted"}
    assert unknown == adopted, "an estimate for an attempt whose end was known"
    for attempt in reported:
        booked = {name: count for name, count in theirs.answered[attempt].items() if count}
        assert {name: charges[attempt][name] for name in CLASSES if charges[attempt][name]} == booked
        assert charges[attempt]["amount_nano_krw"] == sum(NANO_KRW[name] * n for name, n in booked.items())
    look_at_the_ledger(made)
    return {
        "attempts": len(charges),
        "asked": len(asked),
        "answered": len(answered),
        "reported": len(reported),
        "adopted": len(adopted),
    }


def look_at_the_ledger(made: Gateway) -> None:
    engine = open_engine(made.settings.load_config().database_url)
    try:
        report = verify(engine, made.settings.keyring().by_version(Purpose.LEDGER_CHAIN))
        assert report.ok, report.problems[:3]
        assert open_dispatches(engine) == []
        assert check_accounts(engine) == []
        assert [status.held for status in budget_status(engine, datetime.now(UTC))] == [0]
        for month in {row["billing_period"] for row in made.rows("SELECT billing_period FROM ledger_charge")}:
            assert rerate(engine, month).ok
        _price_again(engine, made.rows("SELECT * FROM ledger_charge WHERE source = 'reported' LIMIT 200"))
    finally:
        engine.dispose()


def _price_again(engine: Any, rows: list[dict[str, Any]]) -> None:
    """Reported amounts to the last nano-won, from usage and quote."""
    with closing(engine.connect()) as connection:
        for row in rows:
            usage = Usage(**{name: row[name] for name in CLASSES}, quarantined=bool(row["quarantined"]))
            expected = read_quote(connection, row["quote_id"]).rate(usage, row["service_tier"])
            assert row["amount_nano_krw"] == total(expected)
            assert tuple(map(line_of, read_lines(connection, row["charge_id"]))) == expected
