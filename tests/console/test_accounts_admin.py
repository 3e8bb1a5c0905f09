"""Administering accounts: two at once, submitted twice, gone meanwhile, and names that want to be code."""

import csv
import io
import re
import shutil

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.testclient import TestClient

from gateway import bound
from gateway.app import create_app
from gateway.console.session import csrf_token
from gateway.permissions import Role
from gateway.settings import Settings
from gateway.store.account_tables import access_audit
from gateway.store.accounts import AccountFilter, count_accounts, find_account, find_login
from tests.console.conftest import PASSWORD

PATH = "/console/admin/accounts"

NASTY = {
    "html": "<b>굵게</b><img src=x onerror=alert(1)>",
    "script": "<script>alert(document.cookie)</script>",
    "attribute": '" autofocus onfocus="alert(1)',
    "template": "{{ 7*7 }}{% raw %}",
    "formula": '=HYPERLINK("http://evil.example","열기")',
    "override": "관리자\u202egnp.exe\u202c",
    "control": "줄\r\n바꿈\x00\x1b[31m",
    "emoji": "김철수 👨‍👩‍👧‍👦🇰🇷",
    "long": "가" * 10_000,
    "zalgo": "z" + "\u0335" * 500,
}


def events(site, action):
    with site.database.connect() as connection:
        return connection.execute(select(access_audit).where(access_audit.c.action == action)).all()


def create(browser, **values):
    browser.get(f"{PATH}/new")
    return browser.post(f"{PATH}/new", values)


def given_password(page):
    return re.search(r'<pre id="password"[^>]*>([^<]+)</pre>', page)[1]


def test_an_account_is_made_and_its_password_shown_once(site):
    admin = site.visit("administrator")
    answer = create(admin, login="Kim.New", person_id="", name="김새로", role=["staff"], reason="전입")
    assert answer.status_code == 201
    password = given_password(answer.text)
    made = find_login(site.database, "kim.new")
    assert (made.name, made.roles, made.must_change) == ("김새로", {Role.STAFF}, True)
    assert password not in admin.get(f"{PATH}/{made.id}").text
    assert site.browser().sign_in("kim.new", password).status_code == 303
    event = events(site, "account.create")[-1]
    assert (event.actor, event.subject, event.reason) == ("administrator", "kim.new", "전입")
    assert password not in str(event)


