"""The OpenAI chat format, for every provider that speaks it; profiles.py holds what differs.

Pure: a ChatRequest into an UpstreamRequest. Answers are read by openai_answers.py.
Source: https://platform.openai.com/docs/api-reference/chat and the providers' pages in
docs/providers.md.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import Audio, File, Image, Reasoning, Text, ToolCall, ToolResult, UpstreamRequest
from gateway.providers import failures, openai_answers, profiles, reach
from gateway.providers.unbounded import refuse_unbounded
from gateway.providers.writing import (
    FIELDS_OF_MESSAGES,
    FIELDS_OF_RESPONSES,
    known,
    lacking,
    lacking_part,
    refuse_hosted,
    unsaid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, Message, Part, ResponseFormat, Tool, ToolChoice
    from gateway.providers.base import Decoder as DecoderContract
    from gateway.providers.profiles import Profile

error = failures.from_response


def Decoder(deployment: Deployment, *, stream: bool) -> DecoderContract:  # noqa: N802 - see base.Adapter
    return openai_answers.Decoder(profiles.of(deployment), stream=stream)


def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest:
    """Write the request. Raises UnsupportedFeature for what would change the meaning if left out."""
    profile = profiles.of(deployment)
    refuse_hosted(chat.tools)
    refuse_unbounded(chat.extra)
    asked = _without_refused(_parameters(chat, profile), chat, profile)
    words = unsaid(chat) if chat.own_words else ()
    dropped = sorted({*words, *(asked.keys() & profile.lacks), *(chat.extra.keys() & _FOREIGN)})
    body: dict[str, JSON] = {
        **_passed_on(chat, profile),
        **profile.body,  # the administrator's word goes before the client's
        "model": deployment.upstream_model,
        "messages": list(_messages(chat.messages, profile)),
        **{profile.renames.get(name, name): value for name, value in asked.items() if name not in dropped},
        **_stream(chat, profile),
    }
    if profile.store:
        body["store"] = False
    return UpstreamRequest(
        "POST",
        reach.address(deployment, "chat/completions"),
        reach.headers(deployment, profile, "text/event-stream" if chat.stream else "application/json"),
        orjson.dumps(body),
        tuple(dropped),
    )


# --- parameters ----------------------------------------------------------------------------------


def _parameters(chat: ChatRequest, profile: Profile) -> dict[str, JSON]:
    """Everything the client asked for, by OpenAI's names, before anything is left out."""
    values = _as_they_are(chat)
    asked: dict[str, JSON] = {}
    if values != _UNSAID:
        asked = {name: value for name, value in zip(_AS_THEY_ARE, values, strict=True) if value is not None}
    if chat.tools:
        asked["tools"] = [_tool(tool, profile) for tool in chat.tools]
    if chat.tool_choice is not None:
        asked["tool_choice"] = _tool_choice(chat.tool_choice)
    if chat.response_format is not None:
        asked["response_format"] = _response_format(chat.response_format)
    if chat.max_output_tokens is not None:
        asked[profile.max_tokens] = chat.max_output_tokens
    if chat.stop:
        asked["stop"] = list(chat.stop)
    if chat.n != 1:
        asked["n"] = chat.n
    return asked | _reasoning(chat, profile)


_AS_THEY_ARE: Final = (
    *("parallel_tool_calls", "temperature", "top_p", "top_k", "seed", "presence_penalty"),
    *("frequency_penalty", "logprobs", "top_logprobs", "logit_bias", "service_tier", "user", "metadata"),
)
"""Parameters whose names and values are OpenAI's in the domain, too."""
_as_they_are: Final = attrgetter(*_AS_THEY_ARE)
_UNSAID: Final = (None,) * len(_AS_THEY_ARE)


def _without_refused(asked: dict[str, JSON], chat: ChatRequest, profile: Profile) -> dict[str, JSON]:
    """Refuse what the provider cannot do; leave out such names where they ask for nothing."""
    kind = chat.response_format.kind if chat.response_format else ""
    if profile.refuses.isdisjoint((*asked, kind)):
        return asked
    meant = {name for name in asked if name in profile.refuses and not _says_nothing(name, asked[name])}
    for name in sorted(meant | ({kind} & profile.refuses)):
        raise lacking(name, "response_format" if name == kind else name)
    return {name: value for name, value in asked.items() if name not in profile.refuses}


def _says_nothing(name: str, value: JSON) -> bool:
    """Whether a value asks for what happens anyway."""
    return value is False or (name, value) in [("tool_choice", "auto"), ("top_logprobs", 0)]


def _reasoning(chat: ChatRequest, profile: Profile) -> dict[str, JSON]:
    effort, budget = chat.reasoning_effort, chat.reasoning_budget_tokens
    if effort is None and budget is None:
        return {}
    if profile.reasoning_effort == "object":
        wanted = {"effort": effort} if effort is not None else {"max_tokens": budget}
        return {"reasoning": wanted}
    if profile.reasoning_effort == "thinking":
        if effort == "none" or budget == 0:
            return {"thinking": {"type": "disabled"}}
        thinking: dict[str, JSON] = {"thinking": {"type": "enabled"}}
        return thinking if effort is None else thinking | {"reasoning_effort": effort}
    return {"reasoning_effort": effort or _effort_of(budget or 0)}


