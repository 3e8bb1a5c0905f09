"""Asking a provider how many input tokens a request would have, before it is sent. Pure.

Sources: https://docs.anthropic.com/en/api/messages-count-tokens, https://ai.google.dev/api/tokens,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html,
https://platform.openai.com/docs/api-reference/responses/input-tokens. The question carries the whole
prompt, so it is inspected and masked like the request itself. The chat format has no such question.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

from gateway.providers import adapter, aws, google
from gateway.providers.embeddings import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, UpstreamRequest

__all__ = ["counted", "request"]

_MESSAGES: Final = ("model", "messages", "system", "tools", "tool_choice", "thinking")
_RESPONSES: Final = ("model", "input", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning")
_CONVERSE: Final = ("messages", "system", "toolConfig", "additionalModelRequestFields")
_VERTEX: Final = ("contents", "systemInstruction", "tools", "generationConfig")


def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest | None:
    """Write the question; None where the wire format has none. Raises as the adapter's `request` does."""
    ask = _QUESTIONS.get(deployment.wire)
    if ask is None:
        return None
    sent = adapter(deployment.wire).request(replace(chat, stream=False), deployment)
    return ask(sent, orjson.loads(sent.body), deployment)


def _messages(sent: UpstreamRequest, body: Mapping[str, JSON], _to: Deployment) -> UpstreamRequest:
    return replace(sent, url=f"{sent.url}/count_tokens", body=_only(body, _MESSAGES))


def _responses(sent: UpstreamRequest, body: Mapping[str, JSON], _to: Deployment) -> UpstreamRequest:
    return replace(sent, url=f"{sent.url}/input_tokens", body=_only(body, _RESPONSES))


def _gemini(sent: UpstreamRequest, body: Mapping[str, JSON], to: Deployment) -> UpstreamRequest:
    url = google.address(to, "countTokens")
    if google.is_vertex(to):
        return replace(sent, url=url, body=_only(body, _VERTEX))
    whole = {"model": f"models/{to.upstream_model}", **body}
    return replace(sent, url=url, body=orjson.dumps({"generateContentRequest": whole}))


def _bedrock(_sent: UpstreamRequest, body: Mapping[str, JSON], to: Deployment) -> UpstreamRequest:
    question = {"input": {"converse": {name: body[name] for name in _CONVERSE if name in body}}}
    return aws.signed(to, aws.address(to, "count-tokens"), orjson.dumps(question))


def _only(body: Mapping[str, JSON], names: tuple[str, ...]) -> bytes:
    return orjson.dumps({name: body[name] for name in names if name in body})


_QUESTIONS: Mapping[str, Callable[[UpstreamRequest, Mapping[str, JSON], Deployment], UpstreamRequest]] = {
    "anthropic": _messages,
    "responses": _responses,
    "gemini": _gemini,
    "bedrock": _bedrock,
}
