"""What a policy would have done to requests of the past, from their receipts alone. Pure.

A receipt stores what was found, not what was written: type, label, score, rule, place, action, keyed hash.
That suffices for most questions, and where it does not the answer is "not replayed", with the reason:

    weak_findings    a threshold is lower now, and what was too weak then was not recorded
    policy_unknown   the policy that judged then is no longer in haechi.toml: its thresholds are not known
    zone_unknown     a receipt from before zones were kept, of a model that is gone; or stopped inside, where
                     the answer depends on whether it was asked there or outside
    allow_list       whether a value stands on a changed list of prefixes or domains shows in the value only
    value_hash       an exception names a value by another key than the receipt's
    unread_part      a part nobody could read, of a kind that the receipt does not name
    cut_off          a receipt of more findings than are written out

Each question is asked twice, with every doubt in favour of the request and against it. Only where both
answers are the same is it replayed. The order of judging is that of filters.decision, and a test holds the
two together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from filters import spans
from filters.decision import finding_hash
from filters.policy import EXTERNAL, IN_HOUSE, PolicyBook
from filters.verdict import Action, Grade

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from filters.policy import Policy, PolicyException, ZonePolicy
    from gateway.incidents.states import Resolution

REASONS: Final = (
    "weak_findings",
    "policy_unknown",
    "zone_unknown",
    "allow_list",
    "value_hash",
    "unread_part",
    "cut_off",
)
MOST_EXAMPLES: Final = 50

_LISTABLE: Final = frozenset({spans.PHONE_NUMBER, spans.EMAIL_ADDRESS, spans.KR_BRN})
_NOT_PERSONAL: Final = frozenset({spans.SECURITY_MARKING, spans.SECRET})
_REPEAT: Final = "repeat"
"""A second place of a value that is masked elsewhere: it follows from the first and decides nothing."""


@dataclass(frozen=True, slots=True)
class PastFinding:
    type: str
    label: str
    score: float
    rule: str
    action: Action
    value_hash: str


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A receipt, as far as a replay needs it. `zone` is empty where the receipt does not know it."""

    request_id: str
    at: datetime
    department_id: str
    unit_path: tuple[str, ...]
    policy_version: str
    zone: str
    action: Action
    findings: tuple[PastFinding, ...]
    finding_key_id: str
    unread: bool = False
    cut_off: bool = False
    verdict: Resolution | None = None
    """What a reviewer said of it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One request that would have ended otherwise."""

    request_id: str
    at: datetime
    department_id: str
    before: str
    after: str
    types: tuple[str, ...]
    verdict: str = ""


