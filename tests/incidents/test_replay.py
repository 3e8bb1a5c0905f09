"""A replay from receipts says what `decide` would say with the text at hand, or that it cannot tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.decision import decide, finding_hash
from filters.inspector import Inspector
from filters.policy import EXTERNAL, IN_HOUSE, Policy, PolicyBook, PolicyException, default_policy
from filters.spans import Span
from filters.verdict import Action
from gateway.incidents.replay import Judge, Known, PastFinding, PastRequest, replay
from gateway.incidents.states import Resolution

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
KEY = b"k" * 32
UNITS = ("SEOUL", "HJ", "CM")
FOUND = {
    "홍길동": ("PERSON", 0.9, ""),
    "김하늘": ("PERSON", 0.6, ""),
    "이수": ("PERSON", 0.4, ""),
    "901010-1234567": ("KR_RRN", 1.0, ""),
    "901010-1": ("KR_RRN", 0.7, "partial"),
    "010-1234-5678": ("PHONE_NUMBER", 0.8, ""),
    "02-120": ("PHONE_NUMBER", 0.8, ""),
    "120-81-12345": ("KR_BRN", 0.9, "company"),
    "120-90-12345": ("KR_BRN", 0.45, "individual"),
    "minwon@seoul.go.kr": ("EMAIL_ADDRESS", 0.9, ""),
    "hong@seoul.go.kr": ("EMAIL_ADDRESS", 0.9, ""),
    "대외비": ("SECURITY_MARKING", 1.0, "대외비"),
    "비공개": ("SECURITY_MARKING", 1.0, "비공개"),
    "STAFF-77": ("STAFF_NO", 0.55, ""),
}


class Finder:
    """Finds the words above, with their scores and labels."""

    rules_version = "test"

    def detect(self, text):
        found, at = [], 0
        while at < len(text):
            word = next((w for w in sorted(FOUND, key=len, reverse=True) if text.startswith(w, at)), None)
            if word is not None:
                type_, score, label = FOUND[word]
                found.append(Span(at, at + len(word), type_, score, f"rule_{type_.lower()}", label))
            at += len(word or "-")
        return found

    def detect_joined(self, texts):
        return []


INSPECTOR = Inspector(Finder())


def judged(policy, zone, text):
    """What the gateway does with a text that is sent towards a zone, and its receipt."""
    detection = INSPECTOR.detect(text)
    verdict = decide(detection, PolicyBook((policy,)).for_(UNITS, zone, NOW), KEY)
    if zone == EXTERNAL and verdict.action is Action.ROUTE:
        inside = decide(detection, PolicyBook((policy,)).for_(UNITS, IN_HOUSE, NOW), KEY)
        action = Action.BLOCK if inside.action is Action.BLOCK else Action.ROUTE
        return action, replace(inside.receipt, action=action)
    return verdict.action, verdict.receipt


def past(receipt, **changes):
    record = receipt.as_record()
    findings = tuple(
        PastFinding(
            one["type"],
            one["label"],
            one["score"],
            one["rule"],
            Action[one["action"].upper()],
            one["value_hash"],
        )
        for one in record["findings"]
    )
    made = PastRequest(
        "req", NOW, "CM", UNITS, receipt.policy_version, receipt.zone, receipt.action, findings, "k1"
    )
    return replace(made, **changes)


def known(*policies, exceptions=()):
    return Known(PolicyBook(policies), tuple(exceptions), {"k1": KEY}, "k1")


def policy_of(version="new", **table):
    return Policy.from_mapping({"version": version, **table})


def outcome(new, old, text, towards=EXTERNAL, exceptions=(), **changes):
    _, receipt = judged(old, towards, text)
    return Judge(new, known(old, exceptions=exceptions), NOW).outcome(past(receipt, **changes))


ACTIONS = st.sampled_from(["allow", "mask", "route", "block"])
THRESHOLDS = st.sampled_from([0.3, 0.5, 0.65, 0.85])
RULES = st.one_of(ACTIONS, st.builds(lambda a, t: {"action": a, "threshold": t}, ACTIONS, THRESHOLDS))
TYPES = st.dictionaries(st.sampled_from(sorted({found[0] for found in FOUND.values()})), RULES, max_size=4)
DENSE = st.sampled_from(
    [False, {"people": 1, "identifiers": 1}, {"action": "block", "people_alone": 2}, {"identifiers_alone": 2}]
)
ZONES = st.fixed_dictionaries({"types": TYPES}, optional={"dense": DENSE})
ALLOW = st.fixed_dictionaries(
    {},
    optional={
        "phone_numbers": st.lists(st.sampled_from(["02-120", "010-1234-5678"]), max_size=2),
        "phone_prefixes": st.lists(st.sampled_from(["02", "010-12"]), max_size=1),
        "email_addresses": st.lists(st.sampled_from(["hong@seoul.go.kr"]), max_size=1),
        "office_mailboxes": st.lists(st.sampled_from(["minwon", "hong"]), max_size=2),
        "business_numbers": st.lists(st.sampled_from(["120-90-12345"]), max_size=1),
    },
)
GRADES = st.dictionaries(st.sampled_from(["PERSON", "KR_BRN:individual"]), st.sampled_from("CSO"), max_size=2)
EXCEPTIONS = st.lists(
    st.one_of(
        st.just({"until": NOW + timedelta(days=9), "rule": "rule_person", "department": "HJ"}),
        st.just({"until": NOW - timedelta(days=9), "type": "PERSON"}),
        st.just(
            {
                "until": NOW + timedelta(days=9),
                "value_hash": finding_hash(KEY, "PHONE_NUMBER", "010-1234-5678"),
            }
        ),
    ),
    max_size=2,
)
TABLES = st.fixed_dictionaries(
    {},
    optional={
        "external": ZONES,
        "in_house": ZONES,
        "allow": ALLOW,
        "grades": GRADES,
        "exceptions": EXCEPTIONS,
    },
)
TEXTS = st.lists(st.sampled_from([*FOUND, "회의", "그리고"]), max_size=5).map(" ".join)
ANYWHERE = st.sampled_from([EXTERNAL, IN_HOUSE])


@settings(max_examples=400, deadline=None)
@given(old=TABLES, new=TABLES, text=TEXTS, zone=ANYWHERE)
def test_a_replay_says_what_the_text_itself_would_have_said_or_nothing(old, new, text, zone):
    old, new = policy_of("old", **old), policy_of("new", **new)
    action, receipt = judged(old, zone, text)
    if zone == IN_HOUSE and action is Action.ROUTE:
        return  # a receipt does not tell it from a request that was kept inside
    replayed, doubt = Judge(new, known(old), NOW).outcome(past(receipt))
    if replayed is None:
        assert doubt
    else:
        assert replayed is judged(new, zone, text)[0]


def test_what_was_stopped_inside_may_have_been_asked_outside():
    """Its marking would keep it inside, where the old policy stopped the number and the new one does not."""
    old = policy_of("old", in_house={"types": {"KR_BRN": "block"}})
    _, receipt = judged(old, EXTERNAL, "120-81-12345 비공개")
    assert (receipt.action, receipt.zone) == (Action.BLOCK, IN_HOUSE)
    assert Judge(policy_of(), known(old), NOW).outcome(past(receipt)) == (None, "zone_unknown")


@settings(max_examples=100, deadline=None)
@given(table=TABLES, text=TEXTS)
def test_the_same_policy_is_replayed_without_a_doubt_outside(table, text):
    policy = policy_of("old", **table)
    action, receipt = judged(policy, EXTERNAL, text)
    if receipt.zone == EXTERNAL and not policy.exceptions:
        assert Judge(replace(policy, version="new"), known(policy), NOW).outcome(past(receipt)) == (
            action,
            "",
        )


def test_a_stricter_policy_is_replayed_over_receipts():
    new = policy_of(external={"types": {"PERSON": "block"}})
    assert outcome(new, default_policy(), "홍길동") == (Action.BLOCK, "")
    assert outcome(new, default_policy(), "안녕하세요") == (Action.ALLOW, "")


def test_a_lower_threshold_is_replayed_only_where_weaker_findings_could_change_nothing():
    new = policy_of(external={"types": {"PERSON": {"action": "mask", "threshold": 0.3}}, "dense": False})
    assert outcome(new, default_policy(), "안녕하세요") == (None, "weak_findings")
    assert outcome(new, default_policy(), "010-1234-5678") == (Action.MASK, "")
    assert outcome(new, default_policy(), "901010-1234567") == (Action.BLOCK, "")


def test_a_higher_threshold_is_replayed_from_scores():
    new = policy_of(external={"types": {"PERSON": {"action": "mask", "threshold": 0.7}}})
    assert outcome(new, default_policy(), "김하늘") == (Action.ALLOW, "")
    assert outcome(new, default_policy(), "홍길동") == (Action.MASK, "")


def test_a_listed_value_is_recognised_by_its_hash_and_a_pattern_is_not():
    listed = policy_of(allow={"phone_numbers": ["010-1234-5678"]})
    assert outcome(listed, default_policy(), "010-1234-5678") == (Action.ALLOW, "")
    by_prefix = policy_of(allow={"phone_prefixes": ["010-12"]})
    assert outcome(by_prefix, default_policy(), "010-1234-5678") == (None, "allow_list")


def test_a_reviewers_exception_passes_in_its_department_until_it_ends():
    until = NOW + timedelta(days=1)
    here = PolicyException(until, rule="rule_person", department="CM")
    assert outcome(policy_of(), default_policy(), "홍길동", exceptions=[here]) == (Action.ALLOW, "")
    there = replace(here, department="IS")
    assert outcome(policy_of(), default_policy(), "홍길동", exceptions=[there]) == (Action.MASK, "")
    over = replace(here, until=NOW)
    assert outcome(policy_of(), default_policy(), "홍길동", exceptions=[over]) == (Action.MASK, "")


def test_a_hash_of_another_key_is_not_compared():
    passing = PolicyException(
        NOW + timedelta(days=1), value_hash=finding_hash(KEY, "PERSON", "홍길동"), type="PERSON"
    )
    new = policy_of()
    assert outcome(new, default_policy(), "홍길동", exceptions=[passing]) == (Action.ALLOW, "")
    assert outcome(new, default_policy(), "홍길동", exceptions=[passing], finding_key_id="old") == (
        None,
        "value_hash",
    )


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"zone": ""}, "zone_unknown"),
        ({"policy_version": "2020"}, "policy_unknown"),
        ({"cut_off": True}, "cut_off"),
    ],
)
def test_what_a_receipt_does_not_tell_is_not_guessed(changes, doubt):
    assert outcome(policy_of(), default_policy(), "홍길동", **changes) == (None, doubt)


def test_a_part_that_nobody_read_leaves_only_where_the_new_policy_opens_as_much():
    assert outcome(policy_of(), default_policy(), "", IN_HOUSE, unread=True) == (Action.ALLOW, "")
    shut = policy_of(in_house={"open_parts": ["image"]})
    assert outcome(shut, default_policy(), "", IN_HOUSE, unread=True) == (None, "unread_part")


def test_the_report_counts_changes_by_department_and_by_the_reviewers_verdicts():
    _, receipt = judged(default_policy(), EXTERNAL, "901010-1234567")
    _, fine = judged(default_policy(), EXTERNAL, "안녕하세요")
    requests = [
        past(receipt, request_id="a", verdict=Resolution.TRUE_POSITIVE),
        past(receipt, request_id="b", verdict=Resolution.FALSE_POSITIVE, department_id="IS"),
        past(receipt, request_id="c", zone=""),
        past(fine, request_id="d"),
    ]
    report = replay(policy_of(external={"types": {"KR_RRN": "mask"}}), known(default_policy()), requests, NOW)
    assert (report.requests, report.replayed, report.changed) == (4, 3, 2)
    assert report.not_replayed == {"zone_unknown": 1}
    assert report.transitions == {("block", "mask"): 2, ("allow", "allow"): 1}
    assert report.departments == {"CM": {("block", "mask"): 1}, "IS": {("block", "mask"): 1}}
    assert report.verdicts == {("true_positive", "weaker"): 1, ("false_positive", "weaker"): 1}
    assert report.lost == 1
    assert [example.request_id for example in report.examples] == ["a", "b"]
    assert report.examples[0].types == ("KR_RRN",)


@pytest.mark.parametrize("open_parts", [[], ["image"]])
def test_what_was_stopped_with_an_unread_part_is_not_said_to_pass(open_parts: list[str]) -> None:
    _, receipt = judged(policy_of("old"), EXTERNAL, "도로 점용 허가")
    stopped = past(receipt, action=Action.BLOCK, unread=True)
    old = policy_of("old", external={"open_parts": open_parts})
    assert Judge(policy_of(), known(old), NOW).outcome(stopped) == (None, "unread_part")
