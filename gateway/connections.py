"""HTTP/1.1 to providers: connections that are kept for the next request.

llhttp reads (through httptools, as uvicorn does), aiohappyeyeballs finds the address. What is here is what a
gateway to language models needs: a request is small and in memory, an answer is long and comes in pieces,
nothing is sent twice. No redirects, cookies, proxies (gateway/proxied.py) or environment.
Why not a client library: docs/decisions/0081-own-connections.md.
"""

from __future__ import annotations

import asyncio
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from urllib.parse import quote, urlsplit

import aiohappyeyeballs
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

KEEPALIVE_S: Final = 30.0
MOST_UNREAD: Final = 256 * 1024
"""Bytes of a body that nobody has taken: beyond it nothing is read from the provider."""
LONGEST_HEAD: Final = 64 * 1024
DECOMPRESSED_AT_ONCE: Final = 256 * 1024
NO_BODY: Final = (204, 304)
SENT_AS_WRITTEN: Final = "/%:@!$&'()*+,;=~-._?[]"
"""In a path or query: who signed an address signed it as it is written."""


class NeverConnected(OSError):
    """Refused, no such host, TLS failed, no answer to connect: not a byte of the request was sent."""


class Disconnected(OSError):
    """The connection ended before an answer began."""


class BrokenOff(OSError):
    """The connection ended within an answer, or what was compressed cannot be read."""


class NotHttp(OSError):
    """What came is no HTTP/1.1, or a head without end."""


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class Target(NamedTuple):
    """Where a URL leads, and the lines of a head that follow from it."""

    origin: Origin
    line: str
    """` path HTTP/1.1`, then the host."""


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Raises NeverConnected for what is no http or https URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise NeverConnected("not an address") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise NeverConnected("an address begins with http:// or https://, and a host")
    named = f"[{host}]" if ":" in host else host
    path = quote(parts.path or "/", safe=SENT_AS_WRITTEN)
    query = "?" + quote(parts.query, safe=SENT_AS_WRITTEN) if parts.query else ""
    if port != (443 if parts.scheme == "https" else 80):
        named = f"{named}:{port}"
    line = f" {path}{query} HTTP/1.1\r\nhost: {named}\r\n"
    return Target(Origin(parts.scheme, host, port), line)


def head_of(method: str, target: Target, headers: Mapping[str, str], length: int) -> bytes:
    """Raises NeverConnected if a header holds a line break, which would begin another."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"{method}{target.line}{''.join(lines)}content-length: {length}\r\n\r\n"
    if head.count("\n") != len(lines) + 4 or head.count("\r") != len(lines) + 4:
        raise NeverConnected("a header holds a line break")
    return head.encode()


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time: `ask`, then `piece` until there is none, then `end`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: Origin, pool: Connections) -> None:
        self.origin = origin
        self._pool = pool
        self.idle_since = 0.0
        self.closed = False
        self.asked = False
        self._loop = loop
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self._reusable = True
        self._pieces: list[bytes] = []
        self._unpacking: _Packed | _Plain | None = None
        self._unpacked: Iterator[bytes] | None = None
        """What was unpacked and nobody has taken."""
        self._in_one_turn = 0
        self.unread = 0
        """Bytes that came and nobody has taken."""
        self._head_bytes = 0
        """Bytes since the last of a body: of the head, of trailers."""
        self._informational = False
        self._until_close = False
        self._paused = False
        self._error: OSError | None = None

    # --- the exchange ----------------------------------------------------------------------------

    async def ask(self, head: bytes, body: bytes) -> None:
        """Send a request, and return once the status and headers are there.

        Raises Disconnected or NotHttp; then, as after a cancellation, the connection is to be closed.
        """
        self._begin()
        self.asked = True
        self._transport.write(head + body if len(body) < MOST_UNREAD else head)
        if len(body) >= MOST_UNREAD:
            self._transport.write(body)
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._something()

    async def piece(self) -> bytes:
        """Return what comes next of the body: all that came together; empty at its end.

        Raises BrokenOff or NotHttp.
        """
        while True:
            if self._unpacked is not None and (plain := next(self._unpacked, b"")):
                self._in_one_turn += len(plain)
                if self._in_one_turn >= DECOMPRESSED_AT_ONCE:
                    self._in_one_turn = 0
                    await asyncio.sleep(0)  # a little that unpacks to much leaves others their turn
                return plain
            if self._pieces:
                piece = self._take()
                encoding = self.headers.get("content-encoding")
                if encoding is None:
                    return piece
                self._unpacked = self._unpacking_of(encoding).of(piece)
            elif self._error is not None:  # also of bytes beyond the length that was announced
                raise self._error
            elif self.complete:
                return b""
            else:
                await self._something()

    def _unpacking_of(self, encoding: str) -> _Packed | _Plain:
        if self._unpacking is None:
            self._unpacking = _unpacking(encoding)
        return self._unpacking

    def _take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        self.unread = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _something(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def end(self) -> None:
        """Keep the connection if its answer was read to the end; close it otherwise."""
        if self.complete and self._reusable and not self._pieces and not self.closed:
            self.asked = False
            self._pool.keep(self)
        else:
            self.close()

    @property
    def is_closing(self) -> bool:
        """Whether it is closed, or will be at the next turn of the loop: the other side closed it."""
        return self.closed or self._transport.is_closing()

    def close(self) -> None:
        """Close without waiting for what is still to be sent."""
        self.closed = True
        self._transport.abort()

    # --- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by descent

    def data_received(self, data: bytes) -> None:
        if not self.asked:  # nobody asked: whatever it is, it is no answer to the next request
            self.close()
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(NotHttp(type(error).__name__))
        else:
            if self._head_bytes > LONGEST_HEAD:
                self._fail(NotHttp("a head without end"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._until_close and exc is None and self._error is None:
            self.complete = True
        elif not self.complete and self._error is None:
            self._error = BrokenOff() if self.status else Disconnected()
        self._wake()

    def _fail(self, error: OSError) -> None:
        self._error = error
        self.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- llhttp's callbacks ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:  # the beginning of a second answer to one request
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # neither trailers nor what comes behind the answer
            key, text = name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        self._informational = 100 <= status < 200
        if self._informational:
            self.headers = {}
            return
        self.status = status
        encoded = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self._until_close = not (encoded or "content-length" in self.headers or status in NO_BODY)

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        self._head_bytes = 0
        self._pieces.append(body)
        self.unread += len(body)
        if self.unread > MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._informational:
            self._informational = False
        elif not self.complete:
            self.complete = True
            self._reusable = self._parser.should_keep_alive()


class _Packed:
    """A compressed body, unpacked in pieces that fit into memory; none of them is empty."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, as it says itself

    def of(self, piece: bytes) -> Iterator[bytes]:
        try:
            while piece:
                if plain := self._inflater.decompress(piece, DECOMPRESSED_AT_ONCE):
                    yield plain
                piece = self._inflater.unconsumed_tail
                if self._inflater.unused_data:
                    raise BrokenOff("bytes behind a compressed body")
        except zlib.error as error:
            raise BrokenOff("compressed, and not readable") from error


