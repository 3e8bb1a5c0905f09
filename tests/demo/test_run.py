"""The main job as a newcomer runs it: `haechi demo --once`, and Ctrl-C on the one that stays."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import openai
import pytest

from billing.segments import wait_until_written
from gateway.demo.books import gateway_books
from gateway.demo.traffic import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HAECHI = [sys.executable, "-c", "from gateway.cli import main; main()"]
COMMAND = [*HAECHI, "demo", "--port", "18080"]


@pytest.mark.timeout(180)
def test_the_demo_proves_that_the_books_agree_and_exits_0(tmp_path):
    done = subprocess.run(
        [*COMMAND, "--once", "--clients", "8"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "모든 확인을 통과했습니다" in done.stdout
    assert "✗" not in done.stdout
    for department in ("총무과", "인사과", "공무원수련원"):
        assert department in done.stdout
    assert "900101-1234568" not in "".join(
        path.read_text(encoding="utf-8", errors="replace") for path in (tmp_path / ".demo").glob("*.log")
    )


def streamed_from_the_real_model(url: str, key: str) -> tuple[str, Usage, str]:
    """Stream one answer; return its text, the usage of the last chunk and the request's id."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key)
    stream = client.chat.completions.create(
        model="haechi-local",
        messages=[{"role": "user", "content": "Say hello to the people of Seoul."}],
        max_tokens=16,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    used = chunks[-1].usage
    return text, Usage(used.prompt_tokens, used.completion_tokens), stream.response.headers["x-request-id"]


def reported(folder: Path) -> dict[str, tuple[int, int]]:
    """What `haechi report usage` says: department -> input and output tokens."""
    command = [
        *HAECHI,
        "report",
        "usage",
        "--by",
        "department",
        "--json",
        "--config",
        str(folder / "haechi.toml"),
    ]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["rows"]
    return {row["id"]: (row["input_tokens"], row["output_tokens"]) for row in rows}


@contextmanager
def a_demo_that_is_up(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Start `haechi demo` and wait until it stays up; yield the process, the gateway's URL and a key."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        try:
            text = ""
            for line in demo.stdout:
                text += line
                if "Ctrl-C" in line:
                    break
            url = re.search(r"주소 URL\s+(\S+)", text)
            key = re.search(r"키 key\s+(hk-\S+)", text)
            assert url, text
            assert key, text
            yield demo, url[1], key[1]
        finally:
            demo.terminate()


@pytest.mark.timeout(180)
def test_a_demo_that_stays_up_streams_from_the_real_model_charges_it_and_stops_at_ctrl_c(tmp_path):
    folder = tmp_path / ".demo"
    with a_demo_that_is_up(tmp_path) as (demo, url, key):
        before = reported(folder)["HJ-CM"]
        said, usage, request_id = streamed_from_the_real_model(url, key)
        wait_until_written(next(folder.rglob("*.segment")).parent)
        (charge,) = (c for c in gateway_books(folder / "haechi.db").charges if c.request_id == request_id)
        assert said
        assert "시뮬레이터" not in said
        assert usage == (charge.prompt_tokens, charge.completion_tokens)
        assert (charge.department_id, charge.zone) == ("HJ-CM", "in_house")
        assert reported(folder)["HJ-CM"] == (before[0] + usage.prompt, before[1] + usage.completion)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/livez", timeout=2)
