"""What wrk cannot see of streams: when the first token comes, and how late each chunk is.

python -m benchmarks.streams URL KEY first COUNT | slow COUNT

`first` opens streams one after the other and prints the milliseconds to the first content, p50 and p99.
`slow` holds so many open at once; their upstream runs with `--stamped`, so that each chunk tells when it was
sent by the same machine's clock. Prints how many ended clean, and the delay of the chunks, p50 and p99.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import Final
from urllib.parse import urlsplit

import uvloop

from benchmarks import load
from benchmarks.upstream import DIGITS

STAMP: Final = re.compile(rb'"content":"((?:' + b"|".join(d.encode() for d in DIGITS) + rb')+) "')
FIRST: Final = re.compile(rb'"content":\s?"[^"]')


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def opened(url: str, key: str, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    body = load.request_body(stream=True).replace("{n}", str(number)).encode()
    head = f"POST {where.path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    return reader, writer


async def first(url: str, key: str, count: int) -> None:
    times = []
    for number in range(count + 20):
        began = time.perf_counter()
        reader, writer = await opened(url, key, time.time_ns() // 1000)
        seen = b""
        while not FIRST.search(seen):
            seen += await reader.read(65536)
        if number >= 20:
            times.append((time.perf_counter() - began) * 1000)
        while b"[DONE]" not in seen[-64:]:
            seen += await reader.read(65536)
        writer.close()
    print(f"{quantile(times, 0.5):.3f} {quantile(times, 0.99):.3f}")


async def slow(url: str, key: str, count: int) -> None:
    delays: list[float] = []

    async def one(number: int) -> bool:
        await asyncio.sleep(number / 400)  # people do not all begin at once
        reader, writer = await opened(url, key, time.time_ns() // 1000 + number)
        tail = b""
        while data := await reader.read(65536):
            now_us = time.monotonic_ns() // 1000
            delays.extend((now_us - int(_digits(found))) / 1000 for found in STAMP.findall(data))
            tail = (tail + data)[-64:]
            if b"[DONE]" in tail:
                break
        writer.close()
        return b"[DONE]" in tail

    clean = sum(await asyncio.gather(*(one(number) for number in range(count))))
    print(f"{clean} {quantile(delays, 0.5):.3f} {quantile(delays, 0.99):.3f}")


def _digits(stamp: bytes) -> str:
    return "".join(str(DIGITS.index(syllable)) for syllable in stamp.decode())


if __name__ == "__main__":
    _url, _key, _what, _count = sys.argv[1:]
    uvloop.run({"first": first, "slow": slow}[_what](_url, _key, int(_count)))
