"""The made-up institution and its months of use: the same each time, whole, and in the ledger's own form."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from benchmarks.seed import furnish
from billing.ledger import Kind, Outcome
from billing.periods import billing_day, from_us
from billing.store import open_engine, rerate, rollups, verify
from billing.tables import charges, dispatches
from gateway.demo.institution import institution
from gateway.demo.seed import Scale, seed
from gateway.imports import Row, plan_people, plan_units
from gateway.keyring import Purpose
from gateway.organisation import places, valid_on
from gateway.store.organisation import load_organisation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from gateway.settings import Settings

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
SCALE = Scale(people=120, months=3, charges=2_500)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Settings]]:
    settings = furnish(tmp_path_factory.mktemp("seeded"))
    config = settings.load_config()
    engine = open_engine(config.database_url)
    seed(engine, config, settings.keyring(), SCALE, NOW)
    yield engine, settings
    engine.dispose()


def test_an_institution_is_one_that_an_import_would_take() -> None:
    made = institution(700, date(2026, 11, 1))
    assert institution(700, date(2026, 11, 1)) == made
    assert len({person.employee_id for person in made.people}) == 700
    assert len({unit.code for unit in made.units}) == len(made.units)
    plan_units([], [Row(0, unit) for unit in made.units])
    plan_people([], [Row(0, person) for person in made.people], made.units)
    moved = Counter(person.employee_id for person in made.people)
    assert 0 < sum(count == 2 for count in moved.values()) < 50


def test_the_ledger_of_a_seeded_institution_verifies_and_rates_again(seeded: tuple[Engine, Settings]) -> None:
    engine, settings = seeded
    found = verify(engine, settings.keyring().by_version(Purpose.LEDGER_CHAIN))
    assert found.ok, found.problems[:3]
    assert found.open == 0
    assert all(rerate(engine, month).ok for month in ("2026-09", "2026-10", "2026-11"))
    rollups.bring_up_to_date(engine)
    assert rollups.verify_sums(engine).ok


def test_use_grows_sleeps_at_weekends_and_never_lies_ahead(seeded: tuple[Engine, Settings]) -> None:
    engine, _ = seeded
    with engine.connect() as connection:
        starts = [from_us(us) for us in connection.execute(select(dispatches.c.started_at_us)).scalars()]
    days = Counter(billing_day(at) for at in starts)
    assert max(starts) < NOW
    assert {f"{day:%Y-%m}" for day in days} == {"2026-09", "2026-10", "2026-11"}
    weekend = sum(count for day, count in days.items() if day.weekday() >= 5)
    assert weekend < 0.06 * days.total()


def test_everything_that_happens_to_a_request_happens(seeded: tuple[Engine, Settings]) -> None:
    engine, _ = seeded
    with engine.connect() as connection:
        rows = connection.execute(select(charges.c.kind, charges.c.outcome, charges.c.source)).all()
        attempts = set(connection.execute(select(dispatches.c.attempt_no)).scalars())
    assert len([row for row in rows if row.kind == Kind.CHARGE]) >= SCALE.charges
    assert {row.kind for row in rows} == {Kind.CHARGE, Kind.CORRECTION}
    outcomes = {Outcome.SUCCESS, Outcome.CLIENT_GONE, Outcome.REFUSED_BY_PROVIDER, Outcome.NOT_SENT}
    assert outcomes <= {row.outcome for row in rows}
    assert {row.source for row in rows} == {"reported", "estimated", "none"}
    assert attempts == {1, 2}


def test_each_charge_belongs_to_the_department_of_its_moment(seeded: tuple[Engine, Settings]) -> None:
    engine, _ = seeded
    known = load_organisation(engine)
    where = places(known.units, date(2026, 9, 1))
    with engine.connect() as connection:
        rows = connection.execute(
            select(charges.c.person_id, charges.c.department_id, charges.c.started_at_us)
        ).all()
    for person_id, department_id, started_at_us in rows[::7]:
        day = billing_day(from_us(started_at_us))
        versions = [person for person in known.people if person.employee_id == person_id]
        (seat,) = valid_on(versions, day)
        assert where[seat.unit_code].department_id == department_id
