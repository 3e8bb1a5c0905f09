"""Clients that misbehave: raw HTTP/1.1 on a socket, so that a test decides when it reads and when it leaves."""

from __future__ import annotations

import json
import socket
from itertools import count
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway


NUMBERS = count(1)


class RawClient:
    """One request on one connection; `receive_buffer` bytes of the kernel at most."""

    def __init__(self, gateway: Gateway, who: str = "p1", receive_buffer: int | None = None) -> None:
        host, port = gateway.url.removeprefix("http://").split(":")
        self._key = gateway.keys[who]
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect((host, int(port)))
        self.received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.leave()

    def ask(self, model: str, *, stream: bool = True, **headers: str) -> None:
        content = f"도로 점용 허가 절차를 두 문장으로 설명해 주세요. ({next(NUMBERS)}번째 질문)"
        body = json.dumps(
            {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream}
        ).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self._key}\r\n{more}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )

    def read_until(self, wanted: bytes) -> None:
        looked_at = 0  # only what is new: looking through 30 MB again and again took longer than sending them
        while self.received.find(wanted, max(looked_at - len(wanted), 0)) < 0:
            looked_at = len(self.received)
            data = self.socket.recv(65536)
            assert data, self.received[-500:]
            self.received += data

    def read_to_the_end(self) -> None:
        self.read_until(b"\r\n0\r\n\r\n")

    def read_first_word(self) -> None:
        while b'"content":"' not in self.received.replace(b'"content":""', b""):
            data = self.socket.recv(65536)
            assert data, self.received[-500:]
            self.received += data

    def leave(self) -> None:
        self.socket.close()

    @property
    def status(self) -> int:
        return int(self.received.split(b" ", 2)[1])

    @property
    def request_id(self) -> str:
        head = self.received.split(b"\r\n\r\n")[0].decode()
        return next(
            line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("x-request-id")
        )

    def events(self) -> list[Any]:
        """The data of the stream's events so far; comments are left out."""
        lines = self.received.decode(errors="replace").splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
