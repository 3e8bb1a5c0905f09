"""How many workers a machine is worth: one for each processor that this process may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

AUTO: Final = "auto"
MOST_WORKERS: Final = 64


def cores(root: Path = Path("/")) -> int:
    """Return how many processors this process may use, and at least 1.

    Those it may run on, or less where its control group has a quota (cgroup v2, `cpu.max`: microseconds in
    each period, https://docs.kernel.org/admin-guide/cgroup-v2.html), as in a container or a systemd unit.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([usable, MOST_WORKERS, *_quotas(root)]))


def _quotas(root: Path) -> list[int]:
    """Whole processors that the control group of this process and those above it are granted."""
    try:
        groups = (root / "proc/self/cgroup").read_text()
    except OSError:
        return []
    own = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), "/")
    top = root / "sys/fs/cgroup"
    folder = top / own.lstrip("/")
    found = []
    for group in (folder, *folder.parents):
        if group.is_relative_to(top):
            found += _quota(group / "cpu.max")
    return found


def _quota(file: Path) -> list[int]:
    try:
        granted, period = file.read_text().split()
        return [int(granted) // int(period)]
    except (OSError, ValueError):  # no such group, or `max`
        return []


def workers_of(word: object) -> object:
    """Return the number that `auto` stands for, and anything else as it is, to be checked as a number."""
    return cores() if word == AUTO else word
