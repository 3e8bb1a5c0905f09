"""Embeddings in the formats of OpenAI, Cohere, Gemini, Vertex and Bedrock: requests and answers. Pure.

Sources: https://platform.openai.com/docs/api-reference/embeddings, https://docs.cohere.com/v2/reference/embed,
https://ai.google.dev/api/embeddings, https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html.
An answer is recognised by its members, since each format has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from gateway.domain import NOTHING, UpstreamRequest
from gateway.providers import aws, failures, google, profiles, reach
from gateway.providers.counting import count, part, settled, summed
from gateway.providers.writing import lacking, present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, UsageReport

_BEDROCK_COUNT = "x-amzn-bedrock-input-token-count"


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to embed; `extra` are the provider's own members (`input_type`, `taskType`, …)."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each input: a list of floats, or base64 where that was asked for."""

    vectors: tuple[JSON, ...]
    served_model: str
    report: UsageReport | None


# --- requests ------------------------------------------------------------------------------------


def request(asked: EmbeddingRequest, deployment: Deployment) -> UpstreamRequest:
    """Write the request in the deployment's wire format. Raises UnsupportedFeature."""
    write = _WRITERS.get(deployment.wire)
    if write is None:
        raise lacking(f"embeddings over the wire format {deployment.wire}", "model")
    return write(asked, deployment)


def _openai(asked: EmbeddingRequest, deployment: Deployment) -> UpstreamRequest:
    profile = profiles.of(deployment)
    user = None if "user" in profile.lacks else asked.user
    body = {
        **asked.extra,
        **present(dimensions=asked.dimensions, encoding_format=asked.encoding_format, user=user),
        "model": deployment.upstream_model,
        "input": list(asked.inputs),
    }
    headers = reach.headers(deployment, profile, "application/json")
    dropped = ("user",) if asked.user is not None and user is None else ()
    return UpstreamRequest(
        "POST", reach.address(deployment, "embeddings"), headers, orjson.dumps(body), dropped
    )


def _cohere(asked: EmbeddingRequest, deployment: Deployment) -> UpstreamRequest:
    body = {
        "input_type": "search_document",  # the format demands one
        **asked.extra,
        **present(output_dimension=asked.dimensions),
        "model": deployment.upstream_model,
        "texts": list(asked.inputs),
        "embedding_types": ["float"],
    }
    base = deployment.base_url.rstrip("/")
    url = f"{base}/embed" if base.endswith("/v2") else f"{base}/v2/embed"
    headers = reach.headers(deployment, profiles.of(deployment), "application/json")
    return UpstreamRequest("POST", url, headers, orjson.dumps(body), _unsaid(asked))


def _gemini(asked: EmbeddingRequest, deployment: Deployment) -> UpstreamRequest:
    """Write `batchEmbedContents`; Vertex has `embedContent` for one text only."""
    wanted = {**asked.extra, **present(outputDimensionality=asked.dimensions)}
    texts = [{"content": {"parts": [{"text": text}]}, **wanted} for text in asked.inputs]
    if google.is_vertex(deployment):
        if len(texts) != 1:
            raise lacking("several texts in one embeddings request", "input")
        body, verb = texts[0], "embedContent"
    else:
        model = f"models/{deployment.upstream_model}"
        body, verb = {"requests": [{"model": model, **text} for text in texts]}, "batchEmbedContents"
    url, headers = google.address(deployment, verb), google.headers(deployment)
    return UpstreamRequest("POST", url, headers, orjson.dumps(body), _unsaid(asked))


def _bedrock(asked: EmbeddingRequest, deployment: Deployment) -> UpstreamRequest:
    """Write the body of the model's family: Cohere takes several texts, Titan one."""
    if "cohere" in deployment.upstream_model:
        sizes = present(output_dimension=asked.dimensions)
        body = {"input_type": "search_document", **asked.extra, **sizes, "texts": list(asked.inputs)}
    elif len(asked.inputs) == 1:
        body = {**asked.extra, **present(dimensions=asked.dimensions), "inputText": asked.inputs[0]}
    else:
        raise lacking("several texts in one embeddings request", "input")
    return aws.signed(deployment, aws.address(deployment, "invoke"), orjson.dumps(body), _unsaid(asked))


def _unsaid(asked: EmbeddingRequest) -> tuple[str, ...]:
    return ("user",) if asked.user is not None else ()


_WRITERS: Mapping[str, Callable[[EmbeddingRequest, Deployment], UpstreamRequest]] = {
    "openai": _openai,
    "responses": _openai,
    "cohere": _cohere,
    "gemini": _gemini,
    "bedrock": _bedrock,
}


# --- answers -------------------------------------------------------------------------------------


def read(body: bytes, headers: Mapping[str, str]) -> Embeddings:
    """Read an answer. Raises UpstreamError for an error in a 200, or a body that is none of these."""
    try:
        answer = _named(orjson.loads(body))
        vectors = tuple(_vectors(answer))
        report = _report(answer, headers)
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise failures.broken("not an embeddings answer") from e
    if not vectors and answer.get("error"):
        raise failures.from_event(answer["error"])
    if not vectors:
        raise failures.broken("an answer without embeddings")
    return Embeddings(vectors, str(answer.get("model") or ""), report)


def _named(answer: JSON) -> Mapping[str, JSON]:
    """Name the bare list of Hugging Face's feature extraction: of vectors, or one vector."""
    if not isinstance(answer, list):
        return answer  # type: ignore[no-any-return]  # what is no object fails where it is read
    return {"embeddings": answer if not answer or isinstance(answer[0], list) else [answer]}


def _vectors(answer: Mapping[str, JSON]) -> Iterable[JSON]:
    if isinstance(data := answer.get("data"), list):  # OpenAI and those who follow it
        return [item["embedding"] for item in sorted(data, key=lambda item: item.get("index") or 0)]
    if isinstance(predictions := answer.get("predictions"), list):  # Vertex's older `:predict`
        return [item["embeddings"]["values"] for item in predictions]
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
        return settled(
            {
                "input": count(billed, "input_tokens"),
                "image_input": count(billed, "image_tokens"),
                "images": count(billed, "images"),
            },
            billed,
        )
    if predictions := answer.get("predictions"):
        each = [count(part(item["embeddings"], "statistics"), "token_count") for item in predictions]
        if (total := summed(*each)) is not None:
            return settled({"input": total}, {"predictions": len(each), "token_count": total})
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
