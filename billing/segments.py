"""Preallocated local files that hold journal submissions which are not in the database.

A process has one for what comes while the database is away, and on one machine two more that take turns
as its log (`Log`): what is in the log is acknowledged, and goes into the database a moment later. Blocks are
allocated when the process starts, so that a disk that fills up later cannot stop what was promised.

Frame: length u32, CRC-32 u32, generation u64, payload (JSON). A new generation begins instead of shrinking
the file; frames of older ones are not read. The first file is locked (flock) while its process lives; where
its lock is free, all of them belong to a dead one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import threading
import time
import zlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

import orjson

from billing.ledger import DISPATCH_TABLE, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MAGIC: Final = b"HAECHI-JOURNAL-1"
_HEAD: Final = struct.Struct("<16sQQ")
_FRAME: Final = struct.Struct("<IIQ")
_PAGE: Final = 4096
_START: Final = _PAGE
"""Frames start behind one page that holds magic, generation, and where what is not yet shipped begins."""

_REFUSED: Final = ".refused"
_UNFINISHED: Final = ".new"
_UNFINISHED_S: Final = 3600.0
"""So old, a file that was never finished is that of a process that was killed while it began."""

CHARGE_RESERVE_BYTES: Final = 4096
"""Room kept free for the charge of each dispatch that was taken."""

DEFAULT_CAPACITY_BYTES: Final = 64 * 1024 * 1024

LOG_TURN_BYTES: Final = 4 * 1024 * 1024
"""So much of a log is written before the other half begins, if what is in that is shipped; else twice as
much."""


class SegmentFull(Exception):
    """The segment has no room for this submission."""


class Position(NamedTuple):
    """The end of a frame in the log: in which turn, and where."""

    generation: int
    offset: int


class Segment:
    """One file of frames. Not thread-safe; only `shipped_to` may be called beside what else happens."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.offset = _START
        self.generation = 1
        self._shipped = _START
        self._size = os.fstat(descriptor).st_size

    @classmethod
    def create(cls, path: Path, capacity_bytes: int, *, zeroed: bool = False) -> Segment:
        """Allocate and lock a new file. Raises OSError, also when the disk has no room for it.

        `zeroed`: write all of it now. Where blocks were never written, each sync has to note them. Page by
        page: what is written at once is cached in folios of up to 2 MB, and each sync walks over all of one.
        """
        unlocked = path.with_suffix(path.suffix + _UNFINISHED)  # nobody takes it for that of a dead process
        descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            os.posix_fallocate(descriptor, 0, _START + capacity_bytes)
            if zeroed:
                for offset in range(0, _START + capacity_bytes, _PAGE):
                    os.pwrite(descriptor, bytes(min(_PAGE, _START + capacity_bytes - offset)), offset)
            segment = cls(path, descriptor)
            segment._write_head()
            os.fsync(descriptor)
            unlocked.rename(path)
        except OSError:
            unlocked.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return segment

    @classmethod
    def open(cls, path: Path) -> Segment | None:
        """Open the file of another process to read it; None if there is none."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        segment = cls(path, descriptor)
        head = os.pread(descriptor, _HEAD.size, 0)
        magic, generation, shipped = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0)
        segment.generation = generation if magic == _MAGIC else 0
        segment._shipped = max(_START, shipped)
        return segment

    def lock(self) -> bool:
        """Take the lock that says whose file it is; False if its process lives."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write frames and wait for the disk. Raises SegmentFull, OSError, leaving the file as it was."""
        before = self.offset
        self.write(payloads)
        try:
            os.fdatasync(self.descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                self.take_back(before)
            raise

    def write(self, payloads: Sequence[bytes]) -> None:
        """Write frames, durable after the next sync. Raises SegmentFull, OSError; the file is as it was."""
        frames = b"".join(map(self._frame, payloads))
        if len(frames) > self.room():
            raise SegmentFull(self.path.name)
        if os.pwrite(self.descriptor, frames, self.offset) != len(frames):  # where blocks are not overwritten
            self.take_back(self.offset)
            raise OSError(errno.ENOSPC, "written in part", str(self.path))
        self.offset += len(frames)

    def take_back(self, offset: int) -> None:
        """Unwrite the frames behind an offset, which nobody was told of."""
        os.pwrite(self.descriptor, bytes(_FRAME.size), offset)
        self.offset = offset

    def shipped_to(self, generation: int, offset: int) -> None:
        """Note up to where frames are in the database; not synced, since shipping them again is harmless."""
        os.pwrite(self.descriptor, _HEAD.pack(_MAGIC, generation, offset), 0)

    def room(self) -> int:
        """Bytes that can still be appended."""
        return self._size - self.offset

    def read(self) -> Iterator[list[Record]]:
        """Yield what the current generation holds that is not shipped, up to the first torn frame."""
        for payload in self._payloads():
            yield [_record(item) for item in orjson.loads(payload)]

    def end(self) -> Position:
        """Return the end of the last whole frame."""
        return Position(
            self.generation, self._shipped + sum(_FRAME.size + len(payload) for payload in self._payloads())
        )

    def written(self) -> Position:
        """Return up to where it is in the database."""
        return Position(self.generation, self._shipped)

    def _payloads(self) -> Iterator[bytes]:
        offset = self._shipped
        while True:
            head = os.pread(self.descriptor, _FRAME.size, offset)
            if len(head) < _FRAME.size:
                return
            length, checksum, generation = _FRAME.unpack(head)
            payload = os.pread(self.descriptor, length, offset + _FRAME.size)
            whole = length > 0 and len(payload) == length and generation == self.generation
            if not whole or _checksum(generation, payload) != checksum:
                return
            yield payload
            offset += _FRAME.size + length

    def clear(self) -> None:
        """Forget all frames: their rows are in the database."""
        self.begin(self.generation + 1)
        os.fdatasync(self.descriptor)

    def begin(self, generation: int) -> None:
        """Begin a generation, durable with the first frame of it that is synced."""
        self.generation = generation
        self.offset = self._shipped = _START
        self._write_head()

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self.descriptor)

    def release(self) -> None:
        """Leave the file to the next process that starts."""
        os.close(self.descriptor)

    def _write_head(self) -> None:
        self.shipped_to(self.generation, self._shipped)

    def _frame(self, payload: bytes) -> bytes:
        return _FRAME.pack(len(payload), _checksum(self.generation, payload), self.generation) + payload


