"""The price book as the command line, the API, the console and a running gateway use it. No SQL, no HTTP.

What may be proposed is decided in billing/pricebook.py; here the configuration's first version, its rules and
the access audit come together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from billing.periods import billing_day
from billing.pricebook import (
    FIRST,
    Draft,
    PriceRefused,
    PriceVersion,
    VersionState,
    changes,
    overlaps,
    period_of,
)
from billing.store import DatabaseUnavailable
from billing.store import pricebook as store
from gateway import price_sources
from gateway.store.database import NotMigrated, Unusable, check_usable, opened
from gateway.store.price_trail import price_trail
from gateway.store.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime

    from billing.pricebook import PriceChange
    from billing.prices import PriceBook
    from billing.quotes import FxRate, Price, Quote
    from gateway.audit import Deed
    from gateway.config import Config
    from gateway.price_files import Sheet
    from gateway.price_sources import Collected
    from gateway.store.database import Database

log = structlog.get_logger("haechi")

CONFIGURED: Final = "haechi.toml"
"""What the first version is called."""


class LivePrices:
    """The book in force in this process; `book` is replaced as a whole when a version was approved.

    A thread polls the book's revision; requests read the attribute and never the database. While the
    database is away the last book serves: the directory decides how long requests are.
    """

    def __init__(self, database: Database, base: PriceBook) -> None:
        self.book = base
        self._database = database
        self._base = base
        self._snapshot: Snapshot[PriceBook] = Snapshot(
            "prices", lambda: store.revision(database), self._load, max_stale_s=float("inf")
        )

    def quote(self, price_key: str, at: datetime) -> Quote:
        """Freeze the price and the rate in force at an instant. Raises NoPrice."""
        return self.book.quote(price_key, at)

    def start(self) -> None:
        """Load once, raising whatever the database raises, then keep watching."""
        self._snapshot.start()

    def stop(self) -> None:
        self._snapshot.stop()

    def _load(self) -> PriceBook:
        self.book = store.book_in_force(self._database, self._base)
        log.info("prices_loaded", keys=len(self.book.prices))
        return self.book


@dataclass(frozen=True, slots=True)
class PriceDesk:
    """What finance does with the book. Everything that changes it raises billing.pricebook.PriceRefused."""

    database: Database
    config: Config

    @property
    def base(self) -> PriceBook:
        return self.config.price_book

    # --- reading ---

    def book(self) -> PriceBook:
        """Return the book in force, read now."""
        return store.book_in_force(self.database, self.base)

    def versions(self) -> list[PriceVersion]:
        """Return every version but haechi.toml's, the latest first."""
        return store.versions(self.database)

    def version(self, number: int) -> PriceVersion:
        return store.version(self.database, number)

    def book_as_of(self, number: int) -> PriceBook:
        return store.book_as_of(self.database, self.base, number)

    def changes(self, version: PriceVersion) -> list[PriceChange]:
        """Compare a version with the book without it: as it stands, or stood before it if it is approved."""
        before = self.book_as_of(version.number - 1) if _is_decided(version) else self.book()
        return changes(before, version.draft)

    def unused(self, draft: Draft) -> list[str]:
        """Return the keys of a draft that price no model of haechi.toml: a slip of the pen, or early."""
        models = self.config.catalogue.models.values()
        priced = {deployment.price_key for model in models for deployment in model.deployments}
        return sorted({str(table["key"]) for table in draft.prices} - priced)

    # --- changing ---

    def propose(self, draft: Draft, deed: Deed, *, large_changes: bool = False) -> PriceVersion:
        """Keep a draft for somebody to approve."""
        dated = Draft(draft.prices, tuple(_dated(rate, deed.at) for rate in draft.fx), draft.source)
        return store.propose(self.database, self.base, dated, _doing(deed), large_changes=large_changes)

    def approve(self, number: int, deed: Deed) -> PriceVersion:
        """Put a version in force from its days; running workers know within a second."""
        four_eyes = self.config.pricing.four_eyes
        return store.approve(self.database, self.base, number, _doing(deed), four_eyes=four_eyes)

    def reject(self, number: int, deed: Deed) -> PriceVersion:
        return store.reject(self.database, number, _doing(_reasoned(deed)))

    def withdraw(self, number: int, deed: Deed) -> PriceVersion:
        return store.withdraw(self.database, number, _doing(_reasoned(deed)))

    # --- what genai-prices says ---

    def own_keys(self) -> list[str]:
        """Return every price key that a deployment or the book names."""
        used = {
            deployment.price_key
            for model in self.config.catalogue.models.values()
            for deployment in model.deployments
        }
        return sorted(used | self.book().prices.keys())

    def collected(self, starts_on: date, keys: Collection[str] = ()) -> tuple[Draft | None, Collected]:
        """Return what genai-prices would change, from a day on; None where it says nothing new.

        A day that the book has a price for is left to that price, and noted.
        """
        found = price_sources.collect(keys or self.own_keys(), starts_on)
        if not found.prices:
            return None, found
        book, draft = self.book(), Draft(found.prices, (), price_sources.label())
        taken = dict(overlaps(book, draft))
        changed = {change.entry for change in changes(book, draft) if change.kind != "same"}
        new = [found.prices[index] for index in sorted(changed - taken.keys())]
        notes = [_left_to(taken[index]) for index in sorted(changed & taken.keys())]
        told = replace(found, notes=(*found.notes, *notes))
        return (Draft.of(new, (), price_sources.label()) if new else None), told

    def draft_of(self, sheet: Sheet, source: str, starts_on: date | None = None) -> Draft:
        """Raises gateway.imports.ImportFailed, naming every line at fault."""
        return sheet.draft(source, starts_on)


