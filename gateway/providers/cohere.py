"""Cohere v2 chat. Pure; source: https://docs.cohere.com/v2/reference/chat.

Traps held here: what is billed stands in `billed_units`, not in `tokens`; a plan before tool calls comes
apart from the text; there is no named tool choice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import NOTHING, Image, Reasoning, Text, ToolCall, ToolResult, UpstreamRequest
from gateway.providers import failures
from gateway.providers.blocks import Blocks
from gateway.providers.counting import count, part, settled
from gateway.providers.decoding import AnswerDecoder
from gateway.providers.writing import Parameters, lacking, lacking_part, present, refuse_hosted, unsaid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, Choice, Delta, Message, Part, UsageReport

_OWN_FIELDS: Final = ("documents", "citation_options", "safety_mode", "strict_tools", "priority", "thinking")
_FINISH: Final = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
}
_NOT_AN_END: Final = frozenset({"ERROR", "TIMEOUT"})

error = failures.from_response


def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest:
    """Write a v2 chat request. Raises UnsupportedFeature."""
    refuse_hosted(chat.tools)
    parameters = Parameters(chat, deployment)
    parameters.cannot(*unsaid(chat))
    body = {
        **present(
            model=deployment.upstream_model,
            messages=[m for message in chat.messages for m in _messages(message)],
            tools=[_tool(tool.name, tool.description, tool.parameters) for tool in chat.tools] or None,
            tool_choice=_tool_choice(chat),
            max_tokens=chat.max_output_tokens,
            stop_sequences=list(chat.stop) or None,
            response_format=_form(chat),
            thinking=_thinking(chat),
        ),
        "stream": chat.stream,
        **parameters.take(
            temperature="temperature",
            top_p="p",
            top_k="k",
            seed="seed",
            presence_penalty="presence_penalty",
            frequency_penalty="frequency_penalty",
        ),
        **parameters.pass_on(_OWN_FIELDS),
        **deployment.options.get("body", {}),
    }
    key = deployment.credential.api_key
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if chat.stream else "application/json",
        **({"authorization": f"Bearer {key}"} if key else {}),
        **deployment.headers,
    }
    return UpstreamRequest("POST", _url(deployment), headers, orjson.dumps(body), parameters.dropped())


def _url(deployment: Deployment) -> str:
    base = deployment.base_url.rstrip("/")
    return f"{base}/chat" if base.endswith("/v2") else f"{base}/v2/chat"


def _tool(name: str, description: str | None, parameters: JSON) -> dict[str, JSON]:
    schema = parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": present(name=name, description=description, parameters=schema)}


def _tool_choice(chat: ChatRequest) -> str | None:
    mode = chat.tool_choice.mode if chat.tool_choice else "auto"
    if mode == "named" and [tool.name for tool in chat.tools] != [chat.tool_choice and chat.tool_choice.name]:
        raise lacking("a named tool_choice", "tool_choice")
    return {"none": "NONE", "required": "REQUIRED", "named": "REQUIRED"}.get(mode) if chat.tools else None


def _form(chat: ChatRequest) -> JSON:
    wanted = chat.response_format
    if wanted is None or wanted.kind == "text":
        return None
    return present(type="json_object", json_schema=wanted.schema)


def _thinking(chat: ChatRequest) -> JSON:
    if chat.reasoning_effort == "none" or chat.reasoning_budget_tokens == 0:
        return {"type": "disabled"}
    if chat.reasoning_effort is None and chat.reasoning_budget_tokens is None:
        return None
    return present(type="enabled", token_budget=chat.reasoning_budget_tokens)


# --- messages ------------------------------------------------------------------------------------


def _messages(message: Message) -> Iterator[dict[str, JSON]]:
    for result in message.parts:
        if isinstance(result, ToolResult):
            text = "".join(p.text for p in result.parts if isinstance(p, Text))
            yield {"role": "tool", "tool_call_id": result.call_id, "content": text}
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
    said = _content(part for part in message.parts if not isinstance(part, ToolCall | ToolResult))
    role = "system" if message.role == "developer" else message.role
    if said or calls:
        yield {"role": role, **present(content=said or None, tool_calls=calls or None)}


def _content(parts: Iterable[Part]) -> JSON:
    written = [block for part in parts if (block := _block(part)) is not None]
    texts = [block["text"] for block in written if block["type"] == "text"]
    return texts[0] if len(written) == len(texts) == 1 else written


def _block(part: Part) -> dict[str, JSON] | None:
    match part:
        case Text(text):
            return {"type": "text", "text": text} if text else None
        case Image(url, detail):
            return {"type": "image_url", "image_url": present(url=url, detail=detail)}
        case Reasoning(text):
            return {"type": "thinking", "thinking": text} if text else None
        case _:
            raise lacking_part(part)


def _call(call: ToolCall) -> dict[str, JSON]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


# --- answers -------------------------------------------------------------------------------------


class Decoder(AnswerDecoder):
    def __init__(self, deployment: Deployment, *, stream: bool) -> None:
        super().__init__(stream=stream)
        self.served_model = deployment.upstream_model
        self._blocks = Blocks()
        self._kinds: dict[int, str] = {}

    @property
    def finished(self) -> bool:
        return self._blocks.finish_reason is not None

    def choices(self) -> tuple[Choice, ...]:
        return (self._blocks.as_choice(),) if self._blocks else ()

    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport:
        report = report_of(raw)
        return replace(report, partial=True) if partial else report

    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        self.id = body.get("id") or ""
        message = body["message"]
        self._plan(message.get("tool_plan"), deltas)
        for index, block in enumerate(message.get("content") or ()):
            self._grow(index, block, deltas)
        for index, call in enumerate(message.get("tool_calls") or ()):
            self._begin_call(index, call, deltas)
        self._stop(body.get("finish_reason"), body.get("usage"), deltas)

    def take_event(self, event: JSON, deltas: list[Delta]) -> None:
        delta = event.get("delta") or NOTHING
        message = delta.get("message") or NOTHING
        index = event.get("index") or 0
        match event.get("type"):
            case "message-start":
                self.id = event.get("id") or ""
            case "content-start" | "content-delta":
                self._grow(index, message.get("content") or NOTHING, deltas)
            case "tool-plan-delta":
                self._plan(message.get("tool_plan"), deltas)
            case "tool-call-start":
                self._begin_call(index, message["tool_calls"], deltas)
            case "tool-call-delta":
                piece = message["tool_calls"]["function"].get("arguments") or ""
                deltas.append(self._blocks.arguments(index, piece))
            case "message-end":
                self._stop(delta.get("finish_reason"), delta.get("usage"), deltas)
                if stated := delta.get("error"):
                    self.failure = failures.from_event({"message": stated})
                self.ended = self.failure is None

    def _grow(self, index: int, content: Mapping[str, JSON], deltas: list[Delta]) -> None:
        if thought := content.get("thinking"):
            deltas.append(self._blocks.reasoning(index, thought))
        if text := content.get("text"):
            deltas.append(self._blocks.text(index, text))

    def _plan(self, plan: JSON, deltas: list[Delta]) -> None:
        """Take the plan before tool calls as reasoning, which is what it is."""
        if plan:
            deltas.append(self._blocks.reasoning("plan", plan))

    def _begin_call(self, index: int, call: Mapping[str, JSON], deltas: list[Delta]) -> None:
        function = call["function"]
        deltas.append(self._blocks.call(index, call["id"], function["name"], function.get("arguments") or ""))

    def _stop(self, reason: JSON, usage: JSON, deltas: list[Delta]) -> None:
        self.raw_usage = usage or self.raw_usage
        if reason in _NOT_AN_END:
            self.failure = failures.from_event({"type": str(reason).lower()})
        elif isinstance(reason, str):
            deltas.append(self._blocks.finish(_FINISH.get(reason, reason.lower())))


def report_of(raw: Mapping[str, JSON]) -> UsageReport:
    """Read a v2 `usage`: the billed units; `tokens` also counts what Cohere adds and does not bill."""
    billed = part(raw, "billed_units") or part(raw, "tokens")
    return settled(
        {
            "input": count(billed, "input_tokens"),
            "output": count(billed, "output_tokens"),
            "searches": count(billed, "search_units"),
            "images": count(billed, "images"),
        },
        raw,
    )
