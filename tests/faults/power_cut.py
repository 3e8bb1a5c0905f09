"""A disk that loses power: it remembers what was written and not yet synced.

SQLite's files are on it by a VFS, the journal's by standing in for `os` and for the kernel's syncs. Every
write goes to a real file and into a list; a sync empties the list. At a chosen operation the power goes: the
image of each file is what was synced, plus any subset of what was not, each 512-byte sector of a write for
itself, since a disk may do these in any order or half.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable, Iterator

SECTOR = 512


@dataclass
class Platter:
    """One file: what is safe, and what was written since the last sync."""

    safe: bytearray
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)
    """Writes, and truncations to a size."""

    def sync(self, count: int | None = None) -> None:
        """Make the first so many changes safe: those from before the sync was asked for."""
        for change in self.pending[:count]:
            apply(self.safe, change)
        del self.pending[:count]

    def after_the_cut(self, dice: random.Random) -> bytes:
        image = bytearray(self.safe)
        for change in self.pending:
            if isinstance(change, int):
                if dice.random() < 0.5:
                    apply(image, change)
                continue
            offset, data = change
            for start in range(0, len(data), SECTOR):
                if dice.random() < 0.5:
                    apply(image, (offset + start, data[start : start + SECTOR]))
        return bytes(image)


def apply(content: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        del content[change:]
        return
    offset, data = change
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """Files of one machine; `lives` operations, of whatever thread, until the power goes; 0: it does not."""

    def __init__(self, name: str, dice: random.Random, lives: int) -> None:
        self.name = name
        self.dice = dice
        self.lives = lives
        self.platters: dict[str, Platter] = {}
        self.image: dict[str, bytes] | None = None
        self._paths: dict[int, str] = {}
        self._lock = threading.RLock()
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: Any) -> Any:  # noqa: N802 - SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return Handle(self, path, name, flags)

    def platter(self, path: str) -> Platter:
        with self._lock:
            if path not in self.platters:
                existing = Path(path).read_bytes() if Path(path).exists() else b""
                self.platters[path] = Platter(bytearray(existing))
            return self.platters[path]

    def open_file(self, inode: int, path: Path) -> Platter:
        with self._lock:
            known = self._paths.setdefault(inode, str(path))
            if known != str(path):
                self.platters[str(path)] = self.platters.pop(known)
                self._paths[inode] = str(path)
            return self.platter(str(path))

    def change(self, platter: Platter, change: tuple[int, bytes] | int) -> None:
        with self._lock:
            self._operation()
            platter.pending.append(change)

    def sync(self, platter: Platter, count: int | None = None) -> None:
        with self._lock:
            self._operation()
            platter.sync(count)

    def _operation(self) -> None:
        self.lives -= 1
        if self.lives == 0:
            self.image = {path: p.after_the_cut(self.dice) for path, p in self.platters.items()}

    @property
    def is_cut(self) -> bool:
        with self._lock:
            return self.image is not None

    def write_image(self, directory: Path) -> None:
        """Lay down what a machine would find when the power is back."""
        assert self.image is not None
        for path, content in self.image.items():
            (directory / Path(path).name).write_bytes(content)


class Handle(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: Any, flags: Any) -> None:
        self._disk = disk
        self._platter = disk.platter(path)
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.change(self._platter, (offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.change(self._platter, size)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.sync(self._platter)
        super().xSync(flags)


# --- the journal's files on such a disk ----------------------------------------------------------


class Calls:
    """`os`, but for writes and syncs of open files, which are known by their inode: they are renamed."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._files: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        self._disk.change(platter_of(self._disk, descriptor), (offset, bytes(data)))
        return os.pwrite(descriptor, data, offset)

    def fdatasync(self, descriptor: int) -> None:
        if path_of(descriptor).is_dir():
            for file in self._files:  # what was renamed in it has its new name from now on
                platter_of(self._disk, file)
        else:
            self._files.add(descriptor)
            self._disk.sync(platter_of(self._disk, descriptor))

    fsync = fdatasync


class Syncs:
    """Stands in for `billing.disk.DiskSync`: a sync takes a while. `lies`: it says so and does nothing."""

    def __init__(self, disk: Disk, loop: asyncio.AbstractEventLoop, *, lies: bool = False) -> None:
        self._disk = disk
        self._loop = loop
        self._lies = lies

    def sync(self, descriptor: int, done: Callable[[bool], None]) -> None:
        platter = platter_of(self._disk, descriptor)
        self._loop.call_later(0.000_2, self._complete, platter, len(platter.pending), done)

    def _complete(self, platter: Platter, count: int, done: Callable[[bool], None]) -> None:
        if not self._lies:
            self._disk.sync(platter, count)
        done(True)

    def close(self) -> None:
        """As the real one has it."""


def platter_of(disk: Disk, descriptor: int) -> Platter:
    return disk.open_file(os.fstat(descriptor).st_ino, path_of(descriptor))


def path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


# --- SQLite on such a disk, as SQLAlchemy expects a driver to be -------------------------------


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid = None
        self.arraysize = 1
        self._rows: Iterator[Any] = iter(())

    def execute(self, statement: str, values: Any = ()) -> Cursor:
        cursor = self.connection.raw.cursor()
        before = self.connection.raw.total_changes()
        try:
            described: list[Any] = []
            cursor.exec_trace = lambda c, *_: described.append(c.get_description()) or True
            rows = list(cursor.execute(statement, tuple(values)))
        except apsw.ConstraintError as error:
            raise sqlite3.IntegrityError(str(error)) from error
        except apsw.Error as error:
            raise sqlite3.OperationalError(str(error)) from error
        self.description = (
            [(name, *[None] * 6) for name, _ in described[0]] if described and described[0] else None
        )
        self.rowcount = self.connection.raw.total_changes() - before
        self._rows = iter(rows)
        return self

    def executemany(self, statement: str, many: Any) -> None:
        for values in many:
            self.execute(statement, values)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [row for _, row in zip(range(size or self.arraysize), self._rows, strict=False)]

    def close(self) -> None:
        self._rows = iter(())


class Connection:
    isolation_level = None

    def __init__(self, path: str, vfs: str) -> None:
        self.raw = apsw.Connection(path, vfs=vfs)

    def cursor(self) -> Cursor:
        return Cursor(self)

    def execute(self, statement: str, values: Any = ()) -> Cursor:
        return self.cursor().execute(statement, values)

    def create_function(self, *_: Any, **__: Any) -> None:
        """SQLAlchemy registers REGEXP; the ledger does not use it."""

    def commit(self) -> None:
        if self.raw.in_transaction:
            self.raw.execute("COMMIT")

    def rollback(self) -> None:
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")

    def close(self) -> None:
        self.raw.close()


def driver(disk: Disk) -> Any:
    """The sqlite3 module, but for where its connections keep their files."""
    names = {name: getattr(sqlite3, name) for name in dir(sqlite3) if not name.startswith("_")}
    return SimpleNamespace(**names | {"connect": lambda path, **_: Connection(path, disk.name)})
