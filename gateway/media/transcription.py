"""POST /v1/audio/transcriptions: a recording written down, in the form that the client wants. Pure.

Source: OpenAI API reference, "Audio". Metered by seconds or tokens. Providers are asked for JSON or events,
since only these state usage; subtitles are written here, from the times that the provider gives.

What was said goes through the guard as one text, a line for each segment, and its lines go back to their
times. Words and tokens of it, which would say the same unguarded, are left out where the guard changed
anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import orjson

from billing.usage import Usage
from gateway.domain import NOTHING, Text
from gateway.errors import InvalidRequest
from gateway.media import work
from gateway.providers import audio, failures
from gateway.surfaces import chat
from gateway.surfaces.reading import model_of, object_of, optional, wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.domain import JSON, Completion, Delta
    from gateway.providers.multipart import FilePart

_PLAIN: Final = "text/plain; charset=utf-8"
FORMS: Final = {
    "json": "application/json",
    "text": _PLAIN,
    "verbose_json": "application/json",
    "diarized_json": "application/json",
    "srt": _PLAIN,
    "vtt": _PLAIN,
}
_LINED: Final = frozenset({*audio.TIMED, "diarized_json"})
_TIMED: Final = frozenset({"srt", "vtt"})
_STREAMED: Final = frozenset({"json", "text"})
_OF_A_SEGMENT: Final = ("id", "type", "start", "end", "speaker")
"""What a segment keeps beside its text where the guard changed the text."""
SLOWEST_BYTES_PER_S: Final = 500
"""No codec in use needs fewer (4 kbit/s), so the size of a recording bounds its length."""


@dataclass(frozen=True, slots=True)
class Written:
    """A transcription in the form that it was asked for."""

    form: str
    answer: audio.Transcription


class Surface(work.MediaSurface):
    """A recording written down. The recording is no part of the JSON that the filter reads."""

    NAME = "transcription"
    KIND = "transcription"

    def __init__(self, recording: FilePart) -> None:
        self._recording = recording

    def parse(self, body: JSON) -> work.MediaRequest:
        """Read a request for a transcription. Raises InvalidRequest or UnsupportedFeature."""
        body = object_of(body)
        form, stream = _form(body), _stream(body)
        if stream and form not in _STREAMED:
            raise wrong_type("response_format", "stream에서는 json/json in a stream")
        if not self._recording.content:
            raise _empty()
        extra = work.rest(body, ("response_format", "input", "file"))
        (recording,) = work.as_inspected((self._recording,), body)
        request = audio.TranscriptionRequest(model_of(body), recording, extra, form, stream)
        made = work.Work(
            lambda deployment: audio.transcription(request, deployment),
            lambda answer, _headers: _read(answer, form),
            streamed=lambda deployment: audio.Decoder(deployment, stream=True),
        )
        longest_ms = len(self._recording.content) * 1000 // SLOWEST_BYTES_PER_S
        asked = work.asked(request.model, [str(extra.get("prompt", ""))], made, Usage(audio_ms=longest_ms))
        return replace(asked, stream=stream)

    @staticmethod
    def encode(completion: Completion, _model_id: str, _answer_id: str, _created: int) -> bytes:
        """Encode the text of the choice, which was guarded on its way."""
        parts = completion.choices[0].parts if completion.choices else ()
        text = "".join(part.text for part in parts if isinstance(part, Text))
        written: Written = work.done(completion).made
        match written.form:
            case "text":
                return text.encode()
            case "json":
                usage = written.answer.whole.get("usage")
                return orjson.dumps({"text": text} | ({"usage": usage} if usage else {}))
            case "srt":
                return _srt(_spoken(written.answer, text)).encode()
            case "vtt":
                return _vtt(_spoken(written.answer, text)).encode()
            case _:
                return orjson.dumps(_object(written.answer, text))

    class StreamEncoder:
        """Writes `transcript.text.delta` and `transcript.text.done`."""

        def __init__(self, *_of: object, include_usage: bool) -> None:
            del include_usage  # this dialect always says it
            self._said: list[str] = []

        def deltas(self, deltas: Sequence[Delta]) -> bytes:
            pieces = [delta.text for delta in deltas if delta.text]
            self._said += pieces
            return b"".join(_event({"type": "transcript.text.delta", "delta": piece}) for piece in pieces)

        def end(self, usage: Usage | None, _stated: Mapping[str, JSON] = NOTHING) -> bytes:
            done: dict[str, JSON] = {"type": "transcript.text.done", "text": "".join(self._said)}
            return _event(done | ({"usage": _usage(usage)} if usage else {}))

        error = staticmethod(chat.StreamEncoder.error)


# --- what was asked ------------------------------------------------------------------------------


def _form(body: Mapping[str, JSON]) -> str:
    form = optional(body, "response_format", str) or "json"
    if form not in FORMS:
        raise wrong_type("response_format", f"{', '.join(FORMS)} 중 하나/one of {', '.join(FORMS)}")
    return str(form)


def _stream(body: Mapping[str, JSON]) -> bool:
    """Read `stream`, which is text in a form."""
    value = body.get("stream")
    if value not in (None, True, False, "true", "false", "True", "False"):
        raise wrong_type("stream", "true나 false/true or false")
    return value in (True, "true", "True")


def _empty() -> InvalidRequest:
    return InvalidRequest(
        "'file'이 비어 있습니다. 녹음 파일을 보내세요.",
        "'file' is empty. Send a recording.",
        param="file",
        code="missing_field",
    )


# --- what was said, and when ---------------------------------------------------------------------


def _read(answer: bytes, form: str) -> work.Done:
    written = audio.read(answer)
    if form not in _LINED:
        text = written.text
    elif written.segments or not written.text:
        if form in _TIMED:
            for segment in written.segments:
                _clock(segment["start"], ".")  # raises for what is no time
                _clock(segment["end"], ".")
        text = "\n".join(_lines(written))
    else:
        raise failures.broken("a transcription without the times that were asked for")
    return work.Done(Written(form, written), written.report, text=text, content_type=FORMS[form])


def _lines(written: audio.Transcription) -> list[str]:
    return [" ".join(str(segment["text"]).split()) for segment in written.segments]


def _spoken(written: audio.Transcription, guarded: str) -> list[dict[str, JSON]]:
    """Give the guarded lines back their times.

    Where something was masked over the end of a line, the lines cannot be told apart any more: one
    segment then holds all of them.
    """
    lines, segments = guarded.split("\n"), written.segments
    if not segments:
        return []
    if len(lines) != len(segments):
        start, end = segments[0].get("start"), segments[-1].get("end")
        return [{"id": 0, "start": start, "end": end, "text": " ".join(lines)}]
    return [
        {**{name: segment[name] for name in _OF_A_SEGMENT if name in segment}, "text": line}
        for segment, line in zip(segments, lines, strict=True)
    ]


def _object(written: audio.Transcription, guarded: str) -> dict[str, JSON]:
    if guarded == "\n".join(_lines(written)):
        return dict(written.whole)
    segments = _spoken(written, guarded)
    kept = {name: value for name, value in written.whole.items() if name not in ("words", "logprobs")}
    return kept | {"text": " ".join(str(one["text"]) for one in segments), "segments": segments}


def _srt(segments: Sequence[Mapping[str, JSON]]) -> str:
    return "\n".join(
        f"{number}\n{_clock(segment['start'], ',')} --> {_clock(segment['end'], ',')}\n{segment['text']}\n"
        for number, segment in enumerate(segments, 1)
    )


def _vtt(segments: Sequence[Mapping[str, JSON]]) -> str:
    return "\n".join(["WEBVTT\n", *_cues(segments)])


def _cues(segments: Sequence[Mapping[str, JSON]]) -> Iterator[str]:
    for segment in segments:
        text = str(segment["text"]).replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")
        yield f"{_clock(segment['start'], '.')} --> {_clock(segment['end'], '.')}\n{text}\n"


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(float(seconds) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"


# --- events --------------------------------------------------------------------------------------


def _event(event: Mapping[str, JSON]) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _usage(usage: Usage) -> dict[str, JSON]:
    if not usage.total_tokens:
        return {"type": "duration", "seconds": -(-(usage.audio_ms or 0) // 1000)}
    heard = usage.audio_input or 0
    return {
        "type": "tokens",
        "input_tokens": usage.input_tokens,
        "input_token_details": {"text_tokens": usage.input_tokens - heard, "audio_tokens": heard},
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
