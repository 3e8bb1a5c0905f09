"""The addresses that are answered before the router answer as the router would."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import APIRouter, Request, Response
from starlette.testclient import TestClient

from gateway.cohort import Cohort
from gateway.errors import UnknownModel
from gateway.http.direct import CHATS, DirectEndpoints, chats_of


async def _router(scope, receive, send):
    await Response("router")(scope, receive, send)


async def _endpoint(request: Request) -> Response:
    if await request.body() == b"wrong":
        raise UnknownModel("그런 모델은 없습니다.", "There is no such model.")
    return Response("direct")


@pytest.fixture
def client():
    return TestClient(DirectEndpoints(_router, {"/v1/messages": _endpoint}, Cohort()))


def test_a_post_to_a_known_address_passes_the_router_by(client):
    assert client.post("/v1/messages", content=b"{}").text == "direct"


@pytest.mark.parametrize("path", ["/v1/messages/", "/v1/messages/count_tokens", "/V1/messages", "/"])
def test_every_other_address_is_the_routers(client, path):
    assert client.post(path).text == "router"


def test_another_method_is_the_routers(client):
    assert client.get("/v1/messages").text == "router"


def test_a_refusal_comes_in_the_dialect_of_the_address(client):
    refused = client.post("/v1/messages", content=b"wrong")
    assert refused.status_code == 404
    assert refused.json()["type"] == "error"  # Anthropic's envelope
    assert refused.headers["x-should-retry"] == "false"


def test_what_is_not_http_is_the_routers():
    seen = []

    async def router(scope, _receive, _send):
        seen.append(scope["type"])

    asyncio.run(DirectEndpoints(router, {}, Cohort())({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]


def test_the_chats_of_a_router_are_found_by_their_paths():
    router = APIRouter()
    for path in (*CHATS, "/v1/messages/count_tokens"):
        router.post(path)(_endpoint)
    assert chats_of(router) == dict.fromkeys(CHATS, _endpoint)
