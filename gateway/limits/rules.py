"""Whose requests a limit counts: by key, person, department, model, or any of these together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.domain import Caller


class Per(StrEnum):
    KEY = "key"
    PERSON = "person"
    DEPARTMENT = "department"
    MODEL = "model"


class Unit(StrEnum):
    REQUESTS = "requests"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Rule:
    """Each combination of `per` has a minute of its own; without any, all that match share one.

    0 is no limit. An empty set of `keys`, `people`, `departments` or `models` matches all;
    `departments` matches any unit in the caller's path.
    """

    name: str
    per: tuple[Per, ...] = ()
    requests_per_min: int = 0
    tokens_per_min: int = 0
    keys: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()

    def matches(self, caller: Caller, model_id: str) -> bool:
        return (
            (not self.keys or caller.key_id in self.keys)
            and (not self.people or caller.person_id in self.people)
            and (not self.models or model_id in self.models)
            and (not self.departments or not self.departments.isdisjoint(caller.unit_path))
        )

    def limit(self, unit: Unit) -> int:
        return self.requests_per_min if unit is Unit.REQUESTS else self.tokens_per_min

    def subject(self, caller: Caller, model_id: str) -> tuple[tuple[Per, str], ...]:
        """Return whose minute a request falls into."""
        return tuple((per, _who(per, caller, model_id)) for per in self.per)


class Bucket(NamedTuple):
    """One minute that is counted: a rule's, for one subject, of one unit."""

    id: str
    """Its name where workers count together."""
    rule: Rule
    unit: Unit
    subject: tuple[tuple[Per, str], ...]
    limit: int

    @classmethod
    def of(cls, rule: Rule, unit: Unit, subject: tuple[tuple[Per, str], ...]) -> Bucket:
        parts = [f"{per}={_escaped(who)}" for per, who in subject]
        return cls("/".join((rule.name, unit, *parts)), rule, unit, subject, rule.limit(unit))


OF_THE_KEY: Final = "@key"
"""Name of the rule of a key that has limits of its own; no rule of the configuration begins like it."""

UNITS: Final = (Unit.REQUESTS, Unit.TOKENS)


def buckets(rules: Sequence[Rule], caller: Caller, model_id: str) -> Iterator[Bucket]:
    """Yield what a request is counted in: by the rules, and by the caller's own key."""
    if has_limits(caller):
        rules = (*rules, Rule(OF_THE_KEY, (Per.KEY,), caller.requests_per_min, caller.tokens_per_min))
    for rule in rules:
        if rule.matches(caller, model_id):
            subject = rule.subject(caller, model_id)
            for unit in UNITS:
                if rule.limit(unit):
                    yield Bucket.of(rule, unit, subject)


def _escaped(who: str) -> str:
    """A slash in a name must not make two subjects one."""
    return who.replace("%", "%25").replace("/", "%2F") if "/" in who or "%" in who else who


def has_limits(caller: Caller) -> bool:
    """Whether the key itself has a limit."""
    return bool(caller.requests_per_min or caller.tokens_per_min)


def _who(per: Per, caller: Caller, model_id: str) -> str:
    match per:
        case Per.KEY:
            return caller.key_id
        case Per.PERSON:
            return caller.person_id
        case Per.DEPARTMENT:
            return caller.department_id
        case Per.MODEL:
            return model_id
