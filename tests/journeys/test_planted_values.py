"""200 personal values through every surface, also failing and streaming: afterwards they stand nowhere in clear.

`haechi serve` runs with two workers as an operator runs it, its temporary files and caches below one folder.
The provider answers, repeats the prompt in its errors, breaks off, and tells identifiers of its own accord. In
between the database is away, so that rows wait on disk; a worker is killed in mid-run and prints its stacks.
Then every byte that was written is searched: database and WAL, journal segments, logs, metrics, temporary
files, caches, crash output, exports, the evidence pack. The policy stores the texts of incidents here: those
are there, encrypted, and open with the key alone.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time
import wave
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
import re2

from billing.store import open_engine
from gateway.incidents.desk import ReviewDesk
from gateway.installation import Settings
from tests.filters import generate
from tests.journeys.conftest import CONFIG, Gateway, Simulator, install
from tests.journeys.test_operation import HAECHI, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NUMBERS = (
    generate.resident,
    generate.foreigner,
    generate.card,
    generate.passport,
    generate.licence,
    generate.business,
    generate.corporate,
    generate.mobile,
    generate.account,
    generate.health,
    generate.customs,
)
SURNAMES = ("남궁", "제갈", "선우", "독고", "황보", "사공")
GIVEN = ("설화", "도담", "가람", "누리", "다솜", "마루", "보라")
LABELS = {
    "passport": "여권번호",
    "account": "국민은행 계좌",
    "health": "건강보험증 번호",
    "customs": "개인통관고유부호",
    "business": "사업자등록번호",
    "corporate": "법인등록번호",
    "licence": "운전면허번호",
}
TRAVELLING = {"성명", "전자우편", "국민은행 계좌", "개인통관고유부호", "사업자등록번호", "법인등록번호"}
COUNT = 200
AWAY_S = 12.0
"""Longer than a writer waits for SQLite's lock, so that rows go to the journal's segments."""


def planted() -> list[tuple[str, str]]:
    """200 different (label, value): numbers of eleven kinds, names, mailboxes, keys and addresses."""
    chance = random.Random(77)
    made: dict[str, str] = {}
    while len(made) < COUNT - 60:
        make = chance.choice(NUMBERS)
        made[make(chance)] = LABELS.get(make.__name__, "번호")
    for number in range(20):
        made[f"{SURNAMES[number % 6]}{GIVEN[number % 7]}{'한' if number > 9 else ''}"] = "성명"
        made[f"planted.{chance.randrange(10**9):09d}@private-mail.kr"] = "전자우편"
        made[f"sk-proj-{chance.randbytes(18).hex()}"] = "키"
    return [(label, value) for value, label in made.items()]


VALUES = planted()


def test_there_are_200_different_values() -> None:
    assert len({value for _, value in VALUES}) == COUNT


# --- the provider -----------------------------------------------------------------------------------


class Unruly(BaseHTTPRequestHandler):
    """Repeats the prompt in errors, breaks off, and tells values that nobody asked for."""

    leaks: list[str] = []  # noqa: RUF012 - set by the test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        text = json.dumps(asked, ensure_ascii=False)
        if "고장" in text:
            self._send(500, json.dumps({"error": {"message": f"cannot read: {text}"}}).encode())
        elif "거절" in text:
            self._send(400, json.dumps({"error": {"message": text, "param": text}}).encode())
        elif "중단" in text:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(self._chunk("네, " + self.leaks[0]))
            self.connection.close()
        else:
            told = f"등록번호 {self.leaks[1]} 입니다"
            choice = {"index": 0, "message": {"role": "assistant", "content": told}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
            self._send(200, json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode())

    def _chunk(self, text: str) -> bytes:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return b"data: " + json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode() + b"\n\n"

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def unruly() -> Iterator[str]:
    Unruly.leaks = [VALUES[0][1], VALUES[1][1]]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unruly)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


# --- the gateway ------------------------------------------------------------------------------------


@dataclass
class Site:
    gateway: Gateway
    server: subprocess.Popen[bytes]
    sent: int = 0
    statuses: set[int] = field(default_factory=set)
    metrics: str = ""

    def post(self, body: Any, path: str = "/v1/chat/completions", **options: Any) -> httpx.Response | None:
        """Post whatever; a connection that breaks is one of the things that happen."""
        self.sent += 1
        try:
            response = self.gateway.post(body, path=path, **options)
        except httpx.TransportError:
            return None
        self.statuses.add(response.status_code)
        return response


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, unruly: str) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("planted")
    text = CONFIG.format(simulator=simulator.url, filter='in_house_model = "house-model"', faulty=unruly)
    settings = install(folder, text + "\n[review]\nstore_text = true\nflag_findings = 1\n")
    gateway = Gateway("", folder, settings, simulator)
    gateway.issue("p1", person_id="p1")
    for name in ("tmp", "home", "cache"):
        (folder / name).mkdir()
    port = free_port()
    environment = {
        **os.environ,
        "HAECHI_LOG_FORMAT": "json",
        "HAECHI_LOG_LEVEL": "debug",
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONFAULTHANDLER": "1",
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [HAECHI, "serve", "--workers", "2", "--port", str(port)],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        gateway.url = f"http://127.0.0.1:{port}"
        made = Site(gateway, server)
        try:
            wait_until_ready(gateway.url, server)
            yield made
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(40)


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("not ready in time")


# --- what is sent -----------------------------------------------------------------------------------


def chat(text: str, model: str = "sim-large", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def tools(text: str) -> dict[str, Any]:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "find", "arguments": json.dumps({"q": text})},
    }
    return {
        "model": "sim-large",
        "metadata": {"note": text},
        "user": text,
        "messages": [
            {"role": "system", "content": text},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": text},
        ],
    }


def recording() -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 4000)
    return held.getvalue()


def forms(site: Site, text: str) -> None:
    """What comes as a form: a picture to change, a recording, with names of files and prompts."""
    headers = {"authorization": f"Bearer {site.gateway.keys['p1']}"}
    for path, files, data in (
        (
            "images/edits",
            {"image": (f"{text}.png", b"\x89PNG\r\n\x1a\n")},
            {"model": "house-image", "prompt": text},
        ),
        (
            "audio/transcriptions",
            {"file": (f"{text}.wav", recording())},
            {"model": "house-transcription", "prompt": text},
        ),
    ):
        site.sent += 1
        response = httpx.post(
            f"{site.gateway.url}/v1/{path}", files=files, data=data, headers=headers, timeout=20
        )
        site.statuses.add(response.status_code)


def hang_up(site: Site, text: str) -> None:
    """Begin to read a stream, and leave."""
    headers = {"authorization": f"Bearer {site.gateway.keys['p1']}"}
    body = chat(text, stream=True)
    site.sent += 1
    with httpx.stream(
        "POST", f"{site.gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=20
    ) as response:
        for _ in response.iter_bytes():
            break


def odd_places(site: Site, text: str) -> None:
    """Where nobody should write a value: the model's name, addresses, headers, a body that is none."""
    plain = quote(text)
    site.post(chat("안녕", model=text))
    site.post(f'{{"model": "{text}", '.encode())
    site.post(chat("안녕") | {text: {text: 1}})
    site.post(chat("안녕"), path=f"/v1/chat/completions?q={plain}")
    site.post(chat("안녕"), path=f"/v1/{plain}")
    site.post(chat("안녕"), headers={"x-haechi-note": plain, "user-agent": plain, "x-request-id": plain})
    site.post(chat("안녕"), headers={"authorization": f"Bearer {plain}"})
    httpx.get(f"{site.gateway.url}/v1/models/{plain}", timeout=10)
    httpx.get(f"{site.gateway.url}/console/{plain}", timeout=10)


