"""A small institution with one account for each role, real charges, budgets and keys, and a server for it."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from billing.budgets import Budget, Every, Scope
from billing.money import NANO
from billing.periods import billing_day
from billing.pricebook import Draft
from billing.store import open_engine, set_budget
from gateway import passwords
from gateway.audit import Actor, Deed
from gateway.imports import read_people, read_units
from gateway.installation import initialise
from gateway.keyring import Purpose
from gateway.organisation import Grant
from gateway.permissions import Role
from gateway.pricing import PriceDesk
from gateway.store.accounts import NewAccount, create_account
from gateway.store.audit import audited
from gateway.store.organisation import create_key, import_people, import_units
from tests.journeys.conftest import CONFIG, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "Gwanghwamun-2026"
UNITS = (
    ("seoul", "서울특별시", "institution", ""),
    ("admin", "행정국", "bureau", "seoul"),
    ("general", "총무과", "division", "admin"),
    ("hr", "인사과", "division", "admin"),
    ("contract", "계약팀", "team", "general"),
    ("finance", "재무국", "bureau", "seoul"),
    ("budget", "예산담당관", "division", "finance"),
)
PEOPLE = (
    ("p1", "김하늘", "general"),
    ("p2", "이바다", "hr"),
    ("p3", "박서준", "general"),
    ("p4", "최지우", "contract"),
    ("p5", "정유진", "budget"),
)
ACCOUNTS = (
    ("staff", "김하늘", "p1", {Role.STAFF}),
    ("manager", "박서준", "p3", {Role.STAFF, Role.MANAGER}),
    ("reviewer", "한도윤", None, {Role.REVIEWER}),
    ("finance", "정유진", "p5", {Role.STAFF, Role.FINANCE}),
    ("administrator", "오민재", None, {Role.ADMINISTRATOR}),
    ("auditor", "윤서아", None, {Role.AUDITOR}),
)
"""Login, name, person, roles. Every login is the name of its chief role."""

PROMPTS = (
    ("p1", "sim-large", "회의록을 세 줄로 요약해 주세요."),
    ("p1", "sim-second", "민원 답변의 말투를 다듬어 주세요."),
    ("p1", "house-model", "우리 과의 일정표를 표로 만들어 주세요."),
    ("p3", "sim-large", "담당자 연락처는 010-1234-5678 입니다. 문장을 고쳐 주세요."),
    ("p4", "sim-large", "계약서의 특수 조건을 쉬운 말로 풀어 주세요."),
    ("p2", "sim-large", "신규 직원 안내문을 써 주세요."),
    ("p2", "sim-second", "주민등록번호 900101-1234568 인 사람의 서류를 찾아 주세요."),
)


@dataclass
class Institution:
    """A server with an institution behind it. `url` has no trailing slash."""

    url: str
    settings: Any
    folder: Path


def build(folder: Path, simulator_url: str) -> Any:
    """Make the institution in `folder` and return its settings; nothing serves yet."""
    text = CONFIG.format(
        simulator=simulator_url,
        filter='in_house_model = "house-model"\n[review]\nstore_text = true\ntwo_person_text = true',
        faulty="http://127.0.0.1:9",
    )
    settings = initialise(
        folder, config_text=text.replace('"sqlite:///haechi.db"', f'"sqlite:///{folder}/haechi.db"')
    ).settings
    engine = audited(open_engine(settings.load_config().database_url), settings.keyring)
    now, day = datetime.now(UTC), date(2026, 1, 1)
    units = _csv(("code", "name", "kind", "parent_code"), UNITS)
    people = _csv(
        ("employee_id", "name", "email", "department_code"),
        [(id_, name, f"{id_}@seoul.example", unit) for id_, name, unit in PEOPLE],
    )
    import_units(engine, read_units(units, day), at=now, actor="test")
    import_people(engine, read_people(people, day), at=now, actor="test")
    digest = passwords.hashed(PASSWORD)
    deed = Deed(now, Actor("test"))
    for login, name, person, roles in ACCOUNTS:
        new = NewAccount(login, name, frozenset(roles), person, digest, must_change=False)
        create_account(engine, new, deed=deed)
    _budgets(engine, now)
    _prices(engine, settings, deed)
    engine.dispose()
    return settings


def add_account(settings: Any, login: str, name: str, roles: set[Role]) -> None:
    """Make one more account, with the password of all: for a test that leaves something on it."""
    engine = audited(open_engine(settings.load_config().database_url), settings.keyring)
    new = NewAccount(login, name, frozenset(roles), None, passwords.hashed(PASSWORD), must_change=False)
    create_account(engine, new, deed=Deed(datetime.now(UTC), Actor("test")))
    engine.dispose()


def _csv(header: tuple[str, ...], rows: Any) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([header, *rows])
    return stream.getvalue().encode()


def _budgets(engine: Any, now: datetime) -> None:
    for number, (kind, of, won, hard) in enumerate(
        (
            ("unit", "general", 1_000_000, True),
            ("unit", "hr", 1, False),
            ("unit", "seoul", 90_000_000, True),
            ("person", "p1", 50_000, True),
        )
    ):
        budget = Budget(f"b{number}", Scope(kind, of), Every.MONTH, won * NANO, hard)
        set_budget(engine, budget, now=now, by="test", reason="시험")


def _prices(engine: Any, settings: Any, deed: Deed) -> None:
    """A version that is approved for a later day, and one that waits, with a rate."""
    desk = PriceDesk(engine, settings.load_config())
    keys = sorted(desk.base.prices)[:3]
    soon, later = (billing_day(deed.at + timedelta(days=days)).isoformat() for days in (20, 50))
    terms = {"currency": "USD", "source": "https://example.com/pricing", "input": "3.2", "output": "12.5"}
    tier = {"above_input_tokens": 200_000, "input": "6.4", "output": "18"}
    cheaper = [{"key": key, "from": later, "input": "1.1", "output": "4"} for key in keys]
    rate = {"base": "USD", "date": soon, "rate": "1402.5", "source": "하나은행 매매기준율", "kind": "manual"}
    for prices, fx in (
        ([{"key": key, "from": soon, **terms, "tiers": [tier]} for key in keys], []),
        ([terms | {"service_tiers": {"flex": "0.5"}} | one for one in cheaper], [rate]),
    ):
        desk.propose(Draft.of(prices, fx, "단가-변경.csv"), deed, large_changes=True)
    desk.approve(1, deed)


def issue_keys(settings: Any) -> dict[str, str]:
    """Give each person a key, one of which expires soon; return the secrets."""
    engine = audited(open_engine(settings.load_config().database_url), settings.keyring)
    hash_key = settings.keyring().current(Purpose.API_KEY_HASH)
    now = datetime.now(UTC)
    secrets = {}
    for id_, _, _ in PEOPLE:
        grant = Grant(label="사무실 PC", person_id=id_, expires_at=now + timedelta(days=300))
        secrets[id_] = create_key(engine, hash_key, grant, at=now, actor="test")[1]
    soon = Grant(label="시험 서버", person_id="p1", expires_at=now + timedelta(days=5))
    create_key(engine, hash_key, soon, at=now, actor="test")
    engine.dispose()
    return secrets


def ask_everything(url: str, keys: dict[str, str]) -> None:
    """Send every prompt as a real client would; what the filter stops is part of it."""
    for person, model, prompt in PROMPTS:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        headers = {"authorization": f"Bearer {keys[person]}"}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=20)
        assert answer.status_code in {200, 400}, answer.text


@contextmanager
def open_office(folder: Path, simulator_url: str) -> Iterator[Institution]:
    """Build, serve and use the institution."""
    settings = build(folder, simulator_url)
    keys = issue_keys(settings)
    with serving(settings) as url:
        ask_everything(url, keys)
        yield Institution(url, settings, folder)
