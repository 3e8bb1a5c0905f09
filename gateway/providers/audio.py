"""Speech and transcription in OpenAI's format, metered by characters, seconds or tokens. Pure.

Source: https://platform.openai.com/docs/api-reference/audio. Speech answers with the sound itself and
states no usage, so what was asked for is what is counted. Transcriptions are always asked for as JSON,
since only that form states usage; the surface writes the form that the client wants.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from billing.usage import Usage
from gateway.domain import NOTHING, UpstreamRequest, UsageReport
from gateway.providers import failures, multipart, profiles, reach
from gateway.providers.counting import count, part, rest, settled
from gateway.providers.writing import lacking, present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON
    from gateway.providers.multipart import FilePart

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


@dataclass(frozen=True, slots=True)
class Transcription:
    """`whole` is the provider's whole object: text, and where asked for segments and words."""

    text: str = field(repr=False)
    whole: Mapping[str, JSON] = field(repr=False)
    report: UsageReport | None


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
    pairs = [pair for name, value in fields.items() for pair in _fields(name, value)]
    content_type, form = multipart.encode(pairs, [asked.recording])
    headers = reach.headers(deployment, profile, "application/json", content_type)
    return UpstreamRequest("POST", reach.address(deployment, "audio/transcriptions"), headers, form)


def _form(deployment: Deployment, asked: TranscriptionRequest) -> str:
    """Ask for the length too where the model can say it (Whisper), or for who speaks where that was asked."""
    if asked.extra.get("response_format") == "diarized_json":
        return "diarized_json"
    return "verbose_json" if "whisper" in deployment.upstream_model else "json"


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
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        return None
    return UsageReport(Usage(audio_ms=round(seconds * 1000)), usage or {"duration": seconds})
