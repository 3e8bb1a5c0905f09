"""What a reviewer and a member of staff do in the console about what the filter stopped.

Queue, incident, exceptions, own incidents, the look before sending, oversight, replay, evidence. Rules and
storage are gateway/incidents/ and its desk; no page here shows a cost, and none a value that was not opened.
"""

from __future__ import annotations

from fastapi import APIRouter

from gateway.console.review import check, evidence, exceptions, incident, oversight, own, queue, replay


def routers() -> list[APIRouter]:
    areas = (queue, incident, exceptions, oversight, replay, evidence, own, check)
    return [area.router() for area in areas]
