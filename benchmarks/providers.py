"""How fast answers are decoded and requests written, on one core: `python -m benchmarks.providers`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from gateway.catalogue import Credential, Deployment
from gateway.domain import ChatRequest, Message, Text, Zone
from gateway.providers import WIRES, adapter

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 20_000
ROUNDS = 5
TEXT = "서울특별시 행정국 총무과의 보고서를 요약합니다. " * 20

CHUNKS: dict[str, Any] = {
    "openai": {
        "id": "chatcmpl-C5Q2dy3pXn5mW0qvWcOQdXqY8rW1a",
        "object": "chat.completion.chunk",
        "created": 1755424915,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_cbf1785567",
        "choices": [{"index": 0, "delta": {"content": "한글"}, "logprobs": None, "finish_reason": None}],
        "usage": None,
        "obfuscation": "4rvu2TfB",
    },
    "responses": {
        "type": "response.output_text.delta",
        "content_index": 0,
        "delta": "한글",
        "item_id": "msg_68c42de0",
        "logprobs": [],
        "output_index": 0,
        "sequence_number": 4,
    },
    "anthropic": {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "한글"}},
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": "한글"}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 46, "candidatesTokenCount": 22, "totalTokenCount": 68},
        "modelVersion": "gemini-3-flash-preview",
        "responseId": "n1P6abvRFaKdz7IPkcuQ2Aw",
    },
    "cohere": {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "한글"}}}},
}


def deployment(wire: str) -> Deployment:
    return Deployment(
        id="d",
        model_id="m",
        provider="p",
        wire=wire,
        profile="openai",
        base_url="https://provider.example/v1",
        upstream_model="m",
        zone=Zone.EXTERNAL,
        price_key="p",
        credential=Credential(api_key="k", access_key_id="a", secret_access_key="s"),
        region="us-east-1",
    )


def best(run: Callable[[], int]) -> float:
    """Return the most units a second of several rounds."""
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        units = run()
        rates.append(units / (time.perf_counter() - start))
    return max(rates)


def decoded(wire: str, together: int) -> float:
    event = b"data: " + json.dumps(CHUNKS[wire], ensure_ascii=False).encode() + b"\n\n"
    piece = event * together

    def run() -> int:
        decoder = adapter(wire).Decoder(deployment(wire), stream=True)
        for _ in range(EVENTS // together):
            decoder.feed(piece)
        return EVENTS

    return best(run)


def written(wire: str) -> float:
    chat = ChatRequest("m", (Message("user", (Text(TEXT),)),), stream=True, max_output_tokens=1000)
    to = deployment(wire)

    def run() -> int:
        for _ in range(1000):
            adapter(wire).request(chat, to)
        return 1000

    return best(run)


def main() -> None:
    print("events decoded per second, 1 / 10 / 100 arriving together")
    for wire in CHUNKS:
        print(f"  {wire:<10}", *(f"{decoded(wire, together):>10,.0f}" for together in (1, 10, 100)))
    print("requests written per second")
    for wire in WIRES:
        print(f"  {wire:<10} {written(wire):>10,.0f}")


if __name__ == "__main__":
    main()
