"""`haechi transcripts`: replay recorded exchanges with providers through the adapters.

A recording is one JSON file: `provider`, `request` (`method`, `uri`, `json` or `text`) and `response`
(`status`, `content_type`, and `json`, `text` or `base64`). What each says is printed as one line:
`ok` is whether the adapter understood the exchange; an error that the provider answered is understood.
"""

from __future__ import annotations

import base64
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from botocore.eventstream import EventStreamBuffer, ParserError

from billing.usage import CLASSES
from gateway.catalogue import Deployment
from gateway.domain import Text, ToolCall, Zone
from gateway.errors import UpstreamError, UpstreamProtocolError
from gateway.providers import adapter, audio, embeddings, failures, images, video

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.domain import Completion, UsageReport
    from gateway.providers.base import Decoder

_WIRES = (
    # (what the path contains, surface, wire)
    ("/chat/completions", "chat", "openai"),
    ("count_tokens", "count_tokens", ""),
    ("count-tokens", "count_tokens", ""),
    ("countTokens", "count_tokens", ""),
    ("/responses/input_tokens", "count_tokens", ""),
    ("/responses", "responses", "responses"),
    ("/messages", "messages", "anthropic"),
    ("RawPredict", "messages", "anthropic"),
    ("rawPredict", "messages", "anthropic"),
    (":predict", "embeddings", ""),
    ("enerateContent", "generate_content", "gemini"),
    ("/converse", "converse", "bedrock"),
    ("/v2/chat", "cohere_chat", "cohere"),
    ("mbedContent", "embeddings", ""),
    ("mbedContents", "embeddings", ""),
    ("/embed", "embeddings", ""),
    ("embeddings", "embeddings", ""),
    ("feature-extraction", "embeddings", ""),
    ("/invoke-with-response-stream", "messages", "anthropic"),
    ("/invoke", "embeddings", ""),
    ("/images/", "images", ""),
    ("/audio/transcriptions", "transcription", ""),
    ("/audio/translations", "transcription", ""),
    ("/audio/speech", "speech", ""),
    ("/videos", "video", ""),
    ("/completions", "completions", "openai"),
)
_BINARY_STREAM = "application/vnd.amazon.eventstream"


@dataclass(frozen=True, slots=True)
class Recording:
    """One exchange; `status` and `body` are what the provider answered."""

    file: str
    provider: str
    uri: str
    asked: Any
    status: int
    content_type: str
    body: bytes = field(repr=False)

    @property
    def is_stream(self) -> bool:
        """Whether the answer came as events, also where its content type does not say so."""
        marked = "event" in self.content_type or self.body.startswith((b"data:", b"event:", b": "))
        return marked or self.is_binary

    @property
    def is_binary(self) -> bool:
        """Whether it came as an AWS event stream; where no content type says it, its address does."""
        if self.content_type:
            return self.content_type.partition(";")[0].strip() == _BINARY_STREAM
        return urlsplit(self.uri).path.endswith(("/converse-stream", "/invoke-with-response-stream"))


