"""The ledger in SQL: the engine, the journal's sink, reports, verification."""

from __future__ import annotations

from billing.store.engine import Checkpointer, DatabaseUnavailable, open_engine, writing
from billing.store.reports import (
    Savings,
    UsageRow,
    charges_of,
    months_with_charges,
    open_dispatches,
    savings,
    usage_report,
)
from billing.store.seal_checks import Problem
from billing.store.sealing import export_seals, make_seal
from billing.store.sink import LedgerSink
from billing.store.verification import VerifyReport, verify

__all__ = [
    "Checkpointer",
    "DatabaseUnavailable",
    "LedgerSink",
    "Problem",
    "Savings",
    "UsageRow",
    "VerifyReport",
    "charges_of",
    "export_seals",
    "make_seal",
    "months_with_charges",
    "open_dispatches",
    "open_engine",
    "savings",
    "usage_report",
    "verify",
    "writing",
]
