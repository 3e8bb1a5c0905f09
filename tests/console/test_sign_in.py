"""Signing in, and what attackers try at that door."""

import re
import statistics
import threading
import time
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from sqlalchemy import select, text, update
from starlette.testclient import TestClient

from gateway.console.identity_provider import LocalAccounts
from gateway.errors import RateLimited, Unauthenticated
from gateway.imports import read_people
from gateway.permissions import Role
from gateway.sign_in import Browser
from gateway.store import accounts as store
from gateway.store.account_tables import access_audit, account, console_session
from gateway.store.accounts import change_account, disable_account, find_login
from gateway.store.organisation import import_people
from tests.console.conftest import PASSWORD, PEOPLE, START, deed


def events(site, action):
    with site.database.connect() as connection:
        return connection.execute(
            select(access_audit).where(access_audit.c.action == action).order_by(access_audit.c.seq)
        ).all()


def test_a_right_password_opens_the_console_and_stands_in_the_trail(shared_site):
    browser = shared_site.browser()
    answer = browser.sign_in("staff")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert browser.get("/console").status_code == 200
    assert events(shared_site, "session.sign_in")[-1].actor == "staff"


def test_the_cookie_is_for_this_host_for_https_and_for_no_script(shared_site):
    cookie = shared_site.browser().sign_in("staff").headers["set-cookie"].lower()
    assert cookie.startswith("__host-haechi=")
    for flag in ("httponly", "secure", "samesite=lax", "path=/"):
        assert flag in cookie
    assert "domain" not in cookie
    assert "max-age" not in cookie
    assert "expires" not in cookie


def test_the_bare_address_leads_to_the_console(shared_site):
    answer = shared_site.browser().client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console")


def test_plain_http_is_refused_but_on_loopback(shared_site):
    far = TestClient(
        shared_site.app, base_url="http://testserver", client=("10.1.2.3", 1), follow_redirects=False
    )
    assert far.get("/console/sign-in").status_code == 403
    posing = TestClient(
        shared_site.app, base_url="http://localhost", client=("10.1.2.3", 1), follow_redirects=False
    )
    assert posing.get("/console/sign-in").status_code == 403
    near = TestClient(
        shared_site.app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), follow_redirects=False
    )
    answer = near.get("/console/sign-in")
    assert answer.status_code == 200
    assert "secure" not in answer.headers["set-cookie"].lower()


def test_unknown_login_wrong_password_and_shut_out_account_get_the_same_words(site):
    disable_account(site.database, find_login(site.database, "finance").id, seen=None, deed=deed())
    pages = []
    for login, password in (("nobody", PASSWORD), ("staff", "wrong"), ("finance", PASSWORD)):
        browser = site.browser()
        answer = browser.sign_in(login, password)
        assert answer.status_code == 401
        pages.append(re.sub(r'value="[^"]*"|login', "", answer.text))
    assert len(set(pages)) == 1


def test_unknown_and_known_logins_take_the_same_work(site):
    def took(login):
        browser = site.browser()
        browser.get("/console/sign-in")
        start = time.process_time()
        browser.post("/console/sign-in", {"login": login, "password": "wrong-password"})
        return time.process_time() - start

    known = [took("staff") for _ in range(4)]
    unknown = [took(f"nobody{n}") for n in range(4)]
    ratio = statistics.median(unknown) / statistics.median(known)
    assert 0.4 < ratio < 2.5, (known, unknown)


def test_guesses_at_one_account_are_held_off_whether_it_exists_or_not(site):
    for login in ("staff", "nobody"):
        answers = [site.browser().sign_in(login, f"guess-{n}").status_code for n in range(7)]
        assert answers == [401] * 5 + [429] * 2
    answer = site.browser().sign_in("staff")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert site.browser().sign_in("manager").status_code == 303


