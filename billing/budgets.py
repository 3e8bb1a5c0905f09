"""Budgets: how much a key, a person or a unit may cost in a period. Pure decisions.

    Budget    a limit, in force for a time, of a scope (`unit:총무과`) in each of its periods
    Account   one scope in one period: what is spent, and what is held by attempts in flight

A hard budget refuses an attempt whose hold does not fit: spent + held + hold must stay within the
limit, in every account of the chain from the key up to the institution. Since a hold is an upper
bound of the cost (billing.quotes), what is spent never exceeds the limit. Where a provider states
more than the hold, the excess is charged and the account shows it.

Holds are taken in the transaction of the dispatch row and given back in that of the charge row, so
that held is at any time the sum of the holds of open attempts; see
docs/decisions/0050-holds-in-the-dispatch-transaction.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.errors import RowRefused
from billing.money import format_won
from billing.periods import next_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Every(StrEnum):
    """What a limit is for. The fiscal year of Korean public bodies is the calendar year."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    ONCE = "once"
    """Until used up."""


class ScopeKind(StrEnum):
    KEY = "key"
    PERSON = "person"
    UNIT = "unit"
    """Team, division, bureau or institution: whoever has the unit in its path."""


class Scope(NamedTuple):
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit in nano-won. A soft one (`hard=False`) counts and warns, and refuses nothing."""

    id: str
    scope: Scope
    every: Every
    limit_nano_krw: int
    hard: bool = True
    moved_nano_krw: Mapping[str, int] = field(default_factory=dict, compare=False)
    """What was transferred to it (+) and from it (-), by its own period."""

    def limit_in(self, period: str) -> int:
        """Nano-won of a period: what was set, and what transfers moved in it."""
        return self.limit_nano_krw + self.moved_nano_krw.get(period, 0)

    def account_key(self, billing_period: str) -> AccountKey:
        return AccountKey(*self.scope, str(self.every), period_of(self.every, billing_period))


class AccountKey(NamedTuple):
    """Sorted keys are the one order in which accounts are locked."""

    scope_kind: str
    scope_id: str
    every: str
    period: str


@dataclass(slots=True)
class Account:
    """All in nano-won. `limit_nano_krw` is None where only soft budgets stand."""

    key: AccountKey
    spent_nano_krw: int
    held_nano_krw: int
    limit_nano_krw: int | None = None

    @property
    def left_nano_krw(self) -> int | None:
        if self.limit_nano_krw is None:
            return None
        return self.limit_nano_krw - self.spent_nano_krw - self.held_nano_krw

    def fits(self, hold_nano_krw: int) -> bool:
        left = self.left_nano_krw
        return left is None or hold_nano_krw <= left


class BudgetExceeded(RowRefused):
    """The hold does not fit into a hard budget; nothing was written or sent.

    `account` says whose; amounts are in nano-won.
    """

    is_defect = False

    def __init__(self, account: Account, hold_nano_krw: int) -> None:
        self.account = account
        self.hold_nano_krw = hold_nano_krw
        super().__init__(f"budget of {account.key.scope_kind} {account.key.scope_id} does not cover the hold")

    @property
    def korean(self) -> str:
        key, limit, left, needed = self._amounts()
        whose = f"{_WHOSE[ScopeKind(key.scope_kind)]} {key.scope_id}"
        return (
            f"예산이 부족합니다: {whose}의 {_PERIODS[Every(key.every)]} 예산 {limit} 가운데 {left} 남았고,"
            f" 이 요청에는 최대 {needed}이 필요합니다."
            " 출력 한도(max_tokens)를 줄이거나 예산 담당자에게 문의하세요."
        )

    @property
    def english(self) -> str:
        key, limit, left, needed = self._amounts()
        return (
            f"The budget of {key.scope_kind} {key.scope_id} ({limit}, {key.every}) has {left} left; this"
            f" request may cost up to {needed}. Lower max_tokens, or ask whoever manages the budget."
        )

    def _amounts(self) -> tuple[AccountKey, str, str, str]:
        left = max(0, self.account.left_nano_krw or 0)
        limit = format_won(self.account.limit_nano_krw or 0)
        return self.account.key, limit, format_won(left), format_won(self.hold_nano_krw)


_WHOSE = {ScopeKind.KEY: "키", ScopeKind.PERSON: "사용자", ScopeKind.UNIT: "부서"}
_PERIODS = {Every.MONTH: "월", Every.QUARTER: "분기", Every.YEAR: "연간", Every.ONCE: "전체"}


class Movement(NamedTuple):
    """What one submission does to accounts: an attempt held, or charged and no longer held."""

    scopes: frozenset[Scope]
    billing_period: str
    held: int
    spent: int
    refusable: bool


@dataclass(slots=True)
class Budgets:
    """The budgets in force, by scope."""

    by_scope: Mapping[Scope, Sequence[Budget]]

    @classmethod
    def of(cls, budgets: Iterable[Budget]) -> Budgets:
        by_scope: dict[Scope, list[Budget]] = {}
        for budget in budgets:
            by_scope.setdefault(budget.scope, []).append(budget)
        return cls(by_scope)

    def keys(self, movement: Movement) -> dict[AccountKey, int | None]:
        """Accounts that a movement touches, with their tightest hard limit."""
        limits: dict[AccountKey, int | None] = {}
        for scope in movement.scopes & self.by_scope.keys():
            for budget in self.by_scope[scope]:
                key = budget.account_key(movement.billing_period)
                limit = budget.limit_in(key.period) if budget.hard else None
                known = limits.get(key)
                limits[key] = limit if known is None else known if limit is None else min(known, limit)
        return limits

    def refuses_without_database(self, movement: Movement) -> bool:
        """Whether a hard budget stands over it: it cannot be held while the database is away."""
        return any(limit is not None for limit in self.keys(movement).values())


def apply(
    movements: Sequence[Movement], budgets: Budgets, accounts: Mapping[AccountKey, Account]
) -> BudgetExceeded | None:
    """Apply the movements of one submission to the accounts: all of them, or none and why not."""
    needed: Counter[AccountKey] = Counter()
    for movement in movements:
        for key, limit in budgets.keys(movement).items():
            account = accounts[key]
            account.limit_nano_krw = limit
            needed[key] += movement.held if movement.refusable else 0
            if needed[key] and not account.fits(needed[key]):
                return BudgetExceeded(account, needed[key])
    for movement in movements:
        for key in budgets.keys(movement):
            accounts[key].held_nano_krw += movement.held
            accounts[key].spent_nano_krw += movement.spent
    return None


def period_of(every: Every, billing_period: str) -> str:
    """`2026-11` is in `2026-11`, `2026-Q4`, `2026` and, of what is given once, in ``."""
    year, month = billing_period.split("-")
    match every:
        case Every.MONTH:
            return billing_period
        case Every.QUARTER:
            return f"{year}-Q{(int(month) + 2) // 3}"
        case Every.YEAR:
            return year
        case Every.ONCE:
            return ""


def months_of(period: str) -> tuple[str, ...] | None:
    """Billing months of a period; None for the one that has no end."""
    if not period:
        return None
    year, _, rest = period.partition("-")
    if not rest:
        first, count = f"{year}-01", 12
    elif rest.startswith("Q"):
        first, count = f"{year}-{3 * int(rest[1]) - 2:02d}", 3
    else:
        return (period,)
    months = [first]
    while len(months) < count:
        months.append(next_month(months[-1]))
    return tuple(months)


def scopes_of(row: Mapping[str, Any]) -> frozenset[Scope]:
    """Every scope that pays for a dispatch or charge, by its columns."""
    units = (unit.replace("%2F", "/") for unit in row["unit_path"].split("/") if unit)
    return frozenset(
        [
            Scope(ScopeKind.KEY, row["key_id"]),
            Scope(ScopeKind.PERSON, row["person_id"]),
            *(Scope(ScopeKind.UNIT, unit) for unit in units),
        ]
    )
