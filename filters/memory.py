"""Memory that a huge text needed goes back to the system; the C library would keep it for the next one."""

from __future__ import annotations

import ctypes
from typing import Final

HUGE: Final = 100_000
"""Characters. A text of this size takes tens of milliseconds to read, and giving back takes one or two."""


def _nothing(_padding: int) -> int:
    return 0


_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", _nothing)
"""glibc has it; elsewhere nothing is given back early."""


def release_after(text: str) -> None:
    """Give back what inspecting `text` needed, if that was much: 15 MB for a megabyte of hostile text."""
    if len(text) > HUGE:
        _trim(0)
