"""Recorded answers of real providers: all are understood, and no cut through their bytes changes one."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from botocore.eventstream import EventStreamBuffer
from genai_prices.data_snapshot import get_snapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.transcripts import Recording, _deployment, _surface, read, replay, replayed
from gateway.errors import UpstreamError
from gateway.providers import adapter
from tests.conftest import SHARED
from tests.providers.exchanges import streamed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway.catalogue import Deployment

pytestmark = pytest.mark.shared

FOLDER = SHARED / "transcripts"
RECORDINGS = [read(path, FOLDER) for path in sorted(FOLDER.rglob("*.json"))]
STREAMS = [r for r in RECORDINGS if r.is_stream and r.status == 200]
BORDER = re.compile(rb"\r?\n\r?\n")


def of(recording: Recording) -> Deployment:
    return _deployment(recording, _surface(recording)[1])


def test_every_recording_is_understood() -> None:
    lines = list(replay(FOLDER))
    assert len(lines) == len(RECORDINGS) >= 265
    assert [line["file"] for line in lines if not line["ok"]] == []


def test_every_answer_that_ends_says_how_and_adds_up() -> None:
    for line in map(replayed, RECORDINGS):
        if line["surface"] in {"embeddings", "count_tokens"} or line["error"]:
            continue
        assert line["complete"], line
        assert line["finish_reason"] in {"stop", "length", "tool_calls", "content_filter"}, line
        assert line["text"] or line["tool_calls"] or line["finish_reason"] == "content_filter", line


def test_every_error_answer_becomes_a_named_error_without_the_providers_words() -> None:
    for recording in RECORDINGS:
        if recording.status >= 400:
            error = replayed(recording)["error"]
            assert error["type"] in {"UpstreamRejected", "UpstreamRateLimited", "UpstreamUnavailable"}
            assert error["status"] == recording.status
            stated = json.loads(recording.body)
            words = stated.get("message") or stated["error"]["message"]
            assert words not in json.dumps(error)


# --- an independent reading of the same usage ----------------------------------------------------

PROVIDERS = {"gemini": "google", "vertex": "google", "bedrock": "aws", "huggingface": "huggingface_together"}
FLAVOURS = {
    "chat": ("chat", "default"),
    "responses": ("responses", "default"),
    "messages": ("default",),
    "generate_content": ("default",),
    "converse": ("default",),
    "cohere_chat": ("default",),
    "embeddings": ("embeddings",),
}


def test_usage_agrees_with_an_independent_reading() -> None:
    compared = 0
    for recording in RECORDINGS:
        line = replayed(recording)
        stated = _stated(recording) if line["surface"] in FLAVOURS and line["usage"] else None
        theirs = None if stated is None else _theirs(recording.provider, line["surface"], stated)
        if theirs is not None:
            assert _ours(line["usage"]) == theirs, recording.file
            compared += 1
    assert compared >= 208


def _ours(usage: dict[str, int]) -> tuple[int, ...]:
    def summed(*names: str) -> int:
        return sum(usage.get(name, 0) for name in names)

    return (
        summed("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input"),
        summed("output", "reasoning", "audio_output", "image_output"),
        summed("cache_read"),
        summed("cache_write_5m", "cache_write_1h"),
        summed("audio_input"),
    )


def _theirs(provider_id: str, surface: str, stated: dict[str, Any]) -> tuple[int, ...] | None:
    """Return genai-prices' reading; None where it does not know the provider's format."""
    wanted = PROVIDERS.get(provider_id, provider_id)
    if (provider_id, surface) == ("deepseek", "responses"):
        wanted = "openai"  # whose format it is
    provider = next((p for p in get_snapshot().providers if p.id == wanted), None)
    known = {extractor.api_flavor for extractor in (provider.extractors or ())} if provider else set()
    flavour = next((f for f in FLAVOURS[surface] if f in known), None)
    if provider is None or flavour is None:
        return None
    _, usage = provider.extract_usage(stated, api_flavor=flavour)
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "input_audio_tokens")
    return tuple(getattr(usage, name) or 0 for name in names)


def _stated(recording: Recording) -> dict[str, Any] | None:
    """Return the object that holds the usage; for a stream its last, Anthropic's on top of its first."""
    if not recording.is_stream:
        return json.loads(recording.body)
    if not recording.content_type.startswith("text/"):
        return _measured(recording.body)
    found: dict[str, Any] = {"model": ""}
    for event in _events(recording.body):
        inner = event.get("response") or event.get("message") or event
        if usage := inner.get("usage") or inner.get("usageMetadata"):
            name = "usage" if inner.get("usage") else "usageMetadata"
            merged = {**found.get(name, {}), **usage} if recording.provider == "anthropic" else usage
            found = {**found, **inner, name: merged}
    return found


def _measured(body: bytes) -> dict[str, Any] | None:
    """Return the usage of an AWS event stream, from its message `metadata`."""
    messages = EventStreamBuffer()
    messages.add_data(body)
    for message in messages:
        if message.headers[":event-type"] == "metadata":
            return {"model": "", "usage": json.loads(message.payload)["usage"]}
    return None


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.decode().split("\n"):
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            yield json.loads(line[5:])


