"""Bodies as they should not be, in every wire format: a right answer or a named error, and never anything else.

The streams are the simulator's, which writes each format by its own reading of the documents.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain import MAX_CHOICES, Choice, Completion, Text, ToolCall
from gateway.errors import UpstreamError, UpstreamProtocolError
from gateway.providers import WIRES, adapter
from gateway.providers.base import MAX_EVENT_BYTES
from gateway.surfaces import chat, messages
from simulator import answers, app
from simulator.dialects import dialect
from tests.providers.exchanges import ask, deployment, streamed, text_of
from tests.providers.test_bedrock import event as bedrock_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.catalogue import Deployment

QUESTION = "회의를\u2028두 문장으로\u0085요약해 줘."
TEXT_WIRES = [wire for wire in WIRES if wire != "bedrock"]
EVERY_TEXT_WIRE = pytest.mark.parametrize("wire", TEXT_WIRES)
EVERY_WIRE = pytest.mark.parametrize("wire", WIRES)


def place(wire: str) -> Deployment:
    return deployment(wire, "generic", base_url="http://simulator/x", upstream_model="m", region="us-east-1")


def fine(wire: str) -> bytes:
    """Return a whole stream of the simulator's, as it should be."""
    request = adapter(wire).request(ask(QUESTION, stream=True, max_output_tokens=500), place(wire))
    served, path = app.find("/" + request.url.removeprefix("http://simulator/").partition("?")[0])  # type: ignore[misc]
    assert isinstance(served, app.Wire)
    prompt = served.parse(json.loads(request.body), path)
    return b"".join(served.module.events(prompt, answers.answer(prompt), dialect("x"), "id"))


def read(wire: str, *pieces: bytes) -> tuple[Completion | None, UpstreamError | None]:
    _, completion, failure = streamed(list(pieces), place(wire))
    return completion, failure


# --- streams that are odd and right --------------------------------------------------------------


def _with_comments(stream: bytes) -> bytes:
    return b": waiting\n\n" + stream.replace(b"\n\n", b"\n\n: keep-alive\n\n")


def _in_two_data_lines(stream: bytes) -> bytes:
    """Break each event's JSON over two `data:` lines, between its first two members."""
    return re.sub(rb"data: (\{\"[^\"]+\":)", rb"data: \1\ndata: ", stream)


def _with_raw_separators(stream: bytes) -> bytes:
    return stream.replace(b"\\u2028", "\u2028".encode()).replace(b"\\u0085", "\u0085".encode())


ODD: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda stream: stream.replace(b"\n", b"\r\n"),
    "CR alone": lambda stream: stream.replace(b"\n", b"\r"),
    "comments": _with_comments,
    "no space after the colon": lambda stream: stream.replace(b"data: ", b"data:"),
    "several data lines": _in_two_data_lines,
    "no final newline": lambda stream: stream.rstrip(b"\n"),
    "a byte order mark": lambda stream: b"\xef\xbb\xbf" + stream,
    "separators that are no line ends": _with_raw_separators,
    "an end that is said twice": lambda stream: stream + b"data: [DONE]\n\n" * 2,
    "no [DONE]": lambda stream: stream.replace(b"data: [DONE]\n\n", b""),
    "events without data": lambda stream: b"data:\n\nevent: ping\n\nid: 7\n\n\n\n" + stream,
}


@EVERY_TEXT_WIRE
@pytest.mark.parametrize("name", ODD)
def test_an_odd_stream_is_read_as_if_it_were_plain(wire: str, name: str) -> None:
    plain, _ = read(wire, fine(wire))
    completion, failure = read(wire, ODD[name](fine(wire)))
    assert failure is None
    assert completion == plain
    assert plain is not None
    assert plain.complete
    assert plain.report is not None


@EVERY_WIRE
def test_a_stream_in_single_bytes_is_the_same_stream(wire: str) -> None:
    stream = fine(wire)
    assert read(wire, *(stream[i : i + 1] for i in range(len(stream)))) == read(wire, stream)


