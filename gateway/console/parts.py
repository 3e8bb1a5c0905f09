"""What the pages of the console are given: the same services that the API uses, and the clock.

A handler takes them as `parts: Parts`. Handlers are plain functions: FastAPI runs them in its thread pool,
so that a page never holds up the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from gateway.seats import SeatReports

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from filters.inspector import Inspector
    from gateway.audit import Auditor
    from gateway.config import Config
    from gateway.identity import Directory
    from gateway.keyring import Keyring
    from gateway.pricing import LivePrices
    from gateway.sign_in import SignIn
    from gateway.store.database import Database
    from gateway.store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    config: Config
    database: Database
    """Carries the key of the access audit, so that store functions can write to it in their transaction."""
    keyring: Keyring
    directory: Snapshot[Directory]
    sign_in: SignIn
    """Accounts and sessions."""
    audit: Auditor
    fleet: Callable[[], dict[str, Any]]
    """What /health/models answers: how each deployment does, as this worker sees it."""
    prices: LivePrices
    """Its `book` is the price book in force."""
    inspector: Inspector
    """The filter, for a text that somebody wants looked at before sending it."""
    now: Callable[[], datetime]
    seats: SeatReports = field(default_factory=SeatReports)
    """Reports of seats beside use, as long as nothing under them changes."""


def parts_of(request: Request) -> ConsoleParts:
    parts: ConsoleParts = request.app.state.console
    return parts


Parts = Annotated[ConsoleParts, Depends(parts_of)]
