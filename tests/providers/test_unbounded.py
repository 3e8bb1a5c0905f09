"""What no hold could bound is refused towards every wire format; what may be capped carries its cap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain import Tool
from gateway.errors import UnsupportedFeature
from gateway.providers import adapter
from gateway.providers.unbounded import OTHER_MODELS, SEARCHES, STATE
from tests.providers.exchanges import ask, deployment, sent

if TYPE_CHECKING:
    from gateway.catalogue import Deployment

REACHED = {
    "openai": deployment("openai", "openrouter"),
    "responses": deployment("responses", "openai"),
    "anthropic": deployment("anthropic", "anthropic", upstream_model="claude-sonnet-4-5"),
    "gemini": deployment("gemini", "gemini", upstream_model="gemini-3-pro"),
    "bedrock": deployment("bedrock", "bedrock", upstream_model="amazon.nova-pro-v1:0", region="us-east-1"),
    "cohere": deployment("cohere", "cohere"),
}
HOSTED = (
    *("web_search", "web_search_preview", "web_search_20250305", "web_fetch_20250910", "x_search"),
    *("file_search", "code_interpreter", "code_execution_20250825", "image_generation", "mcp", "live_search"),
    *("computer_use_preview", "google_search", "openrouter:web_search", "browser_search"),
)


def request(chat: Any, wire: str) -> None:
    adapter(wire).request(chat, REACHED[wire])


@pytest.mark.parametrize("wire", REACHED)
@pytest.mark.parametrize("field", sorted(SEARCHES | STATE | OTHER_MODELS))
def test_a_field_whose_cost_has_no_bound_is_refused_by_name(wire: str, field: str) -> None:
    with pytest.raises(UnsupportedFeature, match=f"'{field}'") as refused:
        request(ask(extra={field: {}}), wire)
    assert refused.value.param == field


@pytest.mark.parametrize("wire", REACHED)
@pytest.mark.parametrize("nothing", [None, False, [], ""])
def test_a_field_that_asks_for_nothing_is_no_reason_to_refuse(wire: str, nothing: Any) -> None:
    request(ask(extra=dict.fromkeys(("background", "plugins", "web_search_options"), nothing)), wire)


@pytest.mark.parametrize("wire", REACHED)
@pytest.mark.parametrize("kind", HOSTED)
def test_a_tool_that_the_provider_runs_is_refused_towards_every_provider(wire: str, kind: str) -> None:
    with pytest.raises(UnsupportedFeature, match=kind):
        request(ask(tools=(Tool("w", extra={"type": kind}),)), wire)


@pytest.mark.parametrize(
    ("wire", "extra"),
    [
        ("anthropic", {"speed": "fast"}),
        ("anthropic", {"inference_geo": "us"}),
        ("bedrock", {"performanceConfig": {"latency": "optimized"}}),
        ("bedrock", {"additionalModelRequestFields": {"max_tokens": 100_000}}),
        ("bedrock", {"additionalModelRequestFields": {"mcp_servers": [{"url": "https://x"}]}}),
    ],
)
def test_what_is_served_at_another_price_or_beside_the_limit_is_refused(
    wire: str, extra: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedFeature):
        request(ask(extra=extra), wire)


def test_the_usual_way_of_serving_may_be_named() -> None:
    body = sent(ask(extra={"speed": "standard", "inference_geo": "global"}), REACHED["anthropic"])
    assert (body["speed"], body["inference_geo"]) == ("standard", "global")


SEARCHING = {"body": {"tools": [{"type": "web_search"}]}, "most_searches": 3}


@pytest.mark.parametrize(
    ("asked", "capped"), [({}, 3), ({"max_tool_calls": 2}, 2), ({"max_tool_calls": 9}, 3)]
)
def test_a_search_that_the_administrator_offers_carries_its_cap(asked: dict[str, int], capped: int) -> None:
    there: Deployment = deployment("responses", "openai", options=SEARCHING)
    body = sent(ask(extra=asked), there)
    assert body["tools"] == [{"type": "web_search"}]
    assert body["max_tool_calls"] == capped


def test_what_the_administrator_says_goes_before_what_the_client_adds() -> None:
    there = deployment("openai", "openrouter", options={"body": {"provider": {"only": ["in-korea"]}}})
    body = sent(ask(extra={"provider": {"only": ["elsewhere"]}, "usage": {"include": False}}), there)
    assert body["provider"] == {"only": ["in-korea"]}
    assert body["usage"] == {"include": True}
