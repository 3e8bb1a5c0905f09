"""A real gateway and the simulator it talks to, each a real server on loopback, for journeys of real clients."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from billing.segments import wait_until_written
from billing.store import open_engine
from gateway.app import create_app
from gateway.imports import read_people, read_units
from gateway.installation import initialise
from gateway.keyring import Purpose
from gateway.organisation import Grant
from gateway.store.organisation import create_key, import_people, import_units

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai import OpenAI

UNITS = """\
code,name,kind,parent_code,valid_from
seoul,서울특별시,institution,,2026-01-01
admin,행정국,bureau,seoul,2026-01-01
general,총무과,division,admin,2026-01-01
hr,인사과,division,admin,2026-01-01
"""
PEOPLE = """\
employee_id,name,email,department_code,valid_from
p1,김하늘,haneul@seoul.example,general,2026-01-01
p2,이바다,bada@seoul.example,hr,2026-01-01
"""

CONFIG = """\
[server]
body_limit_mib = 1

[filter]
{filter}

[limits]
drain_s = 1.0

[budgets]
contact = "재무과 02-2133-1000"

[budgets.contacts]
admin = "행정국 서무팀 02-2133-2000"

[[providers]]
name = "sim"
base_url = "{simulator}/openai/v1"
profile = "openai"
zone = "external"
simulated = true

[[providers]]
name = "house"
base_url = "{simulator}/house/v1"
zone = "in_house"
simulated = true

[[providers]]
name = "faulty"
base_url = "{faulty}/v1"
zone = "external"
timeouts = {{ connect_s = 1.0, first_byte_s = 1.0, idle_s = 1.0, total_s = 5.0 }}

[[providers]]
name = "down"
base_url = "http://127.0.0.1:9/v1"
zone = "external"

[[models]]
id = "sim-large"
max_output_tokens = 4000
capabilities = ["tools", "vision"]
deployments = [{{ provider = "sim", price_key = "any" }}]

[[models]]
id = "sim-second"
deployments = [{{ provider = "sim", price_key = "any" }}]

[[models]]
id = "house-model"
deployments = [{{ provider = "house", price_key = "free" }}]

[[models]]
id = "faulty-model"
deployments = [{{ provider = "faulty", price_key = "any" }}]

[[models]]
id = "down-model"
deployments = [{{ provider = "down", price_key = "any" }}]

[[models]]
id = "sim-embedding"
kind = "embedding"
deployments = [{{ provider = "sim", upstream_model = "text-embedding-3-small", price_key = "any" }}]

[[models]]
id = "sim-image"
kind = "image"
deployments = [
  {{ provider = "sim", upstream_model = "gpt-image-1", price_key = "image" }}
]

[[models]]
id = "house-image"
kind = "image"
deployments = [{{ provider = "house", upstream_model = "gpt-image-1", price_key = "image" }}]

[[models]]
id = "sim-speech"
kind = "speech"
deployments = [{{ provider = "sim", upstream_model = "tts-1", price_key = "speech" }}]

[[models]]
id = "house-transcription"
kind = "transcription"
deployments = [{{ provider = "house", upstream_model = "whisper-1", price_key = "transcription" }}]

[[models]]
id = "house-transcribe"
kind = "transcription"
deployments = [{{ provider = "house", upstream_model = "gpt-4o-transcribe", price_key = "transcription" }}]

[[models]]
id = "sim-transcription"
kind = "transcription"
deployments = [{{ provider = "sim", upstream_model = "whisper-1", price_key = "transcription" }}]

[[models]]
id = "sim-video"
kind = "video"
deployments = [{{ provider = "sim", upstream_model = "sora-2", price_key = "video" }}]

[[models]]
id = "unpriced"
deployments = [{{ provider = "sim", price_key = "later" }}]

[[models]]
id = "unpriced-image"
kind = "image"
deployments = [{{ provider = "sim", price_key = "later" }}]

[[prices]]
key = "later"
from = 2099-01-01
currency = "KRW"
input = "1"
output = "1"
images = "1"
source = "test"
checked = 2026-11-22

[[prices]]
key = "image"
from = 2026-01-01
currency = "USD"
images = "0.04"
source = "test"
checked = 2026-11-22
[[prices.variants]]
size = "1024x1536"
quality = "high"
images = "0.25"
[[prices.variants]]
quality = "low"
images = "0.011"

[[prices]]
key = "speech"
from = 2026-01-01
currency = "USD"
characters = "15"
source = "test"
checked = 2026-11-22

[[prices]]
key = "transcription"
from = 2026-01-01
currency = "USD"
audio_seconds = "0.0001"
source = "test"
checked = 2026-11-22

[[prices]]
key = "video"
from = 2026-01-01
currency = "USD"
video_seconds = "0.10"
source = "test"
checked = 2026-11-22

