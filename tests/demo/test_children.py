"""Servers end with the process that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from gateway.demo.children import Child, ChildFailed

SCRIPT = """
import json, os, time
print("warming up")
print(json.dumps({"pid": str(os.getpid())}) + "\\nlater words", flush=True)  # one write: nobody ends us between
time.sleep(600)
"""
SERVER = [sys.executable, "-c", SCRIPT]


def gone(pid: int, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_a_server_says_where_it_is_and_ends_when_it_is_told_to(tmp_path):
    with Child(SERVER, tmp_path / "log") as child:
        pid = int(child.ready()["pid"])
        assert child.running
    assert gone(pid)
    assert not child.running
    child.stop()
    written = (tmp_path / "log").read_text(encoding="utf-8")
    assert "warming up" in written
    assert "later words" in written


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_does_not_outlive_a_parent_that_is_killed(tmp_path, ending):
    parent = (
        "import signal, sys, time; from pathlib import Path; from gateway.demo.children import Child\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs behind a shell ignores it\n"
        f"child = Child({SERVER!r}, Path({str(tmp_path / 'log')!r}))\n"
        "print(child.ready()['pid'], flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.send_signal(ending)
        process.wait()
    assert gone(pid)


def test_a_server_that_does_not_come_up_shows_its_last_words(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit('the port is on fire')"]
    with Child(command, tmp_path / "log") as child, pytest.raises(ChildFailed, match="the port is on fire"):
        child.ready()
    assert "Fatal" not in (tmp_path / "log").read_text(encoding="utf-8"), "the guard ends quietly, too"


def test_a_server_that_ignores_the_request_to_end_is_ended(tmp_path, monkeypatch):
    stubborn = (
        "import json, os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(json.dumps({'pid': str(os.getpid())}), flush=True); time.sleep(600)"
    )
    patched = (
        "import sys; from gateway.demo import children; children.STOP_TIMEOUT_S = 0.2;"
        "sys.exit(children.guard(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", patched, sys.executable, "-c", stubborn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline().split('"')[3])
        process.stdin.close()
        process.wait(10)
    assert gone(pid)
