"""Invoices in SQL: drafts from the daily sums, and the final ones that a lock keeps.

A department is billed under the units it had at the moment of use: one that moved in mid-month has an
invoice under each. Units above get a summary of the invoices below them. Names are handed in and kept in
the record, so that a closed month keeps its names.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from sqlalchemy import case, func, insert, or_, select, text

from billing.budgets import Measure, ScopeKind, period_of
from billing.ledger import Kind
from billing.money import NANO
from billing.months import MonthRefused, MonthState
from billing.periods import billing_day, billing_month, from_us, month_bounds, to_us
from billing.quotes import STATED
from billing.statements import (
    MOST_ADJUSTMENTS,
    Adjustment,
    BudgetLine,
    Child,
    FxSource,
    Invoice,
    LedgerRoot,
    LineKind,
    LineSum,
    Seats,
    Terms,
    UnitName,
    canonical,
    digest,
    lines_of,
    number_of,
)
from billing.store.accounts import read_budgets
from billing.store.bills import stored_bills
from billing.store.engine import one_moment
from billing.store.months import Deed, SealKey, lock, month_figures, standing
from billing.store.usage_queries import day_number
from billing.surcharges import Surcharges
from billing.tables import (
    charges,
    invoices,
    quotes,
    usage_line_days,
    usage_person_months,
    usage_unit_days,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, RowMapping

    from billing.budgets import Budget
    from billing.months import MonthStep
    from billing.seals import Seal

Path = tuple[str, ...]
"""Unit codes from the institution down."""

DEPARTMENT: Final = "department"
SUMMARY: Final = "summary"
DRAFT: Final = "DRAFT"
_CORRECTIONS: Final = (Kind.CORRECTION, Kind.RECONCILIATION)


class TamperedInvoice(Exception):
    """A stored invoice is not what its hash says."""


class Heading(NamedTuple):
    """What a list of invoices shows of one."""

    number: str
    month: str
    kind: str
    unit_path: str
    total_krw: int


@dataclass(frozen=True, slots=True)
class Draft:
    """The invoices of a month as they would be, and how many rows of the ledger they are made from.

    `nano_krw` is what these rows come to, and the departments' invoices too, once charges stand still.
    """

    rows: int
    nano_krw: int
    invoices: tuple[Invoice, ...]


# --- reading -------------------------------------------------------------------------------------


def invoices_of(
    engine: Engine, month: str, terms: Terms, names: Mapping[str, str], now: datetime
) -> tuple[Invoice, ...]:
    """Return a month's invoices: the final ones of a locked month, else drafts of how it stands now.

    Raises ValueError for what is no month, TamperedInvoice.
    """
    month_bounds(month)
    kept = stored_invoices(engine, month)
    return kept or draft(engine, month, terms, names, now).invoices


def stored_invoices(engine: Engine, month: str) -> tuple[Invoice, ...]:
    """Return the final invoices of a month, by number. Raises TamperedInvoice."""
    statement = select(invoices).where(invoices.c.month == month).order_by(invoices.c.number)
    with engine.connect() as connection:
        return tuple(_read(row) for row in connection.execute(statement).mappings())


def stored_invoice(engine: Engine, number: str) -> Invoice | None:
    """Return a final invoice. Raises TamperedInvoice."""
    with engine.connect() as connection:
        row = connection.execute(select(invoices).where(invoices.c.number == number)).mappings().first()
    return None if row is None else _read(row)


def headings(engine: Engine, month: str | None = None) -> list[Heading]:
    """Return what lists show of the final invoices, the latest month first."""
    columns = [invoices.c[name] for name in Heading._fields]
    statement = select(*columns).order_by(invoices.c.month.desc(), invoices.c.number)
    if month is not None:
        statement = statement.where(invoices.c.month == month)
    with engine.connect() as connection:
        return [Heading(*row) for row in connection.execute(statement)]


def _read(row: RowMapping) -> Invoice:
    if digest(row["document"]) != row["digest"]:
        raise TamperedInvoice(f"청구서 {row['number']}의 내용이 해시와 다릅니다 / is not what its hash says")
    return Invoice.from_json(orjson.loads(row["document"]))


# --- the lock ------------------------------------------------------------------------------------


def lock_with_invoices(  # noqa: PLR0913, PLR0917 - all of these make the lock what it is
    engine: Engine,
    month: str,
    deed: Deed,
    seal_key: SealKey,
    terms: Terms,
    names: Mapping[str, str],
    seen: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> MonthStep:
    """Lock an approved month and keep its invoices, all or nothing; the step keeps `evidence` as well.

    The `bills` of the evidence are the providers' bills that it was made from: they must still be those.
    Raises what `billing.store.months.lock` raises, and ValueError for what is no month.
    """
    before = standing(engine, month)
    if before.state is MonthState.LOCKED:
        return lock(engine, month, deed, seal_key, lambda *_: {}, seen)  # says who locked it
    drafted = draft(engine, month, terms, names, deed.at)

    def keep(connection: Connection, seal: Seal, rows: int) -> dict[str, Any]:
        if rows != drafted.rows:
            raise MonthRefused(
                "마감하는 동안 요금이 더 들어왔습니다. 검토부터 다시 하세요.",
                "Charges came in while the month was being locked. Begin again with the preview.",
            )
        if evidence and evidence["bills"] != [bill.number for bill in stored_bills(connection, month)]:
            raise MonthRefused(
                "마감하는 동안 제공사 청구서가 들어오거나 철회되었습니다. 대조를 확인하고 다시 하세요.",
                "A provider's bill came or was withdrawn while the month was being locked."
                " Look at the reconciliation, then try again.",
            )
        metered = sum(one.metered_nano_krw for one in drafted.invoices if one.kind == DEPARTMENT)
        if metered != drafted.nano_krw:
            raise MonthRefused(
                "청구서의 합이 장부와 다릅니다. 일계를 다시 세는 중일 수 있습니다."
                " `haechi ledger rollups`를 본 뒤 다시 하세요.",
                "The invoices do not add up to the ledger; its sums may be counted anew just now."
                " See `haechi ledger rollups`, then try again.",
            )
        final = _finished(drafted.invoices, terms, LedgerRoot(seal.root, seal.number, rows))
        if final:
            connection.execute(insert(invoices), [_row(invoice) for invoice in final])
        total = sum(invoice.total_krw for invoice in final if invoice.kind == DEPARTMENT)
        return {"invoices": len(final), "total_krw": total, **(evidence or {})}

    return lock(engine, month, deed, seal_key, keep, seen)


def _finished(drafts: Sequence[Invoice], terms: Terms, root: LedgerRoot) -> list[Invoice]:
    """Give drafts their numbers and the ledger's root."""
    numbers = {one.number: number_of(terms, one.month, serial) for serial, one in enumerate(drafts, start=1)}
    return [
        replace(
            one,
            number=numbers[one.number],
            final=True,
            ledger=root,
            children=tuple(replace(child, number=numbers[child.number]) for child in one.children),
        )
        for one in drafts
    ]


