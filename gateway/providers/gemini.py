"""Gemini, at AI Studio and at Vertex AI: a ChatRequest into an UpstreamRequest. Pure.

Sources: https://ai.google.dev/api/generate-content and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.
Trap held here: calls of Gemini 3 must come back with their signature.
"""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import NOTHING, Audio, File, Image, Reasoning, Text, ToolCall, ToolResult, UpstreamRequest
from gateway.providers import failures, google
from gateway.providers.gemini_answers import MADE_HERE, Decoder
from gateway.providers.writing import (
    Parameters,
    arguments_of,
    data_url,
    instructions,
    present,
    refuse_hosted,
    unsaid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, ChatRequest, Message, Part, ToolChoice

_OWN_FIELDS: Final = ("safetySettings", "labels")
_BUDGET_OF_EFFORT: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVEL_OF_EFFORT: Final = {"none": "minimal", "xhigh": "high", "max": "high"}
_NO_SIGNATURE: Final = "skip_thought_signature_validator"  # documented for calls made by other models

__all__ = ["Decoder", "error", "request"]

error = failures.from_response


def request(chat: ChatRequest, deployment: Deployment) -> UpstreamRequest:
    """Write a generateContent request. Raises UnsupportedFeature or InvalidRequest."""
    refuse_hosted(chat.tools)
    parameters = Parameters(chat, deployment)
    parameters.cannot(*unsaid(chat))
    parameters.drop("parallel_tool_calls")
    system, dialogue = instructions(chat.messages)
    writer = _Writer(deployment.upstream_model)
    declared = [
        present(name=tool.name, description=tool.description, parametersJsonSchema=tool.parameters)
        for tool in chat.tools
    ]
    body = present(
        systemInstruction={"parts": [p for m in system for p in writer.parts(m.parts)]} if system else None,
        contents=writer.contents(dialogue),
        tools=[{"functionDeclarations": declared}] if declared else None,
        toolConfig=_tool_config(chat.tool_choice) if declared else None,
        generationConfig=_generation(chat, deployment.upstream_model, parameters) or None,
    )
    body |= parameters.pass_on(_OWN_FIELDS) | dict(deployment.options.get("body", {}))
    url = google.address(deployment, "streamGenerateContent?alt=sse" if chat.stream else "generateContent")
    return UpstreamRequest("POST", url, google.headers(deployment), orjson.dumps(body), parameters.dropped())


# --- parameters ----------------------------------------------------------------------------------


def _generation(chat: ChatRequest, model: str, parameters: Parameters) -> dict[str, JSON]:
    taken = parameters.take(
        temperature="temperature",
        top_p="topP",
        top_k="topK",
        seed="seed",
        n="candidateCount",
        presence_penalty="presencePenalty",
        frequency_penalty="frequencyPenalty",
        logprobs="responseLogprobs",
        top_logprobs="logprobs",
    )
    return {
        **taken,
        **present(
            maxOutputTokens=chat.max_output_tokens,
            stopSequences=list(chat.stop) or None,
            thinkingConfig=_thinking(chat, model),
        ),
        **_form(chat),
    }


def _form(chat: ChatRequest) -> dict[str, JSON]:
    wanted = chat.response_format
    if wanted is None or wanted.kind == "text":
        return {}
    return present(responseMimeType="application/json", responseJsonSchema=wanted.schema)


def _thinking(chat: ChatRequest, model: str) -> JSON:
    """Translate reasoning: Gemini 3 takes a level, Gemini 2.5 a budget of tokens."""
    effort, budget = chat.reasoning_effort, chat.reasoning_budget_tokens
    if budget is not None:
        return {"thinkingBudget": budget, "includeThoughts": budget != 0}
    if effort is None:
        return None
    shown = {"includeThoughts": effort != "none"}
    if _is_gemini_3(model):
        return {"thinkingLevel": _LEVEL_OF_EFFORT.get(effort, effort), **shown}
    return {"thinkingBudget": _BUDGET_OF_EFFORT.get(effort, 24576), **shown}


def _is_gemini_3(model: str) -> bool:
    """Whether a model is of the generation that wants levels and signatures, or a later one."""
    return model.startswith("gemini-") and not model.startswith(("gemini-1", "gemini-2", "gemini-flash"))


def _tool_config(choice: ToolChoice | None) -> JSON:
    if choice is None:
        return None
    mode = {"auto": "AUTO", "none": "NONE"}.get(choice.mode, "ANY")
    names = [choice.name] if choice.mode == "named" else None
    return {"functionCallingConfig": present(mode=mode, allowedFunctionNames=names)}


# --- messages ------------------------------------------------------------------------------------


class _Writer:
    """Writes parts in their order; knows which function the nearest call of an id was of."""

    def __init__(self, model: str) -> None:
        self._names: dict[str, str] = {}
        self._signs = _is_gemini_3(model)

    def contents(self, dialogue: Iterable[Message]) -> list[dict[str, JSON]]:
        """Write turns; the results of parallel calls belong into one turn, so neighbours are merged."""
        turns: list[dict[str, JSON]] = []
        for message in dialogue:
            role = "model" if message.role == "assistant" else "user"
            parts = self.parts(message.parts)
            if turns and turns[-1]["role"] == role:
                turns[-1]["parts"] += parts
            elif parts:
                turns.append({"role": role, "parts": parts})
        return turns

    def parts(self, parts: Iterable[Part]) -> list[dict[str, JSON]]:
        return [written for part in parts for written in self._part(part)]

    def _part(self, part: Part) -> list[dict[str, JSON]]:
        match part:
            case Text(text, extra):
                signature = extra.get("thought_signature")
                return [present(text=text, thoughtSignature=signature)] if text or signature else []
            case Reasoning(text, signature, _, extra):
                is_googles = signature and "id" not in extra  # which only OpenAI's have
                return [{"text": text, "thought": True, "thoughtSignature": signature}] if is_googles else []
            case Image() | Audio() | File():
                return [_media_part(part)]
            case ToolCall():
                return [self._call(part)]
            case ToolResult():
                return self._result(part)

    def _call(self, call: ToolCall) -> dict[str, JSON]:
        self._names[call.id] = call.name
        google = (call.extra.get("extra_content") or NOTHING).get("google") or NOTHING
        signature = google.get("thought_signature") or (_NO_SIGNATURE if self._signs else None)
        called = present(name=call.name, args=arguments_of(call), id=_own_id(call.id))
        return present(functionCall=called, thoughtSignature=signature)

    def _result(self, result: ToolResult) -> list[dict[str, JSON]]:
        text = "".join(part.text for part in result.parts if isinstance(part, Text))
        shown = [part for part in result.parts if not isinstance(part, Text)]
        answer = present(
            name=self._names.get(result.call_id, result.call_id),
            id=_own_id(result.call_id),
            response={"error" if result.is_error else "output": text},
        )
        return [{"functionResponse": answer}, *self.parts(shown)]


def _own_id(call_id: str) -> str | None:
    """Return an id that Google gave; None for one that was made here because Google gave none."""
    return None if call_id.startswith(MADE_HERE) else call_id


def _media_part(part: Image | Audio | File) -> dict[str, JSON]:
    match part:
        case Image(url):
            return _media(url, "image/jpeg")
        case Audio(data, form):
            return {"inlineData": {"mimeType": f"audio/{form}", "data": data}}
        case File():
            return _media(part.data or part.file_id or "", "application/pdf")


def _media(url: str, otherwise: str) -> dict[str, JSON]:
    if inline := data_url(url):
        return {"inlineData": {"mimeType": inline.media_type, "data": inline.base64}}
    media_type = mimetypes.guess_type(url.partition("?")[0])[0] or otherwise
    return {"fileData": {"fileUri": url, "mimeType": media_type}}
