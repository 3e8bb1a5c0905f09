from contextlib import suppress
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imports import (
    ImportFailed,
    Row,
    decode,
    ended,
    merged,
    plan_people,
    plan_units,
    read_people,
    read_units,
)
from gateway.organisation import Person, Unit

TODAY = date(2026, 11, 22)
UNITS_CSV = """\
code,name,kind,parent_code,valid_from
SEOUL,서울특별시,institution,,2026-01-01
HJ,행정국,bureau,SEOUL,2026-01-01
CM,총무과,division,HJ,2026-01-01
"""
PEOPLE_CSV = """\
employee_id,name,email,department_code,valid_from
S1,김해치,kim@seoul.example,CM,2026-01-01
S2,이광화,lee@seoul.example,HJ,2026-01-01
"""


def units(text=UNITS_CSV):
    return read_units(text.encode(), TODAY)


def people(text=PEOPLE_CSV):
    return read_people(text.encode(), TODAY)


def after(plan):
    return [version for change in plan.changes for version in change.after]


def mistakes(act):
    with pytest.raises(ImportFailed) as failed:
        act()
    return [(mistake.line, mistake.english) for mistake in failed.value.mistakes]


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_the_encodings_of_korean_offices_are_told_apart(encoding):
    assert read_units(UNITS_CSV.encode(encoding), TODAY) == units()


def test_a_file_in_another_encoding_is_refused_with_its_line():
    data = UNITS_CSV.encode("cp949") + b"X,\xff\xff\xff,team,CM,\n"
    assert mistakes(lambda: decode(data))[0][0] == 5


def test_korean_column_names_and_kinds_are_understood():
    text = "부서코드,부서명,구분,상위부서코드,시작일\nA,서울,기관,,2026.1.1\nB,행정국,국,A,20260101\nC,총무과,과,B,\n"
    a, b, c = (row.value for row in units(text))
    assert (a.kind, b.kind, c.kind) == ("institution", "bureau", "division")
    assert (a.valid_from, b.valid_from, c.valid_from) == (date(2026, 1, 1), date(2026, 1, 1), TODAY)


def test_a_name_typed_on_a_mac_equals_the_same_name_typed_elsewhere():
    import unicodedata

    assert units(unicodedata.normalize("NFD", UNITS_CSV)) == units()


def test_every_mistake_is_named_with_its_line():
    text = UNITS_CSV + "A B,,section,CM,2026-13-01\nOK,괜찮은팀,team,CM,2026-01-01\nD,팀,team,CM\n"
    found = mistakes(lambda: units(text))
    assert [line for line, _ in found] == [5, 5, 5, 5, 7]
    assert any("'kind' must be one of" in english for _, english in found)
    assert any("4 cells where 5" in english for _, english in found)


def test_a_wrong_column_is_named_with_the_nearest_one():
    found = mistakes(lambda: units("code,nme,kind,parent_code\n"))
    assert (1, "Unknown column 'nme'. Did you mean 'name'?") in found
    assert (1, "Column 'name' is missing") in found


def test_the_same_entry_twice_from_one_day_is_refused():
    assert mistakes(lambda: units(UNITS_CSV + "CM,총무과2,division,HJ,2026-01-01\n")) == [
        (5, "Same entry and day as line 4")
    ]


def test_an_end_before_the_start_is_refused():
    text = "code,name,kind,parent_code,valid_from,valid_to\nA,서울,기관,,2026-02-01,2026-02-01\n"
    assert mistakes(lambda: units(text)) == [(2, "valid_to must be after valid_from")]


def test_quoted_cells_keep_their_commas_and_a_broken_quote_is_refused():
    assert units('code,name,kind,parent_code\nA,"시, 도",기관,\n')[0].value.name == "시, 도"
    assert mistakes(lambda: units('code,name,kind,parent_code\nA,"시,기관,\n'))


def test_an_empty_file_lacks_its_columns():
    assert (1, "Column 'code' is missing") in mistakes(lambda: units(""))


# --- planning ------------------------------------------------------------------------------------


def test_a_second_import_of_the_same_file_changes_nothing():
    first = plan_units([], units())
    again = plan_units(after(first), units())
    assert (first.count("added"), first.unchanged) == (3, 0)
    assert (again.changes, again.unchanged) == ((), 3)


def test_a_transfer_is_one_row_with_a_later_day():
    known_units = after(plan_units([], units()))
    known = after(plan_people([], people(), known_units))
    moved = people(
        "employee_id,name,email,department_code,valid_from\nS2,이광화,lee@seoul.example,CM,2026-12-01\n"
    )
    plan = plan_people(known, moved, known_units)
    before, later = plan.changes[0].after
    assert (before.unit_code, before.valid_to) == ("HJ", date(2026, 12, 1))
    assert (later.unit_code, later.valid_from, later.valid_to) == ("CM", date(2026, 12, 1), None)
    assert plan.changes[0].kind == "changed"