def _row(invoice: Invoice) -> dict[str, Any]:
    document = canonical(invoice)
    return {
        "number": invoice.number,
        "month": invoice.month,
        "unit_path": invoice.unit_path,
        "kind": invoice.kind,
        "total_krw": invoice.total_krw,
        "document": document,
        "digest": digest(document),
    }


# --- drafts --------------------------------------------------------------------------------------


def draft(engine: Engine, month: str, terms: Terms, names: Mapping[str, str], now: datetime) -> Draft:
    """Put a month's invoices together: summaries before what is below them, units in their order.

    Raises MonthRefused while charges come in faster than they are counted.
    """
    figures = month_figures(engine, month)
    with one_moment(engine).begin() as connection:
        material = _material(connection, month)
    departments = [_department(path, material, month, terms, names, now) for path in sorted(material.paths)]
    whole = [*departments, *_summaries(departments, material, month, terms, names, now)]
    order = sorted(whole, key=lambda one: (one.unit_path.split("/"), one.kind == DEPARTMENT))
    numbered = {id(one): f"{DRAFT}-{month}-{serial:04d}" for serial, one in enumerate(order, start=1)}
    by_path = {one.unit_path: numbered[id(one)] for one in departments}
    return Draft(
        figures.rows,
        figures.nano_krw,
        tuple(
            replace(
                one,
                number=numbered[id(one)],
                children=tuple(replace(child, number=by_path[child.number]) for child in one.children),
            )
            for one in order
        ),
    )


class _Material(NamedTuple):
    """What a month's invoices are made from, by path of the department."""

    paths: frozenset[Path]
    lines: Mapping[Path, list[LineSum]]
    people: Mapping[Path, frozenset[str]]
    requests: Mapping[Path, int]
    adjustments: Mapping[Path, list[Adjustment]]
    spent: Mapping[str, Mapping[str, int]]
    """Nano-won of a unit's subtree by unit and month, up to the invoices' month."""
    budgets: tuple[Budget, ...]
    fx_sources: Mapping[tuple[str, str], FxSource]


def _material(connection: Connection, month: str) -> _Material:
    lines = _lines(connection, month)
    people, requests = _people(connection, month), _requests(connection, month)
    budgets = [
        budget
        for budget in read_budgets(connection)
        if budget.scope.kind == ScopeKind.UNIT and budget.measure is Measure.WON
    ]
    return _Material(
        paths=frozenset({*lines, *people}),
        lines=lines,
        people=people,
        requests=requests,
        adjustments=_adjustments(connection, month),
        spent=_spent(connection, month),
        budgets=tuple(budgets),
        fx_sources=_fx_sources(connection),
    )


