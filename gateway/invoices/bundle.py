"""Several files as one ZIP that is written while it is read, so one file is in memory at a time. Pure.

Each entry is dated by its month, so that the same files make the same bytes.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Outbox:
    """What was written and not yet taken; it cannot tell its place, so the archive streams."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def zipped(files: Iterable[tuple[str, bytes]], month: str) -> Iterator[bytes]:
    """Yield the archive of (name, content), compressed; `month` is `2026-11`."""
    year, number = map(int, month.split("-"))
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w") as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, (year, number, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
            yield outbox.take()
    yield outbox.take()
