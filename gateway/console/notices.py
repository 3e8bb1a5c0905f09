"""What a page says after something was done: a code in the address, the words here.

A redirect carries `?notice=<code>`, so that nothing written by others can be shown as a message of ours.
Each area adds its own lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlencode

from starlette.responses import RedirectResponse

from gateway.console.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

Tone = Literal["good", "info", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Notice:
    tone: Tone
    text: str
    """Korean, marked for the catalogue."""


NOTICES: Final[Mapping[str, Notice]] = {
    "saved": Notice("good", N_("저장했습니다.")),
    "key-renamed": Notice("good", N_("키 이름을 바꿨습니다.")),
    "key-revoked": Notice("good", N_("키를 폐기했습니다. 1초 안에 모든 곳에서 막힙니다.")),
    "key-already-revoked": Notice("info", N_("이미 폐기된 키입니다. 바뀐 것은 없습니다.")),
}


def done(path: str, notice: str, **query: str) -> RedirectResponse:
    """Send the browser on after a POST, with word of what was done. Raises KeyError for an unknown notice."""
    assert notice in NOTICES, notice
    return RedirectResponse(f"{path}?{urlencode({**query, 'notice': notice})}", status_code=303)