def _department(
    path: Path, material: _Material, month: str, terms: Terms, names: Mapping[str, str], now: datetime
) -> Invoice:
    lines = lines_of(material.lines.get(path, []), terms)
    metered = sum(one.nano_krw for one in material.lines.get(path, []))
    people = len(material.people.get(path, ()))
    adjustments = material.adjustments.get(path, [])
    rates = {(line.fx_rate, line.fx_date) for line in lines if line.fx_rate}
    return Invoice(
        **_around(path, month, terms, names, now),
        number="",
        kind=DEPARTMENT,
        people=people,
        requests=material.requests.get(path, 0),
        lines=lines,
        budgets=_budget_lines(path[-1], material, month, terms),
        seats=Seats(people, terms.seat_krw, metered),
        adjustments=tuple(adjustments[:MOST_ADJUSTMENTS]),
        adjustments_left_out=max(0, len(adjustments) - MOST_ADJUSTMENTS),
        fx_sources=tuple(material.fx_sources.get(rate, FxSource("USD", *rate, "")) for rate in sorted(rates)),
    )


def _summaries(
    departments: Sequence[Invoice],
    material: _Material,
    month: str,
    terms: Terms,
    names: Mapping[str, str],
    now: datetime,
) -> Iterable[Invoice]:
    below: dict[Path, list[Invoice]] = defaultdict(list)
    for one in departments:
        path = tuple(unit.id for unit in one.path)
        for depth in range(1, len(path)):
            below[path[:depth]].append(one)
    for path, theirs in below.items():
        mine = [found for found in material.paths if found[: len(path)] == path]
        everybody = frozenset().union(*(material.people.get(found, frozenset()) for found in mine))
        own = [one for one in departments if tuple(unit.id for unit in one.path) == path]
        yield Invoice(
            **_around(path, month, terms, names, now),
            number="",
            kind=SUMMARY,
            people=len(everybody),
            requests=sum(one.requests for one in (*own, *theirs)),
            children=tuple(Child(one.unit_path, one.unit, one.total_krw) for one in (*own, *theirs)),
            budgets=_budget_lines(path[-1], material, month, terms),
            seats=Seats(len(everybody), terms.seat_krw, sum(one.metered_nano_krw for one in (*own, *theirs))),
        )


def _around(path: Path, month: str, terms: Terms, names: Mapping[str, str], now: datetime) -> dict[str, Any]:
    return {
        "month": month,
        "final": False,
        "issued_on": billing_day(now).isoformat(),
        "institution_id": terms.institution_id,
        "institution_name": terms.institution_name or names.get(path[0], path[0]),
        "issuer_name": terms.issuer_name,
        "rounding": terms.rounding,
        "path": tuple(UnitName(code, names.get(code, code)) for code in path),
    }


def _budget_lines(unit: str, material: _Material, month: str, terms: Terms) -> tuple[BudgetLine, ...]:
    found = []
    for budget in material.budgets:
        if budget.scope.id != unit:
            continue
        period = period_of(budget.every, month)
        spent = sum(
            nano
            for spent_in, nano in material.spent.get(unit, {}).items()
            if period_of(budget.every, spent_in) == period
        )
        billed = Surcharges.of(terms).billed(spent)
        found.append(BudgetLine(str(budget.every), period, budget.limit_in(period), billed))
    return tuple(sorted(found, key=lambda line: (line.every, line.period)))


# --- what the sums say ---------------------------------------------------------------------------


_EPOCH: Final = date(1970, 1, 1).toordinal()
_PRICED: Final = (
    *("model_id", "provider", "token_class", "basis", "unit_price", "currency", "per"),
    *("price_version", "fx_rate", "fx_date"),
)


def _lines(connection: Connection, month: str) -> dict[Path, list[LineSum]]:
    """Lines by department; days of other months stand apart, as notes about those months."""
    table = usage_line_days
    start, end = month_bounds(month)
    first, last = day_number(billing_day(start)), day_number(billing_day(end) - timedelta(days=1))
    day = case((or_(table.c.day < first, table.c.day > last), table.c.day), else_=first)
    keys = [table.c.unit_path, table.c.department_id, table.c.kind, day, *(table.c[n] for n in _PRICED)]
    measures = [func.sum(table.c[name]) for name in ("charge_lines", "quantity", "won", "nano_rest")]
    groups = (text(str(number)) for number in range(1, len(keys) + 1))
    statement = select(*keys, *measures).where(table.c.billing_period == month).group_by(*groups)
    found: dict[Path, dict[tuple[Any, ...], LineSum]] = defaultdict(dict)
    for row in connection.execute(statement):
        mine, one = found[_path(row[0], row[1])], _line_sum(row, month)
        key = one[:6] + one[7:12] if one.token_class == STATED else one[:12]
        mine[key] = _added(mine[key], one) if key in mine else one
    return {path: list(lines.values()) for path, lines in found.items()}


