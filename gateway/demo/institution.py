"""An institution of any size, made up: bureaus, divisions, teams, people, a few transfers.

The same seed makes the same institution. No name is anybody's: family names come by their share in
Korea, given names from syllables.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import TYPE_CHECKING, Final

from gateway.organisation import Person, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

SINCE: Final = date(2026, 1, 1)
ROOT: Final = "SEOUL"
PEOPLE_A_DIVISION: Final = 32
DIVISIONS_A_BUREAU: Final = 8
TEAMS: Final = 3
BUREAUS: Final = tuple(
    """
    기획조정실 행정국 재무국 복지정책실 여성가족실 경제실 도시공간본부 교통실 기후환경본부 문화본부 관광체육국
    평생교육국 시민건강국 안전총괄실 물순환안전국 정원도시국 미래청년기획관 디지털도시국 민생노동국
    균형발전본부 주택실 건설기술정책관 감사위원회 대변인 민생사법경찰국
    """.split()
)
TASKS: Final = tuple(
    "총괄과 정책과 지원과 기획과 관리과 운영과 협력과 제도과 조사과 개발과 정보과 안전과".split()
)
FAMILY: Final = (
    "김" * 21 + "이" * 15 + "박" * 8 + "최정" * 5 + "강조윤장임" * 2 + "한오서신권황안송류전홍고문양손"
)
FIRST: Final = "민서지현수영은정혜진성승도하윤재태경주연유시준우가나다라소예원채규동인상보선"
SECOND: Final = "준우진호현수민서연영희정은지원빈훈석철환아람솔결찬율혁규태윤경란숙미"
ROLES: Final = ("주무관", "주무관", "주무관", "주무관", "팀장", "주무관", "주무관", "과장")


@dataclass(frozen=True, slots=True)
class Institution:
    units: tuple[Unit, ...]
    people: tuple[Person, ...]
    """Every version of everybody: who was transferred has two."""


def institution(people: int, transfers_on: date, seed: int = 1) -> Institution:
    """Make an institution of so many people; one in fifty is transferred on a day."""
    random = Random(seed)  # noqa: S311 - made-up people, no secrets
    divisions = max(1, -(-people // PEOPLE_A_DIVISION))
    units = tuple(_units(divisions))
    teams = [unit.code for unit in units if unit.kind == "team"]
    versions: list[Person] = []
    for number in range(people):
        team = teams[number * len(teams) // people]
        versions += _versions(random, number, team, teams, transfers_on)
    return Institution(units, tuple(versions))


def _units(divisions: int) -> Iterator[Unit]:
    yield Unit(ROOT, "서울특별시(가상)", "institution", None, SINCE)
    for number in range(divisions):
        bureau_no, place = divmod(number, DIVISIONS_A_BUREAU)
        bureau = f"B{bureau_no + 1:02d}"
        bureau_name = BUREAUS[bureau_no % len(BUREAUS)]
        if place == 0:
            again = bureau_no // len(BUREAUS)
            name = f"{bureau_name} {again + 1}" if again else bureau_name
            yield Unit(bureau, name, "bureau", ROOT, SINCE)
        division = f"{bureau}-{place + 1:02d}"
        stem = bureau_name.removesuffix("실").removesuffix("국").removesuffix("본부")
        name = f"{stem}{TASKS[(bureau_no + place) % len(TASKS)]}"
        yield Unit(division, name, "division", bureau, SINCE)
        for team in range(TEAMS):
            yield Unit(f"{division}-{team + 1}", f"{name} {team + 1}팀", "team", division, SINCE)


def _versions(random: Random, number: int, team: str, teams: list[str], day: date) -> list[Person]:
    employee_id = f"P{number + 1:06d}"
    name = random.choice(FAMILY) + random.choice(FIRST) + random.choice(SECOND)
    email = f"{employee_id.lower()}@seoul.example"
    role = ROLES[number % len(ROLES)]
    if random.random() >= 0.02:
        return [Person(employee_id, name, email, team, SINCE, None, role)]
    return [
        Person(employee_id, name, email, team, SINCE, day, role),
        Person(employee_id, name, email, random.choice(teams), day, None, role),
    ]
