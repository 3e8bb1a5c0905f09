"""POST /v1/images/generations and /v1/images/edits. Pure.

Source: OpenAI API reference, "Images". Metered by pieces, and by tokens where the provider states them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

from billing.quotes import variant
from billing.usage import Usage
from gateway.errors import InvalidRequest
from gateway.media import work
from gateway.providers import images
from gateway.surfaces.reading import integer, model_of, object_of, optional, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON, Completion
    from gateway.providers.multipart import FilePart

MAX_IMAGES: Final = 10
_TAKEN: Final = ("prompt", "n", "size", "quality", "user", "response_format", "input", "partial_images")


class Surface(work.MediaSurface):
    """Pictures from a prompt; with `pictures` (from a form) an edit of these."""

    KIND = "image"

    def __init__(self, name: str = "images", pictures: tuple[FilePart, ...] = ()) -> None:
        self.NAME = name
        self._pictures = pictures

    def parse(self, body: JSON) -> work.MediaRequest:
        """Read a request for pictures. Raises InvalidRequest or UnsupportedFeature."""
        body = object_of(body)
        refuse(body, "stream", "그림은 한 번에 받습니다.", "pictures are answered in one piece.")
        request = images.ImageRequest(
            model=model_of(body),
            prompt=prompt_of(body),
            n=integer(1, MAX_IMAGES)(body, "n") or 1,
            size=optional(body, "size", str),
            quality=optional(body, "quality", str),
            user=optional(body, "user", str),
            pictures=work.as_inspected(self._pictures, body),
            extra=work.rest(body, _TAKEN),
        )

        def read(answer: bytes, _headers: Mapping[str, str]) -> work.Done:
            drawn = images.read(answer)
            return work.Done(drawn, drawn.report, served_as=_served_as(drawn, request))

        made = work.Work(lambda deployment: images.request(request, deployment), read)
        pieces = Usage(images=request.n)
        asked = work.asked(request.model, [request.prompt], made, maxima=pieces, expected=pieces)
        return replace(asked, asked_as=_variant(request.size, request.quality))

    @staticmethod
    def encode(completion: Completion, _model_id: str, _answer_id: str, created: int) -> bytes:
        drawn: images.Images = work.done(completion).made
        data = [_shown(p, r) for p, r in zip(drawn.pictures, drawn.revised_prompts, strict=True)]
        usage = completion.report.usage if completion.report else None
        shown = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        } if usage and usage.total_tokens else None  # fmt: skip
        return orjson.dumps(
            {
                "created": drawn.created or created,
                "data": data,
                **drawn.extra,
                **({"usage": shown} if shown else {}),
            }
        )


def prompt_of(body: Mapping[str, JSON]) -> str:
    prompt = optional(body, "prompt", str)
    if not prompt:
        raise InvalidRequest(
            "'prompt'가 없습니다. 만들 내용을 적어 보내세요.",
            "'prompt' is missing. Say what is to be made.",
            param="prompt",
            code="missing_field",
        )
    return str(prompt)


def _served_as(drawn: images.Images, asked: images.ImageRequest) -> str:
    """Name size and quality as the provider says it drew; where it does not say, as they were asked for."""
    size = drawn.extra.get("size") or asked.size or asked.extra.get("resolution")
    quality = drawn.extra.get("quality") or asked.quality
    return _variant(size, quality)


def _variant(size: JSON, quality: JSON) -> str:
    said = (word[:40] if isinstance(word, str) and word != "auto" else None for word in (size, quality))
    return variant(*said)


def _shown(picture: str, revised: str | None) -> dict[str, JSON]:
    shown: dict[str, JSON] = {"url" if picture.startswith(("http://", "https://")) else "b64_json": picture}
    return shown | ({"revised_prompt": revised} if revised else {})
