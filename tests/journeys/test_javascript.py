"""JavaScript clients that staff chat tools are built on, against a real gateway; `make test-full` installs them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from simulator.surfaces.media import png

PICTURE = base64.b64encode(png(8, 8, "해치")).decode()
JS = Path(__file__).parent / "js"
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def seen(gateway):
    """What each client saw, by the name of its way of asking."""
    assert shutil.which("node"), "Node.js is missing: run .ci/install-full"
    assert (JS / "node_modules").is_dir(), "the clients are missing: run .ci/install-full"
    models = ["sim-large", "house-model"]
    command = ["node", "clients.mjs", f"{gateway.url}/v1", gateway.keys["p1"], *models, PICTURE]
    done = subprocess.run(command, cwd=JS, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return {row["way"]: row for row in map(json.loads, done.stdout.splitlines())}


def test_the_models_are_those_the_caller_may_use(seen):
    assert "sim-large" in seen["openaiModels"]["ids"]


def test_a_plain_and_a_streamed_answer_are_whole_and_metered_alike(seen):
    plain, stream = seen["openaiPlain"], seen["openaiStream"]
    assert plain["text"]
    assert stream["text"]
    assert stream["chunks"] > 2
    for answer in (plain, stream):
        usage = answer["usage"]
        assert usage["prompt_tokens"] > 0
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_blocked_prompt_is_an_error_the_client_does_not_retry_and_never_repeats_the_number(seen, gateway):
    blocked = seen["openaiBlocked"]
    assert (blocked["status"], blocked["type"]) == (400, "sensitive_data_blocked")
    assert "901010" not in json.dumps(blocked)
    receipts = gateway.rows("SELECT * FROM receipt WHERE action = 'block'")
    assert len(receipts) == 1


def test_a_wrong_key_is_told_with_its_reason_and_a_request_id(seen):
    wrong = seen["openaiWrongKey"]
    assert (wrong["status"], wrong["code"]) == (401, "malformed_key")
    assert wrong["requestId"]


def test_the_ai_sdk_reads_answers_streams_and_usage(seen):
    for way in ("aiSdkPlain", "aiSdkStream"):
        assert seen[way]["text"]
        assert seen[way]["usage"]["inputTokens"] > 0
        assert seen[way]["usage"]["outputTokens"] > 0


@pytest.mark.parametrize("way", ["openaiTools", "openaiToolsStream", "aiSdkTools", "aiSdkToolsStream"])
def test_a_tool_call_arrives_whole_with_its_arguments(seen, way):
    (call,) = seen[way]["calls"]
    assert call["name"] == "lookUp"
    assert call["input"]["law"]
    assert seen[way].get("finishReason", "tool-calls") == "tool-calls"


def test_the_ai_sdk_sends_a_tools_result_back_and_reads_the_answer(seen):
    assert seen["aiSdkToolResult"]["steps"] == 2
    assert "일반입찰에 부쳐야 한다" in seen["aiSdkToolResult"]["text"]


def test_a_picture_reaches_a_model_in_the_house_whole_and_streamed(seen, gateway):
    ways = ("openaiPicture", "openaiPictureStream", "aiSdkPicture", "aiSdkPictureStream")
    assert all(seen[way]["text"] for way in ways)
    assert sum(PICTURE in json.dumps(row) for row in gateway.simulator.ledger()) == len(ways)