def book_of(config: Config) -> PriceBook:
    """Return the book in force; where the database cannot be read, what haechi.toml says."""
    try:
        check_usable(config.database_url)
    except (Unusable, NotMigrated, DatabaseUnavailable):
        return config.price_book
    with opened(config.database_url) as engine:
        return store.book_in_force(engine, config.price_book)


def in_force(book: PriceBook, day_start: datetime) -> list[Price]:
    """Return the price of each key at an instant, by key."""
    found = []
    for versions in book.prices.values():
        begun = [one for one in versions if one.starts_at <= day_start]
        if begun and (begun[-1].ends_at is None or day_start < begun[-1].ends_at):
            found.append(begun[-1])
    return sorted(found, key=lambda price: price.key)


def rates(book: PriceBook) -> list[FxRate]:
    """Return every rate that is known, the latest first."""
    known = [rate for found in book.fx.values() for rate in found]
    return sorted(known, key=lambda rate: (rate.published_at, rate.base), reverse=True)


def _left_to(price: Price) -> tuple[str, str]:
    period = period_of(price)
    return (
        f"{price.key}: 이미 {period} 적용되는 단가({price.version})가 있어 뺐습니다.",
        f"{price.key}: left out, there is a price {period} already ({price.version}).",
    )


def _is_decided(version: PriceVersion) -> bool:
    return version.state in {VersionState.APPROVED, VersionState.WITHDRAWN} and version.number > FIRST


def _dated(rate: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Return a rate; one that somebody sets for a day that has begun holds from now on."""
    is_set_late = rate.get("kind") == "manual" and rate["date"] <= billing_day(now).isoformat()
    return {**rate, "published_at": now.isoformat()} if is_set_late and "published_at" not in rate else rate


def _reasoned(deed: Deed) -> Deed:
    if not deed.reason.strip():
        raise PriceRefused("까닭을 적어 주세요.", "Say why.")
    return deed


def _doing(deed: Deed) -> store.Doing:
    return store.Doing(deed.actor.name, deed.at, deed.reason, price_trail(deed))


__all__ = ["CONFIGURED", "LivePrices", "PriceDesk", "book_of", "in_force", "rates"]
