"""OpenAI Responses: a ChatRequest into an UpstreamRequest. Pure.

Source: https://platform.openai.com/docs/api-reference/responses. Traps held here: `strict` is true
unless said otherwise, unlike in the chat format; answers are kept at the provider unless `store` is
false, and then reasoning comes back only encrypted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import Audio, File, Image, Reasoning, Text, ToolCall, ToolResult, UpstreamRequest
from gateway.errors import InvalidRequest
from gateway.providers import failures, profiles, reach
from gateway.providers.responses_answers import Decoder
from gateway.providers.writing import (
    Parameters,
    instructions,
    known,
    lacking,
    lacking_part,
    present,
    refuse_hosted,
    unsaid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, Message, Part, ResponseFormat, Tool, ToolChoice
    from gateway.providers.profiles import Profile

__all__ = ["Decoder", "error", "request"]

MIN_OUTPUT_TOKENS: Final = 16
_OWN_FIELDS: Final = (
    *("include", "truncation", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
    *("max_tool_calls", "text"),
)

_SHAPES: Final[Mapping[str, tuple[Callable[[JSON], bool], str, str]]] = {
    "text": (lambda value: isinstance(value, dict), "객체", "an object"),
    "include": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "문자열 목록",
        "a list of strings",
    ),
    "max_tool_calls": (lambda value: type(value) is int and value > 0, "1 이상의 정수", "an integer from 1"),
}

error = failures.from_response


def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest:
    """Write a Responses request. Raises UnsupportedFeature or InvalidRequest."""
    profile = profiles.of(deployment)
    refuse_hosted(chat.tools)
    parameters = Parameters(chat, deployment)
    parameters.cannot(*unsaid(chat, "reasoning"))
    parameters.drop(*(profile.lacks & profiles.SAMPLING))
    instructions(chat.messages)
    if chat.stop:
        raise lacking("stop")
    own = _well_formed(parameters.pass_on(_OWN_FIELDS))
    text = {**(own.pop("text", None) or {}), **present(format=_format(chat.response_format))}
    include = sorted({*(own.pop("include", None) or ()), *_include(chat, deployment, profile)})
    by_default = {} if "tools" in chat.own_words else {"strict": False}
    limit = chat.max_output_tokens
    if limit is not None and limit < MIN_OUTPUT_TOKENS:
        raise lacking(f"fewer than {MIN_OUTPUT_TOKENS} output tokens", "max_completion_tokens")
    body = {
        **own,
        **profile.body,
        **_search_cap(own, deployment),
        **present(
            model=deployment.upstream_model,
            input=[item for message in chat.messages for item in _items(message)],
            tools=[_tool(tool, by_default) for tool in chat.tools] or None,
            tool_choice=_tool_choice(chat.tool_choice) if chat.tools else None,
            max_output_tokens=limit,
            reasoning=_reasoning(chat),
            text=text or None,
            include=include or None,
            stream=True if chat.stream else None,
            store=False if profile.store else None,
        ),
        **_taken(parameters, profile),
    }
    headers = reach.headers(deployment, profile, "text/event-stream" if chat.stream else "application/json")
    url = f"{deployment.base_url.rstrip('/')}/responses"  # undated, also at Azure
    return UpstreamRequest("POST", url, headers, orjson.dumps(body), parameters.dropped())


# --- parameters ----------------------------------------------------------------------------------


def _well_formed(own: dict[str, JSON]) -> dict[str, JSON]:
    """Return fields that a client added to another dialect. Raises InvalidRequest for a wrong type."""
    for name, (is_right, korean, english) in _SHAPES.items():
        if own.get(name) is not None and not is_right(own[name]):
            raise InvalidRequest(
                f"'{name}'의 형식이 잘못되었습니다. {korean}(으)로 보내세요.",
                f"'{name}' has the wrong type. Send {english}.",
                param=name,
                code="invalid_type",
            )
    return own


def _taken(parameters: Parameters, profile: Profile) -> dict[str, JSON]:
    names = (
        "temperature",
        "top_p",
        "top_logprobs",
        "parallel_tool_calls",
        "metadata",
        "service_tier",
        "user",
    )
    taken = parameters.take(**{name: name for name in names if name not in profile.lacks})
    parameters.take(logprobs="")  # asked for by `include`
    return taken


def _search_cap(own: Mapping[str, JSON], deployment: Deployment) -> dict[str, JSON]:
    """Return the limit of calls for a deployment whose `options.body` offers a search: what was held for."""
    most = deployment.options.get("most_searches")
    if most is None:
        return {}
    return {"max_tool_calls": min(most, own.get("max_tool_calls") or most)}


def _include(chat: ChatRequest, deployment: Deployment, profile: Profile) -> Iterator[str]:
    reasons = profile.reasoning_models and profile.reasoning_models.match(deployment.upstream_model)
    if profile.store and (reasons or chat.reasoning_effort not in {None, "none"}):
        yield "reasoning.encrypted_content"
    if chat.logprobs:
        yield "message.output_text.logprobs"


def _reasoning(chat: ChatRequest) -> JSON:
    effort = chat.reasoning_effort
    if effort is None and chat.reasoning_budget_tokens is not None:
        effort = "low" if chat.reasoning_budget_tokens <= 2048 else "medium"
    own = present(**chat.own_words.get("reasoning", {}))
    if effort is None:
        return own or None
    return {"effort": effort, **({} if effort == "none" else {"summary": "auto"}), **own}


def _format(wanted: ResponseFormat | None) -> JSON:
    if wanted is None:
        return None
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    named = present(description=wanted.description, strict=wanted.strict)
    return {"type": "json_schema", "name": wanted.name or "answer", "schema": wanted.schema, **named}


def _tool(tool: Tool, unsaid: Mapping[str, JSON]) -> dict[str, JSON]:
    """Write a tool; `unsaid` is what holds where the client's dialect has another default."""
    if tool.extra.get("type", "function") != "function":  # custom: run by the client, too
        return {"name": tool.name, **tool.extra} if tool.name else dict(tool.extra)
    return {
        **known(tool.extra, ("defer_loading",)),
        "type": "function",
        **present(name=tool.name, description=tool.description),
        "parameters": tool.parameters or {"type": "object", "properties": {}},
        **(unsaid if tool.strict is None else {"strict": tool.strict}),
    }


