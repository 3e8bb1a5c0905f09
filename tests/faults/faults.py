"""The faults: what a provider sends instead of an answer, piece by piece, in its own bytes.

Each takes the request as the server's ledger notes it (`time` counts how often the question came before) and
yields bytes, or RESET to cut the connection. The name of a fault is the upstream model that asks for it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from random import Random
from typing import Any

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


RESET: Any = object()
Fault = Callable[[dict[str, Any]], AsyncIterator[Any]]
FAULTS: dict[str, Fault] = {}
END_BY_CLOSING = {"truncated-chunked", "end-after-done", "content-length-too-long"}


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
async def html_504(_request: dict[str, Any]) -> AsyncIterator[Any]:
    body = b"<html><body><h1>504 Gateway Time-out</h1></body></html>"
    yield head("504 Gateway Timeout", "text/html", length=len(body)) + body


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
async def rate_limited_briefly(request: dict[str, Any]) -> AsyncIterator[Any]:
    """Retry-After in seconds; the next time it answers."""
    if request["time"]:
        async for piece in fine(request):
            yield piece
    else:
        yield _error("429 Too Many Requests", "rate_limit_exceeded", "retry-after: 1")


@fault
async def rate_limited_until(request: dict[str, Any]) -> AsyncIterator[Any]:
    """Retry-After as a date; the next time it answers."""
    if request["time"]:
        async for piece in fine(request):
            yield piece
        return
    now = datetime.now(UTC)
    dates = [format_datetime(at, usegmt=True) for at in (now, now + timedelta(seconds=1))]
    yield _error(
        "429 Too Many Requests", "rate_limit_exceeded", f"date: {dates[0]}", f"retry-after: {dates[1]}"
    )


@fault
async def bad_request(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield _error("400 Bad Request", "invalid_request_error")


@fault
async def flaky(request: dict[str, Any]) -> AsyncIterator[Any]:
    """500, then success."""
    async for piece in fine(request) if request["time"] else internal(request):
        yield piece


@fault
async def drip(request: dict[str, Any]) -> AsyncIterator[Any]:
    """A good answer, a byte every 0.3 s."""
    async for piece in fine(request):
        for byte in piece:
            yield bytes([byte])
            await asyncio.sleep(0.3)


@fault
async def truncated_chunked(request: dict[str, Any]) -> AsyncIterator[Any]:
    """The connection ends without the last chunk of the chunked encoding."""
    if request["stream"]:
        yield SSE + frame(chunk("안녕하세요 "))
    else:
        yield head("200 OK", "application/json") + frame(whole()[:100])


@fault
async def end_after_done(request: dict[str, Any]) -> AsyncIterator[Any]:
    """Everything was said, only the last chunk of the chunked encoding is missing."""
    if not request["stream"]:
        async for piece in fine(request):
            yield piece
        return
    yield SSE
    for piece in (chunk("안녕"), chunk("하세요"), chunk(finish="stop"), usage_chunk(), DONE):
        yield frame(piece)


@fault
async def open_after_done(request: dict[str, Any]) -> AsyncIterator[Any]:
    """Everything was said, and the body stays open."""
    async for piece in end_after_done(request):
        yield piece
    if request["stream"]:
        await asyncio.sleep(HANG_S)


@fault
async def pings_after_done(request: dict[str, Any]) -> AsyncIterator[Any]:
    """Everything was said, and the body stays open and is never quite silent."""
    async for piece in end_after_done(request):
        yield piece
    if request["stream"]:
        for _ in range(round(HANG_S / 0.1)):
            await asyncio.sleep(0.1)
            yield frame(b": ping\n\n")


@fault
async def content_length_too_long(request: dict[str, Any]) -> AsyncIterator[Any]:
    body = chunk("안녕하세요 ") if request["stream"] else whole()
    content_type = "text/event-stream" if request["stream"] else "application/json"
    yield head("200 OK", content_type, length=len(body) + 500) + body


@fault
async def content_length_too_short(request: dict[str, Any]) -> AsyncIterator[Any]:
    body = chunk("안녕하세요 ") + chunk(finish="stop") if request["stream"] else whole()
    content_type = "text/event-stream" if request["stream"] else "application/json"
    yield head("200 OK", content_type, length=len(body) // 2 - 20) + body


@lru_cache
def bomb() -> bytes:
    """96 MiB of spaces in a tenth of a MiB."""
    return gzip.compress(b" " * 96 * 1024**2, 6)


@fault
async def gzip_bomb(request: dict[str, Any]) -> AsyncIterator[Any]:
    body = await asyncio.to_thread(bomb)
    content_type = "text/event-stream" if request["stream"] else "application/json"
    yield head("200 OK", content_type, "content-encoding: gzip", length=len(body)) + body


@fault
async def endless_body(request: dict[str, Any]) -> AsyncIterator[Any]:
    yield head("200 OK", "text/event-stream" if request["stream"] else "application/json")
    yield frame(b'data: {"id": "' if request["stream"] else b'{"id": "')
    while True:
        yield frame(b"a" * 1024 * 1024)


@fault
async def endless_headers(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"x-more: " + b"a" * 4000 + b"\r\n"


@fault
async def invalid_utf8(request: dict[str, Any]) -> AsyncIterator[Any]:
    if request["stream"]:
        yield SSE + frame(chunk("안녕").replace("안".encode(), b"\xff\xfe")) + END
    else:
        body = whole().replace("안".encode(), b"\xff\xfe")
        yield head("200 OK", "application/json", length=len(body)) + body


@fault
async def duplicated_chunks(request: dict[str, Any]) -> AsyncIterator[Any]:
    """Every event comes twice, the usage too."""
    if not request["stream"]:
        async for piece in fine(request):
            yield piece
        return
    yield SSE
    for piece in (chunk("안녕"), chunk(finish="stop"), usage_chunk()):
        yield frame(piece) + frame(piece)
    yield frame(DONE) + END


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
        body = json.dumps({k: v for k, v in json.loads(whole()).items() if k != "usage"}).encode()
        yield head("200 OK", "application/json", length=len(body)) + body
        return
    yield SSE
    for piece in (
        chunk("안녕하세요. 도로 점용 허가는 도로법 제61조에 따릅니다."),
        chunk(finish="stop"),
        DONE,
    ):
        yield frame(piece)
    yield END


@fault
async def usage_null(request: dict[str, Any]) -> AsyncIterator[Any]:
    """`"usage": null` everywhere, also where it should be stated."""
    if not request["stream"]:
        body = whole(usage=None)
        yield head("200 OK", "application/json", length=len(body)) + body
        return
    yield SSE
    for piece in (chunk("안녕하세요.", usage=None), chunk(finish="stop", usage=None), DONE):
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
async def slow_start(request: dict[str, Any]) -> AsyncIterator[Any]:
    """A good answer after 0.8 s of silence."""
    await asyncio.sleep(0.8)
    async for piece in fine(request):
        yield piece


@fault
async def slow_failure(request: dict[str, Any]) -> AsyncIterator[Any]:
    """500 after 0.8 s of silence."""
    await asyncio.sleep(0.8)
    async for piece in internal(request):
        yield piece


@fault
async def flood(_request: dict[str, Any]) -> AsyncIterator[Any]:
    """60 MB of text as fast as it is taken."""
    yield SSE
    for _ in range(6_000):
        yield frame(chunk("가" * 3_300))
    for piece in (chunk(finish="stop"), usage_chunk(), DONE):
        yield frame(piece)
    yield END


@fault
async def endless_stream(_request: dict[str, Any]) -> AsyncIterator[Any]:
    yield SSE
    while True:
        yield frame(chunk("말 "))
        await asyncio.sleep(0.02)


ROULETTE = Random(4)
AT_RANDOM = (
    "reset-before-headers",
    "reset-after-headers",
    "reset-mid-stream",
    "hang-before-first-byte",
    "hang-mid-stream",
    "html-502",
    "html-200",
    "internal",
    "error-in-200",
    "error-event-mid-stream",
    "truncated-json",
    "truncated-chunked",
    "invalid-utf8",
    "endless-headers",
    "usage-missing",
    "cut-after-text",
    "bad-request",
)


@fault
async def roulette(request: dict[str, Any]) -> AsyncIterator[Any]:
    """Four times out of five a good answer, else any fault."""
    name = "fine" if ROULETTE.random() < 0.8 else ROULETTE.choice(AT_RANDOM)
    request["served"] = name
    async for piece in FAULTS[name](request):
        yield piece
