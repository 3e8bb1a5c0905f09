"""Every client dialect against every provider family, through the simulator: what works, what is refused.

`cells()` tries each; docs/providers.md shows the result, and a test keeps it true. No HTTP here: the
client's bytes are parsed, written, answered by the simulator, read and encoded, as the pipeline does it.
To renew the table: `python -m tests.providers.matrix`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gateway.errors import InvalidRequest
from gateway.surfaces import chat, messages, responses
from tests.conftest import ROOT
from tests.simulator.test_wires import PLACES, exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import SimpleNamespace

DOCUMENT = ROOT / "docs" / "providers.md"
SURFACES = {"chat": chat, "messages": messages, "responses": responses}
PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"부서": {"type": "string"}}, "required": ["부서"]}
TEXT = "보고서 초안을 작성해 주세요"


# --- what clients send ---------------------------------------------------------------------------


def chat_body(feature: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": TEXT}]}
    tool = {
        "type": "function",
        "function": {"name": "조회", "description": "부서 조회", "parameters": SCHEMA},
    }
    match feature:
        case "tools":
            body |= {"tools": [tool], "tool_choice": "required"}
        case "results":
            call = {
                "id": "c1",
                "type": "function",
                "function": {"name": "조회", "arguments": '{"부서":"총무과"}'},
            }
            body["messages"] += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "집행률 41%"},
            ]
            body["tools"] = [tool]
        case "images":
            picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
            body["messages"] = [{"role": "user", "content": [{"type": "text", "text": TEXT}, picture]}]
        case "schema":
            spec = {"name": "answer", "schema": SCHEMA, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": spec}
        case "limit":
            body["max_completion_tokens"] = 20
    return body


def messages_body(feature: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "m", "max_tokens": 4000, "messages": [{"role": "user", "content": TEXT}]}
    tool = {"name": "조회", "description": "부서 조회", "input_schema": SCHEMA}
    match feature:
        case "tools":
            body |= {"tools": [tool], "tool_choice": {"type": "any"}}
        case "results":
            call = {"type": "tool_use", "id": "c1", "name": "조회", "input": {"부서": "총무과"}}
            result = {"type": "tool_result", "tool_use_id": "c1", "content": "집행률 41%"}
            body["messages"] += [
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [result]},
            ]
            body["tools"] = [tool]
        case "images":
            source = {"type": "base64", "media_type": "image/png", "data": PNG}
            parts = [{"type": "text", "text": TEXT}, {"type": "image", "source": source}]
            body["messages"] = [{"role": "user", "content": parts}]
        case "schema":
            body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        case "limit":
            body["max_tokens"] = 20
    return body


def responses_body(feature: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "m", "input": TEXT}
    tool = {"type": "function", "name": "조회", "description": "부서 조회", "parameters": SCHEMA}
    match feature:
        case "tools":
            body |= {"tools": [tool], "tool_choice": "required"}
        case "results":
            body["input"] = [
                {"role": "user", "content": TEXT},
                {"type": "function_call", "call_id": "c1", "name": "조회", "arguments": '{"부서":"총무과"}'},
                {"type": "function_call_output", "call_id": "c1", "output": "집행률 41%"},
            ]
            body["tools"] = [tool]
        case "images":
            picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
            body["input"] = [{"role": "user", "content": [{"type": "input_text", "text": TEXT}, picture]}]
        case "schema":
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}
        case "limit":
            body["max_output_tokens"] = 20
    return body


BODIES = {"chat": chat_body, "messages": messages_body, "responses": responses_body}
FEATURES = ("text", "tools", "results", "images", "schema", "limit")


# --- what clients get ----------------------------------------------------------------------------


def whole(surface: str, done: SimpleNamespace) -> dict[str, Any]:
    return json.loads(SURFACES[surface].encode(done.completion, "m", "id1", 7))


def said_in(surface: str, body: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the text and the names of the tools that were called, as a client reads them."""
    match surface:
        case "chat":
            message = body["choices"][0]["message"]
            return message["content"] or "", [c["function"]["name"] for c in message.get("tool_calls", ())]
        case "messages":
            blocks = body["content"]
            text = "".join(b["text"] for b in blocks if b["type"] == "text")
            return text, [b["name"] for b in blocks if b["type"] == "tool_use"]
        case _:
            items = body["output"]
            parts = [p for item in items if item["type"] == "message" for p in item["content"]]
            calls = [item["name"] for item in items if item["type"] == "function_call"]
            return "".join(p["text"] for p in parts), calls


