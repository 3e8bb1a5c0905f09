"""Months of use by a whole institution, written as the gateway writes it: rows, prices, chains, seals.

    python -m benchmarks.seed --people 6318 --months 3 --charges 1000000

Each charge is settled by the quote of its moment and chained by the real sink, so `haechi ledger verify`
holds. Who asks how much is made up: few ask a lot, many a little, hardly anybody at night or on Sunday,
more each month; some attempts fail and are tried again, some are estimates, and some of these are
corrected; on the last working day one key runs wild. The same seed gives the same figures.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Final

from billing.ledger import Attribution, Charge, Dispatch, IdSource, Kind, Outcome, derived_id, record_of
from billing.periods import KST, billing_day, billing_month, day_start
from billing.prices import NoPrice
from billing.quotes import negated
from billing.store import LedgerSink
from billing.usage import CLASSES, Usage, UsageSource
from gateway.demo.institution import SINCE, institution
from gateway.imports import Row
from gateway.keyring import Purpose
from gateway.organisation import Grant, places
from gateway.store.organisation import create_keys, import_people, import_units
from gateway.working_days import is_working_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from billing.ledger import Record
    from billing.prices import PriceBook
    from gateway.catalogue import Deployment
    from gateway.config import Config
    from gateway.demo.institution import Institution
    from gateway.keyring import Keyring
    from gateway.organisation import Key, Place
    from gateway.store.database import Database

GROUP: Final = 1_000
"""Attempts written in one transaction."""

SERVICE: Final = "open-webui"
OWN_KEYS: Final = 0.08
"""Share of people with a key of their own; the others ask through the shared chat client."""

GROWTH: Final = 1.18
"""Each month by so much more than the one before."""

WEEKDAYS: Final = (1.0, 1.05, 1.0, 0.97, 0.88)
DAY_OFF: Final = 0.04
"""Of a Monday: weekends and public holidays."""
HOURS: Final = (1, 1, 1, 1, 1, 1, 3, 12, 55, 100, 105, 90, 35, 85, 100, 98, 92, 75, 30, 15, 9, 6, 3, 2)
SOURCES: Final = (
    (0.962, "answered"),
    (0.978, "gone"),
    (0.988, "failed"),
    (0.997, "estimated"),
    (1.0, "unsent"),
)
_FROM: Final = re.compile(r"^from = 2026-11-01$", re.MULTILINE)
BURST: Final = 0.06
"""Share of the last working day's requests that one automation sends, for the anomalies to have one."""

CORRECTED: Final = 0.4
"""Share of estimates whose real usage arrives later."""


@dataclass(frozen=True, slots=True)
class Scale:
    people: int = 6_318
    months: int = 3
    charges: int = 1_000_000
    seed: int = 20_261_122


@dataclass(frozen=True, slots=True)
class _Asker:
    person_id: str
    own_key: str | None
    moves: tuple[tuple[date, Place], ...]
    """Since when they sit where, the oldest first."""

    def place(self, day: date) -> Place:
        return [place for since, place in self.moves if since <= day][-1]


class _Crowd:
    """Who asks, and by how much more often than others: a few people ask a lot."""

    def __init__(self, made: Institution, keys: dict[str, str], random: Random, burst_from: datetime) -> None:
        by_unit = places(made.units, made.units[0].valid_from)
        moves: dict[str, list[tuple[date, Place]]] = defaultdict(list)
        for person in made.people:
            moves[person.employee_id].append((person.valid_from, by_unit[person.unit_code]))
        self._askers = [
            _Asker(id_, keys.get(id_), tuple(sorted(m, key=lambda x: x[0]))) for id_, m in moves.items()
        ]
        weights = (random.lognormvariate(0, 1.6) if random.random() < 0.72 else 0.0 for _ in self._askers)
        self._cumulative = list(accumulate(weights))
        self._burst_from = burst_from
        self._busy = next((asker for asker in reversed(self._askers) if asker.own_key), None)

    def draw(self, random: Random, at: datetime) -> _Asker:
        """Choose who asks. From the day of the burst on, one key asks far more than it ever did."""
        if self._busy is not None and at >= self._burst_from and random.random() < BURST:
            return self._busy
        return self._askers[bisect_right(self._cumulative, random.random() * self._cumulative[-1])]


