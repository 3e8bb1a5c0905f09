from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select

from billing.periods import KST, day_start, to_us
from billing.store import open_engine
from gateway.store.database import migrate
from gateway.store.filter_sums import bring_up_to_date, day_of, rebuild, receipts_behind
from gateway.store.oversight_tables import (
    SLOT_US,
    WHOLE_DAY,
    filter_day,
    filter_rule_day,
    filter_type_day,
)
from gateway.store.tables import receipt

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # noon in Korea
PERSON = {"type": "PERSON", "label": "", "score": 0.9, "rule": "person", "action": "mask", "value_hash": "a"}
RRN = {"type": "KR_RRN", "label": "", "score": 1.0, "rule": "kr_rrn", "action": "block", "value_hash": "b"}


def receipt_of(number, at=NOW, action="mask", findings=(PERSON,), **changes):
    return {
        "request_id": f"req-{number}",
        "at_us": to_us(at),
        "billing_period": "2026-11",
        "department_id": "CM",
        "unit_path": ["SEOUL", "CM"],
        "person_id": "S1",
        "key_id": "k",
        "model_id": "gpt",
        "surface": "chat",
        "action": action,
        "rules_version": "r1",
        "policy_version": "p1",
        "grade": "O",
        "parts_seen": 1,
        "characters_seen": 10,
        "unscanned": [],
        "counts": {},
        "findings": list(findings),
        "finding_key_id": "f1",
        "degraded": False,
        "elapsed_us": 100,
        "attempts": 0 if action == "block" else 1,
        "zone": "external",
        "simulated": False,
        **changes,
    }


def store(engine, *rows):
    with engine.begin() as connection:
        connection.execute(insert(receipt), list(rows))


def sums(engine, table=filter_day, measure="requests"):
    key = [column for column in table.primary_key.columns if column.name not in ("slot", "day")]
    statement = select(*key, func.sum(table.c[measure])).group_by(*key)
    with engine.connect() as connection:
        return {tuple(row[:-1]): int(row[-1]) for row in connection.execute(statement)}


def test_receipts_are_summed_by_decision_type_and_rule(engine):
    store(engine, receipt_of(1), receipt_of(2), receipt_of(3, action="block", findings=(RRN, RRN, PERSON)))
    bring_up_to_date(engine, NOW)
    assert sums(engine) == {("CM", "external", "mask"): 2, ("CM", "external", "block"): 1}
    assert sums(engine, measure="refused") == {("CM", "external", "mask"): 0, ("CM", "external", "block"): 1}
    assert sums(engine, filter_type_day, "findings") == {
        ("CM", "PERSON", "mask"): 3,
        ("CM", "KR_RRN", "block"): 2,
    }
    assert sums(engine, filter_rule_day) == {
        ("person", "PERSON", "mask"): 3,
        ("kr_rrn", "KR_RRN", "block"): 1,
    }


def test_a_receipt_that_comes_late_is_counted_once_and_nothing_twice(engine):
    store(engine, receipt_of(1))
    bring_up_to_date(engine, NOW)
    store(engine, receipt_of(2), receipt_of("1#answer"))
    assert receipts_behind(engine) == 2
    assert bring_up_to_date(engine, NOW) == 1
    assert bring_up_to_date(engine, NOW) == 0
    assert receipts_behind(engine) == 0
    assert sums(engine) == {("CM", "external", "mask"): 2}  # an answer is no request of its own
    assert sums(engine, measure="findings") == {("CM", "external", "mask"): 3}


def test_a_day_that_is_over_becomes_one_row_and_still_takes_late_receipts(engine):
    start = day_start(date(2026, 11, 20))
    store(engine, *(receipt_of(n, start + timedelta(hours=n)) for n in range(24)))
    bring_up_to_date(engine, NOW - timedelta(days=2))
    assert slots(engine) != {WHOLE_DAY}
    bring_up_to_date(engine, NOW)
    assert slots(engine) == {WHOLE_DAY}
    store(engine, receipt_of("late", start + timedelta(hours=5)))
    bring_up_to_date(engine, NOW)
    assert sums(engine) == {("CM", "external", "mask"): 25}
    assert slots(engine) == {WHOLE_DAY}


