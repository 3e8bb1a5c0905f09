"""Reads a policy from a TOML table, and names what is wrong in it. The values live in filters/policy.py."""

from __future__ import annotations

import difflib
from dataclasses import replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

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
    from collections.abc import Iterable, Mapping, Sequence

    from filters.verdict import JSON

UNREADABLE_KINDS: Final = ("image", "audio", "video", "file", "tokens")
_ACTIONS: Final = {action.word: action for action in Action}
_SEOUL: Final = ZoneInfo("Asia/Seoul")
_TOP_KEYS: Final = (
    "version",
    "effective_from",
    "simulate",
    "never_restored",
    "allow",
    "grades",
    "exceptions",
    "departments",
    EXTERNAL,
    IN_HOUSE,
)
_ZONE_KEYS: Final = ("types", "labels", "default", "open_parts", "dense")
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
    _known(table, _TOP_KEYS, "policy")
    version = str(table.get("version", ""))
    if not version:
        raise PolicyError("policy.version is missing: name this version, for example '2026-11-01'")
    zones = {
        zone: _read_zone(table, table.get(zone, {}), base.zones[zone] if base else _NO_POLICY, zone, zone)
        for zone in (EXTERNAL, IN_HOUSE)
    }
    zones = {zone: replace(policy, version=version) for zone, policy in zones.items()}
    return Policy(
        version=version,
        effective_from=_moment(
            table.get("effective_from", datetime(2000, 1, 1, tzinfo=UTC)), "effective_from"
        ),
        zones=zones,
        departments=_read_departments(table.get("departments", {}), zones),
        exceptions=tuple(_read_exception(e) for e in table.get("exceptions", ())),
    )


def _read_departments(
    table: Mapping[str, JSON], zones: Mapping[str, ZonePolicy]
) -> dict[tuple[str, str], ZonePolicy]:
    overrides: dict[tuple[str, str], ZonePolicy] = {}
    for department, per_zone in table.items():
        _known(per_zone, (EXTERNAL, IN_HOUSE), f"policy.departments.{department}")
        for zone, own in per_zone.items():
            overrides[department, zone] = _read_zone(
                {}, own, zones[zone], zone, f"departments.{department}.{zone}"
            )
    return overrides


def _read_zone(
    top: Mapping[str, JSON], table: Mapping[str, JSON], base: ZonePolicy, zone: str, at: str
) -> ZonePolicy:
    _known(table, _ZONE_KEYS, f"policy.{at}")
    default = _read_rule(table.get("default", {}), base.default, f"{at}.default")
    rules = {
        name: _read_rule(value, base.rules.get(name, default), f"{at}.types.{name}")
        for name, value in table.get("types", {}).items()
    }
    labels: dict[tuple[str, str], Action] = {
        (type_, label): _action(word, f"{at}.labels.{type_}.{label}")
        for type_, words in table.get("labels", {}).items()
        for label, word in words.items()
    }
    return replace(
        base,
        zone=zone,
        default=default,
        rules={**base.rules, **rules},
        labels={**base.labels, **labels},
        density=_read_density(table["dense"], base.density, at) if "dense" in table else base.density,
        open_parts=_read_open_parts(table["open_parts"], at) if "open_parts" in table else base.open_parts,
        allow=_read_allow(top["allow"], base.allow) if "allow" in top else base.allow,
        grades={**base.grades, **{k: _grade(v, k) for k, v in top.get("grades", {}).items()}},
        never_restored=frozenset(top.get("never_restored", base.never_restored)),
        simulate=bool(top.get("simulate", base.simulate)),
    )


def _read_rule(value: JSON, base: Rule, at: str) -> Rule:
    if isinstance(value, str):
        return base._replace(action=_action(value, at))
    _known(value, ("action", "threshold"), f"policy.{at}")
    action = _action(value["action"], at) if "action" in value else base.action
    return Rule(action, _share(value.get("threshold", base.threshold), f"{at}.threshold"))


def _read_density(table: JSON, base: Density | None, at: str) -> Density | None:
    if table is False:
        return None
    _known(
        table, ("action", "people", "identifiers", "people_alone", "identifiers_alone"), f"policy.{at}.dense"
    )
    read = dict(table)
    if "action" in read:
        read["action"] = _action(read["action"], f"{at}.dense.action")
    return replace(base or Density(), **read)


def _read_open_parts(kinds: Iterable[str], at: str) -> frozenset[str]:
    _known(dict.fromkeys(kinds), UNREADABLE_KINDS, f"policy.{at}.open_parts")
    return frozenset(kinds)


def _read_allow(table: Mapping[str, JSON], base: AllowList) -> AllowList:
    _known(table, tuple(AllowList.__slots__), "policy.allow")
    digits = {
        k: frozenset(map(digits_of, table[k])) for k in ("phone_numbers", "business_numbers") if k in table
    }
    lower = {
        k: frozenset(map(str.lower, table[k])) for k in ("email_addresses", "office_mailboxes") if k in table
    }
    prefixes = (
        {"phone_prefixes": tuple(map(digits_of, table["phone_prefixes"]))}
        if "phone_prefixes" in table
        else {}
    )
    domains = (
        {"office_domains": tuple(map(str.lower, table["office_domains"]))}
        if "office_domains" in table
        else {}
    )
    return replace(base, **digits, **lower, **prefixes, **domains)  # type: ignore[arg-type]  # by field name


def _read_exception(table: Mapping[str, JSON]) -> PolicyException:
    _known(table, tuple(PolicyException.__slots__), "policy.exceptions")
    if "until" not in table:
        raise PolicyError("policy.exceptions: 'until' is missing; an exception must expire")
    narrowed = {key: str(table[key]) for key in table if key != "until"}
    if not narrowed.keys() & {"type", "rule", "value_hash"}:
        raise PolicyError(
            "policy.exceptions: name a type, a rule or a value_hash; an exception for everything is none"
        )
    return PolicyException(until=_moment(table["until"], "exceptions.until"), **narrowed)


def _known(table: JSON, keys: Sequence[str], at: str) -> None:
    if not hasattr(table, "keys"):
        raise PolicyError(f"{at}: expected a table, found {type(table).__name__}")
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"possible here: {', '.join(keys)}"
            raise PolicyError(f"{at}: unknown key {key!r}; {hint}")


def _action(word: JSON, at: str) -> Action:
    if word not in _ACTIONS:
        raise PolicyError(f"policy.{at}: {word!r} is no action; use one of {', '.join(_ACTIONS)}")
    return _ACTIONS[word]


def _grade(letter: JSON, at: str) -> Grade:
    if letter not in Grade.__members__:
        raise PolicyError(f"policy.grades.{at}: {letter!r} is no N2SF grade; use C, S or O")
    return Grade[letter]


def _share(value: JSON, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise PolicyError(f"policy.{at}: a threshold is a number from 0 to 1, not {value!r}")
    return float(value)


def _moment(value: JSON, at: str) -> datetime:
    """An aware moment in UTC; a bare date or local time is meant in Seoul."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PolicyError(
                f"policy.{at}: {value!r} is no date or time (2026-11-01, 2026-11-01T09:00:00+09:00)"
            ) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=_SEOUL)
    if not isinstance(value, datetime):
        raise PolicyError(f"policy.{at}: expected a date or a time, found {type(value).__name__}")
    return (value if value.tzinfo else value.replace(tzinfo=_SEOUL)).astimezone(UTC)
