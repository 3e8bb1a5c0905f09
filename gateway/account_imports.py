"""Accounts from CSV: bytes -> rows -> what becomes of the accounts. Values only, no SQL.

    accounts.csv   login, roles[, name][, employee_id]

`roles` are separated by `;`, in Korean or English. A name that is left out is that of the register. A row
says how an account looks, so importing the same file twice changes nothing; an account that the file lacks
stays as it is. Either every row is right or nothing is planned: `ImportFailed` names every line at fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.account_admin import ROLE_NAMES, said
from gateway.accounts import NAME_MOST, login_of, shown_text
from gateway.imports import ImportFailed, Mistake, read_lines
from gateway.permissions import Role, conflicts
from gateway.store.accounts import AccountChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gateway.account_admin import SeparatedDuties
    from gateway.accounts import Account
    from gateway.imports import Line

_COLUMNS: Final = {
    "login": ("아이디", "로그인"),
    "roles": ("역할", "권한", "role"),
    "name": ("성명", "이름"),
    "employee_id": ("사번", "직원번호", "person", "person_id"),
}
_OPTIONAL: Final = frozenset({"name", "employee_id"})
_SEPARATORS: Final = re.compile(r"[;,|/+\n]")
_ROLES: Final[Mapping[str, Role]] = {
    **{role.value: role for role in Role},
    **{"".join(name.split()): role for role, names in ROLE_NAMES.items() for name in names},
}


@dataclass(frozen=True, slots=True)
class AccountRow:
    line: int
    login: str
    name: str
    """Empty where the file says none."""
    roles: frozenset[Role]
    person_id: str | None


@dataclass(frozen=True, slots=True)
class AccountPlan:
    added: tuple[AccountRow, ...]
    """With the name that is shown."""
    changed: tuple[AccountChange, ...]
    unchanged: int
    clashing: tuple[str, ...]
    """Logins whose roles should be separated, where the institution only warns."""


def read_accounts(data: bytes) -> list[AccountRow]:
    """Parse accounts.csv: UTF-8 or CP949. Raises ImportFailed."""
    lines, mistakes = read_lines(data, _COLUMNS, _OPTIONAL)
    rows = [_row(line) for line in lines]
    mistakes += [mistake for line in lines for mistake in line.mistakes]
    mistakes += _twice((row.line, row.login) for row in rows)
    mistakes += _twice((row.line, row.person_id) for row in rows if row.person_id)
    if mistakes:
        raise ImportFailed(mistakes)
    return rows


def plan_accounts(
    rows: Sequence[AccountRow],
    known: Iterable[Account],
    people: Mapping[str, str],
    separated: SeparatedDuties,
) -> AccountPlan:
    """Say what the file changes; `people` are names by employee number. Raises ImportFailed."""
    accounts = list(known)
    by_login = {one.login: one for one in accounts}
    by_person = {one.person_id: one for one in accounts if one.person_id}
    mistakes: list[Mistake] = []
    added, changed = [], []
    for row in rows:
        before = by_login.get(row.login)
        mistakes += _wrong(row, before, by_person, people, separated)
        name = row.name or (before.name if before else people.get(row.person_id or "", row.login))
        if before is None:
            added.append(AccountRow(row.line, row.login, name, row.roles, row.person_id))
        elif (before.name, before.roles) != (name, row.roles):
            changed.append(AccountChange(before, name, row.roles))
    if mistakes:
        raise ImportFailed(mistakes)
    clashing = tuple(row.login for row in rows if separated == "warn" and conflicts(row.roles))
    return AccountPlan(tuple(added), tuple(changed), len(rows) - len(added) - len(changed), clashing)


def _row(line: Line) -> AccountRow:
    written = line.required("login")
    login = login_of(written)
    if written and login is None:
        line.wrong(
            f"아이디는 영문 소문자, 숫자, '.', '_', '-', '@'로 2~64자여야 합니다: {written[:80]!r}",
            f"A login is 2 to 64 of a-z, 0-9, '.', '_', '-' and '@', not {written[:80]!r}",
        )
    roles = frozenset(_roles(line))
    name = shown_text(line.text("name"), NAME_MOST)
    return AccountRow(line.number, login or "", name, roles, line.text("employee_id") or None)


def _roles(line: Line) -> Iterator[Role]:
    """Yield the roles of a cell. A piece that is no role may still be several, by spaces."""
    for piece in filter(str.strip, _SEPARATORS.split(line.required("roles"))):
        whole = _ROLES.get("".join(piece.split()).lower())
        for word in [piece] if whole else piece.split():
            role = whole or _ROLES.get(word.lower())
            if role is not None:
                yield role
                continue
            known = ", ".join(role.value for role in Role)
            line.wrong(
                f"알 수 없는 역할입니다: {word[:40]!r} (쓸 수 있는 것: {known})",
                f"Unknown role {word[:40]!r} (one of {known})",
            )


def _wrong(
    row: AccountRow,
    before: Account | None,
    by_person: Mapping[str, Account],
    people: Mapping[str, str],
    separated: SeparatedDuties,
) -> Iterator[Mistake]:
    clashes = conflicts(row.roles)
    if clashes and separated == "refuse":
        korean, english = said(clashes)
        yield Mistake(row.line, f"직무 분리: 함께 맡을 수 없습니다({korean})", f"Separated duties: {english}")
    if row.person_id is None:
        return
    if row.person_id not in people:
        yield Mistake(
            row.line,
            f"사번 {row.person_id}은(는) 직원 명부에 없습니다. `haechi people import`로 먼저 등록하세요.",
            f"{row.person_id} is not in the staff register; import them with `haechi people import` first.",
        )
    other = by_person.get(row.person_id)
    if other is not None and other.login != row.login:
        yield Mistake(
            row.line,
            f"사번 {row.person_id}의 계정이 이미 있습니다: {other.login}",
            f"{row.person_id} has an account already: {other.login}",
        )
    elif before is not None and before.person_id != row.person_id:
        yield Mistake(
            row.line,
            f"'{row.login}' 계정의 사번은 {before.person_id or '없음'}입니다. 사번은 바꿀 수 없습니다.",
            f"The account '{row.login}' is {before.person_id or 'nobody'}'s; that cannot be changed.",
        )


def _twice(values: Iterable[tuple[int, str]]) -> Iterator[Mistake]:
    first: dict[str, int] = {}
    for line, value in values:
        earlier = first.setdefault(value, line)
        if value and earlier != line:
            yield Mistake(line, f"{earlier}행에 이미 있습니다: {value}", f"Also on line {earlier}: {value}")
