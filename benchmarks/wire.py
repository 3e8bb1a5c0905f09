"""One keep-alive connection with nothing in between: what a request takes, measured at the socket."""

from __future__ import annotations

import socket
import statistics
import time
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Times:
    """Milliseconds of many requests."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Self:
        ordered = sorted(seconds)
        return cls(
            statistics.median(ordered) * 1000, ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000
        )


class Connection:
    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
            "content-type: application/json\r\n"
        )
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, body: str, first: bytes, last: bytes) -> tuple[float, float]:
        """Send a body; return the seconds until `first` and until `last` stood in the answer."""
        data = body.encode()
        request = f"{self._head}content-length: {len(data)}\r\n\r\n".encode() + data
        received, first_s = b"", None
        began = time.perf_counter()
        self._socket.sendall(request)
        while True:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError(received[-200:])
            received += piece
            if first_s is None and first in received:
                first_s = time.perf_counter() - began
            if received.endswith(last):
                if b" 200 " not in received[:16] or first_s is None:
                    raise RuntimeError(received[:500])
                return first_s, time.perf_counter() - began

    def close(self) -> None:
        self._socket.close()
