"""Versions of the price book in the access audit, in the transaction of what was done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.store.audit import append

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from billing.pricebook import PriceVersion
    from gateway.audit import Deed


def price_trail(deed: Deed) -> Callable[[Connection, PriceVersion], None]:
    """Return what writes a version down as it is after the deed: `price.proposed`, `price.approved`."""

    def write(connection: Connection, version: PriceVersion) -> None:
        draft = version.draft
        event = deed.event(
            f"price.{version.state}",
            f"v{version.number}",
            prices=len(draft.prices),
            rates=len(draft.fx),
            starts_on=draft.starts_on.isoformat(),
            source=draft.source,
            digest=draft.digest,
        )
        append(connection, event)

    return write
