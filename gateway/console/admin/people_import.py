"""The register of people from a CSV file: chosen, looked at, then done exactly as it was shown.

Between the two steps nothing is kept here: the page carries the file, packed, and the name of what it would
change. If that is not what it would change any more when the button is pressed, the new preview is shown.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, File, Request, UploadFile

from billing.periods import billing_day
from gateway.console import areas
from gateway.console.admin.forms import Posted, deed
from gateway.console.admin.people import PATH as PEOPLE
from gateway.console.notices import done
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.errors import InvalidRequest
from gateway.imports import ImportFailed, Mistake, read_people
from gateway.permissions import Permission
from gateway.store import register

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

Changer = Annotated[Visitor, Depends(Needs(Permission.ORGANISATION_CHANGE))]

PATH: Final = "/console/admin/import-people"
MOST_BYTES: Final = 7 * 1024**2
"""Of the file, 50,000 people are about four million; the guard lets eight million pass."""
SHOWN: Final = 200
"""Changes and mistakes that the preview lists; all of them are counted."""


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get(PATH)
    def choose(request: Request, visitor: Changer) -> Response:
        return _page(request, visitor)

    @routes.post(PATH)
    def preview(
        request: Request,
        visitor: Changer,
        parts: Parts,
        posted: Posted,
        file: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        data = b"" if file is None else file.file.read(MOST_BYTES + 1)
        if not data.strip():
            none = Mistake(0, "파일을 골라 주세요.", "Choose a file.")
            return _page(request, visitor, mistakes=[none])
        if len(data) > MOST_BYTES:
            big = Mistake(0, "파일이 7 MB보다 큽니다. 나누어 올리세요.", "The file is over 7 MB. Split it.")
            return _page(request, visitor, mistakes=[big])
        return _preview(request, visitor, parts, data, ends_absent=bool(posted.get("absent")))

    @routes.post(f"{PATH}/apply")
    def apply(request: Request, visitor: Changer, parts: Parts, posted: Posted) -> Response:
        data = _unpacked(posted.get("data", ""))
        return _apply(request, visitor, parts, data, posted)

    return routes


def _page(
    request: Request, visitor: Visitor, mistakes: Sequence[Mistake] = (), *, status: int | None = None
) -> Response:
    return render(
        request,
        visitor,
        "admin/people_import.html",
        status=status or (400 if mistakes else 200),
        mistakes=mistakes[:SHOWN],
        mistake_count=len(mistakes),
        plan=None,
    )


def _preview(
    request: Request,
    visitor: Visitor,
    parts: ConsoleParts,
    data: bytes,
    *,
    ends_absent: bool,
    is_stale: bool = False,
) -> Response:
    today = billing_day(parts.now())
    try:
        rows = read_people(data, today)
        plan = register.preview_people(parts.database, rows, today if ends_absent else None)
    except ImportFailed as failed:
        return _page(request, visitor, failed.mistakes)
    return render(
        request,
        visitor,
        "admin/people_import.html",
        status=409 if is_stale else 200,
        mistakes=(),
        mistake_count=0,
        plan=plan,
        shown=plan.changes[:SHOWN],
        data=b64encode(zlib.compress(data, 9)).decode(),
        seen=register.plan_version(plan),
        absent=ends_absent,
        is_stale=is_stale,
    )


def _apply(
    request: Request, visitor: Visitor, parts: ConsoleParts, data: bytes, posted: Mapping[str, str]
) -> Response:
    today = billing_day(parts.now())
    ends_absent = bool(posted.get("absent"))
    try:
        rows = read_people(data, today)
        register.apply_people(
            parts.database,
            rows,
            posted.get("seen", ""),
            deed(parts, visitor, ""),
            absent_end=today if ends_absent else None,
        )
    except ImportFailed as failed:
        return _page(request, visitor, failed.mistakes)
    except register.Stale:
        plan = register.preview_people(parts.database, rows, today if ends_absent else None)
        if not plan.changes:
            return done(PEOPLE, "already-so")
        return _preview(request, visitor, parts, data, ends_absent=ends_absent, is_stale=True)
    return done(PEOPLE, "people-imported")


def _unpacked(text: str) -> bytes:
    """Return the file that the preview carried. Raises InvalidRequest for anything else."""
    try:
        packed = b64decode(text, validate=True)
        opened = zlib.decompressobj()
        data = opened.decompress(packed, MOST_BYTES)
    except (NotBase64, ValueError, zlib.error):
        data, opened = b"", zlib.decompressobj()
    if not data or not opened.eof:
        raise InvalidRequest(
            "양식이 온전하지 않습니다. 파일을 다시 올리세요.",
            "The form is incomplete. Upload the file again.",
        )
    return data