def test_guesses_all_at_once_get_no_more_tries(site):
    codes = []

    def guess(number):
        codes.append(site.browser().sign_in("staff", f"guess-{number}").status_code)

    threads = [threading.Thread(target=guess, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [401] * 5 + [429] * 7


def test_guesses_over_many_accounts_from_one_address_are_held_off(site):
    codes = [site.browser().sign_in(f"someone{n}", "Guess-work-1").status_code for n in range(32)]
    assert codes[:30] == [401] * 30
    assert codes[-1] == 429


def test_what_is_typed_into_the_login_field_by_mistake_is_written_nowhere(site):
    site.browser().sign_in("Secret-pass-1", "x")
    with site.database.connect() as connection:
        rows = str(connection.execute(select(access_audit)).all())
        rows += str(connection.execute(text("SELECT * FROM sign_in_failure")).all())
    assert "secret-pass-1" not in rows.lower()


def test_a_token_that_an_attacker_planted_is_never_the_one_that_is_signed_in(shared_site):
    planted = "A" * 43
    anonymous = shared_site.browser()
    anonymous.get("/console/sign-in")
    cookies = {"__Host-haechi": planted, "__Host-haechi-form": anonymous.client.cookies["__Host-haechi-form"]}
    victim = TestClient(
        shared_site.app, base_url="https://testserver", follow_redirects=False, cookies=cookies
    )
    form = {"csrf": anonymous.hidden("csrf"), "login": "staff", "password": PASSWORD}
    answer = victim.post("/console/sign-in", data=form)
    assert answer.status_code == 303
    assert planted not in answer.headers["set-cookie"]
    attacker = shared_site.browser()
    attacker.client.cookies.set("__Host-haechi", planted)
    assert attacker.get("/console/account").status_code == 303


def test_signing_in_again_ends_the_session_the_browser_came_with(shared_site):
    browser = shared_site.browser()
    browser.sign_in("staff")
    old = browser.token()
    anonymous = shared_site.browser()
    anonymous.get("/console/sign-in")
    form = {"csrf": anonymous.hidden("csrf"), "login": "manager", "password": PASSWORD}
    cookies = {"__Host-haechi": old, "__Host-haechi-form": anonymous.client.cookies["__Host-haechi-form"]}
    plain = TestClient(
        shared_site.app, base_url="https://testserver", follow_redirects=False, cookies=cookies
    )
    assert plain.post("/console/sign-in", data=form).status_code == 303
    assert browser.get("/console").status_code == 303


def test_changing_the_password_gives_a_fresh_token_and_signs_the_others_out(site):
    here, there = site.browser(), site.browser()
    here.sign_in("staff")
    there.sign_in("staff")
    old = here.token()
    here.get("/console/account/password")
    fresh = {"current": PASSWORD, "password": "Another-horse-7", "again": "Another-horse-7"}
    assert here.post("/console/account/password", fresh).status_code == 303
    assert here.token() != old
    assert here.get("/console/account").status_code == 200
    assert there.get("/console/account").status_code == 303
    thief = site.browser()
    thief.client.cookies.set("__Host-haechi", old)
    assert thief.get("/console/account").status_code == 303


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("Short1!", "짧습니다"),
        ("onlyletters", "짧습니다"),
        ("staff-Zq9!vk2", "아이디가 들어"),
        ("Password1!", "흔히 쓰는"),
        ("aA1!aA1!aA1!", "같은 글자"),
        (PASSWORD, "지금 비밀번호와"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(shared_site, password, says):
    browser = shared_site.visit("staff")
    browser.get("/console/account/password")
    answer = browser.post(
        "/console/account/password", {"current": PASSWORD, "password": password, "again": password}
    )
    assert answer.status_code == 422
    assert says in answer.text


def test_the_first_password_opens_nothing_but_its_change(site):
    site.make("fresh", Role.STAFF, must_change=True)
    browser = site.browser()
    browser.sign_in("fresh")
    for path in ("/console", "/console/usage", "/console/design"):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/account/password")
    browser.get("/console/account/password")
    browser.post(
        "/console/account/password",
        {"current": PASSWORD, "password": "My-own-word-8", "again": "My-own-word-8"},
    )
    assert browser.get("/console").status_code == 200


# --- cross-site requests ----------------------------------------------------------------------------------


def test_a_changing_request_without_with_a_wrong_or_with_anothers_token_is_refused(site):
    mine, other = site.visit("staff"), site.visit("manager")
    mine.get("/console/account")
    other.get("/console/account")
    path = "/console/account/sign-out-everywhere"
    for token in (None, "", "0" * 64, "한글", other.hidden("csrf")):
        data = {} if token is None else {"csrf": token}
        assert mine.client.post(path, data=data).status_code == 403
    assert mine.client.post(path, headers={"x-csrf-token": mine.hidden("csrf")}).status_code == 303


def test_a_token_of_a_session_that_ended_is_worth_nothing(site):
    browser = site.browser()
    browser.sign_in("staff")
    browser.get("/console/account")
    stale = browser.hidden("csrf")
    browser.post("/console/sign-out")
    browser.sign_in("staff")
    answer = browser.client.post("/console/account/sign-out-everywhere", data={"csrf": stale})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_request_that_another_site_started_is_refused_even_with_the_token(shared_site, headers):
    browser = shared_site.visit("staff")
    browser.get("/console/account")
    answer = browser.post("/console/account/sign-out-everywhere", headers=headers)
    assert answer.status_code == 403


def test_nobody_can_be_signed_in_as_somebody_else_by_a_foreign_form(shared_site):
    attacker = shared_site.browser()
    attacker.get("/console/sign-in")
    theirs = attacker.hidden("csrf")
    victim = shared_site.browser()
    victim.get("/console/sign-in")
    data = {"csrf": theirs, "login": "staff", "password": PASSWORD}
    assert victim.client.post("/console/sign-in", data=data).status_code == 403


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "https:/console",
        "javascript:alert(1)",
        "/console@evil.example",
        "/console/../v1/models",
        "/console\r\nset-cookie: a=b",
        "/consoleevil",
        "/docs",
    ],
)
def test_the_way_on_never_leaves_the_console(shared_site, target):
    answer = shared_site.browser().sign_in("staff", next=target)
    assert answer.headers["location"] == "/console"


def test_the_way_on_leads_back_to_what_was_asked_for(shared_site):
    browser = shared_site.browser()
    answer = browser.get("/console/usage?by=day&month=2026-11")
    browser.get(answer.headers["location"])
    answer = browser.post(
        "/console/sign-in", {"login": "staff", "password": PASSWORD, "next": browser.hidden("next")}
    )
    assert answer.headers["location"] == "/console/usage?by=day&month=2026-11"


# --- time and power ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "back"), [("seen_at_us", timedelta(minutes=31)), ("expires_at_us", timedelta(hours=11))]
)
def test_a_session_ends_when_it_idles_and_when_its_day_is_over(site, column, back):
    browser = site.browser()
    browser.sign_in("staff")
    with site.database.begin() as connection:
        change = console_session.c[column] - int(back.total_seconds() * 1_000_000)
        connection.execute(console_session.update().values({column: change}))
    assert browser.get("/console/account").status_code == 303


