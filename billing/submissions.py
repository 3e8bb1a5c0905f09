"""What is handed to a journal together, who waits for it, and where it goes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from billing.ledger import Charge

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence
    from concurrent.futures import Future as ThreadFuture

    from billing.budgets import AccountKey, Amounts
    from billing.errors import RowRefused
    from billing.leases import Purse
    from billing.ledger import Entry, Record


class Back(NamedTuple):
    """What comes back with rows that were acknowledged early.

    `freed` is no longer set aside for this writer; `sums` are what it added to accounts until then, in
    nano-won.
    """

    freed: Mapping[AccountKey, Amounts]
    sums: Mapping[AccountKey, int]


NOTHING_BACK: Final = Back({}, {})


def with_back(
    write: Callable[[Sequence[Sequence[Record]], Back], list[RowRefused | None]], back: Back
) -> Callable[[Sequence[Sequence[Record]]], list[RowRefused | None]]:
    """Give `back` to the first call only: whoever writes a group again one by one gives it back once."""
    left = [back]

    def first_only(group: Sequence[Sequence[Record]]) -> list[RowRefused | None]:
        return write(group, left.pop() if left else NOTHING_BACK)

    return first_only


class Sink(Protocol):
    """Where groups become durable. Called on the journal thread only."""

    def open(self) -> None:
        """Connect and take a writer slot. Raises SinkUnavailable."""

    def write(self, group: Sequence[Sequence[Record]], back: Back = NOTHING_BACK) -> list[RowRefused | None]:
        """Write a group in one transaction; each submission whole or not at all.

        Returns, for each submission, None or why it was refused. Writing a submission a second time
        changes nothing. Raises SinkUnavailable when the database is away: then nothing is known.
        """

    def ship(
        self, group: Sequence[Sequence[Record]], back: Back = NOTHING_BACK, *, rests: bool = False
    ) -> list[RowRefused | None]:
        """Write what was acknowledged already: no budget refuses it any more.

        `rests`: nobody waits for it, so others may have interpreter and core between its statements.
        """

    def lease_as(self, owner: str) -> Purse | None:
        """Lease from hard budgets under this name from now on; None: this database is for many machines."""

    def lease_no_more(self) -> None:
        """Undo `lease_as` before anything was leased."""

    def wants_recall(self) -> bool:
        """Whether all leases of this writer should end, because budgets changed or nobody uses them."""

    def end_leases(self, owner: str) -> None:
        """End the leases of a writer whose rows are all written. Raises SinkUnavailable."""

    def needs_database(self, submission: Sequence[Record]) -> bool:
        """Whether a hard budget stands over a dispatch, so that it cannot be taken without a look."""

    def tick(self) -> None:
        """Keep the slot alive, and adopt what dead writers left open. Raises SinkUnavailable."""

    def adopt(self, attempt_ids: Sequence[str]) -> int:
        """Charge these attempts by estimate where they have no charge; return how many."""

    def still_open(self, attempt_ids: Collection[str]) -> set[str]:
        """Return those that are dispatched and not charged, or by somebody's estimate alone.

        Raises SinkUnavailable.
        """

    def close(self, *, keeps_slot: bool = False) -> None:
        """Give the slot back; not if `keeps_slot`: what the journal's files hold is to be written before.

        Raises SinkUnavailable.
        """


class Waiting:
    """Awaits a dispatch. A caller that is cancelled meanwhile sends nothing, and the journal settles.

    Without this, an attempt whose row became durable in the moment of the cancellation would stay
    open for as long as this process lives.
    """

    def __init__(self, future: asyncio.Future[None], abandon: Callable[[], None]) -> None:
        self._future = future
        self._abandon = abandon

    def __await__(self) -> Generator[object, None, None]:
        try:
            yield from self._future
        except (asyncio.CancelledError, GeneratorExit):
            if self._future.done() and not self._future.cancelled() and self._future.exception() is None:
                self._abandon()
            raise


@dataclass(slots=True)
class Submission:
    """Entries that become durable together; `must_keep`: a charge is among them."""

    entries: tuple[Entry, ...]
    waiter: asyncio.Future[None] | ThreadFuture[None]
    loop: asyncio.AbstractEventLoop | None
    must_keep: bool
    at: float = field(default_factory=time.monotonic)

    @classmethod
    def of(
        cls,
        entries: tuple[Entry, ...],
        waiter: asyncio.Future[None] | ThreadFuture[None],
        loop: asyncio.AbstractEventLoop | None,
    ) -> Submission:
        return cls(entries, waiter, loop, any(isinstance(entry, Charge) for entry in entries))


@dataclass(slots=True)
class JournalStats:
    """Counters for /metrics and /readyz."""

    groups: int = 0
    submissions: int = 0
    refused: int = 0
    spilled: int = 0
    shipped: int = 0
    available: bool = False


Result: TypeAlias = "tuple[Submission, Exception | None]"


def resolve(
    group: Sequence[Submission],
    results: Sequence[Exception | None],
    wake: Callable[[Sequence[Result]], None],
) -> int:
    """Tell who waits: threads here, and each event loop once, by `wake`, for all of its futures.

    Returns how many waited on loops that are closed.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[Result]] = {}
    for submission, result in zip(group, results, strict=True):
        waiter = submission.waiter
        if submission.loop is not None and isinstance(waiter, asyncio.Future):
            by_loop.setdefault(submission.loop, []).append((submission, result))
        elif result is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(result)
    gone = 0
    for loop, waiters in by_loop.items():
        try:
            loop.call_soon_threadsafe(wake, waiters)
        except RuntimeError:
            gone += len(waiters)
    return gone
