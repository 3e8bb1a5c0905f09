"""Clients that staff use, as they are: langchain-openai and the `llm` command line."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from openai import BadRequestError
from pydantic import BaseModel, Field, SecretStr

from simulator.surfaces.media import png

if TYPE_CHECKING:
    from tests.journeys.conftest import Gateway

QUESTION = "도로 점용 허가 절차를 두 문장으로 설명해 주세요."
LLM = str(Path(sys.executable).with_name("llm"))


PICTURE = png(8, 8, "해치")
DATA_URL = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"


def pictures_asked(gateway: Gateway) -> int:
    """Count the requests with this picture that arrived at the provider."""
    wanted = base64.b64encode(PICTURE).decode()
    return sum(wanted in json.dumps(row) for row in gateway.simulator.ledger())


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


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_langchain_shows_a_picture_to_a_model_in_the_house(gateway: Gateway, streamed: bool) -> None:
    model = ChatOpenAI(
        model="house-model",
        base_url=f"{gateway.url}/v1",
        api_key=SecretStr(gateway.keys["p1"]),
        max_retries=0,
        stream_usage=True,
    )
    parts: list[str | dict[Any, Any]] = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": DATA_URL}},
    ]
    before = pictures_asked(gateway)
    if streamed:
        assert "".join(chunk.text for chunk in model.stream([HumanMessage(parts)]))
    else:
        assert model.invoke([HumanMessage(parts)]).text
    assert pictures_asked(gateway) == before + 1


def test_langchain_shows_a_refusal(langchain: ChatOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        langchain.invoke("주민등록번호 901010-1234567을 확인해 주세요.")
    assert refused.value.type == "sensitive_data_blocked"
    assert "주민등록번호" in str(refused.value)


# --- llm -----------------------------------------------------------------------------------------

WAYS = pytest.mark.parametrize("way", [(), ("--no-stream",)], ids=["stream", "whole"])
FUNCTIONS = """
def find_statute(name: str) -> str:
    "법령 조문을 찾습니다"
    return f"{name}: 도로의 점용에는 허가를 받아야 한다"
"""


def llm(gateway: Gateway, folder: Path, model: str, *options: str) -> str:
    """Ask with the `llm` command as docs/clients.md sets it up, and return what it prints."""
    (folder / "extra-openai-models.yaml").write_text(
        f'- model_id: haechi\n  model_name: {model}\n  api_base: "{gateway.url}/v1"\n'
        "  api_key_name: haechi\n  supports_tools: true\n  supports_schema: true\n  vision: true\n"
    )
    asked = subprocess.run(
        [LLM, "-m", "haechi", "--key", gateway.keys["p1"], "--no-log", *options, QUESTION],
        capture_output=True,
        text=True,
        env={**os.environ, "LLM_USER_PATH": str(folder), "LLM_LOAD_PLUGINS": ""},
        timeout=60,
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.strip()


@WAYS
def test_the_llm_command_asks_through_the_gateway(gateway: Gateway, tmp_path: Path, way: Any) -> None:
    assert llm(gateway, tmp_path, "sim-large", *way)


@WAYS
def test_the_llm_command_runs_tools_and_passes_their_results_on(
    gateway: Gateway, tmp_path: Path, way: Any
) -> None:
    said = llm(gateway, tmp_path, "sim-large", *way, "--functions", FUNCTIONS)
    assert "허가를 받아야 한다" in said  # the simulator repeats what the tool answered


@WAYS
def test_the_llm_command_attaches_a_picture(gateway: Gateway, tmp_path: Path, way: Any) -> None:
    (tmp_path / "seal.png").write_bytes(PICTURE)
    before = pictures_asked(gateway)
    assert llm(gateway, tmp_path, "house-model", *way, "-a", str(tmp_path / "seal.png"))
    assert pictures_asked(gateway) == before + 1


def test_the_llm_command_demands_a_schema(gateway: Gateway, tmp_path: Path) -> None:
    said = llm(gateway, tmp_path, "sim-large", "--schema", "department, summary")
    assert set(json.loads(said)) == {"department", "summary"}
