"""How many tokens is this? Asked in the words of each format that has the question."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from pydantic import TypeAdapter

from gateway.providers import token_counts
from simulator.surfaces.table import SURFACES, Received
from simulator.surfaces.video import Studio
from tests.providers.conversation import PARAMETERS
from tests.providers.exchanges import ask, deployment

PLACES = {
    "anthropic": deployment("anthropic", "anthropic", base_url="https://a.example"),
    "studio": deployment("gemini", "gemini", base_url="https://g.example"),
    "vertex": deployment("gemini", "vertex", base_url="https://v.example", options={"project": "p"}),
    "bedrock": deployment("bedrock", "bedrock", base_url="https://b.example", region="us-east-1"),
}


@pytest.mark.parametrize("name", PLACES)
def test_the_question_is_answered_with_a_number(name: str) -> None:
    request = token_counts.request(ask(**PARAMETERS, stream=True), PLACES[name])
    assert request is not None
    path = urlsplit(request.url).path
    surface = next(s for s in SURFACES if s.path.search(path))
    match = surface.path.search(path)
    assert surface.name == "count_tokens"
    assert match is not None
    served = surface.answer(Received(request.body, "application/json", match, Studio()))
    assert token_counts.counted(served.body) > 0


def test_the_question_to_anthropic_is_what_its_own_client_would_ask() -> None:
    request = token_counts.request(ask(**PARAMETERS), PLACES["anthropic"])
    assert request is not None
    body = json.loads(request.body)
    TypeAdapter(MessageCountTokensParams).validate_python(body)
    assert not {"max_tokens", "stream", "temperature"} & body.keys()


def test_the_question_to_openai_leaves_out_what_is_not_counted() -> None:
    asked: dict[str, Any] = {k: v for k, v in PARAMETERS.items() if k != "stop"}
    request = token_counts.request(ask(**asked), deployment("responses"))
    assert request is not None
    assert request.url.endswith("/responses/input_tokens")
    assert json.loads(request.body).keys() == {"model", "input", "tools", "tool_choice"}


def test_the_question_is_signed_anew_for_bedrock() -> None:
    request = token_counts.request(ask(), PLACES["bedrock"])
    assert request is not None
    assert request.url == "https://b.example/model/their-name/count-tokens"
    assert "authorization" in request.headers


def test_formats_without_the_question_say_so() -> None:
    assert token_counts.request(ask(), deployment("openai")) is None
    assert token_counts.request(ask(), deployment("cohere")) is None
