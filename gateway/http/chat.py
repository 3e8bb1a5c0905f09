"""POST /v1/chat/completions, /v1/responses, /v1/messages: three dialects of one conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from gateway.http import errors
from gateway.http.body import parse_json, read_body
from gateway.pipeline import Door, Pipeline
from gateway.surfaces import chat, messages, responses

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import GatewayError
    from gateway.surfaces.base import Surface


def router(pipeline: Pipeline, body_limit_bytes: int) -> APIRouter:
    routes = APIRouter(tags=["chat"])

    @routes.post("/v1/chat/completions", openapi_extra=_CHAT, response_model=None)
    async def create_chat_completion(request: Request) -> Response:
        """Answer a chat, streaming or not. Sensitive data is found before anything is sent."""
        return await answered(pipeline, request, chat, body_limit_bytes)

    @routes.post("/v1/responses", openapi_extra=described("input"), response_model=None)
    async def create_response(request: Request) -> Response:
        """Answer in OpenAI's Responses dialect. Nothing is kept at a provider."""
        return await answered(pipeline, request, responses, body_limit_bytes)

    @routes.post("/v1/messages", openapi_extra=described("messages", "max_tokens"), response_model=None)
    async def create_message(request: Request) -> Response:
        """Answer in Anthropic's Messages dialect."""
        return await answered(pipeline, request, messages, body_limit_bytes)

    @routes.post("/v1/messages/count_tokens", openapi_extra=described("messages"))
    async def count_message_tokens(request: Request) -> dict[str, int]:
        """Estimate the input tokens of a message; it is inspected like any other and not sent."""
        caller = pipeline.identify(request.headers)
        raw = await read_body(request, body_limit_bytes)
        counted = door(request, messages.Counting, len(raw))
        return {"input_tokens": await pipeline.count_tokens(counted, caller, parse_json(raw))}

    return routes


async def answered(pipeline: Pipeline, request: Request, surface: Surface, body_limit_bytes: int) -> Response:
    """Identify the caller, read the JSON body within its bound, and let the pipeline answer."""
    caller = pipeline.identify(request.headers)
    raw = await read_body(request, body_limit_bytes)
    return await pipeline.answer(door(request, surface, len(raw)), caller, parse_json(raw))


CHAT_ID_HEADERS: Final = ("x-openwebui-chat-id", "x-conversation-id")


def door(request: Request, surface: Surface, size: int) -> Door:
    headers = request.headers
    return Door(
        request_id=request.scope["request_id"],
        surface=surface,
        size=size,
        conversation=next((headers[name] for name in CHAT_ID_HEADERS if name in headers), ""),
        client_ip=request.client.host if request.client else "",
        render_error=error_renderer(headers.get("accept-language", ""), surface),
        headers=headers,
    )


def error_renderer(accept_language: str, surface: Surface) -> Callable[[GatewayError], bytes]:
    return lambda error: errors.body(error, accept_language, surface.error_object)


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

_RESPONSES: Final[dict[str, Any]] = {
    "200": {
        "description": "the answer in the caller's dialect, whole or as a stream of events",
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
}


def described(*required: str, form: bool = False, **more: dict[str, Any]) -> dict[str, Any]:
    """Describe an operation whose body is read by a surface, not by FastAPI."""
    schema = {
        "type": "object",
        "required": ["model", *required],
        "properties": {
            "model": {"type": "string", "description": "GET /v1/models"},
            "stream": {"type": "boolean", "default": False},
            **more,
        },
        "additionalProperties": True,
    }
    return {
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data" if form else "application/json": {"schema": schema}},
        },
        "responses": _RESPONSES,
    }


_CHAT: Final = described(
    "messages",
    messages={"type": "array", "minItems": 1, "items": {"type": "object"}},
    stream_options={"type": "object"},
    tools={"type": "array", "items": {"type": "object"}},
    max_completion_tokens={"type": "integer", "minimum": 1},
)
