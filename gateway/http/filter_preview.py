"""POST /v1/filter/preview: would this be stopped, why, how to mend it; nothing is sent anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from gateway.http.body import parse_json, read_body
from gateway.http.chat import door
from gateway.surfaces import chat

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline


def router(pipeline: Pipeline, body_limit_bytes: int) -> APIRouter:
    routes = APIRouter(tags=["filter"])

    @routes.post("/v1/filter/preview", openapi_extra={"security": [{"key": []}], **_BODY})
    async def preview(request: Request) -> dict[str, Any]:
        """Inspect a chat request as if it were sent; answer the verdict and the masked text."""
        caller = pipeline.identify(request.headers)
        raw = await read_body(request, body_limit_bytes)
        return await pipeline.preview(door(request, chat, len(raw)), caller, parse_json(raw))

    return routes


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["model", "messages"]},
                "example": {
                    "model": "gpt-5.1",
                    "messages": [{"role": "user", "content": "연락처 010-1234-5678로 회신해 주세요."}],
                },
            }
        },
    }
}
