"""The simulator over HTTP: finds the wire format by the path, answers, keeps the books.

`http://host/{provider}/…` is where a deployment's base URL points; what follows is the provider's own
path. The attempt id comes in the header `x-haechi-attempt`. `GET /ledger` gives the books.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from simulator import answers
from simulator.dialects import dialect
from simulator.exchange import BadRequest
from simulator.surfaces.table import SURFACES, Received, Surface
from simulator.surfaces.video import Studio
from simulator.wires import anthropic, bedrock, cohere, gemini, openai, responses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.requests import Request

    from simulator.dialects import Dialect
    from simulator.exchange import JSON, Answer, Prompt
    from simulator.ledger import Ledger

ATTEMPT_HEADER = "x-haechi-attempt"
EVENTS_AT_ONCE = 8
"""Without a pace, events leave in groups: one write for each would only measure the sender."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`latency_s` before the first byte; `tokens_per_s` of a stream, 0 for as fast as it goes."""

    latency_s: float = 0.0
    tokens_per_s: float = 0.0


class Wire(NamedTuple):
    name: str
    path: re.Pattern[str]
    module: Any
    """A module of simulator.wires; mypy knows no protocol of modules."""
    parse: Callable[[JSON, re.Match[str]], Prompt]
    media_type: str = "text/event-stream"


def _by_path(module: Any) -> Callable[[JSON, re.Match[str]], Prompt]:  # noqa: ANN401 - see Wire.module
    """Parse for wires whose model and streaming stand in the path."""
    return lambda body, path: module.parse(body, path["model"], stream="tream" in path["verb"])


def _by_body(module: Any) -> Callable[[JSON, re.Match[str]], Prompt]:  # noqa: ANN401
    return lambda body, _path: module.parse(body)


WIRES = (
    Wire("openai", re.compile(r"/chat/completions$"), openai, _by_body(openai)),
    Wire("responses", re.compile(r"/responses$"), responses, _by_body(responses)),
    Wire("anthropic", re.compile(r"/messages$"), anthropic, _by_body(anthropic)),
    Wire(
        "gemini",
        re.compile(r"/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)$"),
        gemini,
        _by_path(gemini),
    ),
    Wire(
        "bedrock",
        re.compile(r"/model/(?P<model>[^/]+)/(?P<verb>converse|converse-stream)$"),
        bedrock,
        _by_path(bedrock),
        "application/vnd.amazon.eventstream",
    ),
    Wire("cohere", re.compile(r"/chat$"), cohere, _by_body(cohere)),
)


def create(ledger: Ledger, pace: Pace = Pace()) -> Starlette:
    """Build the application over `ledger`."""

    async def ledger_lines(_request: Request) -> Response:
        return PlainTextResponse("".join(ledger.lines()), media_type="application/x-ndjson")

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "simulated": True})

    async def exchange(request: Request) -> Response:
        return await _exchange(request, ledger, pace, studio)

    async def poll(request: Request) -> Response:
        return _film(studio.poll(request.path_params["job"]), "application/json")

    async def erase(request: Request) -> Response:
        return _film(studio.erase(request.path_params["job"]), "application/json")

    async def fetch(request: Request) -> Response:
        return _film(studio.fetch(request.path_params["job"]), "video/mp4")

    studio = Studio()
    return Starlette(
        routes=[
            Route("/livez", alive),
            Route("/ledger", ledger_lines),
            Route("/{provider}/{base:path}/videos/{job}", poll),
            Route("/{provider}/{base:path}/videos/{job}", erase, methods=["DELETE"]),
            Route("/{provider}/{base:path}/videos/{job}/content", fetch),
            Route("/{provider}/{rest:path}", exchange, methods=["POST"]),
        ]
    )


