"""`haechi incidents`: the whole review at the terminal."""

from datetime import UTC, datetime

import pytest

from gateway.cli.common import show_table
from gateway.settings import Settings
from gateway.store.database import opened
from tests.incidents.office import BLOCKED, KEPT, happen, prompt

RRN = "900101-1234568"


@pytest.fixture
def filled(staffed):
    """A folder with two incidents whose text is kept; returns their ids."""
    settings = Settings(config=staffed / "haechi.toml")
    with opened(settings.load_config().database_url) as engine:
        return [
            happen(engine, prompt(BLOCKED), rules=KEPT, keys=settings.keyring(), person=person)
            for person in ("S1", "S2")
        ]


def test_the_queue_is_listed_counted_and_worked_off(haechi, filled):
    first, second = filled
    listed = haechi("incidents", "list", "--severity", "high", "--order", "at", "--json").ok().json
    assert ([one["id"] for one in listed["data"]], listed["total"]) == ([first, second], 2)
    assert listed["data"][0]["person_id"].startswith("p-")
    assert "KR_RRN 1" in haechi("incidents", "list").ok().out

    refused = haechi("incidents", "assign", first, second, "--to", "park")
    assert (refused.code, "심사자" in refused.err) == (4, True)
    haechi("accounts", "create", "park", "--role", "reviewer").ok()
    haechi("incidents", "assign", first, second, "--to", "park").ok()
    haechi("incidents", "start", first, second).ok()
    haechi("incidents", "resolve", first, "--as", "false_positive", "--reason", "예시 번호").ok()
    again = haechi("incidents", "start", first)
    assert (again.code, "wrong_state" in again.err) == (1, True)
    haechi("incidents", "reopen", first, "--reason", "다시 봄").ok()

    counts = haechi("incidents", "counts", "--json").ok().json
    assert (counts["in_review"], counts["resolved"], counts["by_severity"]["high"]) == (2, 0, 2)
    history = haechi("incidents", "history", first, "--json").ok().json
    assert [line["action"] for line in history] == ["assign", "start", "resolve", "reopen"]
    similar = haechi("incidents", "similar", first, "--json").ok().json
    assert [one["id"] for one in similar["value"]] == [second]


def test_a_detail_is_masked_until_a_value_is_opened_for_a_reason(haechi, filled):
    first, _ = filled
    shown = haechi("incidents", "show", first).ok().out
    assert "KR_RRN" in shown
    assert RRN not in shown
    assert haechi("incidents", "reveal", first, "--reason", "확인").code == 2
    opened_value = haechi("incidents", "reveal", first, "--span", "0", "--reason", "예시인지 확인").ok()
    assert RRN in opened_value.out
    whose = haechi("incidents", "reveal", first, "--person", "--reason", "연락", "--json").ok().json
    assert whose["person_id"] == "S1"
    audit = haechi("audit", "export", "--subject", first).ok().out
    assert audit.count("incident.reveal") == 2
    assert RRN not in audit
    haechi("audit", "verify").ok()


def test_an_exception_needs_a_second_person_at_the_terminal_as_well(haechi, filled):
    made = haechi(
        *("incidents", "exceptions", "propose", "--type", "KR_RRN", "--department", "CM"),
        *("--days", "30", "--reason", "교육", "--incident", filled[0]),
    ).ok()
    assert "제안" in made.out
    (one,) = haechi("incidents", "exceptions", "list", "--json").ok().json
    refused = haechi("incidents", "exceptions", "approve", one["id"])
    assert refused.code == 4
    assert "second" in refused.err or "다른 검토자" in refused.err
    haechi("incidents", "exceptions", "refuse", one["id"], "--reason", "너무 넓음").ok()
    assert haechi("incidents", "exceptions", "list", "--state", "approved", "--json").ok().json == []


def test_a_false_alarm_is_reported_and_texts_expire(haechi, filled):
    haechi("incidents", "report", filled[0], "--person", "S1", "--note", "예시 번호입니다").ok()
    assert haechi("incidents", "counts", "--json").ok().json["reported"] == 1
    assert "0건" in haechi("incidents", "expire").ok().out
    assert haechi("incidents", "show", "none").code == 4


def test_tables_tell_korean_time_wherever_the_process_runs(capfd):
    show_table(("때",), [(datetime(2026, 11, 22, 16, 42, tzinfo=UTC),)])
    assert "2026-11-23 01:42" in capfd.readouterr().out
