"""The ledger in SQL: the engine, the journal's sink, reports, verification."""

from __future__ import annotations

from billing.store.budget_admin import BudgetStatus, budget_status, check_accounts, end_budget, set_budget
from billing.store.engine import Checkpointer, DatabaseUnavailable, one_moment, open_engine, writing
from billing.store.reports import (
    Savings,
    UsageRow,
    charges_of,
    months_with_charges,
    open_dispatches,
    savings,
    usage_report,
)
from billing.store.rerating import Rerating, rerate
from billing.store.seal_checks import Problem
from billing.store.sealing import export_seals, make_seal, root_of_month, seal_month
from billing.store.sink import LedgerSink
from billing.store.verification import VerifyReport, verify

__all__ = [
    "BudgetStatus",
    "Checkpointer",
    "DatabaseUnavailable",
    "LedgerSink",
    "Problem",
    "Rerating",
    "Savings",
    "UsageRow",
    "VerifyReport",
    "budget_status",
    "charges_of",
    "check_accounts",
    "end_budget",
    "export_seals",
    "make_seal",
    "months_with_charges",
    "one_moment",
    "open_dispatches",
    "open_engine",
    "rerate",
    "root_of_month",
    "savings",
    "seal_month",
    "set_budget",
    "usage_report",
    "verify",
    "writing",
]
