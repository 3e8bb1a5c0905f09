"""The words the gateway thinks in: a chat request, its answer, who asks, where it may go.

Frozen values without behaviour beyond small derivations. Nothing here opens, stores or logs.
Every dialect (chat completions, Responses, Messages) is parsed into these and encoded from these;
every provider adapter reads and writes these. A field that only one side knows travels in `extra`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from filters.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from billing.usage import Usage

JSON: TypeAlias = Any


MAX_CHOICES: Final = 16
"""Answers to one request: nobody may ask for more, and what gives more is no answer to it."""


class _Nothing(dict[str, JSON]):
    """An empty mapping that stays empty; hashable, as a dataclass default must be (Python 3.11)."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __setitem__(self, key: str, value: JSON) -> None:
        raise TypeError("this mapping is shared and stays empty")

    update = setdefault = __ior__ = __setitem__  # type: ignore[assignment]


NOTHING: Mapping[str, JSON] = _Nothing()


class Zone(StrEnum):
    """Where a deployment runs, seen from the institution."""

    EXTERNAL = "external"
    IN_HOUSE = "in_house"


# --- what a message is made of -------------------------------------------------------------------


@record
class Text:
    text: str
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class Image:
    """An image by `data:` URL or by https URL."""

    url: str
    detail: str | None = None
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio input, base64; `format` is `wav`, `mp3` and the like."""

    data: str
    format: str
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class File:
    """A file by content: `data` is a `data:` URL; or by the provider's own file id."""

    filename: str | None = None
    data: str | None = None
    file_id: str | None = None
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Reasoning of an earlier turn that the client sends back; `signature` proves it to its provider."""

    text: str
    signature: str | None = None
    redacted: str | None = None
    extra: Mapping[str, JSON] = NOTHING
    """`id` is of OpenAI's, whose proof holds only beside it."""

    @property
    def proofs(self) -> dict[str, JSON]:
        """What the `extra` of deltas says of it; see PROOFS."""
        said = (self.signature, self.redacted, self.extra.get("id"))
        names = ("signature", "redacted_thinking", "reasoning_id")
        return {name: value for name, value in zip(names, said, strict=True) if value}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model made. `arguments` is the JSON text as generated, possibly invalid."""

    id: str
    name: str
    arguments: str
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class ToolResult:
    call_id: str
    parts: tuple[Part, ...]
    is_error: bool = False
    extra: Mapping[str, JSON] = NOTHING


Part: TypeAlias = "Text | Image | Audio | File | Reasoning | ToolCall | ToolResult"
Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


@record
class Message:
    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    extra: Mapping[str, JSON] = NOTHING

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: JSON = None
    strict: bool | None = None
    extra: Mapping[str, JSON] = NOTHING


@dataclass(frozen=True, slots=True)
class ToolChoice:
    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: JSON = None
    strict: bool | None = None
    description: str | None = None


@record
class ChatRequest:
    """One chat request in no particular dialect. `None` means the client did not say."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Mapping[str, float] | None = None
    reasoning_effort: str | None = None
    reasoning_budget_tokens: int | None = None
    service_tier: str | None = None
    user: str | None = None
    metadata: Mapping[str, JSON] | None = None
    stream: bool = False
    include_usage: bool = False
    """The client asked for usage in its stream; the gateway always asks the provider."""
    extra: Mapping[str, JSON] = NOTHING
    """Top-level fields that are the provider's, passed on as they are where the wire allows it."""
    own_words: Mapping[str, JSON] = NOTHING
    """Fields of the client's dialect as they were sent, for providers that speak it; others translate."""


# --- what comes back -----------------------------------------------------------------------------


class ToolCallDelta(NamedTuple):
    """A fragment of a tool call. `id`, `name` and `extra` stand in the first fragment only."""

    index: int  # type: ignore[assignment]  # shadows tuple.index on purpose: it is the wire's word
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    extra: Mapping[str, JSON] | None = None


class Delta(NamedTuple):
    """One event of an answer, already decoded. A NamedTuple: 70,000 a second are made of these.

    `extra` carries fields of the provider's delta that clients of that dialect understand
    (`annotations`, `audio`, …), and the PROOFS of its reasoning.
    """

    choice: int = 0
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    logprobs: JSON = None
    extra: Mapping[str, JSON] | None = None

    @property
    def has_content(self) -> bool:
        """Whether a reader sees something new; the first such delta commits a stream."""
        return bool(self.text or self.reasoning or self.refusal or self.tool_calls)


PROOFS: Final = frozenset({"signature", "redacted_thinking", "reasoning_id"})
"""Members of a delta's `extra` that belong to the thought before them, or begin one (`reasoning_id`,
which only OpenAI's have)."""

NOTHING_BUT_TEXT: Final = Delta()[2:]
"""What stands behind choice and text in a delta that is text and nothing else, as nearly all are."""

delta_of: Final[Callable[[tuple[object, ...]], Delta]] = partial(tuple.__new__, Delta)
"""Make a delta from all its members, in half the time that its class takes."""


@record
class UsageReport:
    """The usage a provider stated for one exchange, and the statement itself.

    `provider_total` is the provider's own total of tokens where it gives one.
    `stated_cost_usd` is the provider's own price of the exchange (OpenRouter, xAI, Perplexity).
    """

    usage: Usage
    raw: Mapping[str, JSON]
    provider_total: int | None = None
    stated_cost_usd: Decimal | None = None
    partial: bool = False


@record
class Choice:
    index: int
    parts: tuple[Part, ...]
    finish_reason: str | None
    """`stop`, `length`, `tool_calls`, `content_filter`; None where the provider gave none, never invented."""
    refusal: str | None = None
    logprobs: JSON = None
    extra: Mapping[str, JSON] = NOTHING


@record
class Completion:
    """A whole answer. `complete` is False when the stream ended without its proper end."""

    id: str
    served_model: str
    choices: tuple[Choice, ...]
    report: UsageReport | None
    created: int = 0
    service_tier: str | None = None
    complete: bool = True
    extra: Mapping[str, JSON] = NOTHING
    content_type: str = "application/json"
    """Of the answer as the client gets it whole; sound has its own."""


@record
class UpstreamRequest:
    """What to send. `dropped` names parameters that this provider lacks."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    dropped: tuple[str, ...] = ()


# --- who asks ------------------------------------------------------------------------------------


@record
class Caller:
    """A verified person, by the key that was used, with the units that pay.

    `unit_path` runs from the institution down to the unit of the person, as ids; `department_id`
    is the unit that is charged (과) and stands in that path.
    """

    person_id: str
    key_id: str
    department_id: str
    unit_path: tuple[str, ...]
    allowed_models: frozenset[str] | None = None
    """None: every model that is open."""
    via_service: str | None = None
    """The service key's name when a shared chat client speaks for the person."""
    requests_per_min: int = 0
    """Of the key; 0: no limit of its own."""
    tokens_per_min: int = 0


@record
class Call:
    """One request at the door: what every step needs to know and nothing of HTTP beyond it."""

    request_id: str
    caller: Caller
    received_at: datetime
    surface: str
    client_ip: str = ""
    label: str = ""
    """The task of a side call (`title_generation`); empty for what a person asks."""
