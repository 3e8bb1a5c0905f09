"""Budgets: how much a key, a person or a unit may use in a period. Pure decisions.

    Measure   what a limit counts: won, tokens or requests
    Budget    a limit, in force for a time, of a scope (`unit:총무과`) in each of its periods
    Account   one scope in one period: what is spent, and what is held by attempts in flight

A hard budget refuses an attempt whose hold does not fit: spent + held + hold must stay within the
limit, in every account of the chain from the key up to the institution and in every measure. Since a
hold is an upper bound (of the cost: billing.quotes; of the tokens: `held_by`), what is spent never
exceeds the limit. Where a provider states more than the hold, the excess is charged and the account
shows it.

Holds are taken in the transaction of the dispatch row and given back in that of the charge row, so
that held is at any time the sum of the holds of open attempts; see
docs/decisions/0050-holds-in-the-dispatch-transaction.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.errors import RowRefused
from billing.ledger import Kind, Outcome
from billing.money import format_won
from billing.periods import next_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.ledger import Attribution


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


class Measure(StrEnum):
    """What a budget counts, in the order of Amounts."""

    WON = "won"
    """Its limit is in nano-won."""
    TOKENS = "tokens"
    """All that went in and came out, of every class."""
    REQUESTS = "requests"
    """Attempts that a provider took: not what was never sent, nor what it refused."""


class Scope(NamedTuple):
    kind: str
    id: str


class Amounts(NamedTuple):
    """One quantity of each measure: of a hold, a charge, an account."""

    nano_krw: int = 0
    tokens: int = 0
    requests: int = 0

    def of(self, measure: Measure) -> int:
        return self[_PLACE[measure]]


class Limits(NamedTuple):
    """The tightest hard limit of each measure; None where there is none."""

    nano_krw: int | None = None
    tokens: int | None = None
    requests: int | None = None


NOTHING: Final = Amounts()
NO_LIMITS: Final = Limits()
_PLACE: Final = {measure: place for place, measure in enumerate(Measure)}
_MEASURES: Final = tuple(Measure)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit in the unit of its measure. A soft one (`hard=False`) counts and warns, and refuses nothing."""

    id: str
    scope: Scope
    every: Every
    limit: int
    hard: bool = True
    measure: Measure = Measure.WON
    moved: Mapping[str, int] = field(default_factory=dict, compare=False)
    """What was transferred to it (+) and from it (-), by its own period (billing.store.transfers)."""

    def limit_in(self, period: str) -> int:
        """The limit of a period: what was set, and what transfers moved in it."""
        return self.limit + self.moved.get(period, 0)

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
    """What one scope has spent and holds in one period."""

    key: AccountKey
    spent: Amounts = NOTHING
    held: Amounts = NOTHING
    limits: Limits = NO_LIMITS
    leased: Amounts = NOTHING
    """What is set aside for writers (billing.leases)."""

    def left(self, measure: Measure) -> int | None:
        """Return what a hard limit leaves; below zero where a provider stated more than a hold."""
        place = _PLACE[measure]
        limit = self.limits[place]
        return None if limit is None else limit - self.spent[place] - self.held[place]

    def lacks(self, needed: Sequence[int]) -> Measure | None:
        """Return the first measure in which `needed` does not fit."""
        for place, limit in enumerate(self.limits):
            gone = self.spent[place] + self.held[place] + self.leased[place]
            if limit is not None and needed[place] > limit - gone:
                return _MEASURES[place]
        return None


