"""The price book's versions: what is proposed, what it would change, why it may not be. Pure.

haechi.toml holds the first version of the book. Every further one is a `Draft` (prices and exchange rates as
the tables of `billing.prices`) that was proposed and approved; approved, its prices are in force from the
days that they name. A price is in force until the next one of its key begins, so a version says only what
changes. SQL is in billing.store.pricebook; which price a request pays is decided in billing.prices.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billing.periods import billing_day, day_start
from billing.price_tables import PriceTableError, Problem, read_fx, read_prices
from billing.prices import FxRule, NoPrice, PriceBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from billing.quotes import FxRate, Price

FIRST: Final = 0
"""The number of the version that haechi.toml holds."""
ABSURD_CHANGE: Final = 10
"""A price so many times the one before, or that part of it, is a mistake until somebody says otherwise."""
ABSURD_KRW: Final = 20_000_000
"""Won for a million tokens, a picture or a second that nobody asks: the dearest known is below a million."""
_TENTH: Final = Decimal("0.1")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class VersionState(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    """Approved, and taken back before any of its prices was in force."""


class PriceRefused(Exception):
    """What cannot be done to the price book; `korean` and `english` say why and what to do."""

    def __init__(self, korean: str, english: str) -> None:
        super().__init__(english)
        self.korean = korean
        self.english = english


class PriceConflict(PriceRefused):
    """Somebody else decided about the version in the meantime."""


class DraftError(PriceRefused):
    """A draft that cannot be proposed; `problems` names every entry at fault."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "; ".join(f"{p.entry}.{p.field}: {p.korean}" for p in self.problems),
            "; ".join(f"{p.entry}.{p.field}: {p.english}" for p in self.problems),
        )


@dataclass(frozen=True)
class Draft:
    """Prices and rates that are proposed together, as tables whose days are text: `2026-12-01`.

    `of` checks them; a draft that exists can be read.
    """

    prices: tuple[Mapping[str, Any], ...] = ()
    fx: tuple[Mapping[str, Any], ...] = ()
    source: str = ""

    @classmethod
    def of(cls, prices: Sequence[Mapping[str, Any]], fx: Sequence[Mapping[str, Any]], source: str) -> Draft:
        """Raises DraftError, naming every entry that is wrong, also where there is none."""
        draft = cls(tuple(map(_plain, prices)), tuple(map(_plain, fx)), source)
        problems = [*_not_by_day(draft.prices), *_problems(read_prices, prices), *_problems(read_fx, fx)]
        if not draft.prices and not draft.fx:
            problems = [Problem("prices", "key", "단가도 환율도 없습니다", "there is no price and no rate")]
        if problems:
            raise DraftError(problems)
        return draft

    @cached_property
    def document(self) -> str:
        """The whole of it as canonical JSON."""
        content = {"prices": self.prices, "fx": self.fx}
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.document.encode()).hexdigest()

    @property
    def starts_on(self) -> date:
        """The first day on which anything of it is in force."""
        days = [*(table["from"] for table in self.prices), *(table["date"] for table in self.fx)]
        return date.fromisoformat(min(days))

    @classmethod
    def from_document(cls, document: str, source: str) -> Draft:
        content = json.loads(document)
        return cls(tuple(content["prices"]), tuple(content["fx"]), source)


@dataclass(frozen=True)
class PriceVersion:
    """One version of the book; `decided_*` of the last decision, empty while it is proposed."""

    number: int
    draft: Draft
    proposed_at: datetime
    proposed_by: str
    reason: str = ""
    state: VersionState = VersionState.PROPOSED
    decided_at: datetime | None = None
    decided_by: str = ""
    decision: str = ""

    @property
    def is_fx_only(self) -> bool:
        return not self.draft.prices

    @cached_property
    def prices(self) -> dict[str, tuple[Price, ...]]:
        """Its prices by key; each is named after the version and its day: `v3-20261201`."""
        named = [
            table | {"version": f"v{self.number}-{table['from'].replace('-', '')}"}
            for table in map(dict, self.draft.prices)
        ]
        return read_prices(named)

    def rates(self, rule: FxRule) -> dict[str, tuple[FxRate, ...]]:
        only = "monthly" if rule is FxRule.MONTHLY else None
        return read_fx([_with_instant(table) for table in self.draft.fx], only)


