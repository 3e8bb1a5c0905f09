from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.budgets import Budget, BudgetExceeded, Every, Scope
from billing.ledger import record_of
from billing.store import LedgerSink, set_budget
from billing.store.notices import Watch, read_notices, set_watch
from billing.store.outbox import listed, retry
from billing.store.slots import Process
from billing.usage import Usage
from gateway.imports import read_people, read_units
from gateway.notices.board import NoticeBoard, is_working_day
from gateway.price_watch import PriceDifference
from gateway.store.organisation import import_people, import_units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from gateway.config_notices import NoticeSettings
    from tests.billing.conftest import Maker
    from tests.notices.conftest import Mailbox, Receiver

UNIT = Scope("unit", "CM")
UNITS = b"code,name,kind,parent_code,valid_from\nSEOUL,\xec\x84\x9c\xec\x9a\xb8,institution,,2026-01-01\nCM,\xec\xb4\x9d\xeb\xac\xb4\xea\xb3\xbc,division,SEOUL,2026-01-01\n"
PEOPLE = b"employee_id,name,email,department_code,valid_from\np1,\xea\xb9\x80\xed\x95\xb4\xec\xb9\x98,kim@seoul.example,CM,2026-01-01\n"
KILO = 1_739_000_000
"""Nano-won of a thousand input tokens of the test's model: the unit of these tests."""


@pytest.fixture
def sink(database: Engine, make: Maker) -> Iterator[LedgerSink]:
    from datetime import date

    today = date(2026, 1, 1)
    import_units(database, read_units(UNITS, today), at=make.now, actor="test")
    import_people(database, read_people(PEOPLE, today), at=make.now, actor="test")
    sink = LedgerSink(database, b"k" * 32, clock=lambda: make.now)
    sink.open()
    yield sink
    sink.close()


class Office:
    """Spends from budgets of the division 총무과 and of its p1."""

    def __init__(self, database: Engine, sink: LedgerSink, make: Maker) -> None:
        self.database, self.sink, self.make = database, sink, make

    def budget(self, tokens: int, scope: Scope = UNIT, **more: Any) -> None:
        budget = Budget(self.make.ids.next(self.make.now), scope, Every.MONTH, tokens * KILO, **more)
        set_budget(self.database, budget, now=self.make.now, by="test", reason="test")

    def spend(self, tokens: int, hold: int | None = None) -> BudgetExceeded | None:
        payer = self.make.attribution(department_id="CM", unit_path=("SEOUL", "CM"))
        dispatch = self.make.dispatch(payer, hold_nano_krw=(hold or tokens) * KILO)
        (refusal,) = self.sink.write([[record_of(dispatch)]])
        if isinstance(refusal, BudgetExceeded):
            return refusal
        self.sink.write([[record_of(self.make.charge(dispatch, usage=Usage(input=1000 * tokens)))]])
        return None

    def watch(self, *emails: str, scope: Scope = UNIT, **more: Any) -> None:
        set_watch(self.database, scope, Watch(emails, **more), now=self.make.now, by="test", reason="test")


@pytest.fixture
def office(database: Engine, sink: LedgerSink, make: Maker) -> Office:
    return Office(database, sink, make)


def subjects(mailbox: Mailbox) -> list[tuple[str, str]]:
    return [(to, str(letter["subject"])) for to, letter in mailbox.letters]


def test_a_threshold_reaches_the_budgets_contacts_once(
    office: Office, board: NoticeBoard, mailbox: Mailbox, receiver: Receiver
) -> None:
    office.budget(1000)
    office.watch("kim@seoul.example", "lee@seoul.example")
    office.spend(500)
    for _ in range(3):
        board.round()
    told = "[해치] 총무과 월 예산 50% 도달"
    assert sorted(subjects(mailbox)) == [("kim@seoul.example", told), ("lee@seoul.example", told)]
    text = mailbox.letters[0][1].get_content()
    assert "예산현액  1,739원" in text
    assert "the monthly budget (2026-11) has reached 50 %" in text
    ((_, body),) = receiver.posted
    event = json.loads(body)
    assert event["type"] == "budget.threshold"
    assert (event["data"]["scope"], event["data"]["threshold"]) == ("unit:CM", 50)
    assert (event["data"]["limit"], event["data"]["left"]) == ("1739", "869.5")


