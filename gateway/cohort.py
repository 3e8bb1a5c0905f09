"""Requests that are here together take their steps together.

Each step of a request (inspect, price, settle, put the answer together) has code and data of its own, and a
core's caches hold those of one step, not of all. So between two steps a request lets the others come as far
as it is, and the code of the next one is fetched once for all of them: docs/decisions/0127.
Source: Larus and Parkes, "Using Cohort Scheduling to Enhance Server Performance" (USENIX 2002).
"""

from __future__ import annotations

import asyncio


class Cohort:
    """The requests that one event loop is serving; each is in it, as a context, while it is served."""

    def __init__(self) -> None:
        self._present = 0

    def __enter__(self) -> None:
        self._present += 1

    def __exit__(self, *_: object) -> None:
        self._present -= 1

    async def step(self) -> None:
        """End a step: go on in the loop's next turn, or at once where nobody else is here."""
        if self._present > 1:
            await asyncio.sleep(0)