def everywhere(text: str) -> list[Callable[[Site], object]]:
    """Every surface and every way to fail, as things to do with a text."""
    user = {"role": "user", "content": text}
    return [
        lambda site: site.post(chat(text)),
        lambda site: site.post(chat(text, stream=True)),
        lambda site: site.post(tools(text)),
        lambda site: site.post({"model": "sim-large", "input": text}, "/v1/responses"),
        lambda site: site.post({"model": "sim-large", "input": text, "stream": True}, "/v1/responses"),
        lambda site: site.post({"model": "sim-large", "max_tokens": 50, "messages": [user]}, "/v1/messages"),
        lambda site: site.post(
            {"model": "sim-large", "max_tokens": 50, "messages": [user], "stream": True}, "/v1/messages"
        ),
        lambda site: site.post({"model": "sim-large", "messages": [user]}, "/v1/messages/count_tokens"),
        lambda site: site.post({"model": "sim-embedding", "input": [text, text]}, "/v1/embeddings"),
        lambda site: site.post({"model": "sim-image", "prompt": text}, "/v1/images/generations"),
        lambda site: site.post({"model": "sim-speech", "voice": "alloy", "input": text}, "/v1/audio/speech"),
        lambda site: site.post({"model": "sim-video", "prompt": text}, "/v1/videos"),
        lambda site: site.post(chat(text), "/v1/filter/preview"),
        lambda site: site.post(chat(f"고장 {text}", "faulty-model")),
        lambda site: site.post(chat(f"거절 {text}", "faulty-model")),
        lambda site: site.post(chat(f"중단 {text}", "faulty-model", stream=True)),
        lambda site: site.post(chat(f"보통 {text}", "faulty-model")),
        lambda site: site.post(chat(text, "down-model")),
        lambda site: site.post(chat(text, "house-model")),
        lambda site: site.post(chat(f"대외비\n\n{text}")),
        lambda site: site.post(chat(text + "가" * 600_000)),
        lambda site: forms(site, text),
        lambda site: hang_up(site, text),
        lambda site: odd_places(site, text),
    ]