# --- bodies that are no answer -------------------------------------------------------------------

PAGE = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
NO_ANSWER: dict[str, bytes] = {
    "HTML": PAGE,
    "text": b"upstream connect error or disconnect/reset before headers",
    "empty": b"",
    "spaces": b"  \n\n",
    "truncated JSON": b'{"id":"c","choices":[{"index":0,"mess',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "an empty object": b"{}",
    "invalid UTF-8": b'{"id":"\xff\xfe"}',
    "bytes of a picture": b"\x89PNG\r\n\x1a\n\x00\x00",
}


@EVERY_WIRE
@pytest.mark.parametrize("name", NO_ANSWER)
def test_a_body_that_is_no_answer_is_a_protocol_error(wire: str, name: str) -> None:
    decoder = adapter(wire).Decoder(place(wire), stream=False)
    decoder.feed(NO_ANSWER[name])
    with pytest.raises(UpstreamProtocolError):
        decoder.finish()


@EVERY_WIRE
@pytest.mark.parametrize("name", NO_ANSWER)
def test_a_stream_that_is_none_is_an_error_or_an_answer_without_its_end(wire: str, name: str) -> None:
    completion, failure = read(wire, NO_ANSWER[name])
    assert failure is not None or (completion is not None and not completion.complete)
    if completion is not None:
        assert not completion.choices


@EVERY_TEXT_WIRE
def test_an_event_of_invalid_utf_8_is_a_protocol_error_and_keeps_what_came_before(wire: str) -> None:
    stream = fine(wire)
    middle = stream.index(b"\n\n", len(stream) // 2) + 2
    completion, failure = read(wire, stream[:middle], b'data: {"type":"\xff\xfe"}\n\n')
    assert isinstance(failure, UpstreamProtocolError)
    assert completion is not None
    assert not completion.complete


@EVERY_TEXT_WIRE
def test_an_event_without_end_is_refused_before_it_fills_the_memory(wire: str) -> None:
    megabyte = b"x" * (1 << 20)
    decoder = adapter(wire).Decoder(place(wire), stream=True)
    decoder.feed(b"data: {")
    with pytest.raises(UpstreamProtocolError):
        for _ in range(MAX_EVENT_BYTES // len(megabyte) + 1):
            decoder.feed(megabyte)


# --- usage that says nothing ----------------------------------------------------------------------

UNREADABLE: dict[str, Callable[[Any], Any]] = {
    "a word": lambda _: "much",
    "a list": lambda _: [1, 2],
    "true": lambda _: True,
    "members that are null": lambda usage: _each(usage, lambda _: None),
    "members beyond any count": lambda usage: _each(usage, lambda _: 10**30),
    "negative members": lambda usage: _each(usage, lambda count: -1 - abs(count)),
}


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _each(member, change) for name, member in value.items()}
    if isinstance(value, list):
        return [_each(member, change) for member in value]
    return change(value) if type(value) is int else value


def with_usage(stream: bytes, change: Callable[[Any], Any]) -> bytes:
    """Change every usage of a stream."""

    def changed(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: change(member) if name in {"usage", "usageMetadata"} and member else changed(member)
            for name, member in value.items()
        }

    def event(found: re.Match[bytes]) -> bytes:
        return b"data: " + json.dumps(changed(json.loads(found[1]))).encode()

    return re.sub(rb"data: (\{.*\})", event, stream)


@EVERY_TEXT_WIRE
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_usage_that_says_nothing_is_estimated_and_costs_no_word_of_the_answer(wire: str, name: str) -> None:
    plain, _ = read(wire, fine(wire))
    completion, failure = read(wire, with_usage(fine(wire), UNREADABLE[name]))
    assert failure is None
    assert completion is not None
    assert completion.complete
    assert text_of(completion) == text_of(plain)
    assert completion.report is not None
    assert completion.report.partial, "what is not stated is estimated, not free"
    assert completion.report.usage.total_tokens == 0
    assert completion.report.raw


@EVERY_TEXT_WIRE
def test_counts_that_come_as_text_or_with_a_point_are_counts(wire: str) -> None:
    plain, _ = read(wire, fine(wire))
    for written in (str, float):
        completion, _ = read(wire, with_usage(fine(wire), lambda usage, as_=written: _each(usage, as_)))
        assert completion is not None
        assert completion.report is not None
        assert plain is not None
        assert plain.report is not None
        assert completion.report.usage == plain.report.usage
        assert not completion.report.partial


# --- tool arguments in pieces --------------------------------------------------------------------

ARGUMENTS = '{"부서":"총무\\u2028과 \\"1팀\\"","이모지":"🏛️"}'


def _openai(piece: str) -> bytes:
    call = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": piece}}
    return _sse({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})


def _responses(piece: str) -> bytes:
    return _sse({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": piece})


def _anthropic(piece: str) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": piece}
    return _sse({"type": "content_block_delta", "index": 0, "delta": delta})


def _bedrock(piece: str) -> bytes:
    return bedrock_event("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": piece}})


def _cohere(piece: str) -> bytes:
    calls = {"tool_calls": {"function": {"arguments": piece}}}
    return _sse({"type": "tool-call-delta", "index": 0, "delta": {"message": calls}})


def _sse(event: Any) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


TOOL_START = {
    "openai": b"",
    "responses": _sse(
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "function_call", "call_id": "c1", "name": "f"},
        }
    ),
    "anthropic": _sse(
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
        }
    ),
    "bedrock": bedrock_event(
        "contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "c1", "name": "f"}}
    ),
    "cohere": _sse(
        {
            "type": "tool-call-start",
            "index": 0,
            "delta": {"message": {"tool_calls": {"id": "c1", "function": {"name": "f", "arguments": ""}}}},
        }
    ),
}
FRAGMENT: dict[str, Callable[[str], bytes]] = {
    "openai": _openai,
    "responses": _responses,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "cohere": _cohere,
}


