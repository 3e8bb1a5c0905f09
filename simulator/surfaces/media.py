"""Images, speech and transcription in OpenAI's format, metered by tokens, characters and seconds.

Sources: https://platform.openai.com/docs/api-reference/images and …/audio. Pictures are real PNGs of the
size asked for and sounds are real WAV or MP3 frames of silence, so that clients can open them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import struct
import wave
import zlib
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING

from simulator import tokens
from simulator.exchange import JSON, BadRequest
from simulator.surfaces import Served
from simulator.wires import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

CREATED = 1_795_305_600
OUTPUT_TOKENS = {"low": 272, "medium": 1056, "high": 4160}
"""Of one square picture, by quality: https://platform.openai.com/docs/guides/image-generation."""
CHARACTERS_PER_S = 7
"""A calm reading speed in Korean syllables, so that speech has a plausible length."""
SAMPLES_PER_S = 8_000
MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)
MP3_FRAMES_PER_S = 38


def images(body: JSON, pictures_in: int = 0) -> Served:
    """Answer `POST …/images/generations` or, with pictures that came in, `…/images/edits`.

    The gpt-image models state tokens, size and quality; the others are billed by the piece and state nothing.
    """
    count = int(body.get("n") or 1)
    width, height = _size(body.get("size") or "1024x1024")
    each = OUTPUT_TOKENS.get(body.get("quality") or "medium", OUTPUT_TOKENS["medium"])
    text_in, image_in = tokens.count(body["prompt"]), 323 * pictures_in
    usage = {
        "input_tokens": text_in + image_in,
        "input_tokens_details": {"text_tokens": text_in, "image_tokens": image_in},
        "output_tokens": each * count,
        "total_tokens": text_in + image_in + each * count,
    }
    picture = base64.b64encode(png(width, height, body["prompt"])).decode()
    answer = {"created": CREATED, "data": [{"b64_json": picture}] * count}
    if not body["model"].startswith("gpt-image"):
        return Served(dumps(answer), body["model"], {"images": count})
    answer |= {"usage": usage, "size": f"{width}x{height}", "quality": body.get("quality") or "medium"}
    billed = {"input": text_in, "image_input": image_in, "image_output": each * count, "images": count}
    return Served(dumps(answer), body["model"], billed, usage)


def gemini_image(body: JSON, model: str) -> Served:
    """Answer `…:generateContent` of a model that draws: one picture, tokens by modality."""
    parts = body["contents"][0]["parts"]
    text = "".join(part.get("text") or "" for part in parts)
    seen = sum(258 for part in parts if "inlineData" in part)
    said = tokens.count(text)
    usage = {
        "promptTokenCount": said + seen,
        "candidatesTokenCount": 1120,
        "totalTokenCount": said + seen + 1120,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": said},
            {"modality": "IMAGE", "tokenCount": seen},
        ],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
    }
    data = base64.b64encode(png(64, 64, text)).decode()
    content = {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model}
    billed = {"input": said, "image_input": seen, "image_output": 1120, "images": 1}
    return Served(dumps(answer), model, billed, usage)


def bedrock_image(body: JSON, model: str) -> Served:
    """Answer `invoke` of Nova Canvas; nothing is stated, and pieces are billed."""
    config = body["imageGenerationConfig"]
    count = config.get("numberOfImages") or 1
    picture = png(config.get("width") or 64, config.get("height") or 64, body["taskType"])
    answer = {"images": [base64.b64encode(picture).decode()] * count, "error": None}
    return Served(dumps(answer), model, {"images": count})


def _size(text: str) -> tuple[int, int]:
    width, _, height = ("1024x1024" if text == "auto" else text).partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) <= 4096 and 0 < int(height) <= 4096):
        raise BadRequest("'size' must be like 1024x1024")
    return int(width), int(height)


def png(width: int, height: int, prompt: str) -> bytes:
    """Draw a plain picture whose colour depends on the prompt."""
    colour = hashlib.sha256(prompt.encode()).digest()[:3]
    rows = (b"\x00" + colour * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def speech(body: JSON) -> Served:
    """Answer `POST …/audio/speech`: silence as long as the text would take; billed by characters."""
    said: str = body["input"]
    seconds = max(1, len(said) // CHARACTERS_PER_S)
    form = body.get("response_format") or "mp3"
    billed = {"characters": len(said), "audio_ms": seconds * 1000}
    if form == "mp3":
        sound, media_type = MP3_FRAME * (MP3_FRAMES_PER_S * seconds), "audio/mpeg"
    elif form in {"wav", "pcm"}:
        silence = bytes(2 * SAMPLES_PER_S * seconds)
        sound = silence if form == "pcm" else _wav(silence)
        media_type = f"audio/{form}"
    else:
        raise BadRequest("'response_format' must be mp3, wav or pcm here")
    return Served(sound, body["model"], billed, None, media_type)


def _wav(samples: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLES_PER_S)
        writer.writeframes(samples)
    return file.getvalue()


def transcription(fields: Mapping[str, bytes]) -> Served:
    """Answer `POST …/audio/transcriptions`; billed by the length of the sound. Raises BadRequest.

    As JSON, with times if asked for, or as events unless the model is Whisper, which cannot stream.
    """
    if "file" not in fields or "model" not in fields:
        raise BadRequest("'file' and 'model' are required")
    seconds = _seconds(fields["file"])
    usage = {"type": "duration", "seconds": seconds}
    text = f"{seconds}초 길이의 녹음입니다. ※ 시뮬레이터가 만든 예시 받아쓰기입니다."
    model, billed = fields["model"].decode(), {"audio_ms": seconds * 1000}
    if fields.get("stream") == b"true" and "whisper" not in model:
        return Served(_transcript_events(text, usage), model, billed, usage, "text/event-stream")
    answer: dict[str, JSON] = {"text": text, "usage": usage}
    if fields.get("response_format") == b"verbose_json":
        answer |= {"task": "transcribe", "language": "korean", "duration": float(seconds)}
        answer["segments"] = _segments(text, seconds)
    return Served(dumps(answer), model, billed, usage)


def _segments(text: str, seconds: int) -> list[dict[str, JSON]]:
    sentences = re.split(r"(?<=[.]) ", text)
    each = seconds / len(sentences)
    return [
        {"id": i, "start": round(i * each, 2), "end": round((i + 1) * each, 2), "text": f" {sentence}"}
        for i, sentence in enumerate(sentences)
    ]


def _transcript_events(text: str, usage: JSON) -> bytes:
    events: list[dict[str, JSON]] = [
        {"type": "transcript.text.delta", "delta": piece} for piece in re.findall(r"\S+\s*", text)
    ]
    events.append({"type": "transcript.text.done", "text": text, "usage": usage})
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), dumps(e)) for e in events)


def _seconds(sound: bytes) -> int:
    """Measure a WAV by its header, MP3 by its frames, anything else as if it were 16 kB a second."""
    try:
        with wave.open(io.BytesIO(sound)) as reader:
            return max(1, round(int(reader.getnframes()) / int(reader.getframerate())))
    except (wave.Error, EOFError):
        return max(1, len(sound) // 16_000)


def form_fields(content_type: str, body: bytes) -> dict[str, list[bytes]]:
    """Read a multipart form: name -> every value of it. Raises BadRequest."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise BadRequest("expected multipart/form-data")
    fields: dict[str, list[bytes]] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        fields.setdefault(str(name), []).append(payload if isinstance(payload, bytes) else b"")
    return fields
