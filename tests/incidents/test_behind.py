"""The review's work behind requests: sums, exports and one weekly report by mail."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.store import open_engine
from gateway.config_notices import NoticeSettings, Smtp
from gateway.config_review_export import ExportSettings
from gateway.incidents.behind import ReviewWork, due_week, report_week, weekly_of
from gateway.incidents.oversight import Period
from gateway.incidents.weekly import last_week, subject_of, text_of, week_name
from gateway.keyring import Keyring, new_secret
from gateway.notices.board import NoticeBoard
from gateway.store.database import migrate
from gateway.store.filter_sums import receipts_behind
from tests.notices.conftest import certificate, mailbox  # noqa: F401 - fixtures
from tests.store.test_filter_sums import RRN, receipt_of, store
from tests.store.test_incident_statistics import finding_of, incident_of, write

MONDAY = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)  # half past nine in Korea
SUNDAY = MONDAY - timedelta(days=1)
WEEK = Period(date(2026, 11, 16), date(2026, 11, 22))


@pytest.fixture
def database(tmp_path):
    url = f"sqlite:///{tmp_path}/haechi.db"
    migrate(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


def filled(database):
    store(
        database,
        receipt_of(1, SUNDAY, action="block", findings=(RRN,)),
        receipt_of(2, SUNDAY - timedelta(days=9)),
    )
    write(database, [incident_of(1, at=SUNDAY, resolution="false_positive")], [finding_of(1, at=SUNDAY)])


def test_the_week_that_is_over_is_reported_from_monday_morning_on():
    assert due_week(MONDAY) == WEEK
    assert due_week(MONDAY - timedelta(hours=2)) is None
    assert due_week(MONDAY + timedelta(days=3)) == WEEK
    assert due_week(SUNDAY) == last_week(date(2026, 11, 22))
    assert week_name(WEEK) == "2026-W47"


def test_the_letter_says_the_week_beside_the_one_before_and_names_nobody(database):
    filled(database)
    document = weekly_of(database, WEEK, MONDAY)
    assert subject_of(document) == "[해치] 주간 보안 보고 2026-W47: 차단 1건"
    text = text_of(document)
    for line in ("차단            1 (0)", "마스킹          0 (1)", "오탐이 있는 규칙: kr_rrn 1/1", "CM 1"):
        assert line in text
    assert "S1" not in text
    assert "requests 1 (1), refused 1 (0)" in text


def test_the_report_of_a_week_is_sent_once_by_whichever_process_is_first(database, mailbox, certificate):  # noqa: F811
    filled(database)
    settings = ExportSettings(weekly_to=("soc@seoul.example",))
    assert report_week(database, settings, WEEK, MONDAY)
    assert not report_week(database, settings, WEEK, MONDAY)
    smtp = Smtp(
        "127.0.0.1", mailbox.port, "starttls", "haechi@seoul.example", "haechi", "secret", str(certificate[0])
    )
    board = NoticeBoard(database, NoticeSettings(smtp=smtp), lambda: MONDAY + timedelta(minutes=1))
    assert board.deliver() == 1
    ((to, letter),) = mailbox.letters
    assert to == "soc@seoul.example"
    assert "2026-W47" in letter["Subject"]


def test_a_round_counts_what_is_new_and_reports_what_is_due(database):
    filled(database)
    work = ReviewWork(database, Keyring.of([new_secret()]), ExportSettings(weekly_to=("soc@seoul.example",)))
    work.round(MONDAY)
    assert receipts_behind(database) == 0
    assert not report_week(database, ExportSettings(), WEEK, MONDAY)
    work.round(MONDAY + timedelta(minutes=1))


def test_a_database_that_is_away_ends_nothing(tmp_path):
    work = ReviewWork(
        open_engine(f"sqlite:///{tmp_path}/none.db"), Keyring.of([new_secret()]), ExportSettings()
    )
    work.round(MONDAY)
    work.round(MONDAY)
    assert work._failing == {"count"}
    work.database.dispose()
