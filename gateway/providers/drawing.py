"""Pictures in the formats of Gemini and of Amazon's models on Bedrock: requests and answers. Pure.

Sources: https://ai.google.dev/gemini-api/docs/image-generation (`generateContent` with the modality IMAGE),
https://docs.aws.amazon.com/nova/latest/userguide/image-gen-access.html (`invoke`, also Titan's). Gemini
states tokens; Bedrock states nothing, so pieces are counted, which cost by size and quality.
"""

from __future__ import annotations

import base64
import math
import re
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import UpstreamRequest
from gateway.providers import aws, failures, google
from gateway.providers.writing import lacking, present

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.catalogue import Deployment
    from gateway.domain import JSON
    from gateway.providers.images import ImageRequest

_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_PREMIUM: Final = frozenset({"high", "hd", "premium"})
_SEED: Final = 858_993_459
"""The largest that Amazon's models take."""


def gemini(asked: ImageRequest, deployment: Deployment) -> UpstreamRequest:
    """Write `generateContent`: one picture, its proportions the nearest that Google draws."""
    if asked.n > 1:
        raise lacking("several pictures in one request", "n")
    if any(picture.name == "mask" for picture in asked.pictures):
        raise lacking("a mask", "mask")
    shown = [
        {"inlineData": {"mimeType": p.media_type, "data": base64.b64encode(p.content).decode()}}
        for p in asked.pictures
    ]
    size = _size(asked.size)
    drawn = present(aspectRatio=_ratio(size), imageSize=_resolution(size)) if size else {}
    body = {
        "contents": [{"role": "user", "parts": [*shown, {"text": asked.prompt}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], **present(imageConfig=drawn or None)},
    }
    left_out = _left_out(asked, "quality", "user")
    url = google.address(deployment, "generateContent")
    return UpstreamRequest("POST", url, google.headers(deployment), orjson.dumps(body), left_out)


def bedrock(asked: ImageRequest, deployment: Deployment) -> UpstreamRequest:
    """Write the task of Nova Canvas or Titan: draw, vary, or paint what a mask says."""
    if not re.search(r"amazon\.(nova-canvas|titan-image)", deployment.upstream_model):
        raise lacking(f"pictures by {deployment.upstream_model}", "model")
    size = _size(asked.size)
    seed = asked.extra.get("seed")
    config = present(
        numberOfImages=asked.n,
        width=size[0] if size else None,
        height=size[1] if size else None,
        quality=None if asked.quality is None else "premium" if asked.quality in _PREMIUM else "standard",
        seed=seed if type(seed) is int and 0 <= seed <= _SEED else None,
    )
    body = {**_task(asked), "imageGenerationConfig": config}
    left_out = tuple(name for name in _left_out(asked, "user") if name not in config)
    return aws.signed(deployment, aws.address(deployment, "invoke"), orjson.dumps(body), left_out)


def _task(asked: ImageRequest) -> dict[str, JSON]:
    pictures = [base64.b64encode(p.content).decode() for p in asked.pictures if p.name != "mask"]
    masks = [base64.b64encode(p.content).decode() for p in asked.pictures if p.name == "mask"]
    if masks:
        painted = {"image": pictures[0], "maskImage": masks[0], "text": asked.prompt}
        return {"taskType": "INPAINTING", "inPaintingParams": painted}
    if pictures:
        varied = {"images": pictures, "text": asked.prompt}
        return {"taskType": "IMAGE_VARIATION", "imageVariationParams": varied}
    return {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": asked.prompt}}


def _left_out(asked: ImageRequest, *names: str) -> tuple[str, ...]:
    """Name what neither format has: members of OpenAI's, and `names` where they were asked for."""
    said = {name for name in names if getattr(asked, name) is not None}
    return tuple(sorted(said | asked.extra.keys()))


def _size(size: str | None) -> tuple[int, int] | None:
    match = re.fullmatch(r"([1-9]\d{1,4})x([1-9]\d{1,4})", size or "")
    return (int(match[1]), int(match[2])) if match else None


def _ratio(size: tuple[int, int]) -> str:
    wanted = math.log(size[0] / size[1])
    return min(_RATIOS, key=lambda ratio: abs(wanted - math.log(_of(ratio))))


def _of(ratio: str) -> float:
    width, height = ratio.split(":")
    return int(width) / int(height)


def _resolution(size: tuple[int, int]) -> str | None:
    return "4K" if max(size) >= 4096 else "2K" if max(size) >= 2048 else None


# --- answers -------------------------------------------------------------------------------------


def pictures_of_gemini(answer: Mapping[str, JSON]) -> Sequence[str]:
    """Return the pictures of an answer in base64. Raises UpstreamError for one that was filtered."""
    found = [
        part["inlineData"]["data"]
        for candidate in answer.get("candidates") or ()
        for part in (candidate.get("content") or {}).get("parts") or ()
        if part.get("inlineData") and not part.get("thought")
    ]
    if not found:
        raise failures.from_event({"type": "content_filter", "message": "no picture was drawn"})
    return found


def pictures_of_bedrock(answer: Mapping[str, JSON]) -> Sequence[str]:
    """Return the pictures of an answer in base64. Raises UpstreamError for one that was filtered."""
    if not answer.get("images"):
        raise failures.from_event({"type": "content_filter", "message": answer.get("error")})
    return [str(picture) for picture in answer["images"]]
