"""SQL of the oversight: daily sums, and receipts as a replay takes them. Reads only.

Call `bring_up_to_date` of gateway.store.filter_sums and incident_sums first where the last seconds matter.
What is asked of some departments alone is counted where it stands: incidents are indexed by department.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, and_, case, func, select

from billing.periods import from_us, to_us
from filters.policy import PolicyException
from filters.verdict import Action
from gateway.incidents.oversight import (
    Cell,
    Coverage,
    Day,
    Oversight,
    Period,
    Repeat,
    Resolving,
    RuleCount,
    Totals,
    day_of_number,
    hours_shown,
)
from gateway.incidents.precision import RulePrecision
from gateway.incidents.replay import PastFinding, PastRequest
from gateway.incidents.states import Resolution, Severity, State
from gateway.store import filter_sums, incident_sums
from gateway.store.incident_tables import incident, incident_content, incident_exception
from gateway.store.oversight_tables import (
    filter_day,
    filter_rule_day,
    filter_type_day,
    incident_day,
    incident_hours_day,
    incident_repeat,
    incident_rule_day,
)
from gateway.store.tables import receipt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Table

MOST_CELLS: Final = 2_000
MOST_RULES: Final = 30
MOST_REPEATS: Final = 20
BATCH: Final = 5_000
RECENTLY: Final = timedelta(hours=2)

_HOUR_US: Final = 3600 * 10**6


def freshen(engine: Engine, now: datetime) -> None:
    """Count what the last hours brought: some milliseconds, before a page is read."""
    filter_sums.bring_up_to_date(engine, now, since=now - RECENTLY)
    incident_sums.bring_up_to_date(engine, since=now - RECENTLY)


def count_everything(engine: Engine, now: datetime) -> None:
    """Count whatever is not counted yet, however old: before a report, and now and then by a worker."""
    filter_sums.bring_up_to_date(engine, now)
    incident_sums.bring_up_to_date(engine)


def overview(
    engine: Engine, period: Period, now: datetime, departments: Collection[str] | None = None
) -> Oversight:
    """Return everything the oversight shows of a period; `departments` narrows it, None: all of them."""
    with engine.connect() as connection:
        days = _days(connection, period, departments)
        return Oversight(
            period=period,
            totals=_together(day.totals for day in days),
            days=days,
            heat=_heat(connection, period, departments),
            rules=_rules(connection, period) if departments is None else (),
            coverage=_coverage(connection, period, departments),
            resolving=_resolving(connection, period, now, departments),
            repeats=_repeats(connection, period, departments),
            precision=_precision(connection, period) if departments is None else (),
        )


def precision_by_rule(engine: Engine, period: Period | None = None) -> tuple[RulePrecision, ...]:
    """Return every rule that fired in an incident of the period, those most often wrong first."""
    with engine.connect() as connection:
        return _precision(connection, period)


# --- daily sums ----------------------------------------------------------------------------------


def _within(table: Table, period: Period, departments: Collection[str] | None) -> ColumnElement[bool]:
    inside = table.c.day.between(*period.numbers)
    return inside if departments is None else and_(inside, table.c.department_id.in_(departments))


def _days(connection: Connection, period: Period, departments: Collection[str] | None) -> tuple[Day, ...]:
    columns = filter_day.c
    masked = case((columns.action == "mask", columns.requests), else_=0)
    inside = case((columns.action == "route", columns.requests - columns.refused), else_=0)
    measures = {
        "requests": columns.requests,
        "refused": columns.refused,
        "masked": masked,
        "kept_inside": inside,
        "simulated": columns.simulated,
        "unscanned": columns.unscanned,
        "degraded": columns.degraded,
        "findings": columns.findings,
    }
    statement = (
        select(columns.day, *(_sum(value).label(name) for name, value in measures.items()))
        .where(_within(filter_day, period, departments))
        .group_by(columns.day)
    )
    found = {}
    for row in connection.execute(statement).mappings():
        found[day_of_number(row["day"])] = Totals(**{name: row[name] for name in measures})
    return tuple(Day(day, found.get(day, Totals())) for day in period.days)


def _together(days: Iterator[Totals]) -> Totals:
    sums: Counter[str] = Counter()
    for totals in days:
        sums.update({name: getattr(totals, name) for name in Totals.__slots__})
    return Totals(**sums)


def _heat(connection: Connection, period: Period, departments: Collection[str] | None) -> tuple[Cell, ...]:
    columns = filter_type_day.c
    findings = _sum(columns.findings)
    statement = (
        select(columns.department_id, columns.type, findings, _sum(columns.requests))
        .where(_within(filter_type_day, period, departments))
        .group_by(columns.department_id, columns.type)
        .order_by(findings.desc(), columns.department_id, columns.type)
        .limit(MOST_CELLS)
    )
    return tuple(Cell(*row) for row in connection.execute(statement))


def _rules(connection: Connection, period: Period) -> tuple[RuleCount, ...]:
    columns = filter_rule_day.c
    findings = _sum(columns.findings)
    statement = (
        select(columns.rule, columns.type, findings, _sum(columns.requests))
        .where(columns.day.between(*period.numbers))
        .group_by(columns.rule, columns.type)
        .order_by(findings.desc(), columns.rule, columns.type)
        .limit(MOST_RULES)
    )
    return tuple(RuleCount(*row) for row in connection.execute(statement))


def _coverage(connection: Connection, period: Period, departments: Collection[str] | None) -> Coverage:
    columns = filter_day.c
    statement = (
        select(
            columns.zone,
            _sum(columns.requests),
            _sum(columns.unscanned),
        )
        .where(_within(filter_day, period, departments))
        .group_by(columns.zone)
    )
    zones = {row[0]: (row[1], row[2]) for row in connection.execute(statement)}
    inside = zones.pop("in_house", (0, 0))
    return Coverage(
        requests=inside[0] + sum(requests for requests, _ in zones.values()),
        unscanned_external=sum(unscanned for _, unscanned in zones.values()),
        unscanned_in_house=inside[1],
    )


# --- incidents -----------------------------------------------------------------------------------


def _resolving(
    connection: Connection, period: Period, now: datetime, departments: Collection[str] | None
) -> Resolving:
    severities: Counter[str] = Counter()
    resolutions: Counter[str] = Counter()
    late = 0
    for severity, resolution, number, were_late in _verdicts(connection, period, departments):
        severities[Severity(severity).word] += number
        resolutions[resolution] += number
        late += were_late
    taken = _hours(connection, period, departments)
    return Resolving(
        opened=severities.total(),
        resolved=severities.total() - resolutions[""],
        open_now=resolutions[""],
        overdue_now=_overdue(connection, period, now, departments),
        resolved_late=late,
        by_severity={one.word: severities[one.word] for one in reversed(Severity)},
        by_resolution={one.value: resolutions[one.value] for one in Resolution},
        median_hours=_hours_at(taken, 50),
        p90_hours=_hours_at(taken, 90),
    )


def _opened(period: Period, departments: Collection[str] | None) -> ColumnElement[bool]:
    inside = incident.c.at_us.between(to_us(period.start), to_us(period.end) - 1)
    return inside if departments is None else and_(inside, incident.c.department_id.in_(departments))


def _verdicts(
    connection: Connection, period: Period, departments: Collection[str] | None
) -> Iterator[tuple[int, str, int, int]]:
    """Yield severity, resolution, incidents and how many were late; of departments without daily sums."""
    if departments is None:
        sums = incident_day.c
        statement = (
            select(sums.severity, sums.resolution, _sum(sums.incidents), _sum(sums.late))
            .where(sums.day.between(*period.numbers))
            .group_by(sums.severity, sums.resolution)
        )
    else:
        columns = incident.c
        late = _sum(case((columns.resolved_at_us > columns.due_at_us, 1), else_=0))
        statement = (
            select(columns.severity, func.coalesce(columns.resolution, ""), func.count(), late)
            .where(_opened(period, departments))
            .group_by(columns.severity, columns.resolution)
        )
    yield from map(tuple, connection.execute(statement))


def _hours(connection: Connection, period: Period, departments: Collection[str] | None) -> Counter[int]:
    """Return how many incidents took how many hours."""
    taken: Counter[int] = Counter()
    if departments is None:
        sums = incident_hours_day.c
        statement = select(sums.hours, _sum(sums.incidents)).where(sums.day.between(*period.numbers))
        taken.update({row[0]: row[1] for row in connection.execute(statement.group_by(sums.hours))})
        return taken
    columns = incident.c
    durations = select(columns.resolved_at_us - columns.at_us).where(
        _opened(period, departments), columns.resolved_at_us.is_not(None)
    )
    taken.update(hours_shown(one / _HOUR_US) for one in connection.execute(durations).scalars())
    return taken


def _hours_at(taken: Counter[int], percent: int) -> int | None:
    """Return within how many hours that share of incidents was resolved."""
    wanted = -(-taken.total() * percent // 100)
    for hours in sorted(taken):
        wanted -= taken[hours]
        if wanted <= 0:
            return hours
    return None


def _overdue(
    connection: Connection, period: Period, now: datetime, departments: Collection[str] | None
) -> int:
    open_states = [state.value for state in State if state is not State.RESOLVED]
    late = and_(incident.c.state.in_(open_states), incident.c.due_at_us < to_us(now))
    statement = select(func.count()).select_from(incident).where(late, _opened(period, departments))
    return int(connection.execute(statement).scalar_one())


def _repeats(
    connection: Connection, period: Period, departments: Collection[str] | None
) -> tuple[Repeat, ...]:
    columns = incident_repeat.c
    within = and_(columns.last_us >= to_us(period.start), columns.first_us < to_us(period.end))
    found: list[Repeat] = []
    for kind in ("person", "value"):
        statement = (
            select(incident_repeat)
            .where(columns.kind == kind, within)
            .order_by(columns.incidents.desc(), columns.last_us.desc(), columns.id)
            .limit(MOST_REPEATS)
        )
        if departments is not None:
            statement = statement.where(columns.department_id.in_(departments))
        found += [
            Repeat(
                row.kind,
                row.id,
                row.type,
                row.department_id,
                row.incidents,
                from_us(row.first_us),
                from_us(row.last_us),
            )
            for row in connection.execute(statement)
        ]
    return tuple(found)


def _precision(connection: Connection, period: Period | None) -> tuple[RulePrecision, ...]:
    columns = incident_rule_day.c
    statement = select(columns.rule, columns.type, columns.resolution, _sum(columns.incidents))
    if period is not None:
        statement = statement.where(columns.day.between(*period.numbers))
    verdicts: dict[tuple[str, str], dict[str, int]] = {}
    rows = connection.execute(statement.group_by(columns.rule, columns.type, columns.resolution))
    for rule, type_, resolution, number in rows:
        verdicts.setdefault((rule, type_), {})[resolution or "open"] = number
    rules = [RulePrecision(rule, type_, **numbers) for (rule, type_), numbers in verdicts.items()]
    return tuple(
        sorted(rules, key=lambda one: (-one.false_positive, one.at_least or 1.0, one.rule, one.type))
    )


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(column).cast(Integer)


# --- what a replay takes -------------------------------------------------------------------------


def past_requests(
    engine: Engine,
    since: datetime,
    until: datetime,
    *,
    departments: Collection[str] | None = None,
    zone_of: Mapping[str, str],
) -> Iterator[PastRequest]:
    """Yield receipts as a replay takes them, with the verdict of whoever reviewed them, in batches.

    `zone_of`: model id -> the zone a model is judged by, for receipts from before zones were kept. Receipts
    of answers and of second verdicts (`…#answer`, `…#1`) belong to a request that is yielded already.
    """
    columns = receipt.c
    statement = (
        select(receipt, incident.c.resolution)
        .join_from(receipt, incident, incident.c.id == columns.request_id, isouter=True)
        .where(columns.request_id.not_like("%#%"), columns.at_us < to_us(until))
        .order_by(columns.at_us, columns.request_id)
        .limit(BATCH)
    )
    if departments is not None:
        statement = statement.where(columns.department_id.in_(departments))
    after = (to_us(since), "")
    while True:
        beyond = (columns.at_us > after[0]) | ((columns.at_us == after[0]) & (columns.request_id > after[1]))
        with engine.connect() as connection:
            rows = connection.execute(statement.where(columns.at_us >= after[0], beyond)).all()
        for row in rows:
            yield _past(row, zone_of)
        if len(rows) < BATCH:
            return
        after = (rows[-1].at_us, rows[-1].request_id)


def _past(row: Any, zone_of: Mapping[str, str]) -> PastRequest:  # noqa: ANN401 - a row of `receipt`
    findings = tuple(
        PastFinding(
            one["type"],
            one.get("label", ""),
            one["score"],
            one["rule"],
            Action[one["action"].upper()],
            one.get("value_hash", ""),
        )
        for one in row.findings
    )
    return PastRequest(
        request_id=row.request_id,
        at=from_us(row.at_us),
        department_id=row.department_id,
        unit_path=tuple(row.unit_path),
        policy_version=row.policy_version,
        zone=row.zone or zone_of.get(row.model_id, ""),
        action=Action[row.action.upper()],
        findings=findings,
        finding_key_id=row.finding_key_id,
        unread=bool(row.unscanned),
        cut_off=sum(row.counts.values()) > len(findings),
        verdict=None if row.resolution is None else Resolution(row.resolution),
    )


def past_request(engine: Engine, request_id: str, zone_of: Mapping[str, str]) -> PastRequest | None:
    """Return one receipt as a replay takes it."""
    statement = (
        select(receipt, incident.c.resolution)
        .join_from(receipt, incident, incident.c.id == receipt.c.request_id, isouter=True)
        .where(receipt.c.request_id == request_id)
    )
    with engine.connect() as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else _past(row, zone_of)


def incidents_without_text(engine: Engine, since: datetime, until: datetime, now: datetime) -> int:
    """How many incidents of a period have no text that may be opened: a rule cannot be tried on them."""
    columns, text = incident.c, incident_content.c
    kept = select(text.incident_id).where(
        text.kind == "text", text.wrapped_key.is_not(None), text.until_us > to_us(now)
    )
    statement = (
        select(func.count())
        .select_from(incident)
        .where(columns.at_us >= to_us(since), columns.at_us < to_us(until), columns.id.not_in(kept))
    )
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def exceptions_ever(
    engine: Engine, keys: Mapping[str, bytes], current_key_id: str
) -> tuple[PolicyException, ...]:
    """Return every exception that was in force at some time; one that was revoked ends when it was.

    Values hashed with a key that is not among `keys` match nothing and are left out.
    """
    columns = incident_exception.c
    statement = select(incident_exception).where(columns.state.in_(("approved", "revoked")))
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
    return tuple(
        PolicyException(
            until=from_us(row.until_us if row.ended_at_us is None else min(row.until_us, row.ended_at_us)),
            type=row.type,
            rule=row.rule,
            department=row.department_id,
            value_hash=row.value_hash,
            hash_key=keys[row.finding_key_id] if row.finding_key_id not in ("", current_key_id) else b"",
        )
        for row in rows
        if not row.value_hash or row.finding_key_id in ("", *keys)
    )
