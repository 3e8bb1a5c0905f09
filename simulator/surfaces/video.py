"""Video in OpenAI's format: a job that is submitted, polled and fetched; metered by seconds.

Source: https://platform.openai.com/docs/api-reference/videos. A job is done at its second poll, so that
a client has to wait for it; jobs live in memory.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from simulator.exchange import JSON, BadRequest
from simulator.surfaces import Served
from simulator.wires import dumps

CREATED = 1_795_305_600
POLLS_UNTIL_DONE = 2
EMPTY_MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41\x00\x00\x00\x08free\x00\x00\x00\x08mdat"


@dataclass(slots=True)
class Job:
    id: str
    model: str
    prompt: str
    seconds: int
    size: str
    polls: int = 0

    @property
    def status(self) -> str:
        if self.polls == 0:
            return "queued"
        return "completed" if self.polls >= POLLS_UNTIL_DONE else "in_progress"

    def state(self) -> dict[str, JSON]:
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": self.status,
            "progress": min(100, 100 * self.polls // POLLS_UNTIL_DONE),
            "seconds": str(self.seconds),
            "size": self.size,
            "created_at": CREATED,
            "error": None,
        }


class Studio:
    """All jobs of one simulator."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def submit(self, body: JSON) -> Served:
        """Take a job; its seconds are billed with the submission, as the provider bills them."""
        seconds = int(body.get("seconds") or 4)
        if not 0 < seconds <= 60:
            raise BadRequest("'seconds' must be between 1 and 60")
        identity = f"video_{secrets.token_hex(12)}"
        job = Job(identity, body["model"], body["prompt"], seconds, body.get("size") or "720x1280")
        self._jobs[job.id] = job
        return Served(dumps(job.state()), job.model, {"video_ms": 1000 * seconds}, {"seconds": seconds})

    def poll(self, job_id: str) -> bytes | None:
        """Return the job's state, one step further; None if there is no such job."""
        job = self._jobs.get(job_id)
        if job is None:
            return None
        job.polls += 1
        return dumps(job.state())

    def erase(self, job_id: str) -> bytes | None:
        """Delete a job and its film; None if there is no such job."""
        if self._jobs.pop(job_id, None) is None:
            return None
        return dumps({"id": job_id, "object": "video.deleted", "deleted": True})

    def fetch(self, job_id: str) -> bytes | None:
        """Return the film of a job that is done, else None."""
        job = self._jobs.get(job_id)
        return EMPTY_MP4 if job is not None and job.status == "completed" else None
