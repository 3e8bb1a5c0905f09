"""Usage of the OpenAI chat format, in the conventions of every provider that speaks it.

Sources: docs/providers.md, "How providers count". What differs is recognised by the member that a
provider adds, so that a provider without a profile is read right too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.providers.counting import count, part, rest, settled, summed, usd, within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from gateway.domain import JSON, UsageReport
    from gateway.providers.profiles import Profile


_USUAL = frozenset(
    {
        *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"),
        *(
            "prompt_tokens_details",
            "completion_tokens_details",
            "input_tokens_details",
            "output_tokens_details",
        ),
    }
)
"""Where a usage has no other member, nothing that single providers add is looked for."""

_COMPLETION = ("completion_tokens", "output_tokens")  # the second as in the Responses API


def report_of(raw: Mapping[str, JSON], profile: Profile, *, partial: bool = False) -> UsageReport:
    """Read a `usage` object; `partial` says that the answer broke off, so more may have been used."""
    prompt, completion = count(raw, "prompt_tokens", "input_tokens"), count(raw, *_COMPLETION)
    total = count(raw, "total_tokens")
    into = part(raw, "prompt_tokens_details") or part(raw, "input_tokens_details")
    out = part(raw, "completion_tokens_details") or part(raw, "output_tokens_details")
    if profile.extras_beside:
        return _with_extras(raw, prompt, completion, total, partial=partial)
    usual = raw.keys() <= _USUAL
    if usual and not (into or out):
        report = settled({"input": prompt, "output": completion}, raw, provider_total=total)
        return replace(report, partial=True) if partial else report
    reasoning = count(out, "reasoning_tokens")
    if _reasoning_is_beside(prompt, completion, reasoning, total, profile):
        completion = (completion or 0) + (reasoning or 0)
    cached = count(into, "cached_tokens") if usual else _cached(raw, into)
    written = count(into, "cache_write_tokens", "cache_creation_tokens")
    fresh = rest(prompt, cached, written)
    audio_in = within(count(into, "audio_tokens"), fresh)
    image_in = within(count(into, "image_tokens"), rest(fresh, audio_in))
    audio_out, image_out = count(out, "audio_tokens"), count(out, "image_tokens")
    classes = {
        "input": rest(prompt, cached, written, audio_in, image_in),
        "cache_read": cached,
        "cache_write_5m": written,
        "audio_input": audio_in,
        "image_input": image_in,
        "output": rest(completion, reasoning, audio_out, image_out),
        "reasoning": reasoning,
        "audio_output": audio_out,
        "image_output": image_out,
    }
    if not usual:
        classes |= {"searches": _searches(raw), "audio_ms": _audio_ms(raw)}
    report = settled(
        classes,
        raw,
        provider_total=total,
        stated_cost_usd=None if usual else _cost(raw),
        contradiction=not usual and _miss_contradicts(raw, prompt, cached),
    )
    return replace(report, partial=True) if partial else report


def _with_extras(
    raw: Mapping[str, JSON], prompt: int | None, completion: int | None, total: int | None, *, partial: bool
) -> UsageReport:
    """Read Perplexity's usage: reasoning and citation tokens are billed beside completion and total."""
    reasoning, citations = count(raw, "reasoning_tokens"), count(raw, "citation_tokens")
    beside = (reasoning or 0) + (citations or 0)
    report = settled(
        {
            "input": prompt,
            "output": summed(completion, citations),
            "reasoning": reasoning,
            "searches": _searches(raw),
        },
        raw,
        provider_total=total,
        stated_cost_usd=_cost(raw),
        beside_total=0 if total == (prompt or 0) + (completion or 0) + beside else beside,
    )
    return replace(report, partial=True) if partial else report


def _reasoning_is_beside(
    prompt: int | None, completion: int | None, reasoning: int | None, total: int | None, profile: Profile
) -> bool:
    """Whether reasoning is counted beside the completion (xAI) and not in it (everybody else).

    The provider's own total decides; without one, its profile.
    """
    if not reasoning:
        return False
    if total is None:
        return profile.reasoning_apart
    return total == (prompt or 0) + (completion or 0) + reasoning


def _cached(raw: Mapping[str, JSON], into: Mapping[str, JSON]) -> int | None:
    cached = count(into, "cached_tokens")
    if cached is not None:
        return cached
    # DeepSeek; Together and Moonshot; Mistral
    return count(raw, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")


def _miss_contradicts(raw: Mapping[str, JSON], prompt: int | None, cached: int | None) -> bool:
    miss = count(raw, "prompt_cache_miss_tokens")
    return miss is not None and prompt is not None and miss + (cached or 0) != prompt


def _searches(raw: Mapping[str, JSON]) -> int | None:
    for member, name in (
        ("server_tool_use_details", "web_search_requests"),  # OpenRouter
        ("server_tool_use", "web_search_requests"),
        ("server_side_tool_usage_details", "web_search_calls"),  # xAI
    ):
        if (searches := count(part(raw, member), name)) is not None:
            return searches
    return count(raw, "num_search_queries")  # Perplexity


def _audio_ms(raw: Mapping[str, JSON]) -> int | None:
    seconds = count(raw, "prompt_audio_seconds")  # Mistral
    return None if seconds is None else seconds * 1000


def _cost(raw: Mapping[str, JSON]) -> Decimal | None:
    """Read the provider's own price of the exchange, in US dollars."""
    ticks = usd(raw.get("cost_in_usd_ticks"))
    if ticks is not None:  # xAI, 10⁻¹⁰ USD
        return ticks.scaleb(-10)
    cost = raw.get("cost")
    if isinstance(cost, dict):  # Perplexity
        return usd(cost.get("total_cost"))
    stated = usd(cost)
    if stated is not None and raw.get("is_byok") is True:  # OpenRouter bills its fee, the provider the rest
        return stated + (usd(part(raw, "cost_details").get("upstream_inference_cost")) or 0)
    return stated
