"""`haechi report savings|seats|forecast`: the published case, the ledger's own, and what a second sum says."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from benchmarks.seed import furnish
from billing.store import open_engine
from gateway.demo.seed import Scale, seed
from tests.readding import NANO, readded

SCALE = Scale(people=150, months=3, charges=4_000)
MONTHS = ("2026-09", "2026-10", "2026-11")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three months of a small institution, today in the third."""
    folder = tmp_path_factory.mktemp("seeded")
    settings = furnish(folder)
    engine = open_engine(settings.load_config().database_url)
    seed(engine, settings.load_config(), settings.keyring(), SCALE, datetime.now(UTC))
    engine.dispose()
    return folder


@pytest.fixture
def report(folder, haechi):
    """Run a report on the seeded ledger; numbers come as Decimal, with every digit."""

    def run(*arguments):
        ran = haechi("report", *arguments, "--config", folder / "haechi.toml").ok()
        return exact(ran.out) if "--json" in arguments else ran.out

    return run


def exact(text):
    import json

    return json.loads(text, parse_float=Decimal)


def test_the_citys_own_figures_come_out_as_numbers(haechi):
    arguments = ("--people", "6318", "--months", "4", "--seat-price", "30000", "--metered-krw", "55000000")
    found = haechi("report", "savings", *arguments, "--json").ok().json
    wanted = {
        "seats_krw": 758_160_000,
        "metered_krw": 55_000_000,
        "saved_krw": 703_160_000,
        "saved_percent": 92.7,
    }
    assert wanted == {name: found[name] for name in wanted}
    assert "703,160,000" in haechi("report", "savings", *arguments).ok().out


def test_stated_figures_that_make_no_sense_are_refused(haechi):
    for wrong in ("much", "-1", "NaN", "1e999999"):
        assert haechi("report", "savings", "--people", "1", "--months", "1", "--metered-krw", wrong).code == 2
    assert haechi("report", "savings", "--metered-krw", "1").code == 2


def test_savings_are_what_an_independent_sum_of_the_raw_charges_says(folder, report):
    again = readded(str(folder / "haechi.db"))
    found = report("savings", "--json")
    assert found["billing_months"] == sorted(again["months"])
    assert found["metered_nano_krw"] == again["metered_nano_krw"]
    assert found["metered_krw"] * NANO == again["metered_nano_krw"]
    assert (found["people"], found["person_months"]) == (len(again["persons"]), again["person_months"])
    assert found["seats_krw"] == again["seats_krw"]
    assert found["seats_of_active_krw"] == again["seats_of_active_krw"]
    assert found["saved_krw"] * NANO == again["saved_nano_krw"]
    (seat, *_) = found["plans"]
    assert seat["seats_of_active_krw"] == again["seats_of_active_krw"], (
        "a seat for every model leaves nothing"
    )
    assert seat["seats_of_all_krw"] == SCALE.people * 3 * 30_000


@pytest.mark.parametrize(("by", "sums"), [("department", "departments"), ("person", "persons")])
def test_each_line_is_to_the_won_what_its_raw_charges_say(folder, report, by, sums):
    again = readded(str(folder / "haechi.db"))
    rows = report("savings", "--by", by, "--json")["rows"]
    assert {row["id"]: row["metered_krw"] * NANO for row in rows if row["metered_krw"]} == {
        id_: nano for id_, nano in again[sums].items() if nano
    }
    table = list(csv.DictReader(io.StringIO(report("savings", "--by", by, "--csv").removeprefix("\ufeff"))))
    assert sum(Decimal(row["metered_krw"]) for row in table) * NANO == again["metered_nano_krw"]


def test_a_mix_costs_no_more_than_metered_use_and_says_who_sits_where(report):
    mix = report("savings", "--seat-price", "500", "--json")["mix"]
    assert mix["saved_krw"] > 0
    assert mix["cost_krw"] + mix["saved_krw"] == mix["metered_krw"]
    assert sum(one["given"] for one in mix["seats"]) == len(mix["people"])
    assert "가장 싼 조합" in report("savings", "--seat-price", "500", "--by", "department")


def test_months_people_and_a_price_may_be_asked_for(report):
    found = report("savings", "--months", "1", "--people", "365", "--seat-price", "28000", "--json")
    assert (found["months"], found["people"], found["seats_krw"]) == (1, 365, 10_220_000)


def test_seats_are_advised_with_an_interval_or_not_at_all(report):
    found = report("seats", "--json")
    assert found["interval_percent"] == 80
    for row in found["rows"]:
        if row["verdict"] == "seat":
            assert row["low_krw"] > row["seat_krw"]
        elif row["verdict"] == "metered":
            assert row["high_krw"] < row["seat_krw"]
    assert {row["verdict"] for row in found["rows"]} >= {"metered"}
    only = report("seats", "--verdict", "metered", "--json")["rows"]
    assert {row["verdict"] for row in only} == {"metered"}
    table = list(csv.DictReader(io.StringIO(report("seats", "--csv").removeprefix("\ufeff"))))
    assert len(table) == len(found["rows"])
    assert "쓴 만큼" in report("seats")


def test_forecasts_begin_with_what_the_ledger_says(folder, report):
    again = readded(str(folder / "haechi.db"))
    found = report("forecast", "--json")
    month = again["months"].get(found["month"], 0)
    assert found["total"]["spent_krw"] == month // NANO
    assert found["total"]["year_spent_krw"] == again["metered_nano_krw"] // NANO
    for row in (found["total"], *found["departments"]):
        if row["month_end_low_krw"] is not None:
            assert row["month_end_low_krw"] <= row["month_end_krw"] <= row["month_end_high_krw"]
    table = list(csv.DictReader(io.StringIO(report("forecast", "--csv").removeprefix("\ufeff"))))
    assert {row["id"] for row in table} == {row["id"] for row in found["departments"]}
    assert "전체" in report("forecast")
    one = found["departments"][0]["id"]
    assert [row["id"] for row in report("forecast", "--department", one, "--json")["departments"]] == [one]


def test_an_empty_ledger_is_told_and_breaks_nothing(staffed, haechi):
    assert haechi("report", "savings", "--json").ok().json["saved_krw"] == 0
    assert haechi("report", "savings", "--by", "person", "--csv").ok().out
    assert haechi("report", "seats", "--json").ok().json["rows"] == []
    assert "없습니다" in haechi("report", "forecast").ok().out


@pytest.mark.slow
def test_a_large_ledger_adds_up_to_the_won(haechi):
    """On a folder that `haechi demo --months 3` or `python -m benchmarks.seed` filled."""
    folder = Path(os.environ.get("SEEDED_FOLDER", "/tmp/haechi-seeded"))
    if not (folder / "haechi.db").exists():
        pytest.skip("set SEEDED_FOLDER to a folder that benchmarks.seed has filled")
    again = readded(str(folder / "haechi.db"))
    found = orjson.loads(haechi("report", "savings", "--json", "--config", folder / "haechi.toml").ok().out)
    assert found["metered_nano_krw"] == again["metered_nano_krw"]
    assert found["seats_of_active_krw"] == again["seats_of_active_krw"]
