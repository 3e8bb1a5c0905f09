"""The garbage collector of a serving process, told what a server's memory looks like.

Python looks for cycles after every 700 new containers, and in time walks all that was built at start.
A request leaves next to no cycles behind: nearly everything it makes ends by reference count. The looks
took 132 of the 1,780 µs that a request cost the event loop (docs/performance.md).
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

THRESHOLDS: Final = (50_000, 20, 10)
"""New containers before a look at the youngest; then as Python has it."""


def look_rarely() -> None:
    """Look for cycles rarely from now on.

    Loading the program makes 400,000 containers and hardly a cycle; 600 looks took 0.3 of 2.3 s.
    """
    gc.set_threshold(*THRESHOLDS)


@contextmanager
def settled() -> Iterator[None]:
    """Take everything that exists now for permanent (tables, rules, code), and look for cycles rarely."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
