"""The review in a real browser: one false alarm from refusal to exception, the keys, two reviewers at once."""

from __future__ import annotations

import re
import time
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from billing.store import open_engine
from gateway.console.review.evidence import FILES
from gateway.keyring import Purpose
from gateway.organisation import Grant
from gateway.permissions import Role
from gateway.store.audit import audited, verify_audit
from gateway.store.organisation import create_key
from tests.browser.conftest import NARROW, WIDE, axe, leaving, sign_in
from tests.browser.office import add_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.conftest import Desk
    from tests.browser.office import Institution

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]

SECOND = "reviewer2"
NUMBER = "900101-1234568"
EXAMPLE = "850505-2234565"
"""Invented resident registration numbers whose check digits are right; the second becomes an exception."""
PROMPT = f"서식의 작성 예시입니다. 주민등록번호 칸에는 {EXAMPLE} 처럼 적습니다. 안내문을 다듬어 주세요."
PICTURE: list[dict[str, object]] = [
    {"type": "text", "text": "이 신분증 사진의 글자를 읽어 주세요."},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]
HOSTILE = f"<script>document.title='owned'</script><img src=x onerror=alert(1)> \u202e거꾸로\u202c \x00 {{{{7*7}}}} {NUMBER}"


@pytest.fixture(scope="module")
def key(institution: Institution) -> Iterator[str]:
    with second_reviewer(institution) as secret:
        yield secret


@contextmanager
def second_reviewer(institution: Institution) -> Iterator[str]:
    """Make a second reviewer, and an API key of 김하늘 (p1, the account `staff`), which is handed out."""
    settings = institution.settings
    engine = audited(open_engine(settings.load_config().database_url), settings.keyring)
    now = datetime.now(UTC)
    hash_key = settings.keyring().current(Purpose.API_KEY_HASH)
    grant = Grant(label="사무실 PC", person_id="p1", expires_at=now + timedelta(days=9))
    _, secret = create_key(engine, hash_key, grant, at=now, actor="test")
    add_account(settings, SECOND, "한도윤", {Role.REVIEWER})
    yield secret
    engine.dispose()


def ask(desk: Desk, secret: str, prompt: str | list[dict[str, object]]) -> httpx.Response:
    """Send a prompt as a chat client does; a new key is known everywhere within a second."""
    body = {"model": "sim-large", "messages": [{"role": "user", "content": prompt}]}
    for _ in range(30):
        answer = httpx.post(
            f"{desk.institution.url}/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {secret}"},
            timeout=20,
        )
        if answer.status_code != 401:
            return answer
        time.sleep(0.1)
    raise AssertionError("the key never worked")


def blocked(desk: Desk, secret: str, prompt: str | list[dict[str, object]] = PROMPT) -> str:
    """Send what is stopped; return the incident's id, which is the request's."""
    answer = ask(desk, secret, prompt)
    assert answer.status_code == 400, answer.text
    return answer.headers["x-request-id"]


def open_incident(page: Page, incident_id: str) -> None:
    page.goto(f"/console/review/incidents/{incident_id}")
    expect(page.locator("h1")).to_contain_text(incident_id[-8:])


def test_a_false_alarm_goes_from_refusal_to_exception_and_the_trail_shows_every_step(
    desk: Desk, key: str
) -> None:
    incident_id = blocked(desk, key)
    _staff_reports(desk, incident_id)
    _reviewer_judges(desk, incident_id)
    assert ask(desk, key, PROMPT).status_code == 400, "a proposal alone lets nothing pass"
    _second_reviewer_approves(desk)
    assert _passes_within_seconds(desk, key)
    _trail_shows(desk, incident_id)


def _staff_reports(desk: Desk, incident_id: str) -> None:
    with desk.page("staff") as (page, watcher):
        page.goto("/console/incidents")
        page.get_by_role("link", name=incident_id[-8:]).click()
        expect(page.locator("main")).to_contain_text("주민등록번호")
        expect(page.locator("body")).not_to_contain_text(EXAMPLE)
        page.fill("#note", "서식 예시라서 실제 사람의 번호가 아닙니다.")
        page.get_by_role("button", name="오탐으로 신고").click()
        expect(page.locator(".toast")).to_contain_text("신고했습니다")
        assert watcher.troubles == []