def test_submitting_twice_makes_one_account_and_says_so(site):
    admin = site.visit("administrator")
    values = {"login": "twice", "name": "두 번", "role": "staff"}
    admin.get(f"{PATH}/new")
    token = admin.hidden("csrf")
    codes = [admin.client.post(f"{PATH}/new", data={"csrf": token, **values}).status_code for _ in range(2)]
    assert codes == [201, 409]
    assert count_accounts(site.database, AccountFilter(search="twice")) == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"login": "한글", "role": "staff", "name": "x"}, "영문 소문자"),
        ({"login": "a b", "role": "staff", "name": "x"}, "영문 소문자"),
        ({"login": "x" * 80, "role": "staff", "name": "x"}, "영문 소문자"),
        ({"login": "ok1", "role": "staff", "name": " \u202e "}, "이름을"),
        ({"login": "ok2", "name": "x"}, "역할을 하나"),
        ({"login": "ok3", "name": "x", "role": "root"}, "역할을 하나"),
        ({"login": "ok4", "name": "x", "role": ["finance", "administrator"]}, "직무 분리"),
        ({"login": "ok5", "name": "x", "role": ["reviewer", "administrator"]}, "직무 분리"),
        ({"login": "ok6", "person_id": "S999", "role": "staff"}, "직원 명부에 없"),
        ({"login": "ok7", "person_id": "S1", "role": "staff"}, "이미 있"),
        ({"login": "staff", "name": "x", "role": "staff"}, "이미 쓰이고"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_kept_in_the_form(shared_site, values, says):
    answer = create(shared_site.visit("administrator"), **values)
    assert answer.status_code in {409, 422}
    assert says in answer.text
    assert count_accounts(shared_site.database, AccountFilter()) == len(Role)


def test_the_second_administrator_is_told_what_the_first_one_made_of_it(site):
    site.make("other-admin", Role.ADMINISTRATOR)
    target = find_login(site.database, "staff")
    first, second = site.visit("administrator"), site.visit("other-admin")
    for browser in (first, second):
        browser.get(f"{PATH}/{target.id}")
    path = f"{PATH}/{target.id}"
    values = {"seen": first.hidden("seen"), "name": "첫째가 바꿈", "role": ["staff", "manager"]}
    assert first.post(path, values).status_code == 303
    values = {"seen": second.hidden("seen"), "name": "둘째가 바꿈", "role": ["staff", "reviewer"]}
    answer = second.post(path, values)
    assert answer.status_code == 409
    assert "첫째가 바꿈" in answer.text
    assert "둘째가 바꿈" in answer.text
    assert find_account(site.database, target.id).roles == {Role.STAFF, Role.MANAGER}
    values = {"seen": second.hidden("seen"), "name": "둘째가 바꿈", "role": ["staff", "reviewer"]}
    assert second.post(path, values).status_code == 303
    assert find_account(site.database, target.id).name == "둘째가 바꿈"


def test_saving_twice_what_stands_already_is_harmless(site):
    target = find_login(site.database, "staff")
    admin = site.visit("administrator")
    admin.get(f"{PATH}/{target.id}")
    values = {"seen": admin.hidden("seen"), "name": "새 이름", "role": ["staff"]}
    codes = [admin.post(f"{PATH}/{target.id}", values).status_code for _ in range(2)]
    assert codes == [303, 303]
    assert len(events(site, "role.change")) == 1


def test_an_account_that_is_not_there_answers_clearly(shared_site):
    admin = shared_site.visit("administrator")
    answer = admin.get(f"{PATH}/acct_gone")
    assert answer.status_code == 404
    assert "지워졌거나" in answer.text
    admin.get(PATH)
    for way in ("", "/disable", "/enable", "/reset"):
        assert admin.post(f"{PATH}/acct_gone{way}", {"role": "staff", "name": "x"}).status_code == 404


def test_nobody_changes_their_own_roles_and_the_last_administrator_stays(site):
    admin = site.visit("administrator")
    own = find_login(site.database, "administrator")
    admin.get(f"{PATH}/{own.id}")
    values = {"seen": str(own.version), "name": own.name, "role": ["administrator", "staff"]}
    assert admin.post(f"{PATH}/{own.id}", values).status_code == 403
    admin.get("/console/account")
    for way in ("disable", "reset"):
        assert admin.post(f"{PATH}/{own.id}/{way}").status_code == 403
    assert find_account(site.database, own.id).roles == {Role.ADMINISTRATOR}


def test_shutting_out_and_opening_again(site):
    target = find_login(site.database, "staff")
    admin, staff = site.visit("administrator"), site.visit("staff")
    admin.get(f"{PATH}/{target.id}")
    assert admin.post(f"{PATH}/{target.id}/disable").status_code == 303
    assert staff.get("/console").status_code == 303
    assert site.browser().sign_in("staff").status_code == 401
    admin.get(f"{PATH}/{target.id}")
    assert admin.post(f"{PATH}/{target.id}/enable").status_code == 303
    assert site.browser().sign_in("staff").status_code == 303


def test_a_reset_gives_a_new_first_password_and_ends_the_old_one(site):
    target = find_login(site.database, "staff")
    admin = site.visit("administrator")
    admin.get(f"{PATH}/{target.id}")
    password = given_password(admin.post(f"{PATH}/{target.id}/reset").text)
    assert site.browser().sign_in("staff", PASSWORD).status_code == 401
    fresh = site.browser()
    assert fresh.sign_in("staff", password).status_code == 303
    assert fresh.get("/console").headers["location"] == "/console/account/password"


@pytest.mark.parametrize("kind", NASTY)
def test_names_and_reasons_that_want_to_be_more_than_text_stay_text(site, kind):
    nasty = NASTY[kind]
    target = find_login(site.database, "staff")
    admin = site.visit("administrator")
    admin.get(f"{PATH}/{target.id}")
    values = {"seen": admin.hidden("seen"), "name": nasty, "role": ["staff"], "reason": nasty}
    assert admin.post(f"{PATH}/{target.id}", values).status_code == 303
    kept = find_account(site.database, target.id).name
    assert 0 < len(kept) <= 80
    assert not set(kept) & set("\u202e\u202c\r\n\x00\x1b")
    pages = admin.get(PATH).text + admin.get(f"{PATH}/{target.id}").text
    pages += site.visit("auditor").get("/console/audit").text
    pages += site.visit("staff").get("/console/account").text
    for live in ("<script>alert", "<img src=x", '" onfocus=', '"" autofocus onfocus', ">49<", "\x1b"):
        assert live not in pages
    exported = site.visit("auditor").get("/console/audit?format=csv").text
    cells = [cell for row in csv.reader(io.StringIO(exported)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


def test_the_emoji_of_a_family_stays_one(site):
    target = find_login(site.database, "staff")
    admin = site.visit("administrator")
    admin.get(f"{PATH}/{target.id}")
    admin.post(
        f"{PATH}/{target.id}", {"seen": admin.hidden("seen"), "name": NASTY["emoji"], "role": ["staff"]}
    )
    assert find_account(site.database, target.id).name == NASTY["emoji"]


def test_the_list_is_searched_filtered_sorted_and_exported(shared_site):
    admin = shared_site.visit("administrator")
    rows = re.findall(
        rf'<th scope="row"><a href="{PATH}/acct_\w+">([^<]+)', admin.get(f"{PATH}?sort=login&order=desc").text
    )
    assert rows == sorted((role.value for role in Role), reverse=True)
    assert "finance" in admin.get(f"{PATH}?role=finance").text
    assert "acct_" not in admin.get(f"{PATH}?q=%25%27%22").text.split("<main", 1)[1]
    for odd in ("?page=-1", "?page=99999999999", "?sort=password_hash", "?role=root", "?size=1000000"):
        assert admin.get(PATH + odd).status_code == 200
    export = admin.get(f"{PATH}?format=csv")
    assert export.headers["content-type"].startswith("text/csv")
    assert export.content.startswith("\ufeff".encode())
    assert len(export.text.splitlines()) == 1 + len(Role)


# --- what the frame promises --------------------------------------------------------------------------------


def test_every_page_carries_the_headers_that_keep_others_out(shared_site):
    for path in ("/console", "/console/sign-in", "/console/nothing", "/console/audit", "/console/account"):
        headers = shared_site.visit("auditor").get(path).headers
        policy = headers["content-security-policy"]
        for rule in (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ):
            assert rule in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert headers["strict-transport-security"]


def test_a_body_beyond_the_bound_is_refused_before_it_is_read(shared_site):
    browser = shared_site.visit("staff")
    big = b"csrf=" + b"x" * (9 * 1024**2)
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.client.post("/console/sign-out", content=big, headers=kind).status_code == 413
    chunks = (b"x" * 1024**2 for _ in range(9))
    assert browser.client.post("/console/sign-out", content=chunks, headers=kind).status_code == 413


@pytest.mark.parametrize("console", ["true", "false"])
def test_an_api_reads_no_more_than_it_needs_before_it_knows_who_asks(furnished, tmp_path, console):
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "haechi.toml"
    config.write_text(f"{config.read_text()}\n[console]\nenabled = {console}\n")
    kind = {"content-type": "application/json"}
    with TestClient(create_app(Settings(config=config)), base_url="https://testserver") as nobody:
        for body in (b"x" * (9 * 1024**2), (b"x" * 1024**2 for _ in range(9))):
            answer = nobody.post("/api/incidents/report", content=body, headers=kind)
            assert answer.status_code == 413
            error = answer.json()["error"]
            assert error["code"] == "body_too_large"
            assert "8 MiB" in error["message"]


BILL_HEADERS = {"content-type": "multipart/form-data; boundary=x"}
FORM_START = (
    b'--x\r\ncontent-disposition: form-data; name="provider"\r\n\r\nopenai\r\n'
    b'--x\r\ncontent-disposition: form-data; name="month"\r\n\r\n2026-01\r\n'
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="bill.csv"\r\n\r\n'
)


def bill_of(mib):
    yield FORM_START
    yield from (b"x" * 1024**2 for _ in range(mib))
    yield b"\r\n--x--\r\n"


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("staff", 403), ("reviewer", 403)])
def test_a_bill_is_not_read_before_it_is_known_who_sends_it(shared_site, monkeypatch, who, status):
    """Whatever is announced: a length, none (chunked), or one that is a lie."""
    browser = shared_site.browser() if who is None else shared_site.visit(who)
    read = []
    monkeypatch.setattr(Request, "form", lambda *_, **__: read.append("form"))
    for length in ({}, {"content-length": "10"}, {"content-length": str(9 * 1024**2)}):
        answer = browser.client.post("/api/billing/bills", content=bill_of(9), headers=BILL_HEADERS | length)
        assert answer.status_code == status
        told = answer.json()["error"]["message"]
        assert re.search("[가-힣]", told)
        assert re.search("[A-Za-z]{4}", told)
    assert not read


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-out", "/api/incidents/report"])
def test_whoever_leaves_while_sending_a_body_is_no_internal_error(shared_site, caplog, path):
    came = iter([{"type": "http.request", "body": b"csrf=", "more_body": True}])
    token = shared_site.visit("staff").token().encode()
    kind = b"application/json" if path.startswith("/api") else b"application/x-www-form-urlencoded"
    headers = [(b"host", b"testserver"), (b"content-type", kind), (b"cookie", b"__Host-haechi=" + token)]
    scope = {"type": "http", "method": "POST", "scheme": "https", "path": path, "raw_path": path.encode()}
    scope |= {"headers": headers, "query_string": b"", "http_version": "1.1", "root_path": ""}
    scope |= {"client": ("10.0.0.1", 1), "server": ("testserver", 443)}

    async def receive():
        return next(came, {"type": "http.disconnect"})

    async def send(_message):
        pass

    shared_site.client.portal.call(shared_site.app, scope, receive, send)
    assert "internal_error" not in caplog.text


def test_only_who_may_send_a_bill_sends_a_long_one(shared_site, monkeypatch):
    finance = shared_site.visit("finance")
    token = {"x-csrf-token": csrf_token(shared_site.parts, finance.token())}

    def post(path, mib):
        return finance.client.post(path, content=bill_of(mib), headers=BILL_HEADERS | token)

    answer = post("/api/billing/bills", 9)
    assert answer.json()["error"]["code"] == "unknown_provider"  # it was read to its end
    assert post("/api/billing/budgets", 9).status_code == 413
    assert (
        finance.client.post("/api/billing/bills", content=b"--y", headers=BILL_HEADERS | token).json()[
            "error"
        ]["code"]
        == "malformed_body"
    )
    monkeypatch.setitem(bound.LARGER, "/api/billing/bills", 10 * 1024**2)
    assert post("/api/billing/bills", 11).status_code == 413


def test_what_is_no_form_is_refused_as_a_page(shared_site):
    browser = shared_site.visit("staff")
    for kind in ("application/json", "text/plain", "multipart/form-data"):
        answer = browser.client.post("/console/sign-out", content=b"{}", headers={"content-type": kind})
        assert answer.status_code in {400, 403}
        assert answer.headers["content-type"].startswith("text/html")


def test_a_failure_of_ours_is_a_page_without_its_message(site, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("주민등록번호 900101-1234568")

    monkeypatch.setattr("gateway.console.account_pages.sessions.list_sessions", fail)
    answer = site.visit("staff").get("/console/account")
    assert answer.status_code == 500
    assert "요청 번호" in answer.text
    assert "900101" not in answer.text


def test_a_database_that_is_away_is_told_as_such(site, monkeypatch):
    def away(*_args, **_kwargs):
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    browser = site.visit("staff")
    monkeypatch.setattr("gateway.sign_in.sessions.find_session", away)
    answer = browser.get("/console")
    assert answer.status_code == 503
    assert "데이터베이스" in answer.text
