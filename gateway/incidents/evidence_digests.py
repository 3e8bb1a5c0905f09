"""What an evidence pack says of contents that it leaves out: keyed digests. Pure.

A listed number has few possible values, so whoever held a plain digest could try them all. With the
institution's key, whoever holds the pack and the configuration still learns whether they are the same.
"""

from __future__ import annotations

import hmac
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from gateway.incidents.evidence_pack import NoPack, as_json, document
from gateway.keyring import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from filters.detectors.custom import CustomRule
    from filters.policy import AllowList, Policy
    from gateway.config import Config
    from gateway.domain import JSON
    from gateway.keyring import DerivedKey, Keyring

LISTS: Final = ("phone_numbers", "phone_prefixes", "business_numbers", "email_addresses")


def digest_of_list(allow: AllowList, key: DerivedKey) -> dict[str, str]:
    """Return the digest of what is listed: a telephone number may be somebody's."""
    return _digest("allow", {name: sorted(getattr(allow, name)) for name in LISTS}, key)


def digest_of_rule(rule: CustomRule, key: DerivedKey) -> dict[str, str]:
    """Return the digest of a rule of the institution: its words may be names of what is secret."""
    return _digest("rule", asdict(rule), key)


def compared(pack: bytes, config: Config, keyring: Keyring) -> Iterator[tuple[str, bool | None]]:
    """Yield (what, whether it is the same now) for every digest of a pack. What is gone is not the same.

    None: the digest was made with a secret that this keyring does not hold. Raises NoPack.
    """
    policies, rules = (document(pack, name) for name in ("policies.json", "rules.json"))
    try:
        yield from _compared(policies, rules, config, keyring)
    except (KeyError, TypeError, AttributeError) as error:
        raise NoPack(type(error).__name__) from None


def _compared(
    policies: JSON, rules: JSON, config: Config, keyring: Keyring
) -> Iterator[tuple[str, bool | None]]:
    ours = {policy.version: _lists(policy) for policy in config.policies.versions}
    for told in policies["policies"]:
        lists = ours.get(told["version"], {})
        for place, zone in (told["zones"] | told["departments"]).items():
            digest = partial(digest_of_list, lists[place]) if place in lists else None
            yield f"{told['version']} {place}", _same(zone["allow"], digest, keyring)
    by_name = {rule.name: rule for rule in config.custom_rules}
    for told in rules["institution_rules"]:
        rule = by_name.get(told["name"])
        yield told["name"], _same(told, partial(digest_of_rule, rule) if rule else None, keyring)


def _lists(policy: Policy) -> dict[str, AllowList]:
    """Return the lists of a policy by the names that a pack gives their places."""
    departments = {f"{unit}/{zone}": own.allow for (unit, zone), own in policy.departments.items()}
    return {name: zone.allow for name, zone in policy.zones.items()} | departments


def _same(
    told: Mapping[str, str], digest: Callable[[DerivedKey], Mapping[str, str]] | None, keyring: Keyring
) -> bool | None:
    key = keyring.by_id(Purpose.EVIDENCE_DIGEST, told["key_id"])
    if key is None:
        return None
    return digest is not None and hmac.compare_digest(digest(key)["hmac_sha256"], told["hmac_sha256"])


def _digest(what: str, value: Mapping[str, Any], key: DerivedKey) -> dict[str, str]:
    mac = hmac.new(key.key, what.encode() + b"\n" + as_json(value), sha256).hexdigest()
    return {"hmac_sha256": mac, "key_id": key.key_id}
