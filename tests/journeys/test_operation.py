"""The gateway as an operator runs it: `haechi serve` with two workers, its metrics, its logs, its end."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.journeys.conftest import CONFIG, Gateway, Simulator, install

if TYPE_CHECKING:
    from collections.abc import Iterator

HAECHI = str(Path(sys.executable).with_name("haechi"))
SECRET_WORDS = "도로점용허가-비밀문장-7731"
HELLO = {
    "model": "sim-large",
    "messages": [{"role": "user", "content": f"{SECRET_WORDS} 연락처 010-1234-5678"}],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("workers")
    settings = install(folder, CONFIG.format(simulator=simulator.url, filter="", faulty="http://127.0.0.1:9"))
    made = Gateway("", folder, settings, simulator)
    made.issue("p1", person_id="p1")
    made.issue("p2", person_id="p2")
    port = free_port()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [HAECHI, "serve", "--workers", "2", "--port", str(port)],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HAECHI_LOG_FORMAT": "json"},
        )
        made.url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(made.url, server)
            yield made
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("not ready in time")


def test_two_workers_share_one_file_and_metrics_sum_over_both(gateway: Gateway) -> None:
    asked = 0
    while len(gateway.rows("SELECT DISTINCT slot FROM ledger_charge")) < 2:
        assert asked < 1200, "the kernel gave every connection to one worker"
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            responses = list(pool.map(lambda _: gateway.post(HELLO), range(60)))
        assert {response.status_code for response in responses} == {200}
        asked += 60
    assert len(gateway.rows("SELECT * FROM ledger_charge")) == asked
    for _ in range(5):  # whichever worker answers, the sum is the same
        metrics = httpx.get(f"{gateway.url}/metrics").text
        ok = re.search(r'haechi_requests_total\{outcome="ok",surface="chat"\} (\S+)', metrics)
        assert ok is not None
        assert float(ok[1]) == asked


def test_a_limit_by_the_minute_holds_over_both_workers(gateway: Gateway) -> None:
    gateway.issue("slow", person_id="p2", requests_per_min=20)
    gateway.wait_for_key("slow")
    time.sleep(1.0)  # until the other worker knows the key, too
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: gateway.post(HELLO, "slow").status_code, range(100)))
    faded = 20 * (time.monotonic() - began) / 60  # of what was counted before a minute's border
    assert set(statuses) == {200, 429}
    assert 20 <= statuses.count(200) <= 20 + faded + 1


def test_a_key_in_use_is_limited_in_every_worker_within_a_second(gateway: Gateway) -> None:
    key_id = gateway.issue("free", person_id="p2")
    gateway.wait_for_key("free")
    time.sleep(1.0)
    assert {gateway.post(HELLO, "free").status_code for _ in range(20)} == {200}
    limit = [HAECHI, "keys", "limit", key_id, "--requests-per-min", "5", "--reason", "시험"]
    subprocess.run(limit, cwd=gateway.folder, check=True, capture_output=True)
    time.sleep(1.0)
    began = time.monotonic()
    statuses = [gateway.post(HELLO, "free").status_code for _ in range(20)]
    faded = 5 * (time.monotonic() - began) / 60
    assert 5 <= statuses.count(200) <= 5 + faded + 1
    limit[4:6] = ["--requests-per-min", "0"]
    subprocess.run(limit, cwd=gateway.folder, check=True, capture_output=True)
    time.sleep(1.0)
    assert {gateway.post(HELLO, "free").status_code for _ in range(10)} == {200}


def test_a_revoked_key_ends_in_every_worker(gateway: Gateway) -> None:
    key_id = gateway.issue("brief", person_id="p2")
    gateway.wait_for_key("brief")
    subprocess.run([HAECHI, "keys", "revoke", key_id], cwd=gateway.folder, check=True, capture_output=True)
    time.sleep(1.0)
    assert {gateway.post(HELLO, "brief").status_code for _ in range(20)} == {401}


def test_the_ledger_of_two_writers_verifies_and_reports(gateway: Gateway) -> None:
    gateway.post(HELLO)
    verified = subprocess.run(
        [HAECHI, "ledger", "verify"], cwd=gateway.folder, capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    report = subprocess.run(
        [HAECHI, "report", "usage", "--by", "department", "--json"],
        cwd=gateway.folder,
        capture_output=True,
        text=True,
    )
    rows = json.loads(report.stdout)
    charged = gateway.rows("SELECT SUM(amount_nano_krw) AS total, COUNT(*) AS n FROM ledger_charge")[0]
    assert str(charged["n"]) in report.stdout
    assert rows


def test_nothing_that_anybody_wrote_is_in_the_logs_or_the_database(gateway: Gateway) -> None:
    gateway.post(HELLO)
    gateway.post({**HELLO, "stream": True})
    gateway.post({**HELLO, "model": f"{SECRET_WORDS}"})
    gateway.post({**HELLO, "messages": [{"role": "user", "content": f"{SECRET_WORDS} 901010-1234567"}]})
    gateway.post(f'{{"model": "{SECRET_WORDS}", '.encode())
    gateway.post({**HELLO, SECRET_WORDS: {SECRET_WORDS: 1}})
    time.sleep(0.5)
    for path in gateway.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for planted in (SECRET_WORDS, "010-1234-5678", "901010-1234567"):
                assert planted.encode() not in content, path.name
    for line in (gateway.folder / "log").read_text().splitlines():
        if line.startswith("{"):
            assert json.loads(line)["event"]
