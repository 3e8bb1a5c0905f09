"""What tests of adapters share: deployments, requests, streams of a wire format, ways to cut them."""

from __future__ import annotations

import json
from typing import Any

from gateway.catalogue import Credential, Deployment
from gateway.domain import ChatRequest, Completion, Delta, Message, Text, Zone
from gateway.errors import UpstreamError
from gateway.providers import adapter

KEY = Credential(api_key="sk-our-own")


def deployment(wire: str = "openai", profile: str = "openai", **changes: Any) -> Deployment:
    values = {
        "id": "d1",
        "model_id": "our-name",
        "provider": profile,
        "wire": wire,
        "profile": profile,
        "base_url": "https://provider.example/v1",
        "upstream_model": "their-name",
        "zone": Zone.EXTERNAL,
        "price_key": "p",
        "credential": KEY,
    }
    return Deployment(**values | changes)


def ask(text: str = "안녕하세요", **changes: Any) -> ChatRequest:
    return ChatRequest(**{"model": "our-name", "messages": (Message("user", (Text(text),)),)} | changes)


def sent(chat: ChatRequest, to: Deployment) -> dict[str, Any]:
    """Return the body that the adapter would send."""
    return json.loads(adapter(to.wire).request(chat, to).body)


def sse(*events: Any) -> bytes:
    """Write events as a provider does; dicts become JSON, a type in them becomes the event's name."""
    return b"".join(_event(event) for event in events)


def _event(event: Any) -> bytes:
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def whole(body: Any, to: Deployment) -> Completion:
    decoder = adapter(to.wire).Decoder(to, stream=False)
    decoder.feed(body if isinstance(body, bytes) else json.dumps(body).encode())
    return decoder.finish()


def streamed(
    pieces: list[bytes], to: Deployment
) -> tuple[list[Delta], Completion | None, UpstreamError | None]:
    """Feed pieces as the pipeline does; an error ends the feeding, and `finish` is still asked."""
    decoder = adapter(to.wire).Decoder(to, stream=True)
    deltas: list[Delta] = []
    try:
        for piece in pieces:
            deltas += decoder.feed(piece)
    except UpstreamError as error:
        if decoder.failure is not error:
            raise
    try:
        completion = decoder.finish()
    except UpstreamError as error:
        return deltas, None, error
    return deltas, completion, decoder.failure


def text_of(completion: Completion) -> str:
    return "".join(part.text for part in completion.choices[0].parts if isinstance(part, Text))