[[prices]]
key = "any"
from = 2026-01-01
currency = "USD"
input = "1.25"
cache_read = "0.125"
output = "10"
source = "test"
checked = 2026-11-22

[[prices]]
key = "free"
from = 2026-01-01
currency = "KRW"
input = "0"
output = "0"
source = "test"
checked = 2026-11-22

[[fx]]
base = "USD"
quote = "KRW"
date = 2026-01-02
rate = "1391.20"
source = "test"
"""


@dataclass
class Simulator:
    url: str

    def ledger(self) -> list[dict[str, Any]]:
        """Everything the simulator was asked, in order, by its own books."""
        text = httpx.get(f"{self.url}/ledger", timeout=10).text
        return [json.loads(line) for line in text.splitlines() if line]


@dataclass
class Gateway:
    """A gateway that serves `folder` on `url`."""

    url: str
    folder: Path
    settings: Any
    simulator: Simulator
    keys: dict[str, str] = field(default_factory=dict)

    def client(self, who: str = "p1", **options: Any) -> OpenAI:
        from openai import OpenAI

        return OpenAI(base_url=f"{self.url}/v1", api_key=self.keys[who], max_retries=0, timeout=20, **options)

    def post(
        self, body: Any, who: str = "p1", path: str = "/v1/chat/completions", **options: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[who]}", **options.pop("headers", {})}
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return httpx.post(f"{self.url}{path}", content=content, headers=headers, timeout=20, **options)

    def until_written(self) -> None:
        wait_until_written(self.settings.load_config().journal_dir)

    def issue(self, who: str, **grant: Any) -> str:
        engine = open_engine(self.settings.load_config().database_url)
        hash_key = self.settings.keyring().current(Purpose.API_KEY_HASH)
        key, secret = create_key(
            engine, hash_key, Grant(label=who, **grant), at=datetime.now(UTC), actor="test"
        )
        engine.dispose()
        self.keys[who] = secret
        return key.id

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Read the gateway's database with SQL, as an auditor would a moment later."""
        from sqlalchemy import text

        self.until_written()
        engine = open_engine(self.settings.load_config().database_url)
        try:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(text(sql), parameters).mappings()]
        finally:
            engine.dispose()

    def charges(self, request_id: str) -> list[dict[str, Any]]:
        """The charge rows of a request, once each of its dispatches has one."""
        for _ in range(100):
            open_attempts = self.rows(
                "SELECT d.attempt_id FROM ledger_dispatch d LEFT JOIN ledger_charge c ON c.attempt_id = d.attempt_id "
                "WHERE d.request_id = :r AND c.attempt_id IS NULL",
                r=request_id,
            )
            if not open_attempts:
                break
            time.sleep(0.05)
        return self.rows(
            "SELECT * FROM ledger_charge WHERE request_id = :r ORDER BY started_at_us", r=request_id
        )

    def wait_for_key(self, who: str) -> None:
        for _ in range(40):
            if (
                httpx.get(
                    f"{self.url}/v1/models", headers={"authorization": f"Bearer {self.keys[who]}"}
                ).status_code
                == 200
            ):
                return
            time.sleep(0.05)
        raise AssertionError(f"the key of {who} is not taken")


@contextmanager
def serving(settings: Any, **options: Any) -> Iterator[str]:
    """Serve the app of `settings` on a free port, in a thread of this process."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host="127.0.0.1",
            port=0,
            log_level="error",
            **{"timeout_graceful_shutdown": 3, **options},
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the gateway did not start"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the gateway did not stop"


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with simulating() as running:
        yield running


@contextmanager
def simulating() -> Iterator[Simulator]:
    process = subprocess.Popen([sys.executable, "-m", "simulator"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Simulator(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def install(folder: Path, config_text: str) -> Any:
    """A folder as `haechi init` and the imports leave it, with two departments of one person each."""
    settings = initialise(folder, config_text=config_text).settings
    engine = open_engine(settings.load_config().database_url)
    day, now = date(2026, 1, 1), datetime.now(UTC)
    import_units(engine, read_units(UNITS.encode(), day), at=now, actor="test")
    import_people(engine, read_people(PEOPLE.encode(), day), at=now, actor="test")
    engine.dispose()
    return settings


@pytest.fixture(scope="module")
def filter_table() -> str:
    """The [filter] table of a module's gateway; a module overrides it."""
    return 'in_house_model = "house-model"'


@pytest.fixture(scope="module")
def faulty_url() -> str:
    return "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, filter_table: str, faulty_url: str
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    text = CONFIG.format(simulator=simulator.url, filter=filter_table, faulty=faulty_url)
    settings = install(folder, text.replace('"sqlite:///haechi.db"', f'"sqlite:///{folder}/haechi.db"'))
    made = Gateway("", folder, settings, simulator)
    for person in ("p1", "p2"):
        made.issue(person, person_id=person)
    with serving(settings) as made.url:
        yield made
