"""How fast the gateway is with everything switched on: `make bench`; beside LiteLLM: `make bench-peers`.

One worker on core 0 with all its threads, SQLite with synchronous=FULL in a folder of this checkout; the load
generator (wrk) and the instant upstream on core 1. Identity, the Korean filter with names, the hold, durable
dispatch and charge rows and metrics are on, and no two prompts are alike. Figures are medians of `--runs`
runs; at the end each measure stands beside its bar. With `--peers DIR` LiteLLM and, with Node, Portkey are
measured in turn with ours, run by run; then, and with `--short`, what needs a gateway of its own is left out:
no filter, two workers, 2,000 slow streams, ten times as much of everything.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import growth, load, ratchet
from benchmarks.beside import peers_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.beside import Peer

Measures = dict[str, float]

BARS: tuple[tuple[str, str, float], ...] = (
    ("added at one connection, p50 ms", "≤", 1.0),
    ("added at one connection, p99 ms", "≤", 3.0),
    ("first token added, p99 ms", "≤", 3.0),
    ("requests/s at 32 connections", "aim", 2500),
    ("streams of 100 chunks/s", "aim", 700),
    ("ratio to LiteLLM: requests/s", "≥", 12),
    ("ratio to LiteLLM: streams/s", "≥", 40),
    ("two workers: CPU per request against one's", "≤", 1.15),
    ("two workers on one core: the same", "≤", 1.15),
    ("two workers: wait for a commit, p99 ms", "≤", 5),
    ("throughput with the filter against without", "≥", 0.65),
    ("2,000 slow streams: clean", "≥", 2000),
    ("2,000 slow streams: MB", "≤", 400),
    ("2,000 slow streams: chunks late, p99 ms", "≤", 50),
    ("100 KB prompt: added, p50 ms", "≤", 30),
    ("ready after, s", "≤", 3),
    ("memory of an idle worker, MB", "≤", 250),
    ("ten times of everything: calls and bytecodes", "≤", 1.1),
)
"""What issue and documentation promise; printed for what was measured."""

OURS = load.GATEWAY + load.CHAT
DIRECT = load.UPSTREAM + load.CHAT
SLOW_STREAMS = 2000
SETTLING_S = 0.5
"""Between two measures: what the one before left to write down falls into none."""


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
    headers: tuple[tuple[str, str], ...] = ()

    def run(self, seconds: float) -> load.Figure:
        return load.wrk(
            self.url,
            self.key,
            load.request_body(self.kilobytes, stream=self.stream),
            connections=self.connections,
            seconds=seconds * self.share,
            headers=self.headers,
        )


def rows(key: str, peers: Sequence[Peer]) -> list[Row]:
    measured = [
        Row("requests, 32 connections", OURS, key),
        Row("requests, 1 connection", OURS, key, connections=1),
        Row("  direct, 1 connection", DIRECT, key, connections=1, share=0.5),
        Row("streams of 100 chunks", OURS, key, stream=True),
        Row("requests of 100 KB, 1 connection", OURS, key, kilobytes=100, connections=1, share=0.5),
        Row("  direct, 100 KB", DIRECT, key, kilobytes=100, connections=1, share=0.5),
    ]
    for peer in peers:
        url, key, headers = peer.url + load.CHAT, peer.key, peer.headers
        measured += [
            Row(f"{peer.name}: requests, 32 connections", url, key, headers=headers),
            Row(f"{peer.name}: requests, 1 connection", url, key, connections=1, share=0.5, headers=headers),
            Row(f"{peer.name}: streams of 100 chunks", url, key, stream=True, headers=headers),
        ]
    return measured


def measure(folder: Path, key: str, runs: int, seconds: float, peers: Sequence[Peer]) -> Measures:
    with load.upstream(), load.gateway(folder) as server, contextlib.ExitStack() as beside:
        serving = {load.GATEWAY: server.pid}
        for peer in peers:
            serving[peer.url] = beside.enter_context(peer.running())
        ready_s = load.wait_for(f"{load.GATEWAY}/readyz", key)
        idle_mb = load.memory_mb(server.pid)
        measured = rows(key, peers)
        for row in measured:
            row.run(1)
        figures: dict[str, list[load.Figure]] = {row.name: [] for row in measured}
        for _ in range(runs):
            for row in measured:
                with only(serving, row.url):
                    time.sleep(SETTLING_S)
                    figures[row.name].append(row.run(seconds))
        with only(serving, OURS):
            before = load.commit_waits(key)
            cpu_us = Serving([server.pid], [measured[0]]).cpu_per_request(seconds)
            waited = load.waited_ms(before, load.commit_waits(key), 0.99)
            first = [stream_client(url, key, "first", 300) for url in (OURS, DIRECT)]
        busy_mb = load.memory_mb(server.pid)
    if not peers:
        print(f"ready in {ready_s:.2f} s; memory idle {idle_mb:.0f} MB, after the runs {busy_mb:.0f} MB")
    print(f"CPU per request at 32 connections, all threads: {cpu_us:.0f} µs")
    print(f"wait for a commit at 32 connections, the first row of each group: p99 ≤ {waited:g} ms\n")
    medians = {name: load.median(found) for name, found in figures.items()}
    show(medians, peers)
    print(
        f"first token added: p50 {first[0][0] - first[1][0]:.2f} ms, p99 {first[0][1] - first[1][1]:.2f} ms"
    )
    alone = {"ready after, s": ready_s, "memory of an idle worker, MB": idle_mb}
    return _against_bars(medians) | {
        "first token added, p99 ms": first[0][1] - first[1][1],
        **({} if peers else alone),  # beside peers it starts while they do
    }


@contextlib.contextmanager
def only(serving: Mapping[str, int], url: str) -> Iterator[None]:
    """Stop every server but the one that is asked: what others do while idle falls into nobody's figures."""
    idle = [top for prefix, top in serving.items() if not url.startswith(prefix)]
    others = [pid for top in idle for pid in load.family(top)]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def _against_bars(medians: dict[str, load.Figure]) -> Measures:
    one, direct = medians["requests, 1 connection"], medians["  direct, 1 connection"]
    large, large_direct = medians["requests of 100 KB, 1 connection"], medians["  direct, 100 KB"]
    requests, streams = medians["requests, 32 connections"], medians["streams of 100 chunks"]
    measured = {
        "added at one connection, p50 ms": one.p50_ms - direct.p50_ms,
        "added at one connection, p99 ms": one.p99_ms - direct.p99_ms,
        "requests/s at 32 connections": requests.per_s,
        "streams of 100 chunks/s": streams.per_s,
        "100 KB prompt: added, p50 ms": large.p50_ms - large_direct.p50_ms,
    }
    if "LiteLLM: requests, 32 connections" in medians:
        theirs = medians["LiteLLM: requests, 32 connections"], medians["LiteLLM: streams of 100 chunks"]
        measured["ratio to LiteLLM: requests/s"] = requests.per_s / theirs[0].per_s
        measured["ratio to LiteLLM: streams/s"] = streams.per_s / theirs[1].per_s
    return measured


