"""How long every page takes, at a demo's size in every run, with 10,000 people and a million charges in `slow`.

Each page is asked for with every role that may see it; the best of three counts. Measured is the processor
time of the whole process on its way through the app and SQLite: on a machine that has nothing else to do
that is what a person waits for, and other tests on the same two cores do not change it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from benchmarks.seed import furnish
from billing.store import rollups, verify
from billing.store.usage_queries import groups, totals, usage_by
from billing.usage_sums import Dimension, Filter, Order, Page
from gateway import passwords
from gateway.app import create_app
from gateway.demo.seed import Scale, seed
from gateway.keyring import Purpose
from gateway.permissions import Role
from gateway.store.accounts import NewAccount, create_account
from gateway.store.audit import audited
from gateway.store.database import opened
from tests.console.conftest import PASSWORD, Site, deed
from tests.console.test_permission_matrix import routes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = Scale(people=300, months=2, charges=3_000)
LARGE = Scale(people=10_000, months=3, charges=1_000_000)
PEOPLE = dict(zip(Role, ("P000001", "P000010", "P000020", "P000030", "P000040", "P000050"), strict=True))
QUERIES = [
    "/console/usage?by=day",
    "/console/department?unit=SEOUL",
    "/console/department?unit=SEOUL&by=person",
    "/console/department?unit=B01-01&by=person",
    "/console/admin/people?q=김&sort=unit&order=desc&page=3",
    "/console/admin/people?unit=B01",
    "/console/admin/people/P000010",
    "/console/admin/departments/B01-01",
    "/console/admin/keys?state=all&q=P00",
]


@contextmanager
def institution(folder: Path, scale: Scale) -> Iterator[Site]:
    """A console over an institution of that size, with an account for each role."""
    settings = furnish(folder)
    hashed = passwords.hashed(PASSWORD)
    with opened(settings.load_config().database_url) as database:
        event.listen(database, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF").close())
        database.dispose()
        seed(database, settings.load_config(), settings.keyring(), scale, datetime.now(UTC))
        rollups.bring_up_to_date(database)
        trail = audited(database, settings.keyring)
        for role in Role:
            new = NewAccount(role.value, role.value, frozenset({role}), PEOPLE[role], hashed, False)
            create_account(trail, new, deed=deed())
    app = create_app(settings)
    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        yield Site(app, client, folder)


def pages(site: Site) -> list[str]:
    """Every address of the console that needs nothing but a click, and some with a lot to do."""
    plain = [
        path
        for method, path, _ in routes_of(site.app)
        if method == "GET" and path.startswith("/console") and "{" not in path and "sign-in" not in path
    ]
    return [*plain, *QUERIES]


def slowest(site: Site, limit_ms: float) -> dict[str, float]:
    """Milliseconds of the pages beyond the limit, by role and address."""
    took: dict[str, float] = {}
    for role in Role:
        browser = site.visit(role.value)
        for path in pages(site):
            if browser.get(path).status_code != 200:
                continue
            best = min(_timed(browser, path) for _ in range(3))
            took[f"{role} {path}"] = best * 1000
    assert len(took) > 40
    print(*sorted(((round(ms), page) for page, ms in took.items()), reverse=True)[:8], sep="\n")
    return {page: round(ms) for page, ms in took.items() if ms > limit_ms}


def _timed(browser, path: str) -> float:
    started = time.process_time()
    assert browser.get(path).status_code == 200
    return time.process_time() - started


def test_every_page_answers_at_once_at_a_demos_size(tmp_path: Path) -> None:
    with institution(tmp_path, SMALL) as site:
        assert slowest(site, limit_ms=200) == {}
        found = verify(site.database, site.parts.keyring.by_version(Purpose.LEDGER_CHAIN))
        assert found.ok
        assert found.open == 0


def test_fifty_thousand_people_are_one_list(tmp_path: Path) -> None:
    with institution(tmp_path, Scale(people=50_000, months=1, charges=50)) as site:
        browser = site.visit("administrator")
        address = "/console/admin/people"
        for query in ("", "?q=김민", "?page=900", "?sort=email&order=desc", "?state=left", "?unit=B17"):
            assert browser.get(f"{address}{query}").status_code == 200
            assert min(_timed(browser, f"{address}{query}") for _ in range(3)) < 0.5, query
        assert "50,000" in browser.get(address).text
        exported = browser.get(f"{address}?format=csv").content
        assert exported.count(b"\r\n") == 50_001


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_page_answers_with_ten_thousand_people_and_a_million_charges(tmp_path: Path) -> None:
    with institution(tmp_path, LARGE) as site:
        assert totals(site.database).attempts >= LARGE.charges
        assert slow_sums(site, limit_ms=50) == {}
        assert slowest(site, limit_ms=500) == {}


def slow_sums(site: Site, limit_ms: float) -> dict[str, float]:
    """Questions to the daily sums that take longer than the limit, the best of three."""
    database = site.database
    month = Filter(months=(datetime.now(UTC).strftime("%Y-%m"),))
    person = totals(database) and usage_by(database, [Dimension.PERSON], month, Page(limit=1))[0].key[0]
    division = Filter(months=month.months, departments=("B01-01",))
    mine = Filter(persons=(str(person),))
    top = Page(Order.COST, limit=10)
    questions = {
        "by day": lambda: usage_by(database, [Dimension.DAY], month),
        "by model": lambda: usage_by(database, [Dimension.MODEL], month),
        "by department": lambda: usage_by(database, [Dimension.DEPARTMENT], month),
        "top people of a department": lambda: usage_by(database, [Dimension.PERSON], division, top),
        "top people of all": lambda: usage_by(database, [Dimension.PERSON], month, top),
        "one person by day and model": lambda: usage_by(database, [Dimension.DAY, Dimension.MODEL], mine),
        "total of a month": lambda: totals(database, month),
        "active people": lambda: groups(database, [Dimension.PERSON], month),
    }
    took = {}
    for name, question in questions.items():
        best = min(_seconds(question) for _ in range(3))
        took[name] = round(best * 1000, 1)
    print(took)
    return {name: ms for name, ms in took.items() if ms > limit_ms}


def _seconds(question) -> float:
    started = time.process_time()
    question()
    return time.process_time() - started