def seed(
    database: Database,
    config: Config,
    keyring: Keyring,
    scale: Scale,
    now: datetime,
    tell: Callable[[int], None] = lambda _done: None,
) -> int:
    """Fill an empty database; return how many rows of kind charge were written. `tell` hears of progress."""
    random = Random(scale.seed)  # noqa: S311 - made-up use, no secrets
    today = billing_day(now)
    made = institution(scale.people, today.replace(day=1), scale.seed)
    _register(database, made, now)
    service, own = _keys(database, keyring, made, random, now)
    crowd = _Crowd(made, own, random, day_start(last_working_day(today)))
    chain_key = keyring.current(Purpose.LEDGER_CHAIN)
    clock = [now]
    sink = LedgerSink(database, chain_key.key, key_version=len(keyring.masters), clock=lambda: clock[0])
    days = _days(today, scale.months)
    writer = _Traffic(config, crowd, service.id, random, day_start(days[0]))
    sink.open()
    done = 0
    try:
        for at, records in _grouped(writer.attempts(_moments(random, days, scale.charges, now))):
            clock[0] = at
            refused = [answer for answer in sink.write(records) if answer is not None]
            assert not refused, refused[0]
            done += len(records)
            tell(done)
            sink.tick()
    finally:
        clock[0] = now
        sink.close()
    return done


def last_working_day(today: date) -> date:
    """Return the last working day that is over, or the day before where the calendar's days run out."""
    days = (today - timedelta(days=n) for n in range(1, 15))
    return next((day for day in days if is_working_day(day)), today - timedelta(days=1))


def backdated(catalogue: str) -> str:
    """Return the demo's catalogue with this month's prices in force since the institution began.

    The months before are made up, and so is what they cost; the file says so.
    """
    note = "# 시드: 지난달의 단가는 지어낸 것입니다 / seeded: prices of past months are made up\n"
    return note + _FROM.sub(f"from = {SINCE.isoformat()}", catalogue)


# --- who ---------------------------------------------------------------------------------------------------


def _register(database: Database, made: Institution, now: datetime) -> None:
    import_units(database, [Row(0, unit) for unit in made.units], at=now, actor="seed")
    import_people(database, [Row(0, person) for person in made.people], at=now, actor="seed")


def _keys(
    database: Database, keyring: Keyring, made: Institution, random: Random, now: datetime
) -> tuple[Key, dict[str, str]]:
    """Issue the shared client's key and some people's own; their secrets are thrown away."""
    hash_key = keyring.current(Purpose.API_KEY_HASH)
    everybody = sorted({person.employee_id for person in made.people})
    chosen = [id_ for id_ in everybody if random.random() < OWN_KEYS]
    grants = [Grant(label="공용 챗", service=SERVICE, unit_code=made.units[1].code)]
    grants += [Grant(label="업무 자동화", person_id=id_) for id_ in chosen]
    service, *own = create_keys(database, hash_key, grants, at=now, actor="seed")
    return service, {str(key.grant.person_id): key.id for key in own}


# --- when --------------------------------------------------------------------------------------------------


def _days(today: date, months: int) -> list[date]:
    """Return the days from the first of so many months, this one included, up to today."""
    first = today.replace(day=1)
    for _ in range(months - 1):
        first = (first - timedelta(days=1)).replace(day=1)
    return [first + timedelta(days=n) for n in range((today - first).days + 1)]


