"""Units, people and keys as values, and what an organisation looks like on a given day. Pure.

Units and people are effective-dated: a `Unit` or `Person` is one version, valid from the start of
`valid_from` to the start of `valid_to` (exclusive) in Asia/Seoul. A unit's id is its code and a person's
id is the employee number; both outlive every version.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

UnitKind = Literal["institution", "bureau", "division", "team"]
UNIT_KINDS: Final[tuple[UnitKind, ...]] = ("institution", "bureau", "division", "team")
"""기관, 실·국, 과, 팀, from the top down. 과 (division) is the department that is charged."""

DEPTH_LIMIT = 16
"""A deeper chain of parents is a circle."""


@dataclass(frozen=True, slots=True)
class Unit:
    code: str
    name: str
    kind: UnitKind
    parent_code: str | None
    valid_from: date
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class Person:
    employee_id: str
    name: str
    email: str
    unit_code: str
    valid_from: date
    valid_to: date | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key allows and to whom. Exactly one of `person_id` and `service` is set.

    `unit_code` on a service is the department that pays when the service names no person; without it
    such a request is refused. `trusted`: plain user headers of this service are believed. 0 a minute: no
    limit of its own.
    """

    label: str
    person_id: str | None = None
    service: str | None = None
    unit_code: str | None = None
    allowed_models: frozenset[str] | None = None
    trusted: bool = False
    expires_at: datetime | None = None
    requests_per_min: int = 0
    tokens_per_min: int = 0

    def __post_init__(self) -> None:
        if (self.person_id is None) == (self.service is None):
            raise ValueError("a key belongs to a person or to a service, not to both or neither")
        if self.trusted and self.service is None:
            raise ValueError("only a service key can be trusted with user headers")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as stored; its secret is not."""

    id: str
    prefix: str
    digest: bytes = field(repr=False)
    hash_key_id: str
    created_at: datetime
    grant: Grant
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Organisation:
    """All versions of everything, as read from the database at one revision."""

    units: tuple[Unit, ...] = ()
    people: tuple[Person, ...] = ()
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody sits on a day: unit ids from the institution down, and the one that pays."""

    path: tuple[str, ...]
    department_id: str


_Version = TypeVar("_Version", Unit, Person)


def valid_on(versions: Iterable[_Version], day: date) -> Iterable[_Version]:
    return (v for v in versions if v.valid_from <= day and (v.valid_to is None or day < v.valid_to))


def version_of(versions: Iterable[_Version]) -> str:
    """Name what a unit's or person's history is: whoever changes it says which one they saw."""
    texts = sorted(repr(version) for version in versions)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def places(units: Iterable[Unit], day: date) -> dict[str, Place]:
    """Map each unit of `day` to its place. Units in a circle or under a missing parent have none."""
    by_code = {unit.code: unit for unit in valid_on(units, day)}
    found = ((code, _place(unit, by_code)) for code, unit in by_code.items())
    return {code: place for code, place in found if place is not None}


def _place(unit: Unit, by_code: Mapping[str, Unit]) -> Place | None:
    chain = [unit]
    while (parent := chain[-1].parent_code) is not None:
        if parent not in by_code or len(chain) == DEPTH_LIMIT:
            return None
        chain.append(by_code[parent])
    department = next((u.code for u in chain if u.kind == "division"), unit.code)
    return Place(tuple(u.code for u in reversed(chain)), department)
