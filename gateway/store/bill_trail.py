"""What is done about providers' bills in the access audit, in the transaction of the deed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.store.bills import BillDeed
from gateway.store.audit import append

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from gateway.audit import Deed


def bill_deed(deed: Deed) -> BillDeed:
    """Return a deed that writes itself down: who, when, why, and which bill."""

    def write(connection: Connection, action: str, subject: str, details: Mapping[str, Any]) -> None:
        append(connection, deed.event(action, subject, **details))

    return BillDeed(deed.actor.name, deed.at, deed.reason, write)
