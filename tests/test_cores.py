"""How many workers `auto` stands for: processors, and what a container grants of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gateway.cores import cores, workers_of

if TYPE_CHECKING:
    from pathlib import Path

USABLE = len(os.sched_getaffinity(0))


def machine(root: Path, own: str, **quotas: str) -> Path:
    """Lay down the files in which Linux says the quotas of a control group and of those above it."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"0::{own}\n")
    for name, quota in quotas.items():
        folder = root / "sys/fs/cgroup" / name.replace("__", "/").replace("top", ".")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(quota + "\n")
    return root


def test_auto_is_a_worker_for_each_processor(tmp_path: Path) -> None:
    assert cores(tmp_path) == USABLE
    assert workers_of("auto") == cores()
    assert workers_of(3) == 3


@pytest.mark.parametrize(
    ("quota", "granted"),
    [("max 100000", USABLE), ("100000 100000", 1), ("50000 100000", 1), ("rubbish", USABLE)],
)
def test_a_container_may_have_less(tmp_path: Path, quota: str, granted: int) -> None:
    assert cores(machine(tmp_path, "/", top=quota)) == granted


def test_the_narrowest_group_counts(tmp_path: Path) -> None:
    unit = machine(tmp_path, "/system.slice/haechi", system="max 100000", top="max 100000")
    assert cores(unit) == USABLE
    (unit / "sys/fs/cgroup/system.slice").mkdir()
    (unit / "sys/fs/cgroup/system.slice/cpu.max").write_text("100000 100000\n")
    assert cores(unit) == 1
