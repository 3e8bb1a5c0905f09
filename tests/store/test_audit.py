"""The access audit: chained, complete, and honest about what was done to it."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DatabaseError

from billing.periods import to_us
from billing.store import writing
from gateway.audit import Actor, AuditEvent, canonical
from gateway.housekeeping import Housekeeping
from gateway.keyring import Keyring, Purpose, new_secret
from gateway.store.account_tables import access_audit, access_audit_checkpoint, access_audit_head
from gateway.store.audit import (
    AuditFilter,
    Trail,
    absorb,
    append,
    audit_actions,
    audited,
    count_audit,
    export_audit,
    prune_audit,
    read_audit,
    verify_audit,
)

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
KEYS = Keyring.of([new_secret()])
EVENT = AuditEvent(
    NOW, Actor("kim", ("finance",), "10.0.0.1"), "invoice.export", "CM", "국감", details={"rows": 3}
)


@pytest.fixture
def database(engine):
    return audited(engine, lambda: KEYS)


def fill(database, count, start=NOW, step=timedelta(minutes=1)):
    trail = Trail(database)
    for number in range(count):
        trail.record(replace(EVENT, at=start + number * step, subject=f"S{number % 3}"))


def unguarded(engine):
    """What somebody with the database's own password can do: take the triggers away."""
    statements = {
        "sqlite": ["DROP TRIGGER access_audit_no_update", "DROP TRIGGER access_audit_no_delete"],
        "postgresql": ["ALTER TABLE access_audit DISABLE TRIGGER ALL"],
    }[engine.dialect.name]
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def problems(database, **options):
    return verify_audit(database, KEYS, **options).problems


def test_what_is_recorded_is_read_back_as_it_was(database):
    assert Trail(database).record(EVENT) == 1
    (row,) = read_audit(database, AuditFilter())
    assert (row.at, row.actor, row.roles, row.address) == (NOW, "kim", ("finance",), "10.0.0.1")
    assert (row.action, row.subject, row.reason, row.outcome) == ("invoice.export", "CM", "국감", "ok")
    assert row.details == {"rows": 3}
    verdict = verify_audit(database, KEYS)
    assert (verdict.rows, verdict.first, verdict.last, verdict.problems) == (1, 1, 1, ())


def test_the_database_refuses_changes_and_deletions(database):
    fill(database, 3)
    for statement in (
        update(access_audit).values(actor="nobody"),
        delete(access_audit),
        delete(access_audit).where(access_audit.c.seq == 3),
    ):
        with pytest.raises(DatabaseError, match="insert-only"), database.begin() as connection:
            connection.execute(statement)
    assert problems(database) == ()


@pytest.mark.parametrize(
    "column", ["actor", "roles", "address", "action", "subject", "reason", "outcome", "details"]
)
def test_a_changed_field_is_found(database, engine, column):
    fill(database, 4)
    unguarded(engine)
    with engine.begin() as connection:
        value = "refused" if column == "outcome" else '{"rows": 4}' if column == "details" else "other"
        connection.execute(update(access_audit).where(access_audit.c.seq == 2).values({column: value}))
    assert problems(database) == ("row 2 was changed",)


def test_a_changed_time_a_missing_row_and_swapped_rows_are_found(database, engine):
    fill(database, 6)
    unguarded(engine)
    with engine.begin() as connection:
        connection.execute(update(access_audit).where(access_audit.c.seq == 2).values(at_us=1))
        connection.execute(delete(access_audit).where(access_audit.c.seq == 4))
    assert problems(database)[:2] == ("row 2 was changed", "rows 4 to 4 are missing")


def test_rows_added_without_the_key_are_found(database, engine):
    fill(database, 2)
    with engine.begin() as connection:
        row = dict(connection.execute(select(access_audit).where(access_audit.c.seq == 2)).mappings().one())
        connection.execute(insert(access_audit).values(row | {"seq": 3}))
        connection.execute(update(access_audit_head).values(seq=3))
    assert problems(database) == ("row 3 was changed",)


def test_a_cut_at_the_end_is_found_where_the_head_stayed_or_the_end_was_noted_down(database, engine):
    fill(database, 5)
    noted = verify_audit(database, KEYS)
    unguarded(engine)
    with engine.begin() as connection:
        connection.execute(delete(access_audit).where(access_audit.c.seq > 3))
    assert "the head is at 5" in problems(database)[0]
    with engine.begin() as connection:
        last = connection.execute(select(access_audit.c.mac).where(access_audit.c.seq == 3)).scalar_one()
        connection.execute(update(access_audit_head).values(seq=3, mac=last))
    assert problems(database) == ()
    assert problems(database, expect=(5, noted.head_mac)) == ("row 5, which was noted down, is missing",)


def test_rows_of_an_older_secret_still_verify_and_those_of_a_lost_one_do_not(engine):
    old, new = new_secret(), new_secret()
    fill(audited(engine, lambda: Keyring.of([old])), 2)
    fill(audited(engine, lambda: Keyring.of([new, old])), 2)
    assert verify_audit(engine, Keyring.of([new, old])).problems == ()
    assert len(verify_audit(engine, Keyring.of([new])).problems) == 2


def test_an_event_and_what_it_tells_of_stand_or_fall_together(database):
    with pytest.raises(RuntimeError), writing(database).begin() as connection:
        append(connection, EVENT)
        raise RuntimeError("the change failed")
    assert count_audit(database, AuditFilter()) == 0
    assert problems(database) == ()


