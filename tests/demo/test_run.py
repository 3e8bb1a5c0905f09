"""The main job as a newcomer runs it: `haechi demo --once`, and Ctrl-C on the one that stays."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import openai
import pytest

COMMAND = [sys.executable, "-c", "from gateway.cli import main; main()", "demo", "--port", "18080"]


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


@pytest.mark.timeout(180)
def test_a_demo_that_stays_up_answers_from_the_real_model_and_stops_at_ctrl_c(tmp_path):
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(COMMAND, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        printed = []
        for line in demo.stdout:
            printed.append(line)
            if "Ctrl-C" in line:
                break
        text = "".join(printed)
        url = re.search(r"주소 URL\s+(\S+)", text)[1]
        key = re.search(r"키 key\s+(hk-\S+)", text)[1]
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=key)
        answer = client.chat.completions.create(
            model="haechi-local", messages=[{"role": "user", "content": "Say hello."}], max_tokens=8
        )
        assert answer.usage.completion_tokens
        with urllib.request.urlopen(f"{url}/readyz") as ready:
            assert json.load(ready)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{url}/livez", timeout=2)