# --- putting the book together -------------------------------------------------------------------


def assembled(base: PriceBook, approved: Iterable[PriceVersion]) -> PriceBook:
    """Return the book of haechi.toml with every approved version in it.

    Where two prices of a key begin on one day the later version's holds: approval refuses that, but
    haechi.toml can be edited afterwards.
    """
    prices = {key: list(found) for key, found in base.prices.items()}
    fx = {key: list(found) for key, found in base.fx.items()}
    for version in sorted(approved, key=lambda one: one.number):
        for key, found in version.prices.items():
            prices.setdefault(key, []).extend(found)
        for key, rates in version.rates(base.fx_rule).items():
            fx.setdefault(key, []).extend(rates)
    return PriceBook(
        {key: _in_order(found) for key, found in prices.items()},
        {key: _rates_in_order(found) for key, found in fx.items()},
        base.fx_rule,
        base.fx_most_days,
    )


def _in_order(prices: Iterable[Price]) -> tuple[Price, ...]:
    """Prices of one key by their start, each ending where the next begins at the latest."""
    last_of_day = {price.starts_at: price for price in prices}
    ordered = [last_of_day[start] for start in sorted(last_of_day)]
    for index, following in enumerate(ordered[1:]):
        ends_at = ordered[index].ends_at
        if ends_at is not None and ends_at > following.starts_at:
            ordered[index] = replace(ordered[index], ends_at=following.starts_at)
    return tuple(ordered)


def _rates_in_order(rates: Iterable[FxRate]) -> tuple[FxRate, ...]:
    last_of_instant = {rate.published_at: rate for rate in rates}
    return tuple(last_of_instant[at] for at in sorted(last_of_instant))


# --- what may not be proposed --------------------------------------------------------------------


def check(book: PriceBook, draft: Draft, now: datetime, *, large_changes: bool = False) -> None:
    """Raise DraftError where the draft does not go together with the book as it stands.

    `large_changes`: prices and rates that change by more than ABSURD_CHANGE are meant.
    """
    problems = [*_overlaps(book, draft), *_double_rates(book, draft)]
    if not problems:
        new = assembled(book, [PriceVersion(FIRST, draft, now, "")])
        problems += _unconvertible(new, draft, now)
        if not large_changes:
            problems += _absurd(book, draft)
    if problems:
        raise DraftError(problems)


def overlaps(book: PriceBook, draft: Draft) -> Iterator[tuple[int, Price]]:
    """Yield (entry of the draft, price of the book) where both claim the same day."""
    own = PriceVersion(FIRST, draft, _EPOCH, "").prices
    for index, table in enumerate(draft.prices):
        key, start = table["key"], day_start(date.fromisoformat(table["from"]))
        price = next(one for one in own[key] if one.starts_at == start)
        other = next((one for one in book.prices.get(key, ()) if _overlap(price, one)), None)
        if other is not None:
            yield index, other


def _overlaps(book: PriceBook, draft: Draft) -> Iterator[Problem]:
    for index, other in overlaps(book, draft):
        key, period = other.key, period_of(other)
        yield Problem(
            f"prices[{index}]",
            "from",
            f"'{key}'에는 이미 {period} 적용되는 단가({other.version})가 있습니다. 겹치지 않는 날로 바꾸세요",
            f"'{key}' has a price {period} already ({other.version}); choose a day that does not overlap",
        )


def _overlap(one: Price, other: Price) -> bool:
    """Whether two prices of a key claim the same day; an open end gives way to a later start."""
    if one.starts_at == other.starts_at:
        return True
    first, second = sorted((one, other), key=lambda price: price.starts_at)
    return first.ends_at is not None and first.ends_at > second.starts_at


def period_of(price: Price) -> str:
    """Return `2026-12-01~2026-12-31`; an open end is left out."""
    end = "" if price.ends_at is None else billing_day(price.ends_at).isoformat()
    return f"{billing_day(price.starts_at).isoformat()}~{end}"


def _double_rates(book: PriceBook, draft: Draft) -> Iterator[Problem]:
    for index, table in enumerate(draft.fx):
        published = _published(table)
        for known in book.fx.get(table["base"], ()):
            if known.published_at == published:
                yield Problem(
                    f"fx[{index}]",
                    "date",
                    f"{table['base']}의 {known.day} 환율({known.rate})이 이미 있습니다."
                    " 바로잡으려면 kind를 manual로 올리세요",
                    f"there is a {table['base']} rate of {known.day} already ({known.rate});"
                    " to put it right, propose one of kind manual",
                )


