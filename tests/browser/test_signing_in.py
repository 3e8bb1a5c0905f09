"""One account's life in a browser: made, signed in for the first time, made safer, watched, shut out."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pyotp
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, WIDE, axe, leaving

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]
OWN = "Seonjuk-gyo-1392"


def press(page: Page, name: str) -> None:
    """Send the form of the page's content; the frame has forms of its own."""
    with leaving(page):
        page.locator(f"main form button:has-text('{name}')").first.click()


def sign_in(page: Page, login: str, password: str) -> None:
    page.goto("/console/sign-in")
    page.fill("#login", login)
    page.fill("#password", password)
    with leaving(page):
        page.press("#password", "Enter")


@pytest.mark.parametrize(
    ("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide-light", "narrow-dark"]
)
def test_an_account_from_its_making_to_its_end(desk: Desk, size: tuple[int, int], scheme: str) -> None:
    login = f"new-{size[0]}"
    violations: list[str] = []

    def look(page: Page) -> None:
        violations.extend(f"{page.url}: {found}" for found in axe(page))
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), page.url

    with desk.page("administrator", size, scheme=scheme) as (page, watcher):
        page.goto("/console/admin/accounts/new")
        page.fill("#login", login)
        page.fill("#name", "새 직원")
        page.check("#role-staff")
        press(page, "계정 만들기")
        expect(page.locator("h1")).to_have_text("계정을 만들었습니다")
        look(page)
        password = page.locator("#password").inner_text()
        assert watcher.troubles == []

    with desk.page(None, size, scheme=scheme) as (page, watcher):
        sign_in(page, login, "not the password")
        expect(page.locator("[role=alert]")).to_contain_text("맞지 않습니다")
        look(page)
        assert [trouble for trouble in watcher.troubles if "401" not in trouble] == []
        watcher.troubles.clear()

        sign_in(page, login, password)
        expect(page.locator("h1")).to_have_text("비밀번호 바꾸기")
        page.fill("#current", password)
        page.fill("#password", OWN)
        page.fill("#again", OWN)
        press(page, "비밀번호 바꾸기")
        expect(page.locator(".toast")).to_be_visible()
        expect(page).to_have_url(re.compile("/console$"))  # the message is not said again by a reload
        look(page)

        page.goto("/console/account/totp")
        secret = page.locator("#secret").inner_text().replace(" ", "")
        page.fill("#code", pyotp.TOTP(secret).now())
        page.fill("#password", OWN)
        press(page, "2단계 인증 켜기")
        expect(page.locator("h1")).to_have_text("2단계 인증을 켰습니다")
        look(page)
        recovery = page.locator("#codes").inner_text().split()[0]
        page.goto("/console/account/totp")
        look(page)

        page.locator("[popovertarget=account-menu]").click()
        with leaving(page):
            page.get_by_role("button", name="로그아웃", exact=True).click()
        expect(page.locator("h1")).to_have_text("로그인")
        page.go_back()
        page.goto("/console/account")
        page.wait_for_url("**/console/sign-in?next=*")

        sign_in(page, login, OWN)
        page.wait_for_url("**/console/sign-in/code*")
        look(page)
        page.fill("#code", pyotp.TOTP(secret).at(int(time.time()) + 30))
        with leaving(page):
            page.press("#code", "Enter")
        page.wait_for_url("**/console")

    with desk.page(None, size, "en", scheme) as (page, watcher):
        sign_in(page, login, OWN)
        page.fill("#code", recovery)
        with leaving(page):
            page.press("#code", "Enter")
        page.wait_for_url("**/console")
        page.goto("/console/nothing-here")
        expect(page.locator("h1")).to_have_text("Not found")
        look(page)
        page.goto("/console/audit")
        expect(page.locator("main")).to_contain_text("You have no right")
        look(page)

    with desk.page("administrator", size, scheme=scheme) as (page, watcher):
        page.goto(f"/console/admin/accounts?q={login}")
        with leaving(page):
            page.locator("tbody a").first.click()
        look(page)
        press(page, "계정 막기")
        expect(page.locator(".toast")).to_contain_text("막았습니다")

    with desk.page("auditor", size, scheme=scheme) as (page, watcher):
        page.goto(f"/console/audit?subject={login}")
        for action in ("account.disable", "account.totp_on", "account.password", "account.create"):
            expect(page.locator("tbody")).to_contain_text(action)
        press(page, "사슬 확인")
        expect(page.locator("main")).to_contain_text("모두 이어져 있습니다")
        look(page)
        assert watcher.troubles == []

    assert violations == []