def table(measured: Measures) -> None:
    """Print each measure beside its bar."""
    print(f"\n{'measure':48}{'measured':>10}   bar")
    for name, how, bar in BARS:
        if name in measured:
            value = measured[name]
            missed = value < bar if how in "≥ aim" else value > bar
            print(f"{name:48}{value:10.2f}   {how} {bar:g}{'  MISSED' if missed else ''}")


def stream_client(url: str, key: str, what: str, count: int) -> list[float]:
    """Run benchmarks.streams on the load's core; return the figures it prints."""
    command = ["taskset", "-c", load.LOAD_CORE, sys.executable, "-m", "benchmarks.streams"]
    command += [url, key, what, str(count)]
    report = subprocess.run(command, cwd=load.ROOT, capture_output=True, text=True, check=True).stdout
    return [float(word) for word in report.split()]


def show(medians: dict[str, load.Figure], peers: Sequence[Peer]) -> None:
    print(f"{'':36}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}")
    for name, m in medians.items():
        print(f"{name:36}{m.per_s:9.0f}{m.p50_ms:9.2f}{m.p99_ms:9.2f}{m.errors:8d}")
    print()
    for what, ours, direct in (
        ("1 connection", "requests, 1 connection", "  direct, 1 connection"),
        ("100 KB", "requests of 100 KB, 1 connection", "  direct, 100 KB"),
    ):
        p50, p99 = (
            getattr(medians[ours], field) - getattr(medians[direct], field) for field in ("p50_ms", "p99_ms")
        )
        print(f"added at {what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    for peer in peers:
        for name in ("requests, 32 connections", "streams of 100 chunks"):
            ratio = medians[name].per_s / medians[f"{peer.name}: {name}"].per_s
            print(f"ratio to {peer.name}, {name}: {ratio:.1f}×")


# --- what needs a gateway of its own ---------------------------------------------------------------

BOTH_CORES = f"{load.GATEWAY_CORE},{load.LOAD_CORE}"


@dataclass(frozen=True)
class Serving:
    """Gateways that run, and what is asked of each while their CPU is counted."""

    pids: list[int]
    rows: list[Row]

    def run(self, seconds: float) -> float:
        """Ask all of them at the same time; return requests/s."""
        with ThreadPoolExecutor(len(self.rows)) as aside:
            figures = list(aside.map(Row.run, self.rows, [seconds] * len(self.rows)))
        return sum(figure.per_s for figure in figures)

    def cpu_per_request(self, seconds: float) -> float:
        before = sum(map(load.cpu_s, self.pids))
        per_s = self.run(seconds)
        return (sum(map(load.cpu_s, self.pids)) - before) / (per_s * max(1, round(seconds))) * 1e6


def compare(folder: Path, key: str, runs: int, seconds: float) -> Measures:
    """CPU per request as it is, without the filter, with half the connections and with two workers; in turn.

    Two workers have a core each, the second beside wrk and the upstream, as `--workers auto` has it; what
    one costs in that place is shown, too. What two cost on one core is shown, and beside it what two
    gateways cost there that share nothing: that is the processor's doing, which changes between two programs.
    """
    blind = [sys.executable, "-m", "benchmarks.unfiltered", str(load.GATEWAY_PORT)]
    env = {
        **os.environ,
        "HAECHI_CONFIG": str(folder / "haechi.toml"),
        "HAECHI_LOG_LEVEL": "error",
        "PYTHONPATH": str(load.ROOT),
    }
    whole, half = Row("", OURS, key), Row("", OURS, key, connections=16)

    @contextlib.contextmanager
    def serving(*ways: AbstractContextManager[subprocess.Popen[bytes]], rows: list[Row]) -> Iterator[Serving]:
        with contextlib.ExitStack() as started:
            started.enter_context(load.upstream())
            pids = [started.enter_context(way).pid for way in ways]
            for row in rows:
                load.wait_for(row.url.removesuffix(load.CHAT) + "/livez", row.key)
            time.sleep(3)  # the second worker
            yield Serving(pids, rows)

    @contextlib.contextmanager
    def apart() -> Iterator[Serving]:
        with tempfile.TemporaryDirectory(dir=load.ROOT, prefix=".bench-") as name:
            other, port = Path(name), load.GATEWAY_PORT + 1
            stranger = Row("", f"http://127.0.0.1:{port}{load.CHAT}", load.install(other), connections=16)
            gateways = load.gateway(folder), load.gateway(other, port=port)
            with serving(*gateways, rows=[half, stranger]) as both:
                yield both

    ways: dict[str, Callable[[], AbstractContextManager[Serving]]] = {
        "as it is": lambda: serving(load.gateway(folder), rows=[whole]),
        "without the filter": lambda: serving(
            load.process(blind, load.GATEWAY_CORE, cwd=folder, env=env), rows=[whole]
        ),
        "one worker with half the connections": lambda: serving(load.gateway(folder), rows=[half]),
        "the same beside wrk and the upstream": lambda: serving(
            load.gateway(folder, core=load.LOAD_CORE), rows=[half]
        ),
        "two workers, a core each": lambda: serving(
            load.gateway(folder, workers=2, core=BOTH_CORES), rows=[whole]
        ),
        "two workers on one core": lambda: serving(load.gateway(folder, workers=2), rows=[whole]),
        "two gateways on one core that share nothing": apart,
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    waits_ms: list[float] = []
    for _ in range(runs):
        for name, way in ways.items():
            with way() as gateways:
                gateways.run(1)
                before = load.commit_waits(key)
                found[name].append(gateways.cpu_per_request(seconds))
                if name == "two workers, a core each":
                    waits_ms.append(load.waited_ms(before, load.commit_waits(key), 0.99))
    middle = {name: statistics.median(values) for name, values in found.items()}
    usual = middle["as it is"]
    alike = middle["one worker with half the connections"]  # a request costs less, the more are beside it
    for name, value in middle.items():
        print(f"CPU per request, {name}: {value:.0f} µs, {value / usual:.2f} of what it is")
    return {
        "two workers: CPU per request against one's": middle["two workers, a core each"] / alike,
        "two workers on one core: the same": middle["two workers on one core"] / alike,
        "two workers: wait for a commit, p99 ms": statistics.median(waits_ms),
        "throughput with the filter against without": middle["without the filter"] / usual,
    }


def grown() -> Measures:
    small, large = growth.measure()
    growth.show(small, large)
    counted = max(large[name] / small[name] for name in ratchet.RECORDED)
    return {"ten times of everything: calls and bytecodes": counted}


def many_slow_streams(folder: Path, key: str) -> Measures:
    with (
        load.upstream("--interval-ms", "1000", "--chunks", "15", "--stamped"),
        load.gateway(folder) as server,
    ):
        load.wait_for(f"{load.GATEWAY}/readyz", key)
        with ThreadPoolExecutor(1) as aside:
            client = aside.submit(stream_client, OURS, key, "slow", SLOW_STREAMS)
            time.sleep(9)  # by now all are open, and none has ended
            before_s = load.cpu_s(server.pid)
            time.sleep(4)
            chunk_us = (load.cpu_s(server.pid) - before_s) / (SLOW_STREAMS * 4) * 1e6
            clean, p50, p99 = client.result()
        mb = load.memory_mb(server.pid)
    print(
        f"{clean:.0f} of {SLOW_STREAMS} slow streams clean, "
        f"chunks late p50 {p50:.1f} ms, p99 {p99:.1f} ms; {mb:.0f} MB; "
        f"CPU {chunk_us:.0f} µs a chunk while all are open"
    )
    return {
        "2,000 slow streams: clean": clean,
        "2,000 slow streams: MB": mb,
        "2,000 slow streams: chunks late, p99 ms": p99,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--peers", type=Path, help="folder with the peers: benchmarks/beside.py")
    parser.add_argument(
        "--short", action="store_true", help="only what one gateway and no peer is needed for"
    )
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk가 없습니다. apt-get install wrk / wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(dir=load.ROOT, prefix=".bench-") as name:
        folder = Path(name)
        key = load.install(folder)
        print(
            f"{platform.machine()}, Python {platform.python_version()}, fsync {load.fsync_ms(folder):.2f} ms,"
            f" load average before {os.getloadavg()[0]:.1f}"
        )
        measured = measure(folder, key, options.runs, options.seconds, peers_in(options.peers))
        if not (options.short or options.peers):
            measured |= compare(folder, key, min(3, options.runs), options.seconds)
            measured |= many_slow_streams(folder, key)
            measured |= grown()
    table(measured)


if __name__ == "__main__":
    main()
