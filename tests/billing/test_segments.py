from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from billing.ledger import record_of
from billing.segments import CHARGE_RESERVE_BYTES, Orphan, Segment, SegmentFull, Segments

if TYPE_CHECKING:
    from pathlib import Path

    from billing.ledger import Record
    from tests.billing.conftest import Maker


@pytest.fixture
def records(make: Maker) -> list[list[Record]]:
    dispatches = [make.dispatch() for _ in range(3)]
    return [[record_of(d)] for d in dispatches] + [[record_of(make.charge(d))] for d in dispatches]


def orphaned(directory: Path) -> Orphan:
    (orphan,) = Segments(directory).orphans()
    return orphan


def test_what_was_written_is_read_by_the_next_process(tmp_path: Path, records: list[list[Record]]) -> None:
    segments = Segments(tmp_path, 1 << 20)
    segments.open()
    assert all(segments.append(records, [False] * 3 + [True] * 3))
    segments.close(keep=True)
    assert list(orphaned(tmp_path).read()) == records


def test_the_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living = Segments(tmp_path, 1 << 16)
    living.open()
    assert list(Segments(tmp_path).orphans()) == []


def test_the_file_of_a_killed_process_is_taken(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from billing.segments import Orphan, Segments\n"
        "from billing.ledger import Record\n"
        "s = Segments(Path(sys.argv[1]), 65536); s.open()\n"
        "s.append([[Record('receipt', (1, 'a'), columns=('id', 'b'))]], [True]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    ((record,),) = list(orphaned(tmp_path).read())
    assert record.values == (1, "a")
    assert record.columns == ("id", "b")


def test_what_was_shipped_is_not_read_again(tmp_path: Path, records: list[list[Record]]) -> None:
    segments = Segments(tmp_path, 1 << 20)
    segments.open()
    segments.append(records, [True] * 6)
    segments.clear()
    segments.append(records[:1], [True])
    segments.close(keep=True)
    assert list(orphaned(tmp_path).read()) == records[:1]


@pytest.mark.parametrize("lost", [1, 7, 40, 300])
def test_a_torn_end_loses_only_what_was_not_acknowledged(
    tmp_path: Path, records: list[list[Record]], lost: int
) -> None:
    segments = Segments(tmp_path, 1 << 20)
    segments.open()
    segments.append(records[:2], [True] * 2)
    own = segments._own
    assert own is not None
    whole = own.offset
    segments.append(records[2:3], [True])
    with own.path.open("r+b") as file:
        file.seek(own.offset - lost)
        file.write(b"\0" * lost)
    assert own.offset - lost > whole
    segments.close(keep=True)
    assert list(orphaned(tmp_path).read()) == records[:2]


def test_a_dispatch_is_taken_only_with_room_for_its_charge(
    tmp_path: Path, records: list[list[Record]]
) -> None:
    segments = Segments(tmp_path, 3 * CHARGE_RESERVE_BYTES)
    segments.open()
    taken = [segments.append([records[0]], [False])[0] for _ in range(20)]
    assert taken[0]
    assert not taken[-1]
    assert segments.append([records[3]] * taken.count(True), [True] * taken.count(True)) == [
        True
    ] * taken.count(True)


def test_a_full_segment_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "a.segment", 100)
    segment.append([b'[["t",[1],[],["id"],null,null]]'])
    with pytest.raises(SegmentFull):
        segment.append([b"x" * 200])
    assert len(list(segment.read())) == 1


def test_a_file_that_is_no_segment_is_read_as_empty(tmp_path: Path) -> None:
    (tmp_path / "a.segment").write_bytes(b"something else")
    assert list(orphaned(tmp_path).read()) == []