class BudgetExceeded(RowRefused):
    """The hold does not fit into a hard budget; nothing was written or sent.

    `account` says whose; `needed` is the hold in the unit of `measure`. Whom to ask is not known here.
    """

    is_defect = False

    def __init__(self, account: Account, measure: Measure, needed: int) -> None:
        self.account = account
        self.measure = measure
        self.needed = needed
        super().__init__(f"budget of {account.key.scope_kind} {account.key.scope_id} does not cover the hold")

    @property
    def scope(self) -> Scope:
        return Scope(self.account.key.scope_kind, self.account.key.scope_id)

    @property
    def left(self) -> int:
        return max(0, (self.account.left(self.measure) or 0) - self.account.leased.of(self.measure))

    @property
    def resets_on(self) -> date | None:
        """Return the Korean day on which the next period begins; None: it is given once."""
        return ends_on(self.account.key.period)

    @property
    def korean(self) -> str:
        key, resets_on = self.account.key, self.resets_on
        limit, left, needed = (amount_text(self.measure, amount) for amount in self._amounts())
        anew = f" 예산은 {resets_on}에 새로 시작합니다." if resets_on else ""
        return (
            f"예산이 부족합니다: {_WHOSE[ScopeKind(key.scope_kind)]} {key.scope_id}의"
            f" {_PERIODS[Every(key.every)]} 예산 {limit} 가운데 {left} 남았고,"
            f" 이 요청에는 최대 {needed}이 필요합니다.{anew} 출력 한도(max_tokens)를 줄이거나"
        )

    @property
    def english(self) -> str:
        key, resets_on = self.account.key, self.resets_on
        limit, left, needed = (amount_text_en(self.measure, amount) for amount in self._amounts())
        anew = f" It starts anew on {resets_on}." if resets_on else ""
        return (
            f"The budget of {key.scope_kind} {key.scope_id} ({limit}, {key.every}) has {left} left; this"
            f" request may take up to {needed}.{anew} Lower max_tokens, or"
        )

    def _amounts(self) -> tuple[int, int, int]:
        return self.account.limits[_PLACE[self.measure]] or 0, self.left, self.needed


def amount_text(measure: Measure, amount: int) -> str:
    """`1,234원`, `1,234토큰`, `1,234건`; won are cut towards zero."""
    match measure:
        case Measure.WON:
            return format_won(amount)
        case Measure.TOKENS:
            return f"{amount:,}토큰"
        case Measure.REQUESTS:
            return f"{amount:,}건"


def amount_text_en(measure: Measure, amount: int) -> str:
    return format_won(amount) if measure is Measure.WON else f"{amount:,} {measure}"


_WHOSE = {ScopeKind.KEY: "키", ScopeKind.PERSON: "사용자", ScopeKind.UNIT: "부서"}
_PERIODS = {Every.MONTH: "월", Every.QUARTER: "분기", Every.YEAR: "연간", Every.ONCE: "전체"}


class Movement(NamedTuple):
    """What one submission does to accounts: an attempt held, or charged and no longer held."""

    scopes: frozenset[Scope]
    billing_period: str
    held: Amounts
    spent: Amounts
    refusable: bool


_MOST_PAYERS: Final = 8_192
"""Whose scopes and accounts are remembered: finding them anew took longer than moving them."""


@dataclass(slots=True)
class Budgets:
    """The budgets in force, by scope."""

    by_scope: Mapping[Scope, Sequence[Budget]]
    _found: dict[tuple[frozenset[Scope], str], Mapping[AccountKey, Limits]] = field(default_factory=dict)

    @classmethod
    def of(cls, budgets: Iterable[Budget]) -> Budgets:
        by_scope: dict[Scope, list[Budget]] = {}
        for budget in budgets:
            by_scope.setdefault(budget.scope, []).append(budget)
        return cls(by_scope)

    def keys(self, movement: Movement) -> Mapping[AccountKey, Limits]:
        """Accounts that a movement touches, with their tightest hard limits."""
        return self.accounts_of(movement.scopes, movement.billing_period)

    def accounts_of(self, scopes: frozenset[Scope], billing_period: str) -> Mapping[AccountKey, Limits]:
        """Accounts that pay for what these scopes do, with their tightest hard limits."""
        found = self._found.get((scopes, billing_period))
        if found is None:
            if len(self._found) >= _MOST_PAYERS:
                self._found.clear()
            found = self._found[scopes, billing_period] = self._look_up(scopes, billing_period)
        return found

    def _look_up(self, scopes: frozenset[Scope], billing_period: str) -> dict[AccountKey, Limits]:
        limits: dict[AccountKey, Limits] = {}
        for scope in scopes & self.by_scope.keys():
            for budget in self.by_scope[scope]:
                key = budget.account_key(billing_period)
                known = limits.get(key, NO_LIMITS)
                limits[key] = _tightened(known, budget, key.period) if budget.hard else known
        return limits

    def refuses_without_database(self, movement: Movement) -> bool:
        """Whether a hard budget stands over it: it cannot be held while the database is away."""
        return any(limits != NO_LIMITS for limits in self.keys(movement).values())


