"""POST /v1/chat/completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from gateway.http import errors
from gateway.http.body import parse_json, read_body
from gateway.pipeline import Door, Pipeline
from gateway.surfaces import chat

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import GatewayError
    from gateway.surfaces.base import Surface


def router(pipeline: Pipeline, body_limit_bytes: int) -> APIRouter:
    routes = APIRouter(tags=["chat"])

    @routes.post("/v1/chat/completions", openapi_extra=_DESCRIPTION, response_model=None)
    async def create_chat_completion(request: Request) -> Response:
        """Answer a chat, streaming or not. Sensitive data is found before anything is sent."""
        caller = pipeline.identify(request.headers)
        raw = await read_body(request, body_limit_bytes)
        return await pipeline.answer(door(request, chat, len(raw)), caller, parse_json(raw))

    return routes


CHAT_ID_HEADERS: Final = ("x-openwebui-chat-id", "x-conversation-id")


def door(request: Request, surface: Surface, size: int) -> Door:
    headers = request.headers
    return Door(
        request_id=request.scope["request_id"],
        surface=surface,
        size=size,
        conversation=next((headers[name] for name in CHAT_ID_HEADERS if name in headers), ""),
        client_ip=request.client.host if request.client else "",
        render_error=error_renderer(request.headers.get("accept-language", "")),
    )


def error_renderer(accept_language: str) -> Callable[[GatewayError], bytes]:
    return lambda error: errors.body(error, accept_language)


_ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": "string"},
                "param": {"type": "string", "nullable": True},
                "findings": {
                    "type": "array",
                    "description": "which kinds were found and where, never the value",
                    "items": {"type": "object"},
                },
            },
        }
    },
}

_DESCRIPTION: Final[dict[str, Any]] = {
    "security": [{"key": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model", "messages"],
                    "properties": {
                        "model": {"type": "string", "description": "GET /v1/models"},
                        "messages": {"type": "array", "minItems": 1, "items": {"type": "object"}},
                        "stream": {"type": "boolean", "default": False},
                        "stream_options": {"type": "object"},
                        "tools": {"type": "array", "items": {"type": "object"}},
                        "max_completion_tokens": {"type": "integer", "minimum": 1},
                    },
                    "additionalProperties": True,
                },
                "example": {
                    "model": "haechi-local",
                    "messages": [{"role": "user", "content": "민원 회신 초안을 써 주세요."}],
                },
            }
        },
    },
    "responses": {
        "200": {
            "description": "chat.completion, or a stream of chat.completion.chunk events",
            "content": {"application/json": {}, "text/event-stream": {}},
        },
        **{
            status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
            for status, text in (
                ("400", "invalid request, or stopped by the filter (type sensitive_data_blocked)"),
                ("401", "no valid key"),
                ("403", "not open to this caller"),
                ("404", "no such model"),
                ("413", "body too large"),
                ("429", "rate limit or budget"),
                ("502", "the provider failed"),
                ("503", "this gateway cannot serve now"),
                ("504", "the provider was too slow"),
            )
        },
    },
}
