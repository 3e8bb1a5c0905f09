"""Answers of Bedrock Converse, as JSON or as a binary event stream. See bedrock.py.

Traps held here: `inputTokens` leaves out what the cache read and wrote; usage comes in `metadata`, after
the stop; an error inside a stream is a message of type `exception`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson
from botocore.eventstream import EventStreamBuffer, ParserError

from gateway.domain import NOTHING
from gateway.providers import failures
from gateway.providers.blocks import Blocks
from gateway.providers.counting import count, rest, settled, summed
from gateway.providers.decoding import AnswerDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.eventstream import EventStreamMessage

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, Choice, Delta, UsageReport

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


class Decoder(AnswerDecoder):
    """The answer names neither itself nor its model, so the model asked for is the one that served."""

    def __init__(self, deployment: Deployment, *, stream: bool) -> None:
        super().__init__(stream=stream)
        self.served_model = deployment.upstream_model
        self._messages = EventStreamBuffer()
        self._blocks = Blocks()

    @property
    def finished(self) -> bool:
        return self._blocks.finish_reason is not None

    def choices(self) -> tuple[Choice, ...]:
        return (self._blocks.as_choice(),) if self._blocks else ()

    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport:
        report = report_of(raw)
        return replace(report, partial=True) if partial else report

    # --- the binary stream -----------------------------------------------------------------------

    def look_at(self, data: bytes) -> None:
        """Take a promised stream for what it is: its first bytes are a length."""

    def take_bytes(self, data: bytes, deltas: list[Delta]) -> None:
        self._messages.add_data(data)
        try:
            for message in self._messages:
                self._take_message(message, deltas)
                if self.failure is not None:
                    return
        except ParserError as e:  # a wrong checksum or an impossible length
            raise ValueError("not an AWS event stream") from e

    def take_rest(self) -> None:
        """Nothing can be read of a message that is cut off."""

    def _take_message(self, message: EventStreamMessage, deltas: list[Delta]) -> None:
        headers = message.headers
        match headers.get(":message-type"):
            case "exception":
                stated = orjson.loads(message.payload or b"{}")
                kind = headers.get(":exception-type")
                self.failure = failures.from_event({"type": kind, "message": stated.get("message")})
            case "error":
                code, text = headers.get(":error-code"), headers.get(":error-message")
                self.failure = failures.from_event({"type": code, "message": text})
            case _:
                event = {"type": headers.get(":event-type"), **orjson.loads(message.payload)}
                self.take_event(event, deltas)

    def take_event(self, event: JSON, deltas: list[Delta]) -> None:
        match event["type"]:
            case "contentBlockDelta":
                self._grow(event["contentBlockIndex"], event["delta"], deltas)
            case "contentBlockStart":
                call = (event.get("start") or NOTHING).get("toolUse")
                if call and _is_ours(call):
                    index = event["contentBlockIndex"]
                    deltas.append(self._blocks.call(index, call["toolUseId"], call["name"]))
            case "contentBlockStop":
                self._close(event["contentBlockIndex"], deltas)
            case "messageStop":
                self._stop(event["stopReason"], deltas)
            case "metadata":
                self._measure(event)
                self.ended = True

    def _grow(self, index: int, delta: Mapping[str, JSON], deltas: list[Delta]) -> None:
        if text := delta.get("text"):
            deltas.append(self._blocks.text(index, text))
        elif call := delta.get("toolUse"):
            if self._blocks.arguments_of(index) is not None:
                deltas.append(self._blocks.arguments(index, call.get("input") or ""))
        elif thought := delta.get("reasoningContent"):
            self._think(index, thought, deltas)

    def _think(self, index: int, thought: Mapping[str, JSON], deltas: list[Delta]) -> None:
        if text := thought.get("text"):
            deltas.append(self._blocks.reasoning(index, text))
        if signature := thought.get("signature"):
            deltas.append(self._blocks.signature(index, signature))
        if redacted := thought.get("redactedContent"):
            deltas.append(self._blocks.redacted(index, redacted))

    def _close(self, index: int, deltas: list[Delta]) -> None:
        if self._blocks.arguments_of(index) == "":
            deltas.append(self._blocks.arguments(index, "{}"))

    def _stop(self, reason: str, deltas: list[Delta]) -> None:
        self.extra["stop_reason"] = reason
        deltas.append(self._blocks.finish(_FINISH.get(reason, reason)))

    def _measure(self, metadata: Mapping[str, JSON]) -> None:
        self.raw_usage = metadata.get("usage") or self.raw_usage
        self.service_tier = (metadata.get("serviceTier") or NOTHING).get("type") or self.service_tier

    # --- a whole body ----------------------------------------------------------------------------

    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        for index, block in enumerate(body["output"]["message"]["content"]):
            if call := block.get("toolUse"):
                if not _is_ours(call):
                    continue
                arguments = orjson.dumps(call.get("input") or {}).decode()
                deltas.append(self._blocks.call(index, call["toolUseId"], call["name"], arguments))
            elif thought := block.get("reasoningContent"):
                self._think(index, thought.get("reasoningText") or thought, deltas)
            elif cited := block.get("citationsContent"):
                for piece in cited.get("content") or ():
                    self._grow(index, piece, deltas)
            elif image := block.get("image"):
                deltas.append(self._blocks.image(index, _data_url(image)))
            else:
                self._grow(index, block, deltas)
        self._stop(body["stopReason"], deltas)
        self._measure(body)


def _is_ours(call: Mapping[str, JSON]) -> bool:
    """Whether the client shall run a call; what Bedrock ran itself is no part of the answer."""
    return call.get("type") != "server_tool_use"


def _data_url(image: Mapping[str, JSON]) -> str:
    return f"data:image/{image.get('format') or 'png'};base64,{image['source']['bytes']}"


def report_of(raw: Mapping[str, JSON]) -> UsageReport:
    """Read a Converse `usage`; `inputTokens` is already without cache reads and writes."""
    used, written = (
        count(raw, "inputTokens"),
        count(raw, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    )
    read, made = count(raw, "cacheReadInputTokens", "cacheReadInputTokenCount"), count(raw, "outputTokens")
    hours = [count(d, "inputTokens") for d in raw.get("cacheDetails") or () if d.get("ttl") == "1h"]
    hour, total = summed(*hours), count(raw, "totalTokens")
    cached = (read or 0) + (written or 0)
    return settled(
        {
            "input": used,
            "cache_read": read,
            "cache_write_5m": rest(written, hour),
            "cache_write_1h": hour,
            "output": made,
        },
        raw,
        provider_total=total,
        beside_total=cached if total == (used or 0) + (made or 0) else 0,  # some models leave the cache out
    )
