"""What a dead primary costs once its breaker is open: latency against the same model without a fault.

    python -m benchmarks.resilience [--requests 2000]

`well` has one deployment that answers; `refused` and `silent` put a dead one before it: nobody listens
there, or it takes connections and says nothing. One connection, the models in turn, in one run.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
from pathlib import Path

from benchmarks import load
from benchmarks.wire import Connection, Times

MORE = """
[routing]
strategy = "cheapest"

[[providers]]
name = "refused"
base_url = "http://127.0.0.1:{refused}/v1"
zone = "external"
timeouts = {{ connect_s = 1.0, first_byte_s = 1.0, idle_s = 1.0, total_s = 5.0 }}

[[providers]]
name = "silent"
base_url = "http://127.0.0.1:{silent}/v1"
zone = "external"
timeouts = {{ connect_s = 1.0, first_byte_s = 1.0, idle_s = 1.0, total_s = 5.0 }}

[[prices]]
key = "cheap"
from = 2026-01-01
currency = "KRW"
input = "1"
output = "1"
source = "benchmark"
checked = 2026-11-22
"""
MODEL = """
[[models]]
id = "{name}"
max_output_tokens = 4000
deployments = [
  {{ provider = "{name}", upstream_model = "bench", price_key = "cheap" }},
  {{ provider = "bench", upstream_model = "bench", price_key = "bench" }},
]
"""
MODELS = ("bench", "refused", "silent")
LAST = b"}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    requests = parser.parse_args().requests
    with (
        tempfile.TemporaryDirectory(dir=load.ROOT) as name,
        socket.socket() as closed,
        socket.socket() as silent,
    ):
        closed.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen(1024)
        more = MORE.format(refused=closed.getsockname()[1], silent=silent.getsockname()[1])
        more += "".join(MODEL.format(name=dead) for dead in MODELS[1:])
        key = load.install(Path(name), more=more)
        with load.upstream(), load.gateway(Path(name)):
            load.wait_for(f"{load.GATEWAY}/readyz", key)
            report(measure(key, requests))


def measure(key: str, requests: int) -> dict[str, tuple[Times, float]]:
    """Return, for each model, its times after the breaker opened, and the slowest of all in ms."""
    body = load.request_body()
    connection = Connection(load.GATEWAY + load.CHAT, key)
    found: dict[str, list[float]] = {model: [] for model in MODELS}
    for number in range(-20, requests):
        for model in MODELS:
            question = body.replace("{n}", str(number)).replace('"bench"', f'"{model}"')
            _, seconds = connection.ask(question, b'"choices"', LAST)
            if number >= 0:  # the first twenty open the breakers
                found[model].append(seconds)
    connection.close()
    return {model: (Times.of(seconds), max(seconds) * 1000) for model, seconds in found.items()}


def report(times: dict[str, tuple[Times, float]]) -> None:
    well = times["bench"][0]
    print("whole answers at 1 connection, ms:")
    print(f"{'primary':10}{'p50':>8}{'p99':>8}{'slowest':>10}{'added p50':>11}")
    for model, (one, slowest) in times.items():
        name = "well" if model == "bench" else model
        print(f"{name:10}{one.p50:8.2f}{one.p99:8.2f}{slowest:10.1f}{one.p50 - well.p50:11.3f}")
    print("(bar: added p50 < 2 ms; the slowest are the probes, one after 5, 10, 20, 40, 60 … s)")


if __name__ == "__main__":
    main()
