"""What a request costs where there is ten times as much of everything: `python -m benchmarks.growth`.

Two installations side by side: people, keys, models, charges and incidents, and ten times as many of each,
all written by the gateway itself. Counted are calls and bytecodes of a request (benchmarks/ratchet.py),
and its processor time with all threads: the least of several rounds, the installations in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import load, ratchet
from gateway.app import create_app
from gateway.keyring import Purpose
from gateway.organisation import Grant
from gateway.settings import Settings
from gateway.store.database import opened
from gateway.store.organisation import create_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

AT_ONCE: Final = 32
ROUNDS: Final = 12
CPU: Final = "processor time, µs"
TIMED: Final = 320
"""Requests of a round."""
MODEL: Final = """
[[models]]
id = "bench-{number}"
deployments = [{{ provider = "bench", price_key = "bench" }}]
"""


@dataclass(frozen=True)
class Size:
    people: int = 1_000
    keys: int = 100
    models: int = 10
    charges: int = 400
    incidents: int = 100

    def times(self, factor: int) -> Size:
        return Size(*(factor * number for number in vars(self).values()))


def install(folder: Path, size: Size, port: int) -> str:
    """Lay down an institution of a size; return a key. Its history is still to come."""
    folder.mkdir()
    models = "".join(MODEL.format(number=number) for number in range(size.models))
    key = load.install(folder, more=models, port=port, people=size.people)
    settings = _settings(folder)
    keyring = settings.keyring()
    grants = [Grant(label="bench", person_id=f"p{number % size.people + 1}") for number in range(size.keys)]
    with opened(settings.load_config().database_url) as database:
        create_keys(
            database, keyring.current(Purpose.API_KEY_HASH), grants, at=datetime.now(UTC), actor="bench"
        )
    return key


def _settings(folder: Path) -> Settings:
    return Settings(config=folder / "haechi.toml", log_level="error")


def _numbered() -> Callable[[str], bytes]:
    """What writes bodies of which no two are alike."""
    count = iter(range(10**6, 10**9))
    return lambda body: body.replace("{n}", str(next(count))).encode()


async def _asked(app: FastAPI, key: str, times: int, body: str, write: Callable[[str], bytes]) -> None:
    async def asking(share: int) -> None:
        for _ in range(share):
            await ratchet.ask(app, key, write(body), statuses=(200, 400, 403))

    await asyncio.gather(*(asking(times // AT_ONCE) for _ in range(AT_ONCE)))


def stopped() -> str:
    """A request that the filter stops: it holds a resident registration number, made up."""
    message = {"role": "user", "content": "접수 {n}번. 주민등록번호 900101-1234568 확인해 주세요."}
    return json.dumps({"model": "bench", "messages": [message]}, ensure_ascii=False)


async def _timed(apps: list[tuple[FastAPI, str, Size]]) -> list[float]:
    """Write each history, then return the least microseconds of a request of each."""
    write = _numbered()
    least = [float("inf")] * len(apps)
    async with contextlib.AsyncExitStack() as running:
        for app, key, size in apps:
            await running.enter_async_context(app.router.lifespan_context(app))
            await _asked(app, key, size.charges, load.request_body(), write)
            await _asked(app, key, size.incidents, stopped(), write)
        for _ in range(ROUNDS):
            for index, (app, key, _) in enumerate(apps):
                began = time.process_time()
                await _asked(app, key, TIMED, load.request_body(), write)
                least[index] = min(least[index], (time.process_time() - began) / TIMED * 1e6)
    return least


def measure() -> tuple[ratchet.Figures, ratchet.Figures]:
    """Return the figures of a request in an institution, and in one ten times as large."""
    sizes = (Size(), Size().times(10))
    with tempfile.TemporaryDirectory(dir=load.ROOT, prefix=".bench-") as name, ratchet.provider() as port:
        folders = [Path(name) / str(number) for number in range(len(sizes))]
        keys = [install(folder, size, port) for folder, size in zip(folders, sizes, strict=True)]
        apps = [
            (create_app(_settings(folder)), key, size)
            for folder, key, size in zip(folders, keys, sizes, strict=True)
        ]
        times_us = asyncio.run(_timed(apps))
        small, large = (
            ratchet.measure(folder, key) | {CPU: time_us}
            for folder, key, time_us in zip(folders, keys, times_us, strict=True)
        )
    return small, large


def show(small: ratchet.Figures, large: ratchet.Figures) -> None:
    print(f"{Size()}, and ten times of each:")
    for figure, value in small.items():
        print(f"{figure:20}{value:10.0f}{large[figure]:10.0f}{large[figure] / value - 1:+10.1%}")


def main() -> None:
    small, large = measure()
    show(small, large)
    if any(large[figure] > 1.1 * small[figure] for figure in ratchet.RECORDED):
        sys.exit("more than a tenth dearer")


if __name__ == "__main__":
    main()
