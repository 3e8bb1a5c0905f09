"""What a client reads is what uvicorn's own protocol sends, byte for byte, whatever the answer."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.server import WholeAnswers

BODY = "안녕하세요".encode()
LENGTH = (b"content-length", b"%d" % len(BODY))


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"x-a", b"1"), *headers]}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


ANSWERS: dict[str, list[dict[str, Any]]] = {
    "whole": [start(LENGTH), body(BODY)],
    "in two parts": [start(LENGTH), body(BODY[:3], more=True), body(BODY[3:])],
    "a stream": [start(), body(b"data: 1\n\n", more=True), body(b"", more=True), body(b"data: 2\n\n")],
    "nothing in it": [start((b"content-length", b"0")), body(b"")],
    "not found": [start(LENGTH, status=404), body(BODY)],
    "no content": [start(status=204), body(b"")],
    "closing": [start(LENGTH, (b"connection", b"close")), body(BODY)],
    "shorter than it says": [start((b"content-length", b"99")), body(BODY)],
    "longer than it says": [start((b"content-length", b"1")), body(BODY)],
    "a line in a header": [start(LENGTH, (b"x-b", b"1\r\nx-c: 2")), body(BODY)],
    "nothing at all": [],
}


async def exchange(protocol: type[asyncio.Protocol], answer: list[dict[str, Any]], request: bytes) -> bytes:
    """Send a request and, on the same connection where it stays open, another; return what came."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in answer:
            await send(message)

    config = uvicorn.Config(app, port=0, http=protocol, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request + b"GET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        server.should_exit = True
        await running


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize(
    "request_line", ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0", "POST / HTTP/1.1"]
)
def test_an_answer_is_what_uvicorn_sends(answer: list[dict[str, Any]], request_line: str) -> None:
    head = f"{request_line}\r\nhost: x\r\n".encode()
    asked = head + (b"content-length: 2\r\n\r\n{}" if request_line.startswith("POST") else b"\r\n")
    sent = [asyncio.run(exchange(one, answer, asked)) for one in (WholeAnswers, HttpToolsProtocol)]
    ours, theirs = (re.sub(rb"date: [^\r]+", b"", one) for one in sent)
    assert ours == theirs


def test_an_answer_that_ends_behind_its_head_is_an_error_and_no_success_without_a_body() -> None:
    asked = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    assert asyncio.run(exchange(WholeAnswers, [start(LENGTH)], asked)).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("answer", ["whole", "a stream"])
def test_a_client_that_leaves_is_noticed_though_its_next_request_waits(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On uvloop, as served: a write into a closed connection is an error there."""
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if answer == "a stream":
            await send(start())
        try:
            told.append(f"{scope['path']} {(await asyncio.wait_for(receive(), 2))['type']}")
        except TimeoutError:
            told.append("nothing")
        if answer == "whole":
            await send(start(LENGTH))
        await send(body(BODY))

    async def leave() -> None:
        config = uvicorn.Config(app, port=0, http=WholeAnswers, lifespan="off", log_config=None, ws="none")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.close()
        while not told:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        server.should_exit = server.force_exit = True
        await running

    with caplog.at_level("WARNING"):
        uvloop.run(asyncio.wait_for(leave(), 20))
    assert told == ["/1 http.disconnect"]
    assert not caplog.records
