"""Embeddings in the formats of OpenAI, Cohere, Gemini and Bedrock. Pure.

Sources: https://platform.openai.com/docs/api-reference/embeddings, https://docs.cohere.com/v2/reference/embed,
https://ai.google.dev/api/embeddings, https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html.
An answer is recognised by its members, since each format has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from gateway.providers import failures
from gateway.providers.counting import count, part, settled, summed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.domain import JSON, UsageReport

_BEDROCK_COUNT = "x-amzn-bedrock-input-token-count"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each input: a list of floats, or base64 where that was asked for."""

    vectors: tuple[JSON, ...]
    served_model: str
    report: UsageReport | None


def read(body: bytes, headers: Mapping[str, str]) -> Embeddings:
    """Read an answer. Raises UpstreamError for an error in a 200, or a body that is none of these."""
    try:
        answer: dict[str, JSON] = orjson.loads(body)
        vectors = tuple(_vectors(answer))
        report = _report(answer, headers)
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise failures.broken("not an embeddings answer") from e
    if not vectors and answer.get("error"):
        raise failures.from_event(answer["error"])
    if not vectors:
        raise failures.broken("an answer without embeddings")
    return Embeddings(vectors, str(answer.get("model") or ""), report)


def _vectors(answer: Mapping[str, JSON]) -> Iterable[JSON]:
    if isinstance(data := answer.get("data"), list):  # OpenAI and those who follow it
        return [item["embedding"] for item in sorted(data, key=lambda item: item.get("index") or 0)]
    found = answer.get("embeddings") or answer.get("embedding") or ()
    if isinstance(found, dict):  # Cohere by type, Gemini's single one
        return [found["values"]] if "values" in found else next(iter(found.values()))
    if "embedding" in answer:  # Titan
        return [found]
    return [_vector(item) for item in found]


def _vector(item: JSON) -> JSON:
    """Take Gemini's `values`, Nova's `embedding`, or the bare list of Cohere v3 on Bedrock."""
    return item.get("values") or item["embedding"] if isinstance(item, dict) else item


def _report(answer: Mapping[str, JSON], headers: Mapping[str, str]) -> UsageReport | None:
    """Read the tokens that went in; no other class exists here but images."""
    if usage := part(answer, "usage"):
        tokens = count(usage, "prompt_tokens", "total_tokens")
        return settled({"input": tokens}, usage, provider_total=count(usage, "total_tokens"))
    if billed := part(part(answer, "meta"), "billed_units"):
        images = count(billed, "image_tokens", "images")
        return settled({"input": count(billed, "input_tokens"), "image_input": images}, billed)
    if usage := part(answer, "usageMetadata"):
        total = count(usage, "totalTokenCount")
        return settled({"input": count(usage, "promptTokenCount")}, usage, provider_total=total)
    tokens = count(answer, "inputTextTokenCount")
    stated = {name.lower(): value for name, value in headers.items()}.get(_BEDROCK_COUNT, "")
    header = int(stated) if stated.isdecimal() else None
    if tokens is None and header is None:
        return None
    raw = {"inputTextTokenCount": tokens} if tokens is not None else {_BEDROCK_COUNT: header}
    return settled({"input": tokens if tokens is not None else header}, raw)


def counted(body: bytes) -> int:
    """Read an answer to "how many tokens is this?". Raises UpstreamProtocolError if it has no number."""
    try:
        answer = orjson.loads(body)
        tokens = count(answer, "input_tokens", "inputTokens", "totalTokens")
    except (ValueError, TypeError, AttributeError) as e:
        raise failures.broken("not a token count") from e
    if tokens is None:
        raise failures.broken("an answer without a token count")
    return summed(tokens) or 0
