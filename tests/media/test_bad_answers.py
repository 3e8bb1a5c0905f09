"""Answers with a member of another type: served or a named error, and never an error of ours after the charge."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import UpstreamError
from gateway.media import embeddings, images, transcription
from gateway.providers.multipart import FilePart
from tests.providers.exchanges import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD: tuple[Any, ...] = (5, -1, None, "x", "", [], {}, True, 1.5, 2**70, [[]], {"a": 1}, ["x"])
RECORDING = FilePart("file", "a.mp3", "audio/mpeg", b"x" * 8_000)
OPENAIS_PICTURES = {
    "created": 1,
    "data": [{"b64_json": "QUJD", "revised_prompt": "y"}, {"url": "http://x/y"}],
    "size": "64x64",
    "quality": "low",
    "usage": {"input_tokens": 3, "output_tokens": 4, "input_tokens_details": {"image_tokens": 2}},
}
GEMINIS_PICTURES = {
    "candidates": [
        {
            "content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]},
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 3,
        "candidatesTokenCount": 5,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 5}],
    },
}
VECTORS = [
    {
        "data": [{"embedding": [0.1], "index": 0}, {"embedding": [0.2], "index": 1}],
        "usage": {"prompt_tokens": 3},
    },
    {"embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 3}}},
    {"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": 3}}}]},
    {"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 3}},
    {"embedding": [0.1], "inputTextTokenCount": 3},
    [[0.1, 0.2]],
]
SPOKEN = {
    "text": "가 나",
    "duration": 3.2,
    "segments": [
        {"id": 0, "start": 0.0, "end": 1.0, "text": "가", "speaker": "A"},
        {"id": 1, "start": 1.0, "end": 2.0, "text": "나"},
    ],
    "words": [{"word": "가", "start": 0, "end": 1}],
    "usage": {
        "type": "tokens",
        "input_tokens": 3,
        "output_tokens": 4,
        "input_token_details": {"audio_tokens": 2},
    },
}
CASES: list[tuple[Any, dict[str, Any], Any]] = [
    *(
        (images.Surface(), {"model": "m", "prompt": "p"}, answer)
        for answer in (OPENAIS_PICTURES, {"images": ["QUJD"], "error": None}, GEMINIS_PICTURES)
    ),
    *(
        (embeddings.Surface(), {"model": "m", "input": ["a", "b"], "encoding_format": form}, answer)
        for answer in VECTORS
        for form in ("float", "base64")
    ),
    *(
        (
            transcription.Surface(RECORDING),
            {"model": "m", "response_format": form, "input": [{"filename": "a.mp3"}]},
            SPOKEN,
        )
        for form in transcription.FORMS
    ),
]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        yield from places(member, (*at, name))


def with_odd(value: Any, at: tuple[Any, ...], odd: Any) -> Any:
    if not at:
        return odd
    changed = copy.deepcopy(value)
    inner = changed
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = odd
    return changed


@pytest.mark.parametrize(("surface", "body", "answer"), CASES)
def test_a_member_of_another_type_is_served_or_a_named_error(
    surface: Any, body: dict[str, Any], answer: Any
) -> None:
    served = 0
    for at in places(answer):
        for odd in ODD:
            work = surface.parse(dict(body)).work
            decoder = work.Decoder(deployment("openai"), stream=False)
            decoder.feed(json.dumps(with_odd(answer, at, odd)).encode())
            try:
                completion = decoder.finish()
            except UpstreamError:
                continue
            surface.encode(completion, "m", "id", 1)
            served += 1
    assert served > 10, "most odd members are none of our business"
