"""An administrator at work, and what the crawl cannot reach: forms that come back, previews, a colleague."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, WIDE, axe
from tests.browser.test_journeys import EVERYWHERE, go, heading

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]

A = "/console/admin"


def words(language: str, korean: str, english: str) -> str:
    return korean if language == "ko" else english


def press(page: Page, language: str, korean: str, english: str) -> None:
    page.locator("main").get_by_role("button", name=words(language, korean, english), exact=True).click()


@pytest.mark.parametrize(("size", "language"), EVERYWHERE)
def test_an_administrator_builds_a_team_fills_it_and_hands_out_a_key(
    desk: Desk, size: tuple[int, int], language: str
) -> None:
    code = f"t{size[0]}{language}"
    with desk.page("administrator", size, language) as (page, watcher):
        page.goto("/console")
        go(page, "부서 관리", "Departments", language)
        page.get_by_role("link", name=words(language, "부서 추가", "Add a unit")).click()
        page.fill("#name", f"인공지능팀 {code}")
        page.fill("#code", code)
        page.select_option("#kind", "team")
        page.select_option("#parent", "general")
        page.fill("#valid_from", "2026-02-02")
        page.fill("#reason", "신설")
        press(page, language, "부서 추가", "Add a unit")
        expect(page.locator("h1")).to_have_text(f"인공지능팀 {code}")
        expect(page.locator(".toast")).to_be_visible()

        go(page, "직원 관리", "People", language)
        page.get_by_role("link", name=words(language, "직원 추가", "Add a person")).click()
        page.fill("#name", "새 직원")
        page.fill("#employee_id", f"n{code}")
        page.fill("#email", f"{code}@seoul.example")
        page.select_option("#unit", code)
        page.fill("#valid_from", "2026-02-02")
        page.fill("#reason", "입직")
        press(page, language, "직원 추가", "Add a person")
        expect(page.locator("h1")).to_have_text("새 직원")

        page.get_by_role("link", name=words(language, "키 발급", "Issue a key")).click()
        expect(page.locator("#person")).to_have_value(f"n{code}")
        page.fill("#label", f"업무용 {code}")
        press(page, language, "키 발급", "Issue a key")
        heading(page, "키를 발급했습니다", "The key was issued", language)
        expect(page.locator("#secret")).to_contain_text("hk-")
        page.get_by_role("link", name=words(language, "키 보기", "See keys")).first.click()
        page.fill("#requests_per_min", "20")
        page.fill("#limit-reason", "시범 운영")
        press(page, language, "한도 저장", "Save the limits")
        expect(page.locator(".toast")).to_be_visible()
        expect(page.locator("#requests_per_min")).to_have_value("20")
        assert axe(page) == []
        page.fill("#reason", "시험 끝")
        press(page, language, "이 키 폐기", "Revoke this key")
        expect(page.locator(".toast")).to_be_visible()
        expect(page.locator("main")).to_contain_text(words(language, "폐기됨", "Revoked"))

        page.goto(f"{A}/people/n{code}")
        page.locator("form[action$='/leave'] [name=reason]").fill("퇴직")
        press(page, language, "떠남으로 처리", "Let this person leave")
        expect(page.locator("main")).to_contain_text(
            words(language, "오늘은 재직하지 않는 직원입니다", "This person is not active today")
        )
        assert watcher.troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_forms_that_come_back_and_previews_are_accessible(
    desk: Desk, size: tuple[int, int], scheme: str
) -> None:
    with desk.page("administrator", size, "ko", scheme) as (page, _):
        violations = []
        for path, submit in (
            (f"{A}/new-department", "부서 추가"),
            (f"{A}/new-person", "직원 추가"),
            (f"{A}/new-key", "키 발급"),
        ):
            page.goto(path)
            page.eval_on_selector_all("main form", "all => all.forEach(form => form.noValidate = true)")
            press(page, "ko", submit, submit)
            expect(page.locator("[role=alert]")).to_be_visible()
            violations += [f"{path}: {found}" for found in axe(page)]
        upload(page, "사번,성명,이메일,부서코드\nq1,김새로,q1@seoul.example,hr\n")
        expect(page.locator("main")).to_contain_text("새로 들어옴")
        violations += [f"preview: {found}" for found in axe(page)]
        upload(page, "사번,성명,이메일,부서코드\nq1,김새로,잘못,hr\n")
        expect(page.locator("[role=alert]")).to_contain_text("2행")
        violations += [f"mistakes: {found}" for found in axe(page)]
        assert violations == []


def test_the_second_of_two_administrators_sees_what_the_first_one_did(desk: Desk) -> None:
    with desk.page("administrator") as (first, _), desk.page("administrator") as (second, _):
        for page in (first, second):
            page.goto(f"{A}/departments/budget")
        rename(first, "예산과")
        expect(first.locator("h1")).to_have_text("예산과")
        rename(second, "재정과")
        expect(second.locator(".message.warn")).to_contain_text("다른 관리자가 바꾸었습니다")
        expect(second.locator("#name")).to_have_value("재정과")
        expect(second.locator("main")).to_contain_text("예산과")
        assert axe(second) == []
        press(second, "ko", "바꾸기", "Change")
        expect(second.locator("h1")).to_have_text("재정과")
        first.go_back()  # a page is never shown from memory: the form is as the thing is now
        expect(first.locator("h1")).to_have_text("재정과")


def rename(page: Any, name: str) -> None:
    form = page.locator("form[action$='/change']")
    form.locator("[name=name]").fill(name)
    form.locator("[name=reason]").fill("개편")
    form.locator("button").click()


def upload(page: Any, text: str) -> None:
    page.goto(f"{A}/import-people")
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.set_input_files("#file", file)
    page.locator("form[enctype] button[type=submit]").click()