def test_a_correction_of_the_past_keeps_a_planned_change():
    day = date(2026, 1, 1)
    plan = [
        Unit("A", "총무과", "division", None, day, date(2027, 1, 1)),
        Unit("A", "운영과", "division", None, date(2027, 1, 1)),
    ]
    corrected = merged(plan, [Unit("A", "총무담당관", "division", None, date(2026, 6, 1))])
    assert [(v.name, v.valid_from, v.valid_to) for v in corrected] == [
        ("총무과", day, date(2026, 6, 1)),
        ("총무담당관", date(2026, 6, 1), date(2027, 1, 1)),
        ("운영과", date(2027, 1, 1), None),
    ]


def test_who_is_absent_from_a_complete_file_ends_on_the_day_that_is_given():
    known_units = after(plan_units([], units()))
    known = after(plan_people([], people(), known_units))
    rows = people("\n".join(PEOPLE_CSV.splitlines()[:2]) + "\n")
    plan = plan_people(known, rows, known_units, absent_end=date(2026, 12, 1))
    assert [(c.id, c.kind, c.after[-1].valid_to) for c in plan.changes] == [
        ("S2", "ended", date(2026, 12, 1))
    ]


def test_units_under_no_parent_in_a_circle_or_upside_down_are_refused():
    head = "code,name,kind,parent_code,valid_from\n"
    lost = mistakes(lambda: plan_units([], units(head + "A,과,division,NONE,2026-01-01\n")))
    circle = mistakes(
        lambda: plan_units([], units(head + "A,과,division,B,2026-01-01\nB,과,division,A,2026-01-01\n"))
    )
    upside_down = mistakes(
        lambda: plan_units([], units(head + "A,팀,team,,2026-01-01\nB,국,bureau,A,2026-01-01\n"))
    )
    assert "does not exist on 2026-01-01" in lost[0][1]
    assert [line for line, text in circle if "circle" in text] == [2, 3]
    assert upside_down == [(3, "A bureau cannot stand below a team")]


def test_people_of_a_department_that_does_not_exist_are_refused_with_the_nearest_one():
    known = after(plan_units([], units()))
    rows = people(PEOPLE_CSV.replace(",CM,", ",CMM,"))
    assert mistakes(lambda: plan_people([], rows, known)) == [
        (2, "Department 'CMM' does not exist on 2026-01-01 ('CM'?)")
    ]


def test_two_people_cannot_share_an_address_on_one_day_but_one_after_the_other_may():
    known_units = after(plan_units([], units()))
    shared = PEOPLE_CSV.replace("lee@seoul.example", "KIM@seoul.example")
    assert [line for line, _ in mistakes(lambda: plan_people([], people(shared), known_units))] == [2, 3]
    left = Person("S9", "박", "kim@seoul.example", "CM", date(2020, 1, 1), date(2026, 1, 1))
    assert plan_people([left], people(), known_units).count("added") == 2


# --- histories, in general -----------------------------------------------------------------------

DAY = date(2026, 1, 1)
days = st.integers(0, 40).map(lambda n: DAY + timedelta(days=n))


@st.composite
def versions(draw):
    start = draw(days)
    length = draw(st.none() | st.integers(1, 15))
    end = start + timedelta(days=length) if length else None
    return Unit("A", draw(st.sampled_from("가나다")), "team", None, start, end)


histories = st.lists(versions(), max_size=6, unique_by=lambda v: v.valid_from)


def name_on(history, day):
    found = [v for v in history if v.valid_from <= day and (v.valid_to is None or day < v.valid_to)]
    assert len(found) <= 1, "two versions on one day"
    return found[0].name if found else None


@given(histories, versions())
def test_a_history_says_what_was_asked_for_and_nothing_else_changes_before_it(asked, last):
    history = merged([], asked)
    result = merged(history, [last])
    for n in range(60):
        day = DAY + timedelta(days=n)
        if day < last.valid_from:
            assert name_on(result, day) == name_on(history, day)
        elif last.valid_to is not None and day < last.valid_to:
            assert name_on(result, day) == last.name
    assert name_on(result, last.valid_from) == last.name
    assert merged(result, [last]) == result


@given(histories)
def test_the_versions_of_a_history_follow_each_other_and_never_overlap(asked):
    result = merged([], asked)
    for earlier, later in pairwise(result):
        assert earlier.valid_to is not None
        assert earlier.valid_to <= later.valid_from


@given(histories.filter(bool), days)
def test_an_ended_history_holds_nobody_from_that_day_on(asked, day):
    history = merged([], asked)
    result = ended(history, day)
    if history[0].valid_from < day:
        assert name_on(result, day) is None
        assert name_on(result, day - timedelta(days=1)) == name_on(history, day - timedelta(days=1))
    else:
        assert result == history


@given(st.binary(max_size=300))
def test_no_bytes_bring_the_reader_down(data):
    for read in (read_units, read_people):
        with suppress(ImportFailed):
            assert all(isinstance(row, Row) for row in read(data, TODAY))
