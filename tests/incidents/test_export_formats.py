import json
import re
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.incidents.export_formats import (
    Exported,
    as_cef,
    as_line,
    as_ocsf,
    as_record,
    category_of,
    csv_header,
    csv_row,
)
from gateway.incidents.records import FoundValue, Incident
from gateway.incidents.states import Resolution, Severity, State
from tests.incidents.ocsf_schema import faults

NOW = datetime(2026, 11, 22, 3, 0, 0, 5_000, tzinfo=UTC)


def exported(**changes):
    values = {
        "id": "01a1",
        "at": NOW - timedelta(hours=1),
        "origin": "filter",
        "action": "block",
        "severity": Severity.HIGH,
        "department_id": "CM",
        "unit_path": ("SEOUL", "CM"),
        "person_id": "S1",
        "key_id": "k",
        "model_id": "gpt",
        "surface": "chat",
        "zone": "external",
        "grade": "S",
        "rules_version": "2026.11.2",
        "policy_version": "p1",
        "reasons": (),
        "counts": {"KR_RRN": 2},
        "findings": 2,
        "state": State.NEW,
        "resolution": None,
        "assignee": None,
        "version": 1,
        "due_at": NOW + timedelta(days=2),
        "changed_at": NOW,
        "resolved_at": None,
        "resolved_by": None,
        "reported_at": None,
    }
    found = FoundValue(0, "KR_RRN", "", "kr_rrn", "block", "h" * 32, "k1", "messages[0].content", 1.0, 2)
    return Exported(Incident(**values | changes), (found,), "p-0123456789abcdef")


RESOLVED = [
    {"state": State.RESOLVED, "resolution": resolution, "version": 3, "resolved_at": NOW}
    for resolution in Resolution
]
STATES = [{}, {"state": State.IN_REVIEW, "version": 2}, *RESOLVED]


@pytest.mark.parametrize(
    ("action", "state", "severity"), list(product(["allow", "mask", "route", "block"], STATES, Severity))
)
def test_an_ocsf_event_is_what_the_published_schema_asks_for(action, state, severity):
    event = as_ocsf(exported(action=action, severity=severity, **state), "0.1.0")
    assert faults(event) == []


def test_an_ocsf_event_says_what_was_found_what_was_done_and_what_came_of_it():
    event = as_ocsf(exported(**RESOLVED[1]), "0.1.0")
    assert (event["class_uid"], event["type_uid"], event["activity_name"]) == (2006, 200603, "Close")
    assert (event["status"], event["verdict"]) == ("Suppressed", "False Positive")
    assert (event["severity_id"], event["disposition"]) == (4, "Blocked")
    assert event["finding_info"]["uid"] == "01a1"
    assert event["data_security"]["category"] == "Governmental"
    assert event["data_security"]["detection_pattern"] == "kr_rrn"
    assert event["time"] == 1_795_316_400_005


def test_the_check_of_the_schema_finds_faults():
    event = as_ocsf(exported(), "0.1.0")
    assert faults({**event, "severity_id": 77})
    assert faults({**event, "colour": "red"})
    assert faults({name: value for name, value in event.items() if name != "finding_info"})
    assert faults({**event, "metadata": {**event["metadata"], "product": {"name": 5}}})


def test_a_cef_line_has_seven_headers_and_labelled_extensions():
    line = as_cef(exported(), "0.1.0")
    assert line.startswith("CEF:0|Haechi|Haechi|0.1.0|incident.create|Sensitive data blocked|7|rt=")
    fields = dict(re.findall(r"(\w+)=(.*?)(?= \w+=|$)", line.rpartition("|")[2]))
    assert fields["externalId"] == "01a1"
    assert (fields["suser"], fields["act"], fields["outcome"]) == ("p-0123456789abcdef", "block", "new")
    assert (fields["cs1Label"], fields["cs1"]) == ("types", "KR_RRN")
    assert fields["cn1"] == "2"


@given(st.text(max_size=40))
def test_whatever_an_id_holds_a_cef_line_is_one_line_of_ascii(text):
    line = as_cef(exported(department_id=text, model_id=text), "0.1.0")
    assert line.isascii()
    assert line.isprintable()
    extension = line.split("|", 7)[7]
    assert len(re.findall(r"(?:^| )cs2Label=department", extension)) == 1


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_json_for_syslog_is_ascii_and_reads_back(text):
    line = as_line(exported(department_id=text), "json", "0.1.0")
    assert line.isascii()
    assert json.loads(line)["department_id"] == text


def test_a_csv_row_has_a_cell_for_each_header():
    one = exported(counts={"PERSON": 3, "KR_RRN": 2})
    row = dict(zip(csv_header(), csv_row(one), strict=True))
    assert (row["counts"], row["unit_path"], row["resolution"]) == ("KR_RRN=2 PERSON=3", "SEOUL CM", "")
    assert list(as_record(one)) == list(csv_header())


def test_a_person_leaves_under_a_pseudonym_only():
    for form in ("json", "cef", "ocsf"):
        line = as_line(exported(), form, "1")
        assert b"p-0123456789abcdef" in line
        assert b"S1" not in line


def test_several_kinds_of_data_are_other():
    assert category_of({"CREDIT_CARD": 1}) == (3, "Financial")
    assert category_of({"SECRET": 1, "IP_ADDRESS": 2}) == (6, "Security")
    assert category_of({"PERSON": 1, "CREDIT_CARD": 1}) == (99, "Other")
    assert category_of({}) == (0, "Unknown")


def test_what_nobody_could_read_is_not_called_sensitive_data():
    one = exported(counts={"UNREAD_IMAGE": 1}, reasons=("unread",), severity=Severity.LOW)
    event = as_ocsf(one, "0.1.0")
    assert faults(event) == []
    assert event["finding_info"]["title"] == "Uninspectable content blocked"
    assert event["data_security"]["category"] == "Unknown"
    assert "|Uninspectable content blocked|" in as_cef(one, "0.1.0")
    assert category_of({"UNREAD_IMAGE": 1, "KR_RRN": 1}) == (99, "Other")
