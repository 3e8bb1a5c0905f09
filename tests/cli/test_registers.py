from pathlib import Path

from tests.cli.conftest import PEOPLE, UNITS


def test_a_dry_run_shows_the_difference_and_changes_nothing(staffed, haechi):
    Path("people.csv").write_text(PEOPLE.replace("IS,2026-01-01", "CM,2026-12-01"))
    ran = haechi("people", "import", "people.csv", "--dry-run").ok()
    assert "- S2  이광화  lee@seoul.example  IS  [2026-01-01 ~ ]" in ran.out
    assert "+ S2  이광화  lee@seoul.example  CM  [2026-12-01 ~ ]" in ran.out
    assert "변경 1" in ran.out
    rows = haechi("people", "list", "--on", "2026-12-02", "--json").ok().json
    assert [row["unit_code"] for row in rows] == ["CM", "IS"]


def test_an_effective_date_splits_before_and_after(staffed, haechi):
    Path("people.csv").write_text(PEOPLE.replace("IS,2026-01-01", "CM,2026-12-01"))
    haechi("people", "import", "people.csv").ok()
    for day, unit in (("2026-11-30", "IS"), ("2026-12-01", "CM")):
        rows = haechi("people", "list", "--on", day, "--json").ok().json
        assert {row["employee_id"]: row["unit_code"] for row in rows}["S2"] == unit


def test_cp949_from_a_spreadsheet_reads_like_utf8(installed, haechi):
    Path("departments.csv").write_bytes(UNITS.encode("cp949"))
    haechi("departments", "import", "departments.csv").ok()
    names = [row["name"] for row in haechi("departments", "list", "--json").ok().json]
    assert "총무과" in names


def test_mistakes_are_named_by_line_and_nothing_is_changed(staffed, haechi):
    Path("people.csv").write_text(PEOPLE.replace("lee@seoul.example", "lee").replace(",CM,", ",XX,"))
    ran = haechi("people", "import", "people.csv")
    assert ran.code == 4
    assert "line 3" in ran.err
    assert "Traceback" not in ran.err
    assert len(haechi("people", "list", "--json").json) == 2


def test_a_row_without_a_day_begins_on_the_one_that_is_given(installed, haechi):
    Path("d.csv").write_text("code,name,kind,parent_code\nA,서울,institution,\n")
    haechi("departments", "import", "d.csv", "--from", "2027-01-01").ok()
    assert haechi("departments", "list", "--on", "2026-12-31", "--json").json == []
    assert haechi("departments", "list", "--on", "2027-01-01", "--json").json[0]["code"] == "A"


def test_the_list_of_a_department_holds_those_below_it(staffed, haechi):
    rows = haechi("people", "list", "--department", "HJ", "--json").ok().json
    assert [row["employee_id"] for row in rows] == ["S1", "S2"]
    assert haechi("people", "list", "--department", "XX").code == 2
    assert {row["code"]: row["people"] for row in haechi("departments", "list", "--json").json}["CM"] == 1


def test_the_absent_end_on_the_day_that_is_given(staffed, haechi):
    Path("people.csv").write_text("\n".join(PEOPLE.splitlines()[:2]) + "\n")
    ran = haechi("people", "import", "people.csv", "--end-absent", "2026-12-01", "--json").ok()
    assert [(change["id"], change["kind"]) for change in ran.json["changes"]] == [("S2", "ended")]
    assert len(haechi("people", "list", "--on", "2026-12-01", "--json").json) == 1
