"""Video jobs in SQL: whose they are, who polls next, what settles them. Plain and synchronous.

The row of a job is written by the journal, with the charge of its submission; from then on it is
changed here. Several processes share the jobs: whoever moves `next_poll_us` on has the turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, delete, func, or_, select, update

from billing.ledger import Row, record_of
from billing.periods import from_us, to_us
from billing.store import writing
from billing.store.corrections import correction
from gateway.store.tables import video_job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from billing.ledger import Charge, Record
    from billing.store import LedgerSink
    from billing.usage import Usage

VIDEO_TABLE = video_job
MOST_DUE: Final = 16
OVER: Final = ("completed", "failed")


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One row. `progress` in per cent, `seconds` of film, times in microseconds since 1970 UTC."""

    id: str
    request_id: str
    attempt_id: str
    charge_id: str
    person_id: str
    model_id: str
    deployment_id: str
    upstream_id: str
    status: str
    progress: int
    seconds: int
    size: str | None
    failure: str | None
    misses: int
    """Times in a row that the provider did not know the job."""
    created_at_us: int
    next_poll_us: int | None
    settled_at_us: int | None

    @property
    def is_settled(self) -> bool:
        return self.settled_at_us is not None


_COLUMNS: Final = tuple(video_job.c[name] for name in VideoJob.__slots__)


def job_row(charge: Charge, upstream_id: str, job_id: str, state: Mapping[str, Any]) -> Row:
    """Return a new job's row; one that is over already is settled. `state` holds columns, as for `note`."""
    at_us = to_us(charge.settled_at)
    is_over = state["status"] in OVER
    return Row(
        video_job.name,
        {
            "id": job_id,
            "request_id": charge.request_id,
            "attempt_id": charge.attempt_id,
            "charge_id": charge.charge_id,
            "person_id": charge.attribution.person_id,
            "model_id": charge.attribution.model_id,
            "deployment_id": charge.attribution.deployment_id,
            "upstream_id": upstream_id,
            **state,
            "misses": 0,
            "created_at_us": at_us,
            "next_poll_us": None if is_over else at_us,
            "settled_at_us": at_us if is_over else None,
        },
    )


def created(job: VideoJob) -> datetime:
    return from_us(job.created_at_us)


# --- for its owner -------------------------------------------------------------------------------


def find(engine: Engine, job_id: str, person_id: str) -> VideoJob | None:
    """Return a job if it is this person's."""
    return _first(engine, and_(video_job.c.id == job_id, video_job.c.person_id == person_id))


def listed(engine: Engine, person_id: str, limit: int, after: VideoJob | None, order: str) -> list[VideoJob]:
    """Return a person's jobs by age, `order` `desc` (the newest first) or `asc`, behind `after`."""
    at, name = video_job.c.created_at_us, video_job.c.id
    statement = select(*_COLUMNS).where(video_job.c.person_id == person_id).limit(limit)
    if order == "desc":
        statement = statement.order_by(at.desc(), name.desc())
    else:
        statement = statement.order_by(at, name)
    if after is not None:
        (moved, tie) = (at.__lt__, name.__lt__) if order == "desc" else (at.__gt__, name.__gt__)
        here = after.created_at_us
        statement = statement.where(or_(moved(here), and_(at == here, tie(after.id))))
    with engine.connect() as connection:
        return [VideoJob(*row) for row in connection.execute(statement)]


def erase(engine: Engine, job: VideoJob) -> None:
    """Forget a settled job; its charge stays in the ledger."""
    settled = and_(video_job.c.id == job.id, video_job.c.settled_at_us.is_not(None))
    with writing(engine).begin() as connection:
        connection.execute(delete(video_job).where(settled))


# --- for whoever runs the gateway ----------------------------------------------------------------


def page_of_jobs(
    engine: Engine, status: str | None, *, descending: bool, offset: int, limit: int
) -> tuple[list[VideoJob], int]:
    """Return one page of everybody's jobs by age, and how many there are."""
    wanted = [] if status is None else [video_job.c.status == status]
    order = [video_job.c.created_at_us, video_job.c.id]
    statement = (
        select(*_COLUMNS)
        .where(*wanted)
        .order_by(*(column.desc() if descending else column for column in order))
        .offset(offset)
        .limit(limit)
    )
    count = select(func.count()).select_from(video_job).where(*wanted)
    with engine.connect() as connection:
        rows = [VideoJob(*row) for row in connection.execute(statement)]
        return rows, connection.execute(count).scalar_one()


# --- for who polls -------------------------------------------------------------------------------


def due(engine: Engine, now: datetime) -> list[VideoJob]:
    """Return jobs whose time has come, the longest waiting first."""
    statement = (
        select(*_COLUMNS)
        .where(video_job.c.next_poll_us <= to_us(now))
        .order_by(video_job.c.next_poll_us)
        .limit(MOST_DUE)
    )
    with engine.connect() as connection:
        return [VideoJob(*row) for row in connection.execute(statement)]


def claim(engine: Engine, job: VideoJob, until: datetime) -> bool:
    """Take the turn at a job until then; False if another process has it, or it is settled."""
    unchanged = and_(video_job.c.id == job.id, video_job.c.next_poll_us == job.next_poll_us)
    with writing(engine).begin() as connection:
        moved = connection.execute(update(video_job).where(unchanged).values(next_poll_us=to_us(until)))
    return moved.rowcount == 1


def note(engine: Engine, job: VideoJob, **state: Any) -> None:  # noqa: ANN401 - columns of the row
    """Write down columns of a job that is not settled; a settled one stays as it is."""
    unsettled = and_(video_job.c.id == job.id, video_job.c.settled_at_us.is_(None))
    with writing(engine).begin() as connection:
        connection.execute(update(video_job).where(unsettled).values(**state))


def ask_again(engine: Engine, job: VideoJob, at: datetime, **state: Any) -> None:  # noqa: ANN401 - see note
    """Let the turn at a job go until then."""
    note(engine, job, next_poll_us=to_us(at), **state)


def settle(engine: Engine, job: VideoJob, now: datetime, **state: Any) -> None:  # noqa: ANN401 - see note
    """End the polling; its correction, if one is due, is durable by now."""
    note(engine, job, next_poll_us=None, settled_at_us=to_us(now), **state)


def correct(
    sink: LedgerSink, job: VideoJob, usage: Usage, served_as: str | None, *, now: datetime, raw_usage: str
) -> None:
    """Write what the charge of the submission was wrong by, through a sink that nobody else uses.

    Read and written in one transaction: a bill may be applied in the same moment. Raises SinkUnavailable,
    RowRefused, and LookupError where the charge is not in the ledger yet.
    """

    def deciding(connection: Connection) -> list[Record]:
        made = correction(
            connection,
            job.charge_id,
            usage,
            now=now,
            reason="the provider stated what was drawn",
            raw_usage=raw_usage,
            served_as=served_as,
        )
        return [] if made is None else [record_of(made)]

    sink.open()
    try:
        sink.correct([job.attempt_id], deciding)
    finally:
        sink.close()


def _first(engine: Engine, condition: Any) -> VideoJob | None:  # noqa: ANN401 - an SQL condition
    with engine.connect() as connection:
        row = connection.execute(select(*_COLUMNS).where(condition)).first()
    return VideoJob(*row) if row else None
