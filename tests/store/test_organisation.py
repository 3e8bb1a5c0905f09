import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from gateway import apikeys
from gateway.imports import ImportFailed, read_people, read_units
from gateway.keyring import DerivedKey
from gateway.organisation import Grant
from gateway.store import organisation as store
from gateway.store.tables import admin_event

NOW = datetime(2026, 11, 22, 3, 0, 0, 123456, tzinfo=UTC)
START = date(2026, 1, 1)
HASH = DerivedKey("now", b"n" * 32)
UNITS = "code,name,kind,parent_code,valid_from\nSEOUL,서울특별시,institution,,2026-01-01\nCM,총무과,division,SEOUL,2026-01-01\n"
PEOPLE = (
    "employee_id,name,email,department_code,valid_from,role\nS1,김해치,kim@seoul.example,CM,2026-01-01,과장\n"
)


def import_units(engine, csv=UNITS, **options):
    return store.import_units(engine, read_units(csv.encode(), START), at=NOW, actor="test", **options)


def import_people(engine, csv=PEOPLE, **options):
    return store.import_people(engine, read_people(csv.encode(), START), at=NOW, actor="test", **options)


def create(engine, **grant):
    return store.create_key(
        engine, HASH, Grant("시험", **(grant or {"person_id": "S1"})), at=NOW, actor="test"
    )


def test_what_is_imported_is_what_is_loaded(engine):
    import_units(engine)
    import_people(engine)
    found = store.load_organisation(engine)
    assert [
        (u.code, u.name, u.parent_code) for u in sorted(found.units, key=lambda u: u.code, reverse=True)
    ] == [
        ("SEOUL", "서울특별시", None),
        ("CM", "총무과", "SEOUL"),
    ]
    assert [(p.employee_id, p.name, p.role, p.valid_from) for p in found.people] == [
        ("S1", "김해치", "과장", START)
    ]
    assert store.unit_names(engine) == {"SEOUL": "서울특별시", "CM": "총무과"}
    assert store.person_names(engine) == {"S1": "김해치"}


def test_a_transfer_keeps_the_history(engine):
    import_units(engine)
    import_people(engine)
    import_people(engine, PEOPLE.replace("CM,2026-01-01", "SEOUL,2026-12-01"))
    people = sorted(store.load_organisation(engine).people, key=lambda p: p.valid_from)
    assert [(p.unit_code, p.valid_from, p.valid_to) for p in people] == [
        ("CM", START, date(2026, 12, 1)),
        ("SEOUL", date(2026, 12, 1), None),
    ]


def test_an_import_with_one_mistake_changes_nothing_not_even_the_revision(engine):
    import_units(engine)
    before = store.read_revision(engine)
    with pytest.raises(ImportFailed):
        import_people(engine, PEOPLE + "S2,이,lee@seoul.example,NONE,2026-01-01,\n")
    assert store.load_organisation(engine).people == ()
    assert store.read_revision(engine) == before


def test_a_large_import_is_one_transaction(engine):
    import_units(engine)
    head = PEOPLE.splitlines()[0]
    rows = "\n".join(f"S{n},직원{n},s{n}@seoul.example,CM,2026-01-01," for n in range(1200))
    plan = import_people(engine, f"{head}\n{rows}\n")
    assert plan.count("added") == 1200
    moved = import_people(engine, f"{head}\n{rows.replace('직원', '사람')}\n")
    assert moved.count("changed") == 1200
    assert len(store.load_organisation(engine).people) == 1200


def test_a_key_is_stored_as_its_keyed_hash_and_nothing_else(engine):
    key, secret = create(
        engine,
        service="챗",
        trusted=True,
        allowed_models=frozenset({"b", "a"}),
        expires_at=NOW + timedelta(days=1),
    )
    (found,) = store.list_keys(engine)
    assert found == key
    assert found.digest == apikeys.digest(secret, HASH.key)
    with engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM api_key")).all())
    assert secret[9:] not in stored


def test_revoking_twice_keeps_the_first_time_and_an_unknown_key_is_said(engine):
    key, _ = create(engine)
    assert store.revoke_key(engine, key.prefix, at=NOW, actor="test").revoked_at is None
    again = store.revoke_key(engine, key.id, at=NOW + timedelta(days=1), actor="test")
    assert again.revoked_at == NOW
    with pytest.raises(store.NoSuchKey):
        store.revoke_key(engine, "key_none", at=NOW, actor="test")


def test_every_change_moves_the_revision_and_leaves_a_trail(engine):
    assert store.read_revision(engine) == 0
    import_units(engine)
    import_people(engine)
    key, secret = create(engine)
    store.revoke_key(engine, key.id, at=NOW, actor="cli:kim")
    assert store.read_revision(engine) == 4
    with engine.connect() as connection:
        events = connection.execute(select(admin_event).order_by(admin_event.c.id)).all()
    assert [event.action for event in events] == [
        "departments.import",
        "people.import",
        "key.create",
        "key.revoke",
    ]
    assert events[-1].actor == "cli:kim"
    assert secret not in str(events)


def test_concurrent_changes_wait_for_each_other_and_lose_nothing(engine):
    import_units(engine)
    failures = []

    def work():
        try:
            for _ in range(5):
                create(engine)
        except Exception as error:  # noqa: BLE001 - the test's own thread reports whatever it is
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.list_keys(engine)) == 20
    assert store.read_revision(engine) == 21


def test_a_key_of_nobody_and_a_validity_that_ends_before_it_begins_are_refused_by_the_database(engine):
    for statement in (
        "INSERT INTO api_key (id, prefix, digest, hash_key_id, label, created_at_us) VALUES ('k', 'p', 'd', 'h', '', 0)",
        "INSERT INTO person (employee_id, valid_from, valid_to, name, email, unit_code) VALUES ('S', '2026-01-02', '2026-01-01', '', '', '')",
    ):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(text(statement))
