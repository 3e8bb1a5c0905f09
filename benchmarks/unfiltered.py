"""The gateway with a filter that looks at nothing, to see what looking costs. Never served to anybody.

There is no setting that switches the filter off, and none is wanted; this stands in for one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import uvicorn

from filters.guard import AnswerGuard
from filters.inspector import Detection, Inspector
from gateway import app
from gateway.cli.serving import _uvicorn_options

if TYPE_CHECKING:
    from fastapi import FastAPI


def _blind(self: Inspector, body: Any, *_conversation: Any) -> Detection:
    return Detection(body, (), (), (), 0, 0, self.rules_version, 0, {})


def _silent(_self: AnswerGuard, text: str) -> str:
    return text


def create() -> FastAPI:
    Inspector.detect = _blind  # type: ignore[method-assign]
    AnswerGuard.feed = _silent  # type: ignore[method-assign]
    return app.create()


if __name__ == "__main__":
    uvicorn.run(create, factory=True, port=int(sys.argv[1]), **_uvicorn_options([], 5))
