"""POST /v1/audio/speech. Pure.

Source: OpenAI API reference, "Audio". Speech is metered by the characters that are spoken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.media import work
from gateway.providers import audio, failures
from gateway.surfaces.reading import model_of, object_of, optional, refuse, wrong_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.domain import JSON, Completion

MAX_SPOKEN_CHARACTERS: Final = 100_000
SOUND_TYPES: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


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
