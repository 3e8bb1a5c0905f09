"""HTTP/1.1 as providers speak it, and as they should not: whole answers, or an error that says which."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from gateway import connections
from gateway.connections import (
    BrokenOff,
    Connection,
    Connections,
    Disconnected,
    NeverConnected,
    NotHttp,
    head_of,
    target_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

HEAD = b"HTTP/1.1 200 OK\r\n"
Script = list[bytes | float | None]
"""What a provider does for a request: bytes to send, seconds to wait, None to close."""


@asynccontextmanager
async def provider(*scripts: Script) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Yield its address, and the requests of each connection; a script for each request in turn."""
    left, asked, writers = list(scripts), [], []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        asked.append(b"")
        mine = len(asked) - 1
        try:
            while True:
                asked[mine] += (head := await reader.readuntil(b"\r\n\r\n"))
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                asked[mine] += await reader.readexactly(length)
                for step in left.pop(0) if left else [HEAD + b"content-length: 2\r\n\r\nok"]:
                    match step:
                        case bytes():
                            writer.write(step)
                            await writer.drain()
                        case float():
                            await asyncio.sleep(step)
                        case None:
                            return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1?a=1", asked
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.01)


async def body_of(connection: Connection) -> list[bytes]:
    pieces = []
    while piece := await connection.piece():
        pieces.append(piece)
    return pieces


async def ask(pool: Connections, url: str, body: bytes = b"{}") -> tuple[int, bytes, dict[str, str]]:
    connection = await pool.ask("POST", url, {"x-a": "1"}, body, 2.0)
    try:
        return connection.status, b"".join(await body_of(connection)), connection.headers
    finally:
        connection.end()


def run(journey: Callable[[Connections], Coroutine[Any, Any, Any]]) -> Any:
    async def whole() -> Any:
        pool = Connections(None)  # type: ignore[arg-type]  # no TLS here; tests/test_upstream.py has it
        try:
            return await asyncio.wait_for(journey(pool), 10)
        finally:
            await pool.aclose()

    return uvloop.run(whole())


def answered(*steps: bytes | float | None) -> tuple[int, bytes, dict[str, str]]:
    """What is read when a provider does this."""

    async def journey(pool: Connections) -> Any:
        async with provider(list(steps)) as (url, _):
            return await ask(pool, url)

    return run(journey)


@pytest.mark.parametrize(
    ("steps", "body"),
    [
        ([HEAD + b"Content-Length: 5\r\n\r\nhello"], b"hello"),
        ([HEAD, b"content-length: 5\r\n", b"\r\nhe", 0.01, b"llo"], b"hello"),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", 0.01, b"0\r\n\r\n"], b"hello"),
        ([HEAD + b"\r\nhel", 0.01, b"lo", None], b"hello"),
        ([HEAD + b"connection: close\r\n\r\nhello", None], b"hello"),
        ([b"HTTP/1.0 200 OK\r\n\r\nhello", None], b"hello"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"content-length: 5\r\n\r\nhello"], b"hello"),
        ([b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + HEAD + b"content-length: 0\r\n\r\n"], b""),
        ([HEAD + b"content-length: 0\r\n\r\n"], b""),
    ],
)
def test_a_body_ends_where_its_head_says(steps: Script, body: bytes) -> None:
    status, read, headers = answered(*steps)
    assert (status, read) == (200, body)
    assert "link" not in headers, "an informational answer's headers are not the answer's"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_ends_with_its_head(status: int) -> None:
    assert answered(f"HTTP/1.1 {status} X\r\n\r\n".encode(), 5.0)[:2] == (status, b"")


def test_headers_are_read_by_small_names_and_repeated_ones_are_joined() -> None:
    headers = answered(HEAD + b"Retry-After: 3\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n")[2]
    assert (headers["retry-after"], headers["x-a"]) == ("3", "1, 2")


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([None], Disconnected),
        ([b"HTTP/1.1 2", None], Disconnected),
        ([HEAD + b"content-length: 9\r\n\r\nhe", None], BrokenOff),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhe", None], BrokenOff),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", None], BrokenOff),
        ([b"<html>no</html>\r\n\r\n", 5.0], NotHttp),
        ([b"HTTP/1.1 abc OK\r\n\r\n", 5.0], NotHttp),
        ([HEAD + b"content-length: -1\r\n\r\n", 5.0], NotHttp),
        ([HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhey", 5.0], NotHttp),
        ([HEAD + b"content-length: 2\r\n\r\nhello", 5.0], NotHttp),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 5.0], NotHttp),
        ([HEAD, *[b"x-a: " + b"a" * 999 + b"\r\n"] * 90, 5.0], NotHttp),
        ([HEAD + b"content-encoding: br\r\ncontent-length: 2\r\n\r\nok"], NotHttp),
        ([HEAD + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"], BrokenOff),
    ],
)
def test_what_is_no_whole_answer_is_an_error_with_a_name(steps: Script, error: type[OSError]) -> None:
    with pytest.raises(error):
        answered(*steps)


