"""Preallocated local files that hold journal submissions while the database is away.

One file per process, its blocks allocated when the process starts, so that a disk that fills up
later cannot stop what was promised. Frame: length u32, CRC-32 u32, generation u64, payload (JSON).
`clear` begins a new generation instead of shrinking the file; frames of older ones are not read.
The file is locked (flock) while its process lives; a file whose lock is free belongs to a dead one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import orjson

from billing.ledger import DISPATCH_TABLE, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MAGIC: Final = b"HAECHI-JOURNAL-1"
_HEAD: Final = struct.Struct("<16sQ")
_FRAME: Final = struct.Struct("<IIQ")
_START: Final = 4096
"""Frames start behind one page that holds magic and generation."""

CHARGE_RESERVE_BYTES: Final = 4096
"""Room kept free for the charge of each dispatch that was taken."""

DEFAULT_CAPACITY_BYTES: Final = 64 * 1024 * 1024


class SegmentFull(Exception):
    """The segment has no room for this submission."""


class Segment:
    """One file of frames. Not thread-safe: the journal thread alone uses it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._offset = _START
        self._generation = 1

    @classmethod
    def create(cls, path: Path, capacity_bytes: int) -> Segment:
        """Allocate and lock a new file. Raises OSError, also when the disk has no room for it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            os.posix_fallocate(descriptor, 0, _START + capacity_bytes)
        except OSError:
            path.unlink()
            os.close(descriptor)
            raise
        segment = cls(path, descriptor)
        segment._write_head()
        os.fsync(descriptor)
        _sync_directory(path.parent)
        return segment

    @classmethod
    def take_orphan(cls, path: Path) -> Segment | None:
        """Lock the file of a dead process; None if its process lives."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        segment = cls(path, descriptor)
        head = os.pread(descriptor, _HEAD.size, 0)
        magic, generation = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0)
        segment._generation = generation if magic == _MAGIC else 0
        return segment

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write frames and wait for the disk. Raises SegmentFull, leaving the file as it was."""
        frames = b"".join(self._frame(payload) for payload in payloads)
        if len(frames) > self.room():
            raise SegmentFull(self.path.name)
        os.pwrite(self._descriptor, frames, self._offset)
        os.fdatasync(self._descriptor)
        self._offset += len(frames)

    def room(self) -> int:
        """Bytes that can still be appended."""
        return os.fstat(self._descriptor).st_size - self._offset

    def read(self) -> Iterator[list[Record]]:
        """Yield the submissions of the current generation, up to the first torn frame."""
        offset = _START
        while True:
            head = os.pread(self._descriptor, _FRAME.size, offset)
            if len(head) < _FRAME.size:
                return
            length, checksum, generation = _FRAME.unpack(head)
            payload = os.pread(self._descriptor, length, offset + _FRAME.size)
            whole = length > 0 and len(payload) == length and generation == self._generation
            if not whole or _checksum(generation, payload) != checksum:
                return
            yield [_record(item) for item in orjson.loads(payload)]
            offset += _FRAME.size + length

    def clear(self) -> None:
        """Forget all frames: their rows are in the database."""
        self._generation += 1
        self._offset = _START
        self._write_head()
        os.fdatasync(self._descriptor)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self._descriptor)

    def release(self) -> None:
        """Leave the file to the next process that starts."""
        os.close(self._descriptor)

    def _write_head(self) -> None:
        os.pwrite(self._descriptor, _HEAD.pack(_MAGIC, self._generation), 0)

    def _frame(self, payload: bytes) -> bytes:
        return _FRAME.pack(len(payload), _checksum(self._generation, payload), self._generation) + payload


class Segments:
    """The segment of this process, and those that dead ones left in the same directory."""

    def __init__(self, directory: Path, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        self._directory = directory
        self._capacity_bytes = capacity_bytes
        self._own: Segment | None = None
        self._reserved_bytes = 0

    def open(self) -> None:
        """Allocate this process's file. Raises OSError if the disk has no room for it."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._own = Segment.create(self._directory / f"{uuid4().hex}.segment", self._capacity_bytes)

    def orphans(self) -> Iterator[Segment]:
        for path in sorted(self._directory.glob("*.segment")):
            if self._own is not None and path == self._own.path:
                continue
            orphan = Segment.take_orphan(path)
            if orphan is not None:
                yield orphan

    def append(self, submissions: Sequence[Sequence[Record]], must_keep: Sequence[bool]) -> list[bool]:
        """Make submissions durable with one sync; return which of them are.

        A dispatch is taken only with room for its charge behind it; charges may use that room.
        """
        own = self._own
        taken = [False] * len(submissions)
        payloads: list[bytes] = []
        if own is None:
            return taken
        for index, submission in enumerate(submissions):
            payload = orjson.dumps([tuple(record) for record in submission])
            reserve = CHARGE_RESERVE_BYTES * sum(record.table == DISPATCH_TABLE for record in submission)
            spare = 0 if must_keep[index] else self._reserved_bytes + reserve
            if (
                own.room()
                < sum(map(len, payloads)) + len(payload) + (len(payloads) + 1) * _FRAME.size + spare
            ):
                continue
            payloads.append(payload)
            taken[index] = True
            self._reserved_bytes += reserve
            if must_keep[index]:
                self._reserved_bytes = max(0, self._reserved_bytes - CHARGE_RESERVE_BYTES)
        try:
            own.append(payloads)
        except (OSError, SegmentFull):
            return [False] * len(submissions)
        return taken

    def clear(self) -> None:
        self._reserved_bytes = 0
        if self._own is not None:
            self._own.clear()

    def close(self, *, keep: bool) -> None:
        """Remove the file, or leave it for the next process where it holds what was not shipped."""
        if self._own is None:
            return
        if keep:
            self._own.release()
        else:
            self._own.remove()
        self._own = None


def _record(item: list[Any]) -> Record:
    table, values, lines, columns, quote_id, quote_document = item
    return Record(
        table,
        tuple(values),
        tuple(tuple(line) for line in lines),
        None if columns is None else tuple(columns),
        quote_id,
        quote_document,
    )


def _checksum(generation: int, payload: bytes) -> int:
    return zlib.crc32(payload, generation & 0xFFFFFFFF)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
