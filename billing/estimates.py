"""What an attempt probably used when nobody says so. Pure; for settlement only, never for a hold.

The estimate scales the bytes that were sent by tokens per byte learned from reported usage of the
same model, and takes the usual length of its answers. Without experience it uses the figures of
o200k on Korean administrative text: 0.30 tokens per UTF-8 byte of a request body.
An estimate stays within the declared bounds, so it is never above the hold.
"""

from __future__ import annotations

from collections import defaultdict, deque
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.quotes import Quote, total
from billing.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_TOKENS_PER_BYTE: Final = 0.30
DEFAULT_OUTPUT_TOKENS: Final = 400
WINDOW: Final = 101
"""Reported exchanges that are remembered per model; odd, so that the median is one of them."""


class Sample(NamedTuple):
    """One exchange whose usage the provider reported."""

    input_bytes: int
    input_tokens: int
    output_tokens: int
    output_bytes: int = 0


class Ratios:
    """Learned figures per model; one per process, used on the event loop only."""

    def __init__(self) -> None:
        self._samples: defaultdict[str, deque[Sample]] = defaultdict(lambda: deque(maxlen=WINDOW))

    def learn(self, model_id: str, sample: Sample) -> None:
        if sample.input_bytes > 0 and sample.input_tokens > 0:
            self._samples[model_id].append(sample)

    def estimate(
        self, model_id: str, input_bytes: int, output_bytes: int | None, max_output_tokens: int | None
    ) -> Usage:
        """Estimate an attempt; `output_bytes` is what was received of its answer, None if unknown."""
        return estimate(tuple(self._samples[model_id]), input_bytes, output_bytes, max_output_tokens)


def estimate(
    samples: Sequence[Sample], input_bytes: int, output_bytes: int | None, max_output_tokens: int | None
) -> Usage:
    """Usage of one attempt: the median experience, within the bounds of what was asked for."""
    per_byte = median(s.input_tokens / s.input_bytes for s in samples) if samples else DEFAULT_TOKENS_PER_BYTE
    input_tokens = min(input_bytes, round(input_bytes * per_byte))
    output_tokens = _output(samples, output_bytes)
    if max_output_tokens is not None:
        output_tokens = min(output_tokens, max_output_tokens)
    return Usage(input=input_tokens, output=output_tokens, requests=1)


def within(quote: Quote, usage: Usage, hold_nano_krw: int) -> Usage:
    """Shrink an estimate until the quote charges at most the hold."""
    cost = total(quote.rate(usage))
    if cost <= hold_nano_krw:
        return usage
    shrunk = Usage(
        input=(usage.input or 0) * hold_nano_krw // cost,
        output=(usage.output or 0) * hold_nano_krw // cost,
        requests=usage.requests,
    )
    if total(quote.rate(shrunk)) <= hold_nano_krw:
        return shrunk
    return Usage(input=0, output=0)  # the hold does not even cover the price of a request


def _output(samples: Sequence[Sample], output_bytes: int | None) -> int:
    if output_bytes is not None:
        ratios = [s.output_tokens / s.output_bytes for s in samples if s.output_bytes]
        return round(output_bytes * (median(ratios) if ratios else DEFAULT_TOKENS_PER_BYTE))
    return round(median(s.output_tokens for s in samples)) if samples else DEFAULT_OUTPUT_TOKENS
