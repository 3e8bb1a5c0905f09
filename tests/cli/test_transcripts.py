"""`haechi transcripts`: one line for each recording, and no file breaks the run."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.cli.transcripts import replay, transcripts

if TYPE_CHECKING:
    from pathlib import Path

CHAT = "https://api.openai.com/v1/chat/completions"
ANSWER = {
    "id": "c",
    "model": "gpt-x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "네"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def recorded(
    folder: Path, name: str = "a.json", uri: str = CHAT, provider: str = "openai", **response: Any
) -> None:
    whole = {"status": 200, "content_type": "application/json", **response}
    exchange = {
        "provider": provider,
        "request": {"method": "POST", "uri": uri, "json": {}},
        "response": whole,
    }
    (folder / name).write_text(json.dumps(exchange), encoding="utf-8")


def only(folder: Path) -> dict[str, Any]:
    (line,) = replay(folder)
    return line


def test_a_line_says_what_was_answered_and_used(tmp_path: Path) -> None:
    recorded(tmp_path, json=ANSWER)
    line = only(tmp_path)
    expected = {
        "file": "a.json",
        "provider": "openai",
        "surface": "chat",
        "status": 200,
        "ok": True,
        "text": "네",
        "finish_reason": "stop",
        "tool_calls": [],
        "usage": {"input": 3, "output": 2},
        "provider_total": 5,
        "error": None,
    }
    assert expected.items() <= line.items()


@pytest.mark.parametrize(
    ("uri", "response", "surface", "ok"),
    [
        ("https://x/v1/embeddings", {"json": {"data": [{"embedding": [1]}]}}, "embeddings", True),
        ("https://x/v1/messages/count_tokens", {"json": {"input_tokens": 4}}, "count_tokens", True),
        ("https://x/v1/images/generations", {"json": {"data": [{"b64_json": "x"}]}}, "images", True),
        ("https://x/v1/audio/transcriptions", {"json": {"text": "네"}}, "transcription", True),
        ("https://x/v1/models", {"json": {"data": []}}, "", False),
        ("https://x/v1/files", {"status": 500, "text": "<html>"}, "error", True),
        (CHAT, {"text": "<html>"}, "chat", False),
        (CHAT, {"text": ""}, "chat", False),
    ],
)
def test_each_kind_of_exchange_is_known(
    tmp_path: Path, uri: str, response: Any, surface: str, ok: bool
) -> None:
    recorded(tmp_path, uri=uri, **response)
    line = only(tmp_path)
    assert (line["surface"], line["ok"]) == (surface, ok)
    assert ok or line["error"]["message"]


def test_a_stream_that_was_cut_off_is_understood_as_that(tmp_path: Path) -> None:
    cut = 'data: {"choices":[{"index":0,"delta":{"content":"반"}}]}\n\ndata: {"cho'
    recorded(tmp_path, content_type="text/event-stream", text=cut)
    line = only(tmp_path)
    assert (line["ok"], line["text"], line["error"]["type"]) == (True, "반", "UpstreamBroken")


def test_claude_behind_bedrocks_invoke_is_read_as_claude(tmp_path: Path) -> None:
    body = {"type": "message", "content": [{"type": "text", "text": "네"}], "stop_reason": "end_turn"}
    uri = "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude/invoke"
    exchange = {
        "provider": "bedrock",
        "request": {"uri": uri, "json": {"messages": []}},
        "response": {"status": 200, "content_type": "application/json", "json": body},
    }
    (tmp_path / "a.json").write_text(json.dumps(exchange), encoding="utf-8")
    assert only(tmp_path)["text"] == "네"


def test_a_file_that_is_no_recording_is_named_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    (tmp_path / "b.json").write_text("[]", encoding="utf-8")
    recorded(tmp_path, "c.json", json=ANSWER)
    assert [line["ok"] for line in replay(tmp_path)] == [False, False, True]


def test_binary_answers_are_read_from_base64(tmp_path: Path) -> None:
    uri = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream"
    content = base64.b64encode(b"\x00\x00").decode()
    recorded(tmp_path, uri=uri, content_type="application/vnd.amazon.eventstream", base64=content)
    assert only(tmp_path)["error"]["type"] == "UpstreamBroken"
    recorded(tmp_path, uri=uri, content_type="", base64=content)
    assert only(tmp_path)["error"]["type"] == "UpstreamBroken"


def test_the_command_prints_json_lines_and_says_what_was_not_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path, "a.json", json=ANSWER)
    recorded(tmp_path, "b.json", uri="https://x/v1/models", json={})
    transcripts(tmp_path, json=True)
    printed = capsys.readouterr()
    assert [json.loads(line)["file"] for line in printed.out.splitlines()] == ["a.json", "b.json"]
    assert printed.err == "1/2 ok\nb.json: not a chat, embedding or error exchange\n"
    transcripts(tmp_path, json=False)
    assert "input=3 output=2" in capsys.readouterr().out
