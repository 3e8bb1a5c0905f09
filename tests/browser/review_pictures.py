"""`python -m tests.browser.review_pictures FOLDER`: the pictures of docs/security-review.ko.md, taken anew.

Opens the small office of these tests, has its staff send what is stopped, and works on it as reviewers do.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import CHROMIUM, NARROW, WIDE, Desk
from tests.browser.office import open_office
from tests.browser.test_review import EXAMPLE, NUMBER, SECOND, ask, blocked, open_incident, second_reviewer
from tests.journeys.conftest import simulating

if TYPE_CHECKING:
    from playwright.sync_api import Page

TALL = (1280, 1040)
PROMPTS = (
    f"민원인의 주민등록번호는 {NUMBER} 이고 연락처는 010-1234-5678 입니다. 처리 기한을 안내하는 답변을 써 주세요.",
    f"급여 대장의 {NUMBER} 에게 보낼 안내문을 다듬어 주세요.",
    "여권번호 M12345678 인 직원의 출장 신청서를 검토해 주세요.",
    "배포 서버의 비밀번호는 password=Tiger!2026seoul 입니다. 접속 절차를 문서로 만들어 주세요.",
    f"서식의 작성 예시입니다. 주민등록번호 칸에는 {EXAMPLE} 처럼 적습니다. 안내문을 다듬어 주세요.",
)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as office,
        simulating() as simulator,
        open_office(Path(office), simulator.url) as institution,
        second_reviewer(institution) as key,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        _take(Desk(browser, institution), key, folder)
        browser.close()


def _take(desk: Desk, key: str, folder: Path) -> None:
    ids = [blocked(desk, key, prompt) for prompt in PROMPTS]
    for number in range(4):
        ask(desk, key, f"담당자 연락처는 010-1234-567{number} 입니다. 문장을 고쳐 주세요.")

    def picture(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    with desk.page("staff") as (page, _):
        page.goto(f"/console/incidents/{ids[-1]}")
        page.fill("#note", "서식 예시라서 실제 사람의 번호가 아닙니다.")
        picture(page, "own")
        page.get_by_role("button", name="오탐으로 신고").click()
        page.goto("/console/check")
        page.fill("#text", PROMPTS[0])
        page.get_by_role("button", name="확인하기").click()
        expect(page.locator("#masked-text")).to_be_visible()
        picture(page, "check")
    with desk.page("reviewer", TALL) as (page, _):
        page.goto("/console")
        picture(page, "start")
        page.goto("/console/review")
        picture(page, "queue")
        page.keyboard.press("?")
        picture(page, "keys")
        open_incident(page, ids[-1])
        page.get_by_role("button", name="내가 맡기").click()
        picture(page, "incident")
        page.locator(".masked").first.click()
        page.fill("#reveal-reason", "신고 내용이 맞는지 확인")
        page.keyboard.press("Enter")
        expect(page.locator(".opened").first).to_be_visible()
        picture(page, "revealed")
        page.get_by_label("오탐", exact=False).first.check()
        page.get_by_role("button", name="판정하기").click()
        page.get_by_role("link", name="예외 제안하기").click()
        page.fill("#reason", "행정 서식의 작성 예시 번호")
        picture(page, "propose")
        page.get_by_role("button", name="제안하기").click()
        expect(page.locator(".toast")).to_be_visible()
        exception = page.url.partition("?")[0]
        page.goto("/console/review/oversight")
        picture(page, "oversight")
        page.goto("/console/review/replay")
        page.get_by_role("button", name="돌려 보기").click()
        expect(page.locator("#outcome")).to_be_visible()
        picture(page, "replay")
    with desk.page(SECOND, WIDE) as (page, _):
        page.goto(exception)
        picture(page, "approve")
    with desk.page("auditor", WIDE) as (page, _):
        page.goto("/console/review/evidence")
        picture(page, "evidence")
    for name, size, scheme in (("queue-narrow", NARROW, "light"), ("incident-dark", TALL, "dark")):
        with desk.page("reviewer", size, scheme=scheme) as (page, _):
            page.goto("/console/review" if name == "queue-narrow" else f"/console/review/incidents/{ids[0]}")
            picture(page, name)


if __name__ == "__main__":
    main()
