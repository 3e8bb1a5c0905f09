"""Providers of the OpenAI chat format as data: what each calls things, lacks, and how it counts.

Only facts that differ between providers live here, each from the provider's API reference as linked
in docs/providers.md; code that acts on them is in openai.py and counting.py. A provider that is not
listed uses `generic`, and a deployment can add to any profile with `options` (see `of`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gateway.domain import JSON, NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Deployment


@dataclass(frozen=True, slots=True)
class Profile:
    """One provider's dialect of the OpenAI chat format.

    `lacks` names parameters that are left out, and said so; `refuses` names those whose absence would
    change the meaning of the answer. Both use the names of the OpenAI API.
    """

    name: str
    auth: Literal["bearer", "api-key"] = "bearer"
    max_tokens: str = "max_tokens"
    developer_role: bool = False
    """False: a developer message is sent with the role `system`."""
    stream_options: bool = True
    """Whether `stream_options.include_usage` is understood; without it usage comes unasked."""
    continuous_usage: bool = False
    """Whether `continuous_usage_stats` is understood: usage in every chunk survives a broken stream."""
    store: bool = False
    """Whether the provider keeps answers unless it is told `store: false`."""
    renames: Mapping[str, str] = NOTHING
    lacks: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    reasoning_models: re.Pattern[str] | None = None
    """Models that additionally lack the parameters of SAMPLING."""
    reasoning_history: Literal["", "reasoning", "reasoning_content", "content"] = ""
    """Where reasoning of earlier turns is sent back; "" leaves it out, as most providers ask."""
    reasoning_effort: Literal["field", "object", "thinking"] = "field"
    """`reasoning_effort`, `reasoning.effort` (OpenRouter), or `thinking.type` (Z.ai, DeepSeek)."""
    reasoning_apart: bool = False
    """Whether reasoning tokens are counted beside `completion_tokens`, for answers without a total."""
    effort_by_model: bool = False
    """Whether only `reasoning_models` take an effort, and others refuse one."""
    marks: frozenset[str] = frozenset()
    """Members of messages and parts that this provider knows and OpenAI does not."""
    extras_beside: bool = False
    """Whether `reasoning_tokens` and `citation_tokens` stand beside completion and total (Perplexity)."""
    body: Mapping[str, JSON] = NOTHING
    """Sent with every request."""


SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty"}
    | {"logit_bias", "logprobs", "top_logprobs"}
)
_OPENAI_ONLY = frozenset({"service_tier", "metadata"})
_OPENAI_MARKS = frozenset({"refusal", "audio"})
_OPENAI_REASONING = re.compile(r"^(o\d|gpt-5(?!.*chat))")
_XAI_REASONING = re.compile(r"grok-(3-mini|4)")

_PROFILES = (
    Profile("generic"),
    Profile(
        "openai",
        max_tokens="max_completion_tokens",
        developer_role=True,
        store=True,
        lacks=frozenset({"top_k"}),
        reasoning_models=_OPENAI_REASONING,
        effort_by_model=True,
        marks=_OPENAI_MARKS,
    ),
    Profile(
        "azure",
        auth="api-key",
        max_tokens="max_completion_tokens",
        developer_role=True,
        store=True,
        lacks=frozenset({"top_k", "service_tier"}),
        reasoning_models=_OPENAI_REASONING,
        marks=_OPENAI_MARKS,
    ),
    Profile(
        "vllm",
        continuous_usage=True,
        lacks=_OPENAI_ONLY | {"user"},
        reasoning_history="reasoning_content",
    ),
    Profile("llamacpp", lacks=_OPENAI_ONLY | {"user", "reasoning_effort"}),
    Profile(
        "ollama",
        lacks=_OPENAI_ONLY | {"user", "logit_bias", "top_k", "parallel_tool_calls"},
        refuses=frozenset({"n", "tool_choice"}),
    ),
    Profile(
        "upstage",
        lacks=_OPENAI_ONLY | {"seed", "logit_bias", "top_k", "user"},
        refuses=frozenset({"n", "logprobs", "top_logprobs"}),
    ),
    Profile(
        "clova",
        max_tokens="max_completion_tokens",
        lacks=_OPENAI_ONLY
        | {"logit_bias", "user", "presence_penalty", "frequency_penalty", "parallel_tool_calls", "top_k"},
        refuses=frozenset({"n", "logprobs", "top_logprobs"}),
    ),
    Profile("friendli", lacks=_OPENAI_ONLY | {"user"}),
    Profile("skt", lacks=_OPENAI_ONLY | {"user"}),
    Profile("kt", lacks=_OPENAI_ONLY | {"user"}),
    Profile(
        "xai",
        max_tokens="max_completion_tokens",
        lacks=frozenset({"top_k", "logit_bias", "metadata", "service_tier"}),
        reasoning_models=_XAI_REASONING,
        reasoning_apart=True,
    ),
    Profile(
        "deepseek",
        lacks=_OPENAI_ONLY | {"seed", "logit_bias", "top_k", "user", "parallel_tool_calls"},
        refuses=frozenset({"n", "json_schema"}),
        reasoning_history="reasoning_content",
        reasoning_effort="thinking",
    ),
    Profile(
        "mistral",
        stream_options=False,
        renames={"seed": "random_seed"},
        lacks=frozenset({"service_tier", "logit_bias", "top_k", "user"}),
        refuses=frozenset({"logprobs", "top_logprobs"}),
        reasoning_history="content",
    ),
    Profile(
        "groq",
        max_tokens="max_completion_tokens",
        lacks=frozenset({"logit_bias", "top_k", "metadata"}),
        refuses=frozenset({"n", "logprobs", "top_logprobs"}),
        reasoning_history="reasoning",
    ),
    Profile(
        "perplexity",
        lacks=_OPENAI_ONLY | {"seed", "logit_bias", "user", "parallel_tool_calls"},
        refuses=frozenset({"n", "tools", "tool_choice", "stop", "logprobs", "top_logprobs"}),
        extras_beside=True,
    ),
    Profile(
        "openrouter",
        lacks=frozenset({"service_tier"}),
        reasoning_effort="object",
        reasoning_history="reasoning",
        marks=frozenset({"cache_control", "reasoning_details"}),
        body={"usage": {"include": True}},
    ),
    Profile("together", lacks=_OPENAI_ONLY | {"user", "parallel_tool_calls"}),
    Profile(
        "cerebras",
        max_tokens="max_completion_tokens",
        lacks=_OPENAI_ONLY
        | {"logit_bias", "top_k", "presence_penalty", "frequency_penalty", "parallel_tool_calls"},
        refuses=frozenset({"n"}),
    ),
    Profile(
        "zai",
        renames={"user": "user_id"},
        lacks=_OPENAI_ONLY
        | {"seed", "logit_bias", "top_k", "presence_penalty", "frequency_penalty", "parallel_tool_calls"},
        refuses=frozenset({"n", "logprobs", "top_logprobs", "json_schema", "tool_choice"}),
        reasoning_history="reasoning_content",
        reasoning_effort="thinking",
    ),
    Profile("huggingface", lacks=_OPENAI_ONLY | {"user", "parallel_tool_calls"}),
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _PROFILES}


_known: dict[str, tuple[Deployment, Profile]] = {}
"""By the deployment's id, with the deployment that it was made for: a request asks twice."""


def of(deployment: Deployment) -> Profile:
    """Return the deployment's profile, made once."""
    made_for, profile = _known.get(deployment.id, (None, None))
    if profile is None or made_for is not deployment:
        profile = _of(deployment)
        _known[deployment.id] = (deployment, profile)
    return profile


def _of(deployment: Deployment) -> Profile:
    """Return the profile with what the deployment's `options` add.

    `options.lacks`: further parameters to leave out; `options.refuses`: further ones to refuse;
    `options.max_tokens`: the name of that parameter; `options.body`: members of every request.
    """
    profile = PROFILES.get(deployment.profile, PROFILES["generic"])
    options = deployment.options
    lacks = profile.lacks | frozenset(options.get("lacks", ()))
    if profile.reasoning_models is not None:
        reasons = profile.reasoning_models.match(deployment.upstream_model) is not None
        lacks |= SAMPLING if reasons else frozenset({"reasoning_effort"} if profile.effort_by_model else ())
    return replace(
        profile,
        lacks=lacks,
        refuses=profile.refuses | frozenset(options.get("refuses", ())),
        max_tokens=options.get("max_tokens", profile.max_tokens),
        body={**profile.body, **options.get("body", NOTHING)},
    )
