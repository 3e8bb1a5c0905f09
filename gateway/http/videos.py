"""Videos: submitted like any request, then asked for, listed and fetched by their owner alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from gateway.errors import UnsupportedFeature
from gateway.http.chat import answered, described, door
from gateway.http.media import read_form, unread
from gateway.media.video import Surface, shown
from gateway.store.videos import created, job_row

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline
    from gateway.store.videos import VideoJob
    from gateway.videojobs import VideoJobs

Order = Literal["asc", "desc"]
Variant = Literal["video", "thumbnail", "spritesheet"]
"""gateway.providers.video.VARIANTS"""


def router(pipeline: Pipeline, jobs: VideoJobs, body_limit_bytes: int) -> APIRouter:
    routes = APIRouter(tags=["videos"])

    @routes.post("/v1/videos", openapi_extra=described("prompt"), response_model=None)
    async def create_video(request: Request) -> Response:
        """Submit a film: JSON, or a form with a picture to begin from, which the policy may keep in house."""
        if "multipart/form-data" not in request.headers.get("content-type", "").lower():
            return await answered(pipeline, request, Surface(job_row), body_limit_bytes)
        caller = pipeline.identify(request.headers)
        form = await read_form(request, body_limit_bytes)
        reference = next((file for file in form.files if file.name == "input_reference"), None)
        body = form.fields | ({"input": [unread("input_image", reference)]} if reference else {})
        return await pipeline.answer(door(request, Surface(job_row, reference), form.size), caller, body)

    @routes.get("/v1/videos")
    async def list_videos(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: str | None = None,
        order: Order = "desc",
    ) -> dict[str, Any]:
        """List the caller's own jobs."""
        caller = pipeline.identify(request.headers)
        behind = await jobs.find(caller, after) if after else None
        found = await jobs.listed(caller, limit + 1, behind, order)
        data = [_shown(job) for job in found[:limit]]
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(found) > limit,
        }

    @routes.get("/v1/videos/{video_id}")
    async def retrieve_video(request: Request, video_id: str) -> dict[str, Any]:
        """Show how far a job is, as of its last poll."""
        return _shown(await jobs.find(pipeline.identify(request.headers), video_id))

    @routes.get("/v1/videos/{video_id}/content", response_class=StreamingResponse)
    async def download_video(
        request: Request, video_id: str, variant: Variant = "video"
    ) -> StreamingResponse:
        """Pass a finished film on as it comes from its provider. Fetching it costs nothing."""
        job = await jobs.find(pipeline.identify(request.headers), video_id)
        film = await jobs.film(job, variant)
        headers = {"content-disposition": "attachment"}
        if film.length:
            headers["content-length"] = film.length
        return StreamingResponse(film.chunks, media_type=film.content_type, headers=headers)

    @routes.delete("/v1/videos/{video_id}")
    async def delete_video(request: Request, video_id: str) -> dict[str, Any]:
        """Delete a finished film at its provider, and the job here. Its charge stays."""
        job = await jobs.erase(pipeline.identify(request.headers), video_id)
        return {"id": job.id, "object": "video.deleted", "deleted": True}

    @routes.post("/v1/videos/{video_id}/remix", response_model=None)
    async def remix_video(request: Request, video_id: str) -> Response:
        """Refuse: a remix draws on a film that lives at a provider, which no inspection here has seen."""
        await jobs.find(pipeline.identify(request.headers), video_id)
        raise UnsupportedFeature(
            "영상 리믹스는 제공하지 않습니다. 고친 내용을 적어 POST /v1/videos로 새로 요청하세요.",
            "Remixing is not offered. Describe the changed film and submit it anew with POST /v1/videos.",
            param="video_id",
        )

    return routes


def _shown(job: VideoJob) -> dict[str, Any]:
    at = int(created(job).timestamp())
    return shown(job.id, job.model_id, at, asdict(job), failed=job.status == "failed")