def _tightened(limits: Limits, budget: Budget, period: str) -> Limits:
    place = _PLACE[budget.measure]
    known, limit = limits[place], budget.limit_in(period)
    tighter = limit if known is None else min(known, limit)
    return Limits._make(tighter if at == place else other for at, other in enumerate(limits))


def apply(
    movements: Sequence[Movement], budgets: Budgets, accounts: Mapping[AccountKey, Account]
) -> BudgetExceeded | None:
    """Apply the movements of one submission to the accounts: all of them, or none and why not."""
    needed: dict[AccountKey, Amounts] = {}
    for movement in movements:
        for key, limits in budgets.keys(movement).items():
            account = accounts[key]
            account.limits = limits
            if not movement.refusable:
                continue
            asked = needed[key] = plus(needed[key], movement.held) if key in needed else movement.held
            lacking = account.lacks(asked) if any(asked) else None
            if lacking is not None:
                return BudgetExceeded(account, lacking, asked.of(lacking))
    for movement in movements:
        for key in budgets.keys(movement):
            account = accounts[key]
            account.held = plus(account.held, movement.held)
            account.spent = plus(account.spent, movement.spent)
    return None


def plus(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(one[0] + other[0], one[1] + other[1], one[2] + other[2])


def minus(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(one[0] - other[0], one[1] - other[1], one[2] - other[2])


HELD: Final = ("hold_nano_krw", "input_bytes", "max_output_tokens")
"""Columns of a dispatch that say what it holds: `held_by` in their order."""


def held_by(hold_nano_krw: int, input_bytes: int, max_output_tokens: int | None) -> Amounts:
    """What a dispatch holds, by its columns: no charge of it can be more.

    Each token of the input stands for at least one byte of what was sent; what is declared beside the
    text is counted in `input_bytes` and `max_output_tokens` by whoever makes the dispatch.
    """
    return Amounts(hold_nano_krw, input_bytes + (max_output_tokens or 0), 1)


def spent_by(kind: str, outcome: str, amount_nano_krw: int, tokens: Iterable[int | None]) -> Amounts:
    """What a row of the charges adds to what is spent; a correction's figures are differences.

    `tokens` of each class that counts (billing.usage.TOKEN_CLASSES).
    """
    was_taken = kind == Kind.CHARGE and outcome not in UNTAKEN
    return Amounts(amount_nano_krw, sum(filter(None, tokens)), int(was_taken))


UNTAKEN: Final = frozenset({str(Outcome.NOT_SENT), str(Outcome.REFUSED_BY_PROVIDER)})
"""Outcomes of attempts that count as no request."""


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


def ends_on(period: str) -> date | None:
    """Return the first Korean day after a period; None for the one that has no end."""
    months = months_of(period)
    if months is None:
        return None
    year, month = next_month(months[-1]).split("-")
    return date(int(year), int(month), 1)


@lru_cache(maxsize=_MOST_PAYERS)
def scopes_of(key_id: str, person_id: str, unit_path: str) -> frozenset[Scope]:
    """Every scope that pays for a dispatch or charge, by its columns."""
    units = (unit.replace("%2F", "/") for unit in unit_path.split("/") if unit)
    return _scopes(key_id, person_id, units)


def scopes_of_payer(payer: Attribution) -> frozenset[Scope]:
    """Every scope that pays for what is attributed to somebody."""
    return _scopes(payer.key_id, payer.person_id, payer.unit_path)


def _scopes(key_id: str, person_id: str, units: Iterable[str]) -> frozenset[Scope]:
    return frozenset(
        [
            Scope(ScopeKind.KEY, key_id),
            Scope(ScopeKind.PERSON, person_id),
            *(Scope(ScopeKind.UNIT, unit) for unit in units),
        ]
    )
