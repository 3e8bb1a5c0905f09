"""A provider that fails on purpose: raw TCP, one fault per upstream model name, and its own ledger.

The ledger notes every request whose headers arrived, with its attempt id: what it saw, it may bill. Faults that
come before any request (refused, hanging, broken TLS) have an address of their own in `Addresses`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.faults import END_BY_CLOSING, FAULTS, RESET, bomb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path


@dataclass
class FaultServer:
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """One entry per request whose headers arrived: attempt, fault, stream."""
    hung_up: list[str] = field(default_factory=list)
    """Attempts whose connection the gateway closed while we were still talking."""
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes that the gateway's side took, by attempt."""

    def attempts(self) -> list[str]:
        return [entry["attempt"] for entry in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await self._request(reader):
                if not await self._answer(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> dict[str, Any] | None:
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        lines = raw.decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        question = json.dumps(body.get("messages"))
        entry = {
            "attempt": headers.get("x-haechi-attempt", ""),
            "fault": body.get("model", ""),
            "stream": bool(body.get("stream")),
            "time": sum(entry["question"] == question for entry in self.seen),
            "question": question,
        }
        self.seen.append(entry)
        return entry

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Answer; return whether the connection may be used again."""
        try:
            async for piece in FAULTS[request["fault"]](request):
                if piece is RESET:
                    writer.transport.abort()
                    return False
                writer.write(piece)
                await writer.drain()
                self.sent[request["attempt"]] = self.sent.get(request["attempt"], 0) + len(piece)
        except ConnectionError:
            self.hung_up.append(request["attempt"])
            return False
        # An answer that is whole leaves its connection open. Closing it would race with the next request on
        # it: that would be sent, and never seen by this ledger.
        return request.get("served", request["fault"]) not in END_BY_CLOSING


@dataclass(frozen=True)
class Addresses:
    """Where a connection never comes to be."""

    refused: str
    hanging: str
    unencrypted: str
    untrusted: str
    unknown: str = "http://no-such-host.invalid"


@contextmanager
def nowhere(folder: Path, faults: FaultServer) -> Iterator[Addresses]:
    """Open the addresses of `Addresses` on loopback."""
    with socket.socket() as closed, socket.socket() as full:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: refused, and nobody else gets the port
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [_connecting(full.getsockname()) for _ in range(8)]
        with _encrypted(folder) as untrusted:
            yield Addresses(
                refused=f"http://127.0.0.1:{closed.getsockname()[1]}",
                hanging=f"http://127.0.0.1:{full.getsockname()[1]}",
                unencrypted=faults.url.replace("http://", "https://"),
                untrusted=untrusted,
            )
        for connection in waiting:
            connection.close()


def _connecting(address: tuple[str, int]) -> socket.socket:
    """A connection that nobody accepts; a few of them fill the queue, and the next one gets no answer."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(address)
    return connection


@contextmanager
def _encrypted(folder: Path) -> Iterator[str]:
    """A TLS server whose certificate nobody signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(folder))

    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with _loop_in_thread() as loop:
        start = asyncio.start_server(never, "127.0.0.1", 0, ssl=context)
        listening = asyncio.run_coroutine_threadsafe(start, loop).result(5)
        yield f"https://127.0.0.1:{_port(listening)}"
        loop.call_soon_threadsafe(listening.close)


def _self_signed(folder: Path) -> Path:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "untrusted.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def _loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end() -> None:
        tasks: list[Awaitable[Any]] = [
            task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task() and task.cancel()
        ]
        await asyncio.gather(*tasks, return_exceptions=True)
        await loop.shutdown_asyncgens()

    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@contextmanager
def running() -> Iterator[FaultServer]:
    """Serve on a free port of loopback, in a thread of this process."""
    server = FaultServer()
    bomb()  # made here, so that its making is not taken for the provider's silence
    with _loop_in_thread() as loop:
        start = asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1024)
        listening = asyncio.run_coroutine_threadsafe(start, loop).result(5)
        server.url = f"http://127.0.0.1:{_port(listening)}"
        yield server
        loop.call_soon_threadsafe(listening.close)


def _port(listening: asyncio.Server) -> int:
    return listening.sockets[0].getsockname()[1]
