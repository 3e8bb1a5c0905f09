import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-c", "from gateway.cli import main; main()"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(port, server):
    for _ in range(200):
        assert server.poll() is None, server.stderr.read()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server never answered")


def test_serve_answers_is_healthy_and_stops_cleanly(staffed, haechi):
    port = free_port()
    config = Path("haechi.toml")
    config.write_text(config.read_text().replace("port = 8080", f"port = {port}"))
    secret = haechi("keys", "create", "--person", "S1").ok().out.strip()
    with subprocess.Popen(
        [*COMMAND, "serve"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert wait_until_it_answers(port, server) == 200
            haechi("health", "--ready").ok()
            listed = httpx.get(
                f"http://127.0.0.1:{port}/v1/models", headers={"authorization": f"Bearer {secret}"}
            )
            assert [model["id"] for model in listed.json()["data"]] == ["city-llm"]
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) in (0, -signal.SIGTERM)
    assert haechi("health").code == 5


@pytest.mark.parametrize("workers", ["2", "auto"])
def test_several_workers_serve_one_database_and_end_together(staffed, workers):
    port = free_port()
    command = [*COMMAND, "serve", "--port", str(port), "--workers", workers]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        try:
            assert wait_until_it_answers(port, server) == 200
        finally:
            server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
        server.stderr.read()


@pytest.mark.parametrize("workers", ["0", "65", "many", "-1", "1.5", ""])
def test_a_number_of_workers_that_is_none_is_said_before_anything_starts(staffed, haechi, workers):
    refused = haechi("serve", "--workers", workers)
    assert refused.code == 2
    assert "auto" in refused.err
    assert "1부터 64까지" in refused.err


def make_read_only(database):
    """Have SQLite take the file for one that a newer SQLite wrote: it reads it and refuses to write.

    Permissions would not do: tests may run as root. Byte 18 of the header is the "write version".
    """
    with database.open("r+b") as file:
        file.seek(18)
        file.write(b"\x03")


def test_serve_refuses_what_is_not_ready_with_what_to_do(installed, haechi, monkeypatch):
    Path("haechi.db").unlink()
    behind = haechi("serve")
    assert behind.code == 5
    assert "haechi migrate" in behind.err
    haechi("migrate").ok()
    make_read_only(Path("haechi.db"))
    read_only = haechi("serve")
    assert read_only.code == 5
    assert "haechi doctor" in read_only.err
    monkeypatch.setenv("HAECHI_DATABASE_URL", "sqlite:////nowhere/at/all/haechi.db")
    missing = haechi("serve")
    assert missing.code == 5
    assert "/nowhere/at/all" in missing.err
    Path("haechi.secret").chmod(0o644)
    exposed = haechi("serve")
    assert exposed.code == 3
    assert "chmod 600" in exposed.err