def test_a_refusal_says_that_the_budget_is_used_up(
    office: Office, board: NoticeBoard, mailbox: Mailbox
) -> None:
    office.budget(1000)
    office.spend(950)
    refusal = office.spend(100)
    assert refusal is not None
    board.refused(refusal)
    board.round()
    board.refused(refusal)
    board.round()
    assert subjects(mailbox) == [("finance@seoul.example", "[해치] 총무과 월 예산 소진")]
    assert "haechi budgets transfer" in mailbox.letters[0][1].get_content()


def test_a_forecast_names_the_day(office: Office, board: NoticeBoard, mailbox: Mailbox) -> None:
    office.budget(1000)
    office.watch("kim@seoul.example", thresholds=())
    office.make.tick(timedelta(days=-6))  # Monday the 16th, ten in the morning in Seoul
    office.spend(600)
    board.round()
    assert subjects(mailbox) == [("kim@seoul.example", "[해치] 총무과 월 예산: 2026-11-26 소진 예상")]


def test_a_person_is_told_of_the_own_budget(office: Office, board: NoticeBoard, mailbox: Mailbox) -> None:
    office.budget(1000, Scope("person", "p1"), hard=False)
    office.spend(1000)
    board.round()
    assert subjects(mailbox) == [("kim@seoul.example", "[해치] 김해치 월 예산 소진")]
    assert "It is a soft budget: requests go on." in mailbox.letters[0][1].get_content()


def test_a_watch_chooses_its_own_thresholds(office: Office, board: NoticeBoard, mailbox: Mailbox) -> None:
    office.budget(1000)
    office.watch("kim@seoul.example", thresholds=(70,), forecast=False)
    office.spend(690)
    board.round()
    assert mailbox.letters == []
    office.spend(10)
    board.round()
    assert [subject for _, subject in subjects(mailbox)] == ["[해치] 총무과 월 예산 70% 도달"]


def test_the_next_period_speaks_again(office: Office, board: NoticeBoard, mailbox: Mailbox) -> None:
    office.budget(1000)
    office.watch("kim@seoul.example", thresholds=(50,), forecast=False)
    for days in (0, 30):
        office.make.tick(timedelta(days=days))
        office.spend(600)
        board.round()
    assert len(mailbox.letters) == 2


def test_a_failed_delivery_comes_back_with_growing_pauses_until_it_is_a_dead_letter(
    office: Office, board: NoticeBoard, mailbox: Mailbox, receiver: Receiver
) -> None:
    receiver.status = 500
    office.budget(1000)
    office.spend(500)
    board.round()
    board.round()
    assert (len(mailbox.letters), len(receiver.posted)) == (1, 1), "it waits for its pause"
    for _ in range(4):
        office.make.tick(timedelta(minutes=3))
        board.round()
    assert len(receiver.posted) == 3
    (dead,) = listed(office.database, only="dead")
    assert (dead.address.channel, dead.tries, dead.failure) == ("webhook", 3, "http 500")
    receiver.status = 200
    assert retry(office.database, office.make.now) == 1
    board.round()
    assert len(receiver.posted) == 4
    assert len({headers["webhook-id"] for headers, _ in receiver.posted}) == 1
    assert listed(office.database, only="dead") == []


def test_pauses_double_up_to_an_hour(board: NoticeBoard) -> None:
    for tries, seconds in ((1, 60), (2, 120), (5, 960), (30, 3600)):
        assert 0.75 * seconds <= board.pause(tries).total_seconds() <= seconds


def test_a_notice_survives_the_process_that_noted_it(
    office: Office, board: NoticeBoard, settings: NoticeSettings, mailbox: Mailbox
) -> None:
    office.budget(1000)
    office.spend(500)
    assert board.look() == 1
    del board
    NoticeBoard(office.database, settings, lambda: office.make.now).deliver()
    assert len(mailbox.letters) == 1


