"""Answers of the OpenAI format, and how a test replays any answer as `haechi transcripts` does."""

from __future__ import annotations

import json
from typing import Any

from gateway.cli.transcripts import Recording, replayed


def line(provider: str, uri: str, body: Any, status: int = 200, asked: Any = None) -> dict[str, Any]:
    """Replay an answer: JSON from a dict or list, events from bytes."""
    binary = isinstance(body, bytes) and uri.endswith("stream")
    kind = "application/vnd.amazon.eventstream" if binary else "text/event-stream; charset=utf-8"
    content_type = kind if isinstance(body, bytes) else "application/json"
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return replayed(Recording("a.json", provider, uri, asked or {"model": "m"}, status, content_type, raw))


def chat(message: Any = None, reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "네", **(message or {})},
        "finish_reason": reason,
    }
    return {"id": "c", "model": "m", "created": 1, "choices": [choice], "usage": usage, **more}


def chunk(delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        **more,
    }