def _moments(random: Random, days: Sequence[date], charges: int, now: datetime) -> Iterator[datetime]:
    """Yield the moments of all attempts in order, none in the future."""
    weights = [_weight(day, days[0]) for day in days]
    whole = sum(weights)
    owed = 0.0
    for day, weight in zip(days, weights, strict=True):
        owed += charges * weight / whole
        count, owed = int(owed), owed - int(owed)
        start = day_start(day)
        hours = random.choices(range(24), HOURS, k=count)
        moments = (start + timedelta(seconds=hour * 3600 + random.random() * 3600) for hour in hours)
        yield from sorted(min(at, now - timedelta(seconds=1)) for at in moments)


def _weight(day: date, first: date) -> float:
    months = (day.year - first.year) * 12 + day.month - first.month
    return (WEEKDAYS[day.weekday()] if is_working_day(day) else DAY_OFF) * GROWTH**months


# --- what --------------------------------------------------------------------------------------------------


class _Traffic:
    """Makes dispatches and charges: models by taste, tokens by length, outcomes by chance."""

    def __init__(
        self, config: Config, crowd: _Crowd, service_key: str, random: Random, first: datetime
    ) -> None:
        self._book = config.price_book
        self._crowd = crowd
        self._service_key = service_key
        self._random = random
        self._ids = IdSource()
        models = (model for model in config.catalogue.models.values() if model.kind == "chat")
        chats = [model for model in models if _has_price(self._book, model.deployments[0].price_key, first)]
        self._deployments = [model.deployments[0] for model in chats]
        self._reasons = {model.id for model in chats if "reasoning" in model.capabilities}
        tastes = (1 / (rank + 1.5) for rank in range(len(chats)))
        self._tastes = list(accumulate(tastes))
        self._seats: dict[tuple[str, str, str, str], Attribution] = {}

    def attempts(self, moments: Iterator[datetime]) -> Iterator[tuple[datetime, list[list[Record]]]]:
        """Yield each attempt's submissions: its dispatch, its charge, and a correction where there is one."""
        for at in moments:
            asker, deployment = self._crowd.draw(self._random, at), self._deployment()
            how = self._outcome()
            request_id = self._ids.next(at)
            dispatch = self._dispatch(asker, deployment, at, request_id, 1)
            yield at, self._settled(dispatch, how)
            if how in {"failed", "unsent"}:
                later = at + timedelta(milliseconds=900)
                again = self._dispatch(asker, deployment, later, request_id, 2)
                yield later, self._settled(again, "answered")

    def _outcome(self) -> str:
        drawn = self._random.random()
        return next(word for most, word in SOURCES if drawn <= most)

    def _deployment(self) -> Deployment:
        return self._deployments[bisect_right(self._tastes, self._random.random() * self._tastes[-1])]

    def _dispatch(
        self, asker: _Asker, deployment: Deployment, at: datetime, request_id: str, number: int
    ) -> Dispatch:
        quote = self._book.quote(deployment.price_key, at)
        return Dispatch(
            attempt_id=self._ids.next(at),
            request_id=request_id,
            started_at=at,
            billing_period=billing_month(at),
            attribution=self._attribution(asker, deployment, at),
            quote=quote,
            hold_nano_krw=quote.upper_bound(4_000, 1_000),
            input_bytes=4_000,
            max_output_tokens=1_000,
            attempt_no=number,
        )

    def _attribution(self, asker: _Asker, deployment: Deployment, at: datetime) -> Attribution:
        place = asker.place(at.astimezone(KST).date())
        own = asker.own_key is not None and self._random.random() < 0.7
        key_id = asker.own_key if own and asker.own_key else self._service_key
        known = (asker.person_id, key_id, place.path[-1], deployment.id)
        found = self._seats.get(known)
        if found is None:
            found = self._seats[known] = Attribution(
                person_id=asker.person_id,
                key_id=key_id,
                department_id=place.department_id,
                unit_path=place.path,
                model_id=deployment.model_id,
                deployment_id=deployment.id,
                provider=deployment.provider,
                upstream_model=deployment.upstream_model,
                zone=deployment.zone,
                surface="chat",
                stream=True,
                via_service=None if own else SERVICE,
            )
        return found

    def _settled(self, dispatch: Dispatch, how: str) -> list[list[Record]]:
        random = self._random
        seconds = 1.2 + random.expovariate(0.25)
        at = dispatch.started_at + timedelta(seconds=seconds)
        usage = self._usage(dispatch.attribution.model_id)
        charge = Charge.settle(
            dispatch,
            charge_id=self._ids.next(dispatch.started_at),
            settled_at=at,
            outcome=_OUTCOMES[how],
            source=_SOURCES[how],
            usage=usage if how in {"answered", "gone", "estimated"} else Usage(),
            first_token_us=int(200_000 + random.expovariate(1.5) * 1_000_000) if how == "answered" else None,
        )
        written = [[record_of(dispatch)], [record_of(charge)]]
        if how == "estimated" and random.random() < CORRECTED:
            written.append([record_of(self._corrected(dispatch, charge, usage))])
        return written

    def _usage(self, model_id: str) -> Usage:
        random = self._random
        whole = int(random.lognormvariate(6.9, 1.0)) + 30
        cached = int(whole * random.random() * 0.8) if random.random() < 0.3 else 0
        written = int(random.lognormvariate(5.7, 0.8)) + 5
        thought = int(random.lognormvariate(5.3, 0.9)) if model_id in self._reasons else 0
        return Usage(
            input=whole - cached, cache_read=cached or None, output=written, reasoning=thought or None
        )

    def _corrected(self, dispatch: Dispatch, estimate: Charge, guessed: Usage) -> Charge:
        """Return the difference that the provider's own figures make."""
        actual = replace(
            guessed, input=int((guessed.input or 0) * 0.94), output=int((guessed.output or 0) * 1.07)
        )
        settled = Charge.settle(
            dispatch,
            charge_id=derived_id("correction", estimate.charge_id),
            settled_at=estimate.settled_at + timedelta(minutes=5),
            outcome=Outcome.CORRECTED,
            source=UsageSource.REPORTED,
            usage=actual,
            kind=Kind.CORRECTION,
            corrects=estimate.charge_id,
            reason="the provider stated what was used",
        )
        delta = {
            name: (getattr(actual, name) or 0) - (getattr(guessed, name) or 0)
            for name in CLASSES
            if getattr(actual, name) is not None or getattr(guessed, name) is not None
        }
        return replace(settled, lines=(*negated(estimate.lines), *settled.lines), usage_delta=delta)


def _has_price(book: PriceBook, price_key: str, at: datetime) -> bool:
    try:
        book.quote(price_key, at)
    except NoPrice:
        return False
    return True


_OUTCOMES: Final = {
    "answered": Outcome.SUCCESS,
    "gone": Outcome.CLIENT_GONE,
    "failed": Outcome.REFUSED_BY_PROVIDER,
    "estimated": Outcome.SUCCESS,
    "unsent": Outcome.NOT_SENT,
}
_SOURCES: Final = {
    "answered": UsageSource.REPORTED,
    "gone": UsageSource.REPORTED,
    "failed": UsageSource.NONE,
    "estimated": UsageSource.ESTIMATED,
    "unsent": UsageSource.NONE,
}


def _grouped(
    attempts: Iterator[tuple[datetime, list[list[Record]]]],
) -> Iterator[tuple[datetime, Sequence[list[Record]]]]:
    """Gather the submissions of GROUP attempts; the moment is the last one's."""
    gathered: list[list[Record]] = []
    count, at = 0, datetime.min.replace(tzinfo=UTC)
    for at, submissions in attempts:
        gathered += submissions
        count += 1
        if count == GROUP:
            yield at, gathered
            gathered, count = [], 0
    if gathered:
        yield at, gathered
