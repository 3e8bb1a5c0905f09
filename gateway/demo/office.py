"""행정국 in the demo's database: units and people imported, keys for two people of each department."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from gateway.demo import data
from gateway.demo.logins import DEPARTMENT, Login, make_logins, set_budgets
from gateway.imports import read_people, read_units
from gateway.keyring import Purpose
from gateway.organisation import Grant
from gateway.store.audit import audited
from gateway.store.database import opened
from gateway.store.organisation import create_key, import_people, import_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.settings import Settings
    from gateway.store.database import Database

ACTOR = "haechi demo"
KEYS_PER_DEPARTMENT = 2
NEW_YEAR = date(2026, 1, 1)


@dataclass(frozen=True, slots=True)
class Office:
    """`keys` maps employee ids to their secret key; `staff` maps departments to those who have one."""

    keys: Mapping[str, str]
    staff: Mapping[str, tuple[str, ...]]
    departments: int
    people: int
    logins: tuple[Login, ...] = ()
    """Accounts of the console, one for each role."""

    @classmethod
    def open_in(cls, settings: Settings) -> Office:
        """Import the registers and issue the keys, through the functions of the commands."""
        now = datetime.now(UTC)
        units = read_units(data.read("departments.csv"), NEW_YEAR)
        people = read_people(data.read("people.csv"), NEW_YEAR)
        staff = _staff()
        with opened(settings.load_config().database_url) as plain:
            database = audited(plain, settings.keyring)
            import_units(database, units, at=now, actor=ACTOR)
            import_people(database, people, at=now, actor=ACTOR)
            keys = _keys(database, settings, staff, now)
            set_budgets(database, now)
            logins = make_logins(database, _members(staff), now)
        return cls(keys, staff, len(staff), len(people), logins)

    def asker(self, unit: str, number: int) -> str:
        """Choose who asks: the members of the department take turns."""
        return self.staff[unit][number % len(self.staff[unit])]

    def name(self, unit: str) -> str:
        return self.names()[unit]

    @staticmethod
    def names() -> dict[str, str]:
        return {row["code"]: row["name"] for row in _rows("departments.csv")}

    @staticmethod
    def head_count() -> int:
        return len(_rows("people.csv"))


def _keys(
    database: Database, settings: Settings, staff: Mapping[str, tuple[str, ...]], now: datetime
) -> dict[str, str]:
    hash_key = settings.keyring().current(Purpose.API_KEY_HASH)
    issued = {}
    for person in (person for members in staff.values() for person in members):
        grant = Grant(label="시연", person_id=person)
        _, issued[person] = create_key(database, hash_key, grant, at=now, actor=ACTOR)
    return issued


def _members(staff: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, str]]:
    """Choose who signs in: a clerk who asks, and the head of the department."""
    people = _rows("people.csv")
    names = {row["employee_id"]: row["name"] for row in people}
    clerk = staff[DEPARTMENT][0]
    head = next(row["employee_id"] for row in people if row["department_code"] == DEPARTMENT)
    return {"staff": (clerk, names[clerk]), "manager": (head, names[head])}


def _staff() -> dict[str, tuple[str, ...]]:
    """Choose the last people of each department: clerks and not its head."""
    division = {row["code"]: row["parent_code"] for row in _rows("departments.csv") if row["kind"] == "team"}
    members: dict[str, list[str]] = {}
    for row in _rows("people.csv"):
        unit = row["department_code"]
        members.setdefault(division.get(unit, unit), []).append(row["employee_id"])
    return {unit: tuple(people[-KEYS_PER_DEPARTMENT:]) for unit, people in members.items()}


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.read(name).decode())))
