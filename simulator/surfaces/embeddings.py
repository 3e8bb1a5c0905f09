"""Embeddings in the formats of OpenAI, Cohere, Gemini and Bedrock, and the requests that count tokens.

Sources: https://platform.openai.com/docs/api-reference/embeddings, https://docs.cohere.com/v2/reference/embed,
https://ai.google.dev/api/embeddings, https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html.
"""

from __future__ import annotations

import base64
import hashlib
import math
import random
import struct

from simulator import answers, tokens
from simulator.exchange import JSON, BadRequest, Prompt
from simulator.surfaces import Served
from simulator.wires import dumps, strings

DIMENSIONS = 256


def vector(text: str, dimensions: int) -> list[float]:
    """Return a unit vector that depends on the text alone."""
    seed = hashlib.sha256(text.encode()).digest()
    chance = random.Random(seed)  # noqa: S311 - the same text gets the same vector
    raw = [chance.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = math.sqrt(sum(x * x for x in raw))
    return [round(x / length, 6) for x in raw]


def openai(body: JSON) -> Served:
    """Answer `POST …/embeddings`. Raises BadRequest."""
    texts = _texts(body.get("input"))
    dimensions = body.get("dimensions") or DIMENSIONS
    used = sum(tokens.count(text) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used}
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector(text, dimensions), body)}
        for index, text in enumerate(texts)
    ]
    answer = {"object": "list", "data": data, "model": body["model"], "usage": usage}
    return Served(dumps(answer), body["model"], {"input": used}, usage)


def _encoded(numbers: list[float], body: JSON) -> JSON:
    if body.get("encoding_format") != "base64":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _texts(given: JSON) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequest("'input' must be a string or a non-empty array of strings")
    return texts


def cohere(body: JSON) -> Served:
    """Answer `POST /v2/embed`."""
    texts = _texts(body.get("texts"))
    used = sum(tokens.count(text) for text in texts)
    vectors = [vector(text, body.get("output_dimension") or DIMENSIONS) for text in texts]
    usage = {"billed_units": {"input_tokens": used}}
    answer = {"id": "embed", "embeddings": {"float": vectors}, "texts": texts, "meta": usage}
    return Served(dumps(answer), body["model"], {"input": used}, usage)


def gemini(body: JSON, model: str, *, batch: bool) -> Served:
    """Answer `…:embedContent` or `…:batchEmbedContents`, which state usage in `usageMetadata`."""
    requests = body["requests"] if batch else [body]
    texts = ["\n".join(strings(request["content"].get("parts"))) for request in requests]
    used = sum(tokens.count(text) for text in texts)
    vectors = [
        {"values": vector(text, request.get("outputDimensionality") or DIMENSIONS)}
        for text, request in zip(texts, requests, strict=True)
    ]
    usage = {"promptTokenCount": used, "totalTokenCount": used}
    found = {"embeddings": vectors} if batch else {"embedding": vectors[0]}
    return Served(dumps(found | {"usageMetadata": usage}), model, {"input": used}, usage)


def bedrock(body: JSON, model: str) -> Served:
    """Answer `/model/{id}/invoke` of Titan (one text) or Cohere (several); the count is in a header too."""
    if "inputText" in body:
        used = tokens.count(body["inputText"])
        found = vector(body["inputText"], body.get("dimensions") or DIMENSIONS)
        answer = {"embedding": found, "inputTextTokenCount": used}
    else:
        texts = _texts(body.get("texts"))
        used = sum(tokens.count(text) for text in texts)
        answer = {"id": "embed", "embeddings": [vector(text, DIMENSIONS) for text in texts], "texts": texts}
    headers = {"x-amzn-bedrock-input-token-count": str(used)}
    return Served(dumps(answer), model, {"input": used}, headers, headers=headers)


def counted(prompt: Prompt, wire: str) -> Served:
    """Answer "how many tokens is this?" in the format of a wire; nothing is billed."""
    counts = answers.answer(prompt).counts
    total = counts.input + counts.cache_read + counts.cache_write
    names = {"anthropic": "input_tokens", "gemini": "totalTokens", "bedrock": "inputTokens"}
    stated = {names[wire]: total}
    return Served(dumps(stated), prompt.model, {}, stated)
