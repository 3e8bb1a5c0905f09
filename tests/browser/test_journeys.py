"""One journey for each role, as a person makes it: wide and on a telephone, in Korean and in English."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from gateway.permissions import Role
from tests.browser.conftest import NARROW, ROLES, WIDE, leaving, sign_in
from tests.browser.office import add_account

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]

EVERYWHERE = [
    pytest.param(size, language, id=f"{name}-{language}")
    for name, size in (("wide", WIDE), ("narrow", NARROW))
    for language in ("ko", "en")
]


def go(page: Page, korean: str, english: str, language: str) -> None:
    """Choose a page in the menu, which is folded away on a telephone."""
    fold = page.locator(".menu-button")
    if fold.is_visible():
        fold.click()
    name = korean if language == "ko" else english
    with leaving(page):
        page.locator("#menu").get_by_role("link", name=name, exact=True).click()


def heading(page: Page, korean: str, english: str, language: str) -> None:
    expect(page.locator("h1")).to_have_text(korean if language == "ko" else english)


def _ask(desk: Desk, secret: str) -> httpx.Response:
    time.sleep(0.1)
    return httpx.post(
        f"{desk.institution.url}/v1/chat/completions",
        json={"model": "house-model", "messages": [{"role": "user", "content": "안녕하세요"}]},
        headers={"authorization": f"Bearer {secret}"},
        timeout=20,
    )


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_a_member_of_staff_makes_a_key_uses_it_and_revokes_it(
    desk: Desk, size: tuple[int, int], language: str
) -> None:
    with desk.page("staff", size, language) as (page, watcher):
        page.goto("/console")
        go(page, "내 API 키", "My API keys", language)
        label = f"노트북 {size[0]} {language}"
        page.fill("#label", label)
        page.get_by_role("button", name="키 만들기" if language == "ko" else "Make a key").click()
        heading(page, "키를 만들었습니다", "The key is made", language)
        secret = page.locator("#secret").inner_text()
        answers = (_ask(desk, secret) for _ in range(40))  # a new key is known everywhere within a second
        assert any(answer.status_code == 200 for answer in answers)
        go(page, "내 사용량", "My use", language)
        expect(page.locator("main")).to_contain_text("house-model")
        go(page, "내 API 키", "My API keys", language)
        page.get_by_role("link", name=re.compile(re.escape(label))).click()
        page.get_by_role("button", name="이 키 폐기" if language == "ko" else "Revoke this key").click()
        expect(page.locator(".toast")).to_be_visible()
        expect(page).not_to_have_url(re.compile("notice"))
        assert watcher.troubles == []


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_a_manager_sees_whose_use_made_the_departments_cost(
    desk: Desk, size: tuple[int, int], language: str
) -> None:
    with desk.page("manager", size, language) as (page, watcher):
        page.goto("/console")
        go(page, "부서 사용량과 예산", "Departments: use and budget", language)
        expect(page.locator("h1")).to_have_text("총무과")
        page.get_by_role("link", name="직원별" if language == "ko" else "By person").click()
        expect(page.locator("main")).to_contain_text("김하늘")
        expect(page.locator("main")).not_to_contain_text("이바다")
        assert watcher.troubles == []


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_finance_finds_the_department_that_costs_most_and_takes_the_figures_along(
    desk: Desk, size: tuple[int, int], language: str
) -> None:
    with desk.page("finance", size, language) as (page, watcher):
        page.goto("/console/department")
        heading(page, "부서 사용량과 예산", "Departments: use and budget", language)
        with page.expect_download() as downloading:
            page.get_by_role("link", name="CSV 내려받기" if language == "ko" else "Download CSV").click()
        assert downloading.value.suggested_filename.startswith("departments-")
        page.get_by_role("link", name="총무과", exact=True).click()
        expect(page.locator("h1")).to_have_text("총무과")
        assert watcher.troubles == []


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_a_reviewer_sees_what_was_stopped_and_no_cost(
    desk: Desk, size: tuple[int, int], language: str
) -> None:
    with desk.page("reviewer", size, language) as (page, watcher):
        page.goto("/console")
        stopped = page.locator(".figure", has_text="오늘 막은 요청" if language == "ko" else "Stopped today")
        assert int(stopped.locator(".figure-value").inner_text()) >= 1
        assert not re.search(r"₩|\d원", page.inner_text("main"))
        go(page, "모델", "Models", language)
        assert not re.search(r"₩|\d원", page.inner_text("main"))
        assert watcher.troubles == []


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_an_administrator_looks_after_people_and_sees_no_cost(
    desk: Desk, size: tuple[int, int], language: str
) -> None:
    with desk.page("administrator", size, language) as (page, watcher):
        page.goto("/console")
        go(page, "직원 관리", "People", language)
        expect(page.locator("main")).to_contain_text("김하늘")
        assert not re.search(r"₩|\d원", page.inner_text("main"))
        assert watcher.troubles == []


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_an_auditor_finds_who_signed_in(desk: Desk, size: tuple[int, int], language: str) -> None:
    with desk.page("auditor", size, language) as (page, watcher):
        page.goto("/console")
        go(page, "접속 기록", "Access audit", language)
        expect(page.locator("main")).to_contain_text("auditor")
        assert watcher.troubles == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reaches_its_work_by_keyboard_alone(desk: Desk, role: str) -> None:
    with desk.page(role) as (page, _):
        page.goto("/console")
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        seen = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.tagName, e.getAttribute('href') || '', s.outlineStyle] })()"
            )
            if focused[0] == "BODY":
                break
            seen.add(tuple(focused))
        assert all(outline != "none" for tag, _, outline in seen if tag != "MAIN"), seen


def test_the_console_works_without_scripts(desk: Desk) -> None:
    with desk.page(None, java_script_enabled=False) as (page, watcher):
        sign_in(page, "staff")
        page.goto("/console/keys")
        page.fill("#label", "스크립트 없이")
        page.get_by_role("button", name="키 만들기").click()
        expect(page.locator("#secret")).to_contain_text("hk-")
        page.goto("/console/usage")
        page.get_by_role("button", name="보기").click()
        expect(page.locator("h1")).to_have_text("내 사용량")
        assert watcher.troubles == []


def test_the_readers_language_and_brightness_are_kept(desk: Desk) -> None:
    add_account(
        desk.institution.settings, "reader", "읽는 이", {Role.STAFF}
    )  # the language stays with the account
    with desk.page("reader") as (page, watcher):
        page.goto("/console/models")
        page.get_by_role("button", name="화면 설정").click()
        with leaving(page):
            page.get_by_role("button", name="English").click()
        expect(page.locator("h1")).to_have_text("Models")
        page.get_by_role("button", name="Display").click()
        with leaving(page):
            page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert sum(int(part) for part in re.findall(r"\d+", dark)) < 120
        assert page.url.endswith("/console/models")
        assert watcher.troubles == []


def test_a_second_click_sends_a_form_once(desk: Desk) -> None:
    with desk.page("staff") as (page, _):
        page.goto("/console/keys")
        page.fill("#label", "두 번 누름")
        button = page.get_by_role("button", name="키 만들기")
        twice = (
            "button => addEventListener('keydown', () => { button.click(); button.click() }, {once: true})"
        )
        button.evaluate(twice)
        with leaving(page):
            page.keyboard.press("F9")
        expect(page.locator("h1")).to_have_text("키를 만들었습니다")
        page.goto("/console/keys")
        expect(page.get_by_role("row", name=re.compile("두 번 누름"))).to_have_count(1)


def test_forced_colours_and_print_leave_a_page_readable(desk: Desk) -> None:
    with desk.page("staff", forced_colors="active") as (page, _):
        page.goto("/console/usage")
        current = page.locator(".side a[aria-current]")
        assert current.evaluate("e => getComputedStyle(e).borderTopStyle") == "solid"
    with desk.page("staff") as (page, _):
        page.goto("/console/usage")
        page.emulate_media(media="print")
        expect(page.locator(".side")).to_be_hidden()
        expect(page.locator(".top")).to_be_hidden()
        expect(page.locator("h1")).to_be_visible()
