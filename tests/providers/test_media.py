"""Embeddings, images, speech, transcription and video: asked of the simulator, metered as it bills them."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.usage import Usage
from gateway.errors import UnsupportedFeature, UpstreamProtocolError, UpstreamRejected
from gateway.providers import audio, embeddings, images, multipart, video
from gateway.providers.embeddings import EmbeddingRequest
from gateway.providers.multipart import FilePart
from simulator.surfaces.media import form_fields
from simulator.surfaces.table import SURFACES, Received
from simulator.surfaces.video import Studio
from tests.providers.exchanges import deployment

if TYPE_CHECKING:
    from gateway.domain import UpstreamRequest
    from simulator.surfaces import Served

PNG = FilePart("image[]", "청사.png", "image/png", b"\x89PNG\r\n\x1a\n--x")


def answered(request: UpstreamRequest) -> Served:
    """Let the simulator answer, whose tables are its own reading of the same documents."""
    path = urlsplit(request.url).path
    for surface in SURFACES:
        if match := surface.path.search(path):
            content_type = request.headers.get("content-type", "")
            return surface.answer(Received(request.body, content_type, match, Studio()))
    raise AssertionError(path)


def billed(usage: Usage) -> dict[str, int]:
    return dict(usage.classes())


# --- embeddings ----------------------------------------------------------------------------------

PLACES = [
    (deployment("openai", "openai"), 2),
    (deployment("openai", "upstage"), 2),
    (deployment("cohere", "cohere", base_url="https://api.cohere.com"), 2),
    (deployment("gemini", "gemini", base_url="https://g.example"), 2),
    (deployment("gemini", "vertex", base_url="https://v.example", options={"project": "p"}), 1),
    (deployment("bedrock", "bedrock", base_url="https://aws.example", upstream_model="cohere.embed-v4:0"), 2),
    (
        deployment("bedrock", "bedrock", base_url="https://aws.example", upstream_model="amazon.titan-embed"),
        1,
    ),
]


@pytest.mark.parametrize(("place", "texts"), PLACES, ids=lambda p: getattr(p, "profile", None))
def test_every_format_of_embeddings_gives_a_vector_for_each_text_and_its_bill(place: Any, texts: int) -> None:
    asked = EmbeddingRequest("m", ("가나다", "라마")[:texts], dimensions=64)
    served = answered(embeddings.request(asked, place))
    found = embeddings.read(served.body, served.headers)
    assert len(found.vectors) == texts
    assert found.report is not None
    assert billed(found.report.usage) == served.billed


@pytest.mark.parametrize("place", [place for place, texts in PLACES if texts == 1], ids=lambda p: p.profile)
def test_several_texts_where_one_is_taken_are_refused(place: Any) -> None:
    with pytest.raises(UnsupportedFeature):
        embeddings.request(EmbeddingRequest("m", ("가", "나")), place)


def test_a_wire_without_embeddings_is_refused() -> None:
    with pytest.raises(UnsupportedFeature):
        embeddings.request(EmbeddingRequest("m", ("가",)), deployment("anthropic"))


def test_vectors_come_in_the_order_of_the_texts() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    assert embeddings.read(json.dumps({"data": data}).encode(), {}).vectors == ([1.0], [2.0])


def test_an_error_inside_a_200_is_that_error() -> None:
    with pytest.raises(UpstreamRejected):
        embeddings.read(b'{"error":{"type":"invalid_request_error","message":"x"}}', {})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":5}', b'{"data":[{}]}', b"<html>"])
def test_what_is_no_embeddings_answer_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        embeddings.read(body, {})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"input_tokens":"five"}'])
def test_what_is_no_token_count_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        embeddings.counted(body)


# --- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pictures", [(), (PNG,)], ids=["generation", "edit"])
def test_images_are_drawn_changed_and_billed(pictures: Any) -> None:
    asked = images.ImageRequest("m", "청사 안내도", n=2, size="64x64", quality="low", pictures=pictures)
    served = answered(images.request(asked, deployment(upstream_model="gpt-image-2")))
    drawn = images.read(served.body)
    assert [base64.b64decode(picture)[:4] for picture in drawn.pictures] == [b"\x89PNG"] * 2
    assert billed(drawn.report.usage) == {k: v for k, v in served.billed.items() if v}


def test_images_without_usage_are_counted_by_the_piece() -> None:
    drawn = images.read(b'{"created":1,"data":[{"b64_json":"x","revised_prompt":"y"}]}')
    assert (billed(drawn.report.usage), drawn.revised_prompts, drawn.created) == ({"images": 1}, ("y",), 1)


def test_content_is_asked_for_instead_of_an_address() -> None:
    older = images.request(images.ImageRequest("m", "p"), deployment(upstream_model="dall-e-3"))
    newer = images.request(images.ImageRequest("m", "p"), deployment(upstream_model="gpt-image-2"))
    assert json.loads(older.body)["response_format"] == "b64_json"
    assert "response_format" not in json.loads(newer.body)


GOOGLE = deployment(
    "gemini", base_url="https://generativelanguage.googleapis.com", upstream_model="gemini-3-image"
)
CANVAS = deployment("bedrock", base_url="", region="us-east-1", upstream_model="amazon.nova-canvas-v1:0")
MASK = FilePart("mask", "mask.png", "image/png", b"\x89PNG")


@pytest.mark.parametrize("pictures", [(), (PNG,)], ids=["generation", "edit"])
@pytest.mark.parametrize("to", [GOOGLE, CANVAS], ids=["gemini", "bedrock"])
def test_pictures_of_other_wires_are_drawn_changed_and_billed(to: Any, pictures: Any) -> None:
    served = answered(images.request(images.ImageRequest("m", "청사 안내도", pictures=pictures), to))
    drawn = images.read(served.body)
    assert [base64.b64decode(picture)[:4] for picture in drawn.pictures] == [b"\x89PNG"]
    assert billed(drawn.report.usage) == {k: v for k, v in served.billed.items() if v}


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        (None, None),
        ("auto", None),
        ("1024x1024", {"aspectRatio": "1:1"}),
        ("1024x1536", {"aspectRatio": "2:3"}),
        ("1792x1024", {"aspectRatio": "16:9"}),
        ("4096x4096", {"aspectRatio": "1:1", "imageSize": "4K"}),
    ],
)
def test_gemini_draws_the_nearest_proportions(size: str | None, drawn: Any) -> None:
    asked = images.ImageRequest("m", "p", size=size, quality="high", extra={"style": "vivid"})
    request = images.request(asked, GOOGLE)
    assert json.loads(request.body)["generationConfig"].get("imageConfig") == drawn
    assert request.dropped == ("quality", "style")


def test_bedrock_draws_by_size_and_quality_and_paints_behind_a_mask() -> None:
    asked = images.ImageRequest("m", "p", n=2, size="1024x512", quality="high", user="u", extra={"seed": 7})
    request = images.request(asked, CANVAS)
    config = {"numberOfImages": 2, "width": 1024, "height": 512, "quality": "premium", "seed": 7}
    assert json.loads(request.body)["imageGenerationConfig"] == config
    assert request.dropped == ("user",)
    painted = json.loads(images.request(images.ImageRequest("m", "p", pictures=(PNG, MASK)), CANVAS).body)
    assert painted["taskType"] == "INPAINTING"
    assert painted["inPaintingParams"].keys() == {"image", "maskImage", "text"}


@pytest.mark.parametrize(
    ("asked", "to"),
    [
        (images.ImageRequest("m", "p", n=2), GOOGLE),
        (images.ImageRequest("m", "p", pictures=(PNG, MASK)), GOOGLE),
        (images.ImageRequest("m", "p"), deployment("bedrock", upstream_model="stability.sd3")),
        (images.ImageRequest("m", "p"), deployment("cohere")),
    ],
)
def test_what_a_wire_cannot_draw_is_refused_by_name(asked: Any, to: Any) -> None:
    with pytest.raises(UnsupportedFeature):
        images.request(asked, to)


@pytest.mark.parametrize(
    "body",
    [
        b'{"candidates":[{"finishReason":"IMAGE_SAFETY"}],"usageMetadata":{}}',
        b'{"promptFeedback":{"blockReason":"SAFETY"}}',
        b'{"images":[],"error":"blocked by our content filters"}',
        b'{"images":null,"error":"blocked by our content filters"}',
    ],
)
def test_a_picture_that_was_filtered_is_a_refusal(body: bytes) -> None:
    with pytest.raises(UpstreamRejected):
        images.read(body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":[{}]}'])
def test_what_is_no_images_answer_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        images.read(body)


# --- audio ---------------------------------------------------------------------------------------


def recording(seconds: int) -> FilePart:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(16000 * seconds))
    return FilePart("file", "회의.wav", "audio/wav", file.getvalue())


def test_speech_is_billed_by_the_characters_that_were_asked_for() -> None:
    asked = audio.SpeechRequest("m", "안녕하세요, 총무과입니다.", "alloy", "wav")
    served = answered(audio.speech(asked, deployment()))
    assert served.body[:4] == b"RIFF"
    usage = audio.speech_report(asked).usage
    assert usage.characters == served.billed["characters"]


def test_a_transcription_is_billed_by_its_seconds() -> None:
    served = answered(audio.transcription(audio.TranscriptionRequest("m", recording(3)), deployment()))
    written = audio.read(served.body)
    assert "3초" in written.text
    assert written.report is not None
    assert billed(written.report.usage) == served.billed == {"audio_ms": 3000}


def test_a_transcription_s_fields_are_written_as_a_form() -> None:
    asked = audio.TranscriptionRequest(
        "m", recording(1), {"language": "ko", "timestamp_granularities": ["word"]}
    )
    request = audio.transcription(asked, deployment(upstream_model="whisper-1"))
    fields = form_fields(request.headers["content-type"], request.body)
    assert fields["model"] == [b"whisper-1"]
    assert fields["response_format"] == [b"verbose_json"]
    assert fields["timestamp_granularities[]"] == [b"word"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                    "output_tokens": 5,
                    "total_tokens": 19,
                }
            },
            Usage(input=4, audio_input=10, output=5),
        ),
        ({"usage": {"type": "duration", "seconds": 9}}, Usage(audio_ms=9000)),
        ({"duration": 8.47}, Usage(audio_ms=8470)),
    ],
)
def test_transcriptions_are_metered_by_tokens_or_by_seconds(usage: dict[str, Any], expected: Usage) -> None:
    report = audio.read(json.dumps({"text": "네", **usage}).encode()).report
    assert report is not None
    assert report.usage == expected


def test_a_transcription_without_any_measure_has_no_report() -> None:
    assert audio.read('{"text":"네"}'.encode()).report is None


# --- video ---------------------------------------------------------------------------------------


def test_a_film_is_submitted_polled_and_billed_when_it_is_done() -> None:
    studio, place = Studio(), deployment()
    request = video.submit(video.VideoRequest("m", "청사 전경", seconds=8, size="1280x720"), place)
    job = video.read(studio.submit(json.loads(request.body)).body)
    assert (job.status, job.report()) == ("queued", None)
    while not job.is_over:
        asked = video.poll(job.id, place)
        assert asked.method == "GET"
        polled = studio.poll(urlsplit(asked.url).path.rpartition("/")[2])
        assert polled is not None
        job = video.read(polled)
    assert video.fetch(job.id, place).url.endswith(f"/videos/{job.id}/content")
    report = job.report()
    assert report is not None
    assert report.usage == Usage(video_ms=8000)


def test_a_film_that_begins_from_a_picture_is_a_form() -> None:
    reference = FilePart("input_reference", "a.png", "image/png", b"png")
    request = video.submit(video.VideoRequest("m", "p", seconds=4, reference=reference), deployment())
    assert form_fields(request.headers["content-type"], request.body)["input_reference"] == [b"png"]
    assert video.read(answered(request).body).seconds == 4


def test_a_job_that_failed_costs_nothing_and_says_why() -> None:
    error = {"code": "moderation_blocked", "message": "secret"}
    job = video.read(json.dumps({"id": "v", "status": "failed", "seconds": "4", "error": error}).encode())
    report = job.report()
    assert report is not None
    assert report.usage == Usage(video_ms=0)
    assert job.failure is not None
    assert job.failure.upstream_code == "moderation_blocked"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":"v","status":"queued","seconds":"soon"}'])
def test_what_is_no_job_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        video.read(body)


def test_an_identity_of_a_job_cannot_leave_its_path() -> None:
    assert video.poll("../models?x", deployment()).url.endswith("/videos/..%2Fmodels%3Fx")


@pytest.mark.parametrize(
    "ask",
    [
        lambda place: images.request(images.ImageRequest("m", "p"), place),
        lambda place: audio.speech(audio.SpeechRequest("m", "t", "v"), place),
        lambda place: audio.transcription(audio.TranscriptionRequest("m", recording(1)), place),
        lambda place: video.submit(video.VideoRequest("m", "p"), place),
    ],
)
def test_a_wire_that_has_no_such_thing_is_refused(ask: Any) -> None:
    with pytest.raises(UnsupportedFeature):
        ask(deployment("anthropic"))


# --- forms ---------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.text("abcdefghij_[]", min_size=1, max_size=8), st.text(max_size=60), max_size=5),
    st.binary(max_size=300),
)
def test_a_form_is_read_back_as_it_was_written(fields: dict[str, str], content: bytes) -> None:
    file = FilePart("file-part", "a.bin", "application/octet-stream", content)
    content_type, body = multipart.encode(fields.items(), [file])
    boundary = content_type.partition("boundary=")[2].encode()
    parts = body.split(b"--" + boundary)[1:-1]
    values = [part.partition(b"\r\n\r\n")[2][:-2] for part in parts]
    assert values == [*(value.encode() for value in fields.values()), content]


def test_a_name_cannot_break_out_of_its_header() -> None:
    hostile = FilePart('a"\r\nX: y', 'b"\r\n', "image/png\r\nX: y", b"")
    _, body = multipart.encode([], [hostile])
    head = body.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert len(head) == 3
    assert head[1].count('"') == 4