def _unconvertible(new: PriceBook, draft: Draft, now: datetime) -> Iterator[Problem]:
    """Yield prices in a currency that has no rate today."""
    for index, table in enumerate(draft.prices):
        if table["currency"] == "KRW":
            continue
        try:
            new.fx_at(table["currency"], now)  # a later day's rate is not known yet
        except NoPrice as missing:
            yield Problem(f"prices[{index}]", "currency", missing.korean, missing.english)


def _absurd(book: PriceBook, draft: Draft) -> Iterator[Problem]:
    rates = assembled(book, [PriceVersion(FIRST, draft, _EPOCH, "")]).fx
    for change in changes(book, draft):
        if change.is_absurd or _is_absurd_in_won(change, rates):
            before = change.before if change.elsewhere is None else " ".join(map(str, change.elsewhere))
            after = f"{change.after} {change.currency}"
            yield Problem(
                f"prices[{change.entry}]",
                change.name,
                f"'{change.key}'의 단가가 {before}에서 {after}(으)로 {ABSURD_CHANGE}배 넘게"
                " 바뀝니다. 맞는 값이면 --large-changes로 올리세요",
                f"the price of '{change.key}' changes from {before} to {after}, more than"
                f" {ABSURD_CHANGE} times; say --large-changes if that is meant",
            )
        elif change.after and change.after * _won_of(change.currency, rates) > ABSURD_KRW:
            yield Problem(
                f"prices[{change.entry}]",
                change.name,
                f"'{change.key}'의 단가 {change.after} {change.currency}은(는) 터무니없이 큽니다."
                " 단위를 확인하고, 맞는 값이면 --large-changes로 올리세요",
                f"the price of '{change.key}', {change.after} {change.currency}, is absurd;"
                " look at its unit, and say --large-changes if that is meant",
            )
    for index, table in enumerate(draft.fx):
        yield from _absurd_rate(book, index, table)


def _is_absurd_in_won(change: PriceChange, rates: Mapping[str, Sequence[FxRate]]) -> bool:
    if change.elsewhere is None or change.after is None or change.name.startswith("× "):
        return False
    currency, before = change.elsewhere
    return _is_absurd(before * _won_of(currency, rates), change.after * _won_of(change.currency, rates))


def _won_of(currency: str, rates: Mapping[str, Sequence[FxRate]]) -> Decimal:
    known = rates.get(currency)
    return known[-1].rate if known else Decimal(1)


def _absurd_rate(book: PriceBook, index: int, table: Mapping[str, Any]) -> Iterator[Problem]:
    """A rate twice or half the one before is a mistake: 100 yen for one, or digits that changed places."""
    rates = book.fx.get(table["base"], ())
    before = bisect_right(rates, _published(table), key=lambda rate: rate.published_at)
    if not before:
        return
    last, (rate,) = rates[before - 1], read_fx([_with_instant(table)])[table["base"]]
    if not last.rate / 2 < rate.rate < last.rate * 2:
        yield Problem(
            f"fx[{index}]",
            "rate",
            f"{table['base']} 환율이 {last.rate}에서 {rate.rate}(으)로 두 배 넘게 바뀝니다."
            " 1단위(1엔, 1달러)의 원화인지 확인하고, 맞으면 --large-changes로 올리세요",
            f"the {table['base']} rate changes from {last.rate} to {rate.rate}, by more than twice;"
            " it is won for one unit; say --large-changes if that is meant",
        )


# --- what a draft changes ------------------------------------------------------------------------


