"""Server processes that end with the one that started them, even if it is killed.

Each server runs under a guard (`python -m gateway.demo.children COMMAND…`) that holds a pipe from the
parent: when the parent is gone, by whatever means, the pipe closes and the guard ends the server.
Servers choose their own port and say where they listen in one JSON line on standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STOP_TIMEOUT_S = 10.0


class ChildFailed(Exception):
    """A server did not come up; the message holds the end of what it wrote."""


class Child:
    """One server under its guard.

    `log` receives its standard error, and its output after the ready line. `env` None: ours.
    """

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self._log_path = log
        self._log = log.open("ab")
        self._drain: threading.Thread | None = None
        guard = [sys.executable, "-m", __name__, *command]
        self._process = subprocess.Popen(  # noqa: S603 - our own servers, no shell
            guard,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=env,
            start_new_session=True,  # Ctrl-C goes to the parent alone, which then stops us in order
        )

    def ready(self) -> dict[str, str]:
        """Wait for the ready line and return it. Raises ChildFailed if the server ends first."""
        stdout = self._process.stdout
        assert stdout is not None
        for line in stdout:
            if line.startswith(b"{"):
                self._drain = threading.Thread(target=_drain, args=(stdout, self._log), daemon=True)
                self._drain.start()
                return dict(json.loads(line))
            self._log.write(line)
        raise ChildFailed(self.last_words())

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def last_words(self, characters: int = 2000) -> str:
        self._log.flush()
        return self._log_path.read_text(encoding="utf-8", errors="replace")[-characters:]

    def stop(self) -> None:
        """End the server: ask first, then insist. Safe to call twice."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S + 2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._drain:
            self._drain.join(STOP_TIMEOUT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def _drain(stdout: IO[bytes], log: IO[bytes]) -> None:
    """Keep the pipe empty, so that a talkative server never blocks on it."""
    with contextlib.suppress(ValueError, OSError):
        for line in stdout:
            log.write(line)


def guard(command: Sequence[str]) -> int:
    """Run `command` until it ends or our standard input closes. Returns its exit code."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - given by the parent
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    return server.wait()


def _end_with_parent(server: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1024):  # sys.stdin.buffer would hold a lock that our exit needs
        pass
    server.terminate()
    try:
        server.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
