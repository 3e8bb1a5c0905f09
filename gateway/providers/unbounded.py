"""What a provider would do by itself at a cost that nobody can bound in advance: refused by name. Pure.

A search reads pages into the prompt and bills them as input; hosted tools, remote servers and state at the
provider do the same; a faster way of serving has a price of its own that no quote knows. A hold must be an
upper bound, so such requests are not sent. Fields that a client adds to a request are looked at here; tools
that a provider runs are refused where tools are written (`writing.refuse_hosted`).

Sources: the providers' request references as linked in docs/providers.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.errors import ServiceUnavailable, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON

SEARCHES: Final = frozenset(
    {"web_search_options", "web_search", "search_parameters", "search_options", "search_settings"}
    | {"search_type", "enable_search", "forced_search", "plugins", "compound_custom", "connectors"}
    | {"data_sources", "mcp_servers"}
)
"""Searches and hosted tools: OpenAI, Perplexity, xAI, Alibaba, Groq, OpenRouter, Cohere, Azure, Anthropic."""
STATE: Final = frozenset(
    {"previous_response_id", "conversation", "prompt", "background", "container", "cachedContent", "agent_id"}
)
"""What was said or stored before at the provider is input that the body does not show."""
OTHER_MODELS: Final = frozenset({"models", "route", "fallbacks", "preset"})
"""OpenRouter and gateways like it: a model answers whose price nobody asked for."""
_REFUSED: Final = SEARCHES | STATE | OTHER_MODELS
_USUAL: Final[Mapping[str, JSON]] = {
    "speed": "standard",
    "inference_geo": "global",
    "performanceConfig": {"latency": "standard"},
}
"""Ways of serving, and the one that the price is of: Anthropic's fast mode and regions, Bedrock's latency."""
_ADDITIONAL: Final = "additionalModelRequestFields"
_LIMITS: Final = frozenset({"max_tokens", "max_new_tokens", "max_gen_len", "maxTokenCount", "tools"})
"""Not among Bedrock's additional fields: they would stand beside the limits that were held for."""

MOST_SEARCHES: Final = 10
"""Of one request to a model that searches unasked, unless its `options.most_searches` says otherwise."""
_UNASKED: Final = re.compile(r"sonar|compound|[-_]search|:online")
_ENDLESS: Final = re.compile(r"deep-research")


def refuse_unbounded(extra: Mapping[str, JSON]) -> None:
    """Refuse fields of a client whose cost has no bound. Raises UnsupportedFeature."""
    if not extra:
        return
    additional = extra.get(_ADDITIONAL) or {}
    for name in sorted((extra.keys() | additional.keys()) & _REFUSED):
        if _asks(extra.get(name)) or _asks(additional.get(name)):
            raise _unbounded(name)
    for name in sorted(additional.keys() & _LIMITS):
        raise _unbounded(f"{_ADDITIONAL}.{name}")
    for name, usual in _USUAL.items():
        if _asks(extra.get(name, usual)) and extra.get(name, usual) != usual:
            raise _unbounded(name)


def most_searches(deployment: Deployment) -> int:
    """Return how often a request may search there: never, unless the model searches unasked.

    Raises ServiceUnavailable for a model that researches without end, unless the deployment declares a bound.
    """
    declared = deployment.options.get("most_searches")
    if declared is not None:
        return int(declared)
    if _ENDLESS.search(deployment.upstream_model):
        raise ServiceUnavailable(
            f"'{deployment.model_id}'은(는) 검색 횟수의 상한이 없어 쓸 수 없습니다. 관리자가 most_searches를"
            " 정해야 합니다.",
            f"'{deployment.model_id}' searches without a limit. An administrator must declare most_searches.",
            code="no_bound",
        )
    unasked = deployment.profile == "perplexity" or _UNASKED.search(deployment.upstream_model)
    return MOST_SEARCHES if unasked else 0


def _asks(value: JSON) -> bool:
    """Whether a value asks for anything; `{}` does: it switches a search on."""
    return value not in (None, False, "", [])


def _unbounded(name: str) -> UnsupportedFeature:
    return UnsupportedFeature(
        f"'{name}'은(는) 비용의 상한을 미리 알 수 없어 쓸 수 없습니다. 그 항목을 빼고 보내세요.",
        f"'{name}' is not offered: what it costs cannot be bounded in advance. Leave it out.",
        param=name,
    )
