"""What came of a provider's bill: both sides read by day in the provider's time zone, and the outcome kept.

An outcome carries the hash of what was compared. As long as neither the bills nor the ledger's rows of the
month change, it stands; a person may accept what differs, with a reason, for that basis alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import BigInteger, func, insert, literal_column, select
from sqlalchemy.exc import IntegrityError

from billing.bill_match import LedgerCost, LedgerDay, Match, MatchTerms, match
from billing.bill_rows import bucket_of
from billing.bill_summary import summary
from billing.money import EXACT
from billing.periods import from_us, next_month, to_us
from billing.store.bill_tables import bill_matches
from billing.store.bills import BillDeed, BillRefused, StoredBill, read_bill, stored_bills
from billing.store.engine import writing
from billing.tables import charges, lines
from billing.usage import CLASSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping

    from billing.bill_rows import Bill

HOUR_US: Final = 3600 * 10**6
QUARTER_US: Final = HOUR_US // 4


class Outcome(NamedTuple):
    """What came of a provider and month, and whether it still stands. `document` is a `summary`."""

    month: str
    provider: str
    number: int
    state: str
    at: datetime
    by: str
    reason: str
    basis: str
    document: Mapping[str, Any]


# --- both sides ----------------------------------------------------------------------------------


def window(month: str, timezone: str) -> tuple[int, int]:
    """Return the first microsecond of a month in a time zone, and of the next."""
    zone = ZoneInfo(timezone)
    first, after = (date.fromisoformat(f"{one}-01") for one in (month, next_month(month)))
    start, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (first, after))
    return to_us(start), to_us(end)


def used_days(connection: Connection, providers: Collection[str], month: str, timezone: str) -> set[date]:
    """Return the days of a provider's month on which the ledger holds anything that cost or counted."""
    slot = _slot(timezone)
    statement = select(slot).where(*_conditions(providers, month, timezone), charges.c.amount_nano_krw != 0)
    zone = ZoneInfo(timezone)
    return {_day(int(start), zone) for start in connection.execute(statement.distinct()).scalars()}


