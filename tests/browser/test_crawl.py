"""Every page that a role can reach by links: nothing dead, nothing from elsewhere, nothing inaccessible, nothing slow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
import pytest

from tests.browser.conftest import NARROW, ROLES, WIDE, axe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

MOST_PAGES = 400
MOST_OF_A_KIND = 3
"""Pages that differ in their query only: sorted and filtered views of one list."""
FASTER_THAN_S = 0.2


def links(page: Any, base: str) -> list[str]:
    """The addresses of this console that the page leads to; downloads are fetched by another test."""
    found = page.eval_on_selector_all(
        "a[href]:not([download])", "all => all.map(a => a.getAttribute('href'))"
    )
    whole = (urldefrag(urljoin(page.url, href))[0] for href in found)
    return sorted({link for link in whole if link.startswith(f"{base}/console")})


def kind(link: str) -> str:
    """What pages are alike: their path, ids taken out."""
    return re.sub(
        r"(key|acct|evt)_[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}", "…", urlsplit(link).path
    )


def crawl(page: Any, base: str) -> list[str]:
    """Follow links from the start page, and return every address that was opened."""
    waiting, seen, counts = [f"{base}/console"], [], {}
    while waiting and len(seen) < MOST_PAGES:
        link = waiting.pop(0)
        counts[kind(link)] = counts.get(kind(link), 0) + 1
        if link in seen or counts[kind(link)] > MOST_OF_A_KIND:
            continue
        answer = page.goto(link)
        assert answer.ok, f"{answer.status} {link}"
        seen.append(link)
        waiting += [one for one in links(page, base) if one not in seen]
    return seen


@pytest.fixture(scope="module")
def maps(desk: Desk) -> dict[str, list[str]]:
    """What each role can reach. The crawl itself fails at a dead link, an error or a request to elsewhere."""
    found = {}
    for role in ROLES:
        with desk.page(role) as (page, watcher):
            found[role] = crawl(page, desk.institution.url)
            assert watcher.troubles == [], role
    return found


@pytest.mark.parametrize("role", ROLES)
def test_every_link_of_a_role_leads_somewhere_and_loads_nothing_from_elsewhere(
    maps: dict[str, list[str]], role: str
) -> None:
    assert f"{kind('/console')}" in {kind(link) for link in maps[role]}
    assert len(maps[role]) >= 3


@pytest.mark.parametrize(
    ("scheme", "size", "language"),
    [("light", WIDE, "ko"), ("dark", WIDE, "ko"), ("light", NARROW, "en"), ("dark", NARROW, "ko")],
    ids=["light-wide-ko", "dark-wide-ko", "light-narrow-en", "dark-narrow-ko"],
)
def test_no_page_has_an_accessibility_violation(
    desk: Desk, maps: dict[str, list[str]], scheme: str, size: tuple[int, int], language: str
) -> None:
    violations, done = [], set()
    for role in ROLES:
        with desk.page(role, size, language, scheme) as (page, _):
            for link in maps[role]:
                if kind(link) in done and kind(link) != "/console":
                    continue
                done.add(kind(link))
                page.goto(link)
                violations += [f"{link}: {found}" for found in axe(page)]
    assert violations == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_page_is_wider_than_a_telephone(desk: Desk, maps: dict[str, list[str]], language: str) -> None:
    too_wide, done = [], set()
    for role in ROLES:
        with desk.page(role, NARROW, language) as (page, _):
            for link in maps[role]:
                if kind(link) not in done:
                    done.add(kind(link))
                    page.goto(link)
                    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                        too_wide.append(link)
    assert too_wide == []


def until_fast(client: httpx.Client, link: str) -> Iterator[float]:
    """Yield how long a page takes, in seconds, until it once was as fast as it should be."""
    for _ in range(10):
        took = client.get(link).elapsed.total_seconds()
        yield took
        if took <= FASTER_THAN_S:
            return


def test_no_page_is_slow_at_this_size(desk: Desk, maps: dict[str, list[str]]) -> None:
    """The best of at most ten: what is measured is the page, not the other tests on this machine."""
    slow = []
    for role in ROLES:
        state = desk._state(role)
        cookies = {cookie["name"]: cookie["value"] for cookie in state["cookies"]}
        with httpx.Client(cookies=cookies) as client:
            for link in maps[role]:
                best = min(until_fast(client, link))
                if best > FASTER_THAN_S:
                    slow.append(f"{best * 1000:.0f} ms {role} {link}")
    assert slow == []


def test_no_english_page_shows_korean_but_in_names(desk: Desk, maps: dict[str, list[str]]) -> None:
    """What is left in Korean on an English page is data, marked by where it stands, or the other language's name."""
    left, done = [], set()
    with_names = {"김하늘", "이바다", "박서준", "최지우", "정유진", "한도윤", "오민재", "윤서아"}
    units = {"서울특별시", "행정국", "총무과", "인사과", "계약팀", "재무국", "예산담당관"}
    data = with_names | units | {"사무실 PC", "시험 서버", "시험", "한국어", "안녕하세요"}
    data |= {"단가-변경.csv", "하나은행 매매기준율"}
    for role in ROLES:
        with desk.page(role, WIDE, "en") as (page, _):
            for link in maps[role]:
                if kind(link) in done or "/design" in link:
                    continue
                done.add(kind(link))
                page.goto(link)
                page.eval_on_selector_all(".stored", "all => all.forEach(one => one.remove())")  # prompts
                text = page.inner_text("body")
                for known in sorted(data, key=len, reverse=True):
                    text = text.replace(known, "")
                left += [f"{link}: {line[:80]}" for line in text.splitlines() if re.search("[가-힣]", line)]
    assert left == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_that_no_link_leads_to_are_accessible_too(desk: Desk, scheme: str) -> None:
    """Sign-in, a refusal, a page that is not there."""
    violations = []
    for login, path, status in (
        (None, "/console/sign-in", 200),
        ("staff", "/console/admin/people", 403),
        ("staff", "/console/keys/none", 404),
        ("auditor", "/console/nowhere", 404),
    ):
        with desk.page(login, NARROW, "ko", scheme) as (page, _):
            answer = page.goto(path)
            assert answer.status == status
            violations += [f"{path}: {found}" for found in axe(page)]
            assert page.locator("h1").count() == 1
    assert violations == []
