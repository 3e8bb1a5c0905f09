"""Clients that staff use, as they are: langchain-openai and the `llm` command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from langchain_openai import ChatOpenAI
from openai import BadRequestError
from pydantic import BaseModel, Field, SecretStr

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway

QUESTION = "도로 점용 허가 절차를 두 문장으로 설명해 주세요."
LLM = str(Path(sys.executable).with_name("llm"))


class FindStatute(BaseModel):
    """법령 조문을 찾습니다"""

    name: str = Field(description="법령의 이름")


@pytest.fixture
def langchain(gateway: Gateway) -> ChatOpenAI:
    key = SecretStr(gateway.keys["p1"])
    return ChatOpenAI(
        model="sim-large", base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, stream_usage=True
    )


def test_langchain_asks_and_streams_with_usage(langchain: ChatOpenAI) -> None:
    whole = langchain.invoke(QUESTION)
    assert whole.text
    chunks = list(langchain.stream(QUESTION))
    assert "".join(chunk.text for chunk in chunks) == whole.text
    usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert usage[-1]["output_tokens"] == whole.usage_metadata["output_tokens"]


def test_langchain_calls_tools_whole_and_streamed(langchain: ChatOpenAI) -> None:
    bound = langchain.bind_tools([FindStatute], tool_choice="FindStatute")
    whole = bound.invoke("도로법 제61조를 찾아 주세요.")
    assert whole.tool_calls[0]["name"] == "FindStatute"
    gathered = None
    for chunk in bound.stream("도로법 제61조를 찾아 주세요."):
        gathered = chunk if gathered is None else gathered + chunk
    assert gathered is not None
    assert gathered.tool_calls[0]["name"] == "FindStatute"


def test_langchain_shows_a_refusal(langchain: ChatOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        langchain.invoke("주민등록번호 901010-1234567을 확인해 주세요.")
    assert refused.value.type == "sensitive_data_blocked"
    assert "주민등록번호" in str(refused.value)


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["stream", "whole"])
def test_the_llm_command_asks_through_the_gateway(
    gateway: Gateway, tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        "- model_id: haechi\n  model_name: sim-large\n"
        f'  api_base: "{gateway.url}/v1"\n  api_key_name: haechi\n'
    )
    asked = subprocess.run(
        [LLM, "-m", "haechi", "--key", gateway.keys["p1"], "--no-log", *options, QUESTION],
        capture_output=True,
        text=True,
        env={**os.environ, "LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""},
        timeout=60,
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()