def ledger_days(
    connection: Connection, providers: Collection[str], month: str, timezone: str
) -> list[LedgerDay]:
    """Return what the ledger holds of a provider's month, corrections included, by its days."""
    zone = ZoneInfo(timezone)
    where = _conditions(providers, month, timezone)
    keys = (_slot(timezone), charges.c.provider, charges.c.upstream_model)
    quantities: dict[tuple[date, str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    used = [func.sum(charges.c[name]) for name in CLASSES]
    for slot, provider, model, *counts in connection.execute(
        select(*keys, *used).where(*where).group_by(*_numbers(3))
    ):
        mine = quantities[_day(int(slot), zone), provider, model]
        for name, count in zip(CLASSES, counts, strict=True):
            if count:
                mine[bucket_of(name)] += int(count)
    costs: dict[tuple[date, str, str], list[LedgerCost]] = defaultdict(list)
    priced = (lines.c.token_class, lines.c.currency, lines.c.unit_price, lines.c.per)
    joined = select(*keys, *priced, func.sum(lines.c.quantity), func.sum(lines.c.amount_nano_krw)).join_from(
        charges, lines, lines.c.charge_id == charges.c.charge_id
    )
    for slot, provider, model, token_class, currency, price, per, quantity, nano in connection.execute(
        joined.where(*where).group_by(*_numbers(7))
    ):
        exact = EXACT.divide(EXACT.multiply(Decimal(price), Decimal(int(quantity))), Decimal(per))
        one = LedgerCost(bucket_of(token_class), currency, exact, int(nano))
        costs[_day(int(slot), zone), provider, model].append(one)
    places = sorted(quantities.keys() | costs.keys())
    return [  # in one order, whatever the database's: a basis is a hash of it
        LedgerDay(*place, dict(sorted(quantities[place].items())), tuple(sorted(costs[place], key=repr)))
        for place in places
    ]


def _slot(timezone: str) -> ColumnElement[int]:
    """Quarters of an hour since 1970: every time zone's days begin at one."""
    step = HOUR_US if _whole_hours(timezone) else QUARTER_US
    return literal_column(f"(ledger_charge.started_at_us / {step}) * {step}", BigInteger)


def _whole_hours(timezone: str) -> bool:
    offset = datetime(2026, 1, 1, tzinfo=ZoneInfo(timezone)).utcoffset()
    return offset is not None and offset.total_seconds() % 3600 == 0


def _day(slot_us: int, zone: ZoneInfo) -> date:
    return from_us(slot_us).astimezone(zone).date()


def _conditions(providers: Collection[str], month: str, timezone: str) -> list[ColumnElement[bool]]:
    start, end = window(month, timezone)
    return [
        charges.c.provider.in_(sorted(providers)),
        charges.c.started_at_us >= start,
        charges.c.started_at_us < end,
    ]


def _numbers(count: int) -> list[ColumnElement[Any]]:
    """Group by the first columns, by their place: PostgreSQL must see that it groups by what it selects."""
    return [literal_column(str(number)) for number in range(1, count + 1)]


# --- a month -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """A provider's bills of a month beside the ledger; `basis` names what was compared."""

    month: str
    provider: str
    bills: tuple[StoredBill, ...]
    match: Match
    basis: str

    @property
    def state(self) -> str:
        return "agrees" if self.match.agrees else "differs"


def compare_month(engine: Engine, month: str, provider: str, terms: MatchTerms) -> Compared | None:
    """Hold a provider's bills of a month against the ledger; None where there are none. Writes nothing."""
    with engine.connect() as connection:
        known = stored_bills(connection, month, provider)
        if not known:
            return None
        contents = [read_bill(connection, one.number) for one in known]
        mapped = {terms.keys[row.key] for bill in contents for row in bill.rows if row.key in terms.keys}
        providers = {provider, *mapped}
        days = ledger_days(connection, providers, month, known[0].timezone)
    found = match(contents, days, terms)
    return Compared(month, provider, tuple(known), found, _basis(known, days, terms))


def compare_file(engine: Engine, month: str, provider: str, bill: Bill, terms: MatchTerms) -> Match:
    """Hold a file that is not kept against the ledger."""
    mapped = {terms.keys[row.key] for row in bill.rows if row.key in terms.keys}
    with engine.connect() as connection:
        days = ledger_days(connection, {provider, *mapped}, month, bill.timezone)
    return match([bill], days, terms)


def _basis(known: Sequence[StoredBill], days: Iterable[LedgerDay], terms: MatchTerms) -> str:
    told = hashlib.sha256(repr((terms, [one.digest for one in known])).encode())
    for day in days:
        told.update(repr(day).encode())
    return told.hexdigest()


def keep_outcome(engine: Engine, compared: Compared, deed: BillDeed, *, accept: bool = False) -> Outcome:
    """Write down what came of it, once for each basis. `accept` stands by what differs.

    Raises BillRefused where there is nothing to accept, or no reason is given.
    """
    if accept and compared.match.agrees:
        raise BillRefused(
            "차이가 허용 범위 안입니다. 받아들일 것이 없습니다.", "Nothing differs; nothing to accept."
        )
    if accept and not deed.reason.strip():
        raise BillRefused("차이를 받아들이는 사유를 쓰세요.", "Say why the differences are accepted.")
    state = "accepted" if accept else compared.state
    try:
        with writing(engine).begin() as connection:
            last = _last(connection, compared.month, compared.provider)
            if last is not None and last.basis == compared.basis and (last.state == state or not accept):
                return last
            number = 1 if last is None else last.number + 1
            made = Outcome(
                compared.month,
                compared.provider,
                number,
                state,
                deed.at,
                deed.by,
                deed.reason,
                compared.basis,
                summary(compared.match) | {"bills": [one.number for one in compared.bills]},
            )
            connection.execute(insert(bill_matches).values(_row(made)))
            told = {name: made.document[name] for name in ("ledger_krw", "billed_krw", "outside_krw")}
            deed.tell(connection, f"bill.{state}", compared.provider, month=compared.month, **told)
            return made
    except IntegrityError as error:
        raise BillRefused(
            "그 사이 다른 사람이 대조했습니다. 다시 확인하세요.",
            "Somebody else did it meanwhile. Look again.",
        ) from error


def outcomes(engine: Engine, month: str) -> list[Outcome]:
    """Return the last outcome of each provider in a month."""
    with engine.connect() as connection:
        statement = select(bill_matches).where(bill_matches.c.month == month).order_by(bill_matches.c.number)
        last = {row["provider"]: _outcome(row) for row in connection.execute(statement).mappings()}
    return [last[name] for name in sorted(last)]


def _last(connection: Connection, month: str, provider: str) -> Outcome | None:
    table = bill_matches
    statement = select(table).where(table.c.month == month, table.c.provider == provider)
    row = connection.execute(statement.order_by(table.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else _outcome(row)


def _outcome(row: RowMapping) -> Outcome:
    same = {name: row[name] for name in Outcome._fields if name in row}
    return Outcome(**same | {"at": from_us(row["at_us"]), "document": orjson.loads(row["document"])})


def _row(made: Outcome) -> dict[str, Any]:
    fields = made._asdict()
    document = orjson.dumps(fields.pop("document"), option=orjson.OPT_SORT_KEYS).decode()
    at = fields.pop("at")
    return {**fields, "at_us": to_us(at), "document": document}
