"""Reads the daily sums: by any dimensions, filtered, sorted and cut into pages. Reads only.

Call `billing.store.rollups.bring_up_to_date` first where the last seconds matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.usage_sums import EVERYTHING, Filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from billing.usage_sums import Dimension, Page, UsageSum


def usage_by(
    engine: Engine, by: Sequence[Dimension], where: Filter = Filter(), page: Page = EVERYTHING
) -> list[UsageSum]:
    """Return sums grouped by `by`, the dearest first unless `page` says otherwise."""
    raise NotImplementedError


def totals(engine: Engine, where: Filter = Filter()) -> UsageSum:
    """Return the sum of everything that the filter lets through; its key is empty."""
    raise NotImplementedError


def groups(engine: Engine, by: Sequence[Dimension], where: Filter = Filter()) -> int:
    """Return how many sums `usage_by` has in all: for page numbers, and people who used anything."""
    raise NotImplementedError