@pytest.mark.parametrize("wire", FRAGMENT)
def test_arguments_split_inside_an_escape_or_a_character_come_together(wire: str) -> None:
    """Each fragment is one character, and each chunk of the network seven bytes: both cut where they like."""
    stream = TOOL_START[wire] + b"".join(FRAGMENT[wire](character) for character in ARGUMENTS)
    deltas, completion, failure = streamed([stream[i : i + 7] for i in range(0, len(stream), 7)], place(wire))
    assert failure is None
    assert completion is not None
    (call,) = completion.choices[0].parts
    assert call.arguments == ARGUMENTS  # type: ignore[union-attr]
    assert "".join(c.arguments for delta in deltas for c in delta.tool_calls) == ARGUMENTS


def test_the_text_that_was_asked_about_is_the_same_in_every_format() -> None:
    said = {text_of(completion) for wire in TEXT_WIRES if (completion := read(wire, fine(wire))[0])}
    assert len(said) == 1


@pytest.mark.parametrize(("choices", "is_broken"), [(MAX_CHOICES, False), (MAX_CHOICES + 1, True)])
@pytest.mark.parametrize("wire", ["openai", "gemini"])
def test_more_choices_than_anybody_may_ask_for_are_a_broken_answer(
    wire: str, choices: int, is_broken: bool
) -> None:
    def event(index: int) -> bytes:
        if wire == "openai":
            said: dict[str, Any] = {"choices": [{"index": index, "delta": {"content": "x"}}]}
        else:
            said = {"candidates": [{"index": index, "content": {"parts": [{"text": "x"}]}}]}
        return f"data: {json.dumps(said)}\n\n".encode()

    _, failure = read(wire, b"".join(map(event, range(choices))), event(0))
    assert isinstance(failure, UpstreamProtocolError) is is_broken


