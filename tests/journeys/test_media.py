"""Embeddings, pictures, speech and transcription: inspected, answered, and charged by their own units."""

from __future__ import annotations

import io
import json
import wave
from typing import TYPE_CHECKING, Any

import pytest
from openai import BadRequestError

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway


def charge_of(gateway: Gateway, response: Any) -> dict[str, Any]:
    charges = gateway.charges(response.headers["x-request-id"])
    assert len(charges) == 1
    return charges[0]


def lines_of(gateway: Gateway, charge: dict[str, Any]) -> dict[str, int]:
    rows = gateway.rows("SELECT * FROM ledger_charge_line WHERE charge_id = :c", c=charge["charge_id"])
    return {row["token_class"]: row["amount_nano_krw"] for row in rows}


def recording(seconds: float) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * int(8000 * seconds))
    return held.getvalue()


@pytest.mark.parametrize("form", ["float", "base64"])
def test_texts_are_embedded_and_charged_by_tokens(gateway: Gateway, form: Any) -> None:
    with gateway.client() as client:
        raw = client.embeddings.with_raw_response.create(
            model="sim-embedding", input=["도로 점용 허가", "민원 회신"], encoding_format=form
        )
    body = json.loads(raw.text) if isinstance(raw.text, str) else raw.http_response.json()
    assert [item["index"] for item in body["data"]] == [0, 1]
    assert isinstance(body["data"][0]["embedding"], str if form == "base64" else list)
    assert body["model"] == "sim-embedding"
    charge = charge_of(gateway, raw)
    assert (charge["surface"], charge["input"]) == ("embeddings", body["usage"]["prompt_tokens"])
    assert charge["amount_nano_krw"] > 0


def test_a_text_to_embed_is_masked_or_refused_like_any_other(gateway: Gateway) -> None:
    with gateway.client() as client, pytest.raises(BadRequestError) as refused:
        client.embeddings.create(model="sim-embedding", input=["안녕", "주민번호 901010-1234567"])
    assert refused.value.type == "sensitive_data_blocked"
    assert refused.value.param == "input[1]"
    response = gateway.post(
        {"model": "sim-embedding", "input": "연락처 010-1234-5678"}, path="/v1/embeddings"
    )
    assert response.headers["x-haechi-verdict"] == "mask"
    attempt = charge_of(gateway, response)["attempt_id"]
    asked = [r for r in gateway.simulator.ledger() if r["attempt_id"] == attempt]
    assert "5678" not in json.dumps(asked, ensure_ascii=False)


def test_arrays_of_tokens_cannot_be_inspected_and_are_refused(gateway: Gateway) -> None:
    response = gateway.post({"model": "sim-embedding", "input": [1, 2, 3]}, path="/v1/embeddings")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "input")


def test_pictures_are_drawn_and_charged_by_the_piece(gateway: Gateway) -> None:
    with gateway.client() as client:
        raw = client.images.with_raw_response.generate(model="sim-image", prompt="경복궁의 해치", n=2)
        drawn = raw.parse()
    assert len(drawn.data) == 2
    assert all(picture.b64_json or picture.url for picture in drawn.data)
    charge = charge_of(gateway, raw)
    assert charge["images"] == 2
    assert lines_of(gateway, charge)["images"] == 2 * 55_648_000_000  # 0.04 USD × 1391.20 won


def test_a_picture_to_change_stays_in_house(gateway: Gateway) -> None:
    picture = ("seal.png", b"\x89PNG\r\n\x1a\n", "image/png")
    with gateway.client() as client:
        with pytest.raises(BadRequestError) as refused:
            client.images.edit(model="sim-image", image=picture, prompt="배경을 밝게")
        assert refused.value.code == "unreadable_part"
        drawn = client.images.edit(model="house-image", image=picture, prompt="배경을 밝게")
    assert drawn.data


def test_a_text_is_spoken_and_charged_by_characters(gateway: Gateway) -> None:
    text = "안내 말씀 드립니다. 오늘 청사는 여섯 시에 닫습니다."
    with gateway.client() as client:
        raw = client.audio.speech.with_raw_response.create(
            model="sim-speech", voice="alloy", input=text, response_format="wav"
        )
    assert raw.headers["content-type"] == "audio/wav"
    assert raw.http_response.content
    charge = charge_of(gateway, raw)
    assert charge["characters"] == len(text)
    assert charge["amount_nano_krw"] > 0