def sentences() -> list[str]:
    """The values in groups of eight, as people write them: first those that travel as masks, then the rest."""
    ordered = sorted(VALUES, key=lambda one: one[0] not in TRAVELLING)
    groups = [ordered[at : at + 8] for at in range(0, COUNT, 8)]
    return ["\n".join(f"{label}: {value}" for label, value in group) for group in groups]


def plant(site: Site) -> None:
    """Send every group by some ways, every way with some groups, and each value by itself once."""
    for index, text in enumerate(sentences()):
        ways = everywhere(text)
        for way in ways[index % 4 :: 4]:
            way(site)
    for index, (label, value) in enumerate(VALUES[::5]):
        site.post(chat(f"{label} {value} 확인", stream=bool(index % 2)))


def report(site: Site) -> None:
    """Report a refusal as a false alarm, with a note that holds the value."""
    label, value = next(one for one in VALUES if "sk-proj" in one[1])
    refused = site.post(chat(f"{label}: {value}"))
    assert refused is not None
    assert refused.status_code == 400
    body = {"request_id": refused.headers["x-request-id"], "note": f"오탐입니다: {value}"}
    told = site.post(body, path="/api/incidents/report", headers={"content-type": "application/json"})
    assert told is not None
    assert told.status_code < 300, told.text


def while_the_database_is_away(site: Site) -> None:
    """Hold SQLite's lock until writers give up: their rows go to segments on disk, and come in later."""
    lock = sqlite3.connect(site.gateway.folder / "haechi.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    threads = [
        threading.Thread(target=lambda text=text: site.post(chat(text)), daemon=True)
        for text in sentences()[:6]
    ]
    try:
        for thread in threads:
            thread.start()
        time.sleep(AWAY_S)
        segments = [path for path in (site.gateway.folder / "journal").rglob("*") if path.is_file()]
        assert any(path.read_bytes().strip(b"\0") for path in segments), "rows wait on disk"
        assert_clean(site.gateway.folder, segments)
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    for thread in threads:
        thread.join(30)