@given(st.lists(st.integers(1, 150), max_size=12), st.booleans())
def test_where_the_network_splits_an_answer_changes_nothing(cuts: list[int], chunked: bool) -> None:
    """Fed to the protocol itself, so that each split is really one."""
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" if chunked else b"hello world"
    how = b"transfer-encoding: chunked" if chunked else b"content-length: 11"
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"x-a: \xea\xb0\x80\r\n" + how + b"\r\n\r\n" + body

    async def fed() -> tuple[int, bytes, str, bool]:
        connection = Connection(asyncio.get_running_loop(), target_of("http://x/").origin, Connections(None))  # type: ignore[arg-type]
        connection.asked = True
        at = 0
        for cut in [*cuts, len(whole)]:
            connection.data_received(whole[at : at + cut])
            at += cut
        read = b"".join(await body_of(connection))
        return connection.status, read, connection.headers["x-a"], connection.complete

    assert asyncio.run(fed()) == (200, b"hello world", "가", True)


# --- connections -----------------------------------------------------------------------------------


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def journey(pool: Connections) -> int:
        async with provider() as (url, asked):
            for _ in range(3):
                assert (await ask(pool, url))[1] == b"ok"
            return len(asked)

    assert run(journey) == 1


@pytest.mark.parametrize(
    "steps",
    [
        [HEAD + b"content-length: 2\r\nconnection: close\r\n\r\nok", 0.05],
        [HEAD + b"content-length: 2\r\n\r\nok", 0.01, None],
        [
            HEAD + b"content-length: 2\r\n\r\nok",
            0.02,
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
            0.05,
        ],
    ],
)
def test_a_connection_that_ended_or_says_something_unasked_is_not_used_again(steps: Script) -> None:
    """An answer that nobody asked for would otherwise be the next person's."""

    async def journey(pool: Connections) -> tuple[bytes, int]:
        async with provider(steps) as (url, asked):
            await ask(pool, url)
            await asyncio.sleep(0.1)
            return (await ask(pool, url))[1], len(asked)

    assert run(journey) == (b"ok", 2)


def test_a_second_answer_that_only_begins_is_nobodys() -> None:
    async def journey(pool: Connections) -> Any:
        first: Script = [HEAD + b"content-length: 2\r\n\r\nok" + HEAD + b"content-length: 7\r\n"]
        second: Script = [b"\r\nANOTHER", 0.05, HEAD + b"content-length: 4\r\n\r\nmine"]
        async with provider(first, second) as (url, asked):
            return (await ask(pool, url))[1], len(asked), not any(pool._idle.values())

    assert run(journey) == (b"ok", 1, True)


def test_a_connection_that_the_provider_has_just_closed_is_not_used_again() -> None:
    async def journey(pool: Connections) -> int:
        used = 0
        for _ in range(10):
            async with provider([HEAD + b"content-length: 2\r\n\r\nok", 0.01, None]) as (url, _):
                await ask(pool, url)
                ((connection,),) = (kept for kept in pool._idle.values() if kept)
                for _ in range(100_000):
                    if connection.is_closing:
                        break
                    await asyncio.sleep(0)
                used += not connection.closed
                assert (await ask(pool, url))[1] == b"ok"
                await pool.aclose()
        return used

    assert run(journey) > 0, "closing, and not yet told so"


def test_trailers_are_neither_kept_nor_read_without_end() -> None:
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    assert answered(chunked + b"x-checksum: 1\r\n\r\n")[1:] == (b"ok", {"transfer-encoding": "chunked"})
    more: Script = [0.01, b"x-a: " + b"a" * 10_000 + b"\r\n"]
    with pytest.raises(NotHttp):
        answered(chunked, *more * 10)


def test_nothing_may_stand_behind_a_compressed_body() -> None:
    packed = gzip.compress(b"ok")
    with pytest.raises(BrokenOff):
        answered(HEAD + b"content-encoding: gzip\r\n\r\n" + packed, b"\0" * 1000, None)


def test_a_little_that_unpacks_to_much_leaves_others_their_turn() -> None:
    packed = gzip.compress(bytes(20_000_000))

    async def journey(pool: Connections) -> int:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        steps: Script = [
            HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
        ]
        async with provider(steps) as (url, _):
            connection = await pool.ask("POST", url, {}, b"{}", 2.0)
            beside = asyncio.create_task(others())
            await asyncio.sleep(0.1)
            turns = 0
            assert sum(map(len, await body_of(connection))) == 20_000_000
            beside.cancel()
        return turns

    assert run(journey) > 50


