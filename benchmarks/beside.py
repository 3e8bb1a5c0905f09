"""The peers of `make bench-peers`, all in one folder: how each is started, and asked.

LiteLLM (Python) runs its proxy as benchmarks/peers/litellm.yaml says; Portkey (Node) needs no configuration,
each request names its upstream in a header. Neither filters, meters or writes anything down.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LITELLM_PORT, PORTKEY_PORT = 9120, 9130


@dataclass(frozen=True)
class Peer:
    name: str
    url: str
    key: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: str
    headers: tuple[tuple[str, str], ...] = ()

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """Start it; yields its process id when it answers."""
        env = {**os.environ, **self.environment}
        with load.process([*self.command], load.GATEWAY_CORE, env=env) as started:
            load.wait_for(self.url + self.health, self.key, 180)
            yield started.pid


def peers_in(folder: Path | None) -> list[Peer]:
    """The peers that are installed in a folder; none without one."""
    if folder is None:
        return []
    node = shutil.which("node")
    portkey = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    peers = [_litellm(folder / "bin/litellm")]
    return [*peers, _portkey(node, portkey)] if node and portkey.exists() else peers


def _litellm(executable: Path) -> Peer:
    config = load.ROOT / "benchmarks/peers/litellm.yaml"
    return Peer(
        "LiteLLM",
        f"http://127.0.0.1:{LITELLM_PORT}",
        "sk-bench",
        (str(executable), "--config", str(config), "--port", str(LITELLM_PORT), "--num_workers", "1"),
        {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        "/health/liveliness",
    )


def _portkey(node: str, server: Path) -> Peer:
    return Peer(
        "Portkey",
        f"http://127.0.0.1:{PORTKEY_PORT}",
        "sk-bench",
        (node, str(server), "--headless", f"--port={PORTKEY_PORT}"),
        {"NODE_ENV": "production"},
        "/",
        (("x-portkey-provider", "openai"), ("x-portkey-custom-host", f"{load.UPSTREAM}/v1")),
    )
