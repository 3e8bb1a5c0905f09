"""Providers' bills as the command line, the API and the console use them, and the gate before a lock. No SQL.

How a file is read is in billing/bill_formats.py, how it is compared in billing/bill_match.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.bill_formats import read_month_bill
from billing.bill_mapping import ColumnMap
from billing.bill_summary import krw
from billing.months import MonthRefused
from billing.periods import month_bounds
from billing.store.bill_matches import (
    Compared,
    compare_file,
    compare_month,
    keep_outcome,
    outcomes,
    used_days,
)
from billing.store.bills import BillRefused, Incoming, bills_of, check_month, import_bill, withdraw_bill
from billing.store.rollups import bring_up_to_date
from billing.store.three_way import BookSides, book_sides, providers_billed
from gateway.errors import InvalidRequest
from gateway.store.bill_trail import bill_deed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from sqlalchemy import Connection

    from billing.bill_match import Match
    from billing.store.bill_matches import Outcome
    from billing.store.bills import StoredBill
    from gateway.audit import Deed
    from gateway.config import Config
    from gateway.config_reconciliation import Reconciliation
    from gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Upload:
    """A provider's file and what is said about it. `provider` is a name of haechi.toml."""

    provider: str
    month: str
    file_name: str
    data: bytes
    mapping: bytes | None = None
    timezone: str | None = None
    part: bool = False
    replace: bool = False


class ProviderStanding(NamedTuple):
    """How a provider stands in a month. `state`: no_bill, agrees, differs, accepted, not_billed."""

    provider: str
    nano_krw: int
    """In the Korean month, by the ledger."""
    state: str
    bills: tuple[StoredBill, ...]
    outcome: Outcome | None

    @property
    def is_settled(self) -> bool:
        return self.state in {"agrees", "accepted", "not_billed"}


@dataclass(frozen=True, slots=True)
class Reconciler:
    database: Database
    terms: Reconciliation
    providers: frozenset[str]
    """All of haechi.toml."""
    journal_dir: Path | None = None

    @classmethod
    def of(cls, config: Config, database: Database) -> Reconciler:
        models = config.catalogue.models.values()
        names = {deployment.provider for model in models for deployment in model.deployments}
        names |= config.reconciliation.external
        return cls(database, config.reconciliation, frozenset(names), config.journal_dir)

    def import_bill(self, upload: Upload, deed: Deed) -> StoredBill:
        """Read and keep a file.

        Raises BillError for what cannot be read, BillRefused for what is not taken, InvalidRequest.
        """
        incoming = self._incoming(upload)
        bill = incoming.bill
        mapped = {self.terms.match.keys.get(row.key, upload.provider) for row in bill.rows}

        def used(connection: Connection) -> Iterable[date]:
            return used_days(connection, {upload.provider, *mapped}, upload.month, bill.timezone)

        return import_bill(self.database, incoming, bill_deed(deed), used)

    def try_bill(self, upload: Upload) -> Match:
        """Hold a file against the ledger without keeping anything. Raises what `import_bill` raises first."""
        incoming = self._incoming(upload)
        check_month(incoming)
        return compare_file(self.database, upload.month, upload.provider, incoming.bill, self.terms.match)

    def _incoming(self, upload: Upload) -> Incoming:
        self._known(upload.provider, upload.month)
        mapping = None if upload.mapping is None else ColumnMap.read(upload.mapping)
        return Incoming(
            upload.provider,
            checked_month(upload.month),
            read_month_bill(upload.data, mapping, upload.timezone),
            upload.file_name,
            upload.data,
            part=upload.part,
            replace=upload.replace,
        )

    def withdraw(self, number: int, deed: Deed) -> StoredBill:
        """Raises BillRefused."""
        return withdraw_bill(self.database, number, bill_deed(deed))

    def bills(self, month: str | None = None) -> list[StoredBill]:
        return bills_of(self.database, None if month is None else checked_month(month))

    def compare(self, month: str, provider: str) -> Compared | None:
        """Hold the bills of a month against the ledger; None where there are none."""
        self._known(provider, month)
        return compare_month(self.database, checked_month(month), provider, self.terms.match)

    def reconcile(
        self, month: str, provider: str, deed: Deed, *, accept: bool = False, seen: str | None = None
    ) -> Compared | None:
        """Compare and write down what came of it.

        `seen`: the basis of what whoever accepts was shown. Raises BillRefused where there is nothing to
        accept, or something else than was seen; that is written down, to be looked at.
        """
        compared = self.compare(month, provider)
        if compared is None:
            return None
        is_seen = seen is None or seen == compared.basis
        keep_outcome(self.database, compared, bill_deed(deed), accept=accept and is_seen)
        if accept and not is_seen:
            raise BillRefused(
                "보신 뒤에 청구서나 장부가 달라졌습니다. 새로 대조한 차이를 확인하고 다시 받아들이세요.",
                "The bill or the ledger changed since you looked."
                " Look at the new differences, then accept them.",
            )
        return compared

    def standings(self, month: str) -> list[ProviderStanding]:
        """Return how each provider stands by what was last written down; nothing is compared anew."""
        month = checked_month(month)
        last = {one.provider: one for one in outcomes(self.database, month)}
        kept: dict[str, list[StoredBill]] = {}
        for bill in self.bills(month)[::-1]:
            if not bill.withdrawn:
                kept.setdefault(bill.provider, []).append(bill)
        bring_up_to_date(self.database)
        amounts = providers_billed(self.database, month)
        billing = {name for name, nano in amounts.items() if nano} - self.terms.in_house
        names = billing | kept.keys()  # who has left haechi.toml since sends a bill, too
        return [
            self._standing(name, amounts.get(name, 0), tuple(kept.get(name, ())), last.get(name))
            for name in sorted(names)
        ]

    def _standing(
        self, name: str, nano: int, kept: tuple[StoredBill, ...], outcome: Outcome | None
    ) -> ProviderStanding:
        same = outcome is not None and list(outcome.document["bills"]) == [one.number for one in kept]
        if kept and outcome is not None and same:
            return ProviderStanding(name, nano, outcome.state, kept, outcome)
        state = "not_billed" if name in self.terms.not_billed and not kept else "no_bill"
        return ProviderStanding(name, nano, "differs" if kept else state, kept, None)

    def books(self, month: str) -> BookSides:
        return book_sides(self.database, checked_month(month), self.journal_dir)

    # --- the gate ---

    def evidence(self, month: str, deed: Deed) -> dict[str, Any]:
        """Match a month three ways before its lock; return what the lock keeps of it.

        Raises MonthRefused where `gate = "refuse"` and anything is open; the text says what to do.
        """
        if self.terms.gate == "off":
            return {}
        for one in self.standings(month):
            if one.bills:
                try:
                    self.reconcile(month, one.provider, deed)
                except BillRefused as error:  # somebody compared in the same moment
                    raise MonthRefused(error.korean, error.english) from error
        standings, sides = self.standings(month), self.books(month)
        open_ones = [one for one in standings if not one.is_settled]
        if self.terms.gate == "refuse" and (open_ones or not sides.agree):
            raise _not_reconciled(month, open_ones, sides)
        return {
            "bills": sorted(bill.number for one in standings for bill in one.bills),
            "reconciliation": {
                "gate": self.terms.gate,
                "books_agree": sides.agree,
                "providers": {one.provider: one.state for one in standings},
            },
        }

    def _known(self, provider: str, month: str) -> None:
        """Raises InvalidRequest for who is neither in haechi.toml nor in the month's ledger."""
        known = self.providers
        if provider not in known:
            known |= providers_billed(self.database, checked_month(month)).keys()
        if provider not in known:
            names = ", ".join(sorted(known))
            raise InvalidRequest(
                f"haechi.toml에도 장부에도 없는 제공사입니다: {provider[:40]}. 있는 것: {names}",
                f"neither haechi.toml nor the ledger has a provider {provider[:40]}; they have {names}",
                code="unknown_provider",
                param="provider",
            )


