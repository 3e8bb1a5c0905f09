"""How providers differ within one wire format, as data. The first segment of the URL names the provider.

Only what a provider's own documents describe stands here, because the gateway's adapters are built
from the same documents and are judged by these differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.exchange import Counts


@dataclass(frozen=True, slots=True)
class StatedPrice:
    """USD per 1,000,000 tokens; `request` in USD each. Figures of genai-prices 0.2.3."""

    input: Decimal
    cache_read: Decimal
    output: Decimal
    request: Decimal = Decimal(0)

    def cost(self, counts: Counts) -> tuple[Decimal, Decimal, Decimal]:
        """Return the USD cost of input, output and the request itself."""
        million = Decimal(1_000_000)
        uncached = counts.input + counts.cache_write
        return (
            (uncached * self.input + counts.cache_read * self.cache_read) / million,
            (counts.output + counts.reasoning) * self.output / million,
            self.request,
        )


@dataclass(frozen=True, slots=True)
class Dialect:
    """What sets a provider of OpenAI's chat format apart.

    `reasoning_field` carries visible reasoning, None keeps it hidden; `cost` says in which style a
    cost is stated (`xai`, `perplexity`); `done` is whether the stream ends with `[DONE]`;
    `usage_unasked` sends usage in the last chunk without being asked; `details` is whether usage has
    `*_tokens_details`; `reasoning_apart` counts reasoning beside `completion_tokens` and not inside.
    """

    reasoning_field: str | None = None
    cost: str | None = None
    done: bool = True
    usage_unasked: bool = False
    details: bool = True
    hit_and_miss: bool = False
    reasoning_apart: bool = False
    x_groq: bool = False


OPENAI = Dialect()
DIALECTS = {
    "upstage": Dialect(reasoning_field="reasoning"),
    "naver": Dialect(reasoning_field="thinking_content"),
    "friendli": Dialect(reasoning_field="reasoning_content"),
    "skt": Dialect(details=False),
    "kt": Dialect(details=False),
    "xai": Dialect(reasoning_field="reasoning_content", cost="xai", usage_unasked=True, reasoning_apart=True),
    "perplexity": Dialect(cost="perplexity", usage_unasked=True, details=False),
    "mistral": Dialect(usage_unasked=True, details=False),
    "deepseek": Dialect(reasoning_field="reasoning_content", hit_and_miss=True),
    "groq": Dialect(reasoning_field="reasoning", x_groq=True),
    "meta": Dialect(),
}

STATED_PRICES = {
    "grok-4.7": StatedPrice(Decimal(2), Decimal("0.5"), Decimal(6)),
    "sonar": StatedPrice(Decimal(1), Decimal(1), Decimal(1), Decimal("0.012")),
    "sonar-pro": StatedPrice(Decimal(3), Decimal(3), Decimal(15), Decimal("0.014")),
}


def dialect(provider: str) -> Dialect:
    return DIALECTS.get(provider, OPENAI)