def _reviewer_judges(desk: Desk, incident_id: str) -> None:
    with desk.page("reviewer") as (page, watcher):
        page.goto("/console")
        with leaving(page):
            page.get_by_role("link", name="검토 대기열", exact=True).first.click()
        with leaving(page):
            page.get_by_role("link", name=incident_id[-8:]).click()
        expect(page.locator(".stored").first).to_contain_text("서식의 작성 예시입니다")
        assert EXAMPLE not in page.content()
        expect(page.locator("main")).to_contain_text("실제 사람의 번호가 아닙니다")
        with leaving(page):
            page.get_by_role("button", name="내가 맡기").click()
        _reveals(page)
        page.get_by_label("오탐", exact=False).first.check()
        with leaving(page):
            page.get_by_role("button", name="판정하기").click()
        expect(page.locator(".figures")).to_contain_text("오탐")
        with leaving(page):
            page.get_by_role("link", name="예외 제안하기").click()
        page.fill("#reason", "행정 서식의 작성 예시 번호")
        page.get_by_role("button", name="제안하기").click()
        expect(page.locator("h1")).to_contain_text("예외")
        expect(page.get_by_role("button", name="승인")).to_have_count(0)
        assert watcher.troubles == []


def _reveals(page: Page) -> None:
    """Click on the masked value, say why, and see it; without a reason nothing is shown."""
    page.locator(".masked").first.click()
    expect(page.locator("#reveal-reason")).to_be_focused()
    page.fill("#reveal-reason", "신고 내용이 맞는지 확인")
    with leaving(page):
        page.keyboard.press("Enter")
    expect(page.locator(".opened").first).to_have_text(EXAMPLE)
    expect(page.locator("main")).to_contain_text("까지 열려 있습니다")


def _second_reviewer_approves(desk: Desk) -> None:
    with desk.page(SECOND) as (page, watcher):
        page.goto("/console/review/exceptions?state=proposed")
        page.locator("tbody a").first.click()
        page.fill("#reason", "예시 번호임을 확인")
        page.get_by_role("button", name="승인").click()
        expect(page.locator(".toast")).to_contain_text("승인했습니다")
        expect(page.locator(".page-title")).to_contain_text("적용 중")
        assert watcher.troubles == []


def _passes_within_seconds(desk: Desk, key: str) -> bool:
    for _ in range(30):
        if ask(desk, key, PROMPT).status_code == 200:
            return True
        time.sleep(0.1)
    return False


def _trail_shows(desk: Desk, incident_id: str) -> None:
    steps = (
        "incident.report",
        "incident.view",
        "incident.assign",
        "incident.reveal",
        "incident.resolve",
        "exception.propose",
        "exception.approve",
    )
    with desk.page("auditor") as (page, watcher):
        page.goto("/console/audit?size=200")
        trail = page.inner_text("main")
        assert [step for step in steps if step not in trail] == []
        assert EXAMPLE not in page.content()
        page.goto(f"/console/audit?subject={incident_id}")
        expect(page.locator("main")).to_contain_text("신고 내용이 맞는지 확인")
        page.get_by_role("button", name="사슬 확인").click()
        expect(page.locator(".message.good")).to_be_visible()
        assert watcher.troubles == []
    settings = desk.institution.settings
    engine = open_engine(settings.load_config().database_url)
    assert verify_audit(engine, settings.keyring()).problems == ()
    engine.dispose()


# --- the queue by keyboard ----------------------------------------------------------------------------------


