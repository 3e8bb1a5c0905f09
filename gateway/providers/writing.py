"""What adapters share when they write a request: parameters that lack, data URLs, hosted tools.

Pure helpers over the domain; they know no wire format.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from gateway.errors import InvalidRequest, UnsupportedFeature
from gateway.providers.unbounded import refuse_unbounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, Message, Part, Tool, ToolCall

DEFAULT_MAX_OUTPUT_TOKENS = 4096

MARKS = frozenset(
    {"cache_control", "citations", "context", "caller", "annotations", "images", "index", "refusal", "audio"}
    | {"reasoning_details", "defer_loading", "eager_input_streaming", "input_examples", "allowed_callers"}
    | {"extra_content", "thought_signature", "function_call", "document"}
)
"""Members that one dialect puts into messages, parts and tools, and another refuses as unknown."""

FIELDS_OF_MESSAGES = frozenset(
    {"context_management", "container", "mcp_servers", "inference_geo", "output_config", "cache_control"}
    | {"anthropic_beta", "anthropic_version", "betas", "speed"}
)
FIELDS_OF_RESPONSES = frozenset({"include", "truncation", "max_tool_calls", "text"})
"""Top-level fields of one dialect that the chat format refuses as unknown."""

ALTERING = frozenset({"n", "logprobs", "top_logprobs"})
"""Parameters whose absence changes the answer's meaning: refused where a wire format has none."""


def known(extra: Mapping[str, JSON], marks: frozenset[str] | Iterable[str]) -> Mapping[str, JSON]:
    """Keep what is of no other dialect, or among the `marks` that this provider knows; never a null."""
    if not extra:
        return extra
    refused = MARKS.difference(marks)
    return {name: value for name, value in extra.items() if value is not None and name not in refused}


class DataURL(NamedTuple):
    media_type: str
    base64: str


def data_url(url: str) -> DataURL | None:
    """Read `data:<media type>;base64,<data>`; None for any other URL."""
    match = re.match(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,", url[:200])
    return DataURL(match[1] or "application/octet-stream", url[match.end() :]) if match else None


def sampling(chat: ChatRequest) -> dict[str, JSON]:
    """Return the parameters that the client named and some wire formats lack, by OpenAI's names."""
    asked = {
        "n": chat.n if chat.n != 1 else None,
        "logprobs": chat.logprobs or None,
        "top_logprobs": chat.top_logprobs or None,
        "seed": chat.seed,
        "top_k": chat.top_k,
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "presence_penalty": chat.presence_penalty,
        "frequency_penalty": chat.frequency_penalty,
        "logit_bias": chat.logit_bias,
        "service_tier": chat.service_tier,
        "parallel_tool_calls": chat.parallel_tool_calls,
        "user": chat.user,
        "metadata": chat.metadata,
    }
    return {name: value for name, value in asked.items() if value is not None}


class Parameters:
    """The client's parameters, taken one by one; what is left in the end is dropped or refused.

    Raises UnsupportedFeature for what has no bound.
    """

    def __init__(self, chat: ChatRequest, deployment: Deployment) -> None:
        refuse_unbounded(chat.extra)
        self._asked = sampling(chat)
        self._passed = dict(chat.extra)
        lacks = deployment.options.get("lacks", ())
        self._dropped = {name for name in lacks if self._asked.pop(name, None) is not None}

    def take(self, **names: str) -> dict[str, JSON]:
        """Take parameters, each under the wire's own name: `take(stop="stop_sequences")`."""
        return {wire: self._asked.pop(name) for name, wire in names.items() if name in self._asked}

    def pass_on(self, names: Iterable[str]) -> dict[str, JSON]:
        """Take those top-level fields of the client that this wire format knows itself."""
        return {name: self._passed.pop(name) for name in names if name in self._passed}

    def drop(self, *names: str) -> None:
        """Leave out parameters, and name those that the client asked for."""
        self._dropped |= {name for name in names if self._asked.pop(name, None) is not None}

    def cannot(self, *names: str) -> None:
        """Name parameters that were not among those taken one by one."""
        self._dropped.update(names)

    def dropped(self) -> tuple[str, ...]:
        """Name what the wire lacks. Raises UnsupportedFeature if its absence changes the meaning."""
        for name in sorted(self._asked.keys() & ALTERING):
            raise lacking(name)
        return tuple(sorted(self._dropped | self._asked.keys() | self._passed.keys()))


def unsaid(chat: ChatRequest, *carried: str) -> Iterator[str]:
    """Name what a client said in words of its dialect alone, but for those that a wire format has, too.

    A summary is part of any thought that was asked for; alone it asks other formats for nothing.
    """
    own = {name: words for name, words in chat.own_words.items() if name not in carried}
    thinks = chat.reasoning_effort not in {None, "none"} or chat.reasoning_budget_tokens is not None
    yield from own.get("documents", ())
    told = _SUMMARIES if thinks else ()
    yield from (f"reasoning.{name}" for name in _named(own.get("reasoning")) if name not in told)
    yield from (f"output_config.{name}" for name in _named(own.get("output_config")))
    if "thinking" in own and chat.reasoning_effort is None and chat.reasoning_budget_tokens is None:
        yield "thinking"


def _named(members: JSON) -> list[str]:
    return [name for name, value in (members or {}).items() if value is not None and name != "effort"]


_SUMMARIES: Final = ("summary", "generate_summary")


def lacking(feature: str, param: str | None = None) -> UnsupportedFeature:
    """Name a feature that would change the answer's meaning if it were left out."""
    return UnsupportedFeature(
        f"이 모델은 '{feature}'을(를) 지원하지 않습니다. 그 항목을 빼거나 다른 모델을 선택하세요.",
        f"This model does not offer '{feature}'. Leave it out or choose another model.",
        param=param or feature,
    )


def lacking_part(part: Part) -> UnsupportedFeature:
    """Name a kind of content that the wire format has no place for."""
    return lacking(f"{type(part).__name__.lower()} content", "messages")


def refuse_hosted(tools: Iterable[Tool]) -> None:
    """Refuse tools that another provider would run itself; only functions can be translated."""
    for tool in tools:
        kind = tool.extra.get("type", "function")
        if kind not in {"function", "custom"}:
            raise lacking(f"tool type {kind}", "tools")


def arguments_of(call: ToolCall) -> Mapping[str, JSON]:
    """Return a call's arguments as an object, as most formats want them; broken JSON is kept as text."""
    try:
        arguments = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        return {"arguments": call.arguments}
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def instructions(messages: Iterable[Message]) -> tuple[list[Message], list[Message]]:
    """Split off system and developer messages, which these formats keep apart from the dialogue."""
    system: list[Message] = []
    dialogue: list[Message] = []
    for message in messages:
        (system if message.role in {"system", "developer"} else dialogue).append(message)
    if not dialogue:
        raise InvalidRequest(
            "대화 메시지가 없습니다. 'user' 메시지를 하나 이상 보내세요.",
            "There is no message to answer. Send at least one message with the role 'user'.",
            param="messages",
        )
    return system, dialogue


def present(**members: JSON) -> dict[str, JSON]:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}
