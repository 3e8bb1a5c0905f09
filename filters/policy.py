"""What an institution decides about findings: per type, zone and department, versioned and effective-dated.

`PolicyBook.for_(department, zone, now)` answers with one flat `ZonePolicy`; nothing here looks at a
request (see filters/decision.py), detects anything, or reads a file but its own default.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.errors import PolicyError
from filters.verdict import Action, Grade

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from filters.verdict import JSON

EXTERNAL: Final = "external"
IN_HOUSE: Final = "in_house"


class Rule(NamedTuple):
    """What happens to findings of one type that reach the threshold; weaker ones count as not found."""

    action: Action
    threshold: float


@dataclass(frozen=True, slots=True)
class Density:
    """When a text is a list of people rather than a letter about one: counts of distinct values.

    Dense when `people` names stand beside `identifiers` other personal values, or either alone
    reaches its own bound.
    """

    action: Action = Action.ROUTE
    people: int = 5
    identifiers: int = 5
    people_alone: int = 20
    identifiers_alone: int = 15


@dataclass(frozen=True, slots=True)
class AllowList:
    """Published values that are nobody's personal data. Numbers are compared by their digits."""

    phone_numbers: frozenset[str] = frozenset()
    phone_prefixes: tuple[str, ...] = ()
    business_numbers: frozenset[str] = frozenset()
    email_addresses: frozenset[str] = frozenset()
    office_domains: tuple[str, ...] = ()
    """`korea.kr` or `*.go.kr`: only mailboxes of `office_mailboxes` are office mail there."""
    office_mailboxes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PolicyException:
    """Findings that may pass until a moment: every field that is set must match.

    `value_hash` is the keyed hash of `filters.decision.finding_hash`, so no value stands in a policy.
    """

    until: datetime
    type: str = ""
    rule: str = ""
    department: str = ""
    value_hash: str = ""
    reason: str = ""
    approved_by: str = ""
    id: str = "policy"
    """What a receipt names: the id of a reviewers' exception, or that it stands in the policy."""
    hash_key: bytes = field(default=b"", repr=False)
    """The key that made `value_hash`, where that is not the current one: the secret was rotated."""


@dataclass(frozen=True, slots=True)
class ZonePolicy:
    """The policy of one department towards one zone at one moment: what `decide` needs, flat."""

    version: str
    zone: str
    rules: Mapping[str, Rule]
    labels: Mapping[tuple[str, str], Action]
    grades: Mapping[str, Grade]
    default: Rule
    density: Density | None
    allow: AllowList
    open_parts: frozenset[str]
    never_restored: frozenset[str]
    exceptions: tuple[PolicyException, ...] = ()
    simulate: bool = False
    countries: frozenset[str] | None = None
    """Where a deployment must stand to get a request, by its `country`; None: anywhere."""

    def rule(self, type_: str) -> Rule:
        return self.rules.get(type_, self.default)

    def grade(self, type_: str, label: str) -> Grade:
        """The grade of a text that holds such a finding."""
        by_type = self.grades.get(type_, Grade.S)
        return self.grades.get(f"{type_}:{label}", by_type) if label else by_type


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the institution's policy, in force from a moment on."""

    version: str
    effective_from: datetime
    zones: Mapping[str, ZonePolicy]
    departments: Mapping[tuple[str, str], ZonePolicy] = field(default_factory=dict)
    """Overrides by (department, zone), already merged with the zone's own rules."""
    exceptions: tuple[PolicyException, ...] = ()

    @classmethod
    def from_mapping(cls, table: Mapping[str, JSON], base: Policy | None = None) -> Policy:
        """Read a TOML table; what it does not say is taken from `base` (the shipped default).

        Raises PolicyError naming the key, with a suggestion, for anything unknown.
        """
        from filters.policy_table import read_policy

        return read_policy(table, base or default_policy())


@dataclass(slots=True)
class PolicyBook:
    """Every version of the policy; the latest that is effective answers."""

    versions: Sequence[Policy]
    _resolved: dict[tuple[str, str, tuple[str, ...]], ZonePolicy] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.versions:
            raise PolicyError("a policy book needs at least one version")
        names = [policy.version for policy in self.versions]
        for name in names:
            if names.count(name) > 1:
                raise PolicyError(f"two policies are called {name!r}: a receipt must name one")
        self.versions = tuple(sorted(self.versions, key=lambda policy: policy.effective_from))

    def at(self, now: datetime) -> Policy:
        """The version in force; before the first one, the first."""
        in_force = [policy for policy in self.versions if policy.effective_from <= now]
        return in_force[-1] if in_force else self.versions[0]

    def for_(self, department: str | Sequence[str], zone: str, now: datetime) -> ZonePolicy:
        """The policy of a department (or of a path of units, most specific last) towards a zone."""
        units = (department,) if isinstance(department, str) else tuple(department)
        policy = self.at(now)
        key = (policy.version, zone, units)
        resolved = self._resolved.get(key)
        if resolved is None:
            resolved = self._resolved[key] = _resolve(policy, units, zone)
        if not policy.exceptions:
            return resolved
        open_now = tuple(e for e in policy.exceptions if e.until > now and e.department in ("", *units))
        return replace(resolved, exceptions=open_now)

    def with_exceptions(self, exceptions: Iterable[PolicyException]) -> PolicyBook:
        """The same book with further exceptions, for those that reviewers approved."""
        more = tuple(exceptions)
        return PolicyBook(tuple(replace(p, exceptions=p.exceptions + more) for p in self.versions))


def default_policy() -> Policy:
    """The shipped policy, `default_policy.toml`: nothing sensitive to external zones."""
    from filters.policy_table import read_policy

    text = resources.files("filters").joinpath("default_policy.toml").read_text("utf-8")
    return read_policy(tomllib.loads(text), None)


def default_book() -> PolicyBook:
    return PolicyBook((default_policy(),))


def _resolve(policy: Policy, units: Sequence[str], zone: str) -> ZonePolicy:
    for unit in reversed(units):
        override = policy.departments.get((unit, zone))
        if override is not None:
            return override
    try:
        return policy.zones[zone]
    except KeyError:
        raise PolicyError(
            f"policy {policy.version} knows no zone {zone!r}; it has {sorted(policy.zones)}"
        ) from None


def digits_of(number: str) -> str:
    """The digits of a number as ASCII, so that `02-120` and `０２ 120` are one; `+82` becomes `0`."""
    digits = "".join(filter(str.isdecimal, number))
    if not digits.isascii():
        digits = "".join(str(int(digit)) for digit in digits)
    return f"0{digits[2:].removeprefix('0')}" if number.lstrip().startswith("+82") else digits
