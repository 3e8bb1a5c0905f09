"""Reviewers' exceptions as the filter's policy takes them. Pure.

An exception for one value holds as long as the secret that made its hash is in the secret file, also behind
newer ones; without it the value has to be excepted anew (`haechi doctor` says so).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from filters.policy import PolicyException

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.incidents.records import ReviewException
    from gateway.keyring import DerivedKey


def in_policy(
    exceptions: Iterable[ReviewException], keys: Sequence[DerivedKey]
) -> tuple[PolicyException, ...]:
    """Return what the policy book is given; their ends are looked at with each request.

    `keys` are those of Purpose.FINDING_HASH, the current one first.
    """
    older = {key.key_id: key.key for key in keys[1:]}
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
            hash_key=older.get(one.scope.finding_key_id, b""),
        )
        for one in exceptions
        if one.state == "approved" and not is_lost(one, keys)
    )


def is_lost(one: ReviewException, keys: Iterable[DerivedKey]) -> bool:
    """Whether the key that made the hash of its value is gone, so that it matches nothing."""
    made_with = one.scope.finding_key_id
    return bool(made_with) and all(key.key_id != made_with for key in keys)
