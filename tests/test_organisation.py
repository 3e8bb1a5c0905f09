from datetime import date

import pytest

from gateway.organisation import DEPTH_LIMIT, Unit, places, valid_on

DAY = date(2026, 11, 22)
START = date(2026, 1, 1)


def unit(code, parent=None, kind="team", start=START, end=None):
    return Unit(code, code, kind, parent, start, end)


def test_a_path_runs_from_the_institution_down_and_the_division_pays():
    units = [
        unit("I", kind="institution"),
        unit("B", "I", "bureau"),
        unit("D", "B", "division"),
        unit("T", "D"),
    ]
    found = places(units, DAY)
    assert found["T"].path == ("I", "B", "D", "T")
    assert {code: place.department_id for code, place in found.items()} == {
        "I": "I",
        "B": "B",
        "D": "D",
        "T": "D",
    }


def test_the_nearest_division_pays_where_one_stands_inside_another():
    units = [unit("D1", kind="division"), unit("D2", "D1", "division"), unit("T", "D2")]
    assert places(units, DAY)["T"].department_id == "D2"


def test_a_unit_without_its_parent_in_a_circle_or_too_deep_has_no_place():
    circle = [unit("A", "B"), unit("B", "A")]
    deep = [unit("0"), *(unit(str(n), str(n - 1)) for n in range(1, DEPTH_LIMIT + 3))]
    assert places([unit("A", "gone")], DAY) == {}
    assert places(circle, DAY) == {}
    assert str(DEPTH_LIMIT - 1) in places(deep, DAY)
    assert str(DEPTH_LIMIT) not in places(deep, DAY)


@pytest.mark.parametrize(
    ("start", "end", "there"),
    [
        (DAY, None, True),
        (START, DAY, False),
        (date(2026, 11, 23), None, False),
        (START, date(2026, 11, 23), True),
    ],
)
def test_a_version_holds_from_its_first_day_up_to_and_without_its_end(start, end, there):
    assert bool(list(valid_on([unit("A", start=start, end=end)], DAY))) is there
