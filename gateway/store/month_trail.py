"""Steps of months in the access audit, in the transaction of the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.store.audit import append

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from billing.months import MonthStep
    from gateway.audit import Deed


def month_trail(deed: Deed) -> Callable[[Connection, MonthStep], None]:
    """Return what writes a step down: who, when, why, and the figures that it stands for."""

    def write(connection: Connection, step: MonthStep) -> None:
        append(connection, deed.event(f"month.{step.state}", step.month, step=step.number, **step.document))

    return write