def test_the_queue_is_worked_by_keyboard_alone(desk: Desk, key: str) -> None:
    for number in range(3):
        blocked(desk, key, f"{number}번 서류의 주민등록번호는 {NUMBER} 이고 계좌는 없습니다.")
    with desk.page("reviewer") as (page, watcher):
        page.goto("/console/review")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("다음 · 이전 사건")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        first = page.evaluate("document.activeElement.getAttribute('href')")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.getAttribute('href')") != first
        page.keyboard.press("k")
        assert page.evaluate("document.activeElement.getAttribute('href')") == first
        page.keyboard.press("x")
        expect(page.locator("[data-chosen]")).to_have_text("1")
        page.keyboard.press("j")
        page.keyboard.press("x")
        expect(page.locator("[data-chosen]")).to_have_text("2")
        with leaving(page):
            page.keyboard.press("a")
        expect(page.locator(".toast")).to_contain_text("처리했습니다")
        page.goto("/console/review?assignee=me")
        expect(page.locator("tbody tr")).to_have_count(2)
        page.keyboard.press("j")
        with leaving(page):
            page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("사건")
        page.keyboard.press("t")
        with leaving(page):
            page.keyboard.press("Enter")
        expect(page.locator(".figures")).to_contain_text("정탐")
        with leaving(page):
            page.keyboard.press("u")
        expect(page.locator("h1")).to_have_text("검토 대기열")
        page.keyboard.press("/")
        expect(page.locator("#q")).to_be_focused()
        page.keyboard.type("jx?")
        expect(page.locator("#q")).to_have_value("jx?")
        assert watcher.troubles == []


def test_keys_can_be_switched_off(desk: Desk, key: str) -> None:
    blocked(desk, key, f"민원인 번호 {NUMBER}")
    with desk.page("reviewer") as (page, _):
        page.goto("/console/review")
        page.keyboard.press("?")
        page.get_by_label("단축키 쓰기").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.hasAttribute('data-incident')") is False
        page.reload()
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.hasAttribute('data-incident')") is False


def test_counts_follow_what_comes_in_without_a_reload(desk: Desk, key: str) -> None:
    with desk.page("reviewer") as (page, watcher):
        page.clock.install()
        page.goto("/console/review?assignee=-")
        count = page.locator("[data-count=new]")
        before = int(count.inner_text().replace(",", ""))
        blocked(desk, key, f"새로 온 번호 {NUMBER}")
        page.clock.run_for(11_000)
        expect(count).to_have_text(str(before + 1))
        expect(page.locator("[data-news]")).to_be_visible()
        assert watcher.troubles == []


def test_the_queue_works_without_scripts(desk: Desk, key: str) -> None:
    incident_id = blocked(desk, key, f"스크립트 없이 볼 번호 {NUMBER}")
    with desk.page(None, java_script_enabled=False) as (page, watcher):
        sign_in(page, "reviewer")
        page.goto("/console/review?severity=high")
        page.fill("#view-name", "급한 것")
        page.get_by_role("button", name="저장").click()
        page.get_by_role("link", name="급한 것").click()
        assert "severity=high" in page.url
        page.goto("/console/review")
        page.check(f"input[value='{incident_id}:1']")
        page.select_option("#step", "true_positive")
        page.fill("#note", "확인함")
        page.get_by_role("button", name="처리", exact=True).click()
        page.goto(f"/console/review/incidents/{incident_id}")
        expect(page.locator(".figures")).to_contain_text("정탐")
        assert watcher.troubles == []


def test_the_second_of_two_reviewers_is_told(desk: Desk, key: str) -> None:
    incident_id = blocked(desk, key, f"둘이 함께 보는 번호 {NUMBER}")
    with desk.page("reviewer") as (first, _), desk.page(SECOND) as (second, _):
        open_incident(first, incident_id)
        open_incident(second, incident_id)
        first.get_by_role("button", name="내가 맡기").click()
        expect(first.locator(".toast")).to_be_visible()
        second.get_by_label("오탐", exact=False).first.check()
        second.get_by_role("button", name="판정하기").click()
        expect(second.locator(".message.bad")).to_contain_text("지금 담당: reviewer")
        expect(second.get_by_label("오탐", exact=False).first).to_be_checked()
        second.get_by_role("button", name="판정하기").click()
        expect(second.locator(".figures")).to_contain_text("오탐")


