"""Transcriptions: every form of one answer says the same, and no form goes round the guard."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.usage import Usage
from gateway.domain import Choice, Text
from gateway.errors import InvalidRequest, UnsupportedFeature, UpstreamProtocolError, UpstreamRateLimited
from gateway.media.transcription import Surface
from gateway.providers.multipart import FilePart
from tests.providers.exchanges import deployment, sse

RECORDING = FilePart("file", "회의.wav", "audio/wav", b"RIFF" + bytes(2000))
SHOWN = [{"type": "input_audio", "filename": "회의.wav"}]
SEGMENTS = [
    {"id": 0, "start": 0.0, "end": 3.5, "text": " 안녕하십니까.", "tokens": [1, 2]},
    {"id": 1, "start": 3.5, "end": 3661.25, "text": " 회의를 <시작>하겠습니다.", "tokens": [3]},
]
ANSWER = {
    "task": "transcribe",
    "language": "korean",
    "duration": 3661.25,
    "text": "안녕하십니까. 회의를 <시작>하겠습니다.",
    "segments": SEGMENTS,
    "words": [{"word": "안녕하십니까", "start": 0.0, "end": 3.5}],
    "usage": {"type": "duration", "seconds": 3662},
}
WHISPER = deployment(upstream_model="whisper-1")
TRANSCRIBE = deployment(upstream_model="gpt-4o-transcribe")


def asked(**fields: Any) -> Any:
    return Surface(RECORDING).parse({"model": "m", "input": SHOWN, **fields})


def written(form: str, guard: Any = lambda text: text, answer: Any = ANSWER) -> bytes:
    """Write an answer in a form, with `guard` over what the choice says, as the pipeline does."""
    decoder = asked(response_format=form).work.Decoder(WHISPER, stream=False)
    decoder.feed(json.dumps(answer).encode())
    completion = decoder.finish()
    choices = tuple(
        Choice(c.index, tuple(Text(guard(p.text)) for p in c.parts), c.finish_reason)
        for c in completion.choices
    )
    return Surface.encode(replace(completion, choices=choices), "m", "id", 0)


def test_plain_forms_hold_the_text() -> None:
    assert written("text").decode() == ANSWER["text"]
    assert json.loads(written("json")) == {"text": ANSWER["text"], "usage": ANSWER["usage"]}


def test_the_whole_object_passes_as_it_is_where_nothing_was_masked() -> None:
    assert json.loads(written("verbose_json")) == ANSWER


def test_subtitles_have_the_providers_times() -> None:
    assert written("srt").decode() == (
        "1\n00:00:00,000 --> 00:00:03,500\n안녕하십니까.\n\n"
        "2\n00:00:03,500 --> 01:01:01,250\n회의를 <시작>하겠습니다.\n"
    )
    assert written("vtt").decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:03.500\n안녕하십니까.\n\n"
        "00:00:03.500 --> 01:01:01.250\n회의를 &lt;시작>하겠습니다.\n"
    )


@pytest.mark.parametrize("form", ["verbose_json", "srt", "vtt", "text", "json"])
def test_no_form_says_what_the_guard_took_out(form: str) -> None:
    said = written(form, lambda text: text.replace("회의", "⟦X⟧")).decode()
    assert "회의" not in said
    assert "⟦X⟧" in said
    assert "tokens" not in said


def test_words_are_left_out_where_the_guard_changed_anything() -> None:
    said = json.loads(written("verbose_json", lambda text: text.replace("안녕", "⟦X⟧")))
    assert "words" not in said
    assert [one["text"] for one in said["segments"]] == ["⟦X⟧하십니까.", "회의를 <시작>하겠습니다."]
    assert said["text"] == "⟦X⟧하십니까. 회의를 <시작>하겠습니다."


@pytest.mark.parametrize("form", ["verbose_json", "srt", "vtt"])
def test_what_was_masked_over_the_end_of_a_line_makes_one_segment(form: str) -> None:
    said = written(form, lambda text: text.replace("십니까.\n회의", "⟦X⟧")).decode()
    assert "안녕하⟦X⟧를" in said
    assert "01:01:01" in said or '"end":3661.25' in said


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_any_lines_come_back_to_their_times(lines: list[str]) -> None:
    segments = [{"start": i, "end": i + 1, "text": line} for i, line in enumerate(lines)]
    said = written("srt", answer={"text": "x", "segments": segments, "duration": 9}).decode()
    assert said.count(" --> ") == len(lines) + sum(line.count(" --> ") for line in lines)
    assert f"{len(lines)}\n00:00:{len(lines) - 1:02},000" in said


def test_what_each_model_can_do_is_asked_of_it_and_the_rest_refused_by_name() -> None:
    def form_of(to: Any, **fields: Any) -> bytes:
        body = asked(**fields).work.write(to).body
        return body.split(b'name="response_format"\r\n\r\n')[1].split(b"\r\n")[0]

    assert form_of(WHISPER) == form_of(WHISPER, response_format="srt") == b"verbose_json"
    assert form_of(TRANSCRIBE) == b"json"
    assert form_of(deployment(upstream_model="voxtral"), response_format="vtt") == b"verbose_json"
    speakers = deployment(upstream_model="gpt-4o-transcribe-diarize")
    assert form_of(speakers, response_format="diarized_json") == b"diarized_json"
    for to, form in ((TRANSCRIBE, "srt"), (TRANSCRIBE, "verbose_json"), (WHISPER, "diarized_json")):
        with pytest.raises(UnsupportedFeature, match=form):
            form_of(to, response_format=form)


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": "docx"},
        {"response_format": 3},
        {"stream": "maybe"},
        {"stream": "true", "response_format": "srt"},
    ],
)
def test_a_form_that_does_not_exist_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        asked(**fields)


def test_an_answer_without_times_makes_no_subtitles() -> None:
    with pytest.raises(UpstreamProtocolError):
        written("srt", answer={"text": "안녕"})
    assert written("srt", answer={"text": "", "segments": []}) == b""


# --- streams -------------------------------------------------------------------------------------

TOKENS = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    "output_tokens": 5,
    "total_tokens": 19,
}
STREAM = sse(
    {"type": "transcript.text.delta", "delta": "안녕", "logprobs": []},
    {"type": "transcript.text.segment", "id": "s", "start": 0, "end": 1, "text": "안녕"},
    {"type": "transcript.text.delta", "delta": "하십니까"},
    {"type": "transcript.text.done", "text": "안녕하십니까", "usage": TOKENS},
)


def streamed(body: bytes, to: Any = TRANSCRIBE, pieces: int = 1) -> tuple[list[dict[str, Any]], Any]:
    """Return the events for the client and the completion."""
    request = asked(stream="true")
    assert request.stream
    decoder = request.work.Decoder(to, stream=True)
    encoder = Surface.StreamEncoder("m", "id", 0, include_usage=False)
    step = -(-len(body) // pieces)
    written = b""
    for at in range(0, len(body), step):
        written += encoder.deltas(decoder.feed(body[at : at + step]))
    completion = decoder.finish()
    written += encoder.end(completion.report.usage if completion.report else None)
    return [json.loads(line[6:]) for line in written.decode().split("\n\n") if line], completion


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_a_stream_is_passed_on_event_by_event_and_counted(pieces: int) -> None:
    events, completion = streamed(STREAM, pieces=pieces)
    assert [event.get("delta") for event in events] == ["안녕", "하십니까", None]
    assert events[-1] == {"type": "transcript.text.done", "text": "안녕하십니까", "usage": TOKENS}
    assert completion.complete
    assert completion.report.usage == Usage(input=4, audio_input=10, output=5)


def test_a_model_that_cannot_stream_is_read_all_the_same() -> None:
    assert b"stream" not in asked(stream="true").work.write(WHISPER).body.replace(b"octet-stream", b"")
    events, completion = streamed(json.dumps(ANSWER).encode(), WHISPER)
    assert [event["type"] for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1]["usage"] == {"type": "duration", "seconds": 3662}
    assert completion.report.usage == Usage(audio_ms=3_662_000)


def test_a_stream_without_its_end_is_incomplete_and_its_error_named() -> None:
    _, completion = streamed(STREAM[:150])
    assert not completion.complete
    decoder = asked(stream="true").work.Decoder(TRANSCRIBE, stream=True)
    assert decoder.feed(STREAM[: STREAM.index(b"\n\n") + 2])
    with pytest.raises(UpstreamRateLimited):
        decoder.feed(sse({"type": "error", "error": {"type": "rate_limit_error"}}))
