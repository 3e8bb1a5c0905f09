"""Video in OpenAI's format: submit, poll, fetch, erase; metered by seconds. Pure.

Source: https://platform.openai.com/docs/api-reference/videos. A job lives at the provider until it is
fetched, so each answer is read into one Job, whoever asked; a job that failed has drawn nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson

from billing.usage import Usage
from gateway.domain import NOTHING, UpstreamRequest, UsageReport
from gateway.providers import failures, multipart, profiles, reach
from gateway.providers.writing import lacking, present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON
    from gateway.errors import UpstreamError
    from gateway.providers.multipart import FilePart

DEFAULT_SECONDS: Final = 4
VARIANTS: Final = ("video", "thumbnail", "spritesheet")
_WIRES: Final = frozenset({"openai", "responses"})
_STATUS: Final = {
    "succeeded": "completed",
    "cancelled": "failed",
    "canceled": "failed",
    "expired": "failed",
    "rejected": "failed",
}
"""Words of compatible servers for the four; one that nobody knows is not the end of a job."""
error = failures.from_response


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """A film to be drawn; `reference` is a picture or film that it begins from."""

    model: str
    prompt: str
    seconds: int | None = None
    size: str | None = None
    reference: FilePart | None = field(default=None, repr=False)
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class Job:
    """A job at the provider as it stands."""

    id: str
    status: str
    """`queued`, `in_progress`, `completed` or `failed`."""
    progress: int
    seconds: int | None
    size: str | None
    failure: UpstreamError | None

    @property
    def is_over(self) -> bool:
        return self.status in {"completed", "failed"}

    def report(self) -> UsageReport | None:
        """Count what was drawn; None while it is not known, nothing for a job that failed."""
        if self.status == "failed":
            return UsageReport(Usage(video_ms=0), {"seconds": 0})
        if self.status != "completed" or self.seconds is None:
            return None
        return UsageReport(Usage(video_ms=self.seconds * 1000), {"seconds": self.seconds})


def submit(asked: VideoRequest, deployment: Deployment) -> UpstreamRequest:
    """Write the submission. Raises UnsupportedFeature."""
    if deployment.wire not in _WIRES:
        raise lacking(f"video over the wire format {deployment.wire}", "model")
    profile = profiles.of(deployment)
    seconds = str(asked.seconds) if asked.seconds is not None else None
    body = {
        **asked.extra,
        **present(seconds=seconds, size=asked.size),
        "model": deployment.upstream_model,
        "prompt": asked.prompt,
    }
    url = reach.address(deployment, "videos")
    if asked.reference is not None:
        content_type, form = multipart.encode([(k, str(v)) for k, v in body.items()], [asked.reference])
        headers = reach.headers(deployment, profile, "application/json", content_type)
        return UpstreamRequest("POST", url, headers, form)
    headers = reach.headers(deployment, profile, "application/json")
    return UpstreamRequest("POST", url, headers, orjson.dumps(body))


def poll(job_id: str, deployment: Deployment) -> UpstreamRequest:
    return _about(job_id, deployment, "", "application/json")


def fetch(job_id: str, deployment: Deployment, variant: str = "video") -> UpstreamRequest:
    """Write the question for the film, or for one of its other VARIANTS."""
    request = _about(job_id, deployment, "/content", "*/*")
    if variant == "video":
        return request
    return replace(request, url=f"{request.url}{'&' if '?' in request.url else '?'}variant={variant}")


def erase(job_id: str, deployment: Deployment) -> UpstreamRequest:
    return replace(_about(job_id, deployment, "", "application/json"), method="DELETE")


def with_seconds(job: Job, seconds: int) -> Job:
    """Return a job whose provider did not repeat how long the film shall be."""
    return replace(job, seconds=seconds)


def _about(job_id: str, deployment: Deployment, rest: str, accept: str) -> UpstreamRequest:
    url = reach.address(deployment, f"videos/{quote(job_id, safe='')}{rest}")
    headers = reach.headers(deployment, profiles.of(deployment), accept)
    del headers["content-type"]
    return UpstreamRequest("GET", url, headers, b"")


def read(body: bytes) -> Job:
    """Read the answer to a submission or a poll. Raises UpstreamProtocolError."""
    try:
        answer = orjson.loads(body)
        seconds = answer.get("seconds")
        return Job(
            str(answer["id"]),
            _status(str(answer["status"])),
            int(answer.get("progress") or 0),
            None if seconds is None else int(seconds),
            answer.get("size"),
            failures.from_event(answer["error"]) if answer.get("error") else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise failures.broken("not a video job") from e


def _status(word: str) -> str:
    known = _STATUS.get(word, word)
    return known if known in {"queued", "in_progress", "completed", "failed"} else "in_progress"
