"""The console in this process, against a real database: an office of two departments, an account per role."""

import html
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gateway import passwords
from gateway.app import create_app
from gateway.audit import Actor, Deed
from gateway.imports import read_people, read_units
from gateway.installation import initialise
from gateway.permissions import Role
from gateway.settings import Settings
from gateway.store.accounts import NewAccount, create_account
from gateway.store.audit import audited
from gateway.store.database import opened
from gateway.store.organisation import import_people, import_units

PASSWORD = "Right-horse-42"
START = date(2026, 1, 1)
UNITS = """\
code,name,kind,parent_code,valid_from
SEOUL,서울특별시,institution,,2026-01-01
HJ,행정국,bureau,SEOUL,2026-01-01
CM,총무과,division,HJ,2026-01-01
CM1,총무팀,team,CM,2026-01-01
IS,인사과,division,HJ,2026-01-01
"""
PEOPLE = "employee_id,name,email,department_code,valid_from\n" + "".join(
    f"S{number},{name},s{number}@seoul.example,{unit},2026-01-01\n"
    for number, (name, unit) in enumerate(
        [
            ("김직원", "CM1"),
            ("이과장", "CM"),
            ("박심사", "IS"),
            ("최재무", "IS"),
            ("정관리", "IS"),
            ("강감사", "IS"),
        ],
        1,
    )
)
PERSON = dict(zip(Role, ("S1", "S2", "S3", "S4", "S5", "S6"), strict=True))
"""Who holds each role; the manager sits in CM."""


@dataclass
class Site:
    """A running console. `visit(role)` is a browser that is signed in; every account has PASSWORD."""

    app: object
    client: TestClient
    folder: Path
    browsers: dict = field(default_factory=dict)

    @property
    def parts(self):
        return self.app.state.console

    @property
    def database(self):
        return self.parts.database

    def browser(self):
        """A fresh browser, nobody signed in."""
        return Browser(TestClient(self.app, base_url="https://testserver", follow_redirects=False))

    def visit(self, login):
        """The browser of an account, signed in once and kept."""
        if login not in self.browsers:
            self.browsers[login] = self.browser()
            assert self.browsers[login].sign_in(login).status_code == 303
        return self.browsers[login]

    def make(self, login, *roles, person=None, must_change=False):
        new = NewAccount(login, f"{login} 이름", frozenset(roles), person, _hash(), must_change)
        return create_account(self.database, new, deed=deed())


class Browser:
    """Cookies, forms and their hidden tokens, as a person's browser keeps them."""

    def __init__(self, client):
        self.client = client
        self.page = ""

    def get(self, path, **options):
        answer = self.client.get(path, **options)
        self.page = answer.text
        return answer

    def hidden(self, name):
        found = re.findall(rf'name="{name}" value="([^"]*)"', self.page)
        assert found, f"no hidden field {name}"
        return html.unescape(found[-1])  # the page's own form stands behind those of its frame

    def post(self, path, data=None, **options):
        answer = self.client.post(path, data={"csrf": self.hidden("csrf"), **(data or {})}, **options)
        if answer.status_code != 303:
            self.page = answer.text
        return answer

    def sign_in(self, login, password=PASSWORD, **more):
        self.get("/console/sign-in")
        return self.post("/console/sign-in", {"login": login, "password": password, **more})

    def token(self):
        return self.client.cookies.get("__Host-haechi")


def deed(reason=""):
    return Deed(datetime.now(UTC), Actor("test"), reason)


_HASHES = []


def _hash():
    """The hash of PASSWORD, made once: hashing is slow on purpose."""
    if not _HASHES:
        _HASHES.append(passwords.hashed(PASSWORD))
    return _HASHES[0]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory):
    """A folder with configuration, secret and a database that holds the office; tests take copies."""
    folder = tmp_path_factory.mktemp("furnished")
    settings = initialise(folder, settings=Settings()).settings
    with opened(settings.load_config().database_url) as plain:
        database = audited(plain, settings.keyring)
        now = datetime.now(UTC)
        import_units(database, read_units(UNITS.encode(), START), at=now, actor="test")
        import_people(database, read_people(PEOPLE.encode(), START), at=now, actor="test")
        for role in Role:
            new = NewAccount(role.value, f"{role} 이름", frozenset({role}), PERSON[role], _hash(), False)
            create_account(database, new, deed=deed())
    return folder


@contextmanager
def opened_site(furnished, folder):
    shutil.copytree(furnished, folder, dirs_exist_ok=True)
    app = create_app(Settings(config=folder / "haechi.toml"))
    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        yield Site(app, client, folder)


@pytest.fixture
def site(furnished, tmp_path):
    with opened_site(furnished, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared_site(furnished, tmp_path_factory):
    """For tests that only look."""
    with opened_site(furnished, tmp_path_factory.mktemp("console")) as made:
        yield made