def test_the_whole_text_needs_a_second_reviewer(desk: Desk, key: str) -> None:
    incident_id = blocked(desk, key, f"둘이 열어야 하는 번호 {NUMBER}")
    with desk.page("reviewer") as (first, _), desk.page(SECOND) as (second, _):
        open_incident(first, incident_id)
        first.select_option("#what", "all")
        first.fill("#reveal-reason", "전체 문맥을 보아야 함")
        first.locator("form:has(#reveal-reason) button").click()
        expect(first.locator(".toast")).to_contain_text("다른 심사자가 승인하면")
        assert NUMBER not in first.content()
        open_incident(second, incident_id)
        second.get_by_role("button", name="승인").click()
        expect(second.locator(".toast")).to_contain_text("승인했습니다")
        assert NUMBER not in second.content(), "it opens for the one who asked"
        open_incident(first, incident_id)
        expect(first.locator(".opened").first).to_have_text(NUMBER)


def test_what_was_opened_is_masked_again_on_a_page_that_stays_open(desk: Desk, key: str) -> None:
    incident_id = blocked(desk, key, f"열어 둔 번호 {NUMBER}")
    with desk.page("reviewer") as (page, watcher):
        page.clock.install()
        open_incident(page, incident_id)
        page.locator(".masked").first.click()
        page.fill("#reveal-reason", "시간이 지나면 가려지는지 확인")
        with leaving(page):
            page.locator("form:has(#reveal-reason) button").click()
        expect(page.locator(".opened").first).to_have_text(NUMBER)
        page.clock.run_for(11 * 60 * 1000)
        expect(page.locator(".opened").first).to_have_text("█████")
        assert NUMBER not in page.content()
        assert watcher.troubles == []


def test_hostile_text_is_shown_harmless(desk: Desk, key: str) -> None:
    incident_id = blocked(desk, key, HOSTILE)
    with desk.page("reviewer") as (page, watcher):
        open_incident(page, incident_id)
        stored = page.locator(".stored").first
        expect(stored).to_contain_text("<script>document.title='owned'</script>")
        expect(stored).to_contain_text("U+202E")
        expect(stored).to_contain_text("{{7*7}}")
        expect(page).not_to_have_title("owned")
        assert stored.locator("img, script").count() == 0
        assert "\u202e" not in page.content()
        assert watcher.troubles == []


def test_a_picture_that_nobody_could_read_is_before_the_reviewers_and_has_no_exception(
    desk: Desk, key: str
) -> None:
    incident_id = blocked(desk, key, PICTURE)
    with desk.page("reviewer") as (page, watcher):
        page.goto("/console/review")
        page.select_option("[name=type]", "UNREAD_IMAGE")
        with leaving(page):
            page.get_by_role("button", name="조회").click()
        with leaving(page):
            page.get_by_role("link", name=incident_id[-8:]).click()
        expect(page.get_by_role("row", name=re.compile("읽을 수 없는 그림"))).to_contain_text("content[1]")
        expect(page.get_by_role("link", name="예외 제안하기")).to_have_count(0)
        page.goto(f"/console/review/exceptions/new?incident={incident_id}")
        expect(page.locator(".empty")).to_contain_text("open_parts")
        assert watcher.troubles == []
    with desk.page("staff") as (page, watcher):
        page.goto(f"/console/incidents/{incident_id}")
        expect(page.locator("main")).to_contain_text("내용을 글로 옮겨 적거나")
        expect(page.get_by_role("link", name="가린 글을 만들어")).to_have_count(0)
        assert watcher.troubles == []


def test_a_member_of_staff_gets_the_masked_version_to_send_instead(desk: Desk, key: str) -> None:
    with desk.page("staff") as (page, watcher):
        page.goto("/console/check")
        page.fill("#text", f"민원인 번호 {NUMBER} 를 확인해 주세요.")
        with leaving(page):
            page.get_by_role("button", name="확인하기").click()
        expect(page.locator(".message.bad")).to_contain_text("막힙니다")
        masked = page.locator("#masked-text").inner_text()
        assert NUMBER not in masked
        assert ask(desk, key, masked).status_code == 200
        assert watcher.troubles == []


