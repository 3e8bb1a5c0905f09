"""Answers of Gemini, streamed or whole, into deltas, a Completion and Usage. See gemini.py.

Traps held here: a call ends with the reason STOP; thoughts and the tokens of hosted tools are counted
beside candidates and prompt; cached tokens are part of the prompt; the last chunk's usage counts; a
blocked prompt is a 200 without candidates.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import orjson

from gateway.domain import MAX_CHOICES, NOTHING
from gateway.providers import failures
from gateway.providers.blocks import Blocks
from gateway.providers.counting import count, rest, settled, summed, within
from gateway.providers.decoding import AnswerDecoder, writable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.catalogue import Deployment
    from gateway.domain import JSON, Choice, Delta, UsageReport

MADE_HERE: Final = "call_"
"""Begins the ids of calls that Google gave none."""
_FINISH: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
}


class Decoder(AnswerDecoder):
    def __init__(self, deployment: Deployment, *, stream: bool) -> None:
        del deployment  # nothing differs between AI Studio and Vertex
        super().__init__(stream=stream)
        self._candidates: dict[int, _Candidate] = {}
        self._queries: list[str] = []

    @property
    def finished(self) -> bool:
        return bool(self._candidates) and all(c.blocks.finish_reason for c in self._candidates.values())

    @property
    def done(self) -> bool:
        return self.ended  # later chunks may still add usage

    def choices(self) -> tuple[Choice, ...]:
        return tuple(self._candidates[index].blocks.as_choice() for index in sorted(self._candidates))

    def report(self, raw: Mapping[str, JSON], *, partial: bool) -> UsageReport:
        report = report_of(raw, searches=len(self._queries) or None)
        return replace(report, partial=True) if partial else report

    def take_body(self, body: JSON, deltas: list[Delta]) -> None:
        for chunk in body if isinstance(body, list) else [body]:  # without `alt=sse` a stream is an array
            self.take_event(chunk, deltas)
        if self.failure is None and not self._candidates:
            if self.raw_usage is None:
                raise ValueError("an answer without candidates")
            self.failure = failures.from_event({"type": "no_candidates"})  # Google counted, and said nothing

    def take_event(self, event: JSON, deltas: list[Delta]) -> None:
        self.id = self.id or event.get("responseId") or ""
        self.served_model = self.served_model or event.get("modelVersion") or ""
        if usage := event.get("usageMetadata"):
            self.raw_usage = usage
            if isinstance(usage, dict):  # anything else is kept and flagged
                self.service_tier = usage.get("serviceTier") or self.service_tier
        for candidate in event.get("candidates") or ():
            index = candidate.get("index")
            self._candidate(index if type(index) is int else 0).take(candidate, deltas)
            self._ground(candidate.get("groundingMetadata") or NOTHING)
        if reason := (event.get("promptFeedback") or NOTHING).get("blockReason"):
            self.extra["block_reason"] = reason
            deltas.append(self._candidate(0).blocks.finish("content_filter"))
        if failure := event.get("error"):
            self.failure = failures.from_event(failure)

    def _candidate(self, index: int) -> _Candidate:
        if index not in self._candidates and len(self._candidates) == MAX_CHOICES:
            raise ValueError("more candidates than anybody asks for")
        return self._candidates.setdefault(index, _Candidate(index, self.id))

    def _ground(self, grounding: Mapping[str, JSON]) -> None:
        self._queries = grounding.get("webSearchQueries") or self._queries


class _Candidate:
    """One candidate as it grows; a block lasts until another kind of part comes."""

    def __init__(self, index: int, answer_id: str) -> None:
        self.blocks = Blocks(index)
        self._answer_id = answer_id
        self._kind = ""
        self._key = 0

    def take(self, candidate: Mapping[str, JSON], deltas: list[Delta]) -> None:
        for part in (candidate.get("content") or NOTHING).get("parts") or ():
            self._take_part(part, deltas)
        if logprobs := _logprobs(writable(candidate.get("logprobsResult"))):
            self.blocks.logprobs = {
                "content": [*((self.blocks.logprobs or {}).get("content") or ()), *logprobs]
            }
        sources = (candidate.get("groundingMetadata") or NOTHING).get("groundingChunks") or ()
        webs = [web for source in sources if (web := source.get("web"))]
        deltas += [self.blocks.cite(web.get("uri") or "", web.get("title") or "") for web in webs]
        if reason := candidate.get("finishReason"):
            deltas.append(self.blocks.finish(self._finish(reason)))

    def _finish(self, reason: str) -> str:
        if reason == "STOP" and self.blocks.has_calls:
            return "tool_calls"
        return _FINISH.get(reason, reason.lower())

    def _take_part(self, part: Mapping[str, JSON], deltas: list[Delta]) -> None:
        """Read one part; code that Google ran and its output are no part of the answer."""
        signature = writable(part.get("thoughtSignature"))
        if call := part.get("functionCall"):
            deltas.append(self._call(call, signature))
        elif inline := part.get("inlineData"):
            url = f"data:{inline.get('mimeType')};base64,{inline.get('data')}"
            deltas.append(self.blocks.image(self._next("image"), url))
        elif type(text := part.get("text")) is str:
            self._take_text(text, signature, deltas, thought=part.get("thought") is True)

    def _take_text(self, text: str, signature: str | None, deltas: list[Delta], *, thought: bool) -> None:
        kind = "reasoning" if thought else "text"
        key = self._key if self._kind == kind else self._next(kind)
        if thought:
            deltas.append(self.blocks.reasoning(key, text))
            if signature:
                deltas.append(self.blocks.signature(key, signature))
            return
        deltas.append(self.blocks.text(key, text))
        if signature:
            self.blocks.attach(key, {"thought_signature": signature})

    def _call(self, call: Mapping[str, JSON], signature: str | None) -> Delta:
        key = self._next("call")
        id_ = call.get("id") or _new_id(self._answer_id, self.blocks.choice, key)
        arguments = orjson.dumps(call.get("args") or {}).decode()
        extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else NOTHING
        return self.blocks.call(key, id_, call.get("name") or "", arguments, extra)

    def _next(self, kind: str) -> int:
        self._kind = kind
        self._key += 1
        return self._key


def _new_id(answer_id: str, choice: int, key: int) -> str:
    """Make the id of a call, as no other of the conversation has it, within OpenAI's 40 characters."""
    digest = blake2b(str(answer_id).encode(), digest_size=9).hexdigest() if answer_id else token_hex(9)
    return f"{MADE_HERE}{digest}_{choice}_{key}"


