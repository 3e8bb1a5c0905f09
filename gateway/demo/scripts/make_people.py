"""Write departments.csv and people.csv of the demo: 행정국, 365 invented people in eight units.

    python gateway/demo/scripts/make_people.py

Numbers of people and teams per unit are the city's own of 31 March 2025 (주요업무보고, 2025. 4.). Teams
that the report names keep their name, the others got plausible ones. Every person is invented: names
are drawn from lists of common surnames and syllables with a fixed seed, addresses end in `.example`.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent.parent
SINCE = "2026-01-01"
SEED = 20250331


class Unit(NamedTuple):
    code: str
    name: str
    head_count: int
    teams: tuple[str, ...]


INSTITUTION, BUREAU = "SEOUL", "HJ"
UNITS = (
    Unit(
        "HJ-CM",
        "총무과",
        188,
        ("총무팀", "의전팀", "청사운영팀", "청사시설팀", "방호팀", "차량운영팀", "통신팀"),
    ),
    Unit("HJ-IS", "인사과", 39, ("인사기획팀", "인사운영팀", "인사제도팀", "보수복무팀", "공무직관리팀")),
    Unit("HJ-IR", "인력개발과", 40, ("인력개발팀", "인재양성팀", "후생노무팀", "건강지원팀", "직원단체팀")),
    Unit("HJ-JC", "자치행정과", 37, ("자치행정팀", "자치구지원팀", "주민자치팀", "주민등록팀", "선거지원팀")),
    Unit("HJ-SM", "시민협력과", 19, ("시민협력정책팀", "자원봉사팀", "비영리단체팀")),
    Unit("HJ-DW", "대외협력과", 16, ("대외정책팀", "지역상생팀", "교류협력팀")),
    Unit("HJ-PH", "평화기반조성과", 14, ("평화정책팀", "통일교육팀", "정착지원팀")),
    Unit("HJ-SR", "공무원수련원", 12, ()),
)

SURNAMES = (
    "김김김김김이이이이박박박최최정정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구"
)
FIRST = "민서지현수준영정은재성윤상승태혜경동소유진도하예미선종광연규나보찬희시인기"
SECOND = "준민서연우현진영호희수은지훈석경원아성정태윤혁미나빈율환섭주란선철숙"
RANKS = ("7급", "7급", "7급", "8급", "8급", "9급", "6급", "6급")


def main() -> None:
    _write("departments.csv", ("code", "name", "kind", "parent_code", "valid_from"), _departments())
    columns = ("employee_id", "name", "email", "department_code", "valid_from", "role")
    _write("people.csv", columns, _people(random.Random(SEED)))  # noqa: S311 - invents names, keeps no secret


def _departments() -> Iterator[tuple[str, ...]]:
    yield INSTITUTION, "서울특별시", "institution", "", SINCE
    yield BUREAU, "행정국", "bureau", INSTITUTION, SINCE
    for unit in UNITS:
        yield unit.code, unit.name, "division", BUREAU, SINCE
        for code, team in _teams(unit):
            yield code, team, "team", unit.code, SINCE


def _teams(unit: Unit) -> list[tuple[str, str]]:
    return [(f"{unit.code}-{number}", team) for number, team in enumerate(unit.teams, 1)]


def _people(chance: random.Random) -> Iterator[tuple[str, ...]]:
    number = 0
    for unit in UNITS:
        teams = [code for code, _ in _teams(unit)] or [unit.code]
        for position in range(unit.head_count):
            number += 1
            employee_id = f"S{260000 + number}"
            place, role = _place(unit, teams, position, chance)
            yield employee_id, _name(chance), f"{employee_id.lower()}@seoul.example", place, SINCE, role


def _place(unit: Unit, teams: list[str], position: int, chance: random.Random) -> tuple[str, str]:
    """Seat the head first, then a leader for each team, then everybody else in turn."""
    if position == 0:
        return unit.code, "과장" if unit.teams else "원장"
    if position <= len(unit.teams):
        return teams[position - 1], "팀장"
    return teams[position % len(teams)], chance.choice(RANKS)


def _name(chance: random.Random) -> str:
    first = chance.choice(FIRST)
    return chance.choice(SURNAMES) + first + chance.choice(SECOND.replace(first, ""))


def _write(name: str, header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
