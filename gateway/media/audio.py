"""POST /v1/audio/speech and /v1/audio/transcriptions. Pure.

Source: OpenAI API reference, "Audio". Speech is metered by characters, transcription by seconds or tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from billing.usage import Usage
from gateway.domain import Text
from gateway.errors import InvalidRequest, UnsupportedFeature
from gateway.media import work
from gateway.providers import audio, failures
from gateway.surfaces.reading import model_of, object_of, optional, refuse, wrong_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON, Completion
    from gateway.providers.multipart import FilePart

MAX_SPOKEN_CHARACTERS: Final = 100_000
SOUND_TYPES: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
SLOWEST_BYTES_PER_S: Final = 500
"""No codec in use needs fewer (4 kbit/s), so the size of a recording bounds its length."""


class Speech(work.MediaSurface):
    NAME = "speech"
    KIND = "speech"

    @staticmethod
    def parse(body: JSON) -> work.MediaRequest:
        """Read a request for speech. Raises InvalidRequest or UnsupportedFeature."""
        body = object_of(body)
        text = optional(body, "input", str)
        if not text or len(text) > MAX_SPOKEN_CHARACTERS:
            raise wrong_type(
                "input", f"1~{MAX_SPOKEN_CHARACTERS}자의 글/a text of at most {MAX_SPOKEN_CHARACTERS}"
            )
        refuse(body, "stream_format", "소리는 한 번에 받습니다.", "sound is answered in one piece.")
        form = optional(body, "response_format", str) or "mp3"
        if form not in SOUND_TYPES:
            raise wrong_type(
                "response_format", f"{', '.join(SOUND_TYPES)} 중 하나/one of {', '.join(SOUND_TYPES)}"
            )
        extra = work.rest(body, ("input", "voice", "response_format", "stream_format"))
        request = audio.SpeechRequest(model_of(body), text, body.get("voice") or "alloy", form, extra)
        report = audio.speech_report(request)

        def read(sound: bytes, headers: Mapping[str, str]) -> work.Done:
            if not sound or headers.get("content-type", "").startswith(("text/", "application/json")):
                raise failures.broken("no sound")
            return work.Done(sound, report, content_type=SOUND_TYPES[form])

        made = work.Work(lambda deployment: audio.speech(request, deployment), read)
        return work.asked(request.model, [text], made, maxima=report.usage, expected=report.usage)

    @staticmethod
    def encode(completion: Completion, _model_id: str, _answer_id: str, _created: int) -> bytes:
        sound: bytes = work.done(completion).made
        return sound


class Transcription(work.MediaSurface):
    """A recording written down. The recording is no part of the JSON that the filter reads."""

    NAME = "transcription"
    KIND = "transcription"

    def __init__(self, recording: FilePart) -> None:
        self._recording = recording

    def parse(self, body: JSON) -> work.MediaRequest:
        """Read a request for a transcription. Raises InvalidRequest or UnsupportedFeature."""
        body = object_of(body)
        refuse(body, "stream", "받아쓴 글은 한 번에 받습니다.", "transcriptions are answered in one piece.")
        form = optional(body, "response_format", str) or "json"
        if form not in ("json", "text"):
            raise UnsupportedFeature(
                f"'response_format': '{form[:20]}' 형식은 아직 없습니다. json이나 text를 쓰세요.",
                f"'response_format': '{form[:20]}' is not offered yet. Use json or text.",
                param="response_format",
            )
        if not self._recording.content:
            raise InvalidRequest(
                "'file'이 비어 있습니다. 녹음 파일을 보내세요.",
                "'file' is empty. Send a recording.",
                param="file",
                code="missing_field",
            )
        extra = work.rest(body, ("response_format", "input", "file"))
        (recording,) = work.as_inspected((self._recording,), body)
        request = audio.TranscriptionRequest(model_of(body), recording, extra)

        def read(answer: bytes, _headers: Mapping[str, str]) -> work.Done:
            written = audio.read(answer)
            return work.Done(form, written.report, text=written.text, content_type=_CONTENT_TYPES[form])

        made = work.Work(lambda deployment: audio.transcription(request, deployment), read)
        longest_ms = len(self._recording.content) * 1000 // SLOWEST_BYTES_PER_S
        return work.asked(request.model, [str(extra.get("prompt", ""))], made, Usage(audio_ms=longest_ms))

    @staticmethod
    def encode(completion: Completion, _model_id: str, _answer_id: str, _created: int) -> bytes:
        """Encode the text of the choice, which was guarded on its way."""
        parts = completion.choices[0].parts if completion.choices else ()
        text = "".join(part.text for part in parts if isinstance(part, Text))
        return text.encode() if work.done(completion).made == "text" else orjson.dumps({"text": text})


_CONTENT_TYPES: Final = {"json": "application/json", "text": "text/plain; charset=utf-8"}