def _effort_of(budget_tokens: int) -> str:
    """Translate a budget of thinking tokens into the nearest named effort."""
    return "low" if budget_tokens <= 2048 else "medium" if budget_tokens <= 8192 else "high"


def _passed_on(chat: ChatRequest, profile: Profile) -> dict[str, JSON]:
    """Fields that only the provider knows, without those that the gateway decides or another dialect has."""
    if not chat.extra:
        return {}
    kept_back = _OURS | _FOREIGN | profile.lacks
    return {name: value for name, value in chat.extra.items() if name not in kept_back}


_FOREIGN: Final = FIELDS_OF_MESSAGES | FIELDS_OF_RESPONSES
_OURS: Final = frozenset({"model", "messages", "stream", "stream_options", "store"})


def _stream(chat: ChatRequest, profile: Profile) -> dict[str, JSON]:
    if not chat.stream:
        return {}
    if not profile.stream_options:
        return {"stream": True}
    options = {"include_usage": True}
    if profile.continuous_usage:
        options["continuous_usage_stats"] = True
    return {"stream": True, "stream_options": options}


def _tool(tool: Tool, profile: Profile) -> dict[str, JSON]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    return {
        **known(tool.extra, profile.marks),
        "type": "function",
        "function": {name: value for name, value in function.items() if value is not None},
    }


def _tool_choice(choice: ToolChoice) -> JSON:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _response_format(wanted: ResponseFormat) -> JSON:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    schema = {
        "name": wanted.name or "answer",
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    return {"type": "json_schema", "json_schema": {k: v for k, v in schema.items() if v is not None}}


# --- messages ------------------------------------------------------------------------------------


def _plain(message: Message, profile: Profile) -> tuple[dict[str, JSON], ...]:
    """Write a message of one text and nothing else, as nearly all are; empty for any other."""
    if len(message.parts) != 1 or message.extra or message.name:
        return ()
    (part,) = message.parts
    if type(part) is not Text or part.extra:
        return ()
    return ({"role": _role(message, profile), "content": part.text},)


def _role(message: Message, profile: Profile) -> str:
    return "system" if message.role == "developer" and not profile.developer_role else message.role


def _messages(messages: Iterable[Message], profile: Profile) -> Iterator[dict[str, JSON]]:
    """Write messages; tool results are messages of their own and stand before what is said with them.

    The format has no images in tool results: they follow as a message of the user, after the last of
    neighbouring results, between which nothing may stand.
    """
    shown: list[Part] = []
    for message in messages:
        plain = _plain(message, profile)
        results = [] if plain else [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            yield _tool_message(result, profile)
            shown += [part for part in result.parts if not isinstance(part, Text)]
        if results and len(results) == len(message.parts):
            continue
        if shown:
            yield _shown(shown, profile)
            shown = []
        yield from plain or (_message(message, profile),)
    if shown:
        yield _shown(shown, profile)


def _shown(parts: Iterable[Part], profile: Profile) -> dict[str, JSON]:
    return {"role": "user", "content": [_part(part, profile) for part in parts]}


def _tool_message(result: ToolResult, profile: Profile) -> dict[str, JSON]:
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    answer = {"role": "tool", "tool_call_id": result.call_id, "content": text}
    return {**known(result.extra, profile.marks), **answer}


def _message(message: Message, profile: Profile) -> dict[str, JSON]:
    said = [part for part in message.parts if not isinstance(part, ToolResult)]
    written: dict[str, JSON] = {**known(message.extra, profile.marks), "role": _role(message, profile)}
    if message.name:
        written["name"] = message.name
    calls = [_tool_call(part, profile) for part in said if isinstance(part, ToolCall)]
    thought = "".join(part.text for part in said if isinstance(part, Reasoning))
    rest = [part for part in said if not isinstance(part, ToolCall | Reasoning)]
    written["content"] = _content(rest, profile) if rest or not calls else None
    if calls:
        written["tool_calls"] = calls
    if thought and profile.reasoning_history == "content":
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
        written["content"] = [thinking, *[_part(part, profile) for part in rest]]
    elif thought and profile.reasoning_history:
        written[profile.reasoning_history] = thought
    return written


def _content(parts: Sequence[Part], profile: Profile) -> JSON:
    written = [_part(part, profile) for part in parts]
    if not written:
        return ""
    plain = len(written) == 1 and written[0].keys() == {"type", "text"}
    return written[0]["text"] if plain else written


def _part(part: Part, profile: Profile) -> dict[str, JSON]:
    return {**known(part.extra, profile.marks), **_body(part)}


def _body(part: Part) -> dict[str, JSON]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(url, detail):
            image = {"url": url, "detail": detail} if detail else {"url": url}
            return {"type": "image_url", "image_url": image}
        case Audio(data, form):
            return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
        case File(filename, data, file_id):
            file = {"filename": filename, "file_data": data, "file_id": file_id}
            return {"type": "file", "file": {k: v for k, v in file.items() if v is not None}}
        case _:
            raise lacking_part(part)


def _tool_call(call: ToolCall, profile: Profile) -> dict[str, JSON]:
    return {
        **known(call.extra, profile.marks),
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