class Log:
    """Two segments that take turns, so that one can begin anew while the other holds what is not yet shipped.

    The event loop writes, and somebody else syncs `descriptor`; `shipped` alone is for the journal's thread.
    A lock keeps it from noting in the head of a half what was there before that began anew.
    """

    def __init__(self, segments: Sequence[Segment], turn_bytes: int) -> None:
        self._segments = segments
        self._turn_bytes = turn_bytes
        self._before = self._shipped = Position(0, 0)
        """The end of the turn before this one, and up to where everything is in the database."""
        self._turning = threading.Lock()

    @classmethod
    def create(cls, stem: Path, turn_bytes: int = LOG_TURN_BYTES) -> Log:
        """Allocate both files. Raises OSError when the disk has no room for them."""
        capacity = 2 * turn_bytes
        segments = [Segment.create(path, capacity, zeroed=True) for path in log_paths(stem)]
        return cls(segments, turn_bytes)

    @property
    def descriptor(self) -> int:
        return self._segments[0].descriptor

    @property
    def position(self) -> Position:
        return Position(self._segments[0].generation, self._segments[0].offset)

    def write(self, payloads: Sequence[bytes]) -> Position:
        """Write frames, durable after the next sync of `descriptor`. Raises SegmentFull, OSError."""
        if self._segments[0].offset >= self._turn_bytes:
            self._turn()
        self._segments[0].write(payloads)
        return self.position

    def _turn(self) -> None:
        """Begin the other half anew if what is in it is shipped."""
        current, other = self._segments
        with self._turning:
            if self._shipped >= self._before:
                self._before = self.position
                other.begin(current.generation + 1)
                self._segments = other, current

    def take_back(self, payloads: Sequence[bytes]) -> None:
        """Unwrite the last frames, whose sync failed."""
        current = self._segments[0]
        current.take_back(current.offset - sum(len(payload) + _FRAME.size for payload in payloads))

    def shipped(self, position: Position) -> None:
        """Note that everything up to here is in the database."""
        with self._turning:
            for segment in self._segments:
                if segment.generation == position.generation:
                    segment.shipped_to(*position)
                elif segment.generation < position.generation:  # its turn is over
                    segment.shipped_to(segment.generation, segment.offset)
            self._shipped = position

    def remove(self) -> None:
        for segment in self._segments:
            segment.remove()

    def release(self) -> None:
        for segment in self._segments:
            segment.release()


def log_paths(stem: Path) -> list[Path]:
    return [stem.with_suffix(f".log{turn}") for turn in (0, 1)]


class Orphan:
    """The files of a dead process; `name` is that of its leases."""

    def __init__(self, own: Segment) -> None:
        self.name = own.path.stem
        logs = [segment for path in log_paths(own.path) if (segment := Segment.open(path)) is not None]
        self._in_order = [*sorted(logs, key=attrgetter("generation")), own]

    def read(self) -> Iterator[list[Record]]:
        """Yield its submissions in order: it spills nothing but what came after all of its log."""
        for segment in self._in_order:
            yield from segment.read()

    def remove(self) -> None:
        for segment in self._in_order:
            segment.remove()

    def release(self) -> None:
        """Leave it to whoever comes next."""
        for segment in self._in_order:
            segment.release()


