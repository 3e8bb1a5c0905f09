"""Adapters by wire format. A new one is one file here, one line below and one test file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from gateway.providers.base import Adapter

WIRES = ("openai", "anthropic", "gemini", "responses", "bedrock", "cohere")


def adapter(wire: str) -> Adapter:
    """Return the adapter of a wire format. Raises KeyError naming the ones there are."""
    if wire not in WIRES:
        raise KeyError(f"unknown wire format {wire!r}; known: {', '.join(WIRES)}")
    return cast("Adapter", import_module(f"gateway.providers.{wire}"))
