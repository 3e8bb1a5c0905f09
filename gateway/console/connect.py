"""클라이언트 연결: settings to copy for each client, with this server's address and an open model in them.

The forms are those of docs/clients.md, which tests with the real clients hold true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request

from gateway.console import areas
from gateway.console.i18n import N_
from gateway.console.pages import render
from gateway.console.parts import ConsoleParts, Parts
from gateway.console.session import Needs, Visitor
from gateway.domain import Zone
from gateway.permissions import Permission

if TYPE_CHECKING:
    from starlette.responses import Response

    from gateway.catalogue import Model

Reader = Annotated[Visitor, Depends(Needs(Permission.CONNECT_VIEW))]

KEY: Final = "hk-…"
"""Stands for the reader's own key, which nobody can show again."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Something to copy: `file` says where it goes."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Client:
    """`note` is Korean, marked for the catalogue."""

    id: str
    name: str
    note: str
    snippets: tuple[Snippet, ...]


def router() -> APIRouter:
    routes = areas.pages()

    @routes.get("/console/connect")
    def connect(request: Request, visitor: Reader, parts: Parts) -> Response:
        models = _chat_models(parts)
        asked = request.query_params.get("model", "")
        chosen = next((model.id for model in models if model.id == asked), models[0].id if models else "")
        address = f"{request.url.scheme}://{request.url.netloc}/v1"
        return render(
            request,
            visitor,
            "connect.html",
            address=address,
            models=models,
            chosen=chosen,
            clients=clients(address, chosen),
        )

    return routes


def _chat_models(parts: ConsoleParts) -> list[Model]:
    """Return the models to chat with, those that keep prompts inside first."""
    chats = [model for model in parts.config.catalogue.models.values() if model.kind == "chat"]
    return sorted(chats, key=lambda model: (Zone.EXTERNAL in model.zones, model.name.casefold()))


def clients(address: str, model: str) -> tuple[Client, ...]:
    """Return every client's settings for the API at `address` (ending in /v1) and a model."""
    return (
        Client(
            "python", "OpenAI SDK · Python", N_("pip install openai 로 설치합니다."), _python(address, model)
        ),
        Client(
            "javascript",
            "OpenAI SDK · JavaScript",
            N_("npm install openai 로 설치합니다."),
            _javascript(address, model),
        ),
        Client(
            "open-webui",
            "Open WebUI",
            N_("개인 설정의 연결 메뉴에서, 또는 서버의 환경 변수로 넣습니다."),
            _open_webui(address),
        ),
        Client(
            "librechat",
            "LibreChat",
            N_("librechat.yaml에 넣고 서버를 다시 시작합니다."),
            _librechat(address, model),
        ),
        Client("llm", "llm", N_("pip install llm 로 설치한 뒤 설정 파일에 넣습니다."), _llm(address, model)),
        Client("curl", "curl", N_("설치 없이 연결을 확인할 때 씁니다."), _curl(address, model)),
    )


def _python(address: str, model: str) -> tuple[Snippet, ...]:
    text = f"""from openai import OpenAI

client = OpenAI(base_url="{address}", api_key="{KEY}")
answer = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "안녕하세요"}}],
)
print(answer.choices[0].message.content)"""
    return (Snippet("hello.py", text),)


def _javascript(address: str, model: str) -> tuple[Snippet, ...]:
    text = f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{address}", apiKey: "{KEY}" }});
const answer = await client.chat.completions.create({{
  model: "{model}",
  messages: [{{ role: "user", content: "안녕하세요" }}],
}});
console.log(answer.choices[0].message.content);"""
    return (Snippet("hello.mjs", text),)


def _open_webui(address: str) -> tuple[Snippet, ...]:
    text = f"""OPENAI_API_BASE_URLS={address}
OPENAI_API_KEYS={KEY}"""
    return (Snippet(".env", text),)


def _librechat(address: str, model: str) -> tuple[Snippet, ...]:
    text = f"""endpoints:
  custom:
    - name: "Haechi"
      baseURL: "{address}"
      apiKey: "{KEY}"
      models:
        fetch: true
        default: ["{model}"]"""
    return (Snippet("librechat.yaml", text),)


def _llm(address: str, model: str) -> tuple[Snippet, ...]:
    settings = f"""- model_id: haechi
  model_name: {model}
  api_base: "{address}"
  api_key_name: haechi"""
    commands = """llm keys set haechi
llm -m haechi "안녕하세요\""""
    return (
        Snippet("~/.config/io.datasette.llm/extra-openai-models.yaml", settings),
        Snippet("terminal", commands),
    )


def _curl(address: str, model: str) -> tuple[Snippet, ...]:
    text = f"""curl -N {address}/chat/completions \\
  -H "Authorization: Bearer {KEY}" -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "안녕하세요"}}]}}'"""
    return (Snippet("terminal", text),)