def streamed(surface: str, done: SimpleNamespace) -> str:
    """Encode the deltas one by one and read the text out of the events."""
    encoder = SURFACES[surface].StreamEncoder("m", "id1", 7, include_usage=True)
    report = done.completion.report
    raw = b"".join(encoder.deltas([delta]) for delta in done.deltas) + encoder.end(
        report.usage, done.completion.extra
    )
    return "".join(_pieces(surface, raw))


def _pieces(surface: str, raw: bytes) -> Iterator[str]:
    for line in raw.decode().split("\n"):
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line[6:])
        if surface == "chat":
            yield from (choice["delta"].get("content") or "" for choice in event["choices"])
        elif surface == "messages" and event["type"] == "content_block_delta":
            yield event["delta"].get("text", "")
        elif event.get("type") == "response.output_text.delta":
            yield event["delta"]


def ended_by_limit(surface: str, body: dict[str, Any]) -> bool:
    match surface:
        case "chat":
            return body["choices"][0]["finish_reason"] == "length"
        case "messages":
            return body["stop_reason"] == "max_tokens"
        case _:
            return body["incomplete_details"] == {"reason": "max_output_tokens"}


# --- the cells -----------------------------------------------------------------------------------

CHECKS: dict[str, Callable[[str, SimpleNamespace, dict[str, Any]], bool]] = {
    "text": lambda surface, done, body: said_in(surface, body)[0] == done.said.text,
    "tools": lambda surface, _done, body: said_in(surface, body)[1] == ["조회"],
    "results": lambda surface, _done, body: "집행률 41%" in said_in(surface, body)[0],
    "images": lambda _surface, done, _body: done.prompt.images == 1,
    "schema": lambda surface, _done, body: said_in(surface, body)[0] != "",
    "limit": lambda surface, _done, body: ended_by_limit(surface, body),
}


def cell(surface: str, place: tuple[str, str, str], feature: str) -> str:
    """Return `yes`, `refused` (before anything was sent) or `wrong`."""
    body = BODIES[surface](feature)
    try:
        whole_request = SURFACES[surface].parse(body)
        done = exchange(whole_request, place)
        stream = exchange(SURFACES[surface].parse({**body, "stream": True}), place)
    except InvalidRequest:
        return "refused"
    right = CHECKS[feature](surface, done, whole(surface, done))
    same = streamed(surface, stream) == said_in(surface, whole(surface, stream))[0]
    paid = done.completion.report.usage == stream.completion.report.usage
    return "yes" if right and same and paid else "wrong"


def cells() -> dict[tuple[str, tuple[str, str, str]], dict[str, str]]:
    return {
        (surface, place): {feature: cell(surface, place, feature) for feature in FEATURES}
        for place in PLACES
        for surface in SURFACES
    }


MARKS = {"yes": "✓", "refused": "–", "wrong": "✗"}


def table() -> str:
    found = cells()
    rows = [f"| family | {' | '.join(SURFACES)} |", f"|---|{'---|' * len(SURFACES)}"]
    for place in PLACES:
        shown = ["".join(MARKS[found[surface, place][f]] for f in FEATURES) for surface in SURFACES]
        rows.append(f"| `{place[0]}` as {place[2]} | {' | '.join(f'`{marks}`' for marks in shown)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    start, end = text.index("<!-- matrix -->"), text.index("<!-- /matrix -->")
    DOCUMENT.write_text(f"{text[:start]}<!-- matrix -->\n{table()}\n{text[end:]}", encoding="utf-8")
