"""Speech and transcription in OpenAI's format, metered by characters, seconds or tokens. Pure.

Source: https://platform.openai.com/docs/api-reference/audio. Speech answers with the sound itself and
states no usage, so what was asked for is what is counted. Transcriptions are always asked for as JSON
or as events, since only these state usage; the surface writes the form that the client wants.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import orjson

from billing.usage import Usage
from gateway.domain import NOTHING, UpstreamRequest, UsageReport
from gateway.providers import failures, multipart, profiles, reach
from gateway.providers.blocks import Blocks
from gateway.providers.counting import MAX_COUNT, count, part, rest, settled
from gateway.providers.decoding import AnswerDecoder
from gateway.providers.writing import lacking, present

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, Choice, Delta
    from gateway.providers.multipart import FilePart

TIMED: Final = ("verbose_json", "srt", "vtt")
"""Forms that say what was said when."""
_WIRES: Final = frozenset({"openai", "responses"})
error = failures.from_response


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A text to be spoken; `extra` has `instructions` and `speed`."""

    model: str
    text: str
    voice: JSON
    response_format: str | None = None
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """A recording to be written down; `extra` has `language`, `prompt` and more."""

    model: str
    recording: FilePart = field(repr=False)
    extra: Mapping[str, JSON] = NOTHING
    form: str = "json"
    """As the client wants it: `json`, `text`, `verbose_json`, `srt`, `vtt` or `diarized_json`."""
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Transcription:
    """`whole` is the provider's whole object: text, and where asked for segments and words."""

    text: str = field(repr=False)
    whole: Mapping[str, JSON] = field(repr=False)
    report: UsageReport | None

    @property
    def segments(self) -> Sequence[Mapping[str, JSON]]:
        """Return what was said when: each has `start` and `end` in seconds, and `text`."""
        return self.whole.get("segments") or ()


def speech(asked: SpeechRequest, deployment: Deployment) -> UpstreamRequest:
    """Write a request for speech. Raises UnsupportedFeature."""
    profile = _profile(deployment)
    body = {
        **asked.extra,
        **present(response_format=asked.response_format),
        "model": deployment.upstream_model,
        "input": asked.text,
        "voice": asked.voice,
    }
    headers = reach.headers(deployment, profile, "*/*")
    return UpstreamRequest("POST", reach.address(deployment, "audio/speech"), headers, orjson.dumps(body))


def speech_report(asked: SpeechRequest) -> UsageReport:
    """Count what was asked for: Unicode characters, as providers bill them."""
    characters = len(asked.text)
    return UsageReport(Usage(characters=characters), {"characters": characters})


def transcription(asked: TranscriptionRequest, deployment: Deployment) -> UpstreamRequest:
    """Write a request for a transcription. Raises UnsupportedFeature."""
    profile = _profile(deployment)
    fields = {**asked.extra, "model": deployment.upstream_model, "response_format": _form(deployment, asked)}
    if asked.stream and not _is_whisper(deployment):
        fields["stream"] = "true"
    pairs = [pair for name, value in fields.items() for pair in _fields(name, value)]
    content_type, form = multipart.encode(pairs, [asked.recording])
    accept = "text/event-stream" if "stream" in fields else "application/json"
    headers = reach.headers(deployment, profile, accept, content_type)
    return UpstreamRequest("POST", reach.address(deployment, "audio/transcriptions"), headers, form)


def _form(deployment: Deployment, asked: TranscriptionRequest) -> str:
    """Ask for the times where the client needs them, and for the length where the model can say it (Whisper).

    OpenAI's transcribe models know no times; only those that diarize know who speaks.
    """
    model = deployment.upstream_model
    if asked.form == "diarized_json":
        if "diarize" not in model:
            raise lacking("response_format diarized_json", "response_format")
        return "diarized_json"
    if asked.form in TIMED and "transcribe" in model and model.startswith("gpt-"):
        raise lacking(f"response_format {asked.form}", "response_format")
    return "verbose_json" if asked.form in TIMED or _is_whisper(deployment) else "json"


def _is_whisper(deployment: Deployment) -> bool:
    """Whether a model is one of Whisper, which answers whole even if it is asked to stream."""
    return "whisper" in deployment.upstream_model


def _fields(name: str, value: JSON) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [(f"{name}[]", _text(item)) for item in value]
    return [(name, _text(value))]


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _profile(deployment: Deployment) -> profiles.Profile:
    if deployment.wire not in _WIRES:
        raise lacking(f"audio over the wire format {deployment.wire}", "model")
    return profiles.of(deployment)


def read(body: bytes) -> Transcription:
    """Read a transcription. Raises UpstreamError."""
    try:
        answer: dict[str, JSON] = orjson.loads(body)
        if answer.get("error"):
            raise failures.from_event(answer["error"])
        return Transcription(str(answer["text"]), answer, _report(answer))
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise failures.broken("not a transcription") from e


def _report(answer: Mapping[str, JSON]) -> UsageReport | None:
    """Read tokens (gpt-4o-transcribe) or seconds (Whisper); None where neither is stated."""
    usage = part(answer, "usage")
    if usage.get("type") == "tokens" or "input_tokens" in usage:
        heard = count(part(usage, "input_token_details"), "audio_tokens")
        return settled(
            {
                "input": rest(count(usage, "input_tokens"), heard),
                "audio_input": heard,
                "output": count(usage, "output_tokens"),
            },
            usage,
            provider_total=count(usage, "total_tokens"),
        )
    seconds = usage.get("seconds", answer.get("duration"))
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < MAX_COUNT:
        return None
    return UsageReport(Usage(audio_ms=round(seconds * 1000)), usage or {"duration": seconds})


class Decoder(AnswerDecoder):
    """Reads a transcription that is streamed, or comes whole because its model cannot stream."""

    def __init__(self, deployment: Deployment, *, stream: bool) -> None:
        super().__init__(stream=stream)
        self.served_model = deployment.upstream_model
        self._blocks = Blocks()

    def choices(self) -> tuple[Choice, ...]:
        return (self._blocks.as_choice(),) if self._blocks else ()

    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport:
        report = _report({"usage": raw}) or UsageReport(Usage(), raw, partial=True)
        return replace(report, partial=True) if partial else report

    def take_event(self, event: JSON, deltas: list[Delta]) -> None:
        match event["type"]:
            case "transcript.text.delta":
                deltas.append(self._blocks.text(0, event["delta"]))
            case "transcript.text.done":
                self._end(event["text"], event.get("usage"), deltas)
                self.ended = True
            case "error":
                self.failure = failures.from_event(event.get("error") or event)
            case _:  # segments, which say the same again
                pass

    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        if body.get("error"):
            self.failure = failures.from_event(body["error"])
            return
        self._end(body["text"], body.get("usage") or {"seconds": body.get("duration")}, deltas)

    def _end(self, text: str, usage: JSON, deltas: list[Delta]) -> None:
        self.raw_usage = usage
        if not self._blocks and text:
            deltas.append(self._blocks.text(0, text))
        deltas.append(self._blocks.finish("stop"))