def _tool_choice(choice: ToolChoice | None) -> JSON:
    if choice is None:
        return None
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


# --- items ---------------------------------------------------------------------------------------


def _items(message: Message) -> Iterator[dict[str, JSON]]:
    """Write one message as items: what is said together stays together, calls stand for themselves."""
    said: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall | ToolResult | Reasoning):
            yield from _message(message, said)
            said = []
            yield from _item(part)
        else:
            said.append(part)
    yield from _message(message, said)


def _message(message: Message, said: Iterable[Part]) -> Iterator[dict[str, JSON]]:
    if message.role == "assistant":  # as text: a list would need the ids that the provider gave its parts
        text = "".join(part.text for part in said if isinstance(part, Text))
        if text:
            yield {"type": "message", "role": "assistant", "content": text}
    elif content := [_content(part) for part in said if not (isinstance(part, Text) and not part.text)]:
        role = "user" if message.role == "tool" else message.role
        yield {"type": "message", "role": role, "content": content}


def _item(part: ToolCall | ToolResult | Reasoning) -> Iterator[dict[str, JSON]]:
    match part:
        case ToolCall(id_, name, arguments):
            yield {"type": "function_call", "call_id": id_, "name": name, "arguments": arguments or "{}"}
        case ToolResult(call_id, parts):
            yield {"type": "function_call_output", "call_id": call_id, "output": _output(parts)}
        case Reasoning(text, signature, _, {"id": id_}) if signature:  # from here, and with its proof
            summary = [{"type": "summary_text", "text": text}] if text else []
            named = present(id=id_)  # some clients leave it out
            yield {"type": "reasoning", **named, "summary": summary, "encrypted_content": signature}


def _output(parts: tuple[Part, ...]) -> JSON:
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    return [_content(part) for part in parts]


def _content(part: Part) -> dict[str, JSON]:
    match part:
        case Text(text):
            return {"type": "input_text", "text": text}
        case Image(url, detail):
            return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case Audio(data, form):
            return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
        case File(filename, data, file_id):
            return {"type": "input_file", **_file(filename, data, file_id)}
        case _:
            raise lacking_part(part)


def _file(filename: str | None, data: str | None, file_id: str | None) -> Mapping[str, JSON]:
    if file_id:
        return {"file_id": file_id}
    if data and not data.startswith("data:"):
        return {"file_url": data}
    return {"filename": filename or "file", "file_data": data}
