"""What an administrator does in the console: the organisation, keys, and a look at how the gateway runs.

No page here shows a prompt or a cost. SQL stands in gateway/store/register.py, rules in gateway/imports.py.
"""

from __future__ import annotations

from fastapi import APIRouter

from gateway.console.admin import departments, keys, operation, people, people_import


def routers() -> list[APIRouter]:
    return [area.router() for area in (departments, people, people_import, keys, operation)]
