from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from billing.store import LedgerSink, slots

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Row:
    """A row of ledger_writer, as far as death is concerned."""

    slot, epoch, heartbeat_us = 1, 1, 5

    def __init__(self, process: slots.Process, state: str = slots.ACTIVE) -> None:
        self.state = state
        self.host, self.pid, self.pid_started = process


def watch(lease_s: float = 15.0) -> Any:
    return slots.Watch(slots.Process.this(), lease_s, {})


def test_this_process_lives() -> None:
    assert not watch().is_dead(Row(slots.Process.this()))


def test_a_process_that_ended_is_dead() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    started = slots._start_of(ended.pid) or ""
    ended.wait()
    assert watch().is_dead(Row(slots.Process(slots.Process.this().host, ended.pid, started)))


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = slots.Process(slots.Process.this().host, child.pid, slots._start_of(child.pid) or "")
    assert not watch().is_dead(Row(process))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert watch().is_dead(Row(process))
    child.communicate()


def test_a_process_id_that_was_given_to_another_process_is_dead() -> None:
    reused = slots.Process.this()._replace(pid_started="1")
    assert watch().is_dead(Row(reused))


def test_a_writer_that_stopped_is_to_be_adopted_and_a_free_slot_is_not() -> None:
    assert watch().is_dead(Row(slots.Process.this(), slots.STOPPED))
    assert not watch().is_dead(Row(slots.Process.this(), slots.FREE))


def test_a_far_writer_is_never_dead_at_first_sight() -> None:
    far = Row(slots.Process("elsewhere", 1, "1"))
    seen = watch(lease_s=0.0)
    assert not seen.is_dead(far)
    assert seen.is_dead(far)
    far.heartbeat_us += 1
    assert not seen.is_dead(far)


def test_living_writers_have_slots_of_their_own(engine: Engine, key: bytes) -> None:
    sinks = [LedgerSink(engine, key) for _ in range(3)]
    for sink in sinks:
        sink.open()
    assert [sink.slot for sink in sinks] == [1, 2, 3]
    for sink in sinks:
        sink.close()
    again = LedgerSink(engine, key)
    again.open()
    assert again.slot == 1
    again.close()