def _not_reconciled(month: str, open_ones: list[ProviderStanding], sides: BookSides) -> MonthRefused:
    korean = [f"{month}의 대조가 끝나지 않아 마감하지 않았습니다([reconciliation] gate)."]
    english = [f"{month} is not reconciled, so it is not locked ([reconciliation] gate)."]
    for one in open_ones:
        command = f"haechi report reconcile FILE --provider {one.provider} --month {month}"
        if one.state == "no_bill":
            korean.append(f"{one.provider}: 청구서가 없습니다. 재무 › 청구서 대조나 `{command}`로 올리세요.")
            english.append(
                f"{one.provider}: no bill. Import it on the page of provider bills or with `{command}`."
            )
            continue
        amount = "?" if one.outcome is None else one.outcome.document["outside_krw"]
        accept = f"haechi report reconcile --provider {one.provider} --month {month} --accept --reason …"
        korean.append(f"{one.provider}: 차이 {amount}원. 바로잡거나 `{accept}`로 받아들이세요.")
        english.append(f"{one.provider}: differs by {amount} won. Mend it, or accept it: `{accept}`.")
    if not sides.agree:
        told = (
            f"저널 {sides.dispatched}건, 청구 {sides.charged}건, 미정산 {sides.open_attempts}건,"
            f" 디스크 대기 {sides.waiting}건, 원장 {krw(sides.ledger_nano_krw)}원,"
            f" 일계 {krw(sides.sums_nano_krw)}원"
        )
        korean.append(
            f"장부끼리 다릅니다({told}). `haechi ledger verify`와 `haechi ledger rollups`를 보세요."
        )
        english.append(f"The books differ ({sides}). See `haechi ledger verify`, `haechi ledger rollups`.")
    return MonthRefused(" ".join(korean), " ".join(english))


def checked_month(month: str) -> str:
    try:
        month_bounds(month)
    except ValueError:
        raise InvalidRequest(
            "달은 2026-11처럼 쓰세요.", "Write a month like 2026-11.", code="invalid_month", param="month"
        ) from None
    return month
