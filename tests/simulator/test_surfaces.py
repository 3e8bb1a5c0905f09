"""Surfaces beside chat, asked by the real clients over real HTTP, and what stands in the books."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import sys
import wave

import anthropic
import httpx
import openai
import pytest

from gateway.demo.children import Child
from gateway.providers.embeddings import counted, read
from simulator.surfaces import media


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    log = tmp_path_factory.mktemp("surfaces") / "log"
    with Child([sys.executable, "-m", "simulator"], log) as child:
        yield child.ready()["url"]


@pytest.fixture(scope="module")
def client(simulator):
    with openai.OpenAI(base_url=f"{simulator}/openai/v1", api_key="any") as client:
        yield client


def billed(url: str, attempt: str) -> dict[str, int]:
    lines = httpx.get(f"{url}/ledger").text.splitlines()
    (row,) = (r for r in map(json.loads, lines) if r["attempt_id"] == attempt and r["kind"] == "answered")
    return row["tokens"]


def named(attempt: str) -> dict[str, str]:
    return {"x-haechi-attempt": attempt}


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings_are_unit_vectors_that_depend_on_the_text_alone(client, simulator, form):
    texts = ["총무과 당직 규정", "청사 관리", "총무과 당직 규정"]
    answer = client.embeddings.create(
        model="text-embedding-3-small", input=texts, encoding_format=form, dimensions=64,
        extra_headers=named(f"e-{form}"),
    )  # fmt: skip
    vectors = [item.embedding for item in answer.data]
    if form == "base64" and isinstance(vectors[0], str):
        vectors = [list(struct.unpack("<64f", base64.b64decode(v))) for v in vectors]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(math.isclose(sum(x * x for x in v), 1.0, abs_tol=1e-3) for v in vectors)
    assert billed(simulator, f"e-{form}") == {"input": answer.usage.prompt_tokens}


@pytest.mark.parametrize(
    ("path", "body", "vectors"),
    [
        ("openai/v1/embeddings", {"model": "m", "input": ["가나다", "라마"]}, 2),
        ("cohere/v2/embed", {"model": "m", "texts": ["가나다", "라마"], "input_type": "search_document"}, 2),
        ("google/v1beta/models/m:embedContent", {"content": {"parts": [{"text": "가나다"}]}}, 1),
        (
            "google/v1beta/models/m:batchEmbedContents",
            {"requests": [{"content": {"parts": [{"text": text}]}} for text in ("가나다", "라마")]},
            2,
        ),
        ("aws/model/amazon.titan-embed-text-v2:0/invoke", {"inputText": "가나다"}, 1),
        (
            "aws/model/cohere.embed-v4:0/invoke",
            {"texts": ["가나다", "라마"], "input_type": "search_query"},
            2,
        ),
    ],
)
def test_each_format_of_embeddings_is_read_by_the_gateway_s_reader(simulator, path, body, vectors):
    answer = httpx.post(f"{simulator}/{path}", json=body, headers=named(path))
    found = read(answer.content, answer.headers)
    assert len(found.vectors) == vectors
    assert found.report.usage.input == billed(simulator, path)["input"] > 0


def test_tokens_are_counted_without_being_billed(simulator):
    with anthropic.Anthropic(base_url=f"{simulator}/anthropic", api_key="any") as client:
        stated = client.messages.count_tokens(
            model="m", messages=[{"role": "user", "content": "가나다라"}], extra_headers=named("count")
        )
    assert stated.input_tokens > 0
    assert billed(simulator, "count") == {}
    contents = {"contents": [{"role": "user", "parts": [{"text": "가나다라"}]}]}
    converse = {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "가나다라"}]}]}}}
    for path, body in (
        ("google/v1beta/models/m:countTokens", contents),
        ("google/v1beta/models/m:countTokens", {"generateContentRequest": contents}),
        ("aws/model/m/count-tokens", converse),
    ):
        assert counted(httpx.post(f"{simulator}/{path}", json=body).content) == stated.input_tokens


def test_an_image_is_a_real_picture_of_the_size_asked_for(client, simulator):
    answer = client.images.generate(
        model="gpt-image-2",
        prompt="청사 안내도",
        size="1024x1536",
        quality="low",
        n=2,
        extra_headers=named("image"),
    )
    picture = base64.b64decode(answer.data[0].b64_json)
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (1024, 1536)
    assert billed(simulator, "image")["images"] == 2
    assert billed(simulator, "image")["image_output"] == answer.usage.output_tokens


def test_an_edit_counts_the_pictures_that_came_in(client, simulator):
    picture = ("map.png", media.png(8, 8, "x"), "image/png")
    client.images.edit(
        model="gpt-image-2", image=[picture, picture], prompt="더 밝게", extra_headers=named("edit")
    )
    assert billed(simulator, "edit")["image_input"] == 2 * 323


@pytest.mark.parametrize(("form", "begins"), [("mp3", b"\xff\xfb"), ("wav", b"RIFF"), ("pcm", b"\x00\x00")])
def test_speech_is_sound_billed_by_characters(client, simulator, form, begins):
    said = "안녕하십니까, 총무과입니다."
    sound = client.audio.speech.create(
        model="tts-1", voice="alloy", input=said, response_format=form, extra_headers=named(form)
    ).read()
    assert sound.startswith(begins)
    assert billed(simulator, form)["characters"] == len(said)
    if form == "wav":
        with wave.open(io.BytesIO(sound)) as reader:
            assert 1000 * reader.getnframes() == billed(simulator, form)["audio_ms"] * reader.getframerate()


def test_a_transcription_is_billed_by_the_length_of_the_sound(client, simulator):
    sound = media.speech({"input": "가" * 70, "model": "m", "response_format": "wav"}).body
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=("meeting.wav", sound, "audio/wav"), extra_headers=named("heard")
    )
    assert "10초" in answer.text
    assert billed(simulator, "heard") == {"audio_ms": 10_000}


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_a_video_is_a_job_that_is_polled_and_fetched(simulator, form):
    wanted = {"model": "veo", "prompt": "재난 대피 훈련", "seconds": "8"}
    sent = {"json": wanted} if form == "json" else {"files": {n: (None, v) for n, v in wanted.items()}}
    videos = f"{simulator}/openai/v1/videos"
    job = httpx.post(videos, headers=named(f"film-{form}"), **sent).json()
    assert (job["status"], job["seconds"]) == ("queued", "8")
    assert httpx.get(f"{videos}/{job['id']}/content").status_code == 404
    polled = [httpx.get(f"{videos}/{job['id']}").json()["status"] for _ in range(2)]
    assert polled == ["in_progress", "completed"]
    assert b"ftyp" in httpx.get(f"{videos}/{job['id']}/content").content
    assert billed(simulator, f"film-{form}") == {"video_ms": 8000}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("openai/v1/embeddings", b'{"model": "m", "input": []}'),
        ("openai/v1/embeddings", b"{"),
        ("openai/v1/images/generations", b'{"model": "m", "prompt": "x", "size": "9x9x9"}'),
        ("openai/v1/audio/speech", b'{"model": "m", "input": "x", "response_format": "opus"}'),
        ("openai/v1/audio/transcriptions", b"not a form"),
        ("openai/v1/videos", b'{"model": "m", "prompt": "x", "seconds": "9000"}'),
        ("cohere/v2/embed", b'{"model": "m"}'),
    ],
)
def test_what_makes_no_sense_is_refused(simulator, path, body):
    answer = httpx.post(f"{simulator}/{path}", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
