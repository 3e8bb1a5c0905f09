"""Answers of Anthropic Messages, streamed or whole, into deltas, a Completion and Usage. See anthropic.py.

Traps held here: `input_tokens` leaves out what the cache read and wrote; usage in `message_delta` is
cumulative; the split of cache writes stands only in `message_start`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

from gateway.providers import failures
from gateway.providers.blocks import Blocks
from gateway.providers.counting import count, part, rest, settled
from gateway.providers.decoding import AnswerDecoder
from gateway.providers.writing import present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, Choice, Delta, UsageReport

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


_UNREADABLE: Final = "unreadable"
"""Where a usage that is no object is kept in the raw one."""


class Decoder(AnswerDecoder):
    def __init__(self, deployment: Deployment, *, stream: bool) -> None:
        del deployment  # nothing differs between deployments
        super().__init__(stream=stream)
        self._blocks = Blocks()

    def choices(self) -> tuple[Choice, ...]:
        return (self._blocks.as_choice(),) if self._blocks else ()

    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport:
        report = report_of(raw)
        return replace(report, partial=True) if partial else report

    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        if body.get("type") == "error" or "content" not in body:
            self.failure = failures.from_event(body["error"])
            return
        self._take_head(body)
        for index, block in enumerate(body["content"]):
            self._begin(index, block, deltas)
            self._close(index, deltas)
        self._stop(body, body.get("usage"), deltas)

    def take_event(self, event: JSON, deltas: list[Delta]) -> None:
        match event["type"]:
            case "content_block_delta":
                self._grow(event["index"], event["delta"], deltas)
            case "content_block_start":
                self._begin(event["index"], event["content_block"], deltas)
            case "content_block_stop":
                self._close(event["index"], deltas)
            case "message_start":
                self._take_head(event["message"])
            case "message_delta":
                self._stop(event["delta"], event.get("usage"), deltas)
            case "message_stop":
                self.ended = True
            case "error":
                self.failure = failures.from_event(event["error"])
            case _:  # ping, and what is added later
                pass

    def _take_head(self, message: Mapping[str, JSON]) -> None:
        self.id, self.served_model = message.get("id") or "", message.get("model") or ""
        self._count(message.get("usage"))

    def _count(self, usage: JSON) -> None:
        """Keep the latest of each figure; a later null or absent one does not erase an earlier."""
        if not usage:
            return
        if isinstance(usage, dict):
            stated = {name: value for name, value in usage.items() if value is not None}
            self.raw_usage = {**(self.raw_usage or {}), **stated}
            self.service_tier = usage.get("service_tier") or self.service_tier
        else:
            self.raw_usage = {**(self.raw_usage or {}), _UNREADABLE: usage}

    def _stop(self, delta: Mapping[str, JSON], usage: JSON, deltas: list[Delta]) -> None:
        self._count(usage)
        self.extra |= present(
            stop_sequence=delta.get("stop_sequence"),
            container=delta.get("container"),
            stop_details=delta.get("stop_details"),
        )
        reason = delta.get("stop_reason")
        if isinstance(reason, str):
            self.extra["stop_reason"] = reason
            deltas.append(self._blocks.finish(_FINISH.get(reason, reason)))

    def _begin(self, index: int, block: Mapping[str, JSON], deltas: list[Delta]) -> None:
        """Begin a block; those of tools that ran at Anthropic are no part of the answer."""
        match block["type"]:
            case "text":
                deltas.append(self._blocks.text(index, block.get("text") or ""))
                for citation in block.get("citations") or ():
                    self._cite(citation, deltas)
            case "thinking":
                deltas.append(self._blocks.reasoning(index, block.get("thinking") or ""))
                if signature := block.get("signature"):
                    deltas.append(self._blocks.signature(index, signature))
            case "redacted_thinking":
                deltas.append(self._blocks.redacted(index, block.get("data") or ""))
            case "tool_use":
                arguments = orjson.dumps(block["input"]).decode() if block.get("input") else ""
                deltas.append(self._blocks.call(index, block["id"], block["name"], arguments))

    def _grow(self, index: int, delta: Mapping[str, JSON], deltas: list[Delta]) -> None:
        match delta["type"]:
            case "text_delta":
                deltas.append(self._blocks.text(index, delta["text"]))
            case "thinking_delta":
                deltas.append(self._blocks.reasoning(index, delta["thinking"]))
            case "signature_delta":
                deltas.append(self._blocks.signature(index, delta["signature"]))
            case "input_json_delta" if self._blocks.arguments_of(index) is not None:
                deltas.append(self._blocks.arguments(index, delta["partial_json"]))
            case "citations_delta":
                self._cite(delta["citation"], deltas)

    def _close(self, index: int, deltas: list[Delta]) -> None:
        """End a block; a call without arguments has the empty object."""
        if self._blocks.arguments_of(index) == "":
            deltas.append(self._blocks.arguments(index, "{}"))

    def _cite(self, citation: Mapping[str, JSON], deltas: list[Delta]) -> None:
        if url := citation.get("url"):
            deltas.append(self._blocks.cite(url, citation.get("title") or ""))


def report_of(raw: Mapping[str, JSON]) -> UsageReport:
    """Read a Messages `usage`; `input_tokens` is already without cache reads and writes.

    Raises ValueError where the answer also held one that is no object.
    """
    if _UNREADABLE in raw:
        raise ValueError("a usage that is no object")
    written = count(raw, "cache_creation_input_tokens")
    split = part(raw, "cache_creation")
    hour = count(split, "ephemeral_1h_input_tokens")
    thinking = count(part(raw, "output_tokens_details"), "thinking_tokens")
    short = count(split, "ephemeral_5m_input_tokens")
    advisors = [i for i in raw.get("iterations") or () if i.get("type") == "advisor_message"]
    return settled(
        {
            "input": count(raw, "input_tokens"),
            "cache_read": count(raw, "cache_read_input_tokens"),
            "cache_write_5m": rest(written, hour),
            "cache_write_1h": hour,
            "output": rest(count(raw, "output_tokens"), thinking),
            "reasoning": thinking,
            "searches": count(part(raw, "server_tool_use"), "web_search_requests"),
        },
        raw,
        # what another model used on the way is stated beside the sum, in prices of that model
        contradiction=bool(advisors) or _contradicts(written, short, hour),
    )


def _contradicts(written: int | None, short: int | None, hour: int | None) -> bool:
    return written is not None and short is not None and written != short + (hour or 0)