class _Plain:
    """A body to which nothing was done, though its head names an encoding."""

    def of(self, piece: bytes) -> Iterator[bytes]:
        yield piece


def _unpacking(encoding: str) -> _Packed | _Plain:
    """Raises NotHttp for an encoding that is not read here."""
    match encoding.strip().lower():
        case "identity" | "":
            return _Plain()
        case "gzip" | "x-gzip" | "deflate":
            return _Packed()
    raise NotHttp("a content encoding that was not asked for")


class Connections:
    """A pool for each origin under one TLS context; the connection used last is used next."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._idle: dict[Origin, list[Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> Connection:
        """Send a request, and return its exchange once status and headers are there; its `end` follows.

        Raises NeverConnected, Disconnected or NotHttp.
        """
        target = target_of(url)
        head = head_of(method, target, headers, len(body))
        connection = await self._take(target.origin, connect_s)
        try:
            await connection.ask(head, body)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _take(self, origin: Origin, connect_s: float) -> Connection:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.is_closing:
                return connection
        try:
            async with asyncio.timeout(connect_s):
                return await self._connect(asyncio.get_running_loop(), origin)
        except OSError as error:  # TimeoutError and ssl.SSLError among them
            raise NeverConnected(str(error)) from error

    async def _connect(self, loop: asyncio.AbstractEventLoop, origin: Origin) -> Connection:
        addresses = await loop.getaddrinfo(origin.host, origin.port, type=1)
        socket = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=0.25, loop=loop)
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(loop, origin, self),
                sock=socket,
                ssl=self._context if origin.scheme == "https" else None,
                server_hostname=origin.host if origin.scheme == "https" else None,
            )
        except BaseException:
            socket.close()
            raise
        return connection

    def keep(self, connection: Connection) -> None:
        """For the next request; for KEEPALIVE_S and half of it at most."""
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(connection.origin, []).append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(KEEPALIVE_S / 2, self._close_idle)

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time() - KEEPALIVE_S
        for origin, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since < before:
                    connection.close()
            self._idle[origin] = [one for one in idle if not one.closed]
        self._idle = {origin: idle for origin, idle in self._idle.items() if idle}
        self._sweep = loop.call_later(KEEPALIVE_S / 2, self._close_idle) if self._idle else None

    async def aclose(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # transports close in the loop's next turn