class PriceChange(NamedTuple):
    """One figure of one price: `name` as in the table, `input`, `input > 272000`, `images 1024x1024/high`."""

    entry: int
    """Index in the draft."""
    key: str
    starts_on: date
    name: str
    currency: str
    before: Decimal | None
    """None: there was none, or not in this currency."""
    after: Decimal | None
    elsewhere: tuple[str, Decimal] | None = None
    """What it was in another currency, and in which."""

    @property
    def kind(self) -> str:
        """`added`, `removed`, `changed` or `same`."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "same" if self.before == self.after else "changed"

    @property
    def percent(self) -> Decimal | None:
        """By how much it changes, one decimal; None where there is nothing to compare."""
        if not self.before or self.after is None:
            return None
        return ((self.after - self.before) * 100 / self.before).quantize(_TENTH)

    @property
    def is_absurd(self) -> bool:
        return _is_absurd(self.before, self.after)


def _is_absurd(before: Decimal | None, after: Decimal | None) -> bool:
    """Whether a figure changes by more than ABSURD_CHANGE times; to nothing is always that much."""
    if not before or after is None:
        return False
    return not before / ABSURD_CHANGE <= after <= before * ABSURD_CHANGE


def changes(book: PriceBook, draft: Draft) -> list[PriceChange]:
    """Compare each price of a draft with the one in force just before it begins, figure by figure."""
    own = PriceVersion(FIRST, draft, _EPOCH, "").prices
    found: list[PriceChange] = []
    for index, table in enumerate(draft.prices):
        key, day = table["key"], date.fromisoformat(table["from"])
        at = bisect_right(own[key], day_start(day), key=lambda one: one.starts_at)
        price = own[key][at - 1]
        before = own[key][at - 2] if at > 1 else _in_force(book, price)
        found += compared(index, before, price)
    return found


def compared(entry: int, before: Price | None, after: Price) -> Iterator[PriceChange]:
    """Yield every figure of a price with what it was before."""
    known = {} if before is None else figures(before)
    is_comparable = before is None or before.currency == after.currency
    old = known if is_comparable else {}
    new, day = figures(after), billing_day(after.starts_at)
    for name in sorted(old.keys() | new.keys()):
        elsewhere = None
        if before is not None and not is_comparable and name in known:
            elsewhere = (before.currency, known[name])
        figure = (old.get(name), new.get(name), elsewhere)
        yield PriceChange(entry, after.key, day, name, after.currency, *figure)


def figures(price: Price) -> dict[str, Decimal]:
    """Every figure of a price by a name that a person understands."""
    return {
        **price.prices,
        **{
            f"{name} > {tier.above_input_tokens}": amount
            for tier in price.tiers
            for name, amount in tier.prices.items()
        },
        **{
            f"{name} {variant}": amount
            for variant, amounts in price.variants.items()
            for name, amount in amounts.items()
        },
        **{f"× {name}": factor for name, factor in price.service_tiers.items()},
    }


def _in_force(book: PriceBook, price: Price) -> Price | None:
    """Return what a key costs just before a price of it begins."""
    versions = book.prices.get(price.key, ())
    index = bisect_right(versions, price.starts_at, key=lambda one: one.starts_at)
    return versions[index - 1] if index else None


# --- tables as text ------------------------------------------------------------------------------


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table whose days and instants are text, so that it can be kept as JSON."""
    return {
        name: value.isoformat() if isinstance(value, date) else _plain_in(value)
        for name, value in table.items()
        if name != "version"
    }


def _plain_in(value: Any) -> Any:  # noqa: ANN401 - straight from TOML
    if isinstance(value, list | tuple):
        return [_plain(one) if isinstance(one, dict) else one for one in value]
    return dict(value) if isinstance(value, dict) else value


def _not_by_day(tables: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for index, table in enumerate(tables):
        for name in ("from", "until"):
            if len(str(table.get(name, ""))) > len("2026-12-01"):
                yield Problem(
                    f"prices[{index}]",
                    name,
                    "단가는 하루가 시작할 때 바뀝니다. 2026-12-01처럼 날짜로 쓰세요",
                    "prices change at the beginning of a day; write a day like 2026-12-01",
                )


def _problems(
    reader: Callable[[Sequence[Mapping[str, Any]]], object], tables: Sequence[Mapping[str, Any]]
) -> tuple[Problem, ...]:
    try:
        reader([_with_instant(table) for table in tables])
    except PriceTableError as error:
        return error.problems
    return ()


def _with_instant(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rate's table with its instant as one, where it is text."""
    at = table.get("published_at")
    return {**table, "published_at": datetime.fromisoformat(at)} if isinstance(at, str) else dict(table)


def _published(table: Mapping[str, Any]) -> datetime:
    (rate,) = read_fx([_with_instant(table)])[table["base"]]
    return rate.published_at
