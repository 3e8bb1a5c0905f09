"""Images: generation and edit, metered by tokens where stated, and by pieces. Pure.

In OpenAI's format here; drawing.py has Gemini's and Bedrock's. An answer is recognised by its members.

Source: https://platform.openai.com/docs/api-reference/images. Answers always come as base64: an address at
the provider would be state that lives elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import orjson

from billing.usage import Usage
from gateway.domain import NOTHING, UpstreamRequest, UsageReport
from gateway.providers import drawing, failures, gemini_answers, multipart, profiles, reach
from gateway.providers.counting import count, part, rest, settled
from gateway.providers.writing import lacking, present

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON
    from gateway.providers.multipart import FilePart

_SERVED: Final = ("background", "output_format", "quality", "size")
error = failures.from_response


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Pictures to draw, or with `pictures` to change; `mask` says where."""

    model: str
    prompt: str
    n: int = 1
    size: str | None = None
    quality: str | None = None
    user: str | None = None
    pictures: tuple[FilePart, ...] = field(default=(), repr=False)
    extra: Mapping[str, JSON] = NOTHING
    """`background`, `output_format`, `output_compression`, `moderation`, `style`, …"""


@dataclass(frozen=True, slots=True)
class Images:
    """What was drawn, with the prompt as the provider rewrote it, if it did.

    Each picture is base64, or an address where a provider gives nothing else.
    """

    pictures: tuple[str, ...] = field(repr=False)
    revised_prompts: tuple[str | None, ...] = field(repr=False)
    report: UsageReport
    created: int = 0
    extra: Mapping[str, JSON] = NOTHING
    """`background`, `output_format`, `quality`, `size`, as served."""


def request(asked: ImageRequest, deployment: Deployment) -> UpstreamRequest:
    """Write the request in the deployment's wire format. Raises UnsupportedFeature."""
    write = _WRITERS.get(deployment.wire)
    if write is None:
        raise lacking(f"images over the wire format {deployment.wire}", "model")
    return write(asked, deployment)


def _openai(asked: ImageRequest, deployment: Deployment) -> UpstreamRequest:
    """Write OpenAI's request; with pictures it is an edit, as a form."""
    profile = profiles.of(deployment)
    wanted = {**asked.extra, **present(size=asked.size, quality=asked.quality, user=asked.user)}
    if refused := sorted(wanted.keys() & profile.refuses):
        raise lacking(refused[0], refused[0])
    dropped = tuple(sorted(wanted.keys() & profile.lacks))
    body = {
        **profile.body,
        **{name: value for name, value in wanted.items() if name not in profile.lacks},
        "model": deployment.upstream_model,
        "prompt": asked.prompt,
        "n": asked.n,
    }
    if _answers_by_address(deployment.upstream_model):
        body["response_format"] = "b64_json"
    if asked.pictures:
        content_type, form = multipart.encode([(name, _text(v)) for name, v in body.items()], asked.pictures)
        headers = reach.headers(deployment, profile, "application/json", content_type)
        return UpstreamRequest("POST", reach.address(deployment, "images/edits"), headers, form, dropped)
    headers = reach.headers(deployment, profile, "application/json")
    url = reach.address(deployment, "images/generations")
    return UpstreamRequest("POST", url, headers, orjson.dumps(body), dropped)


_WRITERS: Mapping[str, Callable[[ImageRequest, Deployment], UpstreamRequest]] = {
    "openai": _openai,
    "responses": _openai,
    "gemini": drawing.gemini,
    "bedrock": drawing.bedrock,
}


def _answers_by_address(model: str) -> bool:
    """Whether a model gives addresses unless asked for content; the gpt-image models refuse to be asked."""
    return not model.startswith("gpt-image")


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def read(body: bytes) -> Images:
    """Read an answer. Raises UpstreamError."""
    try:
        answer = orjson.loads(body)
        if answer.get("error") and "images" not in answer:  # Bedrock says there why some are missing
            raise failures.from_event(answer["error"])
        if "data" not in answer:
            return _read_another(answer)
        data = answer["data"]
        pictures = tuple(_said(item.get("b64_json") or item["url"]) for item in data)
        revised = tuple(item.get("revised_prompt") for item in data)
        report = report_of(part(answer, "usage"), len(pictures))
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise failures.broken("not an images answer") from e
    served = {
        name: answer[name] for name in ("background", "output_format", "quality", "size") if name in answer
    }
    return Images(pictures, revised, report, count(answer, "created") or 0, served or NOTHING)


def _read_another(answer: Mapping[str, JSON]) -> Images:
    if "images" in answer:
        pictures = tuple(drawing.pictures_of_bedrock(answer))
        return Images(pictures, (None,) * len(pictures), report_of(NOTHING, len(pictures)))
    if "candidates" not in answer and "promptFeedback" not in answer:
        raise KeyError("data")
    pictures = tuple(map(_said, drawing.pictures_of_gemini(answer)))
    report = gemini_answers.report_of(part(answer, "usageMetadata"))
    drawn = replace(report, usage=replace(report.usage, images=len(pictures)))
    return Images(pictures, (None,) * len(pictures), drawn)


def _said(picture: JSON) -> str:
    if not isinstance(picture, str):
        raise TypeError("a picture is base64 or an address")
    return picture


def report_of(raw: Mapping[str, JSON], drawn: int) -> UsageReport:
    """Read the usage. Pieces are always counted; tokens only where the provider states them.

    A price book prices one of both: tokens for models that are billed by tokens, else pieces.
    """
    if not raw:
        return UsageReport(Usage(images=drawn), {"images": drawn})
    into, out = part(raw, "input_tokens_details"), part(raw, "output_tokens_details")
    seen, cached = count(into, "image_tokens"), count(into, "cached_tokens")
    text = count(out, "text_tokens")
    report = settled(
        {
            "input": rest(count(raw, "input_tokens"), seen, cached),
            "cache_read": cached,
            "image_input": seen,
            "output": text,
            "image_output": rest(count(raw, "output_tokens"), text),
        },
        raw,
        provider_total=count(raw, "total_tokens"),
    )
    return replace(report, usage=replace(report.usage, images=drawn))
