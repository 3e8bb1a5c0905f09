"""How fast the gateway is, everything switched on: `make bench`.

One worker on core 0 with all its threads; the load generator (wrk) and the instant upstream on core
1; SQLite with synchronous=FULL on the disk of the working folder. Every figure is the median of
`--runs` runs. With `--peers` LiteLLM (its own environment, benchmarks/peers/) is measured in turn with
ours in the same run, and the ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parent
GATEWAY_CORE, LOAD_CORE = "0", "1"
UPSTREAM_PORT, GATEWAY_PORT, PEER_PORT = 9100, 9110, 9120

PROMPT = (
    "다음 민원에 대한 회신 초안을 공손한 말투로 작성해 주세요. 민원 요지는 주택가 이면도로의 불법 주정차로 "
    "소방차 진입이 어렵다는 것이며, 우리 과는 현장을 점검하고 견인 구역 지정을 검토하고 있습니다. "
)

CONFIG = """\
[database]
url = "sqlite:///haechi.db"

[[providers]]
name = "bench"
base_url = "http://127.0.0.1:{port}/v1"
zone = "external"

[[models]]
id = "bench"
max_output_tokens = 4000
deployments = [{{ provider = "bench", price_key = "bench" }}]

[[prices]]
key = "bench"
from = 2026-01-01
currency = "USD"
input = "1.25"
cache_read = "0.125"
output = "10"
source = "benchmark"
checked = 2026-11-22

[[fx]]
base = "USD"
quote = "KRW"
date = 2026-01-02
rate = "1391.20"
source = "benchmark"
"""
UNITS = "code,name,kind,parent_code,valid_from\nseoul,서울특별시,institution,,2026-01-01\nd1,총무과,division,seoul,2026-01-01\n"
PEOPLE = "employee_id,name,email,department_code,valid_from\np1,김하늘,p1@seoul.example,d1,2026-01-01\n"


@dataclass(frozen=True)
class Figure:
    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def request_body(kilobytes: float = 1.4, *, stream: bool = False) -> str:
    """A Korean chat request of about so many KB of UTF-8."""
    text = (PROMPT * (int(kilobytes * 1024 / len(PROMPT.encode())) + 2)).encode()[: int(kilobytes * 1024) - 120]
    messages = [
        {"role": "system", "content": "당신은 서울시 직원을 돕는 조수입니다."},
        {"role": "user", "content": text.decode(errors="ignore")},
    ]
    return json.dumps({"model": "bench", "messages": messages, "stream": stream}, ensure_ascii=False)


def wrk(url: str, key: str, body: str, *, connections: int, seconds: float) -> Figure:
    """Load `url` and read wrk's own report."""
    script = Path(tempfile.mkstemp(suffix=".lua")[1])
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["authorization"] = "Bearer {key}"\n'
        f'wrk.headers["content-type"] = "application/json"\nwrk.body = [==[{body}]==]\n'
        "done = function(s, l, r)\n"
        'io.write(string.format("RESULT %d %d %d %d %d\\n", s.requests, s.duration, '
        "l:percentile(50), l:percentile(99), s.errors.status + s.errors.read + s.errors.timeout))\nend\n"
    )
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    report = subprocess.run([*command, "-s", str(script), url], capture_output=True, text=True, check=True).stdout
    script.unlink()
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", report)
    assert found, report
    requests, duration_us, p50_us, p99_us, errors = map(int, found.groups())
    return Figure(requests / (duration_us / 1e6), p50_us / 1000, p99_us / 1000, errors)


@contextmanager
def process(command: list[str], core: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(["taskset", "-c", core, *command], **options)  # type: ignore[call-overload]
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()


def wait_for(url: str, key: str, seconds: float = 60) -> float:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            with urlopen(Request(url, headers={"authorization": f"Bearer {key}"}), timeout=1) as response:
                if response.status == 200:
                    return time.monotonic() - began
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(url)


def install(folder: Path) -> str:
    """Lay down a gateway in `folder` through its own command; return a key."""
    haechi = str(Path(sys.executable).with_name("haechi"))
    (folder / "units.csv").write_text(UNITS)
    (folder / "people.csv").write_text(PEOPLE)
    run = lambda *words: subprocess.run([haechi, *words], cwd=folder, check=True, capture_output=True, text=True).stdout  # noqa: E731
    run("init")
    (folder / "haechi.toml").write_text(CONFIG.format(port=UPSTREAM_PORT))
    run("departments", "import", "units.csv")
    run("people", "import", "people.csv")
    return json.loads(run("keys", "create", "--person", "p1", "--json"))["key"]


@contextmanager
def gateway(folder: Path, workers: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    haechi = str(Path(sys.executable).with_name("haechi"))
    command = [haechi, "serve", "--port", str(GATEWAY_PORT), "--workers", str(workers)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with process(command, GATEWAY_CORE, cwd=folder, env={**os.environ, "HAECHI_LOG_LEVEL": "error"}, **quiet) as started:
        yield started


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    pages = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if int(entry.name) == pid or parent == pid:
                pages += int((entry / "statm").read_text().split()[1])
        except OSError:
            continue
    return pages * 4096 / 1024**2


def median(figures: list[Figure]) -> Figure:
    pick = lambda name: statistics.median(getattr(f, name) for f in figures)  # noqa: E731
    return Figure(pick("per_s"), pick("p50_ms"), pick("p99_ms"), sum(f.errors for f in figures))


def fsync_ms(folder: Path) -> float:
    with (folder / "fsync").open("wb") as file:
        times = []
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        measure(Path(name), options.runs, options.seconds)


def measure(folder: Path, runs: int, seconds: float) -> None:
    key = install(folder)
    ours = f"http://127.0.0.1:{GATEWAY_PORT}"
    direct = f"http://127.0.0.1:{UPSTREAM_PORT}/v1/chat/completions"
    chat = f"{ours}/v1/chat/completions"
    python = sys.executable
    with (
        process([python, "-m", "benchmarks.upstream", "--port", str(UPSTREAM_PORT)], LOAD_CORE, cwd=ROOT),
        gateway(folder) as server,
    ):
        ready_s = wait_for(f"{ours}/readyz", key)
        idle_mb = memory_mb(server.pid)
        wrk(chat, key, request_body(), connections=8, seconds=2)
        rows = {
            "32 connections": lambda: wrk(chat, key, request_body(), connections=32, seconds=seconds),
            "1 connection": lambda: wrk(chat, key, request_body(), connections=1, seconds=seconds / 2),
            "1 connection, direct": lambda: wrk(direct, key, request_body(), connections=1, seconds=seconds / 2),
            "streams, 32 connections": lambda: wrk(chat, key, request_body(stream=True), connections=32, seconds=seconds),
            "100 KB, 1 connection": lambda: wrk(chat, key, request_body(100), connections=1, seconds=seconds / 2),
        }
        results: dict[str, list[Figure]] = {name: [] for name in rows}
        for _ in range(runs):
            for name, run in rows.items():
                results[name].append(run())
        busy_mb = memory_mb(server.pid)
    print(f"fsync {fsync_ms(folder):.2f} ms, ready in {ready_s:.2f} s, idle {idle_mb:.0f} MB, busy {busy_mb:.0f} MB")
    print(f"{'':28}{'per s':>10}{'p50 ms':>10}{'p99 ms':>10}{'errors':>8}")
    for name, figures in results.items():
        m = median(figures)
        print(f"{name:28}{m.per_s:10.0f}{m.p50_ms:10.2f}{m.p99_ms:10.2f}{m.errors:8d}")


if __name__ == "__main__":
    main()
