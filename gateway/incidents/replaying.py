"""Tries a change of policy or rules on the past: reads the candidate, receipts and stored texts.

    read_candidate   a haechi.toml, or a file with one policy, that is not switched on
    replay_policy    its policy over every receipt of a period
    replay_rules     its rules, under its policy, over the texts that are stored

Verdicts of reviewers are the regression set of both: a report says how many requests that were called rightly
stopped would pass (`lost`). No text leaves this module, and none is written anywhere.
"""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from filters.decision import Found, decide
from filters.detectors.custom import MIN_SCORE, CustomRule
from filters.engine import Engine
from filters.errors import FilterRefusal
from filters.inspector import Detection, Inspector
from filters.policy import EXTERNAL, IN_HOUSE, Policy, PolicyBook
from filters.verdict import Action
from filters.walker import Kind, Part, Walk
from gateway.incidents.replay import Known, PolicyReplay, replay
from gateway.keyring import Purpose
from gateway.store.incident_statistics import (
    exceptions_ever,
    incidents_without_text,
    past_request,
    past_requests,
)
from gateway.ways import outermost

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from gateway.catalogue import Catalogue
    from gateway.config import Config
    from gateway.incidents.desk import ReviewDesk
    from gateway.incidents.oversight import Period
    from gateway.incidents.records import StoredText
    from gateway.incidents.replay import PastRequest
    from gateway.keyring import Keyring
    from gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a file says about the filter; `rules` None: it says nothing about rules."""

    policies: tuple[Policy, ...]
    rules: tuple[CustomRule, ...] | None

    def policy(self, version: str = "") -> Policy | None:
        """Return the policy of that name; without a name the one that begins last."""
        if version:
            return next((policy for policy in self.policies if policy.version == version), None)
        return max(self.policies, key=lambda policy: policy.effective_from, default=None)


def read_candidate(text: str) -> Candidate:
    """Read a candidate. Raises TOMLDecodeError, PolicyError or CustomRuleError."""
    tables: dict[str, Any] = tomllib.loads(text)
    if "version" in tables:
        return Candidate((Policy.from_mapping(tables),), None)
    filtering = tables.get("filter", {})
    rules = filtering.get("rules")
    return Candidate(
        tuple(Policy.from_mapping(table) for table in filtering.get("policies", ())),
        None if rules is None else tuple(CustomRule.from_mapping(table) for table in rules),
    )


@dataclass(frozen=True, slots=True)
class Past:
    """Where the past is kept, and what the present knows of it."""

    database: Database
    keyring: Keyring
    config: Config

    def known(self) -> Known:
        current = self.keyring.current(Purpose.FINDING_HASH)
        keys = {key.key_id: key.key for key in self.keyring.all(Purpose.FINDING_HASH)}
        exceptions = exceptions_ever(self.database, keys, current.key_id)
        return Known(self.config.policies, exceptions, keys, current.key_id, MIN_SCORE)

    @property
    def zone_of(self) -> Mapping[str, str]:
        return zones_of(self.config.catalogue)


def zones_of(catalogue: Catalogue) -> dict[str, str]:
    """Return the zone that each model is judged by."""
    return {model.id: outermost(model).value for model in catalogue.models.values()}


def replay_policy(
    past: Past, policy: Policy, period: Period, now: datetime, departments: Collection[str] | None = None
) -> PolicyReplay:
    """Judge every request of a period by a policy, as it would be at `now`; some 30,000 receipts a second."""
    requests = past_requests(
        past.database, period.start, period.end, departments=departments, zone_of=past.zone_of
    )
    return replay(policy, past.known(), requests, now)


def replay_rules(
    past: Past,
    desk: ReviewDesk,
    rules: Iterable[CustomRule],
    policy: Policy,
    period: Period,
    now: datetime,
) -> PolicyReplay:
    """Inspect the stored texts of a period again, with other rules of the institution and this Haechi's own.

    `not_replayed` counts incidents without a text (`no_text`), texts that are not whole (`cut_off`), and
    those that cannot be inspected (`unreadable`).
    """
    report = PolicyReplay(policy.version)
    retrial = Retrial(Engine(tuple(rules)))
    known = past.known()
    book = PolicyBook((policy,)).with_exceptions(e for e in known.exceptions if e.until > now)
    key = known.keys[known.current_key_id]
    for incident_id, text in desk.texts(now, period.start, period.end):
        then = past_request(past.database, incident_id, past.zone_of)
        if then is None or not then.zone or not text.complete:
            report.take_unreplayed("cut_off" if not text.complete else "zone_unknown")
            continue
        try:
            after, found = _outcome(retrial.of(text), then, book, key, now)
        except FilterRefusal:
            report.take_unreplayed("unreadable")
            continue
        if then.unread and then.action is Action.BLOCK and after is not Action.BLOCK:
            report.take_unreplayed("unread_part")  # it may have been stopped for what nobody could read
            continue
        report.take(then, after, found=found)
    missing = incidents_without_text(past.database, period.start, period.end, now)
    report.take_unreplayed("no_text", missing)
    return report


def _outcome(
    detection: Detection, then: PastRequest, book: PolicyBook, key: bytes, now: datetime
) -> tuple[Action, Counter[str]]:
    """Return what would happen to a request, and what is found in it by type."""
    asked = EXTERNAL if then.action is Action.ROUTE else then.zone
    verdict = decide(detection, book.for_(then.unit_path, asked, now), key)
    found = Counter(one.span.type for one in verdict.findings)
    if verdict.receipt.action is not Action.ROUTE or asked == IN_HOUSE:
        return verdict.receipt.action, found
    inside = decide(detection, book.for_(then.unit_path, IN_HOUSE, now), key).receipt.action
    return (Action.BLOCK if inside is Action.BLOCK else Action.ROUTE), found


class Retrial(Inspector):
    """Inspects the parts of a stored text as they were inspected when they were a request."""

    def of(self, text: StoredText) -> Detection:
        """Raises Unscannable or DetectorFailed."""
        began = time.perf_counter_ns()
        parts = [Part(one.where, one.text, Kind(one.kind), one.name, one.role) for one in text.parts]
        characters = sum(len(part.text) for part in parts)
        walk = Walk(parts, [], characters, len(parts))
        found = {_place(one): one for one in self._across(walk)} | {
            _place(one): one for one in self._each(walk, began)
        }
        return Detection(
            body=NO_BODY,
            parts=tuple(parts),
            found=tuple(sorted(found.values(), key=lambda one: (one.part, one.span.start))),
            unread=(),
            parts_seen=len(parts),
            characters=characters,
            rules_version=self.rules_version,
            elapsed_us=(time.perf_counter_ns() - began) // 1000,
            stages_us={},
        )


NO_BODY: Final[dict[str, Any]] = {}
"""Stands for the body of a stored text: what would be masked in it is not asked."""


def _place(one: Found) -> tuple[int, int, int, str]:
    return one.part, one.span.start, one.span.end, one.span.type
