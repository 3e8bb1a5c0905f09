"""A real server whose clock is not to be trusted: over a month's end in Korea, and set back ten minutes.

libfaketime gives the server another wall clock, moved while it runs; monotonic time is left alone, as
it is where an administrator or NTP sets a clock.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libfaketime
import pytest

from billing.periods import billing_month, from_us
from billing.store import check_accounts, open_dispatches, open_engine, set_budget, verify
from gateway.keyring import Purpose
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install
from tests.journeys.test_operation import HAECHI, free_port, wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

MIDNIGHT = datetime(2026, 11, 30, 15, tzinfo=UTC)
"""The first instant of December in Seoul."""
LIBRARY = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"
HELLO = {"model": "faulty-model", "messages": [{"role": "user", "content": "안녕하세요"}]}
ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}'
)


PATIENT = "connect_s = 15.0, first_byte_s = 15.0, idle_s = 15.0, total_s = 20.0"
"""No attempt is given up and made again: one request is one row here, however busy the machine is."""


@dataclass
class Clock:
    """The server's wall clock: an offset to ours, in a file that libfaketime reads at each look."""

    file: Path

    def set(self, at: datetime) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{(at - datetime.now(UTC)).total_seconds():+.3f}")
        new.replace(self.file)

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


@dataclass
class Provider:
    """Answers at once, or holds its answers back until it is let go."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    made.free.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            made.asked.append(self.path)
            made.free.wait(4)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.free.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock") / "faketime")


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory, provider: Provider, clock: Clock) -> Iterator[Gateway]:
    """A gateway that starts two hours before December, under a monthly budget of its institution."""
    made = _installed(tmp_path_factory.mktemp("gateway"), provider)
    _limit(made)
    clock.set(MIDNIGHT - timedelta(hours=2))
    with started(made, clock):
        yield made


@contextmanager
def started(made: Gateway, clock: Clock) -> Iterator[None]:
    """Run `haechi serve` under the clock; stop it in order."""
    port = free_port()
    with (made.folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, HAECHI, "serve", "--port", str(port)],
            cwd=made.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HAECHI_LOG_FORMAT": "json", **clock.environment()},
        )
        made.url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(made.url, server)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) in (0, -signal.SIGTERM)


def _installed(folder: Path, provider: Provider) -> Gateway:
    text = CONFIG.format(simulator="http://127.0.0.1:9", filter="", faulty=provider.url)
    text = text.replace("connect_s = 1.0, first_byte_s = 1.0, idle_s = 1.0, total_s = 5.0", PATIENT)
    made = Gateway("", folder, install(folder, text), Simulator(""))
    made.issue("p1", person_id="p1")
    return made


def _limit(made: Gateway) -> None:
    from billing.budgets import Budget, Every, Scope

    engine = open_engine(made.settings.load_config().database_url)
    budget = Budget("b", Scope("unit", "seoul"), Every.MONTH, 10**15)
    set_budget(engine, budget, now=datetime.now(UTC), by="test", reason="test")
    engine.dispose()


def ask(made: Gateway, times: int = 1) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: made.post(HELLO).status_code, range(times)))
    assert set(answers) == {200}, answers


def books(made: Gateway, behind: int = 0) -> list[dict[str, Any]]:
    """Charges in the order they were written, but for the first ones; the ledger must verify."""
    made.until_written()
    engine = open_engine(made.settings.load_config().database_url)
    assert open_dispatches(engine) == []
    report = verify(engine, made.settings.keyring().by_version(Purpose.LEDGER_CHAIN))
    assert report.ok, report.problems
    assert check_accounts(engine) == []
    engine.dispose()
    rows = made.rows("SELECT * FROM ledger_charge ORDER BY slot, seq")
    for row in rows:
        assert row["billing_period"] == billing_month(from_us(row["started_at_us"]))
    for column in ("charge_id", "attempt_id", "request_id"):
        assert len({row[column] for row in rows}) == len(rows), f"a {column} was repeated"
    return rows[behind:]


def test_a_charge_lies_in_the_month_its_request_began_in(
    clocked: Gateway, clock: Clock, provider: Provider
) -> None:
    ask(clocked, 3)
    clock.set(MIDNIGHT - timedelta(minutes=30))
    wait_for_a_seal(clocked, "hourly")
    provider.free.clear()
    clock.set(MIDNIGHT - timedelta(seconds=30))
    with ThreadPoolExecutor(1) as pool:
        over_midnight = pool.submit(clocked.post, HELLO)
        while len(provider.asked) < 4:
            time.sleep(0.005)
        clock.set(MIDNIGHT + timedelta(seconds=30))
        provider.free.set()
        assert over_midnight.result().status_code == 200
    ask(clocked, 3)
    rows = books(clocked)
    assert [row["billing_period"] for row in rows] == ["2026-11"] * 4 + ["2026-12"] * 3
    last_of_november = rows[3]
    assert from_us(last_of_november["started_at_us"]) < MIDNIGHT < from_us(last_of_november["settled_at_us"])
    accounts = clocked.rows("SELECT period, spent_nano_krw FROM budget_account ORDER BY period")
    assert [account["period"] for account in accounts] == ["2026-11", "2026-12"]
    assert accounts[0]["spent_nano_krw"] == sum(row["amount_nano_krw"] for row in rows[:4])
    wait_for_a_seal(clocked, "month_end 2026-11")


def wait_for_a_seal(made: Gateway, reason: str) -> None:
    deadline = time.monotonic() + 20
    while reason not in [row["reason"] for row in made.rows("SELECT reason FROM ledger_seal")]:
        assert time.monotonic() < deadline, f"no seal: {reason}"
        time.sleep(0.1)


def test_a_clock_set_back_ten_minutes_repeats_no_id_and_misplaces_no_charge(
    clocked: Gateway, clock: Clock
) -> None:
    before = len(books(clocked))
    clock.set(MIDNIGHT + timedelta(minutes=5))
    ask(clocked, 20)
    clock.set(MIDNIGHT - timedelta(minutes=5))
    ask(clocked, 20)
    rows = books(clocked, before)
    assert [row["billing_period"] for row in rows] == ["2026-12"] * 20 + ["2026-11"] * 20
    ids = [row["attempt_id"] for row in rows]
    assert max(ids[:20]) < min(ids[20:]), "ids go on where they were"


def test_a_server_that_starts_anew_in_the_past_repeats_no_id(
    tmp_path: Path, provider: Provider, clock: Clock
) -> None:
    made = _installed(tmp_path / "gateway", provider)
    for minutes in (5, -5):
        clock.set(MIDNIGHT + timedelta(minutes=minutes))
        with started(made, clock):
            ask(made, 10)
    assert [row["billing_period"] for row in books(made)] == ["2026-12"] * 10 + ["2026-11"] * 10
