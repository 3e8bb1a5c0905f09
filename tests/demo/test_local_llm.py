"""A real llama.cpp server with a real model, judged by its own counters."""

from __future__ import annotations

import openai
import pytest

from gateway.demo import local_llm
from gateway.demo.children import Child


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    with Child(local_llm.command(), tmp_path_factory.mktemp("llm") / "log") as child:
        yield child.ready()["url"]


def test_it_generates_text_and_its_counters_agree_with_what_it_states(local):
    client = openai.OpenAI(base_url=f"{local}/v1", api_key="none")
    before = local_llm.token_totals(local)
    prompt, generated, said = 0, 0, set()
    for number in range(3):
        question = [{"role": "user", "content": f"Name {number + 2} colours."}]
        answer = client.chat.completions.create(model="haechi-local", messages=question, max_tokens=12)
        said.add(answer.choices[0].message.content)
        prompt += answer.usage.prompt_tokens
        generated += answer.usage.completion_tokens
    assert all(said)
    assert len(said) > 1, "a model, not a template"
    assert local_llm.token_totals(local).since(before) == (prompt, generated)


def test_it_streams_and_states_usage_in_the_last_chunk(local):
    client = openai.OpenAI(base_url=f"{local}/v1", api_key="none")
    stream = client.chat.completions.create(
        model="haechi-local",
        messages=[{"role": "user", "content": "Say hello."}],
        max_tokens=8,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[-1].usage.completion_tokens <= 8
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 1


def test_it_listens_on_loopback_only_under_its_name(local):
    client = openai.OpenAI(base_url=f"{local}/v1", api_key="none")
    assert local.startswith("http://127.0.0.1:")
    assert [model.id for model in client.models.list()] == ["haechi-local"]


def test_missing_wheels_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(local_llm, "find_spec", lambda _name: None)
    with pytest.raises(local_llm.LocalLlmMissing, match="make venv"):
        local_llm.model_path()
