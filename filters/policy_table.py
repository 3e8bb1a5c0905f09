"""Reads a policy from a TOML table; what it does not say is taken from a base policy.

The values live in filters/policy.py, the checks of single values in filters/policy_values.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from filters import policy_values as read
from filters.errors import PolicyError
from filters.policy import (
    EXTERNAL,
    IN_HOUSE,
    AllowList,
    Density,
    Policy,
    PolicyException,
    Rule,
    ZonePolicy,
    digits_of,
)
from filters.verdict import NOTHING, Action, Grade

if TYPE_CHECKING:
    from collections.abc import Mapping

    from filters.verdict import JSON

UNREADABLE_KINDS: Final = ("image", "audio", "video", "file", "tokens", "remote", "stored")
_ZONES: Final = (EXTERNAL, IN_HOUSE)
_POLICY_KEYS: Final = (
    "version",
    "effective_from",
    "simulate",
    "never_restored",
    "allow",
    "grades",
    "exceptions",
    "departments",
    *_ZONES,
)
_ZONE_KEYS: Final = ("types", "labels", "default", "open_parts", "dense", "countries")
_DENSITY_KEYS: Final = ("people", "identifiers", "people_alone", "identifiers_alone")
_EXCEPTION_KEYS: Final = ("until", "type", "rule", "department", "value_hash", "reason", "approved_by")
_ALLOW_KEYS: Final = (
    "phone_numbers",
    "phone_prefixes",
    "business_numbers",
    "email_addresses",
    "office_domains",
    "office_mailboxes",
)
_NO_LABELS: Final[Mapping[tuple[str, str], Action]] = MappingProxyType({})
_NO_POLICY: Final = ZonePolicy(
    version="",
    zone="",
    rules=NOTHING,
    labels=_NO_LABELS,
    grades=NOTHING,
    default=Rule(Action.MASK, 0.5),
    density=None,
    allow=AllowList(),
    open_parts=frozenset(),
    never_restored=frozenset(),
)


def read_policy(table: Mapping[str, JSON], base: Policy | None) -> Policy:
    """One version of a policy. Raises PolicyError for anything unknown or of a wrong kind."""
    read.table_of(table, "", _POLICY_KEYS)
    if "version" not in table:
        raise PolicyError("policy.version is missing: name this version, for example '2026-11-01'")
    zones = {
        zone: _zone(_whole(table, base.zones[zone] if base else _NO_POLICY), table.get(zone, {}), zone)
        for zone in _ZONES
    }
    return Policy(
        version=read.word(str(table["version"]), "version"),
        effective_from=read.moment(
            table.get("effective_from", datetime(2000, 1, 1, tzinfo=UTC)), "effective_from"
        ),
        zones={name: replace(zone, zone=name) for name, zone in zones.items()},
        departments=_departments(read.table_of(table.get("departments", {}), "departments"), zones),
        exceptions=tuple(_exception(one) for one in table.get("exceptions", ())),
    )


def _whole(table: Mapping[str, JSON], base: ZonePolicy) -> ZonePolicy:
    """What holds for every zone of a policy."""
    policy = replace(base, version=str(table["version"]))
    if "simulate" in table:
        policy = replace(policy, simulate=read.truth(table["simulate"], "simulate"))
    if "never_restored" in table:
        policy = replace(
            policy, never_restored=frozenset(read.words(table["never_restored"], "never_restored"))
        )
    if "allow" in table:
        policy = replace(policy, allow=_allow(table["allow"], base.allow))
    if "grades" in table:
        policy = replace(policy, grades={**base.grades, **_grades(table["grades"])})
    return policy


def _zone(base: ZonePolicy, table: JSON, at: str) -> ZonePolicy:
    read.table_of(table, at, _ZONE_KEYS)
    default = _rule(table.get("default", {}), base.default, f"{at}.default")
    types = read.table_of(table.get("types", {}), f"{at}.types")
    rules = {
        read.type_name(name, f"{at}.types"): _rule(value, base.rules.get(name, default), f"{at}.types.{name}")
        for name, value in types.items()
    }
    policy = replace(
        base,
        default=default,
        rules={**base.rules, **rules},
        labels={**base.labels, **_labels(table.get("labels", {}), f"{at}.labels")},
    )
    if "dense" in table:
        policy = replace(policy, density=_density(table["dense"], base.density, f"{at}.dense"))
    if "open_parts" in table:
        kinds = read.words(table["open_parts"], f"{at}.open_parts")
        opened = frozenset(
            read.one_of(kind, UNREADABLE_KINDS, f"{at}.open_parts: unknown kind") for kind in kinds
        )
        policy = replace(policy, open_parts=opened)
    if "countries" in table:
        policy = replace(policy, countries=frozenset(read.words(table["countries"], f"{at}.countries")))
    return policy


def _departments(
    table: Mapping[str, JSON], zones: Mapping[str, ZonePolicy]
) -> dict[tuple[str, str], ZonePolicy]:
    overrides: dict[tuple[str, str], ZonePolicy] = {}
    for department, per_zone in table.items():
        for zone, own in read.table_of(per_zone, f"departments.{department}", _ZONES).items():
            policy = _zone(zones[zone], own, f"departments.{department}.{zone}")
            overrides[department, zone] = replace(policy, zone=zone)
    return overrides


def _rule(value: JSON, base: Rule, at: str) -> Rule:
    if isinstance(value, str):
        return base._replace(action=read.action(value, at))
    table = read.table_of(value, at, ("action", "threshold"))
    action = read.action(table["action"], at) if "action" in table else base.action
    return Rule(action, read.share(table.get("threshold", base.threshold), f"{at}.threshold"))


def _labels(value: JSON, at: str) -> dict[tuple[str, str], Action]:
    return {
        (read.type_name(type_, at), label): read.action(word, f"{at}.{type_}.{label}")
        for type_, words in read.table_of(value, at).items()
        for label, word in read.table_of(words, f"{at}.{type_}").items()
    }


def _grades(value: JSON) -> dict[str, Grade]:
    grades: dict[str, Grade] = {}
    for name, letter in read.table_of(value, "grades").items():
        read.type_name(name.partition(":")[0], "grades")
        grades[name] = read.grade(letter, f"grades.{name}")
    return grades


def _density(value: JSON, base: Density | None, at: str) -> Density | None:
    """Bounds of a list of people; `dense = false` turns the rule off."""
    if value is False:
        return None
    table = read.table_of(value, at, ("action", *_DENSITY_KEYS))
    counts = {key: read.count(table[key], f"{at}.{key}") for key in _DENSITY_KEYS if key in table}
    density = replace(base or Density(), **counts)  # type: ignore[arg-type]  # counts only
    return replace(density, action=read.action(table["action"], at)) if "action" in table else density


def _allow(value: JSON, base: AllowList) -> AllowList:
    table = read.table_of(value, "allow", _ALLOW_KEYS)
    lists = {key: read.words(table[key], f"allow.{key}") for key in table}
    changed = {
        key: tuple(_compared(key, one) for one in listed)
        if key in ("phone_prefixes", "office_domains")
        else frozenset(_compared(key, one) for one in listed)
        for key, listed in lists.items()
    }
    return replace(base, **changed)  # type: ignore[arg-type]  # each key has its field's kind of collection


def _compared(key: str, value: str) -> str:
    """The form in which values are compared: numbers by digits, addresses in lower case."""
    return digits_of(value) if key.startswith(("phone", "business")) else value.lower()


def _exception(value: JSON) -> PolicyException:
    table = read.table_of(value, "exceptions", _EXCEPTION_KEYS)
    if "until" not in table:
        raise PolicyError("policy.exceptions: 'until' is missing; an exception must expire")
    said: dict[str, JSON] = {
        key: read.word(table[key], f"exceptions.{key}") for key in table if key != "until"
    }
    if not said.keys() & {"type", "rule", "value_hash"}:
        raise PolicyError(
            "policy.exceptions: name a type, a rule or a value_hash; an exception for everything is none"
        )
    return PolicyException(until=read.moment(table["until"], "exceptions.until"), **said)
