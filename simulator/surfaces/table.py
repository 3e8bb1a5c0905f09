"""Which path is which surface: one row each."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from simulator.surfaces import embeddings, media
from simulator.wires import anthropic, bedrock, gemini

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.exchange import JSON
    from simulator.surfaces import Served
    from simulator.surfaces.video import Studio


class Received(NamedTuple):
    """A request that came in, with the parts that its path names."""

    body: bytes
    content_type: str
    path: re.Match[str]
    studio: Studio

    @property
    def json(self) -> JSON:
        return json.loads(self.body)


class Surface(NamedTuple):
    name: str
    path: re.Pattern[str]
    answer: Callable[[Received], Served]


def _edit(received: Received) -> Served:
    fields = media.form_fields(received.content_type, received.body)
    body = {name: values[0].decode() for name, values in fields.items() if not name.startswith("image")}
    return media.images(body, sum(len(v) for name, v in fields.items() if name.startswith("image")))


def _video(received: Received) -> Served:
    if not received.content_type.startswith("multipart/"):
        return received.studio.submit(received.json)
    fields = media.form_fields(received.content_type, received.body)
    return received.studio.submit({n: v[0].decode() for n, v in fields.items() if n != "input_reference"})


def _transcription(received: Received) -> Served:
    fields = media.form_fields(received.content_type, received.body)
    return media.transcription({name: values[0] for name, values in fields.items()})


def _counted_by_anthropic(received: Received) -> Served:
    return embeddings.counted(anthropic.parse({"max_tokens": 1} | received.json), "anthropic")


def _counted_by_gemini(received: Received) -> Served:
    body = received.json.get("generateContentRequest") or received.json
    return embeddings.counted(gemini.parse(body, received.path["model"], stream=False), "gemini")


def _counted_by_bedrock(received: Received) -> Served:
    body = received.json["input"]["converse"]
    return embeddings.counted(bedrock.parse(body, received.path["model"], stream=False), "bedrock")


def _embedded_by_gemini(received: Received) -> Served:
    batch = received.path["verb"] == "batchEmbedContents"
    return embeddings.gemini(received.json, received.path["model"], batch=batch)


def _invoked(received: Received) -> Served:
    body, model = received.json, received.path["model"]
    return media.bedrock_image(body, model) if "taskType" in body else embeddings.bedrock(body, model)


SURFACES = (
    Surface("embeddings", re.compile(r"/embeddings$"), lambda r: embeddings.openai(r.json)),
    Surface("embeddings", re.compile(r"/embed$"), lambda r: embeddings.cohere(r.json)),
    Surface(
        "embeddings",
        re.compile(r"/(?P<model>[^/:]+):(?P<verb>embedContent|batchEmbedContents)$"),
        _embedded_by_gemini,
    ),
    Surface(
        "embeddings",
        re.compile(r"/model/(?P<model>[^/]+)/invoke$"),
        _invoked,
    ),
    Surface("count_tokens", re.compile(r"/messages/count_tokens$"), _counted_by_anthropic),
    Surface("count_tokens", re.compile(r"/(?P<model>[^/:]+):countTokens$"), _counted_by_gemini),
    Surface("count_tokens", re.compile(r"/model/(?P<model>[^/]+)/count-tokens$"), _counted_by_bedrock),
    Surface("images", re.compile(r"/images/generations$"), lambda r: media.images(r.json)),
    Surface("images", re.compile(r"/images/edits$"), _edit),
    Surface(
        "images",
        re.compile(r"/(?P<model>[^/:]*image[^/:]*):generateContent$"),
        lambda r: media.gemini_image(r.json, r.path["model"]),
    ),
    Surface("speech", re.compile(r"/audio/speech$"), lambda r: media.speech(r.json)),
    Surface("transcription", re.compile(r"/audio/transcriptions$"), _transcription),
    Surface("video", re.compile(r"/videos$"), _video),
)