class Segments:
    """The files of this process, and those that dead ones left in the same directory."""

    def __init__(self, directory: Path, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        self._directory = directory
        self._capacity_bytes = capacity_bytes
        self._own: Segment | None = None
        self._log: Log | None = None
        self._reserved_bytes = 0

    def open(self) -> None:
        """Allocate this process's file. Raises OSError if the disk has no room for it."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for unfinished in self._directory.glob(f"*{_UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - unfinished.stat().st_mtime > _UNFINISHED_S:
                    unfinished.unlink()
        for refused in self._directory.glob(f"*{_REFUSED}"):
            with contextlib.suppress(FileNotFoundError):  # another process starts too
                refused.rename(refused.with_suffix(".segment"))
        self._own = Segment.create(self._directory / f"{uuid4().hex}.segment", self._capacity_bytes)
        _sync_directory(self._directory)

    def open_log(self) -> Log:
        """Allocate this process's log. Raises OSError if the disk has no room for it."""
        assert self._own is not None
        self._log = Log.create(self._own.path)
        _sync_directory(self._directory)
        return self._log

    @property
    def name(self) -> str:
        """Of this process's files, while they are open: a name that no other has."""
        return "" if self._own is None else self._own.path.stem

    def orphans(self) -> Iterator[Orphan]:
        for path in sorted(self._directory.glob("*.segment")):
            if self._own is not None and path == self._own.path:
                continue
            segment = Segment.open(path)
            if segment is None:
                continue
            if segment.lock():
                yield Orphan(segment)
            else:
                segment.release()

    def acknowledged(self) -> list[tuple[Path, Position]]:
        """Return up to where any process of this directory acknowledged something that is not yet written."""
        found = []
        for path in self._directory.glob("*.log?"):
            segment = Segment.open(path)
            if segment is not None:
                end, written = segment.end(), segment.written()
                segment.release()
                if end > written:
                    found.append((path, end))
        return found

    def append(self, submissions: Sequence[Sequence[Record]], must_keep: Sequence[bool]) -> list[bool]:
        """Make submissions durable with one sync; return which of them are.

        A dispatch is taken only with room for its charge behind it; charges may use that room.
        """
        own, reserved_bytes = self._own, self._reserved_bytes
        taken = [False] * len(submissions)
        payloads: list[bytes] = []
        if own is None:
            return taken
        for index, submission in enumerate(submissions):
            payload = payload_of(submission)
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
            self._reserved_bytes = reserved_bytes
            return [False] * len(submissions)
        return taken

    def keep(self, submissions: Sequence[Sequence[Record]]) -> None:
        """Keep what the database refused although it was acknowledged: the next start ships it again.

        Raises OSError when the disk has no room for it.
        """
        payloads = [payload_of(submission) for submission in submissions]
        size = sum(len(payload) + _FRAME.size for payload in payloads)
        kept = Segment.create(self._directory / f"{uuid4().hex}{_REFUSED}", size)
        kept.append(payloads)
        kept.release()
        _sync_directory(self._directory)

    def clear(self) -> None:
        self._reserved_bytes = 0
        if self._own is not None:
            self._own.clear()

    def close(self, *, keep: bool) -> None:
        """Remove the files, or leave them for the next process where they hold what was not shipped."""
        if self._own is None:
            return
        for files in (self._log, self._own):  # whoever is killed in between leaves a lock that is free
            if files is not None and keep:
                files.release()
            elif files is not None:
                files.remove()
        self._own = self._log = None


def wait_until_written(directory: Path, timeout_s: float = 10.0) -> None:
    """Wait until what gateways acknowledged from logs in this directory until now is in the database.

    For whoever compares books right behind an answer. Raises TimeoutError.
    """
    deadline = time.monotonic() + timeout_s
    waiting = Segments(directory).acknowledged()
    while any(not _is_written(*one) for one in waiting):
        if time.monotonic() > deadline:
            raise TimeoutError(f"what was acknowledged in {directory} does not reach the database")
        time.sleep(0.002)


def _is_written(path: Path, end: Position) -> bool:
    segment = Segment.open(path)
    if segment is None:  # its process ended in order
        return True
    written = segment.written()
    segment.release()
    return written >= end


def payload_of(submission: Sequence[Record]) -> bytes:
    """What a frame holds of a submission."""
    return orjson.dumps([tuple(record) for record in submission])


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