@dataclass(slots=True)
class PolicyReplay:
    """What `replay` found. `transitions` counts (action then, action under the new policy)."""

    version: str
    requests: int = 0
    replayed: int = 0
    changed: int = 0
    not_replayed: Counter[str] = field(default_factory=Counter)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    departments: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    """Types found in requests that would have ended otherwise."""
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(type, `more` or `less`): findings of texts that were inspected again, beside those of then."""
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(reviewer's verdict, `same`, `weaker` or `stronger`) over replayed requests that have one."""
    examples: list[Change] = field(default_factory=list)

    def _compare(self, past: PastRequest, found: Mapping[str, int]) -> None:
        """Count how much of each type is found more or less than then."""
        then = Counter(one.type for one in past.findings)
        for type_ in {*then, *found}:
            difference = found.get(type_, 0) - then[type_]
            if difference:
                self.found[type_, "more" if difference > 0 else "less"] += abs(difference)

    @property
    def lost(self) -> int:
        """Requests that a reviewer called rightly stopped and that would now be treated more mildly."""
        return self.verdicts["true_positive", "weaker"] + self.verdicts["escalated", "weaker"]

    def take_unreplayed(self, reason: str, requests: int = 1) -> None:
        self.requests += requests
        if requests:
            self.not_replayed[reason] += requests

    def take(self, past: PastRequest, after: Action, found: Mapping[str, int] | None = None) -> None:
        """Count one request that was replayed. `found`: findings by type, where it was inspected again."""
        self.requests += 1
        self.replayed += 1
        if found is not None:
            self._compare(past, found)
        moved = (past.action.word, after.word)
        self.transitions[moved] += 1
        if past.verdict is not None:
            self.verdicts[past.verdict.value, direction(past.action, after)] += 1
        if after is past.action:
            return
        self.changed += 1
        types = tuple(sorted({one.type for one in past.findings}))
        self.types.update(types)
        self.departments.setdefault(past.department_id, Counter())[moved] += 1
        if len(self.examples) < MOST_EXAMPLES:
            said = past.verdict.value if past.verdict is not None else ""
            self.examples.append(Change(past.request_id, past.at, past.department_id, *moved, types, said))

    def as_record(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        return {
            "policy_version": self.version,
            "requests": self.requests,
            "replayed": self.replayed,
            "changed": self.changed,
            "not_replayed": self.not_replayed.total(),
            "not_replayed_reasons": dict(sorted(self.not_replayed.items())),
            "transitions": _listed(self.transitions, "before", "after"),
            "departments": {
                department: _listed(moved, "before", "after")
                for department, moved in sorted(self.departments.items())
            },
            "types": dict(sorted(self.types.items())),
            "found": _listed(self.found, "type", "than_before"),
            "verdicts": _listed(self.verdicts, "verdict", "now"),
            "true_positives_lost": self.lost,
            "examples": [{**asdict(one), "at": one.at.isoformat()} for one in self.examples],
        }


def _listed(counts: Mapping[tuple[str, str], int], *names: str) -> list[dict[str, object]]:
    return [
        {**dict(zip(names, key, strict=True)), "number": number} for key, number in sorted(counts.items())
    ]


def direction(before: Action, after: Action) -> str:
    if before is after:
        return "same"
    return "weaker" if after < before else "stronger"


@dataclass(frozen=True, slots=True)
class Known:
    """What the present knows of the past: policies that judged, exceptions, and keys of hashes.

    `keys` are hash keys by id, `current_key_id` the one that values of exceptions are hashed with.
    `least_score`: what is less sure no detector reports, whatever a policy's threshold.
    """

    book: PolicyBook
    exceptions: tuple[PolicyException, ...]
    """Every exception that was ever in force, those of the book's policies aside."""
    keys: Mapping[str, bytes] = field(repr=False)
    current_key_id: str
    least_score: float = 0.0

    def policy(self, version: str) -> Policy | None:
        return next((policy for policy in self.book.versions if policy.version == version), None)


def replay(new: Policy, known: Known, requests: Iterable[PastRequest], now: datetime) -> PolicyReplay:
    """Judge requests of the past by a policy as it would be at `now`, with the exceptions that are open."""
    report = PolicyReplay(new.version)
    judge = Judge(new, known, now)
    for past in requests:
        after, doubt = judge.outcome(past)
        if after is None:
            report.take_unreplayed(doubt)
        else:
            report.take(past, after)
    return report


class Judge:
    """Judges past requests by one policy; what does not depend on the request is worked out once."""

    def __init__(self, new: Policy, known: Known, now: datetime) -> None:
        self._book = PolicyBook((new,)).with_exceptions(e for e in known.exceptions if e.until > now)
        self._known = known
        self._now = now
        self._pairs: dict[tuple[str, str, str, tuple[str, ...]], _Pair] = {}
        self._empty: dict[tuple[str, str, Action, tuple[str, ...]], tuple[Action | None, str]] = {}
        self._hashes: dict[tuple[frozenset[str], str, str], frozenset[str]] = {}

    def outcome(self, past: PastRequest) -> tuple[Action | None, str]:
        """Return what would have happened, or None and why that cannot be told."""
        if not past.zone:
            return None, "zone_unknown"
        if past.findings or past.unread or past.cut_off:
            return self._outcome(past)
        alike = (past.policy_version, past.zone, past.action, past.unit_path)
        if alike not in self._empty:  # most requests hold nothing, and all of these end alike
            self._empty[alike] = self._outcome(past)
        return self._empty[alike]

    def _outcome(self, past: PastRequest) -> tuple[Action | None, str]:
        if past.action is Action.ROUTE:  # kept inside: it was asked outside
            return self._asked(past, EXTERNAL)
        if past.zone != IN_HOUSE or past.action is not Action.BLOCK:
            return self._asked(past, past.zone)
        # Stopped inside: asked there, or asked outside and to be kept inside; the receipt does not tell.
        outside, inside = self._asked(past, EXTERNAL), self._asked(past, IN_HOUSE)
        return inside if outside[0] is inside[0] else (None, outside[1] or inside[1] or "zone_unknown")

    def _asked(self, past: PastRequest, asked: str) -> tuple[Action | None, str]:
        """Judge as if it were asked towards a zone; towards the outside it may be kept inside."""
        first, doubt = self._in_zone(past, asked, past.zone)
        if first is not Action.ROUTE or asked == IN_HOUSE:
            return first, doubt
        inside, doubt = self._in_zone(past, IN_HOUSE, past.zone)
        if inside is None:
            return None, doubt
        return (Action.BLOCK if inside is Action.BLOCK else Action.ROUTE), ""

    def _in_zone(self, past: PastRequest, zone: str, judged: str) -> tuple[Action | None, str]:
        """Judge towards a zone what was found under the policy of the zone `judged`."""
        pair = self._pair(past, zone, judged)
        doubts: list[str] = []
        mildest = self._judged(past, pair, doubts, passing=True)
        strictest = self._judged(past, pair, doubts, passing=False)
        unseen = Action.BLOCK if pair.old is None else pair.unseen
        if unseen > strictest:
            doubts.append("policy_unknown" if pair.old is None else "weak_findings")
            strictest = unseen
        if past.unread and past.action is Action.BLOCK and strictest < Action.BLOCK:
            doubts.append("unread_part")  # it may have been stopped for that part, whatever else it held
            strictest = Action.BLOCK
        if past.cut_off:
            doubts.append("cut_off")
            strictest = Action.BLOCK
        if past.unread and not pair.opens_as_before and strictest < Action.BLOCK:
            doubts.append("unread_part")
            strictest = Action.BLOCK
        return (mildest, "") if mildest is strictest else (None, doubts[0])

    def _pair(self, past: PastRequest, zone: str, judged: str) -> _Pair:
        key = (past.policy_version, zone, judged, past.unit_path)
        pair = self._pairs.get(key)
        if pair is None:
            then = self._known.policy(past.policy_version)
            old = None if then is None else PolicyBook((then,)).for_(past.unit_path, judged, past.at)
            ever = (*(then.exceptions if then else ()), *self._known.exceptions)
            here = tuple(one for one in ever if one.department in ("", *past.unit_path))
            new = self._book.for_(past.unit_path, zone, self._now)
            pair = self._pairs[key] = _Pair(new, old, here, self._known.least_score)
        return pair

    # --- one zone --------------------------------------------------------------------------------

    def _judged(self, past: PastRequest, pair: _Pair, doubts: list[str], *, passing: bool) -> Action:
        """Return the action over what was recorded; whoever is in doubt passes, or does not."""
        new = pair.new
        action, grade = Action.ALLOW, Grade.O
        uncleared: list[PastFinding] = []
        for found in past.findings:
            if found.rule == _REPEAT or found.score < new.rule(found.type).threshold:
                continue
            labelled = new.labels.get((found.type, found.label)) if found.label else None
            own = new.rule(found.type).action if labelled is None else labelled
            cleared = labelled is Action.ALLOW
            if own > Action.ALLOW and self._excused(past, found, pair, doubts, passing=passing):
                own, cleared = Action.ALLOW, True
            action = max(action, own)
            if cleared:
                continue
            uncleared.append(found)
            if _stays(found.type, own, new):
                grade = max(grade, new.grade(found.type, found.label))
        if new.density is not None and is_dense(new, uncleared):
            action = max(action, new.density.action)
        return Action.BLOCK if grade is Grade.C else action

    def _excused(
        self, past: PastRequest, found: PastFinding, pair: _Pair, doubts: list[str], *, passing: bool
    ) -> bool:
        by_exception = self._excepted(past, found, pair.new.exceptions)
        if by_exception:
            return True
        listed = self._listed(past, found, pair) if found.type in _LISTABLE else False
        if listed:
            return True
        for doubt, reason in ((by_exception, "value_hash"), (listed, "allow_list")):
            if doubt is None:
                doubts.append(reason)
                return passing
        return False

    def _excepted(
        self, past: PastRequest, found: PastFinding, exceptions: Sequence[PolicyException]
    ) -> bool | None:
        """Whether an exception lets a finding pass; None where the hashes cannot be compared."""
        doubt = False
        for exception in exceptions:
            if exception.type not in ("", found.type) or exception.rule not in ("", found.rule):
                continue
            if not exception.value_hash:
                return True
            made_with = exception.hash_key or self._known.keys.get(self._known.current_key_id)
            if made_with is None or made_with != self._known.keys.get(past.finding_key_id):
                doubt = True
            elif exception.value_hash == found.value_hash:
                return True
        return None if doubt else False

    def _listed(self, past: PastRequest, found: PastFinding, pair: _Pair) -> bool | None:
        """Whether a value is on the new policy's list of what is nobody's; None: only the value tells."""
        if found.value_hash in self._hashes_of(pair.listed(found.type), found.type, past.finding_key_id):
            return True
        was = self._was_listed(past, found, pair)
        if was is None or not pair.same_patterns(found.type):
            return None if pair.patterns(found.type) else False
        if was and pair.old is not None:  # by a pattern that still stands, or by a value that went
            gone = pair.listed_before(found.type)
            if found.value_hash in self._hashes_of(gone, found.type, past.finding_key_id):
                return None if pair.patterns(found.type) else False
        return was

    def _was_listed(self, past: PastRequest, found: PastFinding, pair: _Pair) -> bool | None:
        """Whether it was let pass as listed then; None where its action does not tell."""
        old = pair.old
        if old is None:
            return None
        labelled = old.labels.get((found.type, found.label)) if found.label else None
        if (old.rule(found.type).action if labelled is None else labelled) is Action.ALLOW:
            return None
        if found.action > Action.ALLOW:
            return False
        return True if self._excepted(past, found, pair.exceptions) is False else None

    def _hashes_of(self, values: frozenset[str], type_: str, key_id: str) -> frozenset[str]:
        wanted = (values, type_, key_id)
        if wanted not in self._hashes:
            key = self._known.keys.get(key_id)
            hashes = () if key is None else (finding_hash(key, type_, value) for value in values)
            self._hashes[wanted] = frozenset(hashes)
        return self._hashes[wanted]


@dataclass(frozen=True)
class _Pair:
    """The new policy towards a zone beside the one that judged then; `old` None: it is not known."""

    new: ZonePolicy
    old: ZonePolicy | None
    exceptions: tuple[PolicyException, ...]
    """Those that may have been in force then."""
    least_score: float

    @cached_property
    def unseen(self) -> Action:
        """The worst that a finding could lead to which was too weak to be recorded then."""
        if self.old is None:
            return Action.BLOCK
        named = {*self.new.rules, *self.old.rules, ""}  # "": the types that neither names
        lowered = (
            type_ for type_ in named if self.new.rule(type_).threshold < self.old.rule(type_).threshold
        )
        weaker = [type_ for type_ in lowered if self.old.rule(type_).threshold > self.least_score]
        worst = max((self._worst_of(type_) for type_ in weaker), default=Action.ALLOW)
        counts_people = any(type_ not in _NOT_PERSONAL for type_ in weaker)
        if counts_people and self.new.density is not None:
            worst = max(worst, self.new.density.action)
        return worst

    def _worst_of(self, type_: str) -> Action:
        labels = [action for (of, _), action in self.new.labels.items() if of == type_]
        classified = any(
            grade is Grade.C for name, grade in self.new.grades.items() if name.partition(":")[0] == type_
        )
        return Action.BLOCK if classified else max([self.new.rule(type_).action, *labels])

    @cached_property
    def opens_as_before(self) -> bool:
        """Whether parts that nobody can read may leave as they might then."""
        return self.old is not None and self.old.open_parts <= self.new.open_parts

    def listed(self, type_: str) -> frozenset[str]:
        return _values_of(self.new, type_)

    def listed_before(self, type_: str) -> frozenset[str]:
        return frozenset() if self.old is None else _values_of(self.old, type_)

    def patterns(self, type_: str) -> tuple[str, ...]:
        return _patterns_of(self.new, type_)

    def same_patterns(self, type_: str) -> bool:
        return self.old is not None and _patterns_of(self.old, type_) == _patterns_of(self.new, type_)


def is_dense(policy: ZonePolicy, found: Iterable[PastFinding]) -> bool:
    """Whether findings make a list of people: distinct values are told apart by their hashes."""
    density = policy.density
    if density is None:
        return False
    people, identifiers = set(), set()
    for one in found:
        if one.type == spans.PERSON:
            people.add(one.value_hash)
        elif one.type not in _NOT_PERSONAL:
            identifiers.add(one.value_hash)
    return (
        (len(people) >= density.people and len(identifiers) >= density.identifiers)
        or len(people) >= density.people_alone
        or len(identifiers) >= density.identifiers_alone
    )


def _stays(type_: str, action: Action, policy: ZonePolicy) -> bool:
    """As in filters.decision: whether a finding is still in what would leave."""
    if type_ == spans.SECURITY_MARKING:
        return action > Action.ALLOW or policy.zone == IN_HOUSE
    if action is Action.ALLOW:
        return policy.zone == IN_HOUSE
    return action is Action.ROUTE


def _values_of(policy: ZonePolicy, type_: str) -> frozenset[str]:
    allow = policy.allow
    if type_ == spans.PHONE_NUMBER:
        abroad = (f"82{number[1:]}" for number in allow.phone_numbers if number.startswith("0"))
        return allow.phone_numbers.union(abroad)
    return allow.email_addresses if type_ == spans.EMAIL_ADDRESS else allow.business_numbers


def _patterns_of(policy: ZonePolicy, type_: str) -> tuple[str, ...]:
    """What lets values pass that are not listed one by one, in an order of its own."""
    allow = policy.allow
    if type_ == spans.PHONE_NUMBER:
        return tuple(sorted(allow.phone_prefixes))
    if type_ == spans.EMAIL_ADDRESS and allow.office_domains and allow.office_mailboxes:
        return (*sorted(allow.office_domains), "@", *sorted(allow.office_mailboxes))
    return ()