def test_an_answer_that_nobody_reads_to_its_end_takes_its_connection_with_it() -> None:
    async def journey(pool: Connections) -> tuple[bytes, int]:
        async with provider([HEAD + b"content-length: 9\r\n\r\nhel", 0.1, b"lo"]) as (url, asked):
            connection = await pool.ask("POST", url, {}, b"", 2.0)
            connection.end()
            return (await ask(pool, url))[1], len(asked)

    assert run(journey) == (b"ok", 2)


def test_a_request_that_is_cancelled_takes_its_connection_with_it() -> None:
    async def journey(pool: Connections) -> tuple[bytes, int]:
        async with provider([0.2, HEAD + b"content-length: 4\r\n\r\nlate"]) as (url, asked):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask(pool, url), 0.05)
            return (await ask(pool, url))[1], len(asked)

    assert run(journey) == (b"ok", 2)


def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEPALIVE_S", 0.04)

    async def journey(pool: Connections) -> int:
        async with provider() as (url, asked):
            await ask(pool, url)
            await asyncio.sleep(0.15)
            await ask(pool, url)
            return len(asked)

    assert run(journey) == 2


def test_a_body_that_nobody_takes_is_not_read_on() -> None:
    async def journey(pool: Connections) -> tuple[int, int]:
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        async with provider([HEAD + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 400, b"0\r\n\r\n"]) as (
            url,
            _,
        ):
            connection = await pool.ask("POST", url, {}, b"", 2.0)
            await asyncio.sleep(0.3)
            held = connection.unread
            length = sum(map(len, await body_of(connection)))
            connection.end()
            return held, length

    held, length = run(journey)
    assert held < 3 * connections.MOST_UNREAD
    assert length == 400 * 65536


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_compressed_body_is_unpacked_in_pieces_that_fit_into_memory(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(bytes(30_000_000))
    head = HEAD + f"content-encoding: {'gzip' if pack is gzip.compress else 'deflate'}\r\n".encode()

    async def journey(pool: Connections) -> tuple[int, int]:
        async with provider([head + b"content-length: %d\r\n\r\n" % len(packed) + packed]) as (url, _):
            connection = await pool.ask("POST", url, {}, b"", 2.0)
            sizes = [*map(len, await body_of(connection))]
            connection.end()
            return max(sizes), sum(sizes)

    assert run(journey) == (connections.DECOMPRESSED_AT_ONCE, 30_000_000)


def test_a_large_request_arrives_whole() -> None:
    body = bytes(range(256)) * 8192  # 2 MB

    async def journey(pool: Connections) -> bytes:
        async with provider() as (url, asked):
            await ask(pool, url, body)
            return asked[0]

    assert run(journey).endswith(b"content-length: 2097152\r\n\r\n" + body)


def test_no_answer_to_connect_is_never_connected() -> None:
    async def journey(pool: Connections) -> None:
        with pytest.raises(NeverConnected):
            await pool.ask("POST", "http://127.0.0.1:9/", {}, b"", 1.0)

    run(journey)


# --- heads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "head"),
    [
        ("https://api.example.com/v1/chat", "POST /v1/chat HTTP/1.1\r\nhost: api.example.com\r\n"),
        ("https://api.example.com:443/", "POST / HTTP/1.1\r\nhost: api.example.com\r\n"),
        ("http://10.0.0.1:8080", "POST / HTTP/1.1\r\nhost: 10.0.0.1:8080\r\n"),
        ("http://[::1]:8080/a?b=c%20d", "POST /a?b=c%20d HTTP/1.1\r\nhost: [::1]:8080\r\n"),
        (
            "https://x/model/arn%3Aaws%2Fm/converse",
            "POST /model/arn%3Aaws%2Fm/converse HTTP/1.1\r\nhost: x\r\n",
        ),
        ("https://해치.example/모델", "POST /%EB%AA%A8%EB%8D%B8 HTTP/1.1\r\nhost: xn--v96b13k.example\r\n"),
    ],
)
def test_an_address_is_sent_as_it_is_written(url: str, head: str) -> None:
    assert (
        head_of("POST", target_of(url), {"a": "b"}, 2) == f"{head}a: b\r\ncontent-length: 2\r\n\r\n".encode()
    )


@pytest.mark.parametrize("url", ["ftp://x/", "http:///v1", "nothing", "http://x:99999/", "http://[x/"])
def test_what_is_no_address_is_never_connected(url: str) -> None:
    with pytest.raises(NeverConnected):
        target_of(url)


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb"])
def test_a_header_cannot_begin_another(value: str) -> None:
    with pytest.raises(NeverConnected):
        head_of("POST", target_of("http://x/"), {"authorization": value}, 0)
