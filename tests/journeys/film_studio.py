"""A provider of films over real HTTP that goes wrong on purpose: one way for each upstream model name.

good · shorter (draws half) · fails · loses (forgets the job) · endless · silent (never answers a submission) ·
html (answers a submission with a page) · page (answers polls with one) · drips (a film of which the second half waits for `release`) · breaks (off in the film)
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

FIRST_HALF, SECOND_HALF = b"\x00\x00\x00\x18ftypisom", b"second half"


@dataclass
class Studio:
    url: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    polls: dict[str, int] = field(default_factory=dict)
    held: bool = False
    """No job gets any further while this is set."""
    release: threading.Event = field(default_factory=threading.Event)

    async def submit(self, request: Request) -> Response:
        body = await request.json()
        match body["model"]:
            case "silent":
                await asyncio.sleep(3)
            case "html":
                return Response("<html>busy</html>", media_type="text/html")
        job_id = f"film/{secrets.token_hex(4)}?x=1"  # an id that must be quoted in an address
        self.jobs[job_id] = {"model": body["model"], "seconds": int(body["seconds"])}
        self.polls[job_id] = 0
        return JSONResponse(self._state(job_id))

    async def poll(self, request: Request) -> Response:
        job_id = request.path_params["job"]
        self.polls[job_id] = self.polls.get(job_id, 0) + 1
        if job_id not in self.jobs or self.jobs[job_id]["model"] == "loses":
            return JSONResponse({"error": {"message": "no such video"}}, 404)
        if self.jobs[job_id]["model"] == "page":
            return Response("<html>busy</html>", media_type="text/html")
        return JSONResponse(self._state(job_id))

    async def fetch(self, request: Request) -> Response:
        model = self.jobs[request.path_params["job"]]["model"]

        async def film() -> AsyncIterator[bytes]:
            yield FIRST_HALF
            if model == "drips":
                await asyncio.to_thread(self.release.wait, 10)
            if model != "breaks":
                yield SECOND_HALF

        length = {"content-length": str(len(FIRST_HALF + SECOND_HALF))}
        return StreamingResponse(film(), media_type="video/mp4", headers=length)

    async def say_nothing(self, _request: Request) -> Response:
        """Take a picture or a speech to make, and never answer."""
        await asyncio.sleep(3)
        return Response(status_code=500)

    def _state(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        state = {"id": job_id, "object": "video", "model": job["model"], "status": "queued", "progress": 0}
        state |= {"seconds": str(job["seconds"]), "size": "720x1280", "error": None}
        if self.held or job["model"] == "endless" or self.polls[job_id] < 2:
            return state | {"status": "in_progress", "progress": 40}
        if job["model"] == "fails":
            error = {"code": "moderation_blocked", "message": "a secret 901010-1234567 that must not be told"}
            return state | {"status": "failed", "error": error}
        seconds = job["seconds"] // 2 if job["model"] == "shorter" else job["seconds"]
        return state | {"status": "completed", "progress": 100, "seconds": str(seconds)}


@contextmanager
def film_studio() -> Iterator[Studio]:
    studio = Studio()
    app = Starlette(
        routes=[
            Route("/v1/images/generations", studio.say_nothing, methods=["POST"]),
            Route("/v1/audio/speech", studio.say_nothing, methods=["POST"]),
            Route("/v1/videos", studio.submit, methods=["POST"]),
            Route("/v1/videos/{job:path}/content", studio.fetch),
            Route("/v1/videos/{job:path}", studio.poll),
        ]
    )
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.02)
    studio.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield studio
    finally:
        studio.release.set()
        server.should_exit = True
        thread.join(10)
