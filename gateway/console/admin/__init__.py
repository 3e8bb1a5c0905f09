"""What an administrator does in the console: the organisation, keys, and a look at how the gateway runs.

No page here shows a prompt or a cost. SQL stands in gateway/store/register.py, rules in gateway/imports.py.
"""

from __future__ import annotations

from fastapi import APIRouter

from gateway.console.admin import departments, people


def router() -> APIRouter:
    whole = APIRouter()
    for area in (departments, people):
        whole.include_router(area.router())
    return whole
