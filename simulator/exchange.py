"""What every wire format has in common: a prompt that came in, an answer that goes out, its tokens.

Frozen values only; no wire format, no HTTP, no clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

JSON: TypeAlias = Any
Finish: TypeAlias = Literal["stop", "length", "tool"]


class BadRequest(Exception):
    """The request does not follow its wire format; answered with the provider's kind of 400."""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: JSON


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON text; wires that want an object parse it again."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Prompt:
    """One request, freed of its wire format.

    `question` is the text of the last user message, `everything` all strings of the request in
    order; `must_call` says that the client demands a tool call. `max_tokens` None: no limit.
    """

    model: str
    question: str
    everything: str
    tools: tuple[Tool, ...] = ()
    tool_results: tuple[str, ...] = ()
    must_call: bool = False
    json_schema: JSON = None
    max_tokens: int | None = None
    choices: int = 1
    messages: int = 1
    images: int = 0
    stream: bool = False
    usage_in_stream: bool = False

    @cached_property
    def digest(self) -> bytes:
        """Chooses cached tokens, reasoning and phrasing; equal for a stream and a whole answer."""
        return hashlib.sha256(f"{self.model}\0{self.everything}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens in disjoint classes; each wire restates them by its provider's convention."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int

    def without_cache_write(self) -> Counts:
        """Count cache writes as plain input, as a provider does that does not state them."""
        return replace(self, input=self.input + self.cache_write, cache_write=0)

    def without_cache_read(self) -> Counts:
        return replace(self, input=self.input + self.cache_read, cache_read=0)

    def without_reasoning(self) -> Counts:
        return replace(self, output=self.output + self.reasoning, reasoning=0)


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish: Finish
    counts: Counts
