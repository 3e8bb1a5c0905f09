"""`haechi init`, `accounts` and `audit` end to end."""

import csv
import io
import re
import sqlite3
from pathlib import Path

import orjson
import pytest

PEOPLE = """\
employee_id,name,email,department_code,valid_from
S1,김해치,kim@seoul.example,CM,2026-01-01
"""
UNITS = """\
code,name,kind,parent_code,valid_from
SEOUL,서울특별시,institution,,2026-01-01
CM,총무과,division,SEOUL,2026-01-01
"""


@pytest.fixture
def installed(haechi, tmp_path):
    """A fresh installation in the working folder; what `init` printed."""
    said = haechi("init").ok()
    (tmp_path / "units.csv").write_text(UNITS, "utf-8")
    (tmp_path / "people.csv").write_text(PEOPLE, "utf-8")
    haechi("departments", "import", "units.csv").ok()
    haechi("people", "import", "people.csv").ok()
    return said


def logins(haechi):
    return {one["login"]: one for one in haechi("accounts", "list", "--json").ok().json}


def test_init_makes_the_first_administrator_and_says_the_password_once(haechi, installed):
    assert re.search(r"admin .*: \w{4}(-\w{4}){3}", installed.out)
    admin = logins(haechi)["admin"]
    assert (admin["roles"], admin["must_change"]) == (["administrator"], True)


def test_init_makes_another_login_or_none(haechi, tmp_path):
    assert "첫 관리자" not in haechi("init", "a", "--administrator", "").ok().out
    assert "boss" in haechi("init", "b", "--administrator", "boss").ok().out


def test_init_into_a_database_with_an_administrator_makes_no_second_one(haechi, tmp_path):
    haechi("init").ok()
    (tmp_path / "haechi.toml").unlink()
    assert "첫 관리자" not in haechi("init").ok().out
    assert list(logins(haechi)) == ["admin"]


