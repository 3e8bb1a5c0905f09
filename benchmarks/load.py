"""What every benchmark needs: a load generator, pinned processes, a laid-down gateway, the disk's fsync."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
HAECHI = str(Path(sys.executable).with_name("haechi"))
GATEWAY_CORE, LOAD_CORE = "0", "1"
UPSTREAM_PORT, GATEWAY_PORT = 9100, 9110
UPSTREAM = f"http://127.0.0.1:{UPSTREAM_PORT}"
GATEWAY = f"http://127.0.0.1:{GATEWAY_PORT}"
CHAT = "/v1/chat/completions"

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
zone = "{zone}"

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
UNITS = """\
code,name,kind,parent_code,valid_from
seoul,서울특별시,institution,,2026-01-01
d1,총무과,division,seoul,2026-01-01
"""
PEOPLE = """\
employee_id,name,email,department_code,valid_from
"""


@dataclass(frozen=True)
class Figure:
    """One run of the load generator. Times in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def median(figures: list[Figure]) -> Figure:
    return Figure(
        statistics.median(f.per_s for f in figures),
        statistics.median(f.p50_ms for f in figures),
        statistics.median(f.p99_ms for f in figures),
        sum(f.errors for f in figures),
    )


def request_body(kilobytes: float = 1.4, *, stream: bool = False) -> str:
    """A Korean chat request of about so many KB of UTF-8; `{n}` stands where wrk puts a counter."""
    fill = (PROMPT * (int(kilobytes * 1024 / len(PROMPT.encode())) + 2)).encode()[
        : int(kilobytes * 1024) - 160
    ]
    messages = [
        {"role": "system", "content": "당신은 서울시 직원을 돕는 조수입니다."},
        {"role": "user", "content": "접수 {n}번. " + fill.decode(errors="ignore")},
    ]
    return json.dumps({"model": "bench", "messages": messages, "stream": stream}, ensure_ascii=False)


SCRIPT = """\
local body = [==[{body}]==]
local before, after = body:match("^(.-){{n}}(.*)$")
local n = {start}
wrk.method = "POST"
wrk.headers["authorization"] = "Bearer {key}"
wrk.headers["content-type"] = "application/json"
{headers}
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil, before .. n .. after)
end
done = function(summary, latency, _)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.read + e.timeout + e.connect))
end
"""


def wrk(
    url: str,
    key: str,
    body: str,
    *,
    connections: int,
    seconds: float,
    headers: Sequence[tuple[str, str]] = (),
) -> Figure:
    """Load `url` from the load core and read wrk's report.

    No request is like another of this or an earlier run: nothing is answered from a memory of texts.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        more = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers)
        start = time.time_ns() // 1_000_000 % 10**9
        script.write(SCRIPT.format(body=body, key=key, start=start, headers=more))
        script.flush()
        command = [
            "taskset",
            "-c",
            LOAD_CORE,
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
        ]
        command += ["--timeout", "30s", "-s", script.name, url]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", report)
    assert found, report
    requests, duration_us, p50_us, p99_us, errors = map(int, found.groups())
    return Figure(requests / (duration_us / 1e6), p50_us / 1000, p99_us / 1000, errors)


@contextmanager
def process(command: list[str], core: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command pinned to a core, with all the threads and children it will have."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = subprocess.Popen(["taskset", "-c", core, *command], **(quiet | options))
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(5)


@contextmanager
def upstream(*options: str) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.upstream", "--port", str(UPSTREAM_PORT), *options]
    with process(command, LOAD_CORE, cwd=ROOT):
        yield


def install(
    folder: Path, *, zone: str = "external", more: str = "", port: int = UPSTREAM_PORT, people: int = 1
) -> str:
    """Lay down a gateway in `folder` by its own commands, hard budgets over all; return a person's key."""
    (folder / "units.csv").write_text(UNITS)
    register = (f"p{n},김하늘,p{n}@seoul.example,d1,2026-01-01\n" for n in range(1, people + 1))
    (folder / "people.csv").write_text(PEOPLE + "".join(register))
    haechi(folder, "init")
    (folder / "haechi.toml").write_text(CONFIG.format(port=port, zone=zone) + more)
    haechi(folder, "departments", "import", "units.csv")
    haechi(folder, "people", "import", "people.csv")
    for scope in (("unit", "seoul"), ("unit", "d1"), ("person", "p1")):
        haechi(folder, "budgets", "set", *scope, "1000000000", "--reason", "benchmark")
    return str(json.loads(haechi(folder, "keys", "create", "--person", "p1", "--json"))["key"])


def haechi(folder: Path, *words: str) -> str:
    return subprocess.run([HAECHI, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@contextmanager
def gateway(
    folder: Path, workers: int = 1, core: str = GATEWAY_CORE, port: int = GATEWAY_PORT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a gateway on a core, or on several (`0,1`)."""
    command = [HAECHI, "serve", "--port", str(port), "--workers", str(workers)]
    with process(command, core, cwd=folder, env={**os.environ, "HAECHI_LOG_LEVEL": "error"}) as started:
        yield started


def wait_for(url: str, key: str, seconds: float = 90) -> float:
    """Wait until `url` answers 200; return how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            with urlopen(Request(url, headers={"authorization": f"Bearer {key}"}), timeout=2) as response:
                if response.status == 200:
                    return time.monotonic() - began
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(url)


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    return sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in family(pid)) * 4096 / 1024**2


def cpu_s(pid: int) -> float:
    """CPU time so far of a process and its children, all threads."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def fsync_ms(folder: Path) -> float:
    """Median time of an fsync of 4 KB in `folder`."""
    times = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def told_by(module: str, connections: int) -> Any:
    """Ask the gateway that a module serves (`--serve PORT FILE`) until it wrote its figures; return them."""
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as name:
        folder = Path(name)
        key, out = install(folder), folder / "figures.json"
        command = [sys.executable, "-m", module, "--serve", str(GATEWAY_PORT), str(out)]
        env = {**os.environ, "HAECHI_CONFIG": str(folder / "haechi.toml"), "HAECHI_LOG_LEVEL": "error"}
        env["PYTHONPATH"] = str(ROOT)
        with upstream(), process(command, GATEWAY_CORE, cwd=folder, env=env):
            wait_for(f"{GATEWAY}/readyz", key)
            until = time.monotonic() + 60
            while not out.exists() and time.monotonic() < until:
                wrk(GATEWAY + CHAT, key, request_body(), connections=connections, seconds=2)
        return json.loads(out.read_text())


def commit_waits(key: str) -> dict[float, float]:
    """Groups of the journal by the longest wait in them: seconds -> how many waited at most so long."""
    request = Request(f"{GATEWAY}/metrics", headers={"authorization": f"Bearer {key}"})
    with urlopen(request, timeout=10) as response:
        text = response.read().decode()
    found = re.findall(r'^haechi_journal_wait_seconds_bucket\{le="([^"]+)"\} (\S+)', text, re.MULTILINE)
    return {float(bound): float(count) for bound, count in found}


def waited_ms(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The bound that this share of the groups between two looks stayed below, in milliseconds."""
    grown = {bound: count - before.get(bound, 0) for bound, count in sorted(after.items())}
    wanted = share * grown[float("inf")]
    return next(bound for bound, count in grown.items() if count >= wanted) * 1000
