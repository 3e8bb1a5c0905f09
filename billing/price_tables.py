"""Reads `[[prices]]` and `[[fx]]` tables and names everything that is wrong with them.

The format is drawn in `billing.prices`. Nothing here chooses a price.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billing.periods import billing_day, day_start
from billing.quotes import FxRate, Price, Tier, variant
from billing.usage import TOKEN_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

UNIT_CLASSES: Final[Mapping[str, str]] = {
    **{name: name for name in TOKEN_CLASSES},
    "requests": "requests",
    "searches": "searches",
    "images": "images",
    "characters": "characters",
    "audio_seconds": "audio_ms",
    "video_seconds": "video_ms",
}
"""Name of a price in the table -> the class of Usage it prices."""

ABSURD: Final = Decimal(1_000_000_000)
_MAX_DECIMALS: Final = 15
_ENTRY_KEYS: Final = frozenset(
    {"key", "from", "until", "currency", "version", "tiers", "service_tiers", "variants"}
    | {"source", "checked", "verified"}
)
_FX_KEYS: Final = frozenset({"base", "quote", "date", "rate", "source", "kind", "published_at"})
FX_MONTHLY: Final = "monthly"
FX_KINDS: Final = ("daily", FX_MONTHLY, "manual")
"""A day's rate, one that is fixed for the month of its day, one that somebody set."""
_CURRENCIES: Final = frozenset({"KRW", "USD", "EUR", "JPY", "GBP", "CNY"})


class Problem(NamedTuple):
    """What is wrong with one entry: `prices[3]` or `fx[0]`, and the field at fault."""

    entry: str
    field: str
    korean: str
    english: str

    def __str__(self) -> str:
        return f"{self.entry}.{self.field}: {self.korean} / {self.english}"


