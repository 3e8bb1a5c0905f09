"""`python -m tests.browser.pictures FOLDER URL PASSWORD`: the pictures of docs/console.ko.md, taken anew.

Takes them from a console that is up and has an account for each role, such as `make demo` prints.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, NARROW, WIDE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TALL = (1280, 1180)
PICTURES = (
    ("sign-in", "", "/console/sign-in", WIDE, "light"),
    ("start-staff", "staff", "/console", WIDE, "light"),
    ("start-manager", "manager", "/console", (1280, 860), "light"),
    ("start-finance", "finance", "/console", WIDE, "light"),
    ("start-reviewer", "reviewer", "/console", WIDE, "light"),
    ("start-administrator", "administrator", "/console", WIDE, "light"),
    ("usage", "staff", "/console/usage", TALL, "light"),
    ("usage-dark", "staff", "/console/usage", TALL, "dark"),
    ("usage-narrow", "staff", "/console/usage", NARROW, "light"),
    ("keys", "staff", "/console/keys", WIDE, "light"),
    ("models", "staff", "/console/models", WIDE, "light"),
    ("connect", "staff", "/console/connect", WIDE, "light"),
    ("department", "manager", "/console/department", TALL, "light"),
    ("departments", "finance", "/console/department", WIDE, "light"),
    ("finance-budgets", "finance", "/console/finance/budgets", (1280, 860), "light"),
    ("finance-months", "finance", "/console/finance/months", (1280, 860), "light"),
    ("finance-invoices", "finance", "/console/finance/invoices", (1280, 860), "light"),
    ("finance-bills", "finance", "/console/finance/bills", WIDE, "light"),
    ("finance-savings", "finance", "/console/finance/savings", TALL, "light"),
    ("finance-plans", "finance", "/console/finance/plans", TALL, "light"),
    ("finance-forecast", "finance", "/console/finance/forecast", TALL, "light"),
    ("admin-departments", "administrator", "/console/admin/departments", WIDE, "light"),
    ("admin-people", "administrator", "/console/admin/people", WIDE, "light"),
    ("admin-keys", "administrator", "/console/admin/keys", WIDE, "light"),
    ("admin-accounts", "administrator", "/console/admin/accounts", WIDE, "light"),
    ("admin-deployments", "administrator", "/console/admin/deployments", WIDE, "light"),
    ("admin-policies", "administrator", "/console/admin/policies", WIDE, "light"),
    ("admin-jobs", "administrator", "/console/admin/jobs", WIDE, "light"),
    ("admin-settings", "administrator", "/console/admin/settings", WIDE, "light"),
    ("audit", "auditor", "/console/audit", WIDE, "light"),
    ("account", "staff", "/console/account", WIDE, "light"),
    ("design", "staff", "/console/design", (1280, 1600), "light"),
    ("design-dark", "staff", "/console/design", (1280, 1600), "dark"),
)
"""Name, who is signed in, page, size, brightness."""


def main() -> None:
    folder, url, password = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        states: dict[str, object] = {"": None}
        for name, login, path, size, scheme in PICTURES:
            if login not in states:
                states[login] = _signed_in(browser, url, login, password)
            context = browser.new_context(
                base_url=url,
                storage_state=states[login],
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,
                locale="ko-KR",
            )
            page = context.new_page()
            page.goto(path)
            page.screenshot(path=folder / f"{name}.png")
            context.close()
        browser.close()


def _signed_in(browser: Browser, url: str, login: str, password: str) -> object:
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/console/sign-in")
    page.fill("[name=login]", login)
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/console")
    state = context.storage_state()
    context.close()
    return state


if __name__ == "__main__":
    main()