def _line_sum(row: Any, month: str) -> LineSum:  # noqa: ANN401 - a row of _lines
    _, _, kind, day, *priced, charge_lines, quantity, won, rest = row
    original = f"{date.fromordinal(day + _EPOCH):%Y-%m}"
    if kind in _CORRECTIONS:
        line_kind = LineKind.CORRECTION
    else:
        line_kind = LineKind.USAGE if original == month else LineKind.LATE
    counted = (int(charge_lines), int(quantity), int(won) * NANO + int(rest))
    one = LineSum._make((line_kind, original, *priced, *counted))
    if one.token_class != STATED:
        return one
    # What providers stated differs from answer to answer: the line is their sum, at a price of its own.
    cost = Decimal(one.unit_price) * one.quantity
    return one._replace(unit_price=f"{cost:f}", quantity=1)


def _added(before: LineSum, one: LineSum) -> LineSum:
    stated = one.token_class == STATED
    return before._replace(
        unit_price=f"{Decimal(before.unit_price) + Decimal(one.unit_price):f}" if stated else one.unit_price,
        charge_lines=before.charge_lines + one.charge_lines,
        quantity=1 if stated else before.quantity + one.quantity,
        nano_krw=before.nano_krw + one.nano_krw,
    )


def _people(connection: Connection, month: str) -> dict[Path, frozenset[str]]:
    table = usage_person_months
    statement = (
        select(table.c.unit_path, table.c.department_id, table.c.person_id)
        .where(table.c.billing_period == month)
        .distinct()
    )
    found: dict[Path, set[str]] = defaultdict(set)
    for unit_path, department, person in connection.execute(statement):
        found[_path(unit_path, department)].add(person)
    return {path: frozenset(people) for path, people in found.items()}


def _requests(connection: Connection, month: str) -> dict[Path, int]:
    table = usage_unit_days
    statement = (
        select(table.c.unit_path, table.c.department_id, func.sum(table.c.requests))
        .where(table.c.billing_period == month)
        .group_by(table.c.unit_path, table.c.department_id)
    )
    found: dict[Path, int] = defaultdict(int)
    for unit_path, department, requests in connection.execute(statement):
        found[_path(unit_path, department)] += int(requests)
    return found


def _spent(connection: Connection, month: str) -> dict[str, dict[str, int]]:
    table = usage_unit_days
    statement = (
        select(table.c.unit_path, table.c.billing_period, func.sum(table.c.won), func.sum(table.c.nano_rest))
        .where(table.c.billing_period <= month)
        .group_by(table.c.unit_path, table.c.billing_period)
    )
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for unit_path, spent_in, won, rest in connection.execute(statement):
        for unit in set(_decoded(unit_path)):
            found[unit][spent_in] += int(won) * NANO + int(rest)
    return found


def _adjustments(connection: Connection, month: str) -> dict[Path, list[Adjustment]]:
    """Rows of the ledger whose use was in a month before this one, the dearest first."""
    names = ("unit_path", "department_id", "charge_id", "corrects", "kind", "started_at_us")
    statement = (
        select(*(charges.c[name] for name in names), charges.c.amount_nano_krw, charges.c.reason)
        .where(
            charges.c.billing_period == month,
            charges.c.started_at_us < to_us(month_bounds(month)[0]),
            charges.c.amount_nano_krw != 0,
        )
        .order_by(func.abs(charges.c.amount_nano_krw).desc(), charges.c.charge_id)
    )
    found: dict[Path, list[Adjustment]] = defaultdict(list)
    for row in connection.execute(statement):
        unit_path, department, charge_id, corrects, kind, at_us, nano, reason = tuple(row)
        original = billing_month(from_us(at_us))
        one = Adjustment(charge_id, corrects or "", kind, original, at_us, nano, reason or "")
        found[_path(unit_path, department)].append(one)
    return found


def _fx_sources(connection: Connection) -> dict[tuple[str, str], FxSource]:
    """Where each rate comes from, by (rate, day): quotes keep the whole of what they froze."""
    found = {}
    for document in connection.execute(select(quotes.c.document)).scalars():
        fx = orjson.loads(document).get("fx")
        if fx:
            base, day, rate, _, source = fx
            found[rate, day] = FxSource(base, rate, day, source)
    return found


def _path(unit_path: str, department: str) -> Path:
    """Return the units down to the department: what is below it is billed with it."""
    units = _decoded(unit_path)
    return units[: units.index(department) + 1] if department in units else (*units, department)


def _decoded(unit_path: str) -> Path:
    return tuple(unit.replace("%2F", "/") for unit in unit_path.split("/") if unit)
