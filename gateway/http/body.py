"""Reading request bodies: bounded, once, and refused with a reason when they are not JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from gateway.errors import BodyTooLarge, InvalidRequest

if TYPE_CHECKING:
    from starlette.requests import Request

    from gateway.domain import JSON


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Read the whole body. Raises BodyTooLarge before reading what is announced as too large."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise InvalidRequest(
            "압축된 요청 본문은 받지 않습니다. content-encoding 없이 보내세요.",
            "Compressed request bodies are not accepted. Send without content-encoding.",
            code="unsupported_encoding",
        )
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > limit_bytes:
        raise too_large(limit_bytes)
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise _incomplete()
        body += message.get("body", b"")
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
        if not message.get("more_body", False):
            return bytes(body)


def _incomplete() -> InvalidRequest:
    return InvalidRequest(
        "본문이 다 오기 전에 연결이 끊어졌습니다.",
        "The connection closed before the whole body arrived.",
        code="incomplete_body",
    )


def too_large(limit_bytes: int) -> BodyTooLarge:
    mib = limit_bytes / 1024**2
    return BodyTooLarge(
        f"요청 본문이 너무 큽니다(한도 {mib:g} MiB). 첨부를 줄이거나 글을 나누어 보내세요.",
        f"The request body is too large (limit {mib:g} MiB). Send smaller attachments or split the text.",
    )


def parse_json(body: bytes) -> JSON:
    """Parse JSON. Raises InvalidRequest that says where it broke, never what stood there."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"본문이 올바른 JSON이 아닙니다({error.lineno}행 {error.colno}열). 따옴표와 쉼표를 확인하세요.",
            f"The body is not valid JSON (line {error.lineno}, column {error.colno}). Check its quotes.",
            code="malformed_json",
        ) from None