# --- axe and narrow screens on pages that links reach only sometimes ------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "size", "language"),
    [("light", WIDE, "ko"), ("dark", WIDE, "en"), ("light", NARROW, "ko"), ("dark", NARROW, "ko")],
    ids=["light-wide-ko", "dark-wide-en", "light-narrow-ko", "dark-narrow-ko"],
)
def test_no_page_of_the_review_has_an_accessibility_violation(
    desk: Desk, key: str, scheme: str, size: tuple[int, int], language: str
) -> None:
    incident_id = blocked(desk, key, f"접근성 검사용 번호 {NUMBER}")
    picture = blocked(desk, key, PICTURE)
    pages = (
        ("reviewer", f"/console/review/incidents/{picture}"),
        ("reviewer", f"/console/review/exceptions/new?incident={picture}"),
        ("staff", f"/console/incidents/{picture}"),
        ("reviewer", "/console"),
        ("reviewer", "/console/review"),
        ("reviewer", "/console/review?state=all&severity=high"),
        ("reviewer", f"/console/review/incidents/{incident_id}"),
        ("reviewer", "/console/review/exceptions"),
        ("reviewer", f"/console/review/exceptions/new?incident={incident_id}"),
        ("reviewer", "/console/review/oversight"),
        ("reviewer", "/console/review/replay"),
        ("auditor", "/console/review/evidence"),
        ("staff", "/console/incidents"),
        ("staff", f"/console/incidents/{incident_id}"),
        ("staff", "/console/check"),
    )
    violations, too_wide = [], []
    for login, path in pages:
        with desk.page(login, size, language, scheme) as (page, watcher):
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            violations += [f"{path}: {found}" for found in axe(page)]
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                too_wide.append(path)
            assert watcher.troubles == []
            assert not re.search(r"₩|\d원", page.inner_text("main")), "a reviewer sees no cost"
    assert violations == []
    assert too_wide == []


# --- oversight, replay, evidence ------------------------------------------------------------------------------


def test_a_change_of_policy_is_tried_on_the_past_before_it_is_switched_on(desk: Desk, key: str) -> None:
    assert ask(desk, key, "담당자 연락처는 010-1234-5678 입니다. 문장을 고쳐 주세요.").status_code == 200
    with desk.page("reviewer") as (page, watcher):
        page.goto("/console/review/replay")
        page.get_by_role("button", name="돌려 보기").click()
        expect(page.locator(".message.info")).to_contain_text("달라집니다")
        moved = page.get_by_role("region", name="무엇이 무엇으로").get_by_role("row", name="가림 차단")
        expect(moved).to_be_visible()
        page.fill("#candidate", "[[filter.policies]\nversion = 1")
        page.get_by_role("button", name="돌려 보기").click()
        expect(page.locator(".message.bad")).to_contain_text("TOML")
        expect(page.locator("#candidate")).to_have_value("[[filter.policies]\nversion = 1")
        assert [trouble for trouble in watcher.troubles if "400" not in trouble] == []


def test_an_auditor_makes_an_evidence_pack_and_anybody_notices_a_changed_one(
    desk: Desk, key: str, tmp_path: Path
) -> None:
    blocked(desk, key, f"감사 자료에 없어야 하는 번호 {NUMBER}")
    with desk.page("auditor") as (page, watcher):
        page.goto("/console/review/evidence")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="ZIP 만들기").click()
        pack = tmp_path / downloading.value.suggested_filename
        downloading.value.save_as(pack)
        assert set(zipfile.ZipFile(pack).namelist()) >= {name for name, _ in FILES}
        page.set_input_files("#pack", pack)
        page.get_by_role("button", name="서명과 파일 확인").click()
        expect(page.locator(".message.good")).to_contain_text("바뀌지 않은")
        changed = tmp_path / "changed.zip"
        with zipfile.ZipFile(pack) as whole, zipfile.ZipFile(changed, "w") as other:
            for name in whole.namelist():
                other.writestr(name, whole.read(name).replace(b'"requests"', b'"Requests"'))
        page.set_input_files("#pack", changed)
        page.get_by_role("button", name="서명과 파일 확인").click()
        expect(page.locator(".message.bad")).to_contain_text("counts.json was changed")
        assert watcher.troubles == []
