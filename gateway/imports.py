"""Staff registers from CSV: bytes -> rows -> the new history of units and people. Pure.

A row says "from `valid_from` on, this unit (person) looks like this", so importing the same file twice
changes nothing, a transfer is one row with a later day, and a planned later change survives an earlier
correction. Either every row is right or nothing is planned; `ImportFailed` then names every line at fault.

    departments.csv   code, name, kind (institution|bureau|division|team), parent_code, valid_from[, valid_to]
    people.csv        employee_id, name, email, department_code, valid_from[, valid_to][, role]

Korean column names and kinds are understood too; UTF-8 (with or without BOM) and CP949 are told apart.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

from gateway.organisation import DEPTH_LIMIT, UNIT_KINDS, Person, Unit, UnitKind, places, valid_on

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

V = TypeVar("V", Unit, Person)

_UNIT_COLUMNS: Final = {
    "code": ("부서코드", "코드"),
    "name": ("부서명", "이름", "명칭"),
    "kind": ("구분", "종류"),
    "parent_code": ("상위부서코드", "상위코드"),
    "valid_from": ("시작일", "적용일"),
    "valid_to": ("종료일",),
}
_PERSON_COLUMNS: Final = {
    "employee_id": ("사번", "직원번호"),
    "name": ("성명", "이름"),
    "email": ("이메일", "전자우편"),
    "department_code": ("부서코드", "소속코드"),
    "valid_from": ("시작일", "적용일"),
    "valid_to": ("종료일",),
    "role": ("직급", "직책"),
}
_OPTIONAL: Final = {"valid_from", "valid_to", "role", "parent_code"}
_KINDS: Final[Mapping[str, UnitKind]] = {
    **{kind: kind for kind in UNIT_KINDS},
    "기관": "institution",
    "실국": "bureau",
    "실·국": "bureau",
    "실": "bureau",
    "국": "bureau",
    "본부": "bureau",
    "과": "division",
    "담당관": "division",
    "팀": "team",
}
_ID = re.compile(r"[^\s,\x00-\x1f]{1,64}")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_DATE = re.compile(r"(\d{4})[-./]?(\d{1,2})[-./]?(\d{1,2})\.?")


@dataclass(frozen=True, slots=True)
class Mistake:
    """`line` counts from 1, the header included; 0 is the file as a whole."""

    line: int
    korean: str
    english: str

    def __str__(self) -> str:
        where = f"{self.line}행 (line {self.line}): " if self.line else ""
        return f"{where}{self.korean} / {self.english}"


class ImportFailed(Exception):
    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line))


@dataclass(frozen=True, slots=True)
class Row(Generic[V]):
    """One line: the version it asks for; `value.valid_to` is None when the line leaves the end open."""

    line: int
    value: V


@dataclass(frozen=True, slots=True)
class Change(Generic[V]):
    """What the import does to one unit or person: its versions before and after."""

    id: str
    before: tuple[V, ...]
    after: tuple[V, ...]

    @property
    def kind(self) -> Literal["added", "changed", "ended"]:
        if not self.before:
            return "added"
        ended = self.before[-1].valid_to is None and self.after[-1].valid_to is not None
        return "ended" if ended else "changed"


@dataclass(frozen=True, slots=True)
class Plan(Generic[V]):
    changes: tuple[Change[V], ...]
    unchanged: int

    def count(self, kind: str) -> int:
        return sum(change.kind == kind for change in self.changes)


# --- bytes -> rows -------------------------------------------------------------------------------


def read_units(data: bytes, default_from: date) -> list[Row[Unit]]:
    """Parse departments.csv. `default_from` stands in for an empty `valid_from`. Raises ImportFailed."""
    return _rows(data, _UNIT_COLUMNS, lambda line: _unit(line, default_from))


def read_people(data: bytes, default_from: date) -> list[Row[Person]]:
    """Parse people.csv. `default_from` stands in for an empty `valid_from`. Raises ImportFailed."""
    return _rows(data, _PERSON_COLUMNS, lambda line: _person(line, default_from))


def decode(data: bytes) -> str:
    """Decode UTF-8 (with or without BOM), else CP949 as Korean spreadsheets write it. Raises ImportFailed."""
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return unicodedata.normalize("NFC", data.decode(encoding))
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
    raise ImportFailed(
        [Mistake(line, "UTF-8도 CP949도 아닌 글자가 있습니다. CSV(UTF-8)로 다시 저장하세요.",
                 "Neither UTF-8 nor CP949. Save the file again as CSV (UTF-8).")]
    )  # fmt: skip


class Line:
    """One CSV line by column name; collects what is wrong with it."""

    def __init__(self, number: int, cells: Mapping[str, str]) -> None:
        self.number = number
        self._cells = cells
        self.mistakes: list[Mistake] = []

    def text(self, column: str) -> str:
        return self._cells.get(column, "").strip()

    def required(self, column: str) -> str:
        value = self.text(column)
        if not value:
            self.wrong(f"'{column}' 값이 비어 있습니다", f"'{column}' is empty")
        return value

    def identifier(self, column: str) -> str:
        value = self.required(column)
        if value and not _ID.fullmatch(value):
            self.wrong(
                f"'{column}'에는 공백 없이 64자까지 쓸 수 있습니다",
                f"'{column}' takes up to 64 characters without spaces",
            )
        return value

    def day(self, column: str) -> date | None:
        value = self.text(column)
        if not value:
            return None
        match = _DATE.fullmatch(value)
        try:
            if match:
                return date(*map(int, match.groups()))
        except ValueError:
            pass
        self.wrong(
            f"'{column}'의 날짜가 올바르지 않습니다: {value!r} (예: 2026-11-01)",
            f"'{column}' is no date: {value!r} (e.g. 2026-11-01)",
        )
        return None

    def wrong(self, korean: str, english: str) -> None:
        self.mistakes.append(Mistake(self.number, korean, english))


def _unit(line: Line, default_from: date) -> Unit:
    kind_text = line.required("kind")
    kind = _KINDS.get(kind_text.lower())
    if kind is None and kind_text:
        line.wrong(
            f"'kind'는 기관·실국·과·팀 가운데 하나여야 합니다: {kind_text!r}",
            f"'kind' must be one of {', '.join(UNIT_KINDS)}, not {kind_text!r}",
        )
    return Unit(
        code=line.identifier("code"),
        name=line.required("name"),
        kind=kind or "team",
        parent_code=line.text("parent_code") or None,
        valid_from=line.day("valid_from") or default_from,
        valid_to=line.day("valid_to"),
    )


def _person(line: Line, default_from: date) -> Person:
    email = line.required("email")
    if email and not _EMAIL.fullmatch(email):
        line.wrong("'email'이 전자우편 주소가 아닙니다", "'email' is no e-mail address")
    return Person(
        employee_id=line.identifier("employee_id"),
        name=line.required("name"),
        email=email,
        unit_code=line.identifier("department_code"),
        valid_from=line.day("valid_from") or default_from,
        valid_to=line.day("valid_to"),
        role=line.text("role"),
    )


def _rows(data: bytes, columns: Mapping[str, tuple[str, ...]], make: Callable[[Line], V]) -> list[Row[V]]:
    lines, mistakes = read_lines(data, columns, _OPTIONAL)
    rows = [Row(line.number, make(line)) for line in lines]
    mistakes += [mistake for line in lines for mistake in line.mistakes]
    mistakes += _bad_periods(rows)
    if mistakes:
        raise ImportFailed(mistakes)
    return rows


def read_lines(
    data: bytes, columns: Mapping[str, tuple[str, ...]], optional: Collection[str]
) -> tuple[list[Line], list[Mistake]]:
    """Return the lines of a CSV file that are not empty, and what is wrong with it as CSV.

    `columns` are names with their aliases. Raises ImportFailed for a header that cannot be read.
    """
    reader = csv.reader(io.StringIO(decode(data), newline=""), strict=True)
    mistakes: list[Mistake] = []
    lines: list[Line] = []
    try:
        names = _header(next(reader, []), columns, optional)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = Line(reader.line_num, dict(zip(names, cells, strict=False)))
            if len(cells) != len(names):
                line.wrong(
                    f"칸이 {len(cells)}개입니다({len(names)}개여야 합니다)",
                    f"{len(cells)} cells where {len(names)} are expected",
                )
            lines.append(line)
    except csv.Error as error:
        mistakes.append(Mistake(reader.line_num, f"CSV 형식이 아닙니다: {error}", f"Not CSV: {error}"))
    return lines, mistakes


def _header(
    cells: Sequence[str], columns: Mapping[str, tuple[str, ...]], optional: Collection[str]
) -> list[str]:
    known = {alias: name for name, aliases in columns.items() for alias in (name, *aliases)}
    names = [known.get(cell.strip().lower(), "") for cell in cells]
    mistakes = [_unknown_column(cell, known) for cell, name in zip(cells, names, strict=True) if not name]
    mistakes += [
        Mistake(1, f"열 '{name}'이(가) 없습니다", f"Column '{name}' is missing")
        for name in columns
        if name not in names and name not in optional
    ]
    mistakes += [
        Mistake(1, f"열 '{name}'이(가) 두 번 있습니다", f"Column '{name}' stands twice")
        for name in columns
        if names.count(name) > 1
    ]
    if mistakes:
        raise ImportFailed(mistakes)
    return names


def _unknown_column(cell: str, known: Iterable[str]) -> Mistake:
    close = difflib.get_close_matches(cell.strip().lower(), list(known), 1)
    korean = f" '{close[0]}'을(를) 쓰려던 것입니까?" if close else ""
    english = f" Did you mean '{close[0]}'?" if close else ""
    return Mistake(1, f"알 수 없는 열 '{cell}'.{korean}", f"Unknown column '{cell}'.{english}")


def _bad_periods(rows: Iterable[Row[V]]) -> Iterator[Mistake]:
    seen: dict[tuple[str, date], int] = {}
    for row in rows:
        value = row.value
        if value.valid_to is not None and value.valid_to <= value.valid_from:
            yield Mistake(row.line, "종료일이 시작일보다 늦어야 합니다", "valid_to must be after valid_from")
        first = seen.setdefault((_id(value), value.valid_from), row.line)
        if first != row.line:
            yield Mistake(
                row.line, f"{first}행과 같은 대상, 같은 시작일입니다", f"Same entry and day as line {first}"
            )


# --- rows + what is known -> the plan ------------------------------------------------------------


def plan_units(
    known: Sequence[Unit], rows: Sequence[Row[Unit]], *, absent_end: date | None = None
) -> Plan[Unit]:
    """Plan an import of units; those that the file lacks end on `absent_end`. Raises ImportFailed."""
    plan, result = _plan(known, rows, absent_end)
    mistakes = list(_misplaced_units(result, rows))
    if mistakes:
        raise ImportFailed(mistakes)
    return plan


def plan_people(
    known: Sequence[Person],
    rows: Sequence[Row[Person]],
    units: Sequence[Unit],
    *,
    absent_end: date | None = None,
) -> Plan[Person]:
    """Plan an import of people into `units`. Raises ImportFailed."""
    plan, result = _plan(known, rows, absent_end)
    mistakes = [*_homeless(rows, units), *_shared_emails(result, rows)]
    if mistakes:
        raise ImportFailed(mistakes)
    return plan


def _plan(known: Sequence[V], rows: Sequence[Row[V]], absent_end: date | None) -> tuple[Plan[V], list[V]]:
    before: dict[str, list[V]] = defaultdict(list)
    for version in known:
        before[_id(version)].append(version)
    asked: dict[str, list[V]] = defaultdict(list)
    for row in rows:
        asked[_id(row.value)].append(row.value)
    after = {id_: merged(before.get(id_, []), values) for id_, values in asked.items()}
    if absent_end is not None:
        after |= {id_: ended(versions, absent_end) for id_, versions in before.items() if id_ not in asked}
    changes = tuple(
        Change(id_, tuple(_sorted(before.get(id_, []))), versions)
        for id_, versions in after.items()
        if versions != tuple(_sorted(before.get(id_, [])))
    )
    result = [version for versions in {**before, **after}.values() for version in versions]
    return Plan(changes, len(asked) - sum(change.id in asked for change in changes)), result


def merged(known: Iterable[V], asked: Iterable[V]) -> tuple[V, ...]:
    """Lay the versions `asked` for over the known history of one unit or person.

    A version without an end lasts until the next one that is known or asked for. One that only repeats
    what is in force adds nothing, so that the same file can be imported again.
    """
    states = _states(known)
    for version in _sorted(asked):
        start, end = version.valid_from, version.valid_to
        if end is not None:
            states = {day: state for day, state in states.items() if not start < day < end}
            states.setdefault(end, None)
        before = _in_force(states, start)
        if start in states or before is None or not _same(before, version):
            states[start] = version
    return _versions(states)


def ended(known: Iterable[V], day: date) -> tuple[V, ...]:
    """End a history on `day`. A history that would vanish keeps its first day."""
    states = {start: state for start, state in _states(known).items() if start < day}
    if not states:
        return tuple(_sorted(known))
    return _versions({**states, day: None})


def _in_force(states: Mapping[date, V | None], day: date) -> V | None:
    """Return what holds just before `day`."""
    starts = [start for start in states if start < day]
    return states[max(starts)] if starts else None


def _states(versions: Iterable[V]) -> dict[date, V | None]:
    states: dict[date, V | None] = {}
    for version in _sorted(versions):
        states[version.valid_from] = version
        if version.valid_to is not None:
            states[version.valid_to] = None
    return states


def _versions(states: Mapping[date, V | None]) -> tuple[V, ...]:
    versions: list[V] = []
    for day, state in sorted(states.items(), key=lambda item: item[0]):
        last = versions[-1] if versions and versions[-1].valid_to is None else None
        if last is not None:
            versions[-1] = replace(last, valid_to=day)
        if state is not None:
            versions.append(replace(state, valid_from=day, valid_to=None))
    return tuple(versions)


def _misplaced_units(result: Sequence[Unit], rows: Sequence[Row[Unit]]) -> Iterator[Mistake]:
    by_day: dict[date, tuple[dict[str, Unit], Mapping[str, object]]] = {}
    for row in rows:
        unit = row.value
        if unit.valid_from not in by_day:
            here = {u.code: u for u in valid_on(result, unit.valid_from)}
            by_day[unit.valid_from] = here, places(result, unit.valid_from)
        here, placed = by_day[unit.valid_from]
        parent = here.get(unit.parent_code or "")
        if unit.parent_code is not None and parent is None:
            yield Mistake(
                row.line,
                f"상위 부서 '{unit.parent_code}'이(가) {unit.valid_from}에 없습니다",
                f"The parent '{unit.parent_code}' does not exist on {unit.valid_from}",
            )
        elif parent is not None and UNIT_KINDS.index(parent.kind) > UNIT_KINDS.index(unit.kind):
            yield Mistake(
                row.line,
                f"{unit.kind}은(는) {parent.kind} 아래에 둘 수 없습니다",
                f"A {unit.kind} cannot stand below a {parent.kind}",
            )
        elif unit.code not in placed:
            yield Mistake(
                row.line,
                f"상위 부서가 서로를 가리키거나 {DEPTH_LIMIT}단계보다 깊습니다",
                f"The parents form a circle or are deeper than {DEPTH_LIMIT} levels",
            )


def _homeless(rows: Sequence[Row[Person]], units: Sequence[Unit]) -> Iterator[Mistake]:
    by_day: dict[date, Mapping[str, object]] = {}
    codes = {unit.code for unit in units}
    for row in rows:
        person = row.value
        if person.valid_from not in by_day:
            by_day[person.valid_from] = places(units, person.valid_from)
        if person.unit_code in by_day[person.valid_from]:
            continue
        close = difflib.get_close_matches(person.unit_code, codes, 1)
        hint = f" ('{close[0]}'?)" if close and person.unit_code not in codes else ""
        yield Mistake(
            row.line,
            f"부서 '{person.unit_code}'이(가) {person.valid_from}에 없습니다{hint}",
            f"Department '{person.unit_code}' does not exist on {person.valid_from}{hint}",
        )


def _shared_emails(result: Sequence[Person], rows: Sequence[Row[Person]]) -> Iterator[Mistake]:
    """Two people may not hold one address on the same day: it tells who a shared client speaks for."""
    by_email: dict[str, list[Person]] = defaultdict(list)
    for version in result:
        by_email[version.email.casefold()].append(version)
    for row in rows:
        person = row.value
        for other in by_email[person.email.casefold()]:
            if other.employee_id != person.employee_id and _overlap(person, other):
                yield Mistake(
                    row.line,
                    f"전자우편을 직원 '{other.employee_id}'와(과) 함께 쓰고 있습니다",
                    f"The e-mail address also belongs to employee '{other.employee_id}'",
                )
                break


def _overlap(a: Person, b: Person) -> bool:
    far = date.max
    return a.valid_from < (b.valid_to or far) and b.valid_from < (a.valid_to or far)


def _id(version: Unit | Person) -> str:
    return version.code if isinstance(version, Unit) else version.employee_id


def _same(a: V, b: V) -> bool:
    return replace(a, valid_from=b.valid_from, valid_to=b.valid_to) == b


def _sorted(versions: Iterable[V]) -> list[V]:
    return sorted(versions, key=lambda version: version.valid_from)