async def _exchange(request: Request, ledger: Ledger, pace: Pace, studio: Studio) -> Response:
    """Answer one request in the wire format of its path."""
    found = find(request.url.path)
    if found is None:
        return JSONResponse({"error": {"message": "no such path", "type": "not_found_error"}}, 404)
    served_as, path = found
    provider = request.path_params["provider"]
    books = _Books(ledger, request.headers.get(ATTEMPT_HEADER))
    body = await request.body()
    ledger.asked(books.attempt, served_as.name, provider, body)
    await asyncio.sleep(pace.latency_s)
    error = served_as.module.error if isinstance(served_as, Wire) else openai.error
    try:
        if isinstance(served_as, Wire):
            prompt = served_as.parse(json.loads(body), path)
            return _respond(served_as, prompt, dialect(provider), books, pace)
        content_type = request.headers.get("content-type", "")
        return _serve(served_as, Received(body, content_type, path, studio), books)
    except (ValueError, BadRequest, KeyError, TypeError, AttributeError) as problem:
        ledger.refused(books.attempt, str(problem))
        return Response(error(str(problem)), 400, media_type="application/json")


def find(path: str) -> tuple[Wire | Surface, re.Match[str]] | None:
    """Find the wire format or surface that a path belongs to."""
    for row in (*SURFACES, *WIRES):  # a model that draws is asked at an address of the chats
        if match := row.path.search(path):
            return row, match
    return None


def _serve(surface: Surface, received: Received, books: _Books) -> Response:
    served = surface.answer(received)
    books.ledger.served(books.attempt, served)
    headers = {"x-request-id": secrets.token_hex(12), "x-simulated": "true", **served.headers}
    return Response(served.body, headers=headers, media_type=served.media_type)


def _film(found: bytes | None, media_type: str) -> Response:
    if found is None:
        return Response(openai.error("no such video, or not done yet"), 404, media_type="application/json")
    return Response(found, media_type=media_type)


class _Books(NamedTuple):
    ledger: Ledger
    attempt: str | None

    def close(self, wire: Wire, exchange: tuple[Prompt, Answer], spoken: Dialect, *, complete: bool) -> None:
        prompt, answer = exchange
        statement = (
            wire.module.billed(answer.counts, spoken),
            wire.module.usage(prompt, answer.counts, spoken),
        )
        self.ledger.answered(self.attempt, exchange, statement, complete=complete)


def _respond(wire: Wire, prompt: Prompt, spoken: Dialect, books: _Books, pace: Pace) -> Response:
    answer = answers.answer(prompt)
    exchange_id = secrets.token_hex(12)
    headers = {"x-request-id": exchange_id, "x-simulated": "true"}
    if prompt.stream:
        events = wire.module.events(prompt, answer, spoken, exchange_id)

        def close(complete: bool) -> None:  # noqa: FBT001 - a callback with one fact
            books.close(wire, (prompt, answer), spoken, complete=complete)

        body = _paced(events, pace, close)
        return StreamingResponse(body, headers=headers, media_type=wire.media_type)
    books.close(wire, (prompt, answer), spoken, complete=True)
    body_bytes = wire.module.whole(prompt, answer, spoken, exchange_id)
    return Response(body_bytes, headers=headers, media_type="application/json")


async def _paced(events: Iterator[bytes], pace: Pace, close: Callable[[bool], None]) -> AsyncIterator[bytes]:
    """Yield the events at the pace. `close` is told whether the client stayed to the end.

    The books close before the last event leaves, so that whoever has read the whole stream also
    finds it in the ledger.
    """
    closed = False
    try:
        pending: list[bytes] = []
        at_once = 1 if pace.tokens_per_s else EVENTS_AT_ONCE
        for event in events:
            pending.append(event)
            if len(pending) > at_once:
                yield b"".join(pending[:at_once])
                del pending[:at_once]
                await asyncio.sleep(1 / pace.tokens_per_s if pace.tokens_per_s else 0)
        close(True)
        closed = True
        yield b"".join(pending)
    finally:
        if not closed:
            close(False)
