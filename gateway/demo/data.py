"""The demo's own data, read from the files beside this module: catalogue, people, prompts, documents."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

SIMULATOR_URL = "http://127.0.0.1:8081"
LOCAL_LLM_URL = "http://127.0.0.1:8082"
"""Where catalogue.toml expects the two servers; `catalogue` puts their real addresses in."""

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8Dw"
    "HwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)

Kind = Literal["chat", "image", "video", "speech", "transcription", "embedding"]
Outcome = Literal["answered", "masked", "routed", "blocked", "refused"]

_FILES = resources.files("gateway.demo")
_DOCUMENT = re.compile(r"\{document:([a-z-]+)\}")


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt of the demo. `withheld`: values that no external provider may ever receive."""

    number: int
    unit: str
    model: str
    prompt: str
    expect: Outcome
    stream: bool
    system: str | None = None
    tools: tuple[str, ...] = ()
    kind: Kind = "chat"
    """What is asked for; everything but a chat is one request of the address of its own."""
    image: bool = False
    max_tokens: int | None = None
    withheld: tuple[str, ...] = ()

    def messages(self) -> list[dict[str, Any]]:
        """Return the request's messages in OpenAI's format."""
        text: Any = self.prompt
        if self.image:
            picture = {"type": "image_url", "image_url": {"url": PIXEL}}
            text = [{"type": "text", "text": self.prompt}, picture]
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": text}]


def read(name: str) -> bytes:
    """Return the bytes of a data file of the demo."""
    return _FILES.joinpath(name).read_bytes()


def catalogue(simulator_url: str, local_llm_url: str) -> str:
    """Return catalogue.toml with the addresses of the servers that are running."""
    text = read("catalogue.toml").decode()
    return text.replace(SIMULATOR_URL, simulator_url).replace(LOCAL_LLM_URL, local_llm_url)


def asks() -> tuple[Ask, ...]:
    """Return the prompts in the order of the file, with their documents put in."""
    tables = tomllib.loads(read("prompts.toml").decode())["requests"]
    return tuple(_ask(number, table) for number, table in enumerate(tables, 1))


def tools() -> dict[str, dict[str, Any]]:
    """Return the tools that prompts name, in OpenAI's format."""
    listed: Mapping[str, Any] = tomllib.loads(read("prompts.toml").decode())["tools"]
    return {name: {"type": "function", "function": {"name": name, **tool}} for name, tool in listed.items()}


def _ask(number: int, table: Mapping[str, Any]) -> Ask:
    prompt = _DOCUMENT.sub(lambda match: read(f"documents/{match[1]}.txt").decode().strip(), table["prompt"])
    lists = {name: tuple(table.get(name, ())) for name in ("tools", "withheld")}
    return Ask(**{**table, **lists, "number": number, "prompt": prompt})
