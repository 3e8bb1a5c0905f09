"""The contract of a surface: one client dialect, parsed into ChatRequest and encoded from answers.

A surface is a module with these names. Pure; it knows neither HTTP nor providers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.domain import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.usage import Usage
    from gateway.domain import JSON, ChatRequest, Completion, Delta


class StreamEncoder(Protocol):
    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        """Encode deltas that arrived together."""

    def end(self, usage: Usage | None, stated: Mapping[str, JSON] = NOTHING) -> bytes:
        """Encode the end of a whole stream; only ever called when it was whole.

        `stated` is what the provider said of the answer in its own words, `Completion.extra`.
        """

    def error(self, body: bytes) -> bytes:
        """Encode an error that ends the stream; `body` is the error as JSON."""


class NewStreamEncoder(Protocol):
    def __call__(
        self, model_id: str, answer_id: str, created: int, *, include_usage: bool
    ) -> StreamEncoder: ...


class Surface(Protocol):
    @property
    def NAME(self) -> str: ...  # noqa: N802 - a constant of the module

    @property
    def KIND(self) -> str: ...  # noqa: N802 - of the models that it asks

    @property
    def CONTENT_TYPE(self) -> str: ...  # noqa: N802 - of its streams

    @property
    def StreamEncoder(self) -> NewStreamEncoder: ...  # noqa: N802 - the module's class

    def parse(self, body: JSON) -> ChatRequest:
        """Read a request body. Raises InvalidRequest or UnsupportedFeature."""

    def error_object(self, status: int, error: Mapping[str, JSON]) -> dict[str, JSON]:
        """Wrap the members of an error (message, type, code, param, …) as this dialect does."""

    def encode(self, completion: Completion, model_id: str, answer_id: str, created: int) -> bytes:
        """Encode a whole answer."""