def test_many_writers_at_once_make_one_chain(database):
    threads = [threading.Thread(target=fill, args=(database, 12)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = verify_audit(database, KEYS)
    assert (verdict.rows, verdict.problems) == (48, ())


def test_events_left_without_the_key_are_taken_in_once(engine, database):
    with engine.begin() as connection:
        assert append(connection, EVENT) == 0
    assert count_audit(database, AuditFilter()) == 0
    assert absorb(database) == 1
    assert absorb(database) == 0
    (row,) = read_audit(database, AuditFilter())
    assert (row.actor, row.action, row.details["reason"]) == ("kim", "invoice.export", "국감")
    assert problems(database) == ()


# --- pruning -----------------------------------------------------------------------------------------------


def prune(database, before):
    return prune_audit(database, KEYS.current(Purpose.ACCESS_AUDIT), older_than=before, at=NOW)


def test_pruning_leaves_a_trail_that_still_verifies_and_says_that_it_was_pruned(database):
    fill(database, 10, step=timedelta(days=1))
    assert prune(database, NOW + timedelta(days=4)) == 4
    verdict = verify_audit(database, KEYS)
    assert (verdict.first, verdict.last, verdict.problems) == (5, 11, ())
    assert read_audit(database, AuditFilter(action="audit.prune"))[0].details["rows"] == 4
    assert prune(database, NOW + timedelta(days=4)) == 0
    assert prune(database, NOW + timedelta(days=6)) == 2
    assert problems(database) == ()


def test_what_is_young_stays_even_behind_a_checkpoint_of_somebody_else(database, engine):
    fill(database, 4)
    with engine.begin() as connection:
        forged = {"through_seq": 4, "at_us": 1, "mac": "0" * 64, "key_id": "x", "signature": "0" * 64}
        connection.execute(insert(access_audit_checkpoint).values(forged))
        connection.execute(delete(access_audit).where(access_audit.c.seq <= 2))
    found = problems(database)
    assert "checkpoint 4: signature does not hold" in found
    assert "rows 1 to 2 are missing" in found


def test_a_note_of_a_row_that_was_pruned_is_no_alarm(database):
    fill(database, 4, step=timedelta(days=1))
    first = read_audit(database, AuditFilter(), oldest_first=True)[0]
    prune(database, NOW + timedelta(days=2))
    assert problems(database, expect=(first.seq, first.mac)) == ()


# --- reading -----------------------------------------------------------------------------------------------


def test_filters_narrow_by_time_person_action_area_and_outcome(database):
    fill(database, 6)
    Trail(database).record(replace(EVENT, action="invoice_x.view", outcome="refused", actor=Actor("lee")))
    assert count_audit(database, AuditFilter(actor="lee")) == 1
    assert count_audit(database, AuditFilter(subject="S1")) == 2
    assert count_audit(database, AuditFilter(action="invoice")) == 6
    assert count_audit(database, AuditFilter(action="invoice.export")) == 6
    assert count_audit(database, AuditFilter(outcome="refused")) == 1
    since, until = NOW + timedelta(minutes=1), NOW + timedelta(minutes=3)
    assert count_audit(database, AuditFilter(since=since, until=until)) == 2
    assert audit_actions(database) == ["invoice.export", "invoice_x.view"]
    pages = [
        row.seq for page in range(3) for row in read_audit(database, AuditFilter(), limit=3, offset=page * 3)
    ]
    assert pages == [7, 6, 5, 4, 3, 2, 1]
    assert [row.seq for row in export_audit(database, AuditFilter())] == [1, 2, 3, 4, 5, 6, 7]


def test_a_name_that_disguises_itself_is_written_plainly(database):
    Trail(database).record(replace(EVENT, actor=Actor("a\u202eb\nc" + "d" * 200), reason="x" * 10_000))
    (row,) = read_audit(database, AuditFilter())
    assert row.actor.startswith("ab cd")
    assert len(row.actor) == 80
    assert len(row.reason) == 500
    assert problems(database) == ()


FIELDS = st.dictionaries(st.sampled_from(["actor", "subject", "reason"]), st.text(max_size=8), min_size=3)


@given(FIELDS, FIELDS, st.integers(1, 3), st.integers(1, 3))
def test_different_events_never_chain_as_the_same_bytes(one, other, first, second):
    same = (one, first) == (other, second)
    assert (canonical(first, to_us(NOW), one) == canonical(second, to_us(NOW), other)) == same


def test_housekeeping_takes_in_what_was_left_and_lets_go_of_what_is_old(engine, database, tmp_path):
    (tmp_path / "haechi.toml").write_text("", "utf-8")
    fill(database, 3, start=NOW - timedelta(days=800), step=timedelta(days=1))
    with engine.begin() as connection:
        append(connection, EVENT)
    house = Housekeeping(database, KEYS, tmp_path / "haechi.toml", audit_days=730)
    assert house.once(NOW) == 3
    assert house.once(NOW) == 0
    actions = [row.action for row in read_audit(database, AuditFilter())]
    assert actions == ["audit.prune", "config.change", "invoice.export"]
    assert problems(database) == ()


def test_a_policy_or_price_that_came_into_force_is_noted_once(database, tmp_path):
    file = tmp_path / "haechi.toml"
    house = Housekeeping(database, KEYS, file, audit_days=730)
    for lines in ("", "", "[server]\nport = 1\n", '[[prices]]\nkey = "a"\nfrom = 2026-01-01\n'):
        file.write_text(lines, "utf-8")
        house.once(NOW)
    rows = read_audit(database, AuditFilter(action="config.change"), oldest_first=True)
    assert len(rows) == 3
    changed = {name for name in rows[1].details if rows[1].details[name] != rows[2].details[name]}
    assert changed == {"prices", "rest"}
