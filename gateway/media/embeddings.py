"""POST /v1/embeddings: texts into vectors, over every wire format that has them. Pure.

Source: OpenAI API reference, "Embeddings". Arrays of tokens are refused: no filter can read them.
"""

from __future__ import annotations

import base64
from array import array
from typing import TYPE_CHECKING, Final

import orjson

from gateway.errors import InvalidRequest, UnsupportedFeature
from gateway.media import work
from gateway.providers import embeddings
from gateway.surfaces.reading import integer, model_of, object_of, optional, wrong_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON, Completion

MAX_TEXTS: Final = 2048


class Surface(work.MediaSurface):
    NAME = "embeddings"
    KIND = "embedding"

    @staticmethod
    def parse(body: JSON) -> work.MediaRequest:
        """Read a request for embeddings. Raises InvalidRequest or UnsupportedFeature."""
        body = object_of(body)
        texts = _texts(body)
        form = optional(body, "encoding_format", str)
        request = embeddings.EmbeddingRequest(
            model=model_of(body),
            inputs=texts,
            dimensions=integer(1, 100_000)(body, "dimensions"),
            encoding_format=form,
            user=optional(body, "user", str),
            extra=work.rest(body, ("input", "dimensions", "encoding_format", "user")),
        )

        def read(answer: bytes, headers: Mapping[str, str]) -> work.Done:
            found = embeddings.read(answer, headers)
            vectors = [_as_asked(vector, form) for vector in found.vectors]
            return work.Done(vectors, found.report)

        made = work.Work(lambda deployment: embeddings.request(request, deployment), read)
        return work.asked(request.model, texts, made)

    @staticmethod
    def encode(completion: Completion, model_id: str, _answer_id: str, _created: int) -> bytes:
        vectors = work.done(completion).made
        tokens = completion.report.usage.input_tokens if completion.report else 0
        return orjson.dumps(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)],
                "model": model_id,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )


def _texts(body: Mapping[str, JSON]) -> tuple[str, ...]:
    match body.get("input"):
        case str(text) if text:
            return (text,)
        case [*items] if items and len(items) <= MAX_TEXTS and all(isinstance(i, str) and i for i in items):
            return tuple(items)
        case [int(), *_] | [[*_], *_]:
            raise UnsupportedFeature(
                "'input': 토큰 배열은 검사할 수 없어 받지 않습니다. 글로 보내세요.",
                "'input': arrays of tokens cannot be inspected and are not accepted. Send text.",
                param="input",
            )
        case None | "" | []:
            raise InvalidRequest(
                "'input'이 비어 있습니다. 글이나 글의 목록을 보내세요.",
                "'input' is empty. Send a text or a list of texts.",
                param="input",
                code="missing_field",
            )
        case _:
            raise wrong_type(
                "input", f"문자열이나 {MAX_TEXTS}개까지의 문자열 목록/a string or up to {MAX_TEXTS}"
            )


def _as_asked(vector: JSON, form: str | None) -> JSON:
    """Return base64 of little-endian 32-bit floats where that was asked for and the provider has floats."""
    if form != "base64" or isinstance(vector, str):
        return vector
    return base64.b64encode(array("f", vector).tobytes()).decode()
