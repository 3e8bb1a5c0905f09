"""Films under way: polled until they are over, settled whether or not anybody comes back for them.

One task per process looks for jobs whose time has come. Several processes share them: whoever moves a
job's `next_poll_us` on has the turn. A job ends in one of four ways:

    completed   the provider states the seconds: the estimate stands, or a correction makes it right
    failed      nothing was drawn: a correction takes the estimate back
    lost        the provider does not know it any more, three times in a row: the estimate stands
    given up    not over after a day: the estimate stands

A correction is durable before its job is marked as settled, and its id follows from the charge: a
process that dies in between leaves the job to another one, which writes the same row again, once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

from billing.errors import RowRefused
from gateway.errors import InvalidRequest, UnknownVideo, UpstreamError
from gateway.media import video as surface
from gateway.providers import failures, video
from gateway.store import videos
from gateway.unavailable import no_deployment
from gateway.upstream import timed_out

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    from billing.store import LedgerSink
    from gateway.access import Access
    from gateway.catalogue import Catalogue, Deployment
    from gateway.domain import Caller, UpstreamRequest, UsageReport
    from gateway.store.database import Database
    from gateway.store.videos import VideoJob
    from gateway.upstream import Upstream, UpstreamAnswer

log = structlog.get_logger("haechi.videos")

ANSWER_BYTES: Final = 64 * 1024
ASKING_S: Final = 30.0
"""How long a provider may take to answer, and to say what it has to say: a turn lasts for both."""
SLOWEST_POLL_S: Final = 30.0
MISSES: Final = 3
GIVE_UP: Final = timedelta(days=1)
GONE: Final = frozenset({404, 405, 410, 501})
"""A provider has no such film any more, or no way to delete one: its own retention ends it."""
SHOWN: Final = frozenset(
    {"video/mp4", "video/webm", "video/quicktime", "image/png", "image/jpeg", "image/webp"}
)
"""What a browser may show; anything else (a page, a drawing with scripts) is only a file."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film, or a picture of it, on its way from the provider."""

    content_type: str
    length: str | None
    chunks: AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True)