class PriceTableError(ValueError):
    """Price or FX tables that cannot be used; `problems` holds every one of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def read_prices(tables: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Price, ...]]:
    """Versions by price key, each sorted by start. Raises PriceTableError."""
    reader = _Reader()
    by_key: dict[str, list[tuple[str, Price]]] = defaultdict(list)
    for index, table in enumerate(tables):
        entry = f"prices[{index}]"
        price = reader.price(entry, table)
        if price is not None:
            by_key[price.key].append((entry, price))
    for versions in by_key.values():
        versions.sort(key=lambda pair: pair[1].starts_at)
        reader.check_overlaps(versions)
    reader.finish()
    return {key: tuple(price for _, price in versions) for key, versions in by_key.items()}


def read_fx(tables: Sequence[Mapping[str, Any]], only: str | None = None) -> dict[str, tuple[FxRate, ...]]:
    """Rates to won by currency, each sorted by publication; of one kind with `only`.

    Raises PriceTableError.
    """
    reader = _Reader()
    by_base: dict[str, list[tuple[str, FxRate]]] = defaultdict(list)
    for index, table in enumerate(tables):
        entry = f"fx[{index}]"
        rate = reader.fx(entry, table)
        if rate is not None and only in {None, table.get("kind", FX_KINDS[0])}:
            by_base[rate.base].append((entry, rate))
    for rates in by_base.values():
        rates.sort(key=lambda pair: pair[1].published_at)
        reader.check_double_rates(rates)
    reader.finish()
    return {base: tuple(rate for _, rate in rates) for base, rates in by_base.items()}


class _Reader:
    """Collects problems instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def finish(self) -> None:
        if self.problems:
            raise PriceTableError(self.problems)

    def price(self, entry: str, table: Mapping[str, Any]) -> Price | None:
        before = len(self.problems)
        self._check_names(entry, table, _ENTRY_KEYS | UNIT_CLASSES.keys())
        key = self._text(entry, table, "key")
        starts_at = self._instant(entry, table, "from")
        ends_at = self._instant(entry, table, "until") if "until" in table else None
        currency = self._currency(entry, table, "currency")
        prices = self._prices(entry, table)
        tiers = self._tiers(entry, table.get("tiers", ()))
        service_tiers = self._factors(entry, table.get("service_tiers", {}))
        variants = self._variants(entry, table.get("variants", ()), prices)
        checked = self._day(entry, table, "checked") if "checked" in table else None
        verified = table.get("verified", False)
        if not isinstance(verified, bool):
            self._wrong(entry, "verified", "true 또는 false여야 합니다", "must be true or false")
        if not prices and not any(p.entry == entry for p in self.problems[before:]):
            self._wrong(entry, "input", "단가가 하나도 없습니다", "there is no price in this entry")
        if starts_at and ends_at and ends_at <= starts_at:
            self._wrong(entry, "until", "from보다 뒤여야 합니다", "must come after from")
        if len(self.problems) > before or starts_at is None:
            return None
        return Price(
            key=key,
            version=str(table.get("version") or _version(table, starts_at)),
            starts_at=starts_at,
            ends_at=ends_at,
            currency=currency,
            prices=prices,
            tiers=tiers,
            service_tiers=service_tiers,
            variants=variants,
            source=str(table.get("source", "")),
            checked=checked,
            verified=verified,
        )

    def fx(self, entry: str, table: Mapping[str, Any]) -> FxRate | None:
        before = len(self.problems)
        self._check_names(entry, table, _FX_KEYS)
        base = self._currency(entry, table, "base")
        if table.get("quote", "KRW") != "KRW":
            self._wrong(entry, "quote", "KRW만 쓸 수 있습니다", "only KRW is kept")
        if base == "KRW":
            self._wrong(entry, "base", "KRW는 환율이 필요 없습니다", "KRW needs no rate")
        day = self._day(entry, table, "date")
        rate = self._amount(entry, "rate", table.get("rate"))
        if rate is not None and rate == 0:
            self._wrong(entry, "rate", "0일 수 없습니다", "cannot be 0")
        published_at = self._instant(entry, table, "published_at") if "published_at" in table else None
        kind = table.get("kind", FX_KINDS[0])
        if kind not in FX_KINDS:
            known = ", ".join(FX_KINDS)
            self._wrong(entry, "kind", f"{known} 가운데 하나여야 합니다", f"must be one of {known}")
        elif kind == FX_MONTHLY and day is not None and day.day != 1:
            self._wrong(
                entry, "date", "월 환율은 그 달 1일로 적으세요", "a month's rate has the month's first day"
            )
        if len(self.problems) > before or day is None or rate is None:
            return None
        return FxRate(base, day, rate, published_at or day_start(day), str(table.get("source", "")))

    def check_overlaps(self, versions: list[tuple[str, Price]]) -> None:
        """A version ends where it says, or else where the next begins; it may not reach beyond."""
        for (entry, earlier), (next_entry, later) in pairwise(versions):
            if earlier.starts_at == later.starts_at or (
                earlier.ends_at and earlier.ends_at > later.starts_at
            ):
                before = billing_day(earlier.starts_at)
                self._wrong(
                    next_entry,
                    "from",
                    f"'{later.key}'의 적용 기간이 {before}부터인 단가({entry})와 겹칩니다",
                    f"the period of '{later.key}' overlaps that of the price from {before} ({entry})",
                )
            elif earlier.version == later.version:
                self._wrong(
                    next_entry,
                    "version",
                    f"'{later.key}'의 버전 이름이 {entry}와 같습니다",
                    f"'{later.key}' has the same version name as {entry}",
                )

    def check_double_rates(self, rates: list[tuple[str, FxRate]]) -> None:
        for (entry, earlier), (next_entry, later) in pairwise(rates):
            if earlier.published_at == later.published_at:
                self._wrong(
                    next_entry,
                    "date",
                    f"{entry}와 같은 날의 환율입니다",
                    f"a second rate for the day of {entry}",
                )

    def _tiers(self, entry: str, tables: Any) -> tuple[Tier, ...]:  # noqa: ANN401 - straight from TOML
        if not isinstance(tables, list | tuple):
            self._wrong(entry, "tiers", "표의 배열이어야 합니다", "must be an array of tables")
            return ()
        tiers = []
        for number, table in enumerate(tables):
            where = f"{entry}.tiers[{number}]"
            self._check_names(where, table, {"above_input_tokens", *UNIT_CLASSES})
            above = table.get("above_input_tokens")
            if type(above) is not int or above <= 0:
                self._wrong(where, "above_input_tokens", "양의 정수여야 합니다", "must be a positive integer")
                continue
            tiers.append(Tier(above, self._prices(where, table)))
        tiers.sort(key=lambda tier: tier.above_input_tokens)
        if any(a.above_input_tokens == b.above_input_tokens for a, b in pairwise(tiers)):
            self._wrong(entry, "tiers", "같은 구간이 두 번 있습니다", "the same tier stands twice")
        return tuple(tiers)

    def _variants(
        self,
        entry: str,
        tables: Any,  # noqa: ANN401 - straight from TOML
        base: Mapping[str, Decimal],
    ) -> dict[str, dict[str, Decimal]]:
        """Read prices by size and quality; what no row names has the entry's, so there must be one."""
        if not isinstance(tables, list | tuple):
            self._wrong(entry, "variants", "표의 배열이어야 합니다", "must be an array of tables")
            return {}
        read: dict[str, dict[str, Decimal]] = {}
        for number, table in enumerate(tables):
            where = f"{entry}.variants[{number}]"
            self._check_names(where, table, {"size", "quality", *UNIT_CLASSES})
            name = variant(table.get("size"), table.get("quality"))
            if name == variant(None, None) or name in read:
                self._wrong(
                    where,
                    "size",
                    "size나 quality가 있어야 하고, 같은 조합이 두 번 있으면 안 됩니다",
                    "needs a size or a quality, and each pair of them once",
                )
            read[name] = self._prices(where, table)
            for missing in read[name].keys() - base.keys():
                self._wrong(
                    where,
                    missing,
                    "목록에 없는 크기와 품질에 쓸 기본 단가를 항목에 먼저 적으세요",
                    "the entry needs this price too, for sizes and qualities that no row names",
                )
        return read

    def _factors(self, entry: str, table: Any) -> dict[str, Decimal]:  # noqa: ANN401 - straight from TOML
        if not isinstance(table, dict):
            self._wrong(entry, "service_tiers", "표여야 합니다", "must be a table")
            return {}
        read = {name: self._amount(f"{entry}.service_tiers", name, value) for name, value in table.items()}
        return {name: factor for name, factor in read.items() if factor is not None}

    def _prices(self, entry: str, table: Mapping[str, Any]) -> dict[str, Decimal]:
        prices = {}
        for name, usage_class in UNIT_CLASSES.items():
            if name in table:
                amount = self._amount(entry, name, table[name])
                if amount is not None:
                    prices[usage_class] = amount
        return prices

    def _amount(self, entry: str, name: str, value: Any) -> Decimal | None:  # noqa: ANN401 - straight from TOML
        if isinstance(value, bool | float) or not isinstance(value, str | int | Decimal):
            self._wrong(
                entry,
                name,
                f'금액은 따옴표로 묶은 글자로 쓰세요 (예: "1.25"). 지금 값: {value!r}',
                f'write amounts as text, e.g. "1.25", not {value!r}',
            )
            return None
        try:
            amount = Decimal(value)
        except InvalidOperation:
            self._wrong(entry, name, f"{value!r}은(는) 숫자가 아닙니다", f"{value!r} is not a number")
            return None
        return self._sane(entry, name, amount)

    def _sane(self, entry: str, name: str, amount: Decimal) -> Decimal | None:
        exponent = amount.as_tuple().exponent
        if not isinstance(exponent, int) or amount >= ABSURD or exponent < -_MAX_DECIMALS:
            self._wrong(entry, name, f"{amount}은(는) 터무니없는 값입니다", f"{amount} is absurd")
            return None
        if amount < 0:
            self._wrong(entry, name, f"음수일 수 없습니다: {amount}", f"cannot be negative: {amount}")
            return None
        return amount

    def _instant(self, entry: str, table: Mapping[str, Any], name: str) -> datetime | None:
        value = table.get(name)
        if isinstance(value, datetime):
            if value.tzinfo is not None:
                return value
            self._wrong(
                entry, name, "시각에는 시간대가 있어야 합니다 (+09:00)", "an instant needs an offset (+09:00)"
            )
            return None
        day = self._day(entry, table, name)
        return day_start(day) if day else None

    def _day(self, entry: str, table: Mapping[str, Any], name: str) -> date | None:
        value = table.get(name)
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        self._wrong(
            entry,
            name,
            f"날짜가 필요합니다 (예: {name} = 2026-01-01)."
            f" 지금 값: {'없음' if value is None else repr(value)}",
            f"needs a date, e.g. {name} = 2026-01-01, not {value!r}",
        )
        return None

    def _text(self, entry: str, table: Mapping[str, Any], name: str) -> str:
        value = table.get(name)
        if isinstance(value, str) and value:
            return value
        self._wrong(entry, name, "이름이 필요합니다", "needs a name")
        return ""

    def _currency(self, entry: str, table: Mapping[str, Any], name: str) -> str:
        value = table.get(name)
        if isinstance(value, str) and value in _CURRENCIES:
            return value
        known = ", ".join(sorted(_CURRENCIES))
        self._wrong(
            entry, name, f"모르는 통화입니다: {value!r} ({known})", f"unknown currency {value!r} ({known})"
        )
        return ""

    def _check_names(self, entry: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
        for name in table.keys() - set(known):
            self._wrong(entry, name, "모르는 항목입니다", "unknown field")

    def _wrong(self, entry: str, name: str, korean: str, english: str) -> None:
        self.problems.append(Problem(entry, name, korean, english))


def _version(table: Mapping[str, Any], starts_at: datetime) -> str:
    """Name a version by its start and its content, so that an edited price never keeps its name."""
    content = json.dumps(table, default=str, sort_keys=True, ensure_ascii=False)
    return f"{billing_day(starts_at):%Y%m%d}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