def kill_a_worker(site: Site) -> None:
    """Abort a worker under load: with the fault handler on it prints where it stood."""
    children = subprocess.run(
        ["pgrep", "-P", str(site.server.pid)], capture_output=True, text=True, check=False
    )  # fmt: skip
    workers = [int(pid) for pid in children.stdout.split()]
    text = sentences()[0]
    threads = [threading.Thread(target=lambda: site.post(chat(text)), daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    for pid in workers[-1:]:
        os.kill(pid, signal.SIGABRT)
    for thread in threads:
        thread.join(20)
    wait_until_ready(site.gateway.url, site.server)


def use_the_command_line(folder: Path) -> None:
    """Let the review's commands write what they write."""
    (folder / "change.toml").write_text('version = "x"\n[external.types]\nPERSON = "block"\n')
    commands = (
        "incidents list --json",
        "incidents oversight --json",
        "incidents replay change.toml --rules --json",
        "incidents export --format ocsf",
        "incidents export --format csv",
        "incidents evidence --out evidence.zip",
        "incidents weekly",
        "audit export",
        "report usage --by person --json",
    )
    for number, command in enumerate(commands):
        done = subprocess.run([HAECHI, *command.split()], cwd=folder, capture_output=True, check=False)
        assert done.returncode in (0, 1), (command, done.stderr.decode()[-800:])
        (folder / f"output-{number}").write_bytes(done.stdout + done.stderr)


# --- the search -------------------------------------------------------------------------------------


def needles() -> dict[bytes, str]:
    """Every value in the forms in which a program might have written it."""
    found: dict[bytes, str] = {}
    for _, value in VALUES:
        digits = re.sub(r"\D", "", value)
        texts = {value, value.upper(), *([digits] if len(digits) >= 9 else [])}
        for text in texts:
            escaped = json.dumps(text)[1:-1]
            for form in (
                text.encode(),
                escaped.encode(),
                quote(text).encode(),
                text.encode("utf-16-le"),
                text.encode("cp949", "replace"),
                text.encode().hex().encode(),
                base64.b64encode(text.encode()).rstrip(b"=")[:-1],
            ):
                found[form] = value
    return found


NEEDLES = needles()


def pattern() -> Any:
    """One automaton over all of them: megabytes are searched in a moment."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 1 << 29
    return re2.compile(
        b"|".join(re2.escape(form) for form in sorted(NEEDLES, key=len, reverse=True)), options
    )


PATTERN = pattern()


def clear_in(content: bytes) -> set[str]:
    return {NEEDLES[match] for match in PATTERN.findall(content)}


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, and those packed in it."""
    content = path.read_bytes()
    yield content
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as pack:
            yield from (pack.read(name) for name in pack.namelist())


def assert_clean(folder: Path, paths: list[Path]) -> None:
    for path in paths:
        for content in contents(path):
            assert clear_in(content) == set(), path.relative_to(folder)


def test_the_search_finds_a_value_however_it_is_written() -> None:
    for _, value in VALUES:
        for written in (
            value.encode(),
            json.dumps({"a": value}).encode(),
            f"https://x/?q={quote(value)}".encode(),
            base64.b64encode(value.encode()),
            value.encode("utf-16-le"),
        ):
            assert value in clear_in(b"..." + written + b"...")
    assert clear_in(b"nothing of it, 010-0000-0000, sk-proj-") == set()


@pytest.mark.timeout(400)
def test_planted_values_stand_nowhere_in_clear_after_everything(site: Site) -> None:
    folder = site.gateway.folder
    plant(site)
    report(site)
    kill_a_worker(site)
    while_the_database_is_away(site)
    site.metrics = httpx.get(f"{site.gateway.url}/metrics", timeout=10).text
    use_the_command_line(folder)
    with contextlib.suppress(httpx.TransportError):
        httpx.get(f"{site.gateway.url}/health/models", timeout=10)
    assert site.sent > 200
    assert {200, 400, 401, 404}.issubset(site.statuses)
    assert any(status >= 500 for status in site.statuses)
    assert clear_in(site.metrics.encode()) == set()

    written = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in written}
    assert {"haechi.db", "haechi.db-wal", "log", "evidence.zip"} <= names
    assert b"Fatal Python error: Aborted" in (folder / "log").read_bytes()
    assert_clean(folder, written)
    assert not {name for name in names if clear_in(name.encode())}

    texts = opened_texts(folder)
    assert len(texts) > 50
    stored = "\n".join(texts)
    assert sum(value in stored for _, value in VALUES) > COUNT / 2, "what policy stores is there, encrypted"


def opened_texts(folder: Path) -> list[str]:
    """What the database holds of prompts, opened with the key."""
    settings = Settings(config=folder / "haechi.toml")
    config = settings.load_config()
    engine = open_engine(config.database_url)
    try:
        desk = ReviewDesk(engine, settings.keyring(), config.review)
        return ["\n".join(part.text for part in text.parts) for _, text in desk.texts(datetime.now(UTC))]
    finally:
        engine.dispose()
