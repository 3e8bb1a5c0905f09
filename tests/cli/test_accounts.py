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