def test_a_role_that_is_taken_away_is_gone_with_the_next_click(site):
    both = site.make("both", Role.STAFF, Role.AUDITOR)
    browser = site.browser()
    browser.sign_in("both")
    assert browser.get("/console/audit").status_code == 200
    change_account(site.database, both.id, seen=both.version, name=both.name, roles={Role.STAFF}, deed=deed())
    assert browser.get("/console/audit").status_code == 403
    assert browser.get("/console/account").status_code == 200


def test_a_role_that_is_given_is_signed_in_for_anew(site):
    staff = find_login(site.database, "staff")
    browser = site.browser()
    browser.sign_in("staff")
    roles = {Role.STAFF, Role.MANAGER}
    change_account(site.database, staff.id, seen=staff.version, name=staff.name, roles=roles, deed=deed())
    assert browser.get("/console/account").status_code == 303


def test_a_shut_out_account_and_a_person_who_left_are_out_at_once(site):
    browser, leaver = site.browser(), site.browser()
    browser.sign_in("staff")
    leaver.sign_in("finance")
    disable_account(site.database, find_login(site.database, "staff").id, seen=None, deed=deed())
    assert browser.get("/console/account").status_code == 303
    stays = "".join(line for line in PEOPLE.splitlines(keepends=True) if not line.startswith("S4,"))
    people, left_on = read_people(stays.encode(), START), START.replace(month=2)
    import_people(site.database, people, at=datetime.now(UTC), actor="test", absent_end=left_on)
    site.parts.directory.refresh()
    answer = leaver.get("/console/account")
    assert answer.status_code == 401
    assert "재직" in answer.text


def test_signing_out_everywhere_leaves_only_this_browser(site):
    here, there = site.browser(), site.browser()
    for browser in (here, there):
        browser.sign_in("staff")
    here.get("/console/account")
    assert here.post("/console/account/sign-out-everywhere").status_code == 303
    assert there.get("/console/account").status_code == 303
    assert here.get("/console/account").status_code == 200


# --- the second factor ------------------------------------------------------------------------------------


def switch_on(browser):
    browser.get("/console/account/totp")
    secret = re.search(r'<pre id="secret"[^>]*>([A-Z2-7 ]+)</pre>', browser.page)[1].replace(" ", "")
    code = pyotp.TOTP(secret).now()
    answer = browser.post(
        "/console/account/totp", {"box": browser.hidden("box"), "code": code, "password": PASSWORD}
    )
    assert answer.status_code == 200, answer.text
    codes = re.search(r'<pre id="codes"[^>]*>([^<]+)</pre>', answer.text)[1].split()
    return secret, code, codes


