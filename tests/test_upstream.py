"""The only door to providers: proxies, private CAs, no cookies, no redirects, and what proves "not sent"."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.catalogue import Deployment, Timeouts
from gateway.domain import UpstreamRequest, Zone
from gateway.errors import UpstreamTimeout
from gateway.upstream import Deadlines, Upstream, UpstreamNotSent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: who=kim\r\n\r\nok"


def deployment(url: str, **more: Any) -> Deployment:
    fields: dict[str, Any] = {
        "id": "d", "model_id": "m", "provider": "p", "wire": "openai", "profile": "generic", "base_url": url,
        "upstream_model": "m", "zone": Zone.EXTERNAL, "price_key": "k", "timeouts": Timeouts(1, 1, 1, 3),
    }  # fmt: skip
    return Deployment(**{**fields, **more})


def request(url: str) -> UpstreamRequest:
    return UpstreamRequest("POST", url, {"content-type": "application/json"}, b"{}")


@asynccontextmanager
async def server(answer: bytes = OK, **tls: Any) -> AsyncIterator[tuple[int, list[str]]]:
    """Yield a port and the heads of the requests that came."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                if "content-length: 2" in heads[-1].lower():
                    await reader.readexactly(2)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, **tls)
    try:
        yield listening.sockets[0].getsockname()[1], heads
    finally:
        listening.close()
        await asyncio.sleep(0.01)  # its ends of the connections close after ours


async def ask(upstream: Upstream, url: str, **more: Any) -> tuple[int, bytes]:
    answer = await upstream.open(request(url), deployment(url, **more), "attempt-1")
    try:
        return answer.status, await answer.read(100)
    finally:
        await answer.aclose()


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def test_each_attempt_carries_its_id_and_no_cookie_of_the_one_before() -> None:
    async def journey() -> list[str]:
        async with server() as (port, heads):
            upstream = Upstream()
            for _ in range(2):
                assert await ask(upstream, f"http://127.0.0.1:{port}/v1") == (200, b"ok")
            await upstream.aclose()
            return heads

    heads = run(journey())
    assert all("x-haechi-attempt: attempt-1" in head.lower() for head in heads)
    assert all("cookie:" not in head.lower() for head in heads)
    assert all("accept-encoding: identity" in head.lower() for head in heads)


def test_a_redirect_is_not_followed() -> None:
    async def journey() -> tuple[int, int]:
        async with server() as (port, heads):
            away = f"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n".encode()
            async with server(away) as (first, _):
                upstream = Upstream()
                status, _ = await ask(upstream, f"http://127.0.0.1:{first}/v1")
                await upstream.aclose()
                return status, len(heads)

    assert run(journey()) == (302, 0)


def test_a_deployment_with_a_proxy_goes_through_it() -> None:
    async def journey() -> list[str]:
        async with server() as (port, heads):
            upstream = Upstream()
            url = "http://provider.invalid/v1/chat/completions"
            assert await ask(upstream, url, proxy_url=f"http://127.0.0.1:{port}") == (200, b"ok")
            await upstream.aclose()
            return heads

    assert run(journey())[0].startswith("POST http://provider.invalid/v1/chat/completions")


def test_the_credentials_of_a_proxy_go_to_the_proxy_alone() -> None:
    async def journey() -> list[str]:
        async with server() as (port, heads):
            upstream = Upstream()
            proxy_url = f"http://gateway:secret@127.0.0.1:{port}"
            assert await ask(upstream, "http://provider.invalid/v1", proxy_url=proxy_url) == (200, b"ok")
            await upstream.aclose()
            return heads

    head = run(journey())[0].lower()
    assert "proxy-authorization: basic z2f0zxdhetpzzwnyzxq=" in head
    assert "\r\nauthorization:" not in head


def test_a_compressed_answer_is_read_though_none_was_asked_for() -> None:
    body = gzip.compress(b"ok" * 20)
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    async def journey() -> tuple[int, bytes]:
        async with server(answer) as (port, _):
            upstream = Upstream()
            read = await ask(upstream, f"http://127.0.0.1:{port}/v1")
            await upstream.aclose()
            return read

    assert run(journey()) == (200, b"ok" * 20)


def test_a_connection_is_used_again_once_its_answer_is_read() -> None:
    async def journey() -> int:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(2)
                    writer.write(OK)
            except asyncio.IncompleteReadError:
                writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        upstream = Upstream()
        for _ in range(3):
            await ask(upstream, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
        await upstream.aclose()
        listening.close()
        await asyncio.sleep(0.01)
        return connections

    assert run(journey()) == 1


def test_a_private_ca_is_trusted_only_where_it_is_configured(tmp_path: Path) -> None:
    ca = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, tmp_path / "key.pem")

    async def journey() -> None:
        async with server(ssl=context) as (port, _):
            upstream = Upstream()
            url = f"https://localhost:{port}/v1"
            assert await ask(upstream, url, ca_bundle=str(ca)) == (200, b"ok")
            with pytest.raises(UpstreamNotSent):
                await ask(upstream, url)
            await upstream.aclose()

    run(journey())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"])
def test_a_connection_that_never_came_to_be_proves_that_nothing_was_sent(url: str) -> None:
    async def journey() -> None:
        upstream = Upstream()
        with pytest.raises(UpstreamNotSent):
            await ask(upstream, url)
        await upstream.aclose()

    run(journey())


# --- deadlines -----------------------------------------------------------------------------------


def limited(first_byte_s: float, idle_s: float, total_s: float) -> Deployment:
    return deployment("http://x", timeouts=Timeouts(1, first_byte_s, idle_s, total_s))


def test_silence_of_the_provider_ends_the_wait() -> None:
    async def journey() -> None:
        with pytest.raises(UpstreamTimeout), Deadlines(limited(0.05, 1, 1)):
            await asyncio.sleep(1)
        with pytest.raises(UpstreamTimeout), Deadlines(limited(1, 0.05, 1)) as clock:
            clock.heard()
            clock.listen()
            await asyncio.sleep(1)

    run(journey())


def test_the_total_ends_a_provider_that_drips() -> None:
    async def journey() -> None:
        with pytest.raises(UpstreamTimeout), Deadlines(limited(1, 1, 0.2)) as clock:
            while True:
                await asyncio.sleep(0.02)
                clock.heard()
                clock.listen()

    run(journey())


def test_a_slow_reader_is_not_the_providers_silence() -> None:
    async def journey() -> bool:
        with Deadlines(limited(0.1, 0.1, 5)) as clock:
            clock.heard()
            await asyncio.sleep(0.3)  # our own client takes its time
            clock.listen()
            await asyncio.sleep(0.02)
        return True

    assert run(journey())


def test_a_cancellation_from_outside_stays_a_cancellation() -> None:
    async def journey() -> None:
        async def wait() -> None:
            with Deadlines(limited(5, 5, 5)):
                await asyncio.sleep(5)

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(journey())


def certificate(folder: Path) -> Path:
    """A self-signed certificate for `localhost`; its key lies beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "cert.pem"
