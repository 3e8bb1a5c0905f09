"""A real Chromium against a real gateway: what a page loads, says and breaks is noticed.

`make test-full` installs Debian's chromium and axe-core from npm; without them the tests fail and say so.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.office import ACCOUNTS, PASSWORD, Institution, open_office
from tests.journeys.conftest import simulator  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Response

    from tests.journeys.conftest import Simulator

CHROMIUM = "/usr/bin/chromium"
AXE = Path(__file__).parent.parent / "journeys" / "js" / "node_modules" / "axe-core" / "axe.min.js"
WIDE, NARROW = (1280, 800), (390, 844)
ROLES = tuple(account[0] for account in ACCOUNTS)
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


@dataclass
class Watcher:
    """What went wrong while pages were open: console messages, failed loads, other hosts."""

    host: str
    troubles: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._message)
        page.on("pageerror", lambda error: self.troubles.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self._request(page, request.url))
        page.on("response", lambda response: self._response(page, response))

    def _message(self, message: Any) -> None:
        if message.type in {"error", "warning"}:  # a broken content policy is an error here
            self.troubles.append(f"{message.location.get('url', '')}: {message.text}")

    def _request(self, page: Page, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "data" and parts.netloc != self.host:
            self.troubles.append(f"{page.url} asked {parts.netloc}")

    def _response(self, page: Page, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{page.url}: {response.status} {response.url}")


@dataclass
class Desk:
    """Browsers for the institution's accounts. A sign-in is done once for each account."""

    browser: Browser
    institution: Institution
    states: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def page(
        self,
        login: str | None,
        size: tuple[int, int] = WIDE,
        language: str = "ko",
        scheme: str = "light",
        **options: Any,
    ) -> Iterator[tuple[Page, Watcher]]:
        """A page of an account that is signed in (None: nobody), and what watches it."""
        with self._context(login, size, language, scheme, options) as context:
            page, watcher = context.new_page(), Watcher(urlsplit(self.institution.url).netloc)
            watcher.watch(page)
            yield page, watcher

    @contextmanager
    def _context(
        self, login: str | None, size: tuple[int, int], language: str, scheme: str, options: dict[str, Any]
    ) -> Iterator[BrowserContext]:
        state = self._state(login) if login else None
        context = self.browser.new_context(
            base_url=self.institution.url,
            viewport={"width": size[0], "height": size[1]},
            locale={"ko": "ko-KR", "en": "en-US"}[language],
            color_scheme=scheme,
            storage_state=state,
            **options,
        )
        try:
            yield context
        finally:
            context.close()

    def _state(self, login: str) -> Any:
        if login not in self.states:
            context = self.browser.new_context(base_url=self.institution.url)
            page = context.new_page()
            sign_in(page, login)
            self.states[login] = context.storage_state()
            context.close()
        return self.states[login]


def sign_in(page: Page, login: str) -> None:
    page.goto("/console/sign-in")
    page.fill("[name=login]", login)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/console")


@contextmanager
def leaving(page: Page) -> Iterator[None]:
    """What is done inside leads to another page: end when that is there and its scripts have run.

    Without it the next key may go to the page that leaves, or come before anybody listens.
    """
    with page.expect_navigation(wait_until="load"):
        yield


def axe(page: Page) -> list[str]:
    """Every violation of WCAG 2.1 AA and of good practice that axe-core finds on the page."""
    page.evaluate(AXE.read_text())  # through the debugger, which no content policy binds
    found = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}}).then(result => result.violations)",
        list(WCAG),
    )
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.fixture(
    scope="package"
)  # Playwright's loop runs while it lives: no asynchronous test could beside it
def chromium() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), "NOT RUN: needs Debian's chromium; .ci/install-full installs it"
    assert AXE.exists(), "NOT RUN: needs axe-core; .ci/install-full installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")  # what one file's people make and choose is not another's
def institution(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Institution]:  # noqa: F811
    with open_office(tmp_path_factory.mktemp("office"), simulator.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def desk(chromium: Browser, institution: Institution) -> Desk:
    return Desk(chromium, institution)
