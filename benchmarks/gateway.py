"""How fast the gateway is with everything switched on: `make bench`; beside LiteLLM: `make bench-peers`.

One worker on core 0 with all its threads, SQLite with synchronous=FULL in a folder of this checkout; the load
generator (wrk) and the instant upstream on core 1. Identity, the Korean filter with names, the hold, durable
dispatch and charge rows and metrics are on, and no two prompts are alike. Figures are medians of `--runs`
runs; with `--peers DIR` LiteLLM of that environment is measured in turn with ours, run by run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import load

if TYPE_CHECKING:
    from collections.abc import Iterator

PEER_PORT = 9120
PEER = f"http://127.0.0.1:{PEER_PORT}"
PEER_KEY = "sk-bench"


@dataclass(frozen=True)
class Row:
    """One measure: the same request against one address."""

    name: str
    url: str
    key: str
    kilobytes: float = 1.4
    connections: int = 32
    stream: bool = False
    share: float = 1.0
    """Of the seconds of a run."""

    def run(self, seconds: float) -> load.Figure:
        body = load.request_body(self.kilobytes, stream=self.stream)
        return load.wrk(self.url, self.key, body, connections=self.connections, seconds=seconds * self.share)


def rows(key: str, *, peers: bool) -> list[Row]:
    ours, direct, peer = load.GATEWAY + load.CHAT, load.UPSTREAM + load.CHAT, PEER + load.CHAT
    measured = [
        Row("requests, 32 connections", ours, key),
        Row("requests, 1 connection", ours, key, connections=1, share=0.5),
        Row("  direct, 1 connection", direct, key, connections=1, share=0.5),
        Row("streams of 100 chunks", ours, key, stream=True),
        Row("requests of 100 KB, 1 connection", ours, key, kilobytes=100, connections=1, share=0.5),
    ]
    if peers:
        measured += [
            Row("LiteLLM: requests, 32 connections", peer, PEER_KEY),
            Row("LiteLLM: requests, 1 connection", peer, PEER_KEY, connections=1, share=0.5),
            Row("LiteLLM: streams of 100 chunks", peer, PEER_KEY, stream=True),
        ]
    return measured


@contextlib.contextmanager
def litellm(environment: Path | None) -> Iterator[None]:
    if environment is None:
        yield
        return
    command = [str(environment / "bin/litellm"), "--config", str(load.ROOT / "benchmarks/peers/litellm.yaml")]
    command += ["--port", str(PEER_PORT), "--num_workers", "1"]
    env = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with load.process(command, load.GATEWAY_CORE, env=env):
        load.wait_for(f"{PEER}/health/liveliness", PEER_KEY, 180)
        yield


def measure(folder: Path, runs: int, seconds: float, peer: Path | None) -> None:
    key = load.install(folder)
    with load.upstream(), load.gateway(folder) as server, litellm(peer):
        ready_s = load.wait_for(f"{load.GATEWAY}/readyz", key)
        idle_mb = load.memory_mb(server.pid)
        measured = rows(key, peers=peer is not None)
        for row in measured:
            row.run(1)
        figures: dict[str, list[load.Figure]] = {row.name: [] for row in measured}
        for _ in range(runs):
            for row in measured:
                figures[row.name].append(row.run(seconds))
        cpu_us = cpu_per_request(server.pid, measured[0], seconds)
        busy_mb = load.memory_mb(server.pid)
    print(f"{platform.machine()}, Python {platform.python_version()}, fsync {load.fsync_ms(folder):.2f} ms")
    print(f"ready in {ready_s:.2f} s; memory idle {idle_mb:.0f} MB, after the runs {busy_mb:.0f} MB")
    print(f"CPU per request at 32 connections, all threads: {cpu_us:.0f} µs\n")
    show({name: load.median(found) for name, found in figures.items()})


def cpu_per_request(pid: int, row: Row, seconds: float) -> float:
    before = load.cpu_s(pid)
    figure = row.run(seconds)
    return (load.cpu_s(pid) - before) / (figure.per_s * max(1, round(seconds))) * 1e6


def show(medians: dict[str, load.Figure]) -> None:
    print(f"{'':36}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}")
    for name, m in medians.items():
        print(f"{name:36}{m.per_s:9.0f}{m.p50_ms:9.2f}{m.p99_ms:9.2f}{m.errors:8d}")
    one, direct = medians["requests, 1 connection"], medians["  direct, 1 connection"]
    print(
        f"\nadded at 1 connection: p50 {one.p50_ms - direct.p50_ms:.2f} ms,"
        f" p99 {one.p99_ms - direct.p99_ms:.2f} ms"
    )
    for name in ("requests, 32 connections", "streams of 100 chunks"):
        peer = medians.get(f"LiteLLM: {name}")
        if peer is not None:
            print(f"ratio to LiteLLM, {name}: {medians[name].per_s / peer.per_s:.1f}×")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--peers", type=Path, help="environment with benchmarks/peers/requirements.txt")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk가 없습니다. apt-get install wrk / wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(dir=load.ROOT, prefix=".bench-") as name:
        measure(Path(name), options.runs, options.seconds, options.peers)


if __name__ == "__main__":
    main()
