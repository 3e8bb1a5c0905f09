"""Tokens for Vertex: bought once, shared, renewed in time; without one nothing is sent."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import RSAKey

from gateway.access import Access
from gateway.catalogue import Credential, Deployment, Timeouts
from gateway.domain import UpstreamRequest, Zone
from gateway.upstream import Upstream, UpstreamNotSent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = RSAKey.generate_key(2048).as_pem(private=True).decode()
START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
ASKED = UpstreamRequest("POST", "https://vertex.example", {"content-type": "application/json"}, b"{}")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def seller(status: str = "200 OK") -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the address of a server that sells numbered tokens, and what it sold."""
    sold: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        sold.append(f"token-{len(sold) + 1}")
        body = json.dumps({"access_token": sold[-1], "expires_in": 3600, "error": "invalid_grant"}).encode()
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body
        )
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/token", sold
    finally:
        listening.close()


def place(address: str, **more: Any) -> Deployment:
    account = json.dumps({"client_email": "a@b", "private_key": KEY, "token_uri": address})
    fields: dict[str, Any] = {
        "id": "d", "model_id": "m", "provider": "google", "wire": "gemini", "profile": "vertex",
        "base_url": "https://vertex.example", "upstream_model": "m", "zone": Zone.EXTERNAL, "price_key": "k",
        "timeouts": Timeouts(1, 1, 1, 3), "credential": Credential(service_account=account),
    }  # fmt: skip
    return Deployment(**{**fields, **more})


def test_requests_that_come_together_share_one_token_and_renew_it_in_time() -> None:
    async def journey() -> tuple[list[str], list[str]]:
        clock, upstream = Clock(), Upstream()
        access = Access(upstream, clock)
        async with seller() as (address, sold):
            proven = await asyncio.gather(*(access.proven(ASKED, place(address)) for _ in range(5)))
            clock.now = START + timedelta(minutes=54)
            proven.append(await access.proven(ASKED, place(address)))
            clock.now = START + timedelta(minutes=56)
            proven.append(await access.proven(ASKED, place(address)))
            await upstream.aclose()
            return [request.headers["authorization"] for request in proven], sold

    shown, sold = asyncio.run(journey())
    assert shown == [*["Bearer token-1"] * 6, "Bearer token-2"]
    assert sold == ["token-1", "token-2"]


def test_what_needs_no_token_is_left_as_it_is() -> None:
    async def journey() -> UpstreamRequest:
        upstream = Upstream()
        try:
            return await Access(upstream, Clock()).proven(
                ASKED, place("", credential=Credential(api_key="k"))
            )
        finally:
            await upstream.aclose()

    assert asyncio.run(journey()) is ASKED


@pytest.mark.parametrize("status", ["400 Bad Request", "500 Oops"])
def test_without_a_token_nothing_is_sent(status: str) -> None:
    async def journey() -> None:
        upstream = Upstream()
        async with seller(status) as (address, _):
            try:
                await Access(upstream, Clock()).proven(ASKED, place(address))
            finally:
                await upstream.aclose()

    with pytest.raises(UpstreamNotSent) as refused:
        asyncio.run(journey())
    assert refused.value.upstream_status == int(status[:3])
    assert "관리자" in refused.value.korean


def test_an_account_that_is_none_is_named_without_its_key() -> None:
    async def journey() -> None:
        upstream = Upstream()
        try:
            await Access(upstream, Clock()).proven(
                ASKED, place("", credential=Credential(service_account="{}"))
            )
        finally:
            await upstream.aclose()

    with pytest.raises(UpstreamNotSent):
        asyncio.run(journey())
