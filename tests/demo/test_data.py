"""The demo's files say what they claim to say."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tomllib
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers as genai_providers
from genai_prices.types import TieredPrices

from gateway.config import parse
from gateway.demo import data
from gateway.demo.office import Office, _staff
from gateway.domain import Zone
from gateway.imports import read_people, read_units

CITY = {  # 서울특별시 행정국 주요업무보고, 2025. 3. 31. 기준
    "총무과": (188, 7),
    "인사과": (39, 5),
    "인력개발과": (40, 5),
    "자치행정과": (37, 5),
    "시민협력과": (19, 3),
    "대외협력과": (16, 3),
    "평화기반조성과": (14, 3),
    "공무원수련원": (12, 0),
}
TODAY = datetime(2026, 11, 22, 3, tzinfo=UTC)
CATALOGUE = data.catalogue("http://127.0.0.1:1", "http://127.0.0.1:2")


@pytest.fixture(scope="module")
def config():
    return parse(CATALOGUE.encode(), Path("haechi.toml"), {})


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.read(name).decode())))


# --- people --------------------------------------------------------------------------------------


def test_there_are_365_people_in_the_eight_units_of_the_report():
    units = {row["code"]: row for row in rows("departments.csv")}
    people, teams = Counter(), Counter()
    for row in rows("people.csv"):
        unit = units[row["department_code"]]
        division = unit if unit["kind"] == "division" else units[unit["parent_code"]]
        people[division["name"]] += 1
    for team in (unit for unit in units.values() if unit["kind"] == "team"):
        teams[units[team["parent_code"]]["name"]] += 1
    assert {name: (people[name], teams[name]) for name in CITY} == CITY
    assert sum(people.values()) == 365


def test_the_registers_are_what_the_import_commands_read():
    start = date(2026, 1, 1)
    assert len(read_units(data.read("departments.csv"), start)) == 41
    people = [row.value for row in read_people(data.read("people.csv"), start)]
    assert len({p.employee_id for p in people}) == len({p.email for p in people}) == 365
    assert all(p.email.endswith("@seoul.example") for p in people)


def test_the_script_makes_the_same_people_every_time(tmp_path):
    names = ("departments.csv", "people.csv")
    folder = Path(data.__file__).parent
    (tmp_path / "scripts").mkdir()
    copy = tmp_path / "scripts" / "make_people.py"
    copy.write_bytes((folder / "scripts" / "make_people.py").read_bytes())
    subprocess.run([sys.executable, str(copy)], check=True)
    assert [(tmp_path / n).read_bytes() for n in names] == [(folder / n).read_bytes() for n in names]


# --- catalogue -----------------------------------------------------------------------------------


def test_29_models_of_at_least_eight_providers_one_of_them_in_house(config):
    models = config.catalogue.models
    deployments = [d for model in models.values() for d in model.deployments]
    assert len(models) == 29
    assert len({d.provider for d in deployments}) >= 9
    korean = {d.provider for d in deployments if d.provider in {"upstage", "naver", "friendli", "skt", "kt"}}
    assert len(korean) >= 3
    assert [d.model_id for d in deployments if d.zone is Zone.IN_HOUSE] == ["haechi-local"]
    assert [d.model_id for d in deployments if not d.simulated] == ["haechi-local"]
    assert {d.wire for d in deployments} == {
        "openai",
        "responses",
        "anthropic",
        "gemini",
        "bedrock",
        "cohere",
    }


def test_every_model_has_a_price_and_a_rate_today(config):
    for model in config.catalogue.models.values():
        for deployment in model.deployments:
            config.price_book.quote(deployment.price_key, TODAY)


def test_staff_can_write_draw_film_speak_write_down_and_search(config):
    models = config.catalogue.models.values()
    kinds = Counter(model.kind for model in models)
    assert kinds == {"chat": 23, "image": 2, "video": 1, "speech": 1, "transcription": 1, "embedding": 1}
    flags = {flag for model in models for flag in model.capabilities}
    assert {"vision", "tools", "reasoning", "image", "video", "audio"} <= flags


def test_every_price_names_its_source_and_the_day_it_was_looked_at():
    for price in tomllib.loads(CATALOGUE)["prices"]:
        assert price["source"]
        assert price["checked"] == date(2026, 11, 22)
        assert isinstance(price["verified"], bool)


GENAI_NAMES = {"xai": "x-ai"}
GENAI_KEYS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
    "audio_input": "input_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
}
GENAI_UNITS = {"characters": ("input_mchars", 1), "audio_seconds": ("audio_hours", 3600)}
"""Names of units there, and how many of ours make one."""


def genai_price(key: str, at: datetime):
    provider, _, name = key.partition("/")
    wanted = GENAI_NAMES.get(provider, provider)
    models = next(p for p in genai_providers if p.id == wanted).models
    exact = [m for m in models if m.id == name] or [m for m in models if m.is_match(name)]
    return exact[0].get_prices(at)


def test_what_is_called_verified_equals_the_published_price_data():
    checked = 0
    for price in tomllib.loads(CATALOGUE)["prices"]:
        if not price["verified"] or price["key"] == "haechi/haechi-local":
            continue
        start = price["from"]
        known = genai_price(price["key"], datetime(start.year, start.month, start.day, 12, tzinfo=UTC))
        tiers = {t["above_input_tokens"]: t for t in price.get("tiers", [])}
        for ours, theirs in GENAI_KEYS.items():
            value = getattr(known, theirs, None)
            base = value.base if isinstance(value, TieredPrices) else value
            assert price.get(ours) == (None if base is None else f"{base.normalize():f}"), (
                price["key"],
                ours,
            )
            for tier in value.tiers if isinstance(value, TieredPrices) else ():
                assert Decimal(tiers[tier.start][ours]) == tier.price, (price["key"], ours, tier.start)
        for ours, (theirs, units) in GENAI_UNITS.items():
            if ours in price:
                assert Decimal(price[ours]) * units == getattr(known, theirs), (price["key"], ours)
        if "searches" in price:
            assert Decimal(price["searches"]) * 1000 == known.web_searches_kcount
        checked += 1
    assert checked >= 20


def test_nothing_is_called_verified_that_the_price_data_does_not_know():
    unverified = {p["key"] for p in tomllib.loads(CATALOGUE)["prices"] if not p["verified"]}
    chats = unverified - {"xai/grok-imagine-image", "google-openai/veo-3.1-generate-preview"}
    assert {key.partition("/")[0] for key in chats} == {"upstage", "naver", "friendli", "skt", "kt"}


# --- prompts -------------------------------------------------------------------------------------


def test_every_model_and_every_department_is_used(config):
    asks = data.asks()
    assert {(ask.model, ask.kind) for ask in asks} == {
        (m.id, m.kind) for m in config.catalogue.models.values()
    }
    assert {ask.unit for ask in asks} == set(_staff())
    assert {"answered", "masked", "routed", "blocked", "refused"} == {ask.expect for ask in asks}
    assert 0.3 < sum(ask.stream for ask in asks) / len(asks) < 0.7


def test_withheld_values_stand_in_their_prompts_and_every_document_is_there():
    for ask in data.asks():
        assert all(value in ask.prompt for value in ask.withheld), ask.number
        assert "{document:" not in ask.prompt
        assert (
            ask.expect not in {"masked", "blocked", "routed"}
            or ask.withheld
            or "worksmart" in ask.prompt
            or ("워크스마트포럼" in ask.prompt)
        )


def test_tools_that_prompts_name_exist_and_are_in_openai_s_format():
    tools = data.tools()
    assert {name for ask in data.asks() for name in ask.tools} == set(tools)
    for name, tool in tools.items():
        assert tool["type"] == "function"
        assert tool["function"]["name"] == name
        assert tool["function"]["parameters"]["type"] == "object"


def test_two_clerks_of_each_department_ask():
    staff = _staff()
    roles = {row["employee_id"]: row["role"] for row in rows("people.csv")}
    assert all(len(members) == 2 for members in staff.values())
    assert not {roles[person] for members in staff.values() for person in members} & {"과장", "원장"}
    assert Office.head_count() == 365