# --- cuts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", STREAMS, ids=lambda r: r.file)
def test_a_stream_fed_byte_by_byte_says_the_same(recording: Recording) -> None:
    at_once = streamed([recording.body], of(recording))
    each_byte = streamed([recording.body[i : i + 1] for i in range(len(recording.body))], of(recording))
    _assert_same(at_once, each_byte)


@pytest.mark.parametrize("recording", STREAMS, ids=lambda r: r.file)
def test_a_cut_near_a_border_of_events_changes_nothing(recording: Recording) -> None:
    """Every border, and every cut within 8 bytes of it."""
    at_once = streamed([recording.body], of(recording))
    cuts = {b + offset for b in _borders(recording) for offset in range(-8, 9)}
    for cut in sorted(c for c in cuts if 0 < c < len(recording.body)):
        _assert_same(at_once, streamed([recording.body[:cut], recording.body[cut:]], of(recording)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STREAMS or [None]), st.data())
def test_any_cuts_at_all_change_nothing(recording: Recording, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(recording.body)), max_size=30)))
    pieces = [recording.body[a:b] for a, b in pairwise([0, *cuts, len(recording.body)])]
    _assert_same(streamed([recording.body], of(recording)), streamed(pieces, of(recording)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(STREAMS or [None]), st.data())
def test_a_stream_that_breaks_off_is_never_taken_for_whole(recording: Recording, data: st.DataObject) -> None:
    """Cut before the first of the last three events: no wire format has said its end by then."""
    last = _borders(recording)[-4:-3] or [len(recording.body) // 2]
    cut = data.draw(st.integers(0, last[0] - 1))
    deltas, completion, _ = streamed([recording.body[:cut]], of(recording))
    whole_deltas, *_ = streamed([recording.body], of(recording))
    assert deltas == whole_deltas[: len(deltas)]
    if completion is not None and completion.complete:  # an end was said early; nothing may follow it
        assert "".join(d.text for d in deltas) == "".join(d.text for d in whole_deltas)
    if completion is not None and completion.report is not None and not completion.complete:
        assert completion.report.partial


# --- damage --------------------------------------------------------------------------------------

STRANGE = (None, [], {}, "", "x", 0, -1, 1.5, True, [None], [{}], {"a": 1}, 10**20)
CHATS = [r for r in RECORDINGS if _surface(r)[1] and r.status == 200]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CHATS or [None]), st.randoms(use_true_random=False))
def test_whatever_happens_to_an_answer_only_named_errors_come_of_it(
    recording: Recording, chance: Random
) -> None:
    body = _damaged(recording, chance)
    decoder = adapter(_surface(recording)[1]).Decoder(of(recording), stream=recording.is_stream)
    with suppress(UpstreamError):
        decoder.feed(body)
    with suppress(UpstreamError):
        completion = decoder.finish()
        for part in (part for choice in completion.choices for part in choice.parts):
            assert isinstance(getattr(part, "text", ""), str)
            assert isinstance(getattr(part, "arguments", ""), str)
        assert isinstance(completion.served_model, str)


def _damaged(recording: Recording, chance: Random) -> bytes:
    """Change members of its JSON to strange ones, or bytes of it to others."""
    if chance.random() < 0.3 or b"{" not in recording.body[:200]:
        spoilt = bytearray(recording.body)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(spoilt) + 1)
            spoilt[at : at + chance.randint(0, 40)] = chance.randbytes(chance.randint(0, 9))
        return bytes(spoilt)
    lines = recording.body.split(b"\n")
    places = [i for i, line in enumerate(lines) if re.match(rb"(data: ?)?\{.*\}$", line) and len(line) > 20]
    if not places:
        return recording.body
    at = chance.choice(places)
    head, brace, rest = lines[at].partition(b"{")
    whole = json.loads(brace + rest)
    _spoil(whole, chance)
    lines[at] = head + json.dumps(whole).encode()
    return b"\n".join(lines)


def _spoil(value: Any, chance: Random) -> None:
    """Walk down at random and put something strange where the walk ends."""
    key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
    inner = value[key]
    if isinstance(inner, dict | list) and inner and chance.random() < 0.85:
        _spoil(inner, chance)
    else:
        value[key] = chance.choice(STRANGE)


def _assert_same(a: Any, b: Any) -> None:
    assert a[0] == b[0]
    assert a[1] == b[1]
    assert (type(a[2]), getattr(a[2], "upstream_code", None)) == (
        type(b[2]),
        getattr(b[2], "upstream_code", None),
    )


def _borders(recording: Recording) -> list[int]:
    if recording.content_type.startswith("text/"):
        return [match.end() for match in BORDER.finditer(recording.body)]
    borders, at = [], 0
    while at < len(recording.body):  # each message of an AWS event stream begins with its length
        at += int.from_bytes(recording.body[at : at + 4], "big")
        borders.append(at)
    return borders