def _logprobs(result: JSON) -> list[JSON]:
    """Write Google's two lists of log probabilities as OpenAI's one."""
    if not result:
        return []
    chosen = result.get("chosenCandidates") or []
    top = [step.get("candidates") or [] for step in result.get("topCandidates") or []]
    top += [[]] * (len(chosen) - len(top))
    return [
        {**_token(c), "top_logprobs": [_token(t) for t in ts]} for c, ts in zip(chosen, top, strict=False)
    ]


def _token(token: Mapping[str, JSON]) -> dict[str, JSON]:
    text = token.get("token") or ""
    return {"token": text, "logprob": token.get("logProbability"), "bytes": list(text.encode())}


# --- usage ---------------------------------------------------------------------------------------

_PICTURES: Final = ("IMAGE", "DOCUMENT")


def report_of(raw: Mapping[str, JSON], *, searches: int | None = None) -> UsageReport:
    """Read `usageMetadata`. Video counts as text does, being priced alike; documents count as images."""
    prompt, cached = count(raw, "promptTokenCount"), count(raw, "cachedContentTokenCount")
    heard, seen = (
        _modality(raw, "promptTokensDetails", "AUDIO"),
        _modality(raw, "promptTokensDetails", *_PICTURES),
    )
    fresh = rest(prompt, cached)
    audio = within(rest(heard, _modality(raw, "cacheTokensDetails", "AUDIO")), fresh)
    image = within(rest(seen, _modality(raw, "cacheTokensDetails", *_PICTURES)), rest(fresh, audio))
    spoken = _modality(raw, "candidatesTokensDetails", "AUDIO")
    drawn = _modality(raw, "candidatesTokensDetails", *_PICTURES)
    return settled(
        {
            "input": summed(rest(fresh, audio, image), count(raw, "toolUsePromptTokenCount")),
            "cache_read": cached,
            "audio_input": audio,
            "image_input": image,
            "output": rest(count(raw, "candidatesTokenCount"), spoken, drawn),
            "reasoning": count(raw, "thoughtsTokenCount"),
            "audio_output": spoken,
            "image_output": drawn,
            "searches": searches,
        },
        raw,
        provider_total=count(raw, "totalTokenCount"),
    )


def _modality(raw: Mapping[str, JSON], member: str, *modalities: str) -> int | None:
    details = raw.get(member) or ()
    return summed(*(count(d, "tokenCount") for d in details if d.get("modality") in modalities))
