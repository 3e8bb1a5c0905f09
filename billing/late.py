"""The journal's side of `billing.early`: what was acknowledged goes into the database, and leases end."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from billing.budgets import NOTHING, plus
from billing.early import RECALLED
from billing.submissions import NOTHING_BACK, Back, with_back

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from billing.budgets import AccountKey, Amounts
    from billing.early import Early, Handed
    from billing.errors import RowRefused
    from billing.ledger import Record
    from billing.submissions import Sink

    Ship = Callable[[Sequence[Sequence[Record]]], list[RowRefused | None]]
    Write = Callable[[list[list[Record]], Ship], bool]

LATE_S: Final = 0.03
LATE_WHEN_CALM_S: Final = 0.06
"""What was acknowledged waits so long for more before it goes into the database. Where requests come one by
one, a transaction costs more than its rows. Each reads the budgets anew, well within `leases.FRESH_S`."""
MOST: Final = 256


class Late:
    """Called on the journal's thread only.

    `write` writes records, in whatever way, with what it is given; False: some of them are nowhere but in the
    log.
    """

    def __init__(self, early: Early, sink: Sink, owner: str, write: Write) -> None:
        self._early = early
        self._sink = sink
        self._owner = owner
        self._write = write
        self.holds_refused = False
        """The log holds for good what the database refused and no file could keep: the next start has it."""
        self._taken: list[Handed] = []
        self._since = 0.0
        self._is_recalling = False

    def roused(self) -> None:
        """Begin to wait: something was acknowledged."""
        self._since = time.monotonic()

    def wait_s(self) -> float | None:
        """Seconds until `ship` is due; None: nothing waits, and somebody rouses the journal when it does."""
        if not self._taken and self._early.is_idle():
            return None
        late_s = LATE_WHEN_CALM_S if self._early.is_calm else LATE_S
        return max(0.0, self._since + late_s - time.monotonic())

    def ship(self, *, but_leases: bool = False, is_due: bool = False) -> Back:
        """Write all that was acknowledged. Raises SinkUnavailable: then it is written the next time.

        `but_leases`: return what only comes back from leases, for the caller's own transaction. `is_due`:
        nobody waits for it, so that it gives way to requests that come one by one.
        """
        write = partial(self._sink.ship, rests=is_due and self._early.is_calm)
        while True:
            is_again = bool(self._taken)  # a ship that failed left it; more has come since
            taken = self._taken = self._taken or self._early.collect(MOST)
            is_last = not is_again and len(taken) < MOST
            records, back = [handed.records for handed in taken if handed.records], _back(taken)
            if records or (back.freed and not (but_leases and is_last)):
                if not self._write(records, with_back(write, back)):
                    self.holds_refused = True
                back = NOTHING_BACK
            self._note(taken)
            self._taken = [handed for handed in taken if handed is RECALLED]  # the rest is not written again
            if self._taken:
                self.end()
                back, self._is_recalling = NOTHING_BACK, False
            self._taken = []
            self._since = time.monotonic()
            if is_last:
                return back

    def _note(self, written: Sequence[Handed]) -> None:
        position = next((handed.position for handed in reversed(written) if handed.position), None)
        if position is not None and not self.holds_refused:
            self._early.shipped(position)

    def recall(self) -> None:
        """Ask the event loop for all leases if the sink wants them ended."""
        if not self._is_recalling and self._sink.wants_recall():
            self._is_recalling = True
            self._early.recall()

    def end(self) -> None:
        """End this writer's leases: nothing is taken from them, and all that was is written."""
        self._sink.end_leases(self._owner)


def _back(taken: Sequence[Handed]) -> Back:
    freed: dict[AccountKey, Amounts] = {}
    sums: dict[AccountKey, int] = {}
    for handed in taken:
        for key, amounts in handed.freed.items():
            freed[key] = plus(freed.get(key, NOTHING), amounts)
        sums.update(handed.sums)
    return Back(freed, sums)
