"""What people are called on the pages about seats: by name, or by a pseudonym where the right is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audit import AuditEvent
from gateway.console.finance.shared import pseudonym
from gateway.permissions import Permission, Reach
from gateway.store.organisation import person_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.console.parts import ConsoleParts
    from gateway.console.session import Visitor


def sees_names(visitor: Visitor) -> bool:
    return visitor.reach(Permission.DEPARTMENT_PEOPLE) >= Reach.DEPARTMENT


def called(
    parts: ConsoleParts, visitor: Visitor, person_ids: Sequence[str], *, exported: bool = False
) -> dict[str, str]:
    """Return what each person is called before this visitor. Who saw names is written to the access audit."""
    if not sees_names(visitor):
        return {person: pseudonym(parts, person) for person in person_ids}
    if person_ids:
        action = "seats.people.export" if exported else "seats.people"
        details = {"people": len(person_ids)}
        parts.audit.record(AuditEvent(parts.now(), visitor.actor, action, details=details))
    names = person_names(parts.database, person_ids)
    return {person: f"{names[person]} ({person})" if person in names else person for person in person_ids}
