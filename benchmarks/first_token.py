"""What the gateway adds to the first token of a stream, over the same upstream asked directly.

    python -m benchmarks.first_token [--streams 2000]

One connection, the two ways in turn, stream by stream, in one run; gateway and load on a core each.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import load
from benchmarks.wire import Connection, Times

FIRST, LAST = b'"content":"', b"0\r\n\r\n"
FIRST_DIRECT = b'"content": "'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2_000)
    streams = parser.parse_args().streams
    with tempfile.TemporaryDirectory(dir=load.ROOT) as name:
        folder = Path(name)
        key = load.install(folder)
        with load.upstream("--chunks", "20"), load.gateway(folder):
            load.wait_for(f"{load.GATEWAY}/readyz", key)
            direct, through = measure(key, streams)
    report(direct, through, streams)


def measure(key: str, streams: int) -> tuple[Times, Times]:
    body = load.request_body(stream=True)
    direct, through = (Connection(url + load.CHAT, key) for url in (load.UPSTREAM, load.GATEWAY))
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-200, streams):
        question = body.replace("{n}", str(number))
        for connection, found, first in ((direct, times[0], FIRST_DIRECT), (through, times[1], FIRST)):
            first_s, _ = connection.ask(question, first, LAST)
            if number >= 0:  # the first ones warm both up
                found.append(first_s)
    direct.close()
    through.close()
    return Times.of(times[0]), Times.of(times[1])


def report(direct: Times, through: Times, streams: int) -> None:
    print(f"first token at 1 connection, {streams} streams each, ms:")
    print(f"{'':16}{'p50':>8}{'p99':>8}")
    for name, times in (("direct", direct), ("through Haechi", through)):
        print(f"{name:16}{times.p50:8.2f}{times.p99:8.2f}")
    print(f"{'added':16}{through.p50 - direct.p50:8.2f}{through.p99 - direct.p99:8.2f}   (bar: p99 ≤ 3 ms)")
    print(f"{'ratio':16}{through.p50 / direct.p50:8.1f}{through.p99 / direct.p99:8.1f}")


if __name__ == "__main__":
    main()
