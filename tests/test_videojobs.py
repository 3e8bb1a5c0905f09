"""The poller by itself: a real provider of films, a real ledger, a clock that the test moves."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, text

from billing.periods import to_us
from billing.store import LedgerSink, open_engine
from gateway.access import Access
from gateway.catalogue import Catalogue, Deployment, Model, Timeouts
from gateway.domain import Caller, Zone
from gateway.errors import InvalidRequest, ServiceUnavailable, UnknownVideo, UpstreamTimeout
from gateway.store import videos
from gateway.store.database import migrate
from gateway.store.tables import video_job
from gateway.upstream import Upstream
from gateway.videojobs import VideoJobs
from tests.journeys.film_studio import film_studio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.journeys.film_studio import Studio

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with film_studio() as made:
        yield made


def deployment(url: str) -> Deployment:
    return Deployment(
        id="film@studio",
        model_id="film",
        provider="studio",
        wire="openai",
        profile="generic",
        base_url=f"{url}/v1",
        upstream_model="good",
        zone=Zone.EXTERNAL,
        price_key="video",
        timeouts=Timeouts(connect_s=0.5, first_byte_s=0.5, idle_s=0.5, total_s=5.0),
    )


class Bench:
    def __init__(self, jobs: VideoJobs, clock: Clock, studio: Studio) -> None:
        self.jobs, self.clock, self.studio = jobs, clock, studio

    def add(self, way: str, upstream_id: str = "", **more: Any) -> videos.VideoJob:
        """Write the row of a job that the studio draws in one of its ways."""
        upstream_id = upstream_id or f"{way}-{len(self.studio.jobs)}"
        self.studio.jobs[upstream_id] = {"model": way, "seconds": 4}
        self.studio.polls[upstream_id] = 0
        values = {
            "id": f"video_{upstream_id}",
            "request_id": "r",
            "attempt_id": upstream_id,
            "charge_id": "c",
            "person_id": "p1",
            "model_id": "film",
            "deployment_id": "film@studio",
            "upstream_id": upstream_id,
            "status": "queued",
            "progress": 0,
            "seconds": 4,
            "created_at_us": to_us(self.clock.now),
            "next_poll_us": to_us(self.clock.now),
            **more,
        }
        with self.jobs.database.begin() as connection:
            connection.execute(insert(video_job).values(**values))
        return self.row(values["id"])

    def row(self, job_id: str) -> videos.VideoJob:
        job = videos.find(self.jobs.database, job_id, "p1")
        assert job is not None
        return job

    async def round_after(self, **later: float) -> int:
        self.clock.now += timedelta(**later)
        return await self.jobs.round()


@asynccontextmanager
async def bench(folder: Path, studio: Studio, **changes: Any) -> AsyncIterator[Bench]:
    url = f"sqlite:///{folder}/haechi.db"
    migrate(url)
    engine, clock, upstream = open_engine(url), Clock(), Upstream()
    model = Model("film", "film", "studio", (deployment(studio.url),), kind="video")
    jobs = VideoJobs(
        database=engine,
        catalogue=Catalogue({"film": model}),
        ledger=lambda: LedgerSink(engine, b"k" * 32),
        upstream=upstream,
        access=Access(upstream, clock),
        now=clock,
        poll_s=2.0,
    )
    try:
        yield Bench(replace(jobs, **changes), clock, studio)
    finally:
        await upstream.aclose()
        engine.dispose()


def test_a_job_is_asked_for_again_after_a_pause_that_grows_with_its_age(
    tmp_path: Path, studio: Studio
) -> None:
    async def run() -> None:
        async with bench(tmp_path, studio) as held:
            job = held.add("endless")
            assert await held.round_after() == 1
            assert await held.round_after(seconds=1) == 0
            assert await held.round_after(seconds=1) == 1
            pauses = []
            for _ in range(3):
                await held.round_after(minutes=10)
                pauses.append(held.row(job.id).next_poll_us - to_us(held.clock.now))
            assert pauses == [30_000_000] * 3
            assert (held.row(job.id).status, held.row(job.id).progress) == ("in_progress", 40)

    asyncio.run(run())


def test_a_job_that_never_ends_is_given_up_after_a_day_with_its_estimate(
    tmp_path: Path, studio: Studio
) -> None:
    async def run() -> None:
        async with bench(tmp_path, studio) as held:
            job = held.add("endless")
            await held.round_after(hours=23)
            assert not held.row(job.id).is_settled
            await held.round_after(hours=2)
            ended = held.row(job.id)
            assert (ended.status, ended.failure, ended.is_settled) == ("failed", "given_up", True)
            with held.jobs.database.connect() as connection:
                assert connection.execute(text("SELECT count(*) FROM ledger_charge")).scalar() == 0

    asyncio.run(run())


def test_one_missing_answer_is_not_the_end_and_three_in_a_row_are(tmp_path: Path, studio: Studio) -> None:
    async def run() -> None:
        async with bench(tmp_path, studio) as held:
            job = held.add("loses")
            await held.round_after()
            await held.round_after(minutes=1)
            assert (held.row(job.id).misses, held.row(job.id).is_settled) == (2, False)
            studio.jobs[job.upstream_id]["model"] = "endless"  # it is found again
            await held.round_after(minutes=1)
            assert held.row(job.id).misses == 0
            studio.jobs[job.upstream_id]["model"] = "loses"
            for _ in range(3):
                await held.round_after(minutes=1)
            assert held.row(job.id).failure == "lost_by_provider"

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["page", "down", "deployment"])
def test_a_provider_in_trouble_says_nothing_about_the_film(
    tmp_path: Path, studio: Studio, fault: str
) -> None:
    async def run() -> None:
        address = {"page": studio.url, "down": "http://127.0.0.1:9"}.get(fault)
        there = () if address is None else (replace(deployment(address), timeouts=Timeouts(connect_s=0.2)),)
        catalogue = Catalogue({"film": Model("film", "film", "studio", there, kind="video")})
        async with bench(tmp_path, studio, catalogue=catalogue) as held:
            job = held.add("page", upstream_id="page")
            if fault == "page":
                studio.jobs["page"]["model"] = "page"
            for _ in range(4):
                await held.round_after(minutes=1)
            assert (held.row(job.id).misses, held.row(job.id).is_settled) == (0, False)
            if fault == "deployment":
                with pytest.raises(ServiceUnavailable):
                    await held.jobs.film(replace(job, status="completed"), "video")

    asyncio.run(run())


def test_a_charge_that_is_still_on_its_way_to_the_database_is_waited_for(
    tmp_path: Path, studio: Studio
) -> None:
    """The journal may hold it in a segment: the job stays open, and the next round settles it."""

    async def run() -> None:
        async with bench(tmp_path, studio) as held:
            job = held.add("fails")
            studio.polls[job.upstream_id] = 5
            assert await held.round_after() == 1
            assert not held.row(job.id).is_settled
            assert await held.round_after(seconds=30) == 1
            assert not held.row(job.id).is_settled

    asyncio.run(run())


def test_polling_outlives_a_database_that_is_away(tmp_path: Path, studio: Studio) -> None:
    async def run() -> None:
        async with bench(tmp_path, studio, poll_s=0.05) as held:
            with held.jobs.database.begin() as connection:
                connection.execute(text("ALTER TABLE video_job RENAME TO gone"))
            polling = asyncio.create_task(held.jobs.run())
            await asyncio.sleep(0.2)
            assert not polling.done()
            with held.jobs.database.begin() as connection:
                connection.execute(text("ALTER TABLE gone RENAME TO video_job"))
            job = held.add("good")
            for _ in range(100):
                held.clock.now += timedelta(seconds=1)
                await asyncio.sleep(0.05)
                if held.studio.polls[job.upstream_id] >= 2:
                    break
            polling.cancel()
            assert held.studio.polls[job.upstream_id] >= 2

    asyncio.run(run())


def test_only_its_owner_finds_a_job_and_only_a_finished_one_is_fetched(
    tmp_path: Path, studio: Studio
) -> None:
    async def run() -> None:
        async with bench(tmp_path, studio) as held:
            job = held.add("good")
            owner, other = (Caller(who, "k", "d", ("i", "d")) for who in ("p1", "p2"))
            assert (await held.jobs.find(owner, job.id)).id == job.id
            with pytest.raises(UnknownVideo):
                await held.jobs.find(other, job.id)
            for status, code in (("in_progress", "video_not_ready"), ("failed", "video_failed")):
                with pytest.raises(InvalidRequest) as refused:
                    await held.jobs.film(replace(job, status=status), "video")
                assert refused.value.code == code

    asyncio.run(run())


def test_a_film_that_stands_still_is_not_waited_for_without_end(tmp_path: Path, studio: Studio) -> None:
    async def run() -> None:
        async with bench(tmp_path, studio) as held:
            job = held.add("drips")
            studio.release.clear()
            film = await held.jobs.film(replace(job, status="completed"), "video")
            assert film.content_type == "video/mp4"
            with pytest.raises(UpstreamTimeout):
                async for _ in film.chunks:
                    pass
            studio.release.set()

    asyncio.run(run())
