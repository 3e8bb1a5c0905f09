"""HTTP to our own servers on loopback, past any proxy that the environment names."""

from __future__ import annotations

from urllib.request import ProxyHandler, build_opener

TIMEOUT_S = 30.0


def fetch(path: str, server: str) -> bytes:
    """GET `path` of a server's URL and return the body. Raises OSError where nobody answers well."""
    with build_opener(ProxyHandler({})).open(f"{server}{path}", timeout=TIMEOUT_S) as answer:
        body: bytes = answer.read()
    return body
