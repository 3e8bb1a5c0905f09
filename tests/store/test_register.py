from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.audit import Actor, Deed
from gateway.imports import ImportFailed, read_people, read_units
from gateway.keyring import DerivedKey
from gateway.organisation import Grant, Person, Unit, version_of
from gateway.store import organisation, register
from gateway.store.register import KeyQuery, PeopleQuery, Stale

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
TODAY = date(2026, 11, 22)
START = date(2026, 1, 1)
WHO = Actor("admin", ("administrator",), "127.0.0.1")
DEED = Deed(NOW, WHO, "시험")
HASH = DerivedKey("now", b"n" * 32)
UNITS = """code,name,kind,parent_code
SEOUL,서울특별시,institution,
HJ,행정국,bureau,SEOUL
CM,총무과,division,HJ
IS,인사과,division,HJ
"""
PEOPLE = """employee_id,name,email,department_code,valid_from,valid_to
S1,김해치,kim@seoul.example,CM,2026-01-01,
S2,이광화,lee@seoul.example,IS,2026-01-01,
S3,박퇴직,park@seoul.example,CM,2026-01-01,2026-06-01
S4,최신입,choi@seoul.example,CM,2026-12-01,
S5,100%_강,kang@seoul.example,IS,2026-01-01,2026-06-01
S5,100%_강,kang@seoul.example,IS,2026-09-01,
"""


@pytest.fixture
def office(engine):
    organisation.import_units(engine, read_units(UNITS.encode(), START), at=NOW, actor="test")
    organisation.import_people(engine, read_people(PEOPLE.encode(), START), at=NOW, actor="test")
    return engine


def ids(engine, **query):
    people, total = register.find_people(engine, PeopleQuery(TODAY, **query))
    assert total >= len(people)
    return [person.employee_id for person in people]


def test_people_are_found_by_state_text_and_unit(office):
    assert ids(office, sort="id") == ["S1", "S2", "S5"]
    assert ids(office, state="left") == ["S3"]
    assert ids(office, state="coming") == ["S4"]
    assert ids(office, text="해치") == ["S1"]
    assert ids(office, text="LEE@") == ["S2"]
    assert ids(office, text="s5") == ["S5"]
    assert ids(office, text="%_") == ["S5"]
    assert ids(office, text="%%") == []
    assert ids(office, units=("IS",), sort="id", descending=True) == ["S5", "S2"]
    assert ids(office, units=()) == []


def test_a_page_of_people_says_how_many_there_are(office):
    people, total = register.find_people(office, PeopleQuery(TODAY, sort="id", offset=1, limit=1))
    assert ([person.employee_id for person in people], total) == (["S2"], 3)


def test_keys_are_found_by_state_owner_and_name(office):
    def make(label, **grant):
        return organisation.create_key(office, HASH, Grant(label, **grant), at=NOW, actor="t")[0]

    mine = make("노트북", person_id="S1")
    service = make("openwebui", service="Open WebUI", unit_code="CM")
    old = make("지난 키", person_id="S2", expires_at=NOW - timedelta(days=1))
    gone = make("폐기", person_id="S2")
    organisation.revoke_key(office, gone.id, at=NOW, actor=WHO, reason="분실")

    def found(**query):
        return {key.id for key in register.find_keys(office, KeyQuery(NOW, **query))[0]}

    assert found() == {mine.id, service.id}
    assert found(state="expired") == {old.id}
    assert found(state="revoked") == {gone.id}
    assert found(state="", kind="person") == {mine.id, old.id, gone.id}
    assert found(state="", text="이광") == {old.id, gone.id}
    assert found(text=mine.prefix) == {mine.id}
    assert found(text="open web") == {service.id}
    assert register.find_key(office, mine.id) == mine
    assert register.find_key(office, "key_none") is None


