"""Embeddings, images, speech, transcription: POST addresses whose answers come in one piece."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, Request, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, FormParser

from gateway.errors import InvalidRequest
from gateway.http.body import read_body
from gateway.http.chat import answered, described, door
from gateway.media.audio import Speech
from gateway.media.embeddings import Surface as Embeddings
from gateway.media.images import Surface as Images
from gateway.media.transcription import Surface as Transcription
from gateway.providers.multipart import FilePart

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline

MAX_FIELDS = 200


def router(pipeline: Pipeline, body_limit_bytes: int) -> APIRouter:
    routes = APIRouter(tags=["media"])

    @routes.post("/v1/embeddings", openapi_extra=described("input"), response_model=None)
    async def create_embeddings(request: Request) -> Response:
        """Embed texts. They are inspected like any other."""
        return await answered(pipeline, request, Embeddings(), body_limit_bytes)

    @routes.post("/v1/images/generations", openapi_extra=described("prompt"), response_model=None)
    async def create_image(request: Request) -> Response:
        """Draw pictures from a prompt."""
        return await answered(pipeline, request, Images(), body_limit_bytes)

    @routes.post("/v1/audio/speech", openapi_extra=described("input", "voice"), response_model=None)
    async def create_speech(request: Request) -> Response:
        """Speak a text."""
        return await answered(pipeline, request, Speech(), body_limit_bytes)

    @routes.post(
        "/v1/images/edits", openapi_extra=described("prompt", "image", form=True), response_model=None
    )
    async def edit_image(request: Request) -> Response:
        """Change pictures. A picture cannot be inspected: the policy decides where it may go."""
        caller = pipeline.identify(request.headers)
        form = await read_form(request, body_limit_bytes)
        pictures = tuple(file for file in form.files if file.name in ("image", "image[]", "mask"))
        if not pictures:
            raise _missing_file("image")
        shown = [unread("input_image", file) for file in pictures]
        body = {**form.fields, "input": shown}
        return await pipeline.answer(door(request, Images("image_edits", pictures), form.size), caller, body)

    @routes.post("/v1/audio/transcriptions", openapi_extra=described("file", form=True), response_model=None)
    async def create_transcription(request: Request) -> Response:
        """Write a recording down. A recording cannot be inspected: the policy decides where it may go."""
        caller = pipeline.identify(request.headers)
        form = await read_form(request, body_limit_bytes)
        recording = next((file for file in form.files if file.name == "file"), None)
        if recording is None:
            raise _missing_file("file")
        body = {**form.fields, "input": [unread("input_audio", recording)]}
        return await pipeline.answer(door(request, Transcription(recording), form.size), caller, body)

    return routes


def unread(kind: str, file: FilePart) -> dict[str, Any]:
    """Show the filter that there is something it cannot read, and the file's name, which it can."""
    if kind == "input_audio":
        return {
            "type": kind,
            "input_audio": {"data": "", "format": file.media_type},
            "filename": file.filename,
        }
    return {"type": kind, "image_url": f"data:{file.media_type};base64,", "filename": file.filename}


def _missing_file(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{field}' 파일이 없습니다. multipart/form-data로 파일을 보내세요.",
        f"'{field}' is missing. Send the file as multipart/form-data.",
        param=field,
        code="missing_field",
    )


# --- forms ---------------------------------------------------------------------------------------


class Form(NamedTuple):
    fields: dict[str, Any]
    files: list[FilePart]
    size: int


async def read_form(request: Request, limit_bytes: int) -> Form:
    """Read a form in memory: an upload never touches the disk. Raises InvalidRequest."""
    raw = await read_body(request, limit_bytes)
    return await asyncio.to_thread(_parsed, request.headers.get("content-type", ""), raw)


def _parsed(content_type: str, raw: bytes) -> Form:
    kind, _, parameters = content_type.partition(";")
    boundary = parameters.partition("boundary=")[2].strip().strip('"')
    if kind.strip().lower() != "multipart/form-data" or not boundary:
        raise _malformed()
    fields: dict[str, Any] = {}
    files: list[FilePart] = []

    def on_field(field: Any) -> None:  # noqa: ANN401 - python_multipart's Field
        name = field.field_name.decode("utf-8", "replace")
        value = (field.value or b"").decode("utf-8", "replace")
        if name.endswith("[]"):
            fields.setdefault(name[:-2], []).append(value)
        else:
            fields[name] = _typed(value)

    def on_file(file: File) -> None:
        files.append(_file_part(file))

    config = {"MAX_MEMORY_FILE_SIZE": float("inf"), "MAX_FIELDS": MAX_FIELDS}
    try:
        parser = FormParser(
            "multipart/form-data", on_field, on_file, boundary=boundary.encode(), config=config
        )
        parser.write(raw)
        parser.finalize()
    except FormParserError as error:
        raise _malformed() from error
    return Form(fields, files, len(raw))


def _file_part(file: File) -> FilePart:
    stream = file.file_object
    assert isinstance(stream, BytesIO), "kept in memory by MAX_MEMORY_FILE_SIZE"
    return FilePart(
        (file.field_name or b"").decode("utf-8", "replace"),
        (file.file_name or b"file").decode("utf-8", "replace"),
        str(file.content_type or "application/octet-stream"),
        stream.getvalue(),
    )


def _typed(value: str) -> str | int | float:
    """A form knows only text; numbers are what the same field is in JSON."""
    if value.isdecimal() and value.isascii() and len(value) < 10:
        return int(value)
    return value


def _malformed() -> InvalidRequest:
    return InvalidRequest(
        "본문이 올바른 multipart/form-data가 아닙니다.",
        "The body is not valid multipart/form-data.",
        code="malformed_form",
    )
