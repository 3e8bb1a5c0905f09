"""What haechi.toml says about invoices, as billing takes it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from billing.statements import Rounding, Terms

if TYPE_CHECKING:
    from gateway.config_schema import InvoicesTable


def terms_of(table: InvoicesTable) -> Terms:
    return Terms(
        institution_id=table.institution_id,
        institution_name=table.institution_name,
        issuer_name=table.issuer_name,
        rounding=Rounding(table.rounding),
        overhead_percent=Decimal(table.overhead_percent),
        overhead_krw=table.overhead_krw,
        vat_percent=Decimal(table.vat_percent),
        seat_krw=table.seat_krw,
        four_eyes=table.four_eyes,
    )
