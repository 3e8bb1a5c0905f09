"""Writer slots: who writes which chain, who is dead, and the fence between them.

A process holds one slot under one epoch. Whoever takes the slot over raises the epoch in the same
transaction in which it adopts what was left; the old holder's next commit then changes no row of
`ledger_writer` and is rolled back (`fence`). Death is judged by the process table on the same host
and PID namespace, and by a heartbeat that stands still for `lease_s` of *our* monotonic clock
anywhere else, so that differing clocks decide nothing.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from billing.ledger import GENESIS
from billing.tables import writers

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

FREE: Final = "free"
ACTIVE: Final = "active"
STOPPED: Final = "stopped"


class Fenced(Exception):
    """Another process took this slot over: what this one has not committed needs a new slot."""


class Process(NamedTuple):
    """A process as others on its host can check it."""

    host: str
    """Host name, boot and PID namespace: only in the same one does a PID mean anything."""
    pid: int
    pid_started: str

    @classmethod
    def this(cls) -> Process:
        return cls(_host(), os.getpid(), _start_of(os.getpid()) or "")


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a slot's chain, and below which sequence number nothing is open."""

    slot: int
    epoch: int
    seq: int
    low_seq: int
    mac: bytes


@dataclass(slots=True)
class Watch:
    """Remembers when each writer's heartbeat was last seen to move."""

    process: Process
    lease_s: float
    _seen: dict[tuple[int, int], tuple[int, float]]

    def is_dead(self, row: Row[tuple[object, ...]]) -> bool:
        if row.state == STOPPED:
            return True
        if row.state != ACTIVE:
            return False
        if row.host == self.process.host and row.pid_started:
            return bool(_start_of(row.pid) != row.pid_started)
        return self._stands_still(row)

    def begin_anew(self) -> None:
        """Give everybody a whole lease from now on: while we saw nothing, nothing stood still."""
        self._seen.clear()

    def _stands_still(self, row: Row[tuple[object, ...]]) -> bool:
        now = time.monotonic()
        beat, since = self._seen.get((row.slot, row.epoch), (None, now))
        if beat != row.heartbeat_us:
            self._seen[row.slot, row.epoch] = (row.heartbeat_us, now)
            return False
        return now - since > self.lease_s


def take(connection: Connection, process: Process, now_us: int) -> Head:
    """Take a free slot, else a new one; inside the caller's transaction.

    A dead writer's slot is not taken but adopted, and free afterwards: what it spilled is shipped
    first, and that needs a slot.
    """
    free = select(writers).where(writers.c.state == FREE).order_by(writers.c.slot)
    for row in connection.execute(free).all():
        if raise_epoch(connection, row, ACTIVE, process, now_us):
            return Head(row.slot, row.epoch + 1, row.seq, row.low_seq, bytes.fromhex(row.mac))
    return _new_slot(connection, process, now_us)


def raise_epoch(
    connection: Connection, row: Row[tuple[object, ...]], state: str, process: Process, now_us: int
) -> bool:
    """Fence the holder of a slot; False if somebody else was faster."""
    result = connection.execute(
        update(writers)
        .where(writers.c.slot == row.slot, writers.c.epoch == row.epoch)
        .values(
            epoch=row.epoch + 1,
            state=state,
            host=process.host,
            pid=process.pid,
            pid_started=process.pid_started,
            heartbeat_us=now_us,
        )
    )
    return result.rowcount == 1


def is_alone(connection: Connection, slot: int) -> bool:
    """Whether no other process writes; one that died a moment ago still counts."""
    others = select(writers.c.slot).where(writers.c.state == ACTIVE, writers.c.slot != slot)
    return connection.execute(others.limit(1)).first() is None


def somebody_writes(connection: Connection) -> bool:
    return (
        connection.execute(select(writers.c.slot).where(writers.c.state == ACTIVE).limit(1)).first()
        is not None
    )


def dead_writers(connection: Connection, watch: Watch, own_slot: int) -> list[Row[tuple[object, ...]]]:
    rows = connection.execute(
        select(writers).where(writers.c.slot != own_slot, writers.c.state != FREE)
    ).all()
    return [row for row in rows if watch.is_dead(row)]


def _new_slot(connection: Connection, process: Process, now_us: int) -> Head:
    while True:
        slot = (connection.execute(select(func.max(writers.c.slot))).scalar() or 0) + 1
        head = Head(slot, 1, 0, 1, GENESIS)
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(writers).values(
                        slot=slot,
                        epoch=1,
                        state=ACTIVE,
                        host=process.host,
                        pid=process.pid,
                        pid_started=process.pid_started,
                        heartbeat_us=now_us,
                        seq=0,
                        low_seq=1,
                        mac=GENESIS.hex(),
                    )
                )
        except IntegrityError:
            continue
        return head


def _host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    boot_id = boot.read_text().strip() if boot.exists() else ""
    return f"{socket.gethostname()}/{boot_id}/{namespace.readlink() if namespace.is_symlink() else ''}"


def _start_of(pid: int) -> str | None:
    """Return when a process started (clock ticks since boot); None if there is none, or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
