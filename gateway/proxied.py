"""Requests to providers behind a proxy, by aiohttp: CONNECT, TLS within it and its credentials are its trade.

Same questions, answers and errors as gateway/connections.py. A session for each CA bundle; redirects are not
followed, cookies neither kept nor sent, nothing taken from the environment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import aiohttp

from gateway.connections import KEEPALIVE_S, BrokenOff, Disconnected, NeverConnected, NotHttp

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

NEVER_CONNECTED: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
)


class Exchange:
    """One answer that came through a proxy."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response

    async def piece(self) -> bytes:
        """Return what comes next of the body; empty at its end."""
        with _named_errors():
            return await self._response.content.readany()

    def end(self) -> None:
        """Give the connection back if the body was read to its end; close it otherwise."""
        self._response.release()


class Proxied:
    """A session and its pool; begins with the first request."""

    def __init__(self, context: ssl.SSLContext, proxy_url: str) -> None:
        self._proxy_url = proxy_url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context, keepalive_timeout=KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, connect_s: float
    ) -> Exchange:
        """Raises NeverConnected, Disconnected or NotHttp."""
        with _named_errors():
            response = await self._session.request(
                method,
                url,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                proxy=self._proxy_url,
                timeout=_connecting(connect_s),
            )
        return Exchange(response)

    async def aclose(self) -> None:
        await self._session.close()


@lru_cache(maxsize=256)
def _connecting(connect_s: float) -> aiohttp.ClientTimeout:
    """Bound the connecting alone; `Deadlines` watches over the rest."""
    return aiohttp.ClientTimeout(total=None, sock_connect=connect_s)


class _named_errors:  # noqa: N801 - reads as a statement: `with _named_errors():`
    """Turn aiohttp's errors into those of gateway.connections."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NEVER_CONNECTED):
            raise NeverConnected(type(error).__name__) from error
        if isinstance(error, aiohttp.ClientHttpProxyError):
            raise Disconnected(f"the proxy says {error.status}") from error
        if isinstance(error, aiohttp.ClientResponseError):  # headers without end, a status that is none
            raise NotHttp(type(error).__name__) from error
        if isinstance(error, aiohttp.ClientPayloadError):
            raise BrokenOff(type(error).__name__) from error
        if isinstance(error, aiohttp.ClientError):
            raise Disconnected(type(error).__name__) from error