def unit(**changes):
    fields = {
        "code": "CM",
        "name": "총무과",
        "kind": "division",
        "parent_code": "HJ",
        "valid_from": TODAY,
    }
    return Unit(**(fields | changes))


def test_a_unit_is_renamed_from_a_day_on_and_its_past_keeps_its_name(office):
    seen = version_of(register.unit_history(office, "CM"))
    register.put_unit(office, unit(name="총무담당관"), seen, DEED)
    old, new = register.unit_history(office, "CM")
    assert (old.name, old.valid_to, new.name, new.valid_from) == ("총무과", TODAY, "총무담당관", TODAY)


def test_the_second_administrator_is_told(office):
    seen = version_of(register.unit_history(office, "CM"))
    register.put_unit(office, unit(name="첫째"), seen, DEED)
    with pytest.raises(Stale) as told:
        register.put_unit(office, unit(name="둘째"), seen, DEED)
    assert [version.name for version in told.value.now] == ["총무과", "첫째"]
    person = Person("S1", "김해치", "kim@seoul.example", "IS", TODAY)
    seen = version_of(register.person_history(office, "S1"))
    register.put_person(office, person, seen, DEED)
    with pytest.raises(Stale):
        register.end_person(office, "S1", TODAY + timedelta(days=3), seen, DEED)


def test_what_an_import_refuses_is_refused_here_too(office):
    seen = version_of(register.unit_history(office, "CM"))
    with pytest.raises(ImportFailed):
        register.put_unit(office, unit(parent_code="NONE"), seen, DEED)
    with pytest.raises(ImportFailed):
        register.put_unit(
            office,
            unit(code="HJ", kind="bureau", parent_code="CM"),
            version_of(register.unit_history(office, "HJ")),
            DEED,
        )
    taken = Person("S9", "새사람", "KIM@seoul.example", "CM", TODAY)
    with pytest.raises(ImportFailed, match="S1"):
        register.put_person(office, taken, version_of([]), DEED)


def test_a_unit_closes_only_when_it_is_empty(office):
    def close(code, day):
        seen = version_of(register.unit_history(office, code))
        register.close_unit(office, code, day, seen, DEED)

    with pytest.raises(ImportFailed, match="직원 2명"):  # S1, and S4 who comes in December
        close("CM", TODAY)
    with pytest.raises(ImportFailed, match="아래 부서 2개"):
        close("HJ", TODAY)
    for code in ("S1", "S4"):
        here = register.person_history(office, code)
        moved = Person(code, here[-1].name, here[-1].email, "IS", max(TODAY, here[-1].valid_from))
        register.put_person(office, moved, version_of(here), DEED)
    register.put_unit(office, unit(code="NEW", name="새과"), version_of([]), DEED)
    with pytest.raises(ImportFailed, match="시작일보다"):
        close("NEW", TODAY)
    close("CM", TODAY)
    assert register.unit_history(office, "CM")[-1].valid_to == TODAY


def test_who_leaves_is_gone_from_that_day(office):
    day = TODAY + timedelta(days=1)
    register.end_person(office, "S1", day, version_of(register.person_history(office, "S1")), DEED)
    assert register.person_history(office, "S1")[-1].valid_to == day
    assert "S1" in ids(office)
    assert register.find_people(office, PeopleQuery(day, state="left", text="S1"))[1] == 1


def test_an_import_is_done_as_it_was_previewed_or_not_at_all(office):
    rows = read_people(PEOPLE.replace("김해치", "김해태").encode(), START)
    plan = register.preview_people(office, rows, None)
    assert [change.id for change in plan.changes] == ["S1"]
    seen = register.plan_version(plan)
    assert register.apply_people(office, rows, seen, DEED, absent_end=None) == plan
    with pytest.raises(Stale):
        register.apply_people(office, rows, seen, DEED, absent_end=None)


def test_heads_are_counted_by_unit(office):
    assert register.heads(office, TODAY) == {"CM": 1, "IS": 2}
