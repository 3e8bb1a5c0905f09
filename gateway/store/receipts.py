"""A filter receipt as a row of the journal: built here, written by billing's journal thread; and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from billing.periods import to_us
from gateway.store.tables import receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from filters.verdict import Receipt
    from gateway.domain import Call

RECEIPT_TABLE = receipt


def receipt_row(
    call: Call,
    seen: Receipt,
    *,
    model_id: str,
    billing_period: str,
    findings: Sequence[Mapping[str, Any]],
    finding_key_id: str,
    attempts: int,
) -> dict[str, Any]:
    """Return the values of one `receipt` row.

    `findings`: mappings {type, label, score, rule, path, action, hash} without text. `attempts`: how many
    providers were asked; 0 for a refusal.
    """
    return {
        "request_id": call.request_id,
        "at_us": to_us(call.received_at),
        "billing_period": billing_period,
        "department_id": call.caller.department_id,
        "unit_path": list(call.caller.unit_path),
        "person_id": call.caller.person_id,
        "key_id": call.caller.key_id,
        "model_id": model_id,
        "surface": call.surface,
        "action": seen.action.word,
        "rules_version": seen.rules_version,
        "policy_version": seen.policy_version,
        "grade": seen.grade,
        "parts_seen": seen.parts_seen,
        "characters_seen": seen.characters_seen,
        "unscanned": list(seen.unscanned),
        "counts": dict(seen.counts),
        "findings": [dict(finding) for finding in findings],
        "finding_key_id": finding_key_id,
        "degraded": seen.degraded,
        "elapsed_us": seen.elapsed_us,
        "attempts": attempts,
        "zone": seen.zone,
        "simulated": seen.simulated,
    }


def actions_since(engine: Engine, since: datetime) -> dict[str, int]:
    """Count requests by what the filter decided (allow, mask, route, block), from an instant on."""
    statement = (
        select(receipt.c.action, func.count().label("requests"))
        .where(receipt.c.at_us >= to_us(since))
        .group_by(receipt.c.action)
    )
    with engine.connect() as connection:
        return {row.action: row.requests for row in connection.execute(statement)}
