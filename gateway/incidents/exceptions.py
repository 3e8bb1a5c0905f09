"""Reviewers' exceptions as the filter's policy takes them. Pure.

An exception for one value holds as long as the key that made its hash is the current one: after the
secret file was rotated the value has to be excepted anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from filters.policy import PolicyException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.incidents.records import ReviewException


def in_policy(exceptions: Iterable[ReviewException], finding_key_id: str) -> tuple[PolicyException, ...]:
    """Return what the policy book is given; their ends are looked at with each request."""
    return tuple(
        PolicyException(
            until=one.until,
            type=one.scope.type,
            rule=one.scope.rule,
            department=one.scope.department_id,
            value_hash=one.scope.value_hash,
            reason=one.reason,
            approved_by=one.decided_by or "",
            id=one.id,
        )
        for one in exceptions
        if one.state == "approved" and one.scope.finding_key_id in ("", finding_key_id)
    )