def read(path: Path, directory: Path) -> Recording:
    """Read a recording. Raises ValueError if the file is none."""
    try:
        stored = orjson.loads(path.read_bytes())
        request, response = stored["request"], stored["response"]
        return Recording(
            str(path.relative_to(directory)),
            str(stored.get("provider") or path.parent.name),
            str(request.get("uri") or ""),
            _asked(request),
            int(response["status"]),
            str(response.get("content_type") or ""),
            _body(response),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        raise ValueError(f"{path.name} is not a recording") from e


def _asked(request: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """Return the request as JSON, also where it was stored as text; None for a form."""
    if "json" in request:
        return request["json"]
    with suppress(orjson.JSONDecodeError, TypeError):
        return orjson.loads(request.get("text") or "")
    return None


def _body(response: dict[str, Any]) -> bytes:
    if "json" in response:
        return orjson.dumps(response["json"])
    if "base64" in response:
        return base64.b64decode(response["base64"])
    return str(response.get("text") or "").encode()


def replay(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield one result for each `*.json` file below `directory`, in the order of their names."""
    for path in sorted(directory.rglob("*.json")):
        try:
            recording = read(path, directory)
        except ValueError:
            yield _line(str(path.relative_to(directory)), "", "", 0) | _failed("not_a_recording")
            continue
        yield replayed(recording)


def replayed(recording: Recording) -> dict[str, Any]:
    """Return what an adapter makes of one recording; see the module's docstring for its members."""
    surface, wire = _surface(recording)
    line = _line(recording.file, recording.provider, surface, recording.status)
    if not surface:
        return line | _failed("not a chat, embedding or error exchange")
    try:
        if recording.status >= 400:
            return line | _error(adapter(wire or "openai").error(recording.status, recording.body, {}))
        if surface == "count_tokens":
            return line | {"ok": True, "provider_total": embeddings.counted(recording.body)}
        return line | (_answer(recording, wire) if wire else _other(recording, surface))
    except UpstreamError as error:
        return line | _error(error)


def _surface(recording: Recording) -> tuple[str, str]:
    path = urlsplit(recording.uri).path
    for mark, surface, wire in _WIRES:
        if mark in path:
            return _invoked(recording) if mark == "/invoke" else (surface, wire)
    return ("error", "openai") if recording.status >= 400 else ("", "")


def _invoked(recording: Recording) -> tuple[str, str]:
    """Tell by the answer whose format Bedrock's `invoke` carries: Claude's, Nova's, OpenAI's or none."""
    with suppress(orjson.JSONDecodeError):
        answer = orjson.loads(recording.body)
        for member, found in _INVOKED.items():
            if isinstance(answer, dict) and member in answer:
                return found
    return "embeddings", ""


_INVOKED = {
    "stop_reason": ("messages", "anthropic"),
    "stopReason": ("converse", "bedrock"),
    "choices": ("chat", "openai"),
}


def _answer(recording: Recording, wire: str) -> dict[str, Any]:
    decoder = adapter(wire).Decoder(_deployment(recording, wire), stream=recording.is_stream)
    wrapped = wire == "anthropic" and recording.is_binary
    with suppress(UpstreamError):  # kept in `failure`; usage may have come before it
        decoder.feed(_unwrapped(recording.body) if wrapped else recording.body)
    completion = decoder.finish()
    return {"ok": True, **_said(completion), **_usage(completion.report), **_broken(decoder, completion)}


def _unwrapped(body: bytes) -> bytes:
    """Take Claude's events out of the binary stream that Bedrock's `invoke` wraps them in."""
    messages = EventStreamBuffer()
    messages.add_data(body)
    events: list[bytes] = []
    try:
        for message in messages:
            payload = orjson.loads(message.payload)
            kind = message.headers.get(":exception-type")
            failed = orjson.dumps({"type": "error", "error": {"type": kind}})
            events.append(failed if kind else base64.b64decode(payload["bytes"]))
    except (ParserError, ValueError, KeyError, TypeError) as e:
        raise failures.broken("not an AWS event stream") from e
    return b"".join(b"data: " + event + b"\n\n" for event in events)


def _other(recording: Recording, surface: str) -> dict[str, Any]:
    """Read what is no chat."""
    body = recording.body
    match surface:
        case "speech":
            said = recording.asked.get("input") if isinstance(recording.asked, dict) else None
            return {"ok": bool(body), "usage": {"characters": len(said)} if isinstance(said, str) else {}}
        case "video":
            job = video.read(body)
            return {"ok": True, **_usage(job.report()), "finish_reason": job.status}
        case "images":
            drawn = images.read(body)
            return {"ok": True, **_usage(drawn.report), "pictures": len(drawn.pictures)}
        case "transcription":
            written = audio.read(body)
            return {"ok": True, **_usage(written.report), "text": written.text}
        case _:
            found = embeddings.read(body, {})
            return {"ok": True, **_usage(found.report), "vectors": len(found.vectors)}


def _deployment(recording: Recording, wire: str) -> Deployment:
    """Build the deployment that such an exchange would have come from."""
    model = recording.asked.get("model") if isinstance(recording.asked, dict) else ""
    return Deployment(
        id=recording.provider,
        model_id=str(model or ""),
        provider=recording.provider,
        wire=wire,
        profile=recording.provider,
        base_url=recording.uri,
        upstream_model=str(model or ""),
        zone=Zone.EXTERNAL,
        price_key="",
    )


# --- one line ------------------------------------------------------------------------------------


def _line(file: str, provider: str, surface: str, status: int) -> dict[str, Any]:
    return {
        "file": file,
        "provider": provider,
        "surface": surface,
        "status": status,
        "ok": False,
        "text": "",
        "finish_reason": None,
        "tool_calls": [],
        "usage": {},
        "provider_total": None,
        "error": None,
    }


def _failed(reason: str) -> dict[str, Any]:
    return {"error": {"type": "NotReplayed", "code": None, "status": None, "message": reason}}


def _error(error: UpstreamError) -> dict[str, Any]:
    """Describe an error; the provider's own text stays out, since it may repeat a prompt."""
    described = {
        "type": type(error).__name__,
        "code": error.upstream_code,
        "status": error.upstream_status,
        "message": error.english,
    }
    return {"ok": not isinstance(error, UpstreamProtocolError), "error": described}


def _said(completion: Completion) -> dict[str, Any]:
    first = completion.choices[0] if completion.choices else None
    parts = first.parts if first else ()
    return {
        "text": "".join(part.text for part in parts if isinstance(part, Text)),
        "finish_reason": first.finish_reason if first else None,
        "tool_calls": [
            {"id": part.id, "name": part.name, "arguments": part.arguments}
            for part in parts
            if isinstance(part, ToolCall)
        ],
        "served_model": completion.served_model,
        "complete": completion.complete,
    }


def _usage(report: UsageReport | None) -> dict[str, Any]:
    if report is None:
        return {"usage": {}, "provider_total": None}
    stated = {name: getattr(report.usage, name) for name in CLASSES}
    cost = report.stated_cost_usd
    return {
        "usage": {name: quantity for name, quantity in stated.items() if quantity is not None},
        "provider_total": report.provider_total,
        "quarantined": report.usage.quarantined,
        "stated_cost_usd": None if cost is None else format(cost, "f"),
    }


def _broken(decoder: Decoder, completion: Completion) -> dict[str, Any]:
    if decoder.failure is not None:
        return _error(decoder.failure)
    if not completion.complete:
        return _error(failures.broken_off())
    return {}


# --- the command ---------------------------------------------------------------------------------


def transcripts(directory: Path, *, json: bool) -> None:
    """Print one line for each recording: JSON, or a short table; then, to stderr, what was not understood."""
    total, failed = 0, []
    for line in replay(directory):
        total += 1
        if not line["ok"]:
            failed.append(line)
        sys.stdout.write(orjson.dumps(line).decode() + "\n" if json else _short(line))
    sys.stderr.write(f"{total - len(failed)}/{total} ok\n")
    for line in failed:
        sys.stderr.write(f"{line['file']}: {line['error']['message']}\n")


def _short(line: dict[str, Any]) -> str:
    said = line["finish_reason"] or (line["error"] or {}).get("type") or ""
    tokens = " ".join(f"{name}={quantity}" for name, quantity in line["usage"].items() if quantity)
    return f"{'ok ' if line['ok'] else 'NO '} {line['surface']:<16} {said:<20} {tokens:<48} {line['file']}\n"
