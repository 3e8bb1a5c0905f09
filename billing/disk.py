"""Waits for the disk without a thread of ours: the kernel syncs a file and wakes the event loop.

A thread that syncs asks for the interpreter's lock twice a sync, and a busy event loop keeps it waiting.
Linux's own asynchronous I/O does without; where there is none, the library's threads in C do it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import caio

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class DiskSync:
    """One sync after the other for one event loop, called on its thread.

    Raises OSError or SystemError where the kernel grants no context.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._in_kernel = caio.linux_aio is not None
        found = (caio.linux_aio, caio.thread_aio, caio.python_aio)  # None where the platform has it not
        self._library: Any = next(filter(None, found))
        self._context = self._library.Context(max_requests=1)
        self._operation: Any = None
        self._done: Callable[[bool], None] = _nobody
        if self._in_kernel:
            loop.add_reader(self._context.fileno, self._completed)

    def sync(self, descriptor: int, done: Callable[[bool], None]) -> None:
        """Start an fdatasync; `done` hears on the event loop whether it succeeded. Raises OSError."""
        operation = self._library.Operation.fdsync(descriptor)
        operation.set_callback(self._finished)  # it keeps its callback: one that knew it would be a cycle
        self._operation, self._done = operation, done
        try:
            taken = self._context.submit(operation)
        except (ValueError, SystemError) as error:  # the library's words for EINVAL and EAGAIN
            raise OSError(str(error)) from error
        if taken != 1:
            raise OSError("the kernel took no sync")
        if self._in_kernel:
            os.sched_yield()  # a thread of the kernel's begins it, on this very core: before us, not after us

    def close(self) -> None:
        """Wake nobody any more."""
        if self._in_kernel and not self._loop.is_closed():
            self._loop.remove_reader(self._context.fileno)

    def _completed(self) -> None:
        with suppress(BlockingIOError):  # emptied by an earlier look; what is complete is there
            self._context.poll()
        self._context.process_events()

    def _finished(self, _result: int) -> None:
        if self._in_kernel:
            self._say()
        else:
            self._loop.call_soon_threadsafe(self._say)

    def _say(self) -> None:
        operation, done = self._operation, self._done
        self._operation, self._done = None, _nobody
        try:
            operation.get_value()
        except (OSError, SystemError):  # the latter is what the library's C code raises
            done(False)
        else:
            done(True)


def _nobody(_synced: bool) -> None:  # noqa: FBT001
    pass
