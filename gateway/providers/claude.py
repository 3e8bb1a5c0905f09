"""How Claude is asked to think, wherever it runs (Anthropic itself, Bedrock). Pure.

Source: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking and …/effort.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.domain import NOTHING, Reasoning, ToolCall, ToolResult
from gateway.providers.writing import lacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.domain import JSON, ChatRequest, Message, Part
    from gateway.providers.writing import Parameters

MIN_BUDGET_TOKENS: Final = 1024
_OWN_WORDS: Final = ("thinking", "output_config")
_BUDGET_OF_EFFORT: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576}


def thinking(chat: ChatRequest, model: str, limit: int, parameters: Parameters) -> dict[str, JSON]:
    """Return the members that ask for reasoning, and drop the sampling parameters that exclude it.

    A budget of tokens stays below `limit`, the whole output. Raises UnsupportedFeature if none fits.
    """
    if own := {name: chat.own_words[name] for name in _OWN_WORDS if name in chat.own_words}:
        return _as_sent(own, chat, parameters)
    effort, budget = chat.reasoning_effort, chat.reasoning_budget_tokens
    if effort is None and budget is None:
        return {}
    if effort == "none" or budget == 0:
        return {"thinking": {"type": "disabled"}}
    adaptive = chooses_itself(model) and budget is None
    if not adaptive and _lost_its_thought(chat.messages):
        parameters.cannot("reasoning_effort" if budget is None else "thinking")
        return {}
    parameters.drop("temperature", "top_k", "top_p")
    if adaptive:
        wanted = "low" if effort == "minimal" else effort
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": wanted}}
    if limit <= MIN_BUDGET_TOKENS:
        raise lacking(f"reasoning within {limit} output tokens", "max_completion_tokens")
    tokens = budget or _BUDGET_OF_EFFORT.get(effort or "", 16384)
    return {"thinking": {"type": "enabled", "budget_tokens": max(MIN_BUDGET_TOKENS, min(tokens, limit - 1))}}


def _as_sent(own: dict[str, JSON], chat: ChatRequest, parameters: Parameters) -> dict[str, JSON]:
    """Keep what a client of the Messages API asked for: an effort alone does not switch thinking on there."""
    kind = (own.get("thinking") or NOTHING).get("type")
    if kind == "enabled" and _lost_its_thought(chat.messages):
        parameters.cannot("thinking")
        del own["thinking"]
    elif kind in {"enabled", "adaptive"}:
        parameters.drop("temperature", "top_k", "top_p")
    return own


def _lost_its_thought(messages: Sequence[Message]) -> bool:
    """Whether the last turn ends in calls and brings no proven thought: refused with a budget to think.

    The chat format cannot carry the proof, so that each turn would fail from its first call on.
    """
    turn: list[Part] = []
    for message in reversed(messages):
        if message.role == "assistant":
            if not turn and not any(isinstance(part, ToolCall) for part in message.parts):
                return False
            turn += message.parts
        elif turn and any(not isinstance(part, ToolResult) for part in message.parts):
            break
    return bool(turn) and not any(isinstance(part, Reasoning) and is_proven(part) for part in turn)


def chooses_itself(model: str) -> bool:
    """Whether a model takes an effort (4.6 and later): `claude-opus-4-6`, `claude-sonnet-5`, dated or not."""
    version = re.search(r"claude-[a-z]+-(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?", model)
    return version is not None and (int(version[1]), int(version[2] or 0)) >= (4, 6)


def is_proven(thought: Reasoning) -> bool:
    """Whether Claude takes a thought back: neither without proof nor proven to OpenAI.

    An empty signature is none: clients of the Messages API get it where another model gave no proof.
    """
    return thought.redacted is not None or (bool(thought.signature) and "id" not in thought.extra)
