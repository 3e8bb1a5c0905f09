"""POST /v1/videos: a film that is drawn for longer than a request lasts. Pure.

Source: OpenAI API reference, "Videos". The submission is answered at once and charged by an estimate,
the seconds that were asked for; the row of the job, durable with that charge, is polled until the
provider has stated what it drew (gateway/videojobs.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from billing.quotes import variant
from billing.usage import Usage
from gateway.domain import UsageReport
from gateway.errors import UnsupportedFeature
from gateway.media import work
from gateway.media.images import prompt_of
from gateway.providers import failures, video
from gateway.surfaces.reading import integer, model_of, object_of, optional, refuse, wrong_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from billing.ledger import Charge, Entry
    from gateway.domain import JSON, Completion
    from gateway.providers.multipart import FilePart

MAX_SECONDS: Final = 600
MOST_STATED_SECONDS: Final = 24 * 3600
"""A provider that states more has made a mistake that no department shall pay for."""
MOST_ID: Final = 300
MOST_SIZE: Final = 40
_TAKEN: Final = ("prompt", "seconds", "size", "input", "input_reference")


Keep: TypeAlias = "Callable[[Charge, str, str, Mapping[str, Any]], Entry]"
"""(charge of the submission, id at the provider, id for the client, state) -> the row of the job."""


class Surface(work.MediaSurface):
    """A film from a prompt; with `reference` (from a form) one that begins from a picture."""

    NAME = "videos"
    KIND = "video"

    def __init__(self, keep: Keep, reference: FilePart | None = None) -> None:
        self._keep = keep
        self._reference = reference

    def parse(self, body: JSON) -> work.MediaRequest:
        """Read a submission. Raises InvalidRequest or UnsupportedFeature."""
        body = object_of(body)
        refuse(body, "stream", "영상은 작업으로 받습니다.", "films are jobs, not streams.")
        if self._reference is None and body.get("input_reference") is not None:
            raise _not_by_reference()
        files = () if self._reference is None else work.as_inspected((self._reference,), body)
        seconds = _seconds(body)
        request = video.VideoRequest(
            model=model_of(body),
            prompt=prompt_of(body),
            seconds=seconds,
            size=optional(body, "size", str),
            reference=files[0] if files else None,
            extra=work.rest(body, _TAKEN),
        )
        most = Usage(video_ms=1000 * seconds)
        made = work.Work(
            lambda deployment: video.submit(request, deployment),
            lambda answer, _headers: _taken(answer, seconds, request.size),
            beside=self._rows,
        )
        asked_as = served_as(request.size)
        return work.MediaRequest(request.model, (), work=made, maxima=most, expected=most, asked_as=asked_as)

    def _rows(self, charge: Charge, done: work.Done) -> Sequence[Entry]:
        job: video.Job = done.made
        return (self._keep(charge, job.id, public_id(charge.request_id), state_of(job)),)

    @staticmethod
    def encode(completion: Completion, model_id: str, answer_id: str, created: int) -> bytes:
        job: video.Job = work.done(completion).made
        return orjson.dumps(
            shown(public_id(answer_id), model_id, created, state_of(job), failed=job.status == "failed")
        )


def public_id(request_id: str) -> str:
    """Return the id under which the client of a request knows its job."""
    return f"video_{request_id}"


def shown(
    job_id: str, model_id: str, created: int, state: Mapping[str, Any], *, failed: bool
) -> dict[str, JSON]:
    """Return a job as its owner sees it; why it failed is said in our words."""
    code = state.get("failure") or "failed"
    reason = {
        "code": code,
        "message": "영상을 만들지 못했습니다. 내용을 바꾸어 다시 시도하세요. / "
        "The video could not be made. Change the prompt and try again.",
    }
    return {
        "id": job_id,
        "object": "video",
        "model": model_id,
        "status": state["status"],
        "progress": state["progress"],
        "created_at": created,
        "completed_at": None,
        "expires_at": None,
        "seconds": str(state["seconds"]),
        "size": state["size"],
        "error": reason if failed else None,
        "remixed_from_video_id": None,
    }


def state_of(job: video.Job) -> dict[str, Any]:
    """Return what is kept of a provider's word: bounded, so that no answer makes its row unwritable."""
    failure = job.failure.upstream_code if job.failure else None
    return {
        "status": job.status,
        "progress": 100 if job.status == "completed" else min(max(job.progress, 0), 100),
        "seconds": job.seconds or 0,
        "size": job.size[:MOST_SIZE] if isinstance(job.size, str) and job.size.isprintable() else None,
        "failure": (failure or "failed")[:MOST_SIZE] if job.status == "failed" else None,
    }


def read(body: bytes) -> video.Job:
    """Read a provider's word on a job. Raises UpstreamProtocolError for what no row can hold."""
    job = video.read(body)
    if not (0 < len(job.id) <= MOST_ID and job.id.isprintable()):
        raise failures.broken("a video job without a usable id")
    if job.seconds is not None and not 0 <= job.seconds <= MOST_STATED_SECONDS:
        raise failures.broken("a video of an impossible length")
    return job


def _taken(answer: bytes, asked_s: int, asked_size: str | None) -> work.Done:
    """Read the answer to a submission: reported if the job is over already, else an estimate."""
    job = read(answer)
    over = job.report()
    if job.seconds is None:
        job = video.with_seconds(job, asked_s)
    estimate = UsageReport(Usage(video_ms=1000 * (job.seconds or asked_s)), {}, partial=True)
    return work.Done(job, over or estimate, served_as=served_as(state_of(job)["size"] or asked_size))


def served_as(size: str | None) -> str:
    """Name the size as prices by size do."""
    return variant(size[:MOST_SIZE] if size else None, None)


def _seconds(body: Mapping[str, JSON]) -> int:
    """Return the length asked for; always sent, since only a stated length bounds the cost."""
    value = body.get("seconds")
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal() and len(value) < 10):
            raise wrong_type("seconds", "초 단위의 정수/whole seconds")
        body = {"seconds": int(value)}
    return integer(1, MAX_SECONDS)(body, "seconds") or video.DEFAULT_SECONDS


def _not_by_reference() -> UnsupportedFeature:
    return UnsupportedFeature(
        "'input_reference': 주소나 파일 번호로는 받지 않습니다. 파일을 multipart/form-data로 보내세요.",
        "'input_reference': neither addresses nor file ids are taken. Send the file as multipart/form-data.",
        param="input_reference",
    )