def test_a_recording_is_written_down_in_house_and_charged_by_seconds(gateway: Gateway) -> None:
    with gateway.client() as client:
        raw = client.audio.transcriptions.with_raw_response.create(
            model="house-transcription", file=("meeting.wav", recording(3.0), "audio/wav")
        )
        assert raw.parse().text
    charge = charge_of(gateway, raw)
    assert charge["surface"] == "transcription"
    assert charge["audio_ms"] > 0


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("text", "3초 "),
        ("verbose_json", ""),
        ("srt", "1\n00:00:00,000 --> "),
        ("vtt", "WEBVTT\n\n00:00:00.000 -->"),
    ],
)
def test_a_recording_is_written_down_in_every_form_of_its_client(
    gateway: Gateway, form: Any, begins: str
) -> None:
    with gateway.client() as client:
        raw = client.audio.transcriptions.with_raw_response.create(
            model="house-transcription",
            file=("meeting.wav", recording(3.0), "audio/wav"),
            response_format=form,
        )
        said: Any = raw.parse()
    if form == "verbose_json":
        assert [round(segment.end, 1) for segment in said.segments] == [1.5, 3.0]
        assert said.duration == 3.0
    else:
        assert said.startswith(begins)
    assert charge_of(gateway, raw)["audio_ms"] == 3000


@pytest.mark.parametrize("model", ["house-transcribe", "house-transcription"], ids=["streams", "whisper"])
def test_a_transcription_is_streamed_where_its_model_streams(gateway: Gateway, model: str) -> None:
    with gateway.client() as client:
        raw = client.audio.transcriptions.with_raw_response.create(
            model=model, file=("meeting.wav", recording(3.0), "audio/wav"), stream=True
        )
        events: list[Any] = list(raw.parse())
    pieces = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert (len(pieces) > 1) == (model == "house-transcribe")
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == "".join(pieces)
    assert events[-1].usage.seconds == 3
    assert charge_of(gateway, raw)["audio_ms"] == 3000


def test_pictures_are_charged_by_size_and_quality(gateway: Gateway) -> None:
    with gateway.client() as client:
        raw = client.images.with_raw_response.generate(
            model="sim-image", prompt="경복궁의 해치", size="1024x1536", quality="high"
        )
        picture = ("seal.png", b"\x89PNG\r\n\x1a\n", "image/png")
        edit = client.images.with_raw_response.edit(
            model="house-image", image=picture, prompt="배경을 밝게", size="1024x1024", quality="low"
        )
    charge = charge_of(gateway, raw)
    assert (charge["images"], charge["service_tier"]) == (1, "1024x1536/high")
    assert lines_of(gateway, charge)["images"] == 347_800_000_000  # 0.25 USD × 1391.20 won
    assert lines_of(gateway, charge_of(gateway, edit))["images"] == 15_303_200_000  # 0.011 USD × 1391.20 won


def test_a_recording_does_not_go_outside_unread(gateway: Gateway) -> None:
    with gateway.client() as client, pytest.raises(BadRequestError) as refused:
        client.audio.transcriptions.create(
            model="sim-transcription", file=("meeting.wav", recording(1.0), "audio/wav")
        )
    assert refused.value.code == "unreadable_part"


def test_a_file_name_is_inspected_too(gateway: Gateway) -> None:
    name = "면담 901010-1234567.wav"
    with gateway.client() as client:
        raw = client.audio.transcriptions.with_raw_response.create(
            model="house-transcription", file=(name, recording(1.0), "audio/wav")
        )
    assert raw.headers["x-haechi-verdict"] == "mask"
    attempt = charge_of(gateway, raw)["attempt_id"]
    asked = [r for r in gateway.simulator.ledger() if r["attempt_id"] == attempt]
    assert "1234567" not in json.dumps(asked, ensure_ascii=False)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/embeddings", {"model": "sim-embedding"}, "missing_field"),
        ("/v1/embeddings", {"model": "sim-large", "input": "."}, "unsupported_feature"),
        (
            "/v1/chat/completions",
            {"model": "sim-embedding", "messages": [{"role": "user", "content": "."}]},
            "unsupported_feature",
        ),
        ("/v1/images/generations", {"model": "sim-image"}, "missing_field"),
        ("/v1/images/generations", {"model": "sim-image", "prompt": ".", "n": 99}, "invalid_value"),
        ("/v1/audio/speech", {"model": "sim-speech", "voice": "alloy"}, "invalid_type"),
        (
            "/v1/audio/speech",
            {"model": "sim-speech", "voice": "alloy", "input": ".", "response_format": "exe"},
            "invalid_type",
        ),
        ("/v1/audio/transcriptions", {"model": "house-transcription"}, "malformed_form"),
    ],
)
def test_bad_input_is_named(gateway: Gateway, path: str, body: Any, code: str) -> None:
    response = gateway.post(body, path=path)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)