def test_what_is_nested_too_deep_to_be_joined_is_a_broken_answer() -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    event = f'data: {{"choices":[{{"index":0,"delta":{{"content":"hi"}},"logprobs":{deep}}}]}}\n\n'.encode()
    completion, failure = read("openai", event * 3)
    assert isinstance(failure, UpstreamProtocolError)
    assert completion is None or not completion.complete


def nested(deep: int) -> Any:
    value: Any = "x"
    for _ in range(deep):
        value = [value]
    return value


USED = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
FOR_THE_CLIENT: dict[str, tuple[str, Any]] = {
    "log probabilities": ("openai", lambda v: {"choices": [{"message": {"content": "네"}, "logprobs": v}]}),
    "annotations": ("openai", lambda v: {"choices": [{"message": {"content": "네", "annotations": [v]}}]}),
    "sound": ("openai", lambda v: {"choices": [{"message": {"audio": {"expires_at": v}}}]}),
    "a source": (
        "anthropic",
        lambda v: {"content": [{"type": "text", "text": "네", "citations": [{"url": "u", "title": v}]}]},
    ),
    "a namespace": (
        "responses",
        lambda v: {"output": [{"type": "function_call", "call_id": "c", "name": "f", "namespace": v}]},
    ),
    "a signature": (
        "gemini",
        lambda v: {"candidates": [{"content": {"parts": [{"functionCall": {}, "thoughtSignature": v}]}}]},
    ),
    "Google's log probabilities": (
        "gemini",
        lambda v: {"candidates": [{"logprobsResult": {"chosenCandidates": [{"logProbability": v}]}}]},
    ),
}


@pytest.mark.parametrize("deep", [250, 254, 900])
@pytest.mark.parametrize("what", FOR_THE_CLIENT)
def test_what_no_client_could_be_sent_is_a_broken_answer_that_says_what_it_used(what: str, deep: int) -> None:
    wire, body = FOR_THE_CLIENT[what]
    decoder = adapter(wire).Decoder(place(wire), stream=False)
    decoder.feed(
        json.dumps({**body(nested(deep)), "usage": USED, "usageMetadata": {"promptTokenCount": 9}}).encode()
    )
    with pytest.raises(UpstreamProtocolError):
        decoder.finish()
    broken = decoder.finish()
    assert (broken.complete, broken.report is None) == (False, False)


def test_what_broke_over_its_log_probabilities_is_charged_as_stated() -> None:
    decoder = adapter("openai").Decoder(place("openai"), stream=False)
    choice = {"message": {"content": "네"}, "logprobs": nested(300)}
    decoder.feed(json.dumps({"choices": [choice], "usage": USED}).encode())
    with pytest.raises(UpstreamProtocolError):
        decoder.finish()
    report = decoder.finish().report
    assert report is not None
    assert (report.usage.input, report.usage.output, report.partial) == (9, 3, False)


def test_what_a_client_can_be_sent_reaches_it() -> None:
    wire, body = FOR_THE_CLIENT["log probabilities"]
    decoder = adapter(wire).Decoder(place(wire), stream=False)
    decoder.feed(json.dumps({**body(nested(240)), "usage": USED}).encode())
    assert chat.encode(decoder.finish(), "m", "1", 0)


@pytest.mark.parametrize("deep", [252, 300, 900])
def test_arguments_that_no_message_could_hold_are_handed_on_as_text(deep: int) -> None:
    arguments = json.dumps(nested(deep))
    choice = Choice(0, (ToolCall("c", "f", arguments),), "tool_calls")
    said = json.loads(messages.encode(Completion("1", "m", (choice,), None), "m", "1", 0))
    assert said["content"][0]["input"] == {"_invalid_json": arguments}


def test_why_an_answer_ended_is_a_word_or_nothing() -> None:
    stated = {"stop_reason": nested(300), "stop_sequence": nested(300)}
    whole = Completion("1", "m", (Choice(0, (Text("네"),), "stop"),), None, extra=stated)
    ended = json.loads(messages.encode(whole, "m", "1", 0))
    assert (ended["stop_reason"], ended["stop_sequence"]) == ("end_turn", None)
