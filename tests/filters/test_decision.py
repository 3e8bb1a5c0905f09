"""Decisions: the highest finding decides, permissions lower, density and grade raise, the receipt tells."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from filters.decision import decide, finding_hash
from filters.errors import Unscannable
from filters.inspector import Inspector
from filters.masking import Restorer
from filters.policy import EXTERNAL, IN_HOUSE, Policy, PolicyException, default_policy
from filters.spans import Span
from filters.verdict import Action
from tests.filters.wordfinder import WordFinder

OUT = default_policy().zones[EXTERNAL]
IN = default_policy().zones[IN_HOUSE]
KEY = b"k" * 32
WORDS = {
    "홍길동": "PERSON",
    "901010-1234567": "KR_RRN",
    "010-1234-5678": "PHONE_NUMBER",
    "02-120": "PHONE_NUMBER",
    "minwon@seoul.go.kr": "EMAIL_ADDRESS",
    "hong@seoul.go.kr": "EMAIL_ADDRESS",
}


class Labelled(WordFinder):
    """Finds markings and numbers with a label, as `word:label`."""

    def __init__(self, labels, type_):
        super().__init__(dict.fromkeys(labels, type_))
        self.labels = labels

    def detect(self, text):
        return [s._replace(label=self.labels[text[s.start : s.end]]) for s in super().detect(text)]


def verdict(text, policy=OUT, finder=None, key=b""):
    return decide(Inspector(finder or WordFinder(WORDS)).detect(text), policy, key)


def test_nothing_found_is_allowed_and_the_very_object_is_sent():
    body = {"messages": [{"role": "user", "content": "안녕하세요"}]}
    found = decide(Inspector(WordFinder(WORDS)).detect(body), OUT)
    assert found.action is Action.ALLOW
    assert found.body is body
    assert (found.receipt.grade_before, found.receipt.grade) == ("O", "O")


def test_the_highest_finding_decides():
    assert verdict("홍길동").action is Action.MASK
    assert verdict("홍길동 901010-1234567").action is Action.BLOCK


def test_a_name_alone_never_blocks():
    many = {f"김가{chr(0xAC00 + i)}": "PERSON" for i in range(100)}
    text = " ".join(many)
    assert verdict(text, finder=WordFinder(many)).action is Action.ROUTE  # a register of people


def test_masking_lowers_the_grade_that_leaves():
    receipt = verdict("홍길동").receipt
    assert (receipt.grade_before, receipt.grade) == ("S", "O")


def test_inside_the_house_names_pass_and_identity_numbers_are_masked_for_good():
    found = verdict("홍길동 901010-1234567", IN)
    assert found.action is Action.MASK
    assert found.body == "홍길동 ⟦KR_RRN_1⟧"
    assert not found.masks
    assert found.receipt.grade == "S"


def test_one_detection_is_judged_for_several_zones():
    finder = WordFinder(WORDS)
    detection = Inspector(finder).detect("홍길동")
    calls = finder.calls
    assert (decide(detection, OUT).action, decide(detection, IN).action) == (Action.MASK, Action.ALLOW)
    assert finder.calls == calls


@pytest.mark.parametrize(
    ("label", "out", "inside", "grade"),
    [
        ("대외비", Action.BLOCK, Action.BLOCK, "C"),
        ("급비밀", Action.BLOCK, Action.BLOCK, "C"),
        ("비공개", Action.ROUTE, Action.ALLOW, "S"),
        ("내부검토용", Action.ROUTE, Action.ALLOW, "S"),
        ("결재전", Action.ROUTE, Action.ALLOW, "S"),
    ],
)
def test_a_marking_decides_by_its_grade(label, out, inside, grade):
    finder = Labelled({"【표시】": label}, "SECURITY_MARKING")
    for policy, action in ((OUT, out), (IN, inside)):
        found = verdict("【표시】 계획", policy, finder)
        assert (found.action, found.receipt.grade) == (action, grade)
        assert found.body == "【표시】 계획"  # a marking is no value to mask


def test_a_permission_does_not_open_what_is_classified():
    table = {"version": "v", IN_HOUSE: {"labels": {"SECURITY_MARKING": {"대외비": "route"}}}}
    found = verdict(
        "【표시】",
        Policy.from_mapping(table).zones[IN_HOUSE],
        Labelled({"【표시】": "대외비"}, "SECURITY_MARKING"),
    )
    assert found.action is Action.BLOCK
    assert found.receipt.reasons == ("grade_C",)


@pytest.mark.parametrize(
    ("label", "action"), [("company", "allow"), ("government", "allow"), ("individual", "mask")]
)
def test_a_business_number_is_personal_only_if_it_says_so(label, action):
    found = verdict("214-82-10532", finder=Labelled({"214-82-10532": label}, "KR_BRN"))
    assert found.action.word == action


def test_official_numbers_and_office_mailboxes_pass_and_a_persons_mailbox_does_not():
    assert verdict("minwon@seoul.go.kr").action is Action.ALLOW
    assert verdict("hong@seoul.go.kr").action is Action.MASK
    policy = Policy.from_mapping({"version": "v", "allow": {"phone_numbers": ["02 120"]}}).zones[EXTERNAL]
    assert verdict("02-120", policy).action is Action.ALLOW
    assert verdict("010-1234-5678", policy).action is Action.MASK


def test_a_weak_finding_counts_as_not_found():
    strict = replace(OUT, rules={**OUT.rules, "PERSON": OUT.rules["PERSON"]._replace(threshold=0.95)})
    found = verdict("홍길동", strict)
    assert found.action is Action.ALLOW
    assert found.findings == ()


def test_an_exception_opens_one_value_by_its_hash():
    until = datetime(2027, 1, 1, tzinfo=UTC)
    digest = finding_hash(KEY, "PHONE_NUMBER", "01012345678")
    policy = replace(OUT, exceptions=(PolicyException(until, value_hash=digest),))
    assert verdict("010-1234-5678", policy, key=KEY).action is Action.ALLOW
    assert verdict("010-1234-5678", policy, key=b"other").action is Action.MASK
    assert verdict("02-120", policy, key=KEY).action is Action.MASK


def test_an_exception_for_a_rule_or_type_opens_only_that():
    until = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=1)
    policy = replace(OUT, exceptions=(PolicyException(until, type="KR_RRN"),))
    assert verdict("901010-1234567", policy).action is Action.ALLOW
    assert verdict("홍길동", policy).action is Action.MASK


def test_a_list_of_people_is_routed_and_a_letter_about_one_is_not():
    people = {f"이름{chr(0xAC00 + i)}": "PERSON" for i in range(6)} | {
        f"010-0000-000{i}": "PHONE_NUMBER" for i in range(6)
    }
    finder = WordFinder(people)
    assert verdict(" ".join(people), finder=finder).action is Action.ROUTE
    assert verdict(" ".join(people), finder=finder).receipt.reasons == ("dense_personal_data",)
    assert verdict(" ".join(people), IN, finder).action is Action.ALLOW
    assert verdict("이름가 010-0000-0000 " * 20, finder=finder).action is Action.MASK


def test_simulation_records_what_would_happen_and_changes_nothing():
    found = verdict("홍길동 901010-1234567", replace(OUT, simulate=True))
    assert found.action is Action.ALLOW
    assert found.body == "홍길동 901010-1234567"
    assert not found.masks
    assert found.receipt.action is Action.BLOCK
    assert found.receipt.simulated


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
STRANGE = {"type": "hologram"}


def body(*parts):
    return {"messages": [{"role": "user", "content": list(parts)}]}


def test_an_unread_part_is_refused_outside_and_listed_inside():
    detection = Inspector(WordFinder(WORDS)).detect(body(IMAGE))
    with pytest.raises(Unscannable, match="unreadable_part") as refused:
        decide(detection, OUT)
    assert refused.value.parts == (("messages[0].content[0]", "image"),)
    assert decide(detection, IN).receipt.unscanned == ("messages[0].content[0]",)
    opened = replace(OUT, open_parts=frozenset({"image"}))
    assert decide(detection, opened).receipt.unscanned == ("messages[0].content[0]",)


def test_an_unknown_part_is_refused_everywhere():
    detection = Inspector(WordFinder(WORDS)).detect(body(IMAGE, STRANGE))
    for policy in (OUT, IN, replace(OUT, simulate=True)):
        with pytest.raises(Unscannable, match="unknown_part"):
            decide(detection, policy)


def test_a_blocked_request_is_blocked_for_what_was_found_even_with_an_image():
    detection = Inspector(WordFinder(WORDS)).detect(body(IMAGE, {"type": "text", "text": "901010-1234567"}))
    assert decide(detection, OUT).action is Action.BLOCK


def test_a_value_found_once_is_masked_wherever_it_stands():
    class OnlyFirst(WordFinder):
        def detect(self, text):
            return super().detect(text)[:1]

    found = verdict("성명: 홍길동. 홍길동이 신청. 박홍길동네", finder=OnlyFirst(WORDS))
    assert found.body == "성명: ⟦PERSON_1⟧. ⟦PERSON_1⟧이 신청. 박홍길동네"
    assert [f.span.rule for f in found.findings] == ["word", "repeat"]


class Overlapping(WordFinder):
    """Finds spans that overlap, as two looks at one text may."""

    def detect(self, text):
        at = text.find("ABCDEF")
        if at < 0:
            return []
        spans = [Span(at, at + 4, "PHONE_NUMBER", 0.9, "a"), Span(at + 2, at + 6, "KR_VEHICLE", 0.9, "b")]
        return [*spans, Span(at + 1, at + 3, "PERSON", 0.9, "c")]


@pytest.mark.parametrize(
    "wrap", [str, lambda text: json.dumps({"a": text}), lambda text: json.dumps(["\n" + text])]
)
def test_findings_that_overlap_are_masked_to_their_last_character(wrap):
    text = wrap("xABCDEFy")
    found = verdict(text, finder=Overlapping({}))
    assert "x⟦PHONE_NUMBER_1⟧⟦KR_VEHICLE_1⟧y" in found.body
    assert Restorer(found.masks).restore(found.body) == text
    assert [f.token for f in found.findings] == ["⟦PHONE_NUMBER_1⟧", "⟦PHONE_NUMBER_1⟧", "⟦KR_VEHICLE_1⟧"]


@pytest.mark.parametrize(
    ("source", "masked"),
    [("[12345678, 1]", '["⟦PHONE_NUMBER_1⟧", 1]'), ("[1, 12345678]", '[1, "⟦PHONE_NUMBER_1⟧"]')],
)
def test_a_number_is_masked_whole_also_when_two_findings_share_it(source, masked):
    class Inside(WordFinder):
        def detect(self, text):
            at = text.find("345678")
            return [Span(at, at + 3, "PHONE_NUMBER", 0.9, "a"), Span(at + 2, at + 6, "KR_VEHICLE", 0.9, "b")]

    assert verdict(source, finder=Inside({})).body == masked


def test_a_name_is_masked_again_inside_arguments_that_are_written_in_escapes():
    class OnlyText(WordFinder):
        def detect(self, text):
            return [] if text.startswith("{") else super().detect(text)

    call = {"function": {"arguments": json.dumps({"to": "홍길동"})}}
    body = {
        "messages": [{"role": "user", "content": "홍길동에게"}, {"role": "assistant", "tool_calls": [call]}]
    }
    sent = decide(Inspector(OnlyText(WORDS)).detect(body), OUT).body
    assert sent["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"to": "⟦PERSON_1⟧"}'


def test_a_short_name_is_repeated_only_as_a_word_of_its_own():
    class OnlyFirst(WordFinder):
        def detect(self, text):
            return super().detect(text)[:1]

    found = verdict("이수 주무관. 이수는 교육을 이수하고 이수, 김이수", finder=OnlyFirst({"이수": "PERSON"}))
    assert found.body == "⟦PERSON_1⟧ 주무관. ⟦PERSON_1⟧는 교육을 이수하고 ⟦PERSON_1⟧, 김이수"


def test_the_receipt_holds_types_and_places_and_never_a_value():
    request = {
        "messages": [{"role": "user", "content": "홍길동 901010-1234567"}],
        "metadata": {"홍길동": "x"},
    }
    found = decide(Inspector(WordFinder(WORDS)).detect(request), OUT, KEY)
    record = found.receipt.as_record()
    written = json.dumps(record, ensure_ascii=False) + repr(found)
    assert "홍길동" not in written
    assert "901010" not in written
    assert record["counts"] == {"PERSON": 2, "KR_RRN": 1}
    assert record["actions"] == {"mask": 2, "block": 1}
    assert {f["path"] for f in record["findings"]} == {"messages[0].content", "metadata.*"}
    assert record["parts_seen"] == 4
    assert set(record["stages_us"]) == {"walk", "detect", "join", "decide"}


def test_hashes_are_equal_for_renderings_and_differ_by_key_and_type():
    assert finding_hash(KEY, "KR_RRN", "901010-1234567") == finding_hash(
        KEY, "KR_RRN", "９０１０１０ １２３４５６７"
    )
    assert finding_hash(KEY, "KR_RRN", "901010-1234567") != finding_hash(b"x", "KR_RRN", "901010-1234567")
    assert finding_hash(KEY, "KR_RRN", "901010-1234567") != finding_hash(KEY, "KR_FRN", "901010-1234567")


def test_a_masked_look_alike_word_stays_a_finding_of_its_place():
    span = Span(0, 3, "PERSON", 0.9, "word")
    found = verdict("홍길동").findings[0]
    assert (found.path, found.span, found.token) == ("text", span, "⟦PERSON_1⟧")