def test_a_refused_addressee_keeps_nobody_else_from_being_told(
    office: Office, board: NoticeBoard, mailbox: Mailbox
) -> None:
    mailbox.codes["gone@seoul.example"] = "550 no such user"
    office.budget(1000)
    office.watch("gone@seoul.example", "kim@seoul.example")
    office.spend(500)
    board.round()
    assert [to for to, _ in mailbox.letters] == ["kim@seoul.example"]
    assert [one.address.target for one in listed(office.database, only="dead")] == ["gone@seoul.example"]


def test_an_unreachable_server_is_asked_once_a_round(
    office: Office, settings: NoticeSettings, mailbox: Mailbox, receiver: Receiver
) -> None:
    import dataclasses

    assert settings.smtp is not None
    broken = dataclasses.replace(settings, smtp=dataclasses.replace(settings.smtp, port=9))
    office.budget(1000)
    office.watch("a@seoul.example", "b@seoul.example", "c@seoul.example")
    office.spend(500)
    NoticeBoard(office.database, broken, lambda: office.make.now).round()
    tries = sorted(one.tries for one in listed(office.database) if one.address.channel == "email")
    assert tries == [0, 0, 1]
    assert len(receiver.posted) == 1


def test_a_dead_writer_is_reported_with_what_it_left(
    office: Office, board: NoticeBoard, mailbox: Mailbox
) -> None:
    dead = LedgerSink(
        office.database,
        b"k" * 32,
        clock=lambda: office.make.now,
        process=Process(Process.this().host, 2**22 + 1, "1"),
    )
    dead.open()
    dead.write([[record_of(office.make.dispatch())], [record_of(office.make.dispatch())]])
    dead._checkpointer.stop()
    dead._disconnect()
    office.sink.on_adopted = board.adopted
    office.sink.tick()
    office.sink.tick()
    board.round()
    board.round()
    ((to, subject),) = subjects(mailbox)
    assert (to, subject) == ("finance@seoul.example", "[해치] 중단된 프로세스의 요청 2건을 추정액으로 청구")
    assert [notice.occasion for notice in read_notices(office.database)] == ["adopted:2.1"]


def test_many_boards_say_a_thing_once(
    office: Office, settings: NoticeSettings, mailbox: Mailbox, receiver: Receiver
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    office.budget(1000)
    office.spend(500)
    boards = [NoticeBoard(office.database, settings, lambda: office.make.now) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.round(), boards))
    boards[0].round()
    assert (len(mailbox.letters), len(receiver.posted)) == (1, 1)


def test_a_board_works_by_itself_and_outlives_a_database_that_is_away(
    office: Office, settings: NoticeSettings, mailbox: Mailbox
) -> None:
    import dataclasses
    import time

    board = NoticeBoard(office.database, dataclasses.replace(settings, check_s=0.05), lambda: office.make.now)
    with office.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE budget_notice RENAME TO gone")
    office.budget(1000)
    office.spend(500)
    board.start()
    time.sleep(0.2)
    with office.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO budget_notice")
    for _ in range(100):
        time.sleep(0.05)
        if mailbox.letters:
            break
    board.stop()
    assert len(mailbox.letters) == 1


def test_offices_rest_on_weekends_and_holidays() -> None:
    from datetime import date

    assert is_working_day(date(2026, 11, 23))
    assert not is_working_day(date(2026, 11, 22))
    assert not is_working_day(date(2026, 9, 25)), "추석"


def test_a_price_that_a_provider_contradicts_is_said_once_a_month(
    office: Office, board: NoticeBoard, mailbox: Mailbox, receiver: Receiver
) -> None:
    found = PriceDifference("openai/gpt", "v1-20261101", "openai", 3 * 10**9, 2 * 10**9, office.make.now)
    for _ in range(2):
        board.price_differs(found)
        board.round()
    assert [notice.occasion for notice in read_notices(office.database)] == ["price:openai/gpt"]
    ((to, subject),) = subjects(mailbox)
    assert (to, subject) == ("finance@seoul.example", "[해치] openai/gpt 단가 확인 필요")
    assert "haechi prices import" in mailbox.letters[0][1].get_content()
    ((_, body),) = receiver.posted
    assert json.loads(body)["data"]["percent"] == "+50.0"
