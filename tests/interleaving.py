"""A second transaction let in before any statement of a first one: races that are tried out, not waited for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from sqlalchemy import Engine

P = ParamSpec("P")
LOCKED_OUT_S: Final = 0.1
"""So long the second one may take before the first goes on: it waits for a lock that the first one holds."""


@contextmanager
def meanwhile(
    engine: Engine, statement: int, other: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> Iterator[list[Future[object]]]:
    """Run `other` in a thread before this thread's statement of that number, from 0, within the block.

    Yields a list that holds its future once it was started; it is finished when the block is left.
    """
    ours, seen = get_ident(), 0
    started: list[Future[object]] = []
    pool = ThreadPoolExecutor(1)

    def before(*_: Any) -> None:
        nonlocal seen
        if get_ident() != ours:
            return
        if seen == statement:
            started.append(pool.submit(other, *args, **kwargs))
            wait(started, LOCKED_OUT_S)
        seen += 1

    event.listen(engine, "before_cursor_execute", before)
    try:
        yield started
    finally:
        event.remove(engine, "before_cursor_execute", before)
        pool.shutdown()