def test_the_second_factor_is_asked_for_and_a_code_opens_once(site):
    browser = site.browser()
    browser.sign_in("staff")
    secret, used, _ = switch_on(browser)
    fresh = site.browser()
    answer = fresh.sign_in("staff", next="/console/usage")
    assert answer.headers["location"].startswith("/console/sign-in/code")
    assert fresh.get("/console/usage").status_code == 303
    fresh.get(answer.headers["location"])
    assert fresh.post("/console/sign-in/code", {"code": used}).status_code == 401
    later = pyotp.TOTP(secret).at(int(time.time()) + 30)
    answer = fresh.post("/console/sign-in/code", {"code": later, "next": "/console/usage"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/usage")
    replayed = site.browser()
    replayed.sign_in("staff")
    replayed.get("/console/sign-in/code")
    assert replayed.post("/console/sign-in/code", {"code": later}).status_code == 401


def test_a_recovery_code_opens_once(site):
    browser = site.browser()
    browser.sign_in("staff")
    _, _, codes = switch_on(browser)
    assert len(codes) == 10
    for expected in (303, 401):
        fresh = site.browser()
        fresh.sign_in("staff")
        fresh.get("/console/sign-in/code")
        typed = codes[0].upper().replace("-", " ")
        assert fresh.post("/console/sign-in/code", {"code": typed}).status_code == expected


def test_codes_cannot_be_guessed_at_will(site):
    browser = site.browser()
    browser.sign_in("staff")
    switch_on(browser)
    fresh = site.browser()
    fresh.sign_in("staff")
    fresh.get("/console/sign-in/code")
    answers = [fresh.post("/console/sign-in/code", {"code": f"{n:06}"}).status_code for n in range(6)]
    assert answers[-1] == 429


def test_whoever_changes_a_password_is_out_if_it_was_given_anew_meanwhile(site, monkeypatch):
    changed = store.set_password

    def changed_and_reset(database, account_id, *arguments, **options):
        changed(database, account_id, *arguments, **options)
        store.reset_account(database, account_id, "given anew", deed=deed())

    monkeypatch.setattr(store, "set_password", changed_and_reset)
    browser = site.browser()
    browser.sign_in("staff")
    browser.get("/console/account/password")
    new = "Another-horse-43"
    form = {"current": PASSWORD, "password": new, "again": new}
    assert browser.post("/console/account/password", form).headers["location"].startswith("/console/sign-in")
    with site.database.connect() as connection:
        assert connection.execute(select(console_session)).all() == []


def test_right_sign_ins_with_a_code_never_hold_an_office_off(site):
    browser = site.browser()
    browser.sign_in("staff")
    secret, *_ = switch_on(browser)
    office, now, way = Browser("10.0.0.9", "Firefox"), datetime.now(UTC), site.parts.sign_in

    def first_step(person="staff"):
        who = LocalAccounts(way).prove({"login": person, "password": PASSWORD}, office, now)
        return way.waiting_for_code(way.admit(who, office, now).token, now)

    for _ in range(40):
        with site.database.begin() as connection:  # as if the next thirty seconds had come
            connection.execute(update(account).values(totp_last_step=None))
        assert way.confirm(first_step(), pyotp.TOTP(secret).at(now), office, now).token
    waiting = first_step()
    for _ in range(4):
        with pytest.raises(Unauthenticated):
            way.confirm(waiting, "000000", office, now)
    with pytest.raises(RateLimited):
        way.confirm(waiting, pyotp.TOTP(secret).at(now), office, now)


def test_switching_the_second_factor_off_needs_the_password(site):
    browser = site.browser()
    browser.sign_in("staff")
    switch_on(browser)
    browser.get("/console/account/totp")
    assert browser.post("/console/account/totp/off", {"password": "wrong"}).status_code == 422
    assert browser.post("/console/account/totp/off", {"password": PASSWORD}).status_code == 303
    assert not find_login(site.database, "staff").totp


def test_secrets_stand_in_the_database_only_sealed_or_hashed(site):
    browser = site.browser()
    browser.sign_in("staff")
    secret, _, codes = switch_on(browser)
    token = browser.token()
    stored = b"".join(path.read_bytes() for path in site.folder.glob("haechi.db*"))
    assert b"acct_" in stored
    for plain in (PASSWORD, secret, codes[0], codes[0].replace("-", ""), token):
        assert plain.encode() not in stored