class VideoJobs:
    """`poll_s` is the pause before a young job is asked for again; it grows with the job's age."""

    database: Database
    catalogue: Catalogue
    ledger: Callable[[], LedgerSink]
    """Makes a sink for one correction."""
    upstream: Upstream
    access: Access
    now: Callable[[], datetime]
    poll_s: float

    # --- for their owners ------------------------------------------------------------------------

    async def find(self, caller: Caller, job_id: str) -> VideoJob:
        """Return the caller's own job. Raises UnknownVideo, for other people's as well."""
        job = await asyncio.to_thread(videos.find, self.database, job_id, caller.person_id)
        if job is None:
            raise UnknownVideo(
                "그런 영상 작업이 없습니다. 내 작업 목록: GET /v1/videos",
                "There is no such video job. GET /v1/videos lists yours.",
                param="video_id",
            )
        return job

    async def listed(self, caller: Caller, limit: int, after: VideoJob | None, order: str) -> list[VideoJob]:
        return await asyncio.to_thread(videos.listed, self.database, caller.person_id, limit, after, order)

    async def film(self, job: VideoJob, variant: str) -> Film:
        """Open a finished film at its provider. Raises InvalidRequest, UpstreamError."""
        if job.status != "completed":
            raise _not_ready(job)
        deployment = self._deployment(job)
        if deployment is None:
            raise no_deployment(job.model_id)
        answer = await self._open(video.fetch(job.upstream_id, deployment, variant), deployment, job)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        length = answer.headers.get("content-length") if "content-encoding" not in answer.headers else None
        chunks = _passed_on(answer, deployment)
        return Film(kind if kind in SHOWN else "application/octet-stream", length, chunks)

    async def erase(self, caller: Caller, job_id: str) -> VideoJob:
        """Delete a film at its provider and forget the job; the charge stays. Return what it was.

        Raises UnknownVideo, InvalidRequest for one that is still drawn, UpstreamError.
        """
        job = await self.find(caller, job_id)
        if not job.is_settled:
            raise _still_drawn(job)
        deployment = self._deployment(job)
        if job.status == "completed" and deployment is not None:
            await self._erase_there(job, deployment)
        await asyncio.to_thread(videos.erase, self.database, job)
        return job

    async def _erase_there(self, job: VideoJob, deployment: Deployment) -> None:
        try:
            answer = await self._open(video.erase(job.upstream_id, deployment), deployment, job)
        except UpstreamError as error:
            if error.upstream_status not in GONE:
                raise
        else:
            await answer.aclose()

    # --- polling ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Poll what is due, for ever; whatever goes wrong with one round, there is a next one."""
        failing = False
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - the database may be away; jobs wait for it
                if not failing:
                    log.warning("video_polling_failed", error=type(error).__name__)
                failing = True
            else:
                failing = False
            await asyncio.sleep(min(self.poll_s, 1.0))

    async def round(self) -> int:
        """Poll every job whose time has come and that nobody else polls; return how many."""
        jobs = await asyncio.to_thread(videos.due, self.database, self.now())
        return sum(await asyncio.gather(*map(self._turn, jobs)))

    async def _turn(self, job: VideoJob) -> bool:
        """Ask for one job, if the turn is ours. Return whether it was."""
        until = self.now() + timedelta(seconds=2 * ASKING_S)
        if not await asyncio.to_thread(videos.claim, self.database, job, until):
            return False
        try:
            state = await self._asked(job)
        except UpstreamError as error:
            await self._unanswered(job, unknown=error.upstream_status in (404, 410))
        else:
            await self._heard(job, state)
        return True

    async def _asked(self, job: VideoJob) -> video.Job:
        """Return the provider's word on a job. Raises UpstreamError."""
        deployment = self._deployment(job)
        if deployment is None:  # it was taken out of the configuration and may come back
            raise failures.broken("its deployment is gone")
        answer = await self._open(video.poll(job.upstream_id, deployment), deployment, job)
        try:
            async with asyncio.timeout(ASKING_S):
                return surface.read(await answer.read(ANSWER_BYTES))
        except TimeoutError as late:
            raise timed_out(deployment) from late
        finally:
            await answer.aclose()

    async def _heard(self, job: VideoJob, state: video.Job) -> None:
        kept = surface.state_of(state)
        kept["seconds"] = kept["seconds"] or job.seconds
        kept["size"] = kept["size"] or job.size
        if not state.is_over:
            await self._ask_again(job, misses=0, **kept)
            return
        report = state.report()
        try:
            if report is not None:
                await self._correct(job, report, kept["size"])
        except LookupError:  # the charge waits in a journal segment for its database
            await self._ask_again(job)
        except (RowRefused, ArithmeticError):  # its estimate stays, as that of any answer does
            log.error("video_usage_unusable", job=job.id)  # noqa: TRY400 - a traceback could hold it
            await self._settle(job, **kept)
        else:
            await self._settle(job, **kept)

    async def _unanswered(self, job: VideoJob, *, unknown: bool) -> None:
        """Ask again later; one missing answer says nothing about the film."""
        misses = job.misses + 1 if unknown else job.misses
        if misses >= MISSES:
            await self._settle(job, status="failed", failure="lost_by_provider", misses=misses)
        else:
            await self._ask_again(job, misses=misses)

    async def _ask_again(self, job: VideoJob, **state: Any) -> None:  # noqa: ANN401 - columns of the row
        age = self.now() - videos.created(job)
        if age > GIVE_UP:
            await self._settle(job, status="failed", failure="given_up")
            return
        pause_s = min(max(self.poll_s, age.total_seconds() / 20), SLOWEST_POLL_S)
        at = self.now() + timedelta(seconds=pause_s)
        await asyncio.to_thread(videos.ask_again, self.database, job, at, **state)

    async def _correct(self, job: VideoJob, report: UsageReport, size: str | None) -> None:
        """Make durable what the charge of the submission was wrong by."""
        raw = orjson.dumps(report.raw).decode()
        await asyncio.to_thread(
            videos.correct,
            self.ledger(),
            job,
            report.usage,
            surface.served_as(size) if size else None,
            now=self.now(),
            raw_usage=raw,
        )

    async def _settle(self, job: VideoJob, **state: Any) -> None:  # noqa: ANN401 - columns of the row
        await asyncio.to_thread(videos.settle, self.database, job, self.now(), **state)
        log.info("video_job_settled", job=job.id, status=state["status"], failure=state.get("failure"))

    # --- at the provider -------------------------------------------------------------------------

    def _deployment(self, job: VideoJob) -> Deployment | None:
        model = self.catalogue.get(job.model_id)
        deployments = model.deployments if model else ()
        return next((d for d in deployments if d.id == job.deployment_id), None)

    async def _open(self, request: UpstreamRequest, deployment: Deployment, job: VideoJob) -> UpstreamAnswer:
        """Return an answer of status 2xx. Raises UpstreamError."""
        try:
            async with asyncio.timeout(min(ASKING_S, deployment.timeouts.first_byte_s)):
                proven = await self.access.proven(request, deployment)
                answer = await self.upstream.open(proven, deployment, job.attempt_id)
        except TimeoutError as late:
            raise timed_out(deployment) from late
        if answer.status < 300:
            return answer
        try:
            async with asyncio.timeout(ASKING_S):
                body = await answer.read(ANSWER_BYTES)
        except TimeoutError as late:
            raise timed_out(deployment) from late
        finally:
            await answer.aclose()
        raise video.error(answer.status, body, answer.headers)


async def _passed_on(answer: UpstreamAnswer, deployment: Deployment) -> AsyncGenerator[bytes, None]:
    """Yield a film as it comes, and close the connection however that ends. Raises UpstreamError."""
    chunks = aiter(answer.chunks())
    try:
        while True:
            async with asyncio.timeout(deployment.timeouts.idle_s):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk
    except TimeoutError as late:
        raise timed_out(deployment) from late
    finally:
        await answer.aclose()


def _still_drawn(job: VideoJob) -> InvalidRequest:
    return InvalidRequest(
        f"영상을 아직 만들고 있어({job.progress}%) 지울 수 없습니다. 완료된 뒤에 지우세요.",
        f"The video is still being made ({job.progress}%). Delete it when it is done.",
        code="video_not_ready",
        retry_after_s=2,
    )


def _not_ready(job: VideoJob) -> InvalidRequest:
    if job.status == "failed":
        return InvalidRequest(
            "이 영상은 만들지 못했습니다. 내용을 바꾸어 새로 요청하세요.",
            "This video could not be made. Change the prompt and submit it anew.",
            code="video_failed",
        )
    return InvalidRequest(
        f"영상을 아직 만들고 있습니다({job.progress}%). GET /v1/videos/{{id}}로 상태를 확인한 뒤 받으세요.",
        f"The video is still being made ({job.progress}%). GET /v1/videos/{{id}} says when it is done.",
        code="video_not_ready",
        retry_after_s=2,
    )