def slots(engine):
    with engine.connect() as connection:
        return set(connection.execute(select(filter_day.c.slot)).scalars())


def test_sums_outlive_receipts_that_are_deleted_for_their_age(engine):
    start = day_start(date(2026, 11, 20))
    store(engine, *(receipt_of(n, start + timedelta(hours=n)) for n in range(4)))
    bring_up_to_date(engine, start + timedelta(hours=12))
    with engine.begin() as connection:
        connection.execute(delete(receipt))
    bring_up_to_date(engine, NOW)
    assert sums(engine) == {("CM", "external", "mask"): 4}
    assert slots(engine) == {WHOLE_DAY}


def test_only_what_left_with_a_part_unread_counts_as_not_scanned(engine):
    unread = {"unscanned": ["messages[0].content[0]"]}
    store(
        engine,
        receipt_of(1, zone="in_house", action="allow", **unread),
        receipt_of(2, action="block", **unread),
    )
    bring_up_to_date(engine, NOW)
    assert sums(engine, measure="unscanned") == {
        ("CM", "in_house", "allow"): 1,
        ("CM", "external", "block"): 0,
    }


def test_what_only_an_in_house_model_may_answer_is_refused_only_where_none_did(engine):
    store(
        engine,
        receipt_of(1, action="route", attempts=0),
        receipt_of(2, action="route", attempts=0, zone="in_house"),  # its model was away
        receipt_of(3, action="block", simulated=True, attempts=1),
    )
    bring_up_to_date(engine, NOW)
    assert sum(sums(engine, measure="refused").values()) == 1
    assert sum(sums(engine, measure="simulated").values()) == 1


def test_looking_back_two_hours_finds_what_is_new_there(engine):
    store(engine, receipt_of(1, NOW - timedelta(hours=1)), receipt_of(2, NOW - timedelta(hours=9)))
    assert bring_up_to_date(engine, NOW, since=NOW - timedelta(hours=2)) == 1
    assert receipts_behind(engine) == 1
    assert bring_up_to_date(engine, NOW) == 1


def test_who_counts_at_the_same_time_counts_nothing_twice(engine, monkeypatch):
    from gateway.store import filter_sums

    store(engine, receipt_of(1))
    read = filter_sums._read

    def overtaken(connection, stretch):
        found = read(connection, stretch)
        monkeypatch.setattr(filter_sums, "_read", read)
        store(engine, receipt_of(2))
        bring_up_to_date(engine, NOW)
        return found

    monkeypatch.setattr(filter_sums, "_read", overtaken)
    assert bring_up_to_date(engine, NOW) == 0
    assert sums(engine) == {("CM", "external", "mask"): 2}


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('sums')}/haechi.db"
    migrate(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


INSTANTS = st.integers(0, 5 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes))
ROUNDS = st.lists(st.lists(INSTANTS, max_size=6), min_size=1, max_size=4)


@settings(max_examples=15, deadline=None)
@given(rounds=ROUNDS)
def test_whatever_comes_when_the_sums_are_those_of_a_rebuild(sqlite, rounds):
    with sqlite.begin() as connection:
        connection.execute(delete(receipt))
    rebuild(sqlite, NOW)
    number = 0
    for instants in rounds:
        for at in instants:
            number += 1
            store(sqlite, receipt_of(number, at, department_id=f"D{number % 3}"))
        bring_up_to_date(sqlite, NOW - timedelta(hours=number % 30))
    bring_up_to_date(sqlite, NOW)
    counted = everything(sqlite)
    rebuild(sqlite, NOW)
    assert counted == everything(sqlite)
    assert sum(row[-6] for row in counted if row[1] >= 0) == number


def everything(engine):
    with engine.connect() as connection:
        return sorted(map(tuple, connection.execute(select(filter_day))))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)))
def test_a_slot_lies_within_one_korean_day(at):
    aware = at.replace(tzinfo=UTC)
    days = (aware.astimezone(KST).date() - date(1970, 1, 1)).days
    assert day_of(to_us(aware) // SLOT_US) == days
