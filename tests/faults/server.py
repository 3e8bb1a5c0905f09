"""A provider that fails on purpose: raw TCP, one fault per upstream model name, and its own ledger.

The ledger notes every request whose headers arrived, with its attempt id: what it saw, it may bill.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26}
HANG_S = 30


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    delta = {} if text is None else {"role": "assistant", "content": text}
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def usage_chunk(usage: Any = None) -> bytes:
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    return b"data: " + json.dumps({**event, "usage": USAGE if usage is None else usage}).encode() + b"\n\n"


def whole(text: str = "안녕하세요", **more: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": USAGE,
            **more,
        },
        ensure_ascii=False,
    ).encode()


def head(status: str, content_type: str, *more: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {content_type}", *more]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


END = b"0\r\n\r\n"
SSE = head("200 OK", "text/event-stream")
DONE = b"data: [DONE]\n\n"


@dataclass
class FaultServer:
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """One entry per request whose headers arrived: attempt, fault, stream."""
    hung_up: list[str] = field(default_factory=list)
    """Attempts whose connection the gateway closed while we were still talking."""

    def attempts(self) -> list[str]:
        return [entry["attempt"] for entry in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await self._request(reader):
                keep = await self._answer(request, writer)
                if not keep:
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
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        entry = {
            "attempt": headers.get("x-haechi-attempt", ""),
            "fault": body.get("model", ""),
            "stream": bool(body.get("stream")),
        }
        self.seen.append(entry)
        return entry

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        try:
            async for piece in FAULTS[request["fault"]](request):
                if piece is RESET:
                    writer.transport.abort()
                    return False
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            self.hung_up.append(request["attempt"])
            return False
        return False


RESET: Any = object()
Fault = Callable[[dict[str, Any]], AsyncIterator[Any]]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__.replace("_", "-")] = function
    return function


@fault
async def fine(request: dict[str, Any]) -> AsyncIterator[Any]:
    if not request["stream"]:
        body = whole()
        yield head("200 OK", "application/json", length=len(body)) + body
        return
    yield SSE
    for piece in (chunk("안녕"), chunk("하세요"), chunk(finish="stop"), usage_chunk(), DONE):
        yield frame(piece)
    yield END


@fault
async def reset_before_headers(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield RESET


@fault
async def reset_after_headers(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield SSE
    yield RESET


@fault
async def hang_before_headers(_request: dict[str, Any]) -> AsyncIterator[Any]:
    await asyncio.sleep(HANG_S)
    yield b""


@fault
async def hang_before_first_byte(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield SSE
    await asyncio.sleep(HANG_S)
    yield b""


@fault
async def hang_mid_stream(request: dict[str, Any]) -> AsyncIterator[Any]:
    if request["stream"]:
        yield SSE
        yield frame(chunk("안녕하세요 "))
    else:
        yield head("200 OK", "application/json", length=500) + whole()[:100]
    await asyncio.sleep(HANG_S)
    yield b""


@fault
async def reset_mid_stream(request: dict[str, Any]) -> AsyncIterator[Any]:
    if request["stream"]:
        yield SSE
        yield frame(chunk("안녕하세요 "))
    else:
        yield head("200 OK", "application/json", length=500) + whole()[:100]
    await asyncio.sleep(0.1)
    yield RESET


@fault
async def html_502(_request: dict[str, Any]) -> AsyncIterator[Any]:
    body = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    yield head("502 Bad Gateway", "text/html", length=len(body)) + body


@fault
async def html_200(_request: dict[str, Any]) -> AsyncIterator[Any]:
    body = b"<html><body>login please</body></html>"
    yield head("200 OK", "text/html", length=len(body)) + body


def _error(status: str, code: str, *more: str) -> bytes:
    body = json.dumps({"error": {"message": "SECRET UPSTREAM WORDS", "type": "x", "code": code}}).encode()
    return head(status, "application/json", *more, length=len(body)) + body


@fault
async def unauthorised(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield _error("401 Unauthorized", "invalid_api_key")


@fault
async def rate_limited(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield _error("429 Too Many Requests", "rate_limit_exceeded", "retry-after: 7")


@fault
async def internal(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield _error("500 Internal Server Error", "server_error")


@fault
async def error_in_200(request: dict[str, Any]) -> AsyncIterator[Any]:
    body = json.dumps({"error": {"message": "SECRET UPSTREAM WORDS", "code": 500}}).encode()
    if request["stream"]:
        yield SSE
        yield frame(b"data: " + body + b"\n\n") + END
    else:
        yield head("200 OK", "application/json", length=len(body)) + body


@fault
async def error_event_mid_stream(request: dict[str, Any]) -> AsyncIterator[Any]:
    if not request["stream"]:
        yield _error("500 Internal Server Error", "server_error")
        return
    yield SSE
    yield frame(chunk("안녕하세요 "))
    body = json.dumps({"error": {"message": "SECRET UPSTREAM WORDS", "code": 500}}).encode()
    yield frame(b"data: " + body + b"\n\n") + END


@fault
async def truncated_json(_request: dict[str, Any]) -> AsyncIterator[Any]:
    body = whole()[:60]
    yield head("200 OK", "application/json", length=len(body)) + body


@fault
async def usage_missing(request: dict[str, Any]) -> AsyncIterator[Any]:
    if not request["stream"]:
        body = whole(usage=None)
        yield head("200 OK", "application/json", length=len(body)) + body
        return
    yield SSE
    for piece in (chunk("안녕하세요. 도로 점용 허가는 도로법 제61조에 따릅니다."), chunk(finish="stop"), DONE):
        yield frame(piece)
    yield END


@fault
async def done_missing(request: dict[str, Any]) -> AsyncIterator[Any]:
    if not request["stream"]:
        async for piece in fine(request):
            yield piece
        return
    yield SSE
    for piece in (chunk("안녕"), chunk(finish="stop"), usage_chunk()):
        yield frame(piece)
    yield END


@fault
async def cut_after_text(request: dict[str, Any]) -> AsyncIterator[Any]:
    """A stream that ends cleanly for TCP and HTTP, with neither finish_reason nor usage."""
    if not request["stream"]:
        async for piece in truncated_json(request):
            yield piece
        return
    yield SSE
    yield frame(chunk("안녕하세요 ")) + END


@fault
async def slow_stream(request: dict[str, Any]) -> AsyncIterator[Any]:
    """A chunk every 50 ms for 4 s, then usage."""
    if not request["stream"]:
        await asyncio.sleep(0.5)
        async for piece in fine(request):
            yield piece
        return
    yield SSE
    for number in range(80):
        yield frame(chunk(f"{number} "))
        await asyncio.sleep(0.05)
    for piece in (chunk(finish="stop"), usage_chunk(), DONE):
        yield frame(piece)
    yield END


@fault
async def endless_stream(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield SSE
    while True:
        yield frame(chunk("말 "))
        await asyncio.sleep(0.02)


@contextmanager
def running() -> Iterator[FaultServer]:
    """Serve on a free port of loopback, in a thread of this process."""
    server = FaultServer()
    loop = asyncio.new_event_loop()
    ready: threading.Event = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.url = "http://127.0.0.1:%d" % listening.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        listening.close()

    def run() -> None:
        loop.run_until_complete(main())
        tasks: list[Awaitable[Any]] = [task for task in asyncio.all_tasks(loop) if task.cancel()]
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
