"""What is an incident, and that its rows are durable with the receipt, once, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sqlalchemy import func, select

from billing.ledger import Row, record_of
from billing.store import LedgerSink
from filters.errors import Reason
from filters.kinds import KINDS, UNREAD_KINDS, unread_type
from filters.protocol import UNREADABLE_PARTS
from filters.verdict import Action
from gateway.incidents.intake import MOST_FINDINGS, finding_rows, is_incident, weight
from gateway.incidents.records import Seen
from gateway.incidents.states import Resolution, ReviewRules, Severity, due_at, severity_of
from gateway.store.incident_tables import JOURNALLED, incident, incident_content, incident_finding
from gateway.store.receipts import RECEIPT_TABLE, receipt_row
from gateway.working_days import working_days_between
from tests.incidents.databases import both, engine, migrated
from tests.incidents.office import BLOCKED, NOW, PARK, asked, desk, intake, prompt

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

__all__ = ["engine", "migrated"]


def submission(body: Any) -> tuple[str, list[Any]]:
    """Return a request's id and its receipt with the incident, as the pipeline submits them."""
    call, verdict, detection = asked(body)
    found = verdict.receipt.as_record()["findings"]
    receipt = receipt_row(
        call,
        verdict.receipt,
        model_id="m",
        billing_period="2026-11",
        findings=found,
        finding_key_id="k",
        attempts=0,
    )
    rows = (Row(RECEIPT_TABLE.name, receipt), *intake().rows(call, verdict, "m", detection))
    return call.request_id, [record_of(row) for row in rows]


def count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@both
def test_the_journal_writes_an_incident_with_its_receipt_and_a_replay_leaves_the_work_alone(
    engine: Engine,
) -> None:
    sink = LedgerSink(engine, b"k" * 32, tables=(RECEIPT_TABLE, *JOURNALLED))
    request_id, records = submission(prompt(BLOCKED, "둘째 850505-2345679"))
    assert sink.write([records]) == [None]
    queue = desk(engine)
    queue.resolve([Seen(request_id, 1)], Resolution.TRUE_POSITIVE, PARK, NOW, "맞음")

    # A dead process's segment is shipped again: every row is there already.
    assert sink.write([records]) == [None]

    assert [count(engine, table) for table in (RECEIPT_TABLE, incident, incident_content)] == [1, 1, 1]
    assert count(engine, incident_finding) == 2
    assert queue.incident(request_id).resolution is Resolution.TRUE_POSITIVE
    assert queue.detail(request_id, PARK, NOW).text.state == "stored"
    sink.close()


def test_a_register_writes_its_first_distinct_findings_only() -> None:
    found = [
        {"type": "PERSON", "label": "", "rule": "r", "action": "mask", "value_hash": f"{n % 300}", "path": "p",
         "score": 0.5 + (n >= 300) * 0.25}
        for n in range(600)
    ]  # fmt: skip
    rows = finding_rows("i", NOW, found, "k")
    assert len(rows) == MOST_FINDINGS
    assert [row["place"] for row in rows] == list(range(MOST_FINDINGS))
    assert {(row["times"], row["score"]) for row in rows} == {(2, 750)}


@pytest.mark.parametrize(
    ("rules", "text", "made"),
    [
        (ReviewRules(flag_types=frozenset({"PHONE_NUMBER"})), "연락처 010-1234-5678", True),
        (ReviewRules(flag_types=frozenset()), "연락처 010-1234-5678", False),
        (ReviewRules(flag_findings=2), "연락처 010-1234-5678, 010-2345-6789", True),
        (ReviewRules(flag_findings=0), "연락처 010-1234-5678, 010-2345-6789", False),
        (ReviewRules(), "도로 점용 허가", False),
    ],
)
def test_the_institution_says_which_masked_requests_are_reviewed(
    rules: ReviewRules, text: str, *, made: bool
) -> None:
    _, verdict, _ = asked(prompt(text))
    assert is_incident(verdict, rules) is made


def test_what_only_would_have_been_stopped_is_no_incident() -> None:
    _, verdict, _ = asked(prompt(BLOCKED))
    simulated = replace(verdict, action=Action.ALLOW)
    assert not is_incident(simulated, ReviewRules(flag_findings=1))


@pytest.mark.parametrize(
    ("action", "counts", "reasons", "grade", "severity"),
    [
        (Action.BLOCK, {"SECURITY_MARKING": 1}, (), "C", Severity.CRITICAL),
        (Action.BLOCK, {"PERSON": 30}, ("dense_personal_data",), "S", Severity.CRITICAL),
        (Action.BLOCK, {"KR_RRN": 5}, (), "S", Severity.CRITICAL),
        (Action.BLOCK, {"KR_RRN": 1}, (), "S", Severity.HIGH),
        (Action.MASK, {"KR_RRN": 1}, (), "S", Severity.HIGH),
        (Action.ROUTE, {"PERSON": 1}, (), "S", Severity.MEDIUM),
        (Action.MASK, {"PERSON": 12}, (), "S", Severity.MEDIUM),
        (Action.MASK, {"PERSON": 2}, (), "S", Severity.LOW),
    ],
)
def test_severity_follows_what_was_found_and_what_was_done(
    action: Action, counts: dict[str, int], reasons: tuple[str, ...], grade: str, severity: Severity
) -> None:
    assert severity_of(action, counts, reasons, grade) is severity


def test_a_deadline_counts_korean_working_days() -> None:
    from datetime import UTC, datetime

    before_chuseok = datetime(2026, 9, 23, 8, tzinfo=UTC)  # Wednesday, 17:00; then Chuseok
    assert due_at(before_chuseok, Severity.CRITICAL) == datetime(2026, 9, 28, 9, tzinfo=UTC)
    after_hours = datetime(2026, 9, 23, 10, tzinfo=UTC)
    assert due_at(after_hours, Severity.CRITICAL) == datetime(2026, 9, 29, 9, tzinfo=UTC)
    assert working_days_between(before_chuseok, datetime(2026, 9, 29, tzinfo=UTC)) == 2
    assert working_days_between(datetime(2026, 9, 29, tzinfo=UTC), before_chuseok) == -2


def test_whatever_cannot_be_read_has_a_name_and_a_way_to_mend_it() -> None:
    reasons = set(get_args(Reason)) - {"unknown_part", "unreadable_part"}
    kinds = {*UNREADABLE_PARTS.values(), "tokens", "unknown", "remote", "stored", "unfinished", *reasons}
    assert {unread_type(kind) for kind in kinds} == set(UNREAD_KINDS)
    assert all(all(words) for words in UNREAD_KINDS.values())
    assert not UNREAD_KINDS.keys() & KINDS.keys()


def test_a_picture_weighs_less_than_what_hides_from_the_filter() -> None:
    assert weight(["UNREAD_IMAGE", "UNREAD_FILE"]) < weight(["UNREAD_IMAGE", "UNREAD_UNKNOWN"])