def test_an_account_of_a_person_takes_their_name(haechi, installed):
    made = haechi("accounts", "create", "kim", "--role", "staff", "--person", "S1", "--json").ok().json
    assert (made["name"], made["person_id"], made["roles"]) == ("김해치", "S1", ["staff"])
    assert re.fullmatch(r"\w{4}(-\w{4}){3}", made["password"])
    assert made["password"].encode() not in Path("haechi.db").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "한글", "--role", "staff"), "영문 소문자"),
        (("create", "admin", "--role", "staff"), "이미 쓰이고"),
        (("create", "lee", "--role", "staff", "--person", "S9"), "직원 명부에 없"),
        (("create", "lee", "--role", "finance", "--role", "administrator"), "직무 분리"),
        (("roles", "admin", "--role", "staff"), "마지막 관리자"),
        (("disable", "admin"), "마지막 관리자"),
        (("disable", "nobody"), "계정이 없습니다"),
        (("reset", "nobody"), "계정이 없습니다"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(haechi, installed, arguments, says):
    ran = haechi("accounts", *arguments)
    assert ran.code == 4
    assert says in ran.err
    assert list(logins(haechi)) == ["admin"]


def test_separated_duties_may_be_warned_of_instead(haechi, installed, tmp_path):
    config = tmp_path / "haechi.toml"
    config.write_text('[console]\nseparated_duties = "warn"\n' + config.read_text("utf-8"), "utf-8")
    ran = haechi("accounts", "create", "one", "--role", "finance", "--role", "administrator").ok()
    assert "직무 분리" in ran.err


def test_roles_disable_enable_and_reset(haechi, installed):
    haechi("accounts", "create", "kim", "--role", "staff", "--person", "S1").ok()
    haechi("accounts", "roles", "kim", "--role", "staff", "--role", "manager", "--reason", "승진").ok()
    assert logins(haechi)["kim"]["roles"] == ["manager", "staff"]
    haechi("accounts", "disable", "KIM").ok()
    assert logins(haechi)["kim"]["disabled"]
    haechi("accounts", "enable", "kim").ok()
    assert "첫 비밀번호" in haechi("accounts", "reset", "kim").ok().out
    assert not logins(haechi)["kim"]["disabled"]


def test_the_trail_holds_every_change_and_verifies(haechi, installed):
    haechi("accounts", "create", "kim", "--role", "staff", "--person", "S1").ok()
    haechi("keys", "create", "--person", "S1").ok()
    lines = [orjson.loads(line) for line in haechi("audit", "export").ok().out.splitlines()]
    assert [line["action"] for line in lines] == [
        *("account.create", "departments.import", "people.import"),
        *("account.create", "key.create", "audit.export"),
    ]
    assert all(line["actor"].startswith("cli") for line in lines)
    verdict = haechi("audit", "verify", "--json").ok().json
    assert (verdict["ok"], verdict["rows"]) == (True, 6)
    assert verdict["head"] == f"6:{lines[-1]['mac']}"


def test_the_export_narrows_and_comes_as_csv(haechi, installed):
    rows = list(
        csv.DictReader(io.StringIO(haechi("audit", "export", "--csv", "--action", "people").ok().out[1:]))
    )
    assert [row["action"] for row in rows] == ["people.import"]
    assert haechi("audit", "export", "--since", "2099-01-01").ok().out == ""
    assert haechi("audit", "export", "--since", "gestern").code == 2


def test_tampering_and_cutting_off_are_found(haechi, installed):
    head = haechi("audit", "verify", "--json").ok().json["head"]
    with sqlite3.connect("haechi.db") as raw:
        raw.execute("DROP TRIGGER access_audit_no_delete")
        raw.execute("DELETE FROM access_audit WHERE seq = 3")
        raw.execute(
            "UPDATE access_audit_head SET seq = 2, mac = (SELECT mac FROM access_audit WHERE seq = 2)"
        )
    raw.close()
    assert haechi("audit", "verify").code == 0
    ran = haechi("audit", "verify", "--expect", head)
    assert ran.code == 1
    assert "missing" in ran.err
    with sqlite3.connect("haechi.db") as raw:
        raw.execute("DROP TRIGGER access_audit_no_update")
        raw.execute("UPDATE access_audit SET actor = 'cli:nobody' WHERE seq = 1")
    raw.close()
    assert "row 1 was changed" in haechi("audit", "verify").err
    assert haechi("audit", "verify", "--expect", "abc").code == 2


def test_pruning_keeps_what_is_young(haechi, installed):
    assert "0건" in haechi("audit", "prune").ok().out
    haechi("audit", "verify").ok()


ACCOUNTS = """\
아이디,역할,성명,사번
kim,직원,,S1
lee,보안 심사자,이관리,
Park@seoul,"auditor",=2+2,
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_accounts_are_imported_and_their_first_passwords_kept_for_the_operator(
    haechi, installed, tmp_path, encoding
):
    (tmp_path / "accounts.csv").write_bytes(ACCOUNTS.encode(encoding))
    planned = haechi("accounts", "import", "accounts.csv", "--dry-run", "--json").ok().json
    assert [one["login"] for one in planned["added"]] == ["kim", "lee", "park@seoul"]
    assert (list(logins(haechi)), list(tmp_path.glob("*passwords*"))) == (["admin"], [])

    haechi("accounts", "import", "accounts.csv", "--reason", "2026년 개통").ok()
    made = logins(haechi)
    assert (made["kim"]["name"], made["kim"]["person_id"]) == ("김해치", "S1")
    assert (made["lee"]["roles"], made["park@seoul"]["roles"]) == (["reviewer"], ["auditor"])
    assert made["lee"]["must_change"]
    kept = tmp_path / "accounts-passwords.csv"
    assert kept.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(io.StringIO(kept.read_text("utf-8-sig"))))
    assert [row["login"] for row in rows] == ["kim", "lee", "park@seoul"]
    assert rows[2]["name"] == "'=2+2"
    assert all(re.fullmatch(r"\w{4}(-\w{4}){3}", row["password"]) for row in rows)
    assert len({row["password"] for row in rows}) == 3
    (event,) = (
        one
        for one in map(orjson.loads, haechi("audit", "export").ok().out.splitlines())
        if one["action"] == "account.create" and one["subject"] == "S1"
    )
    assert event["reason"] == "2026년 개통"

    again = haechi("accounts", "import", "accounts.csv", "--json").ok().json
    assert (again["added"], again["changed"], again["unchanged"]) == ([], [], 3)
    assert rows == list(csv.DictReader(io.StringIO(kept.read_text("utf-8-sig"))))


def test_an_import_changes_names_and_roles_and_leaves_what_the_file_lacks(haechi, installed, tmp_path):
    (tmp_path / "accounts.csv").write_text("login,roles\nkim,finance\nadmin,administrator\n", "utf-8")
    haechi("accounts", "import", "accounts.csv").ok()
    (tmp_path / "next.csv").write_text("login,roles,name\nkim,finance; staff,Kim\n", "utf-8")
    changed = haechi("accounts", "import", "next.csv", "--json").ok().json
    assert changed["changed"][0]["after"] == {"name": "Kim", "roles": ["finance", "staff"]}
    assert (changed["passwords"], sorted(logins(haechi))) == (None, ["admin", "kim"])


def test_an_import_names_every_wrong_line_in_both_languages_and_changes_nothing(haechi, installed, tmp_path):
    haechi("accounts", "create", "kim", "--role", "staff", "--person", "S1").ok()
    lines = (
        "login,roles,employee_id",
        "한글,staff,",
        "lee,재무 담당자; king,",
        "choi,administrator;reviewer,",
        "choi,staff,",
        "han,staff,S9",
        "seo,staff,S1",
        "kim,staff",
        "yun,,",
    )
    (tmp_path / "accounts.csv").write_text("\n".join(lines), "utf-8")
    shape = haechi("accounts", "import", "accounts.csv")
    assert shape.code == 4
    for line in (2, 3, 5, 8, 9):
        assert f"{line}행 (line {line})" in shape.out + shape.err
    good = "\n".join((lines[0], lines[3], lines[5], lines[6]))
    (tmp_path / "accounts.csv").write_text(good, "utf-8")
    meaning = haechi("accounts", "import", "accounts.csv")
    assert meaning.code == 4
    for line in (2, 3, 4):
        assert f"{line}행 (line {line})" in meaning.out + meaning.err
    assert sorted(logins(haechi)) == ["admin", "kim"]
    assert not (tmp_path / "accounts-passwords.csv").exists()


def test_an_import_overwrites_no_passwords_and_keeps_an_administrator(haechi, installed, tmp_path):
    kept = tmp_path / "accounts-passwords.csv"
    kept.write_text("yesterday's", "utf-8")
    (tmp_path / "accounts.csv").write_text("login,roles\nkim,staff\n", "utf-8")
    assert haechi("accounts", "import", "accounts.csv").code == 4
    assert (kept.read_text("utf-8"), list(logins(haechi))) == ("yesterday's", ["admin"])

    (tmp_path / "accounts.csv").write_text("login,roles\nkim,staff\nadmin,staff\n", "utf-8")
    assert haechi("accounts", "import", "accounts.csv", "--passwords", "new.csv").code == 4
    assert (list(logins(haechi)), (tmp_path / "new.csv").exists()) == (["admin"], False)
    (tmp_path / "accounts.csv").write_text("login,roles\nadmin,staff\nboss,administrator\n", "utf-8")
    haechi("accounts", "import", "accounts.csv", "--passwords", "new.csv").ok()
    assert logins(haechi)["boss"]["roles"] == ["administrator"]
