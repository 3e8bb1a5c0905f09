"""Administration: the organisation, keys and a look at the gateway, as an administrator's browser sees them."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.periods import billing_day
from billing.store.notices import Address, Notice, note
from gateway.console.admin.operation import without_secrets
from gateway.store import register
from gateway.store.account_tables import access_audit
from tests.console.conftest import PEOPLE

A = "/console/admin"
TODAY = billing_day(datetime.now(UTC)).isoformat()
PAGES = [
    f"{A}/departments",
    f"{A}/departments?q=과&state=closed&sort=below&order=desc",
    f"{A}/new-department?parent=HJ",
    f"{A}/departments/CM",
    f"{A}/people",
    f"{A}/people?unit=CM&sort=email",
    f"{A}/new-person?unit=CM",
    f"{A}/people/S1",
    f"{A}/import-people",
    f"{A}/keys",
    f"{A}/keys?state=all&kind=service",
    f"{A}/new-key?person=S1",
    f"{A}/deployments",
    f"{A}/policies",
    f"{A}/settings",
    f"{A}/jobs",
]


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def events(site, action):
    with site.database.connect() as connection:
        return connection.execute(select(access_audit).where(access_audit.c.action == action)).all()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_page_is_there_in_both_languages(shared_site, path, language):
    browser = shared_site.visit("administrator")
    answer = browser.get(path, headers={"accept-language": language})
    assert answer.status_code == 200, text_of(answer.text)[:500]
    if language == "en":
        main = text_of(answer.text[answer.text.index("<main") : answer.text.index("</main")])
        left = set(re.findall(r"[가-힣]+", main)) - NAMES
        assert not left, f"untranslated: {left}"


NAMES = {
    *("서울특별시", "행정국", "총무과", "총무팀", "인사과"),
    *("김직원", "이과장", "박심사", "최재무", "정관리", "강감사"),
}
"""Names of people and units stay as they are."""


@pytest.mark.parametrize("role", ["staff", "manager", "reviewer", "finance", "auditor"])
def test_nobody_else_gets_in(shared_site, role):
    browser = shared_site.visit(role)
    for path in PAGES:
        expected = 200 if role == "reviewer" and path == f"{A}/policies" else 403
        assert browser.get(path).status_code == expected, path


def test_no_page_shows_a_cost(shared_site):
    browser = shared_site.visit("administrator")
    for path in PAGES:
        page = browser.get(path, headers={"accept-language": "ko"}).text
        assert not re.search(r"\d원\b|₩", page), path


@pytest.mark.parametrize(
    "path", [f"{A}/departments", f"{A}/people", f"{A}/keys", f"{A}/deployments", f"{A}/jobs"]
)
def test_every_list_exports_itself(shared_site, path):
    answer = shared_site.visit("administrator").get(f"{path}?format=csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert len(list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))) >= 1


@pytest.mark.parametrize(
    "path",
    [
        f"{A}/departments/NONE",
        f"{A}/people/NONE",
        f"{A}/keys/key_none",
        f"{A}/deployments/none",
        f"{A}/policies/none",
    ],
)
def test_what_is_not_there_says_so(shared_site, path):
    answer = shared_site.visit("administrator").get(path, headers={"accept-language": "ko"})
    assert answer.status_code == 404
    assert "찾을 수 없습니다" in answer.text


# --- departments ---


def change(browser, code, **fields):
    browser.get(f"{A}/departments/{code}")
    values = {
        "code": code,
        "seen": browser.hidden("seen"),
        "name": "총무담당관",
        "kind": "division",
        "parent": "HJ",
        "valid_from": TODAY,
        "reason": "조직 개편",
    }
    return browser.post(f"{A}/departments/change", {**values, **fields})


def test_a_department_is_renamed_with_a_reason_that_the_trail_keeps(site):
    browser = site.visit("administrator")
    answer = change(browser, "CM")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"{A}/departments/CM?notice=department-saved",
    )
    assert "총무담당관" in browser.get(f"{A}/departments/CM").text
    (event,) = events(site, "department.change")
    assert (event.actor, event.subject, event.reason) == ("administrator", "CM", "조직 개편")


def test_a_change_without_a_reason_comes_back_as_it_was_filled_in(shared_site):
    browser = shared_site.visit("administrator")
    answer = change(browser, "CM", reason="", name="새 이름")
    assert answer.status_code == 400
    assert 'value="새 이름"' in answer.text
    assert register.unit_history(shared_site.database, "CM")[-1].name == "총무과"


def test_the_second_administrator_is_told_and_can_go_on(site):
    site.make("second", "administrator")
    first, second = site.visit("administrator"), site.visit("second")
    first.get(f"{A}/departments/CM")
    second.get(f"{A}/departments/CM")
    seen = second.hidden("seen")
    assert change(first, "CM", name="첫째 이름").status_code == 303
    answer = second.post(
        f"{A}/departments/change",
        {
            "code": "CM",
            "seen": seen,
            "name": "둘째 이름",
            "kind": "division",
            "parent": "HJ",
            "valid_from": TODAY,
            "reason": "나도 바꿈",
        },
    )
    assert answer.status_code == 409
    assert "다른 관리자가 바꾸었습니다" in answer.text
    assert "첫째 이름" in answer.text
    assert 'value="둘째 이름"' in answer.text
    again = second.post(
        f"{A}/departments/change",
        {
            "code": "CM",
            "seen": second.hidden("seen"),
            "name": "둘째 이름",
            "kind": "division",
            "parent": "HJ",
            "valid_from": TODAY,
            "reason": "나도 바꿈",
        },
    )
    assert again.status_code == 303
    assert register.unit_history(site.database, "CM")[-1].name == "둘째 이름"


def test_a_form_that_is_sent_twice_changes_nothing_more(site):
    browser = site.visit("administrator")
    browser.get(f"{A}/departments/CM")
    seen = browser.hidden("seen")
    assert "department-saved" in change(browser, "CM", seen=seen).headers["location"]
    assert "already-so" in change(browser, "CM", seen=seen).headers["location"]
    assert len(events(site, "department.change")) == 1


def test_a_department_is_made_moved_and_closed(site):
    browser = site.visit("administrator")
    browser.get(f"{A}/new-department")
    fields = {
        "code": "AI",
        "name": "인공지능과",
        "kind": "division",
        "parent": "SEOUL",
        "valid_from": "2026-02-01",
        "reason": "신설",
    }
    assert browser.post(f"{A}/new-department", fields).status_code == 303
    browser.get(f"{A}/new-department")
    taken = browser.post(f"{A}/new-department", {**fields, "name": "다른 과"})
    assert taken.status_code == 400
    assert "이미 쓰이고 있습니다" in taken.text
    assert change(browser, "AI", name="인공지능과", parent="HJ").status_code == 303
    assert [unit.parent_code for unit in register.unit_history(site.database, "AI")] == ["SEOUL", "HJ"]
    browser.get(f"{A}/departments/AI")
    day = (billing_day(site.parts.now()) + timedelta(days=1)).isoformat()
    closed = browser.post(
        f"{A}/departments/close",
        {"code": "AI", "seen": browser.hidden("seen"), "day": day, "reason": "폐지"},
    )
    assert closed.status_code == 303
    assert register.unit_history(site.database, "AI")[-1].valid_to.isoformat() == day


def test_a_department_with_people_does_not_close(shared_site):
    browser = shared_site.visit("administrator")
    browser.get(f"{A}/departments/IS")
    answer = browser.post(
        f"{A}/departments/close",
        {"code": "IS", "seen": browser.hidden("seen"), "day": TODAY, "reason": "폐지"},
    )
    assert answer.status_code == 400
    assert "직원 4명이 남습니다" in answer.text


# --- people ---


def test_a_person_is_found_moved_and_lets_go(site):
    browser = site.visit("administrator")
    found = browser.get(f"{A}/people?q=김직원").text
    assert f'href="{A}/people/S1"' in found
    assert f'href="{A}/people/S2"' not in found
    browser.get(f"{A}/people/S1")
    fields = {
        "employee_id": "S1",
        "seen": browser.hidden("seen"),
        "name": "김직원",
        "email": "s1@seoul.example",
        "unit": "IS",
        "valid_from": TODAY,
        "reason": "전보",
    }
    assert browser.post(f"{A}/people/change", fields).status_code == 303
    assert register.person_history(site.database, "S1")[-1].unit_code == "IS"
    browser.get(f"{A}/people/S1")
    day = (billing_day(site.parts.now()) + timedelta(days=1)).isoformat()
    leaving = {"employee_id": "S1", "seen": browser.hidden("seen"), "day": day, "reason": "퇴직"}
    assert browser.post(f"{A}/people/leave", leaving).status_code == 303
    again = browser.get(f"{A}/people/S1") and browser.post(f"{A}/people/leave", leaving)
    assert "already-so" in again.headers["location"]
    assert events(site, "person.view")
    assert events(site, "people.list")


def test_an_address_that_somebody_has_is_refused(shared_site):
    browser = shared_site.visit("administrator")
    browser.get(f"{A}/new-person")
    answer = browser.post(
        f"{A}/new-person",
        {
            "employee_id": "S9",
            "name": "새사람",
            "email": "S1@seoul.example",
            "unit": "CM",
            "valid_from": "2026-11-01",
            "reason": "입직",
        },
    )
    assert answer.status_code == 400
    assert "S1" in answer.text


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "=1+1",
        "\u202e가나다",
        "👩‍💻 개발자",
        "가" * 10_000,
        "\x00 널",
        '"><img src=x onerror=1>',
    ],
)
def test_names_of_any_kind_are_only_text(site, name):
    browser = site.visit("administrator")
    browser.get(f"{A}/new-person")
    answer = browser.post(
        f"{A}/new-person",
        {
            "employee_id": "S9",
            "name": name,
            "email": "s9@seoul.example",
            "unit": "CM",
            "valid_from": "2026-01-02",
            "reason": name,
        },
    )
    assert answer.status_code == 303
    page = browser.get(f"{A}/people/S9").text
    stored = register.person_history(site.database, "S9")[-1].name
    assert len(stored) <= 80
    assert "\u202e" not in stored
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    cells = list(csv.reader(io.StringIO(browser.get(f"{A}/people?format=csv").content.decode("utf-8-sig"))))
    assert not any(cell.startswith("=") for row in cells for cell in row)


# --- the register ---


def upload(browser, data, **fields):
    browser.get(f"{A}/import-people")
    return browser.post(f"{A}/import-people", fields, files={"file": ("people.csv", data, "text/csv")})


def test_an_import_is_shown_first_and_then_done(site):
    browser = site.visit("administrator")
    shown = upload(browser, PEOPLE.replace("김직원", "김새이름").encode("cp949"))
    assert shown.status_code == 200
    assert "김새이름" in shown.text
    assert register.person_history(site.database, "S1")[-1].name == "김직원"
    fields = {"data": browser.hidden("data"), "seen": browser.hidden("seen")}
    assert "people-imported" in browser.post(f"{A}/import-people/apply", fields).headers["location"]
    assert register.person_history(site.database, "S1")[-1].name == "김새이름"
    browser.get(f"{A}/import-people")
    assert "already-so" in browser.post(f"{A}/import-people/apply", fields).headers["location"]


def test_an_import_over_a_register_that_moved_is_shown_again(site):
    browser = site.visit("administrator")
    upload(browser, PEOPLE.replace("김직원", "김새이름").encode())
    fields = {"data": browser.hidden("data"), "seen": browser.hidden("seen")}
    site.make("second", "administrator")
    other = site.visit("second")
    upload(other, PEOPLE.replace("김직원", "김다른이름").encode())
    other.post(f"{A}/import-people/apply", {"data": other.hidden("data"), "seen": other.hidden("seen")})
    answer = browser.post(f"{A}/import-people/apply", fields)
    assert answer.status_code == 409
    assert "김다른이름" in answer.text
    fields["seen"] = browser.hidden("seen")
    assert browser.post(f"{A}/import-people/apply", fields).status_code == 303


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "파일을 골라"),
        (b"hello", "열"),
        ("사번,성명,이메일,부서코드\nS1,김,이메일아님,CM\n".encode(), "2행"),
        (b"\xff\xfe\x00\x01", "고칠 곳"),
        (b"x" * (7 * 1024**2), "고칠 곳"),
        (b"x" * (7 * 1024**2 + 1), "7 MB보다"),
    ],
)
def test_a_file_that_is_no_register_is_refused_with_its_lines(shared_site, data, words):
    answer = upload(shared_site.visit("administrator"), data)
    assert answer.status_code == 400
    assert words in answer.text


@pytest.mark.parametrize("data", ["", "!!", "eJwDAAAAAAE=", "AAAA"])
def test_a_preview_that_was_tampered_with_is_refused(shared_site, data):
    browser = shared_site.visit("administrator")
    browser.get(f"{A}/import-people")
    assert browser.post(f"{A}/import-people/apply", {"data": data, "seen": "x"}).status_code == 400


# --- keys ---


def issue(browser, **fields):
    browser.get(f"{A}/new-key")
    values = {
        "form_id": browser.hidden("form_id"),
        "label": "노트북",
        "kind": "person",
        "person": "S1",
        "days": "30",
    }
    return browser.post(f"{A}/new-key", {**values, **fields})


def test_a_key_is_shown_once_and_revoked_with_a_reason(site):
    browser = site.visit("administrator")
    made = issue(browser)
    assert made.status_code == 200
    secret = re.search(r"hk-[A-Za-z0-9_-]+", made.text)[0]
    assert made.headers["cache-control"] == "no-store"
    listed = browser.get(f"{A}/keys").text
    assert secret not in listed
    key_id = re.search(r"admin/keys/(key_[0-9a-f]+)", listed)[1]
    browser.get(f"{A}/keys/{key_id}")
    assert browser.post(f"{A}/keys/{key_id}/revoke", {"reason": ""}).status_code == 400
    assert browser.post(f"{A}/keys/{key_id}/revoke", {"reason": "분실"}).status_code == 303
    (event,) = events(site, "key.revoke")
    assert (event.subject, event.reason) == (key_id, "분실")
    browser.get(f"{A}/keys/{key_id}")
    again = browser.client.post(
        f"{A}/keys/{key_id}/revoke", data={"csrf": browser.hidden("csrf"), "reason": "또"}
    )
    assert "key-already-revoked" in again.headers["location"]


def test_a_key_in_use_is_limited_with_a_reason(site):
    browser = site.visit("administrator")
    issue(browser)
    key_id = re.search(r"admin/keys/(key_[0-9a-f]+)", browser.get(f"{A}/keys").text)[1]
    page = f"{A}/keys/{key_id}"
    browser.get(page)
    wrong = browser.post(
        f"{page}/limits", {"requests_per_min": "스물", "tokens_per_min": "40,000", "reason": "r"}
    )
    assert wrong.status_code == 400
    assert 'value="40,000"' in wrong.text, "what was typed is kept"
    assert browser.post(f"{page}/limits", {"requests_per_min": "20", "reason": ""}).status_code == 400
    limits = {"requests_per_min": "20", "tokens_per_min": "40,000", "reason": "시범 운영"}
    assert "notice=key-limited" in browser.post(f"{page}/limits", limits).headers["location"]
    assert "notice=already-so" in browser.post(f"{page}/limits", limits).headers["location"]
    (event,) = events(site, "key.limit")
    assert (event.subject, event.reason) == (key_id, "시범 운영")
    assert json.loads(event.details)["after"] == {"requests_per_min": 20, "tokens_per_min": 40_000}
    shown = browser.get(page).text
    assert "<dd>40,000</dd>" in shown
    browser.post(f"{page}/limits", {"requests_per_min": "", "tokens_per_min": "", "reason": "해제"})
    assert json.loads(events(site, "key.limit")[-1].details)["after"] == {
        "requests_per_min": 0,
        "tokens_per_min": 0,
    }


def test_a_new_key_may_have_limits_of_its_own(site):
    browser = site.visit("administrator")
    assert issue(browser, requests_per_min="20", tokens_per_min="many").status_code == 400
    assert issue(browser, requests_per_min="20", tokens_per_min="").status_code == 200
    key_id = re.search(r"admin/keys/(key_[0-9a-f]+)", browser.get(f"{A}/keys").text)[1]
    assert "<dd>20</dd>" in browser.get(f"{A}/keys/{key_id}").text


def test_a_key_form_that_is_sent_twice_makes_one_key(site):
    browser = site.visit("administrator")
    browser.get(f"{A}/new-key")
    form_id = browser.hidden("form_id")
    assert issue(browser, form_id=form_id).status_code == 200
    assert "key-already-made" in issue(browser, form_id=form_id).headers["location"]


@pytest.mark.parametrize(
    "fields",
    [
        {"label": ""},
        {"person": "S404"},
        {"kind": "service", "service": ""},
        {"kind": "service", "service": "chat", "unit": "NONE"},
        {"days": "99999999"},
        {"form_id": "x"},
    ],
)
def test_a_key_that_nobody_could_use_is_not_made(shared_site, fields):
    answer = issue(shared_site.visit("administrator"), **fields)
    assert answer.status_code == 400
    assert (
        register.find_keys(shared_site.database, register.KeyQuery(shared_site.parts.now(), state=""))[1] == 0
    )


# --- looking only ---


def test_settings_hide_what_is_secret(shared_site):
    page = shared_site.visit("administrator").get(f"{A}/settings").text
    for secret in shared_site.parts.config.jwt_secrets:
        assert secret not in page
    assert "database.url" in page
    assert without_secrets("https://user:pw@proxy:8080/x") == "https://proxy:8080/x"


def test_a_policy_shows_what_it_does(shared_site):
    browser = shared_site.visit("administrator")
    version = shared_site.parts.config.policies.versions[0].version
    page = text_of(browser.get(f"{A}/policies/{version}", headers={"accept-language": "ko"}).text)
    assert "KR_RRN" in page
    assert "차단" in page


def test_jobs_show_what_became_of_notices_without_their_figures(site):
    now = site.parts.now()
    document = {"kind": "budget", "left_krw": "123456"}
    notice = Notice("ntc_1", "bud_1", "2026-11", "80", now, document)
    assert note(site.database, notice, [Address("email", "budget@seoul.example")])
    page = site.visit("administrator").get(f"{A}/jobs").text
    assert "budget@seoul.example" in page
    assert "123456" not in page
