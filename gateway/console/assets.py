"""Style sheets, scripts and pictures of the console: read once, named by content, served from memory."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from gateway.console import areas

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/console/static"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    media_type: str
    digest: str
    """The start of the content's SHA-256; a page asks for it as `?v=…`, so an old copy is never shown."""


def read_assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """Map the path below `folder` to each file in it."""
    return {
        path.relative_to(folder).as_posix(): _asset(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    media_type = "text/javascript" if path.suffix == ".js" else guess_type(path.name)[0]
    return Asset(content, media_type or "application/octet-stream", sha256(content).hexdigest()[:12])


ASSETS: Final = read_assets()


def address(name: str) -> str:
    """Return the address of a file below static/. Raises KeyError for one that is not there."""
    return f"{PREFIX}/{name}?v={ASSETS[name].digest}"


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PREFIX + "/{name:path}")
    def asset(name: str, request: Request) -> Response:
        found = ASSETS.get(name)
        if found is None:
            raise HTTPException(404)
        etag = f'"{found.digest}"'
        forever = request.query_params.get("v") == found.digest
        headers = {
            "etag": etag,
            "cache-control": "public, max-age=31536000, immutable" if forever else "no-cache",
        }
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(found.content, headers=headers, media_type=found.media_type)

    return routes
